//! The table of commands: a row says where a command is allowed, what may be told when it ends, and how it is read.

use super::cmd;
use super::lex::{Parsed, Parser};
use super::server::Running;
use super::tell::Tell;

/// Whether a command speaks of messages by sequence number or by uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Seq,
    Uid,
}

/// The states of RFC 9051 section 3 in which a command is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Not authenticated.
    Before,
    /// Authenticated, with or without a selected mailbox.
    After,
    Selected,
}

pub struct Row {
    /// In capitals; the UID forms have their own rows.
    pub verb: &'static str,
    pub when: When,
    pub tell: Tell,
    /// Reads what follows the verb, the space included.
    pub parse: fn(&mut Parser<'_>) -> Parsed<Box<dyn Running>>,
}

const fn row(
    verb: &'static str,
    when: When,
    tell: Tell,
    parse: fn(&mut Parser<'_>) -> Parsed<Box<dyn Running>>,
) -> Row {
    Row { verb, when, tell, parse }
}

#[rustfmt::skip]
pub static COMMANDS: &[Row] = &[
    row("CAPABILITY",     When::Always,   Tell::All,       cmd::basic::capability),
    row("NOOP",           When::Always,   Tell::All,       cmd::basic::noop),
    row("LOGOUT",         When::Always,   Tell::Nothing,   cmd::basic::logout),
    row("ID",             When::Always,   Tell::All,       cmd::basic::id),
];

/// The row of the verb that comes next; `UID` takes the word behind it along.
pub fn find(p: &mut Parser<'_>) -> Option<&'static Row> {
    let verb = p.atom().ok()?;
    if !verb.eq_ignore_ascii_case("UID") {
        return COMMANDS.iter().find(|row| row.verb.eq_ignore_ascii_case(verb));
    }
    p.space().ok()?;
    let verb = p.atom().ok()?;
    let named =
        |row: &&Row| row.verb.strip_prefix("UID ").is_some_and(|known| known.eq_ignore_ascii_case(verb));
    COMMANDS.iter().find(named)
}
