//! The text that a person would search for: header fields decoded, text parts decoded, HTML reduced. As streams, so
//! that a body of 100 MB needs no memory of its size; and `fold`, by which both sides of a search are compared.

use super::header;
use super::html::Reducer;
use super::parts::{Kind, Part, PartMap};
use super::{charset, transfer, words};

pub use super::fold::{fold, fold_into, is_decomposed};

/// A header section as text: one field a line, `Name: value`, unfolded and decoded.
pub fn of_header(section: &[u8]) -> String {
    let mut out = String::with_capacity(section.len());
    for field in header::fields(section).take(crate::base::limits::HEADER_FIELDS_MAX) {
        out.push_str(&String::from_utf8_lossy(field.name));
        out.push_str(": ");
        out.push_str(&words::decode(field.value));
        out.push('\n');
    }
    out
}

/// Decodes the content of one part into text, in pieces of any size. A part that is no text gives none.
pub struct Extractor {
    transfer: transfer::Decoder,
    charset: charset::Decoder,
    html: Option<Reducer>,
    is_text: bool,
    /// Between the stages; emptied by each call.
    bytes: Vec<u8>,
    decoded: String,
}

impl Extractor {
    pub fn new(part: &Part) -> Extractor {
        Extractor {
            transfer: transfer::Decoder::new(part.encoding),
            charset: charset::Decoder::new(&part.charset),
            html: (part.media == "text/html").then(Reducer::default),
            is_text: part.is_text(),
            bytes: Vec::new(),
            decoded: String::new(),
        }
    }

    /// Adds to `text` what these bytes of the part's content say.
    pub fn feed(&mut self, content: &[u8], text: &mut String) {
        if !self.is_text {
            return;
        }
        self.bytes.clear();
        self.transfer.feed(content, &mut self.bytes);
        let Some(html) = &mut self.html else { return self.charset.feed(&self.bytes, text) };
        self.decoded.clear();
        self.charset.feed(&self.bytes, &mut self.decoded);
        html.feed(&self.decoded, text);
    }

    pub fn finish(mut self, text: &mut String) {
        if !self.is_text {
            return;
        }
        self.bytes.clear();
        self.transfer.finish(&mut self.bytes);
        self.decoded.clear();
        self.charset.feed(&self.bytes, &mut self.decoded);
        self.charset.finish(&mut self.decoded);
        match self.html {
            Some(mut html) => {
                html.feed(&self.decoded, text);
                html.finish(text);
            }
            None => text.push_str(&self.decoded),
        }
    }
}

/// What SEARCH TEXT (`with_header`) and SEARCH BODY look at, of a message that is at hand whole: the text parts, and
/// the headers of the messages inside it. Not folded.
pub fn of_message(message: &[u8], map: &PartMap, whole: Scope) -> String {
    let mut text = String::new();
    let slice = |range: &std::ops::Range<u64>| {
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(message.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        &message[start..end]
    };
    let mut before: Option<Kind> = None;
    for part in map.parts() {
        let begins_message = before.map_or(whole == Scope::Message, |kind| kind == Kind::Message);
        if begins_message {
            text.push_str(&of_header(slice(&part.header)));
        }
        if part.is_text() {
            let mut extractor = Extractor::new(part);
            extractor.feed(slice(&part.content), &mut text);
            extractor.finish(&mut text);
            text.push('\n');
        }
        before = Some(part.kind);
    }
    text
}

/// Which text of a message is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SEARCH TEXT: its header too.
    Message,
    /// SEARCH BODY.
    Body,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::summary::Summarizer;

    fn text(message: &str, scope: Scope) -> String {
        let mut summarizer = Summarizer::new();
        summarizer.feed(message.as_bytes());
        let map = PartMap::decode(&summarizer.finish().parts);
        of_message(message.as_bytes(), &map, scope)
    }

    #[test]
    fn texts_of_all_parts_are_found() {
        let message = "Subject: =?utf-8?q?K=C3=A4se?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Gr=FC=\r\n=DFe\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            PGI+VGFnPC9iPiBlaW5z\r\n--b\r\nContent-Type: image/png\r\n\r\nsecret\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\n";
        let whole = text(message, Scope::Message);
        for piece in ["Subject: Käse\n", "Grüße", "Tag eins", "Subject: inner", "inside"] {
            assert!(whole.contains(piece), "{piece} in {whole}");
        }
        assert!(!whole.contains("secret"));
        assert!(!text(message, Scope::Body).contains("Käse"));
        assert!(text(message, Scope::Body).contains("inner"));
    }
}
