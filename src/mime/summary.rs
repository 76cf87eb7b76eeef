//! One pass over a message as it comes in, in pieces of any size and in bounded memory: what is kept is one header
//! section at a time, the start of a line that may be a boundary, and a few numbers for each part. What lies beyond
//! a limit is not looked into and stays the content of the part it is in. The way it is cut changes nothing.

use memchr::{memchr, memchr_iter, memmem};

use crate::base::limits::{
    BOUNDARY_BYTES_MAX, BOUNDARY_PADDING_MAX, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, PART_DEPTH_MAX, PARTS_MAX,
    STRUCTURE_BYTES_MAX,
};

use super::parts::{Kind, Part, PartMap};
use super::preview::Maker;
use super::transfer::Encoding;
use super::{SortFields, Summary, envelope, header, structure, wire};

/// Takes the bytes of one message and gives its `Summary`.
pub struct Summarizer {
    /// Bytes and line breaks dealt with.
    at: u64,
    lines: u64,
    /// The last byte dealt with.
    last: u8,
    /// The last line break was CR LF.
    crlf: bool,
    /// The next byte is the first of a line, or `line` is the start of one.
    at_line_start: bool,
    /// Start of a line that may be a boundary or the end of a header section: at most `LINE_BYTES_MAX`.
    line: Vec<u8>,
    /// The header section being read: at most `HEADER_BYTES_MAX`.
    header: Vec<u8>,
    in_header: bool,
    nodes: Vec<Node>,
    /// The entities that the next byte lies in, outermost first.
    open: Vec<Open>,
    /// Bytes described so far.
    described: usize,
    sort: SortFields,
    preview: Maker,
}

/// One entity with what its header said, in wire form.
struct Node {
    part: Part,
    /// Line breaks before its content.
    lines_before: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Of a message inside a message/rfc822 part, and of the message itself.
    envelope: Vec<u8>,
}

struct Open {
    node: usize,
    /// `None` for what is no multipart, and behind the closing boundary.
    boundary: Option<Vec<u8>>,
}

/// `--`, a boundary, `--`, padding and CR LF: a longer line is no boundary.
const LINE_BYTES_MAX: usize = BOUNDARY_BYTES_MAX + BOUNDARY_PADDING_MAX + 6;

/// What the start of a line turned out to be.
enum Line {
    Undecided,
    Plain,
    /// The blank line that ends a header section.
    Blank,
    /// A boundary of `open[level]`.
    Boundary {
        level: usize,
        closing: bool,
    },
}

impl Default for Summarizer {
    fn default() -> Summarizer {
        Summarizer::new()
    }
}

