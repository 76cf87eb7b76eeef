//! What a search asks, and how one message is judged. The IMAP grammar makes programs; the reader thread runs them.

use crate::base::{ModSeq, UidSet, Wall};

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
    /// A header field contains this text, decoded and case-folded; empty means the field exists.
    Header(String, String),
    Body(String),
    Text(String),
    ModSeq(ModSeq),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}
