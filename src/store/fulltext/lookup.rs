//! Asking the index: which messages of a mailbox may match. A stretch of bodies at a time, each in a snapshot of its own:
//! within it a body is a row of the index, or it is a candidate.

use crate::base::{BodyId, MailboxId, UidSet, limits};

use super::super::{Reader, Reply, StoreError};
use super::Mode;

impl Reader {
    /// Candidates among the bodies above `after`, as far as one slice goes; expunged messages are among them.
    pub(in super::super) fn candidates(
        &self,
        mailbox: MailboxId,
        query: &str,
        after: BodyId,
    ) -> Result<Reply, StoreError> {
        let Some(columns) = self.columns(mailbox)? else {
            return Ok(Reply::Candidates { uids: UidSet::new(), next: Some(after) });
        };
        let state = self.index_state()?;
        if state.mode != Mode::On {
            return Ok(Reply::Candidates { uids: columns.uids_after(after), next: None });
        }
        let Some((first, last)) = columns.stretch(after, limits::INDEX_LOOKUP_BODIES) else {
            return Ok(Reply::Candidates { uids: UidSet::new(), next: None });
        };
        let next = columns.stretch(last, 1).map(|_| last);
        let sql = "SELECT rowid FROM body_words WHERE body_words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid";
        let mut bodies: Vec<BodyId> = self.all(sql, (query, first, last), |row| row.get(0))?;
        let sql = "SELECT body FROM index_pending WHERE body BETWEEN ?1 AND ?2";
        let pending: Vec<BodyId> = self.all(sql, (first, last), |row| row.get(0))?;
        if !pending.is_empty() {
            bodies.extend(pending);
            bodies.sort_unstable();
        }
        let mut uids = columns.uids_of(&bodies);
        if last > state.up_to {
            let tail = columns.uids_between(first.max(BodyId(state.up_to.0.saturating_add(1))), last);
            uids = uids.union(&tail);
        }
        Ok(Reply::Candidates { uids, next })
    }
}
