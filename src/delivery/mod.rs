//! Floor 3b: what happens to a message, whichever protocol brought it.
//!
//! A message arrives in named steps, each in a file of its own:
//!
//! ```text
//! route     an address becomes an account                  asked at RCPT, before any body
//! content   bytes become a body: trace fields in front, counted and checked on the way into
//! intake      slices
//! judge     what kind of sender is this?                   may ask DNS
//! filter    where does each recipient want it?
//! store     one commit for all recipients
//! ```
//!
//! `arrival` runs the last three after the end of data. Nothing here knows SMTP's words: what is refused is a `Refusal`,
//! and the protocol has a reply for each.

pub mod arrival;
pub mod content;
pub mod filter;
pub mod intake;
pub mod judge;
pub mod route;
pub mod store;
pub mod submit;
pub mod trace;

use crate::base::AccountId;
use crate::session::Login;

/// An address as it stands in an envelope. `local` is the text itself, without quotes; `domain` may be an address
/// literal in its brackets. Compared without case where it is looked up, never where it is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub local: String,
    pub domain: String,
}

impl Mailbox {
    /// Whether it needs SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

/// In the form of RFC 5321 section 4.1.2: quoted where it must be.
impl std::fmt::Display for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        if self.local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(plain)) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        let quoted = self.local.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{quoted}\"@{}", self.domain)
    }
}

/// Who sends what to whom, as the protocol said and `route` found.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// `None` is the null sender of bounces.
    pub from: Option<Mailbox>,
    /// Not empty; the same account may stand behind several.
    pub to: Vec<Recipient>,
    /// Who is logged in: the message is a submission. `None`: it comes from another server.
    pub login: Option<Login>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub account: AccountId,
    pub address: Mailbox,
}

/// Why a message is not taken. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than the setting allows.
    TooLarge,
    /// A bare CR, a bare LF or a NUL.
    BareLineEnd,
    /// It has been through so many servers that it must be going round.
    Looping,
    /// A submitted message without a readable From.
    NoAuthor,
    /// A submitted message whose From is not an address of the account.
    NotYours(String),
    /// A submitted message with a header larger than we rewrite.
    HeaderTooLarge,
    /// A recipient's account is full, and it is the only one: for good.
    MailboxFull,
    /// A recipient's account is full, but others are not: tried again, each recipient gets an answer of its own.
    SomeMailboxFull,
    /// The disk is full: later.
    DiskFull,
    /// A recipient vanished between RCPT and the end of data: tried again, RCPT says so.
    RecipientGone,
    /// The store failed; logged there. Later.
    Broken,
}
