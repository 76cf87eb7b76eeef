//! Looking for texts in one message, in one pass over its body, slice by slice: neither the number of texts nor the size
//! of the message costs memory, and between two slices it can be put down and taken up again later.

use memchr::memmem;

use crate::base::limits;
use crate::mime::parts::{Kind, PartMap};
use crate::mime::text;

use super::StoreError;
use super::search::Message;

/// A pass over one message, as far as it has come.
pub struct Scan {
    map: PartMap,
    /// The part that is looked at, by its place in the map.
    part: usize,
    /// Its header has been looked at, and this is how far its content has.
    content: Option<(text::Extractor, u64)>,
    inside_message: bool,
    body: Finder,
    text: Finder,
}

/// Texts that are looked for at the cost of reading the bytes.
const TEXTS_FREE: u64 = 8;

impl Scan {
    /// `parts` is the message's map of parts; the texts are folded.
    pub fn new(parts: &[u8], body: &[String], text: &[String]) -> Scan {
        Scan {
            map: PartMap::decode(parts),
            part: 0,
            content: None,
            inside_message: false,
            body: Finder::new(body),
            text: Finder::new(text),
        }
    }

    /// For each text of BODY and of TEXT, whether it is there.
    pub fn found(self) -> (Vec<bool>, Vec<bool>) {
        (self.body.found, self.text.found)
    }

    /// Goes on for about `most` of work; true when it is through. Says what the work was. `first` is the first slice
    /// of the body, if it is at hand.
    pub fn run(
        &mut self,
        message: &mut dyn Message,
        first: Option<Vec<u8>>,
        most: u64,
    ) -> Result<(bool, u64), StoreError> {
        let mut slices = Slices { message, at: 0, bytes: first, read: 0 };
        let weight = 1 + (self.body.needles.len() + self.text.needles.len()) as u64 / TEXTS_FREE;
        while !(self.body.is_through() && self.text.is_through()) {
            if slices.read * weight > most {
                return Ok((false, slices.read * weight));
            }
            if !self.advance(&mut slices)? {
                break;
            }
        }
        Ok((true, slices.read * weight))
    }

    /// One header, or one slice of a content. False when there is nothing left.
    fn advance(&mut self, slices: &mut Slices<'_>) -> Result<bool, StoreError> {
        let Some(part) = self.map.parts().get(self.part) else { return Ok(false) };
        let Some((mut extractor, at)) = self.content.take() else {
            let section = slices.some(part.header.start, part.header.end)?;
            let said = text::fold(&text::of_header(&section));
            self.text.feed(&said);
            if self.inside_message {
                self.body.feed(&said);
            }
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
        let folded = text::fold(&said);
        self.body.feed(&folded);
        self.text.feed(&folded);
        Ok(true)
    }
}

pub fn contains(text: &str, needle: &str) -> bool {
    memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// The body, one slice of it in memory.
struct Slices<'a> {
    message: &'a mut dyn Message,
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
            let bytes = self.message.slice(slice)?;
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

/// Looks for several needles in one folded text that comes in pieces.
struct Finder {
    needles: Vec<String>,
    found: Vec<bool>,
    left: usize,
    /// The end of the text so far, in which the beginning of a needle may lie.
    held: String,
    longest: usize,
}

impl Finder {
    fn new(needles: &[String]) -> Finder {
        let found: Vec<bool> = needles.iter().map(String::is_empty).collect();
        let left = found.iter().filter(|found| !**found).count();
        let longest = needles.iter().map(String::len).max().unwrap_or(0);
        Finder { needles: needles.to_vec(), found, left, held: String::new(), longest }
    }

    fn is_through(&self) -> bool {
        self.left == 0
    }

    fn feed(&mut self, folded: &str) {
        if self.left == 0 || folded.is_empty() {
            return;
        }
        self.held.push_str(folded);
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            if !*found && contains(&self.held, needle) {
                *found = true;
                self.left -= 1;
            }
        }
        let mut from = self.held.len().saturating_sub(self.longest);
        while !self.held.is_char_boundary(from) {
            from -= 1;
        }
        self.held.drain(..from);
    }
}
