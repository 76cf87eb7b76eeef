//! HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 section 6.4.5.1) as a filter over header bytes that come in pieces of
//! any size, so that a header of any length costs no more than the longest field name worth looking at.

use crate::base::limits;

/// Keeps the fields that are named, or those that are not, and always the blank line that ends the header.
#[derive(Clone, Debug)]
pub struct FieldFilter {
    /// In lower case.
    names: Vec<Vec<u8>>,
    keep_named: bool,
    line: Line,
}

#[derive(Clone, Debug)]
enum Line {
    /// The next byte begins a line; a line that begins with white space goes where the one before it went.
    Start { kept: bool },
    /// In the name of a field; the bytes are held until it is known whether they are kept.
    Name(Vec<u8>),
    /// In a line whose fate is known.
    Rest { kept: bool },
}

impl FieldFilter {
    pub fn new(names: &[String], keep_named: bool) -> FieldFilter {
        let names = names.iter().map(|name| name.as_bytes().to_ascii_lowercase()).collect();
        FieldFilter { names, keep_named, line: Line::Start { kept: false } }
    }

    /// Takes the next bytes of the header and appends what is kept of them to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let taken = match &mut self.line {
                Line::Start { kept } => {
                    self.line = match first {
                        b' ' | b'\t' => Line::Rest { kept: *kept },
                        _ => Line::Name(Vec::new()),
                    };
                    0
                }
                Line::Name(_) => self.name(rest, out),
                Line::Rest { kept } => {
                    let kept = *kept;
                    let (count, ended) = to_line_end(rest);
                    if kept {
                        out.extend_from_slice(&rest[..count]);
                    }
                    if ended {
                        self.line = Line::Start { kept };
                    }
                    count
                }
            };
            rest = &rest[taken..];
        }
    }

    /// The header is over: a last line without an end is judged as it stands.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Line::Name(held) = &self.line
            && self.keeps(held)
        {
            out.extend_from_slice(held);
        }
        self.line = Line::Start { kept: false };
    }

    /// Takes bytes up to the colon or the end of the line, and decides there.
    fn name(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let Line::Name(held) = &mut self.line else { return 0 };
        let stop = rest.iter().position(|&byte| byte == b':' || byte == b'\n');
        let count = stop.map_or(rest.len(), |at| at + 1);
        held.extend_from_slice(&rest[..count]);
        let decided = stop.is_some() || held.len() > limits::HEADER_FIELD_NAME_BYTES_MAX;
        if !decided {
            return count;
        }
        let held = std::mem::take(held);
        let kept = self.keeps(&held);
        if kept {
            out.extend_from_slice(&held);
        }
        self.line = if held.ends_with(b"\n") { Line::Start { kept } } else { Line::Rest { kept } };
        count
    }

    /// Whether a line that begins with these bytes is kept. What is not a field is "not named", except the blank line.
    fn keeps(&self, line: &[u8]) -> bool {
        let Some(name) = line.strip_suffix(b":") else {
            return line.trim_ascii().is_empty() || !self.keep_named;
        };
        let name = name.trim_ascii_end().to_ascii_lowercase();
        self.names.contains(&name) == self.keep_named
    }
}

/// How many bytes lie before the end of this line, its LF included, and whether that end is there.
fn to_line_end(bytes: &[u8]) -> (usize, bool) {
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(at) => (at + 1, true),
        None => (bytes.len(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"From: a@box.test\r\nSubject: one\r\n two\r\nX-A : spaced\r\nno colon here\r\nTo: b\r\n\r\n";

    fn filtered(header: &[u8], names: &[&str], keep_named: bool, piece: usize) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        let mut filter = FieldFilter::new(&names, keep_named);
        let mut out = Vec::new();
        for bytes in header.chunks(piece) {
            filter.feed(bytes, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn fields_are_kept_by_name_whatever_the_pieces() {
        for piece in 1..HEADER.len() {
            let named = filtered(HEADER, &["SUBJECT", "x-a"], true, piece);
            assert_eq!(named, "Subject: one\r\n two\r\nX-A : spaced\r\n\r\n", "pieces of {piece}");
            let others = filtered(HEADER, &["SUBJECT", "x-a"], false, piece);
            assert_eq!(others, "From: a@box.test\r\nno colon here\r\nTo: b\r\n\r\n", "pieces of {piece}");
        }
    }

    #[test]
    fn a_header_without_its_blank_line_gets_none() {
        for piece in 1..8 {
            assert_eq!(filtered(b"A: 1\r\nB: 2", &["b"], true, piece), "B: 2");
            assert_eq!(filtered(b"A: 1\r\nB: 2", &["b"], false, piece), "A: 1\r\n");
            assert_eq!(filtered(b"A: 1\r\nB", &["b"], true, piece), "");
            assert_eq!(filtered(b"", &["b"], true, piece), "");
        }
    }

    #[test]
    fn bare_line_feeds_end_lines_too() {
        assert_eq!(filtered(b"A: 1\nB: 2\n 3\nC: 4\n\n", &["b"], true, 3), "B: 2\n 3\n\n");
    }

    #[test]
    fn an_endless_name_is_not_held() {
        let mut filter = FieldFilter::new(&["a".into()], false);
        let mut out = Vec::new();
        for _ in 0..100_000 {
            filter.feed(b"xxxxxxxxxxxxxxxx", &mut out);
            let Line::Name(held) = &filter.line else { continue };
            assert!(held.len() <= limits::HEADER_FIELD_NAME_BYTES_MAX + 16);
        }
        assert_eq!(out.len(), 1_600_000);
    }
}
