//! Tagged and untagged status responses: one function for each, with its code of RFC 9051 section 7.1 or RFC 5530 and
//! one sentence. None says more about what exists than the client may know.

use std::borrow::Cow;

use crate::base::Output;
use crate::store::{Refused, Resource, StoreError};

use super::lex::Bad;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    Bad,
    Bye,
}

/// What stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    None,
    Text(Cow<'static, str>),
    /// `HIGHESTMODSEQ` with what the client has been told by then, which is known only when the reply is written.
    HighestModseq,
    /// `CAPABILITY` with what holds at that moment.
    Capability,
}

/// One status response without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: Status,
    pub code: Code,
    pub text: Cow<'static, str>,
}

impl Reply {
    pub fn new(status: Status, code: &'static str, text: &'static str) -> Reply {
        let code = if code.is_empty() { Code::None } else { Code::Text(code.into()) };
        Reply { status, code, text: text.into() }
    }

    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Reply {
        self.code = Code::Text(code.into());
        self
    }

    /// Writes the response; `code` is what `self.code` comes to.
    pub fn write(&self, out: &mut Output, tag: &str, code: Option<&str>) {
        out.str(tag);
        out.str(match self.status {
            Status::Ok => " OK ",
            Status::No => " NO ",
            Status::Bad => " BAD ",
            Status::Bye => " BYE ",
        });
        if let Some(code) = code {
            out.push(b"[");
            out.str(code);
            out.push(b"] ");
        }
        out.str(&self.text);
        out.push(b"\r\n");
    }
}

pub fn ok(text: &'static str) -> Reply {
    Reply::new(Status::Ok, "", text)
}

pub fn no(code: &'static str, text: &'static str) -> Reply {
    Reply::new(Status::No, code, text)
}

pub fn bad(why: Bad) -> Reply {
    Reply::new(Status::Bad, "", why.0)
}

fn bye(code: &'static str, text: &'static str) -> Reply {
    Reply::new(Status::Bye, code, text)
}

pub fn unknown_command() -> Reply {
    bad(Bad("This command does not exist"))
}

pub fn wrong_state(needed: &'static str) -> Reply {
    bad(Bad(needed))
}

pub fn too_many_errors() -> Reply {
    bye("", "Too many commands that are not understood")
}

pub fn timeout() -> Reply {
    bye("", "Nothing was said for too long")
}

pub fn shutting_down() -> Reply {
    bye("UNAVAILABLE", "The server is restarting, please connect again")
}

pub fn garbled() -> Reply {
    bye("", "What came is no DEFLATE, or far more than it should be")
}

pub fn mailbox_gone() -> Reply {
    bye("", "The selected mailbox has been deleted")
}

/// The expunged rows that this session's sequence numbers count on are no longer kept.
pub fn lost_track() -> Reply {
    bye("", "This mailbox has changed too much meanwhile, please connect again")
}

pub fn literal_too_big() -> Reply {
    bad(Bad("This literal is too long for a command"))
}

pub fn literal_hopeless() -> Reply {
    bye("TOOBIG", "A literal of that size is not read to its end")
}

pub fn message_too_big() -> Reply {
    no("TOOBIG", "The message is larger than this server takes")
}

pub fn empty_message() -> Reply {
    no("CANNOT", "A message of no bytes is not stored")
}

pub fn no_binary() -> Reply {
    no("UNKNOWN-CTE", "A message with binary content is not stored here, send it with an encoding")
}

pub fn busy() -> Reply {
    no("UNAVAILABLE", "The server has too much to write just now, please try again in a moment")
}

pub fn line_too_long() -> Reply {
    bad(Bad("This command is too long"))
}

pub fn line_hopeless() -> Reply {
    bye("", "A line of that length is not read to its end")
}

pub fn need_tls() -> Reply {
    no("PRIVACYREQUIRED", "Log in after STARTTLS, so that nobody reads the password on the way")
}

pub fn not_selected() -> Reply {
    bad(Bad("SELECT a mailbox first"))
}

pub fn no_mailbox() -> Reply {
    no("NONEXISTENT", "There is no such mailbox")
}

/// For APPEND, COPY and MOVE: the client may CREATE it and try again.
pub fn try_create() -> Reply {
    no("TRYCREATE", "There is no such mailbox, but it can be created")
}

pub fn read_only() -> Reply {
    no("NOPERM", "This mailbox was opened for reading only")
}

pub fn scope_read_only() -> Reply {
    no("NOPERM", "This password is for reading only")
}

pub fn expunge_issued() -> Reply {
    no("EXPUNGEISSUED", "Some of these messages have been expunged and are no longer kept")
}

pub fn too_many_references() -> Reply {
    no(
        "LIMIT",
        "This mailbox refers to too many messages to be threaded; sort it by SUBJECT and DATE instead",
    )
}

pub fn broken() -> Reply {
    no("SERVERBUG", "The server could not read its file; its log says why")
}

pub fn disk_full() -> Reply {
    no("LIMIT", "The server's disk is full; deleting still works")
}

/// An error of ours: logged here, once, and told without details.
pub fn store_error(error: &StoreError) -> Reply {
    log::error!("IMAP: {error}");
    match error {
        StoreError::Full => disk_full(),
        _ => broken(),
    }
}

/// RFC 9208 section 4.3.1, and RFC 5530 for what makes a mailbox.
pub fn over_quota(resource: Resource) -> Reply {
    match resource {
        Resource::Storage => no("OVERQUOTA", "The account is full; delete something and try again"),
        Resource::Message => {
            no("OVERQUOTA", "The account may hold no more messages; delete some and try again")
        }
        Resource::Mailbox => {
            no("OVERQUOTA", "The account may have no more mailboxes; delete one and try again")
        }
    }
}

pub fn no_quota_root() -> Reply {
    no("NONEXISTENT", "There is no such quota root; the one that there is is called \"\"")
}

pub fn no_such_resource() -> Reply {
    no("CANNOT", "Only STORAGE, MESSAGE and MAILBOX have limits here")
}

pub fn quota_of_owner() -> Reply {
    no("NOPERM", "The owner of this server allows less than that, as told above")
}

/// Why a change was not made.
pub fn refused(why: &Refused) -> Reply {
    match why {
        Refused::NoMailbox => no_mailbox(),
        Refused::Exists => no("ALREADYEXISTS", "This name is taken"),
        Refused::InUse => no("CANNOT", "This mailbox cannot be removed or renamed like that"),
        Refused::BadName(why) => Reply { text: sentence(why), ..no("CANNOT", "") },
        Refused::OverQuota(resource) => over_quota(*resource),
        Refused::Limit(why) => Reply { text: sentence(why), ..no("LIMIT", "") },
        Refused::DiskFull => disk_full(),
        Refused::NoBody => no("UNAVAILABLE", "The upload was swept before it was finished; send it again"),
        Refused::Broken(_) => broken(),
        Refused::NoAccount | Refused::NoDomain | Refused::NoAddress | Refused::NoCredential => {
            no("UNAVAILABLE", "The account is no longer there")
        }
    }
}

/// A sentence of the store as response text: never with a line end in it.
fn sentence(why: &str) -> Cow<'static, str> {
    why.chars().filter(|c| !c.is_control()).collect::<String>().into()
}
