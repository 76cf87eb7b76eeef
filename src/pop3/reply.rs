//! Every reply that a POP3 client can get: `+OK` or `-ERR`, perhaps a response code (RFC 2449 section 8, RFC 3206), and
//! one sentence that says what to do. One function each, so that the wording of the whole server can be read here.
//! No first line comes near the 512 octets of RFC 2449 section 4, since nothing a client said is repeated.

use std::borrow::Cow;

use crate::base::Output;
use crate::store::{Refused, StoreError};

use super::grammar::Bad;

/// The first line of a response, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub ok: bool,
    /// With its brackets and the space behind it, or empty.
    code: &'static str,
    text: Cow<'static, str>,
}

impl Reply {
    pub fn send(&self, output: &mut Output) {
        let status = if self.ok { "+OK" } else { "-ERR" };
        let gap = if self.text.is_empty() { "" } else { " " };
        output.str(&format!("{status}{gap}{}{}\r\n", self.code, self.text));
    }
}

fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
    Reply { ok: true, code: "", text: text.into() }
}

fn err(code: &'static str, text: impl Into<Cow<'static, str>>) -> Reply {
    Reply { ok: false, code, text: text.into() }
}

/// A problem that is likely to go by itself (RFC 3206 section 4).
const TEMP: &str = "[SYS/TEMP] ";
/// A problem that a person must look at.
const PERM: &str = "[SYS/PERM] ";

// --- greeting, goodbye ---

pub fn greeting() -> Reply {
    ok("pillarbox is ready")
}

pub fn goodbye() -> Reply {
    ok("Goodbye")
}

pub fn shutting_down() -> Reply {
    err(TEMP, "The server is shutting down, please try again in a minute")
}

pub fn too_many_errors() -> Reply {
    err("", "Too many commands that are none, goodbye")
}

pub fn removed(count: u64) -> Reply {
    match count {
        0 => goodbye(),
        1 => ok("Goodbye, 1 message is deleted"),
        count => ok(format!("Goodbye, {count} messages are deleted")),
    }
}

/// RFC 1939 section 6: some deleted messages not removed.
pub fn not_removed(refused: &Refused) -> Reply {
    match refused {
        Refused::NoMailbox | Refused::NoAccount => {
            err(PERM, "The maildrop is gone, nothing more was deleted")
        }
        _ => err(TEMP, "Some deleted messages were not removed, please delete them again"),
    }
}

// --- what is not understood ---

pub fn unknown_command() -> Reply {
    err("", "This command is not known here, CAPA lists what is")
}

pub fn apop() -> Reply {
    err("", "APOP is not offered: use USER and PASS, or AUTH, under TLS")
}

pub fn line_too_long() -> Reply {
    err("", "The line is too long")
}

pub fn bad(bad: Bad) -> Reply {
    err("", bad.0)
}

pub fn log_in_first() -> Reply {
    err("", "Log in first")
}

pub fn already_logged_in() -> Reply {
    err("", "You are logged in already")
}

// --- encryption, logging in ---

pub fn begin_tls() -> Reply {
    ok("Begin TLS now")
}

pub fn already_encrypted() -> Reply {
    err("", "This connection is encrypted already")
}

pub fn tls_after_utf8() -> Reply {
    err("", "STLS comes before UTF8")
}

pub fn no_certificate() -> Reply {
    err(TEMP, "There is no certificate to encrypt with")
}

/// Not `[AUTH]`: nothing is wrong with the password, and the client need not ask for another.
pub fn need_tls() -> Reply {
    err(PERM, "Passwords are only taken under TLS: use STLS first, or the port for POP3 with TLS")
}

/// The same for every name (RFC 1939 section 13).
pub fn password_next() -> Reply {
    ok("Now the password")
}

pub fn user_first() -> Reply {
    err("", "PASS comes right after USER")
}

/// The name or password cannot be one. RFC 3206 section 6: whatever is wrong with what was said is `[AUTH]`.
pub fn cannot_be(why: &'static str) -> Reply {
    err("[AUTH] ", why)
}

/// Wrong user, wrong password and wrong scope look the same.
pub fn wrong_password() -> Reply {
    err("[AUTH] ", "User or password is not right")
}

pub fn too_many_logins() -> Reply {
    err("[AUTH] ", "User or password is not right, and this was the last try here")
}

pub fn logins_busy() -> Reply {
    err(TEMP, "Too many people log in at once, please try again in a moment")
}

pub fn in_use() -> Reply {
    err("[IN-USE] ", "Another program has this maildrop open, please try again in a moment")
}

pub fn unknown_mechanism() -> Reply {
    err("", "This mechanism is not offered")
}

pub fn cancelled() -> Reply {
    err("", "The login is called off")
}

pub fn malformed(why: &'static str) -> Reply {
    err("", why)
}

/// RFC 5034 section 4. The space behind `+` is there even where nothing follows.
pub fn challenge(output: &mut Output, text: &str) {
    output.str(&format!("+ {text}\r\n"));
}

pub fn opened(messages: u64, octets: u64) -> Reply {
    counted(messages, octets)
}

// --- the maildrop ---

fn counted(messages: u64, octets: u64) -> Reply {
    let plural = if messages == 1 { "" } else { "s" };
    ok(format!("{messages} message{plural} ({octets} octets)"))
}

pub fn stat(messages: u64, octets: u64) -> Reply {
    ok(format!("{messages} {octets}"))
}

pub fn listing(messages: u64, octets: u64) -> Reply {
    counted(messages, octets)
}

pub fn ids() -> Reply {
    ok("Unique ids follow")
}

/// What a listing of one message says: a line of the long listing.
pub fn one(row: &str) -> Reply {
    ok(row.to_owned())
}

pub fn message(octets: u32) -> Reply {
    ok(format!("{octets} octets"))
}

pub fn top() -> Reply {
    ok("The top of the message follows")
}

pub fn marked() -> Reply {
    ok("Deleted at QUIT")
}

pub fn reset(messages: u64, octets: u64) -> Reply {
    counted(messages, octets)
}

pub fn nothing_done() -> Reply {
    ok("Nothing done")
}

pub fn no_such_message(messages: u32) -> Reply {
    match messages {
        0 => err("", "There is no such message, the maildrop is empty"),
        count => err("", format!("There is no such message, the last one is {count}")),
    }
}

pub fn marked_already() -> Reply {
    err("", "This message is deleted already, RSET brings it back")
}

/// Another program has expunged or moved it since this one logged in.
pub fn gone() -> Reply {
    err("", "This message has been removed by another program meanwhile")
}

pub fn read_only() -> Reply {
    err("", "This password may only read")
}

// --- options ---

pub fn capabilities() -> Reply {
    ok("Capabilities follow")
}

pub fn utf8_on() -> Reply {
    ok("UTF-8 it is")
}

pub fn languages() -> Reply {
    ok("Languages follow")
}

/// RFC 6856 section 3.2: the tag, then words.
pub fn english() -> Reply {
    ok("en English it is")
}

pub fn no_such_language() -> Reply {
    err("", "There is only English here")
}

// --- our own trouble ---

/// The store or the disk failed: logged here, once.
pub fn broken(error: &StoreError) -> Reply {
    log::error!("POP3 cannot read the store: {error}");
    unreadable()
}

pub fn unreadable() -> Reply {
    err(TEMP, "The file cannot be read now, please try again later")
}

pub fn no_maildrop() -> Reply {
    err(PERM, "There is no INBOX here")
}
