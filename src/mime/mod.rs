//! Floor 1: the message format. Pure functions over bytes; nothing here fails on any input: what cannot be parsed is
//! described as well as it can be, and the bytes are never changed.
//!
//! | document | done | |
//! |---|---|---|
//! | RFC 5322 messages | done | with the obsolete forms; lines that are no fields are skipped |
//! | RFC 2045, 2046 MIME | done | parts within `PARTS_MAX` and `PART_DEPTH_MAX`; a multipart without boundary is text |
//! | RFC 2047 encoded words | done | read leniently, written strictly |
//! | RFC 2183 disposition, RFC 2231 parameters | done | continuations joined |
//! | RFC 9051 ENVELOPE, BODYSTRUCTURE | done | 7-bit; text that is not ASCII is encoded words or `name*` |
//! | RFC 6532 UTF-8 headers | done | read; message/global is opened like message/rfc822 |
//! | RFC 8970 previews | done | from the first text part that says something |
//! | RFC 5256 base subject, RFC 5957 display | done | for SORT and THREAD |
//! | RFC 5051 i;unicode-casemap | partly | decompositions of the scripts named in `fold`, not of all Unicode |

pub mod address;
pub mod charset;
pub mod compose;
pub mod date;
mod envelope;
mod fold;
pub mod header;
mod html;
pub mod params;
pub mod parts;
mod preview;
pub mod structure;
pub mod summary;
pub mod text;
pub mod thread;
pub mod transfer;
pub mod wire;
pub mod words;

pub use parts::{Kind, Part, PartMap, Section};
pub use summary::Summarizer;

/// What the store keeps beside a body so that no FETCH, SORT or THREAD parses MIME again. Derived: can be rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// ENVELOPE in IMAP wire form with its parentheses (RFC 9051 section 7.5.2), 7-bit, without literals.
    pub envelope: Vec<u8>,
    /// Extensible BODYSTRUCTURE in IMAP wire form with its parentheses.
    pub structure: Vec<u8>,
    /// Where each part's header and content lie: `mime::PartMap` in its compact form.
    pub parts: Vec<u8>,
    pub sort: SortFields,
    /// What FETCH PREVIEW tells (RFC 8970): plain text; empty where the message says nothing in words.
    pub preview: String,
}

/// The fields that SORT, THREAD and sent-date searches need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortFields {
    /// The Date field in seconds since 1970 UTC; `None` where it is absent or unreadable.
    pub sent: Option<i64>,
    /// Base subject, decoded and case-folded (RFC 5256 section 2.1).
    pub subject: String,
    /// Local part of the first From / To / Cc address, case-folded (RFC 5256 section 3).
    pub from: String,
    pub to: String,
    pub cc: String,
    /// Display form of the first From / To address (RFC 5957).
    pub display_from: String,
    pub display_to: String,
    /// Message-ID without brackets; empty where there is none.
    pub message_id: String,
    /// Message-IDs of References, or else the first of In-Reply-To, without brackets, space-separated, bounded.
    pub references: String,
}
