//! Object identifiers (RFC 8474): numbers of ours that are never given twice, each kind with a letter before it, so that
//! no two kinds share one and none looks like a number.

use crate::base::limits::OBJECT_ID_BYTES_MAX;
use crate::base::{BodyId, MailboxId, ThreadId, UidValidity};

use super::lex::{Bad, Parsed, Parser};

/// MAILBOXID stays with a mailbox that is renamed, and goes with its UIDVALIDITY (section 4).
pub fn mailbox(id: MailboxId, validity: UidValidity) -> String {
    format!("F{id}-{validity}")
}

/// EMAILID: messages of one body are copies of one another (section 5.1).
pub fn email(body: BodyId) -> String {
    format!("M{body}")
}

pub fn thread(thread: ThreadId) -> String {
    format!("T{thread}")
}

// objectid = 1*255(ALPHA / DIGIT / "_" / "-")                                                    RFC 8474 section 7
/// `None` for one that none of ours is.
pub fn number(p: &mut Parser<'_>, letter: char) -> Parsed<Option<i64>> {
    let id = p.atom()?;
    let fits = id.len() <= OBJECT_ID_BYTES_MAX;
    if !fits || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err(Bad("This is no object identifier"));
    }
    let number = id.strip_prefix(letter).and_then(|digits| digits.parse().ok());
    // They are compared as text: `M07` is not `M7`.
    Ok(number.filter(|number| format!("{letter}{number}") == id))
}
