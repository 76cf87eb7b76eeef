//! Where each part of a message lies: byte offsets of its header and content, so that FETCH BODY[2.1.MIME] is a
//! range of bytes and no parsing. Part numbers are those of RFC 9051 section 6.4.5.1.

use std::ops::Range;

use super::transfer::Encoding;

/// One MIME entity: the message itself, a part of a multipart, or the message inside a message/rfc822 part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub kind: Kind,
    /// Header section with its blank line.
    pub header: Range<u64>,
    /// Everything behind it, without the line break that belongs to the next boundary.
    pub content: Range<u64>,
    /// Line breaks in the content.
    pub lines: u64,
    pub encoding: Encoding,
    /// `text/plain`, in lower case.
    pub media: String,
    /// In lower case; empty where none is named.
    pub charset: String,
    /// How many entities this one lies in.
    pub depth: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Leaf,
    /// Its parts follow.
    Multipart,
    /// message/rfc822 or message/global: the message inside follows.
    Message,
}

impl Part {
    pub fn is_text(&self) -> bool {
        self.kind == Kind::Leaf && self.media.starts_with("text/")
    }
}

/// What of a part is meant (RFC 9051 section 6.4.5: `section-part ["." section-text]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// BODY[] and BODY[1.2].
    Whole,
    /// BODY[HEADER]; with a part number, of the message inside a message/rfc822 part.
    Header,
    /// BODY[TEXT]; likewise.
    Text,
    /// BODY[1.2.MIME]: the part's own header.
    Mime,
}

/// All entities of a message, each before those inside it. The first is the message itself; there always is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartMap {
    parts: Vec<Part>,
}

impl PartMap {
    /// `parts` in the order of the message, each with its depth.
    pub(super) fn new(parts: Vec<Part>) -> PartMap {
        debug_assert!(!parts.is_empty(), "a message is a part");
        PartMap { parts }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// The part of that number; the message itself for the empty one. A message that is no multipart has itself as
    /// part 1, and so has one inside a message/rfc822 part.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.index(path).map(|index| &self.parts[index])
    }

    /// The bytes of a section; `None` where the message has no such part, or the part no such section.
    pub fn section(&self, path: &[u32], section: Section) -> Option<Range<u64>> {
        let index = self.index(path)?;
        let part = &self.parts[index];
        let inside = if path.is_empty() { Some(part) } else { self.message_in(index) };
        match section {
            Section::Whole if path.is_empty() => Some(part.header.start..part.content.end),
            Section::Whole => Some(part.content.clone()),
            Section::Header => inside.map(|message| message.header.clone()),
            Section::Text => inside.map(|message| message.content.clone()),
            Section::Mime => (!path.is_empty()).then(|| part.header.clone()),
        }
    }

    fn index(&self, path: &[u32]) -> Option<usize> {
        let Some((&first, rest)) = path.split_first() else { return Some(0) };
        let mut at = self.numbered_in(0, first)?;
        for &number in rest {
            at = match self.parts[at].kind {
                Kind::Leaf => return None,
                Kind::Multipart => self.child(at, number)?,
                Kind::Message => self.numbered_in(self.child(at, 1)?, number)?,
            };
        }
        Some(at)
    }

    /// Part `number` of a message: a child where it is a multipart, else part 1 is the message's own content.
    fn numbered_in(&self, message: usize, number: u32) -> Option<usize> {
        if self.parts[message].kind == Kind::Multipart {
            return self.child(message, number);
        }
        (number == 1).then_some(message)
    }

    fn child(&self, parent: usize, number: u32) -> Option<usize> {
        let depth = self.parts[parent].depth;
        let inside =
            self.parts.iter().enumerate().skip(parent + 1).take_while(|(_, part)| part.depth > depth);
        let mut children = inside.filter(|(_, part)| part.depth == depth + 1);
        children.nth(usize::try_from(number).ok()?.checked_sub(1)?).map(|(index, _)| index)
    }

    fn message_in(&self, index: usize) -> Option<&Part> {
        if self.parts[index].kind != Kind::Message {
            return None;
        }
        self.child(index, 1).map(|inside| &self.parts[inside])
    }

