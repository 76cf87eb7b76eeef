//! BODYSTRUCTURE (RFC 9051 section 7.5.2): what one part's header says of it in wire form, how the parts are put
//! together, and how BODY is made of it.

use super::params::{self, Param, Structured};
use super::transfer::Encoding;
use super::{charset, envelope, header, wire, words};

/// What the header of a part says, before its content is known.
pub(super) struct Described {
    /// `text/plain`, in lower case.
    pub media: String,
    pub charset: String,
    pub encoding: Encoding,
    /// The boundary of a multipart.
    pub boundary: Vec<u8>,
    /// Wire form of what stands before the size: type, subtype, parameters, id, description, encoding. For a
    /// multipart, what stands behind its parts: subtype, parameters and the extension data.
    pub head: Vec<u8>,
    /// Wire form of the extension data that stands behind the sizes.
    pub tail: Vec<u8>,
}

/// The fields of a part's header that describe its content, as they stand.
#[derive(Default)]
pub(super) struct Fields<'a> {
    content_type: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    language: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub fn take(&mut self, field: &header::Field<'a>) {
        let Some((content, rest)) = field.name.split_at_checked(8) else { return };
        if !content.eq_ignore_ascii_case(b"Content-") {
            return;
        }
        let slot = match rest.to_ascii_lowercase().as_slice() {
            b"type" => &mut self.content_type,
            b"transfer-encoding" => &mut self.encoding,
            b"id" => &mut self.id,
            b"description" => &mut self.description,
            b"md5" => &mut self.md5,
            b"disposition" => &mut self.disposition,
            b"language" => &mut self.language,
            b"location" => &mut self.location,
            _ => return,
        };
        slot.get_or_insert(field.value);
    }

    /// `default` is the type of a part that names none (RFC 2046 section 5.1.5: message/rfc822 in a digest).
    pub fn describe(&self, default: &str) -> Described {
        let mut content_type = self.content_type.map(params::parse).unwrap_or_default();
        let mut media = media(&content_type.value).unwrap_or_else(|| default.into());
        let encoding = self.encoding.map(|value| params::parse(value).value).unwrap_or_default();
        let known = Encoding::named(&encoding);
        let mut boundary = Vec::new();
        if media.starts_with("multipart/") {
            boundary = content_type.param("boundary").unwrap_or_default().trim_ascii_end().to_vec();
            // Without a usable boundary nobody can find the parts; the text is still worth reading.
            if boundary.is_empty() || boundary.len() > crate::base::limits::BOUNDARY_BYTES_MAX {
                boundary.clear();
                media = "text/plain".into();
                content_type.params.clear();
            }
        } else if media.starts_with("message/") && known != Encoding::Identity && is_message(&media) {
            // What is encoded cannot be looked into in place (RFC 2046 section 5.2.1 forbids it).
            media = "application/octet-stream".into();
        }
        let charset = content_type.param("charset").unwrap_or_default().to_ascii_lowercase();
        if media.starts_with("text/") && charset.is_empty() {
            content_type.params.push(Param { name: b"charset".to_vec(), value: b"us-ascii".to_vec() });
        }
        let mut described = Described {
            charset: String::from_utf8_lossy(&charset).into_owned(),
            encoding: known,
            boundary,
            head: Vec::new(),
            tail: Vec::new(),
            media,
        };
        self.write(&content_type, &encoding, &mut described);
        described
    }

    // body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
    fn write(&self, content_type: &Structured, encoding: &[u8], described: &mut Described) {
        let (kind, subtype) = described.media.split_once('/').unwrap_or(("text", "plain"));
        let head = &mut described.head;
        if kind == "multipart" {
            wire::upper(head, subtype.as_bytes());
            head.push(b' ');
            write_params(head, &content_type.params);
            head.push(b' ');
            self.write_extension(head);
            return;
        }
        wire::upper(head, kind.as_bytes());
        head.push(b' ');
        wire::upper(head, subtype.as_bytes());
        head.push(b' ');
        write_params(head, &content_type.params);
        head.push(b' ');
        wire::field(head, self.id);
        head.push(b' ');
        wire::field(head, self.description);
        head.push(b' ');
        wire::upper(head, if encoding.is_empty() { b"7bit" } else { encoding });
        let tail = &mut described.tail;
        wire::field(tail, self.md5);
        tail.push(b' ');
        self.write_extension(tail);
    }

    // body-fld-dsp SP body-fld-lang SP body-fld-loc
    fn write_extension(&self, out: &mut Vec<u8>) {
        match self.disposition.map(params::parse).filter(|disposition| !disposition.value.is_empty()) {
            Some(disposition) => {
                out.push(b'(');
                wire::upper(out, &disposition.value);
                out.push(b' ');
                write_params(out, &disposition.params);
                out.push(b')');
            }
            None => out.extend_from_slice(b"NIL"),
        }
        out.push(b' ');
        write_languages(out, self.language.unwrap_or_default());
        out.push(b' ');
        wire::field(out, self.location);
    }
}

