//! `pillarbox verify`: walks every message and says what is wrong. Changes nothing, and may run beside the server: each
//! body is looked at in a snapshot of its own, so that no read transaction lasts.

use ring::digest::{Context, SHA256};

use crate::base::limits::SLICE_BYTES;
use crate::base::{BodyId, MailboxId};

use super::message::SLICES_PER_BODY;
use super::{IndexMode, Reader, StoreError};

/// Bodies whose ids are read at once.
const BODIES_PER_STEP: i64 = 512;

/// How far a walk over all bodies has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// What is wrong with the file, as sentences; empty where nothing is.
pub fn verify(reader: &Reader, progress: &mut dyn FnMut(Progress)) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    verify_pages(reader, &mut faults)?;
    verify_bodies(reader, progress, &mut faults)?;
    verify_counters(reader, &mut faults)?;
    reader.end_turn();
    Ok(faults)
}

fn verify_pages(reader: &Reader, faults: &mut Vec<String>) -> Result<(), StoreError> {
    let found: Vec<String> = reader.all("PRAGMA integrity_check", [], |row| row.get(0))?;
    // An index that was given up loses its pages a few at a time, and nobody asks it any more.
    let emptying = reader.index_state()?.mode == IndexMode::Emptying;
    let bad = |line: &String| line != "ok" && !(emptying && line.contains("body_words"));
    faults.extend(found.into_iter().filter(bad).map(|line| format!("the file is damaged: {line}")));
    reader.end_turn();
    Ok(())
}

fn verify_bodies(
    reader: &Reader,
    progress: &mut dyn FnMut(Progress),
    faults: &mut Vec<String>,
) -> Result<(), StoreError> {
    let total: u64 = reader.one("SELECT count(*) FROM body", [], |row| row.get(0))?.unwrap_or(0);
    let (mut done, mut last) = (0, BodyId(0));
    loop {
        let sql = "SELECT id FROM body WHERE id > ?1 ORDER BY id LIMIT ?2";
        let bodies: Vec<BodyId> = reader.all(sql, (last, BODIES_PER_STEP), |row| row.get(0))?;
        reader.end_turn();
        let Some(newest) = bodies.last() else { return Ok(()) };
        last = *newest;
        for body in bodies {
            if let Some(fault) = verify_body(reader, body)? {
                faults.push(fault);
            }
            reader.end_turn();
            done += 1;
            progress(Progress { done, total: total.max(done) });
        }
    }
}

/// Reads every slice of a body. One that has been removed meanwhile is in order.
fn verify_body(reader: &Reader, body: BodyId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT size, sha256, staged IS NOT NULL OR refs = 0 FROM body WHERE id = ?1";
    let row = reader.one(sql, [body], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, Option<Vec<u8>>>(1)?, row.get::<_, bool>(2)?))
    })?;
    // An upload has no hash yet, and what nobody shows is being removed.
    let Some((size, Some(sha256), false)) = row else { return Ok(None) };
    let mut context = Context::new(&SHA256);
    let mut bytes = Vec::new();
    let (mut read, mut slice) = (0, 0);
    while read < size || slice == 0 {
        bytes.clear();
        if let Err(error) = reader.unpack(body, slice, slice, &mut bytes) {
            return Ok(Some(format!("body {body}: slice {slice} cannot be read: {error}")));
        }
        let expected = (size - read).min(SLICE_BYTES as u64);
        if bytes.len() as u64 != expected {
            return Ok(Some(format!("body {body}: slice {slice} has {} bytes, not {expected}", bytes.len())));
        }
        context.update(&bytes);
        read += expected;
        slice += 1;
    }
    let same = context.finish().as_ref() == sha256.as_slice();
    Ok((!same).then(|| format!("body {body}: its bytes are not those that were received")))
}

