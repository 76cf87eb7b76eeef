//! The one handle that changes the file: group commit and its own checkpoints.

use rusqlite::Connection;

use crate::base::Ticket;
use crate::base::limits::{WAL_PASSIVE_BYTES, WAL_TRUNCATE_BYTES};

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

    /// After a batch has been answered: PASSIVE above 1 MiB of WAL or when `idle`, TRUNCATE above 64 MiB.
    ///
    /// PASSIVE waits for nobody; what a reader still needs stays in the log until the next time. TRUNCATE would wait for
    /// readers, so it gives up at once: a log that readers hold on to is no reason to stop taking mail.
    pub fn checkpoint(&mut self, idle: bool) -> Result<(), StoreError> {
        let log = self.log()?;
        let waiting = log.bytes.saturating_sub(log.home);
        if log.bytes >= WAL_TRUNCATE_BYTES {
            self.run_checkpoint("TRUNCATE")
        } else if waiting >= WAL_PASSIVE_BYTES || (idle && waiting > 0) {
            self.run_checkpoint("PASSIVE")
        } else {
            Ok(())
        }
    }

    fn run_checkpoint(&mut self, kind: &str) -> Result<(), StoreError> {
        self.db.busy_timeout(std::time::Duration::ZERO)?;
        let result = self.db.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |_| Ok(()));
        self.db.busy_timeout(open::BUSY_WAIT)?;
        match result {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(()),
            result => Ok(result?),
        }
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

/// The write-ahead log: how long it is, and how much of it has been brought home into the file.
struct Log {
    bytes: u64,
    home: u64,
}
