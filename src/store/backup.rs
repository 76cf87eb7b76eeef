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
//!
//! The ids of bodies and mailboxes move on too, so that no object identifier (RFC 8474) is given to a second thing.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::StoreError;
use super::open::{self, OpenOptions};

/// Uids, UIDVALIDITYs and ids that a lost timeline cannot have used up.
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
/// it under the name that is returned. Killed at any moment, it leaves the old box or the new one.
pub fn restore(backup: &Path, into: &OpenOptions) -> Result<Option<PathBuf>, StoreError> {
    restore_in_steps(backup, into, &mut || Ok(()))
}

/// `before` is called ahead of each step; its error is a crash there, to a test.
fn restore_in_steps(
    backup: &Path,
    into: &OpenOptions,
    before: Before<'_>,
) -> Result<Option<PathBuf>, StoreError> {
    let source = OpenOptions { path: backup.into(), ..into.clone() };
    check(&source)?;
    let fresh = OpenOptions { path: beside(&into.path, ".restoring"), ..into.clone() };
    remove_all(&fresh.path)?;
    copy_whole(&open::open_reading(&source)?, &fresh)?;
    before()?;
    // Closing the only connection brings the log home and removes it, so that one file is moved into place.
    move_on(&open::open_writing(&fresh)?)?;
    check(&fresh)?;
    before()?;
    let kept = put_aside(into, before)?;
    before()?;
    fs::rename(&fresh.path, &into.path)
        .and_then(|()| sync_folder(&into.path))
        .map_err(|error| broken(&into.path, &error))?;
    Ok(kept)
}

type Before<'a> = &'a mut dyn FnMut() -> Result<(), StoreError>;

fn move_on(db: &Connection) -> Result<(), StoreError> {
    let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    for table in ["message", "seen", "expunged"] {
        transaction.execute(&format!("UPDATE {table} SET modseq = modseq + ?1"), [MODSEQS_SKIPPED])?;
    }
    transaction
        .execute("UPDATE mailbox SET modseq = modseq + ?1, complete_from = modseq + ?1", [MODSEQS_SKIPPED])?;
    transaction.execute("UPDATE counter SET next = next + ?1", [UIDS_SKIPPED])?;
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

/// Keeps the file that is there under a second name. Its log is brought home first: a log must never meet another file,
/// and the file without its log is not the old box. So the old box stays whole under its own name until the new file
/// takes that name, in one step.
fn put_aside(old: &OpenOptions, before: Before<'_>) -> Result<Option<PathBuf>, StoreError> {
    let path = &old.path;
    let kept = free_name(path);
    if !path.exists() {
        move_log(path, &kept, before)?;
        return Ok(None);
    }
    // The last connection that closes does it. Where that fails the file is damaged: it goes, and its log after it.
    drop(open::open_writing(old));
    before()?;
    let log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let moved = if log { fs::rename(path, &kept) } else { name_twice(path, &kept) };
    moved.map_err(|error| broken(path, &error))?;
    move_log(path, &kept, before)?;
    Ok(Some(kept))
}

fn move_log(path: &Path, kept: &Path, before: Before<'_>) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm"] {
        before()?;
        let from = beside(path, suffix);
        if from.exists() {
            fs::rename(&from, beside(kept, suffix)).map_err(|error| broken(&from, &error))?;
        }
    }
    Ok(())
}

/// A second name for a file, or a second file on a file system that has no second names.
fn name_twice(path: &Path, second: &Path) -> std::io::Result<()> {
    fs::hard_link(path, second).or_else(|_| {
        fs::copy(path, second)?;
        fs::File::open(second)?.sync_all()
    })
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

#[cfg(test)]
mod tests {
    use super::super::{Admin, Reader, Write, Writer};
    use super::*;
    use crate::base::Ticket;

    fn add_domain(writer: &mut Writer, name: &str) {
        let write = Write::Admin(Admin::AddDomain { name: name.into() });
        writer.commit(vec![(Ticket(1), write)]).expect("committed");
    }

    fn domains(path: &Path) -> Vec<String> {
        check(&OpenOptions::new(path)).expect("a whole file");
        Reader::open(path).expect("a box").domains().expect("read")
    }

    /// A box of which a part is only in its log, as after kill -9.
    fn killed_box(path: &Path) {
        let made = path.with_extension("made");
        let mut writer = Writer::create(&made).expect("a new file");
        add_domain(&mut writer, "old.test");
        writer.checkpoint(true).expect("a checkpoint");
        add_domain(&mut writer, "in-the-log.test");
        for suffix in ["", "-wal"] {
            fs::copy(beside(&made, suffix), beside(path, suffix)).expect("copied");
        }
        assert!(fs::metadata(beside(path, "-wal")).expect("a log").len() > 0);
    }

    #[test]
    fn restore_killed_at_any_step_leaves_the_old_box_or_the_new_one() {
        for crash_at in 0.. {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, copy) = (folder.path().join("box.db"), folder.path().join("copy.db"));
            killed_box(&path);
            add_domain(&mut Writer::create(&copy).expect("a new file"), "new.test");
            let into = OpenOptions::new(&path);
            let mut step = 0;
            let mut before = || {
                step += 1;
                if step > crash_at { Err(StoreError::Broken("killed".into())) } else { Ok(()) }
            };
            let result = restore_in_steps(&copy, &into, &mut before);
            if let Ok(kept) = result {
                assert!(crash_at >= 4, "every step is tried");
                assert_eq!(domains(&path), ["new.test"]);
                assert_eq!(domains(&kept.expect("kept")), ["in-the-log.test", "old.test"]);
                return;
            }
            assert_eq!(domains(&path), ["in-the-log.test", "old.test"], "killed at step {crash_at}");
            restore(&copy, &into).expect("again");
            assert_eq!(domains(&path), ["new.test"]);
        }
    }

    #[test]
    fn a_damaged_box_is_kept_with_its_log_and_a_log_alone_meets_no_other_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, copy) = (folder.path().join("box.db"), folder.path().join("copy.db"));
        killed_box(&path);
        fs::write(&path, b"no database at all, but long enough to be taken for something ".repeat(99))
            .expect("written");
        add_domain(&mut Writer::create(&copy).expect("a new file"), "new.test");
        let into = OpenOptions::new(&path);
        let kept = restore(&copy, &into).expect("restored").expect("kept");
        assert!(kept.exists() && beside(&kept, "-wal").exists());
        assert_eq!(domains(&path), ["new.test"]);
        // Killed between the file and its log: the log lies there alone.
        fs::rename(&path, folder.path().join("moved")).expect("moved");
        fs::copy(beside(&kept, "-wal"), beside(&path, "-wal")).expect("copied");
        restore(&copy, &into).expect("restored");
        assert_eq!(domains(&path), ["new.test"]);
    }
}
