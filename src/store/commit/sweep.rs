//! Letting go: uploads that nobody finished, expunged messages that need not be kept any more, bodies that nobody shows.
//! In slices, so that no sweep holds the writer for long; what is left over goes the next time.
//!
//! Time is only believed when the caller says so: on a machine that wakes up in 1970, or jumps a year, nothing is purged.
//! What was expunged while the clock was wrong gets the full time from the first sweep that believes it.

use rusqlite::{Connection, OptionalExtension};

use crate::base::limits::{EXPUNGED_FOR, STAGED_FOR, TOMBSTONES_FOR};
use crate::base::{AccountId, BodyId, MailboxId, ModSeq, Uid, UidSet, Wall};

use super::super::message::SLICES_PER_BODY;
use super::super::{Done, StoreError};
use super::expunge::{self, NOT_KEPT};
use super::index;
use super::state::State;
use super::{Applied, Tx, mailboxes, threads};

/// Expunged messages that one sweep lets go.
const ROWS_PER_SWEEP: usize = 1_000;
/// Message-ids of removed accounts that one sweep forgets.
const IDS_PER_SWEEP: usize = 4_096;
/// Slices of bodies that one sweep removes: 16 MiB.
const SLICES_PER_SWEEP: usize = 64;
/// Pages that one sweep gives back to the file system, and how many must lie idle before it does.
const PAGES_PER_SWEEP: u64 = 1_024;
const IDLE_PAGES_MIN: u64 = 16 * 1_024;
/// No pillarbox ran before this: 2026-01-01.
const CLOCK_FLOOR: Wall = Wall(1_767_225_600_000_000);
const DAY_MICROS: i64 = 86_400_000_000;

pub fn sweep(tx: &mut Tx<'_>, now: Wall, clock_trusted: bool) -> Applied {
    let kept_until = if clock_trusted {
        believe(tx, now)?;
        drop_old_uploads(tx.db, now)?;
        bury(tx.db, before(now, TOMBSTONES_FOR.as_micros()))?;
        before(now, EXPUNGED_FOR.as_micros()).min(Wall(now.0.saturating_sub(undelete_micros(tx)?)))
    } else {
        NOT_KEPT
    };
    let mut more = empty_unowned(tx, now)?;
    more |= release(tx.db, kept_until)?;
    more |= drop_loose(tx.db)?;
    more |= threads::forget_removed(tx.db, IDS_PER_SWEEP)?;
    give_back(tx.db)?;
    Ok(if more { Done::More } else { Done::Nothing })
}

/// Takes messages out of a mailbox that was removed with too many of them for one write. True if there is more to do.
fn empty_unowned(tx: &mut Tx<'_>, now: Wall) -> Applied<bool> {
    let sql = "SELECT id, account FROM mailbox WHERE account IN (?1, ?2) LIMIT 1";
    let found: Option<(MailboxId, AccountId)> = tx
        .statement(sql)?
        .query_row((mailboxes::DELETED, mailboxes::REMOVED), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, owner)) = found else { return Ok(false) };
    let at = if owner == mailboxes::REMOVED { NOT_KEPT } else { now };
    let sql =
        "SELECT min(uid), max(uid) FROM (SELECT uid FROM message WHERE mailbox = ?1 ORDER BY uid LIMIT ?2)";
    let part: (Option<u32>, Option<u32>) =
        tx.statement(sql)?.query_row((id, ROWS_PER_SWEEP as i64), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let (Some(first), Some(last)) = part {
        let mut mailbox = State::load(tx, id)?;
        expunge::take_out(tx, &mut mailbox, &UidSet::range(first..=last), at)?;
        mailbox.save(tx, owner)?;
        return Ok(true);
    }
    let sql = "UPDATE expunged SET at = ?2 WHERE mailbox = ?1 AND uid IN (SELECT uid FROM expunged
        WHERE mailbox = ?1 AND body IS NOT NULL AND at <> ?2 LIMIT ?3)";
    if owner == mailboxes::REMOVED && tx.execute(sql, (id, NOT_KEPT, ROWS_PER_SWEEP as i64))? > 0 {
        return Ok(true);
    }
    mailboxes::remove(tx, id)?;
    Ok(true)
}

/// At the opening of the writer: whoever was uploading is gone.
pub fn sweep_uploads(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE body SET staged = NULL WHERE refs = 0 AND staged IS NOT NULL", [])?;
    Ok(())
}

/// The disk is nearly full: messages expunged longest ago go now, whatever was promised to undelete.
pub fn release_early(db: &Connection) -> Result<(), StoreError> {
    release(db, Wall(i64::MAX))?;
    drop_loose(db)?;
    Ok(())
}

fn before(now: Wall, micros: u128) -> Wall {
    Wall(now.0.saturating_sub(i64::try_from(micros).unwrap_or(i64::MAX)))
}