/// What would be wrong, and how often it is. `?1` is `SLICES_PER_BODY`.
const CHECKS: &[(&str, &str)] = &[
    (
        "a message is in a mailbox that does not exist",
        "SELECT count(*) FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox)",
    ),
    ("a message has no body", "SELECT count(*) FROM message WHERE body NOT IN (SELECT id FROM body)"),
    (
        "a message's size is not that of its body",
        "SELECT count(*) FROM message AS m JOIN body AS b ON b.id = m.body WHERE m.size <> b.size",
    ),
    (
        "a count of seen messages is wrong",
        "SELECT count(*) FROM seen_count AS c WHERE c.seen <>
            (SELECT count(*) FROM seen AS s JOIN message AS m ON m.mailbox = s.mailbox AND m.uid = s.uid
                WHERE s.mailbox = c.mailbox AND s.account = c.account AND s.seen)",
    ),
    (
        "a body is shown by another number of messages than it says",
        "SELECT count(*) FROM body LEFT JOIN
            (SELECT body, count(*) AS n FROM (SELECT body FROM message UNION ALL
                SELECT body FROM expunged WHERE body IS NOT NULL) GROUP BY body) AS r ON r.body = body.id
            WHERE body.refs <> coalesce(r.n, 0)",
    ),
    (
        "a message is neither in the search index nor waiting for it",
        "SELECT count(*) FROM body, index_state AS i WHERE i.mode = 1 AND body.refs > 0 AND body.id <= i.up_to
            AND body.id NOT IN (SELECT id FROM body_words_docsize)
            AND body.id NOT IN (SELECT body FROM index_pending)",
    ),
    (
        "the search index knows a message that is gone",
        "SELECT count(*) FROM body_words_docsize, index_state AS i
            WHERE i.mode = 1 AND body_words_docsize.id NOT IN (SELECT id FROM body)",
    ),
    (
        "the search index has another number of messages than it says",
        "SELECT count(*) FROM index_state AS i WHERE i.mode = 1
            AND i.rows <> (SELECT count(*) FROM body_words_docsize)",
    ),
    (
        "copies of a message are in different threads",
        "SELECT count(*) FROM (SELECT 1 FROM message AS m JOIN mailbox AS b ON b.id = m.mailbox
            GROUP BY b.account, m.body HAVING min(m.thread) <> max(m.thread))",
    ),
    (
        "a slice belongs to no body",
        "SELECT count(*) FROM slice WHERE id / ?1 NOT IN (SELECT id FROM body)",
    ),
];

/// Every counter and reference against what it counts.
fn verify_counters(reader: &Reader, faults: &mut Vec<String>) -> Result<(), StoreError> {
    let counters = "SELECT b.id, b.name FROM mailbox AS b LEFT JOIN (
            SELECT mailbox, count(*) AS n, sum(size) AS size, sum(flags & 8 <> 0) AS deleted,
                sum(iif(flags & 8, size, 0)) AS deleted_bytes, max(uid) AS uid,
                max(modseq) AS modseq FROM message GROUP BY mailbox) AS m ON m.mailbox = b.id
        WHERE b.messages <> coalesce(m.n, 0) OR b.bytes <> coalesce(m.size, 0)
            OR b.deleted <> coalesce(m.deleted, 0)
            OR b.deleted_bytes <> coalesce(m.deleted_bytes, 0) OR b.uid_next <= coalesce(m.uid, 0)
            OR b.modseq < coalesce(m.modseq, 0)";
    for (id, name) in
        reader.all(counters, [], |row| Ok((row.get::<_, MailboxId>(0)?, row.get::<_, String>(1)?)))?
    {
        faults.push(format!("mailbox {id} ({name}): its counters are not those of its messages"));
    }
    for (what, sql) in CHECKS {
        let count: Option<i64> = if sql.contains("?1") {
            reader.one(sql, [SLICES_PER_BODY], |row| row.get(0))?
        } else {
            reader.one(sql, [], |row| row.get(0))?
        };
        if let Some(count) = count.filter(|count| *count > 0) {
            faults.push(format!("{what} ({count} times)"));
        }
    }
    Ok(())
}