impl Summarizer {
    pub fn new() -> Summarizer {
        let mut summarizer = Summarizer {
            at: 0,
            lines: 0,
            last: b'\n',
            crlf: true,
            at_line_start: true,
            line: Vec::new(),
            header: Vec::new(),
            in_header: true,
            nodes: Vec::new(),
            open: Vec::new(),
            described: 0,
            sort: SortFields::default(),
            preview: Maker::default(),
        };
        summarizer.begin_entity();
        summarizer
    }

    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.at_line_start { self.line_start(bytes) } else { self.rest_of_lines(bytes) };
            bytes = &bytes[taken..];
        }
    }

    pub fn finish(mut self) -> Summary {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let what = self.look(&line, true);
            self.decided(what, &line);
        }
        self.end_header_here();
        let (end, lines) = (self.at, self.lines);
        self.close(0, end, lines);
        self.empty_multiparts();
        let mut out = Vec::with_capacity(self.described + 64);
        write_body(&self.nodes, 0, &mut out);
        let envelope = std::mem::take(&mut self.nodes[0].envelope);
        let parts = self.nodes.into_iter().map(|node| node.part).collect();
        let (parts, preview) = (PartMap::new(parts).encode(), self.preview.finish());
        Summary { envelope, structure: out, parts, sort: self.sort, preview }
    }

    /// Collects the start of a line until it is clear what it is. How many bytes it took.
    fn line_start(&mut self, bytes: &[u8]) -> usize {
        let first = *self.line.first().unwrap_or(&bytes[0]);
        let may_matter = match first {
            b'-' => self.open.iter().any(|open| open.boundary.is_some()),
            b'\r' | b'\n' => self.in_header,
            _ => false,
        };
        if !may_matter {
            self.at_line_start = false;
            return 0;
        }
        let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let taken = end.min(LINE_BYTES_MAX + 1 - self.line.len());
        self.line.extend_from_slice(&bytes[..taken]);
        let mut line = std::mem::take(&mut self.line);
        match self.look(&line, false) {
            Line::Undecided => self.line = line,
            what => {
                self.decided(what, &line);
                line.clear();
                self.line = line;
            }
        }
        taken
    }

    /// What this line is; `last` says that nothing follows it.
    fn look(&self, line: &[u8], last: bool) -> Line {
        let whole = last || line.ends_with(b"\n");
        match line {
            b"\n" | b"\r\n" if self.in_header => Line::Blank,
            b"\r" if self.in_header && !last => Line::Undecided,
            [b'-', b'-', rest @ ..] if whole => self.boundary(rest.trim_ascii_end()),
            b"-" if !last => Line::Undecided,
            [b'-', b'-', ..] if line.len() <= LINE_BYTES_MAX => Line::Undecided,
            _ => Line::Plain,
        }
    }

    /// The innermost open multipart whose boundary this is, `--` before it taken off. The whole line must be it.
    fn boundary(&self, text: &[u8]) -> Line {
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(rest) =
                open.boundary.as_ref().and_then(|boundary| text.strip_prefix(boundary.as_slice()))
            else {
                continue;
            };
            // Without room for one more, the part before it goes on.
            if rest == b"--" || (rest.is_empty() && self.has_room()) {
                return Line::Boundary { level, closing: !rest.is_empty() };
            }
        }
        Line::Plain
    }

    fn decided(&mut self, what: Line, line: &[u8]) {
        match what {
            Line::Undecided | Line::Plain => {
                self.collect(line);
                self.count(line);
            }
            Line::Blank => {
                self.count(line);
                self.end_header();
            }
            Line::Boundary { level, closing } => {
                self.end_header_here();
                let (end, lines) = self.before_line_break();
                self.close(level + 1, end, lines);
                self.count(line);
                if closing {
                    self.open[level].boundary = None;
                } else {
                    self.begin_entity();
                }
            }
        }
    }

    /// Takes everything up to a line that may matter, or all there is.
    fn rest_of_lines(&mut self, bytes: &[u8]) -> usize {
        let end = if self.in_header { header_lines(bytes) } else { body_lines(bytes) };
        let (taken, _) = bytes.split_at(end);
        self.collect(taken);
        self.count(taken);
        end
    }

    fn collect(&mut self, bytes: &[u8]) {
        if self.in_header {
            let room = HEADER_BYTES_MAX.saturating_sub(self.header.len());
            self.header.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else {
            self.preview.take(bytes);
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.at += bytes.len() as u64;
        self.lines += memchr_iter(b'\n', bytes).count() as u64;
        self.at_line_start = last == b'\n';
        if self.at_line_start {
            let before = if bytes.len() > 1 { bytes[bytes.len() - 2] } else { self.last };
            self.crlf = before == b'\r';
        }
        self.last = last;
    }

    /// Where the content before a boundary line ends, and its line breaks so far: the last one belongs to the boundary.
    fn before_line_break(&self) -> (u64, u64) {
        let width = if self.crlf { 2 } else { 1 };
        (self.at.saturating_sub(width), self.lines.saturating_sub(1))
    }

    fn begin_entity(&mut self) {
        let part = Part { header: self.at..self.at, depth: self.open.len() as u8, ..Part::default() };
        self.open.push(Open { node: self.nodes.len(), boundary: None });
        let (head, tail, envelope) = (Vec::new(), Vec::new(), Vec::new());
        self.nodes.push(Node { part, lines_before: 0, head, tail, envelope });
        self.header.clear();
        self.in_header = true;
        self.at_line_start = true;
    }

    /// A boundary came before the blank line: the header ends here, and so do those of messages that would begin.
    fn end_header_here(&mut self) {
        while self.in_header {
            self.end_header();
        }
    }

    /// The header section of the innermost entity is complete.
    fn end_header(&mut self) {
        self.in_header = false;
        let header = std::mem::take(&mut self.header);
        let Some(open) = self.open.last() else { return };
        let (index, depth) = (open.node, self.open.len());
        let is_message = index == 0 || self.nodes[index - 1].part.kind == Kind::Message;
        let in_digest = depth > 1 && self.nodes[self.open[depth - 2].node].part.media == "multipart/digest";
        let default = if in_digest && !is_message { "message/rfc822" } else { "text/plain" };
        let mut content = structure::Fields::default();
        let mut message = envelope::Fields::default();
        for field in header::fields(&header).take(HEADER_FIELDS_MAX) {
            content.take(&field);
            if is_message {
                message.take(&field);
            }
        }
        let node = &mut self.nodes[index];
        if is_message {
            node.envelope = structure::envelope(&message);
        }
        if index == 0 {
            self.sort = message.sort();
        }
        let described = content.describe(default);
        node.head = described.head;
        node.tail = described.tail;
        node.lines_before = self.lines;
        node.part.header.end = self.at;
        node.part.content = self.at..self.at;
        node.part.encoding = described.encoding;
        node.part.charset = described.charset;
        node.part.media = described.media;
        self.described += node.head.len() + node.tail.len() + node.envelope.len();
        self.header = header;
        self.header.clear();
        self.open_content(described.boundary);
    }

    /// Whether one more entity may be described.
    fn has_room(&self) -> bool {
        self.nodes.len() < PARTS_MAX && self.described < STRUCTURE_BYTES_MAX
    }

    /// What lies inside: parts, a message, or bytes.
    fn open_content(&mut self, boundary: Vec<u8>) {
        let has_room = self.has_room() && self.open.len() < PART_DEPTH_MAX;
        let Some(open) = self.open.last_mut() else { return };
        let node = &mut self.nodes[open.node];
        let is_message = structure::is_message(&node.part.media);
        if boundary.is_empty() && !is_message {
            let attached = memmem::find(&node.tail, b"(\"ATTACHMENT\"").is_some();
            return self.preview.begin(&node.part, attached);
        }
        if !has_room {
            node.part.media = "application/octet-stream".into();
            node.head = b"\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"8BIT\"".to_vec();
            node.tail = b"NIL NIL NIL NIL".to_vec();
        } else if is_message {
            node.part.kind = Kind::Message;
            node.part.encoding = Encoding::Identity;
            self.begin_entity();
        } else {
            node.part.kind = Kind::Multipart;
            node.part.encoding = Encoding::Identity;
            open.boundary = Some(boundary);
        }
    }

    /// Ends the entities from `level` on, where their content ends at `end` with `lines` line breaks before it. A
    /// boundary right behind a header takes the line break from it; what lies inside another entity stays inside.
    fn close(&mut self, level: usize, end: u64, lines: u64) {
        self.preview.end();
        let mut bound = None;
        for open in self.open.drain(level.min(self.open.len())..) {
            let node = &mut self.nodes[open.node];
            let part = &mut node.part;
            let end = *bound.get_or_insert(end.max(part.content.start));
            part.header = part.header.start.min(end)..part.header.end.min(end);
            part.content = part.content.start.min(end)..end;
            part.lines = lines.saturating_sub(node.lines_before);
        }
    }

    /// A multipart must have a part (RFC 9051 section 9, `body-type-mpart = 1*body`): an empty one where it has none.
    fn empty_multiparts(&mut self) {
        let mut index = 0;
        while index < self.nodes.len() {
            let part = &self.nodes[index].part;
            let depth = part.depth;
            let childless = self.nodes.get(index + 1).is_none_or(|next| next.part.depth <= depth);
            if part.kind == Kind::Multipart && childless {
                let end = part.content.end;
                let described = structure::Fields::default().describe("text/plain");
                let part = Part {
                    header: end..end,
                    content: end..end,
                    media: described.media,
                    depth: depth + 1,
                    ..Part::default()
                };
                let (head, tail) = (described.head, described.tail);
                self.nodes
                    .insert(index + 1, Node { part, lines_before: 0, head, tail, envelope: Vec::new() });
            }
            index += 1;
        }
    }
}

/// Up to the next line of a header section that may be its end or a boundary.
fn header_lines(bytes: &[u8]) -> usize {
    for at in memchr_iter(b'\n', bytes) {
        if matches!(bytes.get(at + 1), None | Some(b'\r' | b'\n' | b'-')) {
            return at + 1;
        }
    }
    bytes.len()
}

/// Up to the next line that may be a boundary.
fn body_lines(bytes: &[u8]) -> usize {
    let cut = if bytes.ends_with(b"\n-") { bytes.len() - 1 } else { bytes.len() };
    memmem::find(bytes, b"\n--").map_or(cut, |at| at + 1)
}

/// Writes the entity at `index` and those inside it; the index behind them.
fn write_body(nodes: &[Node], index: usize, out: &mut Vec<u8>) -> usize {
    let Some(node) = nodes.get(index) else { return index };
    let mut next = index + 1;
    out.push(b'(');
    match node.part.kind {
        Kind::Multipart => {
            while nodes.get(next).is_some_and(|inside| inside.part.depth > node.part.depth) {
                next = write_body(nodes, next, out);
            }
            out.push(b' ');
            out.extend_from_slice(&node.head);
        }
        Kind::Message | Kind::Leaf => {
            out.extend_from_slice(&node.head);
            out.push(b' ');
            wire::number(out, node.part.content.end - node.part.content.start);
            if let Some(inside) = nodes.get(next).filter(|_| node.part.kind == Kind::Message) {
                out.push(b' ');
                out.extend_from_slice(&inside.envelope);
                out.push(b' ');
                next = write_body(nodes, next, out);
            }
            if node.part.kind == Kind::Message || node.part.media.starts_with("text/") {
                out.push(b' ');
                wire::number(out, node.part.lines);
            }
            out.push(b' ');
            out.extend_from_slice(&node.tail);
        }
    }
    out.push(b')');
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(message: &[u8]) -> Summary {
        let mut summarizer = Summarizer::new();
        summarizer.feed(message);
        summarizer.finish()
    }

    fn structure(message: &str) -> String {
        String::from_utf8_lossy(&summary(message.as_bytes()).structure).into_owned()
    }

    #[test]
    fn structures() {
        let plain = |size: u64, lines: u64| {
            format!(
                r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" {size} {lines} NIL NIL NIL NIL)"#
            )
        };
        let mixed = |parts: &str| format!(r#"({parts} "MIXED" ("BOUNDARY" "b") NIL NIL NIL)"#);
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
        for (message, seen) in [
            (String::new(), plain(0, 0)),
            ("\r\n".into(), plain(0, 0)),
            ("A: b".into(), plain(0, 0)),
            ("A: b\n\nx\ny".into(), plain(3, 1)),
            (format!("{head}--b\r\n\r\nx\r\n--b--\r\n"), mixed(&plain(1, 0))),
            (
                format!("{head}pre\r\n--b\r\n\r\nx\r\n\r\n--b  \r\n\r\ny\n--b--"),
                mixed(&(plain(3, 1) + &plain(1, 0))),
            ),
            (format!("{head}--b\r\nX: y\r\n--b\r\n"), mixed(&(plain(0, 0) + &plain(0, 0)))),
            (format!("{head}no boundary"), mixed(&plain(0, 0))),
            (format!("{head}--b\r\n\r\nopen --b\r\n--bb\r\n--b-\r\n"), mixed(&plain(22, 3))),
            (format!("{head}--b--\r\n--b\r\n\r\nx"), mixed(&plain(0, 0))),
            (
                format!(
                    "{head}--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b\r\n\r\ny\r\n--c\r\n--b--"
                ),
                mixed(&(format!(r#"({} "X" ("BOUNDARY" "c") NIL NIL NIL)"#, plain(1, 0)) + &plain(6, 1))),
            ),
        ] {
            assert_eq!(structure(&message), seen, "{message:?}");
        }
    }

    #[test]
    fn a_message_inside_has_envelope_body_and_lines() {
        let message = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n\
            Subject: in\r\nFrom: a@b.test\r\n\r\none\r\ntwo\r\n--b--\r\n";
        let ann = r#"((NIL NIL "a" "b.test"))"#;
        let envelope = format!(r#"(NIL "in" {ann} {ann} {ann} NIL NIL NIL NIL NIL)"#);
        let text = r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 8 1 NIL NIL NIL NIL)"#;
        assert_eq!(
            structure(message),
            r#"(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 39 4 NIL NIL NIL NIL) "DIGEST" ("BOUNDARY" "b") NIL NIL NIL)"#
            .replace("39 4", &format!("39 {envelope} {text} 4"))
        );
        let map = PartMap::decode(&summary(message.as_bytes()).parts);
        use super::super::parts::Section::{Header, Text, Whole};
        let at = |path: &[u32], section| {
            let range = map.section(path, section).expect("it is there");
            &message[range.start as usize..range.end as usize]
        };
        assert_eq!(at(&[1], Header), "Subject: in\r\nFrom: a@b.test\r\n\r\n");
        assert_eq!(at(&[1], Text), "one\r\ntwo");
        assert_eq!(at(&[1, 1], Whole), "one\r\ntwo");
        assert_eq!(at(&[], Whole), message);
    }

    #[test]
    fn envelopes() {
        let message = "Date: Mon, 23 Nov 2026 21:09:54 +0000\r\nSubject: =?utf-8?q?K=C3=A4?=\r\n\tse \"x\"\r\n\
            From: \"Lee, Ann\" <Ann@example.org>\r\nReply-To: \r\nTo: all: b@c.test;\r\nCc: K\u{e4} <k@d.test>\r\n\
            In-Reply-To: <1@x>\r\nMessage-ID:\r\n <2@x>\r\nReferences: <0@x> <1@x>\r\n\r\n";
        let got = summary(message.as_bytes());
        let ann = r#"(("Lee, Ann" NIL "Ann" "example.org"))"#;
        let all = r#"((NIL NIL "all" NIL)(NIL NIL "b" "c.test")(NIL NIL NIL NIL))"#;
        let cc = r#"(("Kä" NIL "k" "d.test"))"#;
        let expected = format!(
            r#"("Mon, 23 Nov 2026 21:09:54 +0000" "=?utf-8?q?K=C3=A4?= se \"x\"" {ann} {ann} {ann} {all} {cc} NIL "<1@x>" "<2@x>")"#
        );
        assert_eq!(String::from_utf8_lossy(&got.envelope), expected);
        let sort = got.sort;
        assert_eq!(sort.sent, Some(1_795_468_194));
        assert_eq!(sort.subject, super::super::text::fold("Kä se \"x\""));
        assert_eq!((sort.from.as_str(), sort.to.as_str(), sort.cc.as_str()), ("ANN", "ALL", "K"));
        assert_eq!((sort.display_from.as_str(), sort.display_to.as_str()), ("Lee, Ann", "all"));
        assert_eq!((sort.message_id.as_str(), sort.references.as_str()), ("2@x", "0@x 1@x"));
    }

    #[test]
    fn limits_leave_bytes() {
        let many =
            "Content-Type: multipart/mixed; boundary=b\n\n".to_string() + &"--b\n\nx\n".repeat(300_000);
        let map = PartMap::decode(&summary(many.as_bytes()).parts);
        assert_eq!(map.parts().len(), PARTS_MAX);
        assert_eq!(map.parts().last().expect("parts").content.end, many.len() as u64);
        let deep: String = (0..10_000)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"))
            .collect();
        let map = PartMap::decode(&summary(deep.as_bytes()).parts);
        assert!(map.parts().len() <= PART_DEPTH_MAX);
        let messages = "Content-Type: message/rfc822\n\n".repeat(10_000);
        assert_eq!(PartMap::decode(&summary(messages.as_bytes()).parts).parts().len(), PART_DEPTH_MAX);
        let headers = "X: y\n".repeat(1_000_000) + "\nbody\n";
        let map = PartMap::decode(&summary(headers.as_bytes()).parts);
        assert_eq!(map.root().content, 5_000_001..5_000_006);
    }
}
