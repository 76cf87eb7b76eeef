//! A maildrop as one session sees it: the messages of INBOX at login with their numbers and sizes, and which of them are
//! marked as deleted. Eight bytes a message, so that a hundred thousand of them cost 800 KB, in one session of an account
//! at a time. Pure.

use crate::base::{MailboxId, Uid, UidSet, UidValidity};
use crate::store::MailboxRow;

pub struct Maildrop {
    pub mailbox: MailboxId,
    pub validity: UidValidity,
    /// Only messages below this were there at login.
    pub uid_next: Uid,
    /// Number n is the n-th; ascending by uid. `MESSAGE_BYTES_MAX` fits into 32 bits.
    messages: Vec<(Uid, u32)>,
    /// Octets of all that are not marked.
    octets: u64,
    /// Marked by DELE, by uid.
    pub deleted: UidSet,
}

/// One message that is not marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub number: u32,
    pub uid: Uid,
    pub octets: u32,
}

/// Why a number stands for no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There are not that many.
    Never,
    /// It is marked already.
    Marked,
}

impl Maildrop {
    /// An empty one; its messages follow in order.
    pub fn new(row: &MailboxRow) -> Maildrop {
        Maildrop {
            mailbox: row.id,
            validity: row.validity,
            uid_next: row.uid_next,
            messages: Vec::with_capacity(row.messages as usize),
            octets: 0,
            deleted: UidSet::new(),
        }
    }

    /// The next messages, ascending.
    pub fn add(&mut self, rows: &[(Uid, u32)]) {
        self.messages.extend_from_slice(rows);
        self.octets += rows.iter().map(|(_, octets)| u64::from(*octets)).sum::<u64>();
    }

    /// All messages, the marked ones too.
    pub fn len(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }

    /// How many messages are not marked, and their octets: what STAT says.
    pub fn stat(&self) -> (u64, u64) {
        (self.messages.len() as u64 - self.deleted.count(), self.octets)
    }

    pub fn message(&self, number: u32) -> Result<Message, Missing> {
        let index = (number as usize).checked_sub(1).ok_or(Missing::Never)?;
        let &(uid, octets) = self.messages.get(index).ok_or(Missing::Never)?;
        if self.deleted.contains(uid.0) {
            return Err(Missing::Marked);
        }
        Ok(Message { number, uid, octets })
    }

    pub fn mark(&mut self, message: Message) {
        self.deleted.insert(message.uid.0);
        self.octets -= u64::from(message.octets);
    }

    pub fn unmark_all(&mut self) {
        self.deleted = UidSet::new();
        self.octets = self.messages.iter().map(|(_, octets)| u64::from(*octets)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AccountId, ModSeq};

    fn maildrop() -> Maildrop {
        let mut maildrop = Maildrop::new(&MailboxRow {
            id: MailboxId(1),
            account: AccountId(1),
            name: "INBOX".into(),
            validity: UidValidity(7),
            uid_next: Uid(100),
            modseq: ModSeq(1),
            messages: 3,
            deleted: 0,
            bytes: 60,
            deleted_bytes: 0,
            special: None,
            no_select: false,
            subscribed: true,
        });
        maildrop.add(&[(Uid(4), 10), (Uid(9), 20)]);
        maildrop.add(&[(Uid(30), 30)]);
        maildrop
    }

    #[test]
    fn numbers_stay_and_marks_are_counted_out() {
        let mut maildrop = maildrop();
        assert_eq!((maildrop.len(), maildrop.stat()), (3, (3, 60)));
        let second = maildrop.message(2).expect("it is there");
        assert_eq!(second, Message { number: 2, uid: Uid(9), octets: 20 });
        maildrop.mark(second);
        assert_eq!((maildrop.message(2), maildrop.stat()), (Err(Missing::Marked), (2, 40)));
        assert_eq!(maildrop.message(3).map(|message| message.uid), Ok(Uid(30)));
        assert_eq!((maildrop.message(0), maildrop.message(4)), (Err(Missing::Never), Err(Missing::Never)));
        maildrop.unmark_all();
        assert_eq!((maildrop.message(2), maildrop.stat()), (Ok(second), (3, 60)));
    }
}
