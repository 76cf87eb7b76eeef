//! `pillarbox rebuild`: makes everything derived again from the facts: counters, references, and what FETCH, SORT and
//! THREAD tell of each body, and the full-text index. Nobody else may have the file open for writing; a crash on the way leaves a file that can
//! be rebuilt again.

use rusqlite::{Connection, OptionalExtension};

use crate::base::{BodyId, Ticket};
use crate::mime::summary::Summarizer;

use super::commit::{empty_index, put_summary, rebuild_threads};
use super::message::{SLICES_PER_BODY, Unpacker};
use super::verify::Progress;
use super::{IndexNext, IndexWork, Reader, StoreError, Write, Writer};

/// Bodies summarized in one transaction.
const BODIES_PER_COMMIT: i64 = 64;

/// The counters, each from what it counts.
const COUNTERS: &str = "
    UPDATE mailbox SET (messages, deleted, bytes, deleted_bytes) = (
        SELECT count(*), coalesce(sum(flags & 8 <> 0), 0), coalesce(sum(size), 0), coalesce(sum(iif(flags & 8, size, 0)), 0)
        FROM message WHERE message.mailbox = mailbox.id);
    UPDATE mailbox SET
        uid_next = max(uid_next, (SELECT coalesce(max(uid), 0) + 1 FROM message WHERE message.mailbox = mailbox.id)),
        modseq = max(modseq, (SELECT coalesce(max(modseq), 0) FROM message WHERE message.mailbox = mailbox.id));
    DELETE FROM seen_count;
    INSERT INTO seen_count (mailbox, account, seen)
        SELECT s.mailbox, s.account, sum(s.seen) FROM seen AS s
        JOIN message AS m ON m.mailbox = s.mailbox AND m.uid = s.uid GROUP BY s.mailbox, s.account;
    UPDATE body SET refs = 0;
    UPDATE body SET refs = r.n FROM (
        SELECT body, count(*) AS n FROM (
            SELECT body FROM message UNION ALL SELECT body FROM expunged WHERE body IS NOT NULL)
        GROUP BY body) AS r WHERE r.body = body.id;
    DELETE FROM summary WHERE body NOT IN (SELECT id FROM body);";

impl Writer {
    /// Makes everything derived again.
    pub fn rebuild(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
        let counting = self.db.transaction()?;
        counting.execute_batch(COUNTERS)?;
        counting.commit()?;
        let total: u64 =
            self.db.query_row("SELECT count(*) FROM body WHERE refs > 0", [], |row| row.get(0))?;
        let (mut done, mut last) = (0, BodyId(0));
        while let Some(newest) = self.summarize_after(last)? {
            let sql = "SELECT count(*) FROM body WHERE refs > 0 AND id > ?1 AND id <= ?2";
            done += self.db.query_row(sql, (last, newest), |row| row.get::<_, u64>(0))?;
            last = newest;
            progress(Progress { done, total });
            self.checkpoint(false)?;
        }
        let threading = self.db.transaction()?;
        rebuild_threads(&threading)?;
        Ok(threading.commit()?)
    }

    /// Makes the full-text index again, if there is to be one. `reader` is another handle on the same file.
    pub fn rebuild_index(
        &mut self,
        reader: &Reader,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let emptying = self.db.transaction()?;
        empty_index(&emptying)?;
        emptying.commit()?;
        let (mut done, total) = (0, reader.index_progress()?.waiting);
        loop {
            reader.end_turn();
            let next = reader.index_next()?;
            reader.end_turn();
            let work = match next {
                IndexNext::Nothing => return Ok(()),
                IndexNext::Again => continue,
                IndexNext::Work(work) => work,
            };
            if let IndexWork::Rows { rows, .. } = &work {
                done += rows.len() as u64;
                progress(Progress { done, total: total.max(done) });
            }
            for (_, outcome) in self.commit(vec![(Ticket(0), Write::Index(work))])? {
                outcome
                    .result
                    .map_err(|why| StoreError::Broken(format!("the index cannot be made: {why:?}")))?;
            }
            self.checkpoint(false)?;
        }
    }

    /// Summarizes the next few bodies; says the last of them.
    fn summarize_after(&mut self, last: BodyId) -> Result<Option<BodyId>, StoreError> {
        let transaction = self.db.transaction()?;
        let sql = "SELECT id FROM body WHERE refs > 0 AND id > ?1 ORDER BY id LIMIT ?2";
        let bodies: Vec<BodyId> = transaction
            .prepare_cached(sql)?
            .query_map((last, BODIES_PER_COMMIT), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for body in &bodies {
            summarize(&transaction, *body)?;
        }
        transaction.commit()?;
        Ok(bodies.last().copied())
    }
}

/// One slice at a time is in memory.
fn summarize(db: &Connection, body: BodyId) -> Result<(), StoreError> {
    let mut summarizer = Summarizer::new();
    let mut unpacker = Unpacker::default();
    let mut bytes = Vec::new();
    let mut slice = body.0 * SLICES_PER_BODY;
    let mut statement = db.prepare_cached("SELECT length, compressed, stored FROM slice WHERE id = ?1")?;
    loop {
        let found = statement
            .query_row([slice], |row| {
                Ok((row.get::<_, usize>(0)?, row.get::<_, bool>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        let Some((length, compressed, stored)) = found else { break };
        if compressed {
            bytes.clear();
            unpacker.unpack(&stored, length, &mut bytes)?;
            summarizer.feed(&bytes);
        } else {
            summarizer.feed(&stored);
        }
        slice += 1;
    }
    put_summary(db, body, &summarizer.finish())?;
    Ok(())
}
