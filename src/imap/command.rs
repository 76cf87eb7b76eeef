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
    row("CAPABILITY",    When::Always,    Tell::All,       cmd::basic::capability),
    row("NOOP",          When::Always,    Tell::All,       cmd::basic::noop),
    row("LOGOUT",        When::Always,    Tell::Nothing,   cmd::basic::logout),
    row("ID",            When::Always,    Tell::All,       cmd::basic::id),
    row("STARTTLS",      When::Before,    Tell::Nothing,   cmd::login::starttls),
    row("LOGIN",         When::Before,    Tell::Nothing,   cmd::login::login),
    row("AUTHENTICATE",  When::Before,    Tell::Nothing,   cmd::login::authenticate),
    row("ENABLE",        When::After,     Tell::All,       cmd::basic::enable),
    row("COMPRESS",      When::After,     Tell::Nothing,   cmd::compress::compress),
    row("NAMESPACE",     When::After,     Tell::All,       cmd::basic::namespace),
    row("SELECT",        When::After,     Tell::Nothing,   cmd::select::select),
    row("EXAMINE",       When::After,     Tell::Nothing,   cmd::select::examine),
    row("CREATE",        When::After,     Tell::All,       cmd::mailbox::create),
    row("DELETE",        When::After,     Tell::All,       cmd::mailbox::delete),
    row("RENAME",        When::After,     Tell::All,       cmd::mailbox::rename),
    row("SUBSCRIBE",     When::After,     Tell::All,       cmd::mailbox::subscribe),
    row("UNSUBSCRIBE",   When::After,     Tell::All,       cmd::mailbox::unsubscribe),
    row("LIST",          When::After,     Tell::All,       cmd::list::list),
    row("LSUB",          When::After,     Tell::All,       cmd::list::lsub),
    row("XLIST",         When::After,     Tell::All,       cmd::list::xlist),
    row("STATUS",        When::After,     Tell::All,       cmd::status::status),
    row("GETQUOTA",      When::After,     Tell::All,       cmd::quota::get_quota),
    row("GETQUOTAROOT",  When::After,     Tell::All,       cmd::quota::get_quota_root),
    row("SETQUOTA",      When::After,     Tell::All,       cmd::quota::set_quota),
    row("APPEND",        When::After,     Tell::All,       cmd::append::without_message),
    row("IDLE",          When::After,     Tell::All,       cmd::idle::idle),
    row("CHECK",         When::Selected,  Tell::All,       cmd::basic::noop),
    row("CLOSE",         When::Selected,  Tell::Nothing,   cmd::select::close),
    row("UNSELECT",      When::Selected,  Tell::Nothing,   cmd::select::unselect),
    row("EXPUNGE",       When::Selected,  Tell::All,       cmd::expunge::expunge),
    row("UID EXPUNGE",   When::Selected,  Tell::All,       cmd::expunge::uid_expunge),
    row("STORE",         When::Selected,  Tell::NoExpunge, |p| cmd::store::store(p, By::Seq)),
    row("UID STORE",     When::Selected,  Tell::All,       |p| cmd::store::store(p, By::Uid)),
    row("COPY",          When::Selected,  Tell::All,       |p| cmd::copy::copy(p, By::Seq)),
    row("UID COPY",      When::Selected,  Tell::All,       |p| cmd::copy::copy(p, By::Uid)),
    row("MOVE",          When::Selected,  Tell::All,       |p| cmd::copy::moving(p, By::Seq)),
    row("UID MOVE",      When::Selected,  Tell::All,       |p| cmd::copy::moving(p, By::Uid)),
    row("FETCH",         When::Selected,  Tell::NoExpunge, |p| cmd::fetch::fetch(p, By::Seq)),
    row("UID FETCH",     When::Selected,  Tell::All,       |p| cmd::fetch::fetch(p, By::Uid)),
    row("SEARCH",        When::Selected,  Tell::NoExpunge, |p| cmd::search::search(p, By::Seq)),
    row("UID SEARCH",    When::Selected,  Tell::All,       |p| cmd::search::search(p, By::Uid)),
    row("SORT",          When::Selected,  Tell::NoExpunge, |p| cmd::sort::sort(p, By::Seq)),
    row("UID SORT",      When::Selected,  Tell::All,       |p| cmd::sort::sort(p, By::Uid)),
    row("THREAD",        When::Selected,  Tell::NoExpunge, |p| cmd::thread::thread(p, By::Seq)),
    row("UID THREAD",    When::Selected,  Tell::All,       |p| cmd::thread::thread(p, By::Uid)),
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
