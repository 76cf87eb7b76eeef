//! All that a message says, in one pass over its body, slice by slice: header sections and the text of its parts, in the
//! order of the message. Between two slices the pass can be put down and taken up again later, so that neither the size
//! of a message nor the number of its parts holds anybody up.
//!
//! What a search looks at and what the full-text index knows is told by this one walk, so that they cannot differ.

use crate::base::limits;
use crate::mime::parts::{Kind, PartMap};
use crate::mime::text;

use super::StoreError;

/// Who is told.
pub trait Listener {
    /// A header section as it stands in the message.
    fn header(&mut self, section: &[u8], whose: HeaderOf);
    /// Some text of a part, folded. It goes on with the next call, until a line break.
    fn text(&mut self, folded: &str);
    /// Nothing more needs to be told.
    fn is_through(&self) -> bool;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderOf {
    Message,
    /// A part's own: SEARCH TEXT looks at it, SEARCH BODY does not.
    Part,
    /// Of a message inside the message, which is part of what BODY looks at.
    Inside,
}

/// The slice of the body that begins at a multiple of `SLICE_BYTES`; empty behind its end.
pub type Fetch<'a> = &'a mut dyn FnMut(u64) -> Result<Vec<u8>, StoreError>;

/// A pass over one message, as far as it has come.
pub struct Walk {
    map: PartMap,
    /// The part that is looked at, by its place in the map.
    part: usize,
    /// Its header has been told, and this is how far its content has.
    content: Option<(text::Extractor, u64)>,
    inside_message: bool,
}

impl Walk {
    /// `parts` is the message's map of parts.
    pub fn new(parts: &[u8]) -> Walk {
        Walk { map: PartMap::decode(parts), part: 0, content: None, inside_message: false }
    }

    /// Goes on until about `most` bytes have been read; true when there is nothing left to tell. Says how many they
    /// were. `first` is the first slice of the body, if it is at hand.
    pub fn run(
        &mut self,
        fetch: Fetch<'_>,
        first: Option<Vec<u8>>,
        most: u64,
        to: &mut dyn Listener,
    ) -> Result<(bool, u64), StoreError> {
        let mut slices = Slices { fetch, at: 0, bytes: first, read: 0 };
        while !to.is_through() {
            if slices.read > most {
                return Ok((false, slices.read));
            }
            if !self.advance(&mut slices, to)? {
                break;
            }
        }
        Ok((true, slices.read))
    }

    /// One header, or one slice of a content. False when there is nothing left.
    fn advance(&mut self, slices: &mut Slices<'_>, to: &mut dyn Listener) -> Result<bool, StoreError> {
        let Some(part) = self.map.parts().get(self.part) else { return Ok(false) };
        let Some((mut extractor, at)) = self.content.take() else {
            let whose = match (self.part, self.inside_message) {
                (0, _) => HeaderOf::Message,
                (_, true) => HeaderOf::Inside,
                (_, false) => HeaderOf::Part,
            };
            to.header(&slices.some(part.header.start, part.header.end)?, whose);
            self.inside_message = part.kind == Kind::Message;
            self.content = Some((text::Extractor::new(part), part.content.start));
            return Ok(true);
        };
        let mut said = String::new();
        let bytes = match part.is_text() && at < part.content.end {
            true => slices.next(at, part.content.end)?,
            false => &[],
        };
        let count = bytes.len() as u64;
        if count > 0 {
            extractor.feed(bytes, &mut said);
            self.content = Some((extractor, at + count));
        } else {
            extractor.finish(&mut said);
            // No text goes on across the border of a part.
            said.push('\n');
            self.part += 1;
        }
        to.text(&text::fold(&said));
        Ok(true)
    }
}

/// The body, one slice of it in memory.
struct Slices<'a> {
    fetch: Fetch<'a>,
    /// Where `bytes` begins.
    at: u64,
    /// `None` before the first one is there.
    bytes: Option<Vec<u8>>,
    read: u64,
}

impl Slices<'_> {
    /// The bytes from `at` on, as many as one slice gives, none at or behind `end`.
    fn next(&mut self, at: u64, end: u64) -> Result<&[u8], StoreError> {
        let slice = at / limits::SLICE_BYTES as u64 * limits::SLICE_BYTES as u64;
        if slice != self.at || self.bytes.is_none() {
            let bytes = (self.fetch)(slice)?;
            self.at = slice;
            self.read += bytes.len() as u64;
            self.bytes = Some(bytes);
        }
        let bytes = self.bytes.as_deref().unwrap_or_default();
        let from = usize::try_from(at - slice).unwrap_or(usize::MAX).min(bytes.len());
        let to = usize::try_from(end.saturating_sub(slice)).unwrap_or(usize::MAX).clamp(from, bytes.len());
        Ok(&bytes[from..to])
    }

    /// The bytes of a header section, as many of them as are looked at.
    fn some(&mut self, start: u64, end: u64) -> Result<Vec<u8>, StoreError> {
        let end = end.min(start.saturating_add(limits::HEADER_BYTES_MAX as u64));
        let mut section = Vec::new();
        let mut at = start;
        while at < end {
            let bytes = self.next(at, end)?;
            if bytes.is_empty() {
                break;
            }
            section.extend_from_slice(bytes);
            at += bytes.len() as u64;
        }
        Ok(section)
    }
}
