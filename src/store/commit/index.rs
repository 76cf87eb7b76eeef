//! The full-text index as the writer sees it: rows and watermark in one transaction, a few pages of merging at a time, and
//! an index that is given up emptied in small steps.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::base::BodyId;

use super::super::fulltext::{IndexRow, IndexWork, Mode, State};
use super::super::{Done, Refused, StoreError};
use super::{Applied, Tx};

/// Pages of 4 KiB written by one merge, and rows removed by one step of emptying: some milliseconds.
const PAGES_PER_MERGE: i64 = 32;
const ROWS_PER_EMPTYING: i64 = 512;
const SIZES_PER_EMPTYING: i64 = 8_192;

/// The setting that the index follows.
pub const SETTING: &str = "search-index";

/// `Done::More`: there is more to do of the same kind.
pub fn index(tx: &mut Tx<'_>, work: &IndexWork) -> Applied {
    let state = State::load(tx.db)?;
    match work {
        IndexWork::Rows { epoch, after, up_to, rows } if state.mode == Mode::On && state.epoch == *epoch => {
            if !tx.spare {
                return Err(Refused::DiskFull.into());
            }
            if state.up_to != *after || up_to < after {
                return Ok(Done::Nothing);
            }
            put_rows(tx.db, *after, *up_to, rows)?;
            merge(tx.db, PAGES_PER_MERGE)?;
        }
        IndexWork::Merge { epoch, whole } if state.mode == Mode::On && state.epoch == *epoch => {
            if !tx.spare {
                return Err(Refused::DiskFull.into());
            }
            if *whole {
                tx.execute("UPDATE index_state SET fresh = 0", [])?;
            }
            merge(tx.db, if *whole { -PAGES_PER_MERGE } else { PAGES_PER_MERGE })?;
        }
        IndexWork::Empty { epoch } if state.mode == Mode::Emptying && state.epoch == *epoch => empty(tx.db)?,
        // Gathered for an index that is gone.
        _ => {}
    }
    Ok(Done::Nothing)
}

fn put_rows(db: &Connection, after: BodyId, up_to: BodyId, rows: &[IndexRow]) -> Result<(), StoreError> {
    let mut added = 0;
    for row in rows {
        let shown = db
            .prepare_cached("SELECT 1 FROM body WHERE id = ?1 AND refs > 0")?
            .query_row([row.body], |_| Ok(()))
            .optional()?;
        db.prepare_cached("DELETE FROM index_pending WHERE body = ?1")?.execute([row.body])?;
        match (shown, &row.words) {
            // Removed since it was read, or about to be.
            (None, _) => {}
            (Some(()), Some(words)) => {
                let sql = "INSERT INTO body_words (rowid, words) VALUES (?1, ?2)";
                added += db.prepare_cached(sql)?.execute((row.body, words))?;
            }
            (Some(()), None) => pend(db, row.body, true)?,
        }
    }
    // An upload may have been finished since the rows were gathered.
    let known: BTreeSet<BodyId> = rows.iter().map(|row| row.body).collect();
    let between: Vec<BodyId> = db
        .prepare_cached("SELECT id FROM body WHERE id > ?1 AND id <= ?2 AND refs > 0")?
        .query_map((after, up_to), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for body in between.into_iter().filter(|body| !known.contains(body)) {
        pend(db, body, false)?;
    }
    let sql = "UPDATE index_state SET up_to = ?1, rows = rows + ?2, fresh = fresh + ?2";
    db.prepare_cached(sql)?.execute((up_to, added as i64))?;
    Ok(())
}

fn pend(db: &Connection, body: BodyId, skipped: bool) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO index_pending (body, skipped) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute((body, skipped))?;
    Ok(())
}

/// Brings pieces together until so many pages are written; notes whether there is more of that to do.
fn merge(db: &Connection, pages: i64) -> Result<(), StoreError> {
    let before = db.total_changes();
    db.prepare_cached("INSERT INTO body_words (body_words, rank) VALUES ('merge', ?1)")?.execute([pages])?;
    // FTS5's documentation: a difference below two means that there was nothing to merge.
    let worked = db.total_changes() - before >= 2;
    db.prepare_cached("UPDATE index_state SET unmerged = ?1 WHERE unmerged <> ?1")?.execute([worked])?;
    Ok(())
}

/// An upload has been finished: if the watermark has gone past it, it must be remembered.
pub fn finished(db: &Connection, body: BodyId) -> Result<(), StoreError> {
    let state = State::load(db)?;
    if state.mode == Mode::On && body <= state.up_to {
        pend(db, body, false)?;
    }
    Ok(())
}

/// A body is removed, and what the index knows of it.
pub fn forget(db: &Connection, body: BodyId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM index_pending WHERE body = ?1")?.execute([body])?;
    // One that is being emptied loses all its rows anyway.
    if State::load(db)?.mode == Mode::On {
        let gone = db.prepare_cached("DELETE FROM body_words WHERE rowid = ?1")?.execute([body])?;
        if gone > 0 {
            let sql = "UPDATE index_state SET rows = rows - 1, unmerged = 1";
            db.prepare_cached(sql)?.execute([])?;
        }
    }
    Ok(())
}

/// The setting has changed: an index that is not wanted is given up, one that is wanted begins.
pub fn follow_setting(db: &Connection) -> Result<(), StoreError> {
    match (State::load(db)?.mode, wanted(db)?) {
        // It is not asked any more from now on, and emptied in small steps. If it is wanted again by then, it begins anew.
        (Mode::On, false) => begin(db, Mode::Emptying),
        (Mode::Off, true) => begin(db, Mode::On),
        _ => Ok(()),
    }
}

fn begin(db: &Connection, mode: Mode) -> Result<(), StoreError> {
    let mode = match mode {
        Mode::Off => 0,
        Mode::On => 1,
        Mode::Emptying => 2,
    };
    let sql =
        "UPDATE index_state SET mode = ?1, epoch = epoch + 1, up_to = 0, rows = 0, fresh = 0, unmerged = 0";
    db.prepare_cached(sql)?.execute([mode])?;
    db.prepare_cached("DELETE FROM index_pending")?.execute([])?;
    Ok(())
}

fn wanted(db: &Connection) -> Result<bool, StoreError> {
    let value: Option<String> = db
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([SETTING], |row| row.get(0))
        .optional()?;
    Ok(value.is_none_or(|value| value != "off"))
}

/// FTS5 can only drop all at once, which would hold the writer for as long as the index is large. Nobody asks it any
/// more, so its pages are taken from under it, and it is told when few are left.
fn empty(db: &Connection) -> Result<(), StoreError> {
    let sql =
        "DELETE FROM body_words_data WHERE id IN (SELECT id FROM body_words_data WHERE id > ?1 LIMIT ?2)";
    if db.prepare_cached(sql)?.execute((FIRST_PAGE, ROWS_PER_EMPTYING))? as i64 == ROWS_PER_EMPTYING {
        return Ok(());
    }
    let sql = "DELETE FROM body_words_docsize WHERE id IN (SELECT id FROM body_words_docsize LIMIT ?1)";
    if db.prepare_cached(sql)?.execute([SIZES_PER_EMPTYING])? as i64 == SIZES_PER_EMPTYING {
        return Ok(());
    }
    empty_whole(db)
}

/// Rows of `body_words_data` up to this one are FTS5's own books.
const FIRST_PAGE: i64 = 10;

/// Empties what is left at once; from here on the index is off, or begins anew.
pub fn empty_whole(db: &Connection) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO body_words (body_words) VALUES ('delete-all')")?.execute([])?;
    begin(db, if wanted(db)? { Mode::On } else { Mode::Off })
}
