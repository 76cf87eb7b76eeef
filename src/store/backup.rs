//! Whole copies of the file, and bringing one back.
//!
//! Bringing a copy back makes a past the present: clients have seen a timeline that is lost, and must end equal to the
//! file without ever taking an old message for a new one. So, in every mailbox of the restored file:
//!
//! - UIDVALIDITY stays, so that clients keep what is still true;
//! - UIDNEXT moves on past every uid that the lost timeline can have given out;
//! - every modseq moves on past all that it can have used, so that all messages count as changed;
//! - the record of expunged uids is declared whole only from now on: a client that comes with an older modseq is told
//!   that every uid it does not find here has vanished, the lost timeline's own among them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::StoreError;
use super::open::{self, OpenOptions};

/// Uids and UIDVALIDITYs that a lost timeline cannot have used up.
const UIDS_SKIPPED: i64 = 1 << 20;
/// Changes that a lost timeline cannot have made to one mailbox.
const MODSEQS_SKIPPED: i64 = 1 << 40;

/// Copies the file to a new one, readable by its owner only, in one read transaction: copying in steps would start again
/// at every commit and never end while mail arrives.
pub fn copy_whole(db: &Connection, to: &OpenOptions) -> Result<(), StoreError> {
    let mut copy = open::new_file(to)?;
    match Backup::new(db, &mut copy)?.step(-1)? {
        StepResult::Done => Ok(()),
        other => Err(StoreError::Broken(format!("the copy did not come to an end: {other:?}"))),
    }
}

/// Copies the file at `from`, which may be in use, to a new file, then opens the copy and checks it.
pub fn backup(from: &OpenOptions, to: &Path) -> Result<(), StoreError> {
    let to = OpenOptions { path: to.into(), ..from.clone() };
    copy_whole(&open::open_reading(from)?, &to)?;
    check(&to)
}

/// Whether a file is ours and whole, as far as SQLite can say. `verify` looks into the messages as well.
pub fn check(options: &OpenOptions) -> Result<(), StoreError> {
    let db = open::open_reading(options)?;
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Open(format!("{} is damaged: {verdict}", options.path.display())))
}

/// Puts a copy of `backup` in the place of the file at `into`, which nobody may have open. What was there is kept beside
/// it under the name that is returned.
pub fn restore(backup: &Path, into: &OpenOptions) -> Result<Option<PathBuf>, StoreError> {
    let source = OpenOptions { path: backup.into(), ..into.clone() };
    check(&source)?;
    let fresh = OpenOptions { path: beside(&into.path, ".restoring"), ..into.clone() };
    remove_all(&fresh.path)?;
    copy_whole(&open::open_reading(&source)?, &fresh)?;
    // Closing the only connection brings the log home and removes it, so that one file is moved into place.
    move_on(&open::open_writing(&fresh)?)?;
    check(&fresh)?;
    let kept = put_aside(&into.path)?;
    fs::rename(&fresh.path, &into.path)
        .and_then(|()| sync_folder(&into.path))
        .map_err(|error| broken(&into.path, &error))?;
    Ok(kept)
}

fn move_on(db: &Connection) -> Result<(), StoreError> {
    let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    for table in ["message", "seen", "expunged"] {
        transaction.execute(&format!("UPDATE {table} SET modseq = modseq + ?1"), [MODSEQS_SKIPPED])?;
    }
    transaction
        .execute("UPDATE mailbox SET modseq = modseq + ?1, complete_from = modseq + ?1", [MODSEQS_SKIPPED])?;
    transaction.execute("UPDATE counter SET next = next + ?1 WHERE name = 'validity'", [UIDS_SKIPPED])?;
    // A mailbox that has no such range of uids left starts anew under another UIDVALIDITY.
    let last = i64::from(u32::MAX) - UIDS_SKIPPED;
    transaction.execute(
        "UPDATE mailbox SET validity = (SELECT next FROM counter WHERE name = 'validity') WHERE uid_next >= ?1",
        [last],
    )?;
    transaction.execute("UPDATE counter SET next = next + 1 WHERE name = 'validity'", [])?;
    transaction
        .execute("UPDATE mailbox SET uid_next = uid_next + ?1 WHERE uid_next < ?2", [UIDS_SKIPPED, last])?;
    Ok(transaction.commit()?)
}

/// Moves the file with what belongs to it out of the way, the log first: a log must never meet another file.
fn put_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let kept = free_name(path);
    for suffix in ["-wal", "-shm", ""] {
        let from = beside(path, suffix);
        if from.exists() {
            fs::rename(&from, beside(&kept, suffix)).map_err(|error| broken(&from, &error))?;
        }
    }
    Ok(Some(kept))
}

/// `pillarbox.db.replaced-1`, or the first such name that is free.
fn free_name(path: &Path) -> PathBuf {
    (1_u32..).map(|n| beside(path, &format!(".replaced-{n}"))).find(|name| !name.exists()).unwrap_or_default()
}

fn remove_all(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm", ""] {
        let file = beside(path, suffix);
        if file.exists() {
            fs::remove_file(&file).map_err(|error| broken(&file, &error))?;
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A rename is on the disk when its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn broken(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Open(format!("cannot replace {}: {error}", path.display()))
}
