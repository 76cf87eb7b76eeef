//! The one handle that changes the file: group commit, and when the log is brought home.
//!
//! Bringing the log home takes as long as the disk needs to write some MiB at random places, which on an SD card is
//! seconds. A running server does it on a thread and a connection of its own (`Checkpointer`), beside commits that go
//! on; only the last few pages, after which the log can begin anew, are the writer's own work. A command without a server
//! has nobody who waits, and does it all itself (`Writer::checkpoint`).

use rusqlite::Connection;

use crate::base::Ticket;
use crate::base::limits::{WAL_BEGIN_ANEW_BYTES, WAL_PASSIVE_BYTES, WAL_REST_BYTES, WAL_TRUNCATE_BYTES};

use super::commit::{self, Before, Disk, Ids, PAGE_BYTES, Space};
use super::open::{self, OpenOptions};
use super::{Outcome, StoreError, Write};

/// The writing connection. `serve` has one on the writer thread; a command without a server has its own.
pub struct Writer {
    pub(super) db: Connection,
    pub(super) ids: Ids,
    pub(super) disk: Disk,
    pub(super) before_each: Before,
}

impl Writer {
    /// Opens a file that exists, brings it to this program's schema, and sweeps uploads that nobody can finish any more.
    pub fn open(options: impl Into<OpenOptions>) -> Result<Writer, StoreError> {
        let options = options.into();
        let writer = Writer::around(open::open_writing(&options)?, &options);
        commit::sweep_uploads(&writer.db)?;
        Ok(writer)
    }

    /// Makes a new file, readable by its owner only. Fails if there is one already.
    pub fn create(options: impl Into<OpenOptions>) -> Result<Writer, StoreError> {
        let options = options.into();
        Ok(Writer::around(open::create(&options)?, &options))
    }

    fn around(db: Connection, options: &OpenOptions) -> Writer {
        Writer { db, ids: Ids::default(), disk: Disk::of(&options.path), before_each: None }
    }

    /// Asks `probe` instead of the file system how much space there is: a simulated disk. `None` is unknown: no limit.
    pub fn watch_disk(&mut self, probe: Box<dyn FnMut() -> Option<Space> + Send>) {
        self.disk.probe = probe;
    }

    /// Calls `before` ahead of each write, inside the fence that refuses a write which panics. For simulated faults.
    pub fn before_each(&mut self, before: Box<dyn FnMut(&Write) + Send>) {
        self.before_each = Some(before);
    }

    /// Applies each write in its own savepoint, commits once, and returns after the one fsync. A write that panics or
    /// is refused leaves nothing behind and the others go through. `Err` means that nothing of the batch is known to
    /// be durable: the caller must answer nobody with success.
    pub fn commit(&mut self, batch: Vec<(Ticket, Write)>) -> Result<Vec<(Ticket, Outcome)>, StoreError> {
        commit::commit(self, batch)
    }

    /// After a batch has been answered: PASSIVE above 4 MiB of WAL or when `idle`, TRUNCATE above 64 MiB.
    ///
    /// PASSIVE waits for nobody; what a reader still needs stays in the log until the next time. TRUNCATE would wait for
    /// readers, so it gives up at once: a log that readers hold on to is no reason to stop taking mail.
    pub fn checkpoint(&mut self, idle: bool) -> Result<(), StoreError> {
        let log = self.log()?;
        let waiting = log.bytes.saturating_sub(log.home);
        if log.bytes >= WAL_TRUNCATE_BYTES {
            run_checkpoint(&self.db, "TRUNCATE")
        } else if waiting >= WAL_PASSIVE_BYTES || (idle && waiting > 0) {
            run_checkpoint(&self.db, "PASSIVE")
        } else {
            Ok(())
        }
    }

    /// After a batch has been answered, beside a `Checkpointer` that is at work or not (`running`): does what is little,
    /// and says whether the rest is worth the checkpointer's while.
    pub fn checkpoint_beside(&mut self, running: bool, idle: bool) -> Result<Home, StoreError> {
        let log = self.log()?;
        let waiting = log.bytes.saturating_sub(log.home);
        let enough = if idle { 1 } else { WAL_PASSIVE_BYTES };
        if log.bytes >= WAL_TRUNCATE_BYTES && !running {
            run_checkpoint(&self.db, "TRUNCATE")?;
        } else if log.bytes >= WAL_BEGIN_ANEW_BYTES && (1..=WAL_REST_BYTES).contains(&waiting) && !running {
            run_checkpoint(&self.db, "PASSIVE")?;
        } else {
            return Ok(Home { waiting, wanted: waiting >= enough && !running });
        }
        Ok(Home { waiting: 0, wanted: false })
    }

    /// NOOP looks without writing.
    fn log(&self) -> Result<Log, StoreError> {
        let mut look = self.db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        let frames = |row: &rusqlite::Row<'_>, column| -> rusqlite::Result<u64> {
            Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
        };
        Ok(look.query_row([], |row| {
            Ok(Log { bytes: frames(row, 1)? * PAGE_BYTES, home: frames(row, 2)? * PAGE_BYTES })
        })?)
    }
}

/// How far the log has been brought home into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Bytes of the log that are not in the file yet.
    pub waiting: u64,
    /// The checkpointer is to bring them there.
    pub wanted: bool,
}

/// Brings the log home beside the writer. SQLite lets one connection do so while another commits; what is committed
/// meanwhile stays for the next time.
pub struct Checkpointer {
    db: Connection,
}

impl Checkpointer {
    /// Opens a file that a `Writer` has brought to this program's schema.
    pub fn open(options: impl Into<OpenOptions>) -> Result<Checkpointer, StoreError> {
        Ok(Checkpointer { db: open::open_checkpointing(&options.into())? })
    }

    /// As much as is in the log now and no reader still needs.
    pub fn run(&self) -> Result<(), StoreError> {
        run_checkpoint(&self.db, "PASSIVE")
    }
}

/// Somebody else at it, or a reader in the way, is no error: the log stays for the next time.
fn run_checkpoint(db: &Connection, kind: &str) -> Result<(), StoreError> {
    db.busy_timeout(std::time::Duration::ZERO)?;
    let result = db.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |_| Ok(()));
    db.busy_timeout(open::BUSY_WAIT)?;
    match result {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(()),
        result => Ok(result?),
    }
}

/// The write-ahead log: how long it is, and how much of it has been brought home into the file.
struct Log {
    bytes: u64,
    home: u64,
}