    /// The compact form for the file: for each part its depth, kind and encoding, then numbers and names.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.parts.len() * 24);
        for part in &self.parts {
            out.push(part.depth);
            out.push(part.kind as u8 * 4 + part.encoding as u8);
            varint(&mut out, part.header.start);
            varint(&mut out, part.header.end.saturating_sub(part.header.start));
            varint(&mut out, part.content.end.saturating_sub(part.header.end));
            varint(&mut out, part.lines);
            for name in [&part.media, &part.charset] {
                let name = &name.as_bytes()[..name.len().min(NAME_BYTES_MAX)];
                varint(&mut out, name.len() as u64);
                out.extend_from_slice(name);
            }
        }
        out
    }

    /// Reads what `encode` wrote. Of broken bytes it reads the good start; of none it makes an empty message.
    pub fn decode(bytes: &[u8]) -> PartMap {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = bytes;
        while let Some(part) = decode_part(&mut rest) {
            let deepest = parts.last().map_or(0, |last| last.depth.saturating_add(1));
            if part.depth > deepest || (part.depth == 0 && !parts.is_empty()) {
                break;
            }
            parts.push(part);
        }
        if parts.is_empty() {
            parts.push(Part { media: "text/plain".into(), ..Part::default() });
        }
        PartMap { parts }
    }
}

/// No media type or charset that anybody knows is longer.
const NAME_BYTES_MAX: usize = 127;

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn read_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, tail) = rest.split_first()?;
    *rest = tail;
    Some(byte)
}

fn read_name(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(read_varint(rest)?).ok()?;
    let (name, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn decode_part(rest: &mut &[u8]) -> Option<Part> {
    let depth = read_byte(rest)?;
    let marks = read_byte(rest)?;
    let start = read_varint(rest)?;
    let header_end = start.checked_add(read_varint(rest)?)?;
    let end = header_end.checked_add(read_varint(rest)?)?;
    let kind = match marks / 4 {
        0 => Kind::Leaf,
        1 => Kind::Multipart,
        _ => Kind::Message,
    };
    let encoding = match marks % 4 {
        0 => Encoding::Identity,
        1 => Encoding::Base64,
        2 => Encoding::QuotedPrintable,
        _ => Encoding::Unknown,
    };
    Some(Part {
        kind,
        header: start..header_end,
        content: header_end..end,
        lines: read_varint(rest)?,
        encoding,
        media: read_name(rest)?,
        charset: read_name(rest)?,
        depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: Kind, depth: u8, at: u64) -> Part {
        Part {
            kind,
            depth,
            header: at..at + 2,
            content: at + 2..at + 9,
            media: "a/b".into(),
            ..Part::default()
        }
    }

    /// The example of RFC 9051 section 6.4.5.1: multipart/mixed with text, octets, a message and a multipart.
    fn example() -> PartMap {
        use Kind::{Leaf, Message, Multipart};
        let shape = [
            (Multipart, 0),
            (Leaf, 1),
            (Leaf, 1),
            (Message, 1),
            (Multipart, 2),
            (Leaf, 3),
            (Leaf, 3),
            (Multipart, 1),
            (Leaf, 2),
            (Message, 2),
            (Leaf, 3),
        ];
        let parts = shape.iter().enumerate();
        PartMap::new(parts.map(|(at, &(kind, depth))| part(kind, depth, at as u64 * 100)).collect())
    }

    #[test]
    fn part_numbers_follow_the_rfc() {
        use Section::{Header, Mime, Text, Whole};
        let map = example();
        for (path, section, start) in [
            (&[][..], Whole, Some(0)),
            (&[], Header, Some(0)),
            (&[], Text, Some(2)),
            (&[], Mime, None),
            (&[1], Whole, Some(102)),
            (&[1], Mime, Some(100)),
            (&[1], Header, None),
            (&[1, 1], Whole, None),
            (&[3], Whole, Some(302)),
            (&[3], Header, Some(400)),
            (&[3], Text, Some(402)),
            (&[3, 1], Whole, Some(502)),
            (&[3, 2], Mime, Some(600)),
            (&[3, 3], Whole, None),
            (&[4], Mime, Some(700)),
            (&[4, 2], Header, Some(1000)),
            (&[4, 2, 1], Whole, Some(1002)),
            (&[4, 2, 2], Whole, None),
            (&[0], Whole, None),
            (&[5], Whole, None),
        ] {
            let found = map.section(path, section).map(|range| range.start);
            assert_eq!(found, start, "{path:?} {section:?}");
        }
    }

    #[test]
    fn a_plain_message_is_its_own_part_one() {
        let map = PartMap::new(vec![part(Kind::Leaf, 0, 0)]);
        assert_eq!(map.section(&[1], Section::Whole), Some(2..9));
        assert_eq!(map.section(&[1], Section::Mime), Some(0..2));
        assert_eq!(map.section(&[2], Section::Whole), None);
        assert_eq!(map.section(&[1, 1], Section::Whole), None);
    }

    #[test]
    fn maps_go_there_and_back_and_broken_ones_give_something() {
        let map = example();
        let bytes = map.encode();
        assert_eq!(PartMap::decode(&bytes), map);
        for end in 0..bytes.len() {
            assert!(!PartMap::decode(&bytes[..end]).parts().is_empty());
        }
        PartMap::decode(&[0xff; 100]);
    }
}
