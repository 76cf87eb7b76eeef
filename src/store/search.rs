//! What a search asks, and how one message is judged. The IMAP grammar makes programs; the reader thread runs them.

use crate::base::{ModSeq, Uid, UidSet, Wall};

use super::StoreError;

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

/// One message as a search sees it, without its bytes.
pub struct Candidate<'a> {
    pub uid: Uid,
    /// System flags as the asking account sees them.
    pub system: u8,
    pub keywords: &'a [String],
    pub modseq: ModSeq,
    pub size: u64,
    pub received: Wall,
    pub saved: Wall,
    /// The Date field in seconds since 1970 UTC.
    pub sent: Option<i64>,
}

/// Whether all keys of the program hold. `body` reads the whole message, and is called only if a key needs it.
pub fn judge(
    program: &Program,
    message: &Candidate<'_>,
    body: &mut dyn FnMut() -> Result<Vec<u8>, StoreError>,
) -> Result<bool, StoreError> {
    all(&program.keys, message, body)
}

fn all(
    keys: &[Key],
    message: &Candidate<'_>,
    body: &mut dyn FnMut() -> Result<Vec<u8>, StoreError>,
) -> Result<bool, StoreError> {
    for key in keys {
        if !holds(key, message, body)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(
    key: &Key,
    message: &Candidate<'_>,
    body: &mut dyn FnMut() -> Result<Vec<u8>, StoreError>,
) -> Result<bool, StoreError> {
    let within = |at: Wall, from: &Option<Wall>, to: &Option<Wall>| {
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
    };
    Ok(match key {
        Key::All => true,
        Key::Uids(uids) => uids.contains(message.uid.0),
        Key::Flag(bit, set) => (message.system & bit != 0) == *set,
        Key::Keyword(name, set) => {
            message.keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) == *set
        }
        Key::Larger(size) => message.size > *size,
        Key::Smaller(size) => message.size < *size,
        Key::Received(from, to) => within(message.received, from, to),
        Key::Saved(from, to) => within(message.saved, from, to),
        Key::Sent(from, to) => message.sent.is_some_and(|sent| {
            let day = sent.div_euclid(86_400);
            from.is_none_or(|from| day >= from) && to.is_none_or(|to| day < to)
        }),
        Key::ModSeq(modseq) => message.modseq >= *modseq,
        Key::Header(_, text) | Key::Body(text) | Key::Text(text) => {
            String::from_utf8_lossy(&body()?).to_lowercase().contains(text.as_str())
        }
        Key::Not(key) => !holds(key, message, body)?,
        Key::Or(one, other) => holds(one, message, body)? || holds(other, message, body)?,
        Key::And(keys) => all(keys, message, body)?,
    })
}
