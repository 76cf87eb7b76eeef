//! Header sections (RFC 5322 section 2.2): their end, their fields, and unfolding. Lines that are no fields are
//! skipped, never repaired; a field's bytes are never changed.

use std::borrow::Cow;

use memchr::memchr;

/// One header field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Without colon and without the white space that RFC 5322 section 4.5 allows before it.
    pub name: &'a [u8],
    /// Everything behind the colon, still folded, without the last line break.
    pub value: &'a [u8],
    /// The whole field with its last line break: what HEADER.FIELDS hands out.
    pub raw: &'a [u8],
}

impl Field<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header section, up to its blank line or its end.
pub fn fields(section: &[u8]) -> Fields<'_> {
    Fields { rest: section }
}

pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            if self.rest.is_empty() || blank(self.rest) > 0 {
                return None;
            }
            let (raw, rest) = self.rest.split_at(folded_end(self.rest));
            self.rest = rest;
            if let Some(field) = field(raw) {
                return Some(field);
            }
        }
    }
}

/// The first field of that name.
pub fn find<'a>(section: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(section).find(|field| field.is(name))
}

/// Where the header section ends: behind its blank line, or at the end of the bytes if there is none.
pub fn section_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let blank = blank(&bytes[at..]);
        if blank > 0 {
            return at + blank;
        }
        match memchr(b'\n', &bytes[at..]) {
            Some(line) => at += line + 1,
            None => return bytes.len(),
        }
    }
}

/// A field's value on one line: line breaks of folding removed (RFC 5322 section 2.2.3), white space at both ends too.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
}

/// Length of the line break at the start, 0 if there is none.
fn blank(bytes: &[u8]) -> usize {
    match bytes {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

/// Where the line that starts here ends, with all lines folded onto it.
fn folded_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = memchr(b'\n', &bytes[at..]) {
        at += line + 1;
        if !matches!(bytes.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    bytes.len()
}

// field-name = 1*ftext ; ftext = %d33-57 / %d59-126                                       RFC 5322 section 3.6.8
fn field(raw: &[u8]) -> Option<Field<'_>> {
    let colon = memchr(b':', raw)?;
    let name = raw[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let value = &raw[colon + 1..];
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    Some(Field { name, value, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_bytes_and_junk_is_skipped() {
        let section = b"From me Mon 10:00\r\nTo: a\r\n\tb\r\njunk\r\n more\r\nX-Y :\n\r\nBody: no\r\n";
        let seen: Vec<_> = fields(section).collect();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].name, seen[0].value), (&b"To"[..], &b" a\r\n\tb"[..]));
        assert_eq!(seen[0].raw, b"To: a\r\n\tb\r\n");
        assert_eq!((seen[1].name, seen[1].value), (&b"X-Y"[..], &b""[..]));
        assert_eq!(unfold(seen[0].value).as_ref(), b"a\tb");
    }

    #[test]
    fn sections_end_behind_their_blank_line() {
        for (bytes, end) in [
            (&b""[..], 0),
            (b"\r\nx", 2),
            (b"A: b\r\n\r\nx", 8),
            (b"A: b\n\nx", 6),
            (b"A: b\r\n", 6),
            (b"A: b\r\n\r", 7),
        ] {
            assert_eq!(section_end(bytes), end, "{bytes:?}");
        }
    }
}