fn undelete_micros(tx: &Tx<'_>) -> Applied<i64> {
    let days: Option<String> = tx
        .statement("SELECT value FROM setting WHERE name = 'undelete-days'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let days: i64 = days.and_then(|days| days.parse().ok()).unwrap_or(0);
    Ok(days.saturating_mul(DAY_MICROS))
}

/// Times that a wrong clock wrote (1970, or the future) become now.
fn believe(tx: &Tx<'_>, now: Wall) -> Applied<()> {
    for sql in [
        "UPDATE expunged INDEXED BY expunged_due SET at = ?1 WHERE body IS NOT NULL AND at > ?1",
        "UPDATE expunged INDEXED BY expunged_bare SET at = ?1 WHERE body IS NULL AND at > ?1",
    ] {
        tx.execute(sql, [now])?;
    }
    for sql in [
        "UPDATE expunged INDEXED BY expunged_due SET at = ?1 WHERE body IS NOT NULL AND at > ?2 AND at < ?3",
        "UPDATE expunged INDEXED BY expunged_bare SET at = ?1 WHERE body IS NULL AND at > ?2 AND at < ?3",
    ] {
        tx.execute(sql, (now, NOT_KEPT, CLOCK_FLOOR))?;
    }
    tx.execute("UPDATE body SET staged = ?1 WHERE refs = 0 AND staged > ?1", [now])?;
    Ok(())
}

fn drop_old_uploads(db: &Connection, now: Wall) -> Result<(), StoreError> {
    let sql = "UPDATE body SET staged = NULL WHERE refs = 0 AND staged < ?1";
    db.prepare_cached(sql)?.execute([before(now, STAGED_FOR.as_micros())])?;
    Ok(())
}

/// Lets expunged messages go that were expunged up to `until`: the rows stay as tombstones, the bodies may go.
/// True if there may be more of them.
fn release(db: &Connection, until: Wall) -> Result<bool, StoreError> {
    let sql =
        "SELECT mailbox, uid, body FROM expunged WHERE body IS NOT NULL AND at <= ?1 ORDER BY at LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement
        .query_map((until, ROWS_PER_SWEEP as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(MailboxId, Uid, BodyId)>>>()?;
    let more = rows.len() >= ROWS_PER_SWEEP;
    for (mailbox, uid, body) in rows {
        db.prepare_cached("UPDATE expunged SET body = NULL WHERE mailbox = ?1 AND uid = ?2")?
            .execute((mailbox, uid))?;
        db.prepare_cached("UPDATE body SET refs = refs - 1 WHERE id = ?1")?.execute([body])?;
    }
    Ok(more)
}

/// Removes tombstones written before `until`, and those of mailboxes that are gone. From then on the record of a mailbox
/// is whole only after the youngest of them.
fn bury(db: &Connection, until: Wall) -> Result<(), StoreError> {
    let sql =
        "SELECT mailbox, uid, modseq FROM expunged WHERE body IS NULL AND at <= ?1 ORDER BY at LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement
        .query_map((until, ROWS_PER_SWEEP as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (mailbox, uid, modseq) in rows.collect::<rusqlite::Result<Vec<(MailboxId, Uid, ModSeq)>>>()? {
        db.prepare_cached("DELETE FROM expunged WHERE mailbox = ?1 AND uid = ?2")?.execute((mailbox, uid))?;
        db.prepare_cached("UPDATE mailbox SET complete_from = max(complete_from, ?2) WHERE id = ?1")?
            .execute((mailbox, modseq))?;
    }
    Ok(())
}

/// Removes bodies that nobody shows and nobody uploads, up to so many slices. True if there may be more.
fn drop_loose(db: &Connection) -> Result<bool, StoreError> {
    let mut slices = 0;
    while slices < SLICES_PER_SWEEP {
        let sql = "SELECT id FROM body WHERE refs = 0 AND staged IS NULL LIMIT 1";
        let body: Option<BodyId> = db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
        let Some(body) = body else { return Ok(false) };
        slices += drop_slices(db, body, SLICES_PER_SWEEP - slices)?.max(1);
    }
    Ok(true)
}

/// Removes at most `most` slices of a body, from the end, and the body with its last one. Says how many went.
fn drop_slices(db: &Connection, body: BodyId, most: usize) -> Result<usize, StoreError> {
    let (first, last) = (body.0 * SLICES_PER_BODY, body.0 * SLICES_PER_BODY + SLICES_PER_BODY - 1);
    let sql = "DELETE FROM slice WHERE id IN (SELECT id FROM slice WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3)";
    let gone = db.prepare_cached(sql)?.execute((first, last, most as i64))?;
    if gone < most {
        index::forget(db, body)?;
        db.prepare_cached("DELETE FROM summary WHERE body = ?1")?.execute([body])?;
        db.prepare_cached("DELETE FROM body WHERE id = ?1")?.execute([body])?;
    }
    Ok(gone)
}

/// Removes an upload: a small one at once, a large one with the sweeps.
pub fn drop_body(db: &Connection, body: BodyId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE body SET staged = NULL WHERE id = ?1")?.execute([body])?;
    drop_slices(db, body, SLICES_PER_SWEEP)?;
    Ok(())
}

/// Gives pages that hold nothing back to the file system, a few at a time, if they are many.
fn give_back(db: &Connection) -> Result<(), StoreError> {
    let idle = super::disk::unused(db)? / super::disk::PAGE_BYTES;
    let pages: u64 = db.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    if idle >= IDLE_PAGES_MIN && idle > pages / 4 {
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES_PER_SWEEP})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
