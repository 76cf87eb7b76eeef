//! Reads for POP3: which messages a maildrop has and how large they are, in slices on the reader thread, and whether one
//! of them is still there, which is one row.

use crate::base::limits::SIZES_PER_SLICE;
use crate::base::{BodyId, MailboxId, Uid};

use super::{Reader, Reply, StoreError};

impl Reader {
    /// The body of a message that is in the mailbox now: expunged ones are `None`, though their bytes may still be kept.
    pub fn body_of(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<BodyId>, StoreError> {
        let sql = "SELECT body FROM message WHERE mailbox = ?1 AND uid = ?2";
        self.one(sql, (mailbox, uid), |row| row.get(0))
    }

    pub(super) fn sizes(&self, mailbox: MailboxId, from: Uid, up_to: Uid) -> Result<Reply, StoreError> {
        let sql = "SELECT uid, size FROM message WHERE mailbox = ?1 AND uid >= ?2 AND uid < ?3 ORDER BY uid LIMIT ?4";
        let most = SIZES_PER_SLICE as i64;
        let rows: Vec<(Uid, u32)> =
            self.all(sql, (mailbox, from, up_to, most), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let full = rows.len() >= SIZES_PER_SLICE;
        let next = rows.last().filter(|_| full).map(|(uid, _)| uid.next());
        Ok(Reply::Sizes { rows, next })
    }
}
