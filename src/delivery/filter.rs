//! Where does each recipient want the message? Runs once for each account, after the judgement.

use crate::store::{FlagNames, Place};

use super::Recipient;

/// What becomes of a message in one account.
pub struct Filed {
    pub place: Place,
    pub flags: FlagNames,
}

/// Everything goes to INBOX, unread.
pub fn file(recipient: &Recipient) -> Filed {
    let _ = recipient;
    Filed { place: Place::Inbox, flags: FlagNames::default() }
}
