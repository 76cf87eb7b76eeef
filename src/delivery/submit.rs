//! The header of a submitted message is completed while it passes by (RFC 6409 section 8): a missing Date and
//! Message-ID are added at its end, Bcc and Resent-Bcc are removed (RFC 5322 section 3.6.3), and so is a Return-Path,
//! which only the last server writes. Everything else passes as it is, in its order, also lines that are no fields.

use crate::base::limits::SUBMIT_FIELD_BYTES_MAX;
use crate::mime::address;

use super::Mailbox;

/// What is added where it is missing.
pub struct Completion {
    pub date: String,
    /// With its angle brackets.
    pub message_id: String,
}

/// The rewriting of one header section.
pub struct Rewrite {
    completion: Completion,
    /// The field under way with its folded lines; given out when the next one begins.
    field: Vec<u8>,
    /// Where in `field` the last line begins.
    line: usize,
    has_date: bool,
    has_message_id: bool,
    authors: Vec<Mailbox>,
    hops: usize,
    size: usize,
    overlong: bool,
    complete: bool,
}

/// Fields that do not leave the house.
const DROPPED: [&str; 3] = ["bcc", "resent-bcc", "return-path"];

impl Rewrite {
    pub fn new(completion: Completion) -> Rewrite {
        Rewrite {
            completion,
            field: Vec::new(),
            line: 0,
            has_date: false,
            has_message_id: false,
            authors: Vec::new(),
            hops: 0,
            size: 0,
            overlong: false,
            complete: false,
        }
    }

    /// Takes bytes of the header and writes to `out` what is to be kept; returns how many bytes were the header's.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut used = 0;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.complete {
                break;
            }
            used += piece.len();
            self.piece(piece, out);
        }
        self.size += used;
        used
    }

    /// The message ends, perhaps before its header did.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if !self.complete {
            self.end_field(out);
            if !out.is_empty() && !out.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
            self.complete(out);
        }
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The addresses of all From fields.
    pub fn take_authors(&mut self) -> Vec<Mailbox> {
        std::mem::take(&mut self.authors)
    }

    /// Received fields so far.
    pub fn hops(&self) -> usize {
        self.hops
    }

    /// Bytes of the header so far.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn has_overlong_field(&self) -> bool {
        self.overlong
    }

    /// A line, or the part of one that has come.
    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // Only the first byte of a line tells whether the field before it goes on (RFC 5322 section 2.2.3).
        let begins_line = self.field.len() == self.line;
        if begins_line && !matches!(piece.first(), Some(b' ' | b'\t')) {
            self.end_field(out);
        }
        if self.field.len() + piece.len() > SUBMIT_FIELD_BYTES_MAX {
            self.overlong = true;
            return;
        }
        self.field.extend_from_slice(piece);
        if !piece.ends_with(b"\n") {
            return;
        }
        if self.line == 0 && matches!(self.field.as_slice(), b"\r\n" | b"\n") {
            self.complete(out);
            out.extend_from_slice(b"\r\n");
            return;
        }
        self.line = self.field.len();
    }

    /// The field in `field` is whole.
    fn end_field(&mut self, out: &mut Vec<u8>) {
        let field = std::mem::take(&mut self.field);
        self.line = 0;
        let Some(colon) = field.iter().position(|byte| *byte == b':') else {
            out.extend_from_slice(&field);
            return;
        };
        let name = String::from_utf8_lossy(field[..colon].trim_ascii_end()).to_ascii_lowercase();
        if DROPPED.contains(&name.as_str()) {
            return;
        }
        match name.as_str() {
            "date" => self.has_date = true,
            "message-id" => self.has_message_id = true,
            "received" => self.hops += 1,
            "from" => self.authors.extend(authors(&field[colon + 1..])),
            _ => {}
        }
        out.extend_from_slice(&field);
    }

    fn complete(&mut self, out: &mut Vec<u8>) {
        self.complete = true;
        self.field = Vec::new();
        if !self.has_date {
            out.extend_from_slice(format!("Date: {}\r\n", self.completion.date).as_bytes());
        }
        if !self.has_message_id {
            out.extend_from_slice(format!("Message-ID: {}\r\n", self.completion.message_id).as_bytes());
        }
    }
}

fn authors(value: &[u8]) -> impl Iterator<Item = Mailbox> {
    address::mailboxes(value).into_iter().map(|mailbox| Mailbox {
        local: String::from_utf8_lossy(&mailbox.local).into_owned(),
        domain: String::from_utf8_lossy(&mailbox.domain).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (what passes, the authors), fed in pieces of `cut` bytes.
    fn rewritten(text: &[u8], cut: usize) -> (String, Vec<String>) {
        let completion = Completion { date: "DATE".into(), message_id: "<ID>".into() };
        let mut rewrite = Rewrite::new(completion);
        let mut out = Vec::new();
        for piece in text.chunks(cut) {
            let used = rewrite.feed(piece, &mut out);
            out.extend_from_slice(&piece[used..]);
        }
        rewrite.close(&mut out);
        let authors = rewrite.take_authors().iter().map(Mailbox::to_string).collect();
        (String::from_utf8(out).expect("text"), authors)
    }

    #[test]
    fn a_header_is_completed_however_it_is_cut() {
        for (text, wanted, authors) in [
            (
                "From: A <a@b.test>\r\nBcc: c@d.test,\r\n e@f.test\r\nTo: g@h.test\r\n\r\nBcc: body\r\n",
                "From: A <a@b.test>\r\nTo: g@h.test\r\nDate: DATE\r\nMessage-ID: <ID>\r\n\r\nBcc: body\r\n",
                vec!["a@b.test"],
            ),
            (
                "date: x\r\nMESSAGE-ID: y\r\nFrom: a@b.test,\r\n\tc@d.test\r\n\r\n",
                "date: x\r\nMESSAGE-ID: y\r\nFrom: a@b.test,\r\n\tc@d.test\r\n\r\n",
                vec!["a@b.test", "c@d.test"],
            ),
            ("From: a@b.test\r\n", "From: a@b.test\r\nDate: DATE\r\nMessage-ID: <ID>\r\n", vec!["a@b.test"]),
            ("", "Date: DATE\r\nMessage-ID: <ID>\r\n", vec![]),
            ("no field\r\n\r\nx", "no field\r\nDate: DATE\r\nMessage-ID: <ID>\r\n\r\nx", vec![]),
            (
                " folded first\r\nBcc : x\r\n\r\n",
                " folded first\r\nDate: DATE\r\nMessage-ID: <ID>\r\n\r\n",
                vec![],
            ),
        ] {
            for cut in 1..=text.len().max(1) {
                let (out, found) = rewritten(text.as_bytes(), cut);
                assert_eq!(out, wanted, "cut {cut}");
                assert_eq!(found, authors, "cut {cut}");
            }
        }
    }

    #[test]
    fn a_field_without_end_is_not_kept() {
        let completion = Completion { date: String::new(), message_id: String::new() };
        let mut rewrite = Rewrite::new(completion);
        let mut out = Vec::new();
        for _ in 0..100 {
            rewrite.feed(&[b'x'; 4_096], &mut out);
        }
        assert!(rewrite.has_overlong_field() && out.is_empty());
        assert!(rewrite.field.len() <= SUBMIT_FIELD_BYTES_MAX);
    }
}
