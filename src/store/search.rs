//! What a search asks, and of whom. The IMAP grammar makes programs, `Judge` judges one message by them, and the reader
//! thread does so for a mailbox.

use std::sync::Arc;

use crate::base::{BodyId, ModSeq, ThreadId, Uid, UidSet, Wall};

use super::{EnvelopeField, Flags, StoreError};

pub use super::judge::Judge;

/// All keys must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub keys: Vec<Key>,
}

/// One search key with everything relative already resolved: sequence numbers are uids, dates are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    All,
    Uids(UidSet),
    /// A system flag bit is set or not.
    Flag(u8, bool),
    Keyword(String, bool),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE in `from..to`, either end open.
    Received(Option<Wall>, Option<Wall>),
    /// The Date field's day in `from..to`, in days since 1970 as written, disregarding time and zone.
    Sent(Option<i64>, Option<i64>),
    /// Date of saving in `from..to` (RFC 8514).
    Saved(Option<Wall>, Option<Wall>),
    /// A field of the envelope contains this text, decoded and case-folded, as ENVELOPE shows it or as the header field
    /// has it; empty means that the field exists.
    Envelope(EnvelopeField, String),
    /// A header field contains this text, decoded and case-folded; empty means the field exists.
    Header(String, String),
    Body(String),
    Text(String),
    /// Copies of this body, and messages of this thread (RFC 8474 section 6).
    Email(BodyId),
    Thread(ThreadId),
    /// Changed at or after this modseq (RFC 7162 section 3.1.5).
    ModSeq(ModSeq),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

impl Key {
    /// Whether a view alone can judge it: uid, flags, modseq and keywords.
    pub fn is_of_view(&self) -> bool {
        match self {
            Key::All | Key::Uids(_) | Key::Flag(..) | Key::Keyword(..) | Key::ModSeq(_) => true,
            Key::Not(key) => key.is_of_view(),
            Key::Or(a, b) => a.is_of_view() && b.is_of_view(),
            Key::And(keys) => keys.iter().all(Key::is_of_view),
            _ => false,
        }
    }
}

impl Program {
    /// The only uids that can match, if the program names them: the others need not be looked at.
    pub fn within(&self) -> Option<&UidSet> {
        self.keys.iter().find_map(|key| if let Key::Uids(uids) = key { Some(uids) } else { None })
    }
}

/// What a judge may ask about one message; each question costs more than the one before it.
pub trait Message {
    fn uid(&self) -> Uid;
    fn flags(&self) -> Flags;
    fn modseq(&self) -> ModSeq;
    /// The names of its keywords.
    fn keywords(&mut self) -> Result<Arc<[String]>, StoreError>;
    fn size(&self) -> u64;
    fn received(&self) -> Wall;
    fn saved(&self) -> Wall;
    fn body(&self) -> BodyId;
    fn thread(&self) -> ThreadId;
    /// ENVELOPE in wire form.
    fn envelope(&mut self) -> Result<Vec<u8>, StoreError>;
    /// `mime::PartMap` in its compact form.
    fn parts(&mut self) -> Result<Vec<u8>, StoreError>;
    /// The slice of the body that begins at `at`, a multiple of `SLICE_BYTES`; empty behind its end.
    fn slice(&mut self, at: u64) -> Result<Vec<u8>, StoreError>;
}