pub(super) fn is_message(media: &str) -> bool {
    matches!(media, "message/rfc822" | "message/global")
}

/// Type and subtype in lower case; `None` where there is none that clients could use (RFC 2045 section 5.2).
fn media(value: &[u8]) -> Option<String> {
    let token = |part: &[u8]| {
        !part.is_empty()
            && part.iter().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte))
    };
    let slash = value.iter().position(|&byte| byte == b'/')?;
    let (kind, subtype) = (value[..slash].trim_ascii(), value[slash + 1..].trim_ascii());
    let media = [kind, b"/", subtype].concat().to_ascii_lowercase();
    (token(kind) && token(subtype)).then(|| String::from_utf8_lossy(&media).into_owned())
}

// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
// A value that is not ASCII is written as one RFC 2231 value, `name*=utf-8''…`: clients know it from other servers,
// which hand out what the sender wrote.
fn write_params(out: &mut Vec<u8>, params: &[Param]) {
    if params.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (index, param) in params.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        if param.value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            wire::upper(out, &param.name);
            out.push(b' ');
            wire::quoted(out, &param.value);
            continue;
        }
        wire::upper(out, &[param.name.as_slice(), b"*"].concat());
        out.push(b' ');
        wire::quoted(out, extended(&param.value).as_bytes());
    }
    out.push(b')');
}

fn extended(value: &[u8]) -> String {
    let text = if value.contains(&b'=') { words::decode(value) } else { charset::decode("", value) };
    let mut out = String::from("utf-8''");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{}~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            data_encoding::HEXUPPER.encode_append(&[byte], &mut out);
        }
    }
    out
}

// body-fld-lang = nstring / "(" string *(SP string) ")"
fn write_languages(out: &mut Vec<u8>, value: &[u8]) {
    let value = header::unfold(value);
    let tags: Vec<&[u8]> =
        value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty()).collect();
    match tags.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => wire::string(out, one),
        _ => {
            for (index, tag) in tags.iter().enumerate() {
                out.push(if index == 0 { b'(' } else { b' ' });
                wire::string(out, tag);
            }
            out.push(b')');
        }
    }
}

/// ENVELOPE of the message that this header section begins.
pub(super) fn envelope(fields: &envelope::Fields<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    fields.write(&mut out);
    out
}

/// BODY from extensible BODYSTRUCTURE: the same without extension data. Anything that is no BODYSTRUCTURE comes back
/// as it is.
pub fn basic(structure: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(structure.len());
    let mut reader = Reader { rest: structure, out: &mut out };
    if reader.body(0).is_some() {
        return out;
    }
    structure.to_vec()
}

struct Reader<'a> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Reader<'_> {
    // body = "(" (body-type-1part / body-type-mpart) ")"
    fn body(&mut self, depth: usize) -> Option<()> {
        if depth > 2 * crate::base::limits::PART_DEPTH_MAX {
            return None;
        }
        self.keep(b'(')?;
        if self.rest.first() == Some(&b'(') {
            while self.rest.first() == Some(&b'(') {
                self.body(depth + 1)?;
            }
            self.keep(b' ')?;
            self.keep_value()?;
        } else {
            self.single(depth)?;
        }
        while self.rest.first() == Some(&b' ') {
            self.rest = &self.rest[1..];
            let length = value_length(self.rest)?;
            self.rest = &self.rest[length..];
        }
        self.keep(b')')
    }

