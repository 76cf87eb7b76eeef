//! FROM, TO, CC, BCC and SUBJECT as RFC 9051 section 6.4.4 has them: a text "in the envelope structure's field". The
//! envelope lies beside the body in wire form; here it is read back as a person would see it.

use crate::mime::words;

use super::fulltext::Place;

/// A field of the envelope that has a search key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeField {
    From,
    To,
    Cc,
    Bcc,
    Subject,
}

/// With where the index has them.
pub const FIELDS: [(EnvelopeField, Place); 5] = [
    (EnvelopeField::From, Place::From),
    (EnvelopeField::To, Place::To),
    (EnvelopeField::Cc, Place::Cc),
    (EnvelopeField::Bcc, Place::Bcc),
    (EnvelopeField::Subject, Place::Subject),
];

impl EnvelopeField {
    /// The header field that it is made of.
    pub fn name(self) -> &'static str {
        match self {
            EnvelopeField::From => "from",
            EnvelopeField::To => "to",
            EnvelopeField::Cc => "cc",
            EnvelopeField::Bcc => "bcc",
            EnvelopeField::Subject => "subject",
        }
    }

    /// Its place among the elements of ENVELOPE (RFC 9051 section 7.5.2).
    fn element(self) -> usize {
        match self {
            EnvelopeField::Subject => 1,
            EnvelopeField::From => 2,
            EnvelopeField::To => 5,
            EnvelopeField::Cc => 6,
            EnvelopeField::Bcc => 7,
        }
    }

    pub fn place(self) -> Place {
        match self {
            EnvelopeField::From => Place::From,
            EnvelopeField::To => Place::To,
            EnvelopeField::Cc => Place::Cc,
            EnvelopeField::Bcc => Place::Bcc,
            EnvelopeField::Subject => Place::Subject,
        }
    }
}

/// The field decoded: the subject, or addresses as `name <local@domain>` with a comma between them. Empty where the
/// envelope has none.
pub fn shown(envelope: &[u8], field: EnvelopeField) -> String {
    let mut reader = Wire { rest: envelope.strip_prefix(b"(").unwrap_or_default() };
    for _ in 0..field.element() {
        reader.skip();
        reader.eat(b' ');
    }
    if field == EnvelopeField::Subject {
        return words::decode(&reader.string());
    }
    let mut shown = String::new();
    if reader.eat(b'(') {
        while reader.eat(b'(') {
            let [name, _, local, domain] = std::array::from_fn(|_| {
                let string = reader.string();
                reader.eat(b' ');
                words::decode(&string)
            });
            reader.eat(b')');
            push_address(&mut shown, &name, &local, &domain);
        }
    }
    shown
}

/// The beginning and the end of a group have no domain.
fn push_address(shown: &mut String, name: &str, local: &str, domain: &str) {
    if !shown.is_empty() {
        shown.push_str(", ");
    }
    let address = if domain.is_empty() { local.to_owned() } else { format!("{local}@{domain}") };
    match name {
        "" => shown.push_str(&address),
        name => shown.push_str(&format!("{name} <{address}>")),
    }
}

/// ENVELOPE as `mime::wire` writes it: NIL, quoted strings and lists.
struct Wire<'a> {
    rest: &'a [u8],
}

impl Wire<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let here = self.rest.first() == Some(&byte);
        if here {
            self.rest = &self.rest[1..];
        }
        here
    }

    /// A quoted string without its escapes; nothing for NIL and for anything else, which is skipped.
    fn string(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        if !self.eat(b'"') {
            self.skip();
            return value;
        }
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'"' => break,
                b'\\' => {
                    value.extend(self.rest.first());
                    self.rest = self.rest.get(1..).unwrap_or_default();
                }
                byte => value.push(byte),
            }
        }
        value
    }

    /// Past one element, lists with all that is in them.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'"' => drop(self.string()),
                b'(' => {
                    depth += 1;
                    self.rest = &self.rest[1..];
                }
                b')' if depth == 0 => return,
                b')' => {
                    depth -= 1;
                    self.rest = &self.rest[1..];
                }
                b' ' if depth == 0 => return,
                _ => self.rest = &self.rest[1..],
            }
            if depth == 0 && matches!(byte, b'"' | b')') {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Summarizer;

    #[test]
    fn fields_are_read_as_a_person_sees_them() {
        let mut summarizer = Summarizer::new();
        summarizer.feed(
            b"From: \"Doe, \\\"J\\\" (x)\" <jd@example.org>\r\nTo: friends: a@b.test, =?utf-8?q?K=C3=A4te?= <k@b.test>;\r\n\
            Bcc: solo@b.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= (\"all\\\")\r\n\r\n",
        );
        let envelope = summarizer.finish().envelope;
        for (field, text) in [
            (EnvelopeField::From, "Doe, \"J\" (x) <jd@example.org>"),
            (EnvelopeField::To, "friends, a@b.test, Käte <k@b.test>, "),
            (EnvelopeField::Cc, ""),
            (EnvelopeField::Bcc, "solo@b.test"),
            (EnvelopeField::Subject, "Grüße (\"all\\\")"),
        ] {
            assert_eq!(shown(&envelope, field), text, "{field:?} of {}", String::from_utf8_lossy(&envelope));
        }
    }

    #[test]
    fn what_is_no_envelope_shows_nothing_much() {
        for broken in [&b""[..], b"(", b"NIL", b"(\"", b"((((", b"(NIL NIL ((\"a", b")))", b"(NIL \"\\"] {
            for (field, _) in FIELDS {
                assert!(shown(broken, field).len() < 8);
            }
        }
    }
}
