//! Which thread a message is in (RFC 8474 section 5.2), decided once, when it comes into an account.
//!
//! The table `thread_of` knows the thread of each message-id that was seen in an account, as a message's own or as one
//! that it refers to. A message joins the thread of its own id (it is another copy, or a parent that comes after its
//! child), else that of its parent, else that of the first message it refers to; else it begins one, which is named
//! after its body. Then those of its ids that were not known are. What is known never changes: where a message joins two
//! threads both keep their names, and it is in the nearer one.
//!
//! A message costs three look-ups, however many others it refers to, and mostly one row. The ids come from outside: they
//! are kept as hashes, so that neither long ones nor made-up ones gain anything, and one account's ids say nothing to
//! another's mail.

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension};

use crate::base::{AccountId, BodyId, ThreadId};
use crate::mime::SortFields;

/// The ids by which a message is placed, the most telling first.
pub struct Ids(Vec<i64>);

impl Ids {
    pub fn of(sort: &SortFields) -> Ids {
        Ids::read(&sort.message_id, &sort.references)
    }

    /// `references` as a summary holds them: with spaces between.
    fn read(own: &str, references: &str) -> Ids {
        let mut others = references.split(' ');
        let (first, last) = (others.next(), others.next_back());
        let mut ids = Vec::with_capacity(3);
        for id in [Some(own), last, first].into_iter().flatten().filter(|id| !id.is_empty()) {
            let hash = hash(id);
            if !ids.contains(&hash) {
                ids.push(hash);
            }
        }
        Ids(ids)
    }
}

fn hash(id: &str) -> i64 {
    let digest = digest(&SHA256, id.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// The thread that this body is in for this account; from now on it stays in it.
pub fn join(db: &Connection, account: AccountId, body: BodyId, ids: &Ids) -> rusqlite::Result<ThreadId> {
    let mut thread = None;
    let mut known = db.prepare_cached("SELECT thread FROM thread_of WHERE account = ?1 AND id_hash = ?2")?;
    for id in &ids.0 {
        let found = known.query_row((account, id), |row| row.get(0)).optional()?;
        thread = thread.or(found);
    }
    let thread = thread.unwrap_or(ThreadId(body.0));
    remember(db, account, ids, thread)?;
    Ok(thread)
}

/// Those that are known already stay as they are.
fn remember(db: &Connection, account: AccountId, ids: &Ids, thread: ThreadId) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO thread_of (account, id_hash, thread) VALUES (?1, ?2, ?3)";
    let mut insert = db.prepare_cached(sql)?;
    for id in &ids.0 {
        insert.execute((account, id, thread))?;
    }
    Ok(())
}

/// What of a thread a row holds: nothing where it is the body's own.
pub fn stored(thread: ThreadId, body: BodyId) -> i64 {
    if thread.0 == body.0 { 0 } else { thread.0 }
}

/// Behind the migration that brings threads: puts all messages that are there into them, in the order in which they came.
pub fn thread_all(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TEMP TABLE threaded (body INTEGER, account INTEGER, thread INTEGER, PRIMARY KEY (body, account))
            WITHOUT ROWID",
    )?;
    for (body, account, _) in shown(db)? {
        let thread = join(db, account, body, &ids_of(db, body)?)?;
        if stored(thread, body) != 0 {
            db.prepare_cached("INSERT INTO temp.threaded VALUES (?1, ?2, ?3)")?
                .execute((body, account, thread))?;
        }
    }
    for table in ["message", "expunged"] {
        db.execute_batch(&format!(
            "UPDATE {table} SET thread = coalesce((SELECT t.thread FROM temp.threaded AS t WHERE t.body = {table}.body
                AND t.account = (SELECT account FROM mailbox WHERE id = {table}.mailbox)), 0)
            WHERE body IN (SELECT body FROM temp.threaded)"
        ))?;
    }
    db.execute_batch("DROP TABLE temp.threaded")
}

/// Makes the table again from the messages that are there. Their threads stay.
pub fn rebuild(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("DELETE FROM thread_of")?;
    for (body, account, thread) in shown(db)? {
        remember(db, account, &ids_of(db, body)?, thread)?;
    }
    Ok(())
}

/// Bodies, the accounts that show them, and their threads there, in the order in which they came.
fn shown(db: &Connection) -> rusqlite::Result<Vec<(BodyId, AccountId, ThreadId)>> {
    let sql = "SELECT m.body, b.account, iif(m.thread = 0, m.body, m.thread) FROM message AS m
            JOIN mailbox AS b ON b.id = m.mailbox WHERE b.account > 0
        UNION SELECT m.body, b.account, iif(m.thread = 0, m.body, m.thread) FROM expunged AS m
            JOIN mailbox AS b ON b.id = m.mailbox WHERE b.account > 0 AND m.body IS NOT NULL
        ORDER BY 1, 2";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// Those of a body whose summary is there already.
pub fn ids_of(db: &Connection, body: BodyId) -> rusqlite::Result<Ids> {
    let sql = "SELECT message_id, thread_refs FROM summary WHERE body = ?1";
    let found = db
        .prepare_cached(sql)?
        .query_row([body], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    Ok(found.map_or(Ids(Vec::new()), |(own, references)| Ids::read(&own, &references)))
}

/// Forgets what removed accounts knew, at most `most` ids at a time; true if there may be more.
pub fn forget_removed(db: &Connection, most: usize) -> rusqlite::Result<bool> {
    // One step for each account, not for each id.
    let sql = "WITH RECURSIVE known (id) AS (
            SELECT min(account) FROM thread_of
            UNION ALL SELECT (SELECT min(account) FROM thread_of WHERE account > known.id) FROM known
                WHERE known.id IS NOT NULL)
        SELECT id FROM known WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM account) LIMIT 1";
    let gone: Option<AccountId> = db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    let Some(gone) = gone else { return Ok(false) };
    let sql = "DELETE FROM thread_of WHERE account = ?1 AND id_hash IN
        (SELECT id_hash FROM thread_of WHERE account = ?1 ORDER BY id_hash LIMIT ?2)";
    db.prepare_cached(sql)?.execute((gone, most as i64))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_placed_by_its_own_id_its_parent_and_the_first() {
        let ids = |own: &str, references: &str| Ids::read(own, references).0;
        assert_eq!(ids("a", "b c d e"), [hash("a"), hash("e"), hash("b")]);
        assert_eq!(ids("a", "b"), [hash("a"), hash("b")]);
        assert_eq!(ids("a", "a b"), [hash("a"), hash("b")]);
        assert_eq!(ids("", "b c"), [hash("c"), hash("b")]);
        assert_eq!(ids("", ""), []);
        assert_ne!(hash("a"), hash("A"));
    }
}
