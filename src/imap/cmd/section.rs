//! From a section that a client names to bytes of the stored body (RFC 9051 section 6.4.5.1), by the part map made at
//! delivery. Nothing here reads or parses mail.

use crate::mime::parts::{self, PartMap};
use crate::mime::transfer::Encoding;

use super::filter::FieldFilter;
use super::piece::{Change, Extent};
use crate::imap::fetch_args::{BytesItem, Form, SectionText};

/// What became of looking for a section.
#[derive(Debug)]
pub enum Found {
    Here(Extent),
    /// The message has no such part: NIL.
    Nowhere,
    /// Nobody knows how to decode it: `NO [UNKNOWN-CTE]` (RFC 9051 section 7.5.2).
    UnknownEncoding,
}

/// Whether the section can be found without the part map.
pub fn is_whole(item: &BytesItem) -> bool {
    item.section.part.is_empty() && item.section.text == SectionText::Whole
}

/// All of a message of `size` bytes.
pub fn whole(size: u64) -> Found {
    Found::Here(Extent { bytes: 0..size, change: Change::Same })
}

/// Where `item` lies in a message of `size` bytes with these parts.
pub fn find(item: &BytesItem, map: &PartMap, size: u64) -> Found {
    if is_whole(item) {
        return whole(size);
    }
    let section = match item.section.text {
        SectionText::Whole => parts::Section::Whole,
        SectionText::Header | SectionText::Fields { .. } => parts::Section::Header,
        SectionText::Text => parts::Section::Text,
        SectionText::Mime => parts::Section::Mime,
    };
    let Some(range) = map.section(&item.section.part, section) else { return Found::Nowhere };
    let bytes = range.start.min(size)..range.end.min(size);
    let change = match (&item.section.text, item.form) {
        (SectionText::Fields { names, keep_named }, _) => {
            Change::Fields(FieldFilter::new(names, *keep_named))
        }
        (_, Form::AsIs) => Change::Same,
        (_, Form::Decoded | Form::DecodedSize) => match decoding(item, map) {
            Some(change) => change,
            None => return Found::UnknownEncoding,
        },
    };
    Found::Here(Extent { bytes, change })
}

fn decoding(item: &BytesItem, map: &PartMap) -> Option<Change> {
    let part = map.part(&item.section.part)?;
    match (part.encoding, part.is_text()) {
        (Encoding::Unknown, _) => None,
        (Encoding::Identity, false) => Some(Change::Same),
        (encoding, text) => Some(Change::Decode { encoding, text }),
    }
}
