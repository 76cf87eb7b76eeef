//! Whole copies of the file, and bringing one back.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::StoreError;
use super::open::{self, OpenOptions};

/// Copies the file to a new one, readable by its owner only, in one read transaction: copying in steps would start again
/// at every commit and never end while mail arrives.
pub fn copy_whole(db: &Connection, to: &OpenOptions) -> Result<(), StoreError> {
    let mut copy = open::new_file(to)?;
    match Backup::new(db, &mut copy)?.step(-1)? {
        StepResult::Done => Ok(()),
        other => Err(StoreError::Broken(format!("the copy did not come to an end: {other:?}"))),
    }
}

/// Copies the file at `from` while it is in use, then opens the copy and checks it.
pub fn backup(from: &OpenOptions, to: &Path) -> Result<(), StoreError> {
    let to = OpenOptions { path: to.into(), ..from.clone() };
    copy_whole(&open::open_reading(from)?, &to)?;
    check(&to)
}

/// Whether a file is ours and whole.
pub fn check(options: &OpenOptions) -> Result<(), StoreError> {
    let db = open::open_reading(options)?;
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Broken(format!("{} is damaged: {verdict}", options.path.display())))
}
