//! The last step: one durable commit for all recipients, and what its refusal means to the sender.

use std::collections::BTreeSet;

use crate::base::Wall;
use crate::store::{Deliver, NewBody, Refused, Target};

use super::{Envelope, Refusal, filter};

/// One copy for each account, however many of its addresses were named.
pub fn deliver(envelope: &Envelope, body: NewBody, received: Wall) -> Deliver {
    let mut seen = BTreeSet::new();
    let to = envelope.to.iter().filter(|recipient| seen.insert(recipient.account)).map(|recipient| {
        let filed = filter::file(recipient);
        Target { account: recipient.account, place: filed.place, flags: filed.flags }
    });
    Deliver { to: to.collect(), body, received }
}

/// All or nothing: one full mailbox of several holds the others up. So it is a "later", and when the sender comes again
/// RCPT refuses the full one alone.
pub fn refusal(refused: &Refused, targets: usize) -> Refusal {
    match refused {
        Refused::OverQuota(_) if targets == 1 => Refusal::MailboxFull,
        Refused::OverQuota(_) => Refusal::SomeMailboxFull,
        Refused::DiskFull => Refusal::DiskFull,
        Refused::NoAccount | Refused::NoMailbox => Refusal::RecipientGone,
        _ => Refusal::Broken,
    }
}
