//! What an account may hold and what it holds, in the three resources of RFC 9208 section 5. Bytes are those of the
//! messages as they came in, however they lie in the file and however many mailboxes share a body: what a person can
//! see and delete. Mailboxes are all names that LIST shows. What is expunged and kept for a while counts nowhere.

use crate::base::limits::MAILBOXES_PER_ACCOUNT_MAX;

/// `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub bytes: Option<u64>,
    pub messages: Option<u64>,
    pub mailboxes: Option<u64>,
}

/// How much of each there is, or comes to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub bytes: u64,
    pub messages: u64,
    pub mailboxes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Storage,
    Message,
    Mailbox,
}

impl Usage {
    pub const MAILBOX: Usage = Usage { bytes: 0, messages: 0, mailboxes: 1 };

    pub fn messages(messages: u64, bytes: u64) -> Usage {
        Usage { bytes, messages, mailboxes: 0 }
    }
}

impl Limits {
    /// The stricter of both.
    pub fn and(self, other: Limits) -> Limits {
        let stricter = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Limits {
            bytes: stricter(self.bytes, other.bytes),
            messages: stricter(self.messages, other.messages),
            mailboxes: stricter(self.mailboxes, other.mailboxes),
        }
    }

    /// The same with what no account may go beyond.
    pub fn within_the_server(self) -> Limits {
        let mailboxes = Some(MAILBOXES_PER_ACCOUNT_MAX as u64);
        self.and(Limits { mailboxes, ..Limits::default() })
    }

    pub fn is_unlimited(self) -> bool {
        self == Limits::default()
    }

    /// What there would be too much of if `more` came to `used`. A limit that has been passed already (it was lowered
    /// since) stops only what makes it worse.
    pub fn passed(self, used: Usage, more: Usage) -> Option<Resource> {
        let over = |limit: Option<u64>, used: u64, more: u64| {
            more > 0 && limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        if over(self.bytes, used.bytes, more.bytes) {
            return Some(Resource::Storage);
        }
        if over(self.messages, used.messages, more.messages) {
            return Some(Resource::Message);
        }
        over(self.mailboxes, used.mailboxes, more.mailboxes).then_some(Resource::Mailbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes: Some(100), messages: Some(3), mailboxes: Some(6) };

    #[test]
    fn what_fits_exactly_fits() {
        let used = Usage { bytes: 90, messages: 2, mailboxes: 5 };
        let passed = |more| LIMITS.passed(used, more);
        assert_eq!(passed(Usage::messages(1, 10)), None);
        assert_eq!(passed(Usage::messages(1, 11)), Some(Resource::Storage));
        assert_eq!(passed(Usage::messages(2, 10)), Some(Resource::Message));
        assert_eq!(passed(Usage::messages(1, u64::MAX)), Some(Resource::Storage));
        assert_eq!(passed(Usage::MAILBOX), None);
        assert_eq!(passed(Usage { mailboxes: 2, ..Usage::default() }), Some(Resource::Mailbox));
        assert_eq!(Limits::default().passed(used, Usage::messages(u64::MAX, u64::MAX)), None);
    }

    #[test]
    fn a_limit_that_was_lowered_stops_only_what_makes_it_worse() {
        let used = Usage { bytes: 900, messages: 20, mailboxes: 60 };
        assert_eq!(LIMITS.passed(used, Usage::default()), None);
        let bytes_only = Limits { messages: None, mailboxes: None, ..LIMITS };
        assert_eq!(bytes_only.passed(used, Usage::MAILBOX), None);
        assert_eq!(bytes_only.passed(used, Usage::messages(1, 1)), Some(Resource::Storage));
    }

    #[test]
    fn the_stricter_limit_holds() {
        let own = Limits { bytes: Some(200), messages: Some(1), mailboxes: None };
        assert_eq!(LIMITS.and(own), Limits { messages: Some(1), ..LIMITS });
        assert_eq!(LIMITS.and(own), own.and(LIMITS));
        assert_eq!(Limits::default().within_the_server().mailboxes, Some(10_000));
        assert_eq!(LIMITS.within_the_server(), LIMITS);
    }
}