    // media-basic SP body-fields / media-message SP body-fields SP envelope SP body SP lines / media-text SP … SP lines
    fn single(&mut self, depth: usize) -> Option<()> {
        let message = [&b"\"MESSAGE\" \"RFC822\" "[..], b"\"MESSAGE\" \"GLOBAL\" "];
        let is_message = message.iter().any(|media| self.rest.starts_with(media));
        let is_text = self.rest.starts_with(b"\"TEXT\" ");
        self.keep_value()?;
        for _ in 0..6 {
            self.keep(b' ')?;
            self.keep_value()?;
        }
        if is_message {
            self.keep(b' ')?;
            self.keep_value()?;
            self.keep(b' ')?;
            self.body(depth + 1)?;
        }
        if is_message || is_text {
            self.keep(b' ')?;
            self.keep_value()?;
        }
        Some(())
    }

    fn keep(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        self.out.push(byte);
        Some(())
    }

    fn keep_value(&mut self) -> Option<()> {
        let length = value_length(self.rest)?;
        self.out.extend_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Some(())
    }
}

/// Length of the string, list, number or NIL at the start.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => at += quoted_length(&bytes[at..])?,
            b'(' => {
                depth += 1;
                at += 1;
            }
            b')' if depth == 0 => return (at > 0).then_some(at),
            b')' => {
                depth -= 1;
                at += 1;
            }
            b' ' if depth == 0 => return (at > 0).then_some(at),
            _ => at += 1,
        }
    }
}

fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(section: &str) -> String {
        let mut fields = Fields::default();
        header::fields(section.as_bytes()).for_each(|field| fields.take(&field));
        let described = fields.describe("text/plain");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{} | {}", text(&described.head), text(&described.tail))
    }

    #[test]
    fn parts_are_described() {
        let plain = r#""TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" | NIL NIL NIL NIL"#;
        for (section, seen) in [
            ("", plain),
            ("Content-Type: text\r\n", plain),
            ("Content-Type: multipart/mixed\r\n", plain),
            (
                "Content-Type: image/PNG; name=\"a\\\"b\"\r\nContent-ID: <x@y>\r\nContent-MD5: Q2hl\r\n\
                 Content-Transfer-Encoding: base64\r\nContent-Language: de, en\r\nContent-Location: http://x.test/\r\n",
                r#""IMAGE" "PNG" ("NAME" "a\"b") "<x@y>" NIL "BASE64" | "Q2hl" NIL ("de" "en") "http://x.test/""#,
            ),
            (
                "Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n filename*0*=utf-8''k%C3%A4;\r\n \
                 filename*1=se.pdf\r\nContent-Language: de\r\n",
                r#""APPLICATION" "PDF" NIL NIL NIL "7BIT" | NIL ("ATTACHMENT" ("FILENAME*" "utf-8''k%C3%A4se.pdf")) "de" NIL"#,
            ),
            (
                "Content-Type: multipart/mixed; boundary=\"x y\"\r\n",
                r#""MIXED" ("BOUNDARY" "x y") NIL NIL NIL | "#,
            ),
            (
                "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n",
                r#""APPLICATION" "OCTET-STREAM" NIL NIL NIL "BASE64" | NIL NIL NIL NIL"#,
            ),
        ] {
            assert_eq!(described(section), seen, "{section}");
        }
    }

    #[test]
    fn body_is_bodystructure_without_extension_data() {
        for (from, to) in [
            (
                r#"("TEXT" "PLAIN" NIL NIL "a \" ) b" "7BIT" 3 1 NIL NIL NIL NIL)"#,
                r#"("TEXT" "PLAIN" NIL NIL "a \" ) b" "7BIT" 3 1)"#,
            ),
            (
                r#"(("A" "B" NIL NIL NIL "X" 1 NIL ("D" ("E" "F")) NIL NIL)("MESSAGE" "RFC822" NIL NIL NIL "X" 9 (NIL) ("TEXT" "X" NIL NIL NIL "X" 1 2 NIL) 4 NIL NIL) "MIXED" ("BOUNDARY" "x") NIL NIL NIL)"#,
                r#"(("A" "B" NIL NIL NIL "X" 1)("MESSAGE" "RFC822" NIL NIL NIL "X" 9 (NIL) ("TEXT" "X" NIL NIL NIL "X" 1 2) 4) "MIXED")"#,
            ),
            ("(\"A", "(\"A"),
            ("", ""),
            ("((((", "(((("),
        ] {
            assert_eq!(String::from_utf8_lossy(&basic(from.as_bytes())), to);
        }
    }
}
