//! The fault-injecting VFS itself: what it keeps and what it loses.

use rusqlite::Connection;

use crate::world::chance::Chance;
use crate::world::disk::{Crash, Disk};

fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

fn open(folder: &std::path::Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(folder.join("box.db"))?;
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")?;
    db.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, b BLOB)")?;
    Ok(db)
}

fn rows(db: &Connection) -> Vec<i64> {
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).as_deref(), Ok("ok"));
    let mut all = db.prepare("SELECT n FROM t ORDER BY n").expect("table");
    all.query_map([], |row| row.get(0)).expect("query").collect::<Result<_, _>>().expect("rows")
}

/// Commits rows until the cut falls, comes back, and says (rows that were acknowledged, rows that are there).
fn one_life(seed: u64, how: Crash, lying: bool) -> (i64, Vec<i64>) {
    let folder = folder();
    let disk = Disk::watch(folder.path(), seed);
    let mut chance = Chance::new(seed);
    let db = open(folder.path()).expect("a new file");
    disk.set_faults(|faults, counts| {
        faults.cut_at_write = Some(counts.writes + 1 + chance.below(120));
        faults.lying_sync = lying;
    });
    let mut acknowledged = 0;
    for n in 1..=200 {
        let blob = vec![n as u8; 1 + chance.index(9000)];
        if db.execute("INSERT INTO t VALUES (?1, ?2)", (n, blob)).is_err() {
            break;
        }
        acknowledged = n;
        if n % 7 == 0 {
            let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
    assert!(disk.is_dead(), "the cut fell");
    drop(db);
    disk.crash(how);
    let db = open(folder.path()).expect("the file opens again");
    let there = rows(&db);
    disk.unwatch();
    (acknowledged, there)
}

#[test]
fn what_was_committed_survives_a_cut_at_any_write() {
    for seed in 0..60 {
        for how in [Crash::Power, Crash::Process] {
            let (acknowledged, there) = one_life(seed, how, false);
            let count = there.len() as i64;
            assert!(
                count == acknowledged || count == acknowledged + 1,
                "seed {seed} {how:?}: {acknowledged} {count}"
            );
            assert_eq!(there, (1..=count).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncing_is_noticed() {
    let lost = (0..20).filter(|&seed| {
        let life = std::panic::catch_unwind(|| one_life(seed, Crash::Power, true));
        life.map_or(true, |(acknowledged, there)| (there.len() as i64) < acknowledged)
    });
    assert!(lost.count() > 5);
}

#[test]
fn a_failed_sync_loses_nothing_that_was_acknowledged() {
    for seed in 0..60 {
        let folder = folder();
        let disk = Disk::watch(folder.path(), seed);
        let db = open(folder.path()).expect("a new file");
        let mut chance = Chance::new(seed);
        let mut acknowledged = Vec::new();
        for n in 1..=40 {
            match chance.below(9) {
                0 => disk.set_faults(|faults, counts| faults.fail_sync = Some(counts.syncs)),
                1 => disk.set_faults(|faults, counts| faults.full_at_write = Some(counts.writes)),
                2 => disk.set_faults(|faults, counts| faults.fail_write = Some(counts.writes + 1)),
                _ => {}
            }
            if db.execute("INSERT INTO t VALUES (?1, zeroblob(5000))", [n]).is_ok() {
                acknowledged.push(n);
            }
        }
        disk.kill();
        drop(db);
        disk.crash(Crash::Power);
        let mut there = rows(&open(folder.path()).expect("the file opens again"));
        if acknowledged.last() != Some(&40) {
            // The last one failed, and nothing came after it: it may have got through all the same.
            there.retain(|&n| n != 40);
        }
        assert_eq!(there, acknowledged, "seed {seed}");
        disk.unwatch();
    }
}
