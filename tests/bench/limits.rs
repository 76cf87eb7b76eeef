//! What this machine can do at best, measured in the same run: the yardstick for everything durable.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::servers::scratch;

/// Rates of raw SQLite in WAL mode with `synchronous=FULL`, and of the disk below it.
pub struct Limits {
    /// Rows of 10 KiB per second at one row per commit, and at ten.
    pub rows_by_1: f64,
    pub rows_by_10: f64,
    /// MiB per second of 1 MiB blobs, one per commit.
    pub blobs_mib: f64,
    pub fdatasync_p50: Duration,
    pub fdatasync_p99: Duration,
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p50, p99) = (self.fdatasync_p50.as_secs_f64() * 1e3, self.fdatasync_p99.as_secs_f64() * 1e3);
        write!(
            f,
            "this machine commits {:.0} rows/s one by one and {:.0} by ten ",
            self.rows_by_1, self.rows_by_10
        )?;
        write!(f, "(10 KiB, WAL, FULL), {:.0} MiB/s of 1 MiB blobs; ", self.blobs_mib)?;
        write!(f, "fdatasync takes {p50:.2} / {p99:.2} ms (p50 / p99)")
    }
}

pub fn measure(time: Duration) -> Limits {
    let (p50, p99) = fdatasync(time);
    Limits {
        rows_by_1: rows(10 * 1024, 1, time),
        rows_by_10: rows(10 * 1024, 10, time),
        blobs_mib: rows(1024 * 1024, 1, time),
        fdatasync_p50: p50,
        fdatasync_p99: p99,
    }
}

/// Rows per second of `size` bytes, so many in one commit.
pub fn rows(size: usize, per_commit: u32, time: Duration) -> f64 {
    let folder = tempfile::tempdir_in(scratch()).expect("a folder");
    let db = rusqlite::Connection::open(folder.path().join("limit.db")).expect("a file");
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;
         CREATE TABLE row(id INTEGER PRIMARY KEY, bytes BLOB)",
    )
    .expect("a table");
    let payload: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < time {
        db.execute_batch("BEGIN IMMEDIATE").expect("begin");
        for _ in 0..per_commit {
            db.prepare_cached("INSERT INTO row(bytes) VALUES (?1)")
                .and_then(|mut insert| insert.execute([&payload]))
                .expect("insert");
            count += 1;
        }
        db.execute_batch("COMMIT").expect("commit");
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn fdatasync(time: Duration) -> (Duration, Duration) {
    let mut file = tempfile::tempfile_in(scratch()).expect("a file");
    let block = [7u8; 12 * 1024];
    let mut waits = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        file.write_all(&block).expect("a write");
        let started = Instant::now();
        file.sync_data().expect("a sync");
        waits.push(started.elapsed());
    }
    (percentile(&mut waits, 50), percentile(&mut waits, 99))
}

/// The p-th percentile (nearest rank); sorts in place.
pub fn percentile(waits: &mut [Duration], p: usize) -> Duration {
    waits.sort_unstable();
    waits.get((waits.len() * p / 100).min(waits.len().saturating_sub(1))).copied().unwrap_or_default()
}
