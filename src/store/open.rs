//! Opening the file: what kind of file it must be, how the connections are set up, and migrations.
//!
//! A migration runs in one transaction, after a copy of the whole file has been put beside it. An older program refuses
//! a newer file; a file that is not ours is never touched.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::StoreError;
use super::commit::thread_all;

/// "PBOX": stands in the header of every pillarbox file.
const APPLICATION_ID: i64 = 0x5042_4f58;
/// Numbered from 1, in order; a file's `user_version` is how many it has seen. Never edited once released.
const MIGRATIONS: &[Migration] = &[
    Migration::of(include_str!("../../migrations/0001-core.sql")),
    Migration::of(include_str!("../../migrations/0002-fulltext.sql")),
    Migration::of(include_str!("../../migrations/0003-quota.sql")),
    Migration::of(include_str!("../../migrations/0004-preview.sql")),
    Migration { sql: include_str!("../../migrations/0005-threads.sql"), then: Some(thread_all) },
];
/// Page cache of one connection, in KiB. The whole process shall start in 6 MiB.
const CACHE_KIB: i64 = 1024;
/// How long a statement waits for another process, which can only be a backup or a second command starting up.
pub const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept by each connection: all that the store knows.
const STATEMENTS_KEPT: usize = 160;
/// Owner only, as are -wal and -shm, which SQLite makes with the file's own mode.
const FILE_MODE: u32 = 0o600;

/// One step from a schema to the next.
#[derive(Clone, Copy)]
struct Migration {
    sql: &'static str,
    /// What SQL cannot do, in the same transaction.
    then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

impl Migration {
    const fn of(sql: &'static str) -> Migration {
        Migration { sql, then: None }
    }
}

/// Where the file is and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    pub path: PathBuf,
    /// SQLite VFS by name: the simulator's disk. `None` is the real one.
    pub vfs: Option<String>,
    /// The first UIDVALIDITY of a new file. Drawn by chance, so that a client which remembers an earlier file at the
    /// same address takes nothing of it for this one's.
    pub first_validity: u32,
}

impl OpenOptions {
    pub fn new(path: impl Into<PathBuf>) -> OpenOptions {
        OpenOptions { path: path.into(), vfs: None, first_validity: 1 }
    }

    pub fn vfs(mut self, name: impl Into<String>) -> OpenOptions {
        self.vfs = Some(name.into());
        self
    }

    pub fn first_validity(mut self, number: u32) -> OpenOptions {
        self.first_validity = number.max(1);
        self
    }
}

impl<P: AsRef<Path>> From<P> for OpenOptions {
    fn from(path: P) -> OpenOptions {
        OpenOptions::new(path.as_ref())
    }
}

/// A connection that may write, to a file that must be ours. Migrates it if it is older than this program.
pub fn open_writing(options: &OpenOptions) -> Result<Connection, StoreError> {
    migrate_file(options, MIGRATIONS)
}

/// Makes a new file. One that exists already must be empty, or what a crash during creation left.
pub fn create(options: &OpenOptions) -> Result<Connection, StoreError> {
    let db = new_file(options)?;
    // Before the first page is written; neither can be changed later without rewriting the file.
    db.pragma_update(None, "page_size", 4096)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    set_up(&db)?;
    migrate(&db, 0, MIGRATIONS)?;
    db.execute("UPDATE counter SET next = ?1 WHERE name = 'validity'", [options.first_validity.max(1)])?;
    Ok(db)
}

/// A connection to a file without tables, made if it is not there, readable by its owner only.
pub fn new_file(options: &OpenOptions) -> Result<Connection, StoreError> {
    if options.vfs.is_none() {
        touch(&options.path)?;
    }
    let db = connect(options, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if kind(&db, &options.path)? != Kind::Blank {
        return Err(StoreError::Open(format!("{} exists already", options.path.display())));
    }
    Ok(db)
}

/// A connection that only reads.
pub fn open_reading(options: &OpenOptions) -> Result<Connection, StoreError> {
    let db = connect(options, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|_| connect(options, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    check_ours(&db, &options.path, MIGRATIONS.len())?;
    let version = version(&db)?;
    if version < MIGRATIONS.len() {
        return Err(StoreError::Open(format!(
            "{} is of an older pillarbox (schema {version}): start the server once to bring it up to date",
            options.path.display()
        )));
    }
    set_up_shared(&db)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Makes an empty file that only its owner may read. One that is there stays as it is, unless it is empty.
fn touch(path: &Path) -> Result<(), StoreError> {
    let make = || -> std::io::Result<()> {
        let options =
            fs::OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        if options.metadata()?.len() == 0 {
            options.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        }
        Ok(())
    };
    make().map_err(|error| StoreError::Open(format!("cannot create {}: {error}", path.display())))
}

pub fn connect(options: &OpenOptions, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str()),
        None => Connection::open_with_flags(&options.path, flags),
    };
    let db = opened.map_err(|error| {
        let why = fs::metadata(&options.path).err().map_or_else(|| error.to_string(), |e| e.to_string());
        StoreError::Open(format!("cannot open {}: {why}", options.path.display()))
    })?;
    db.busy_timeout(BUSY_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(db)
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Ours,
    /// No tables yet.
    Blank,
    Foreign,
}

fn kind(db: &Connection, path: &Path) -> Result<Kind, StoreError> {
    let read = || -> rusqlite::Result<Kind> {
        let id: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(match (id, tables) {
            (APPLICATION_ID, _) => Kind::Ours,
            (0, 0) => Kind::Blank,
            _ => Kind::Foreign,
        })
    };
    match read() {
        Ok(kind) => Ok(kind),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Ok(Kind::Foreign)
        }
        Err(error) => Err(StoreError::Open(format!("cannot read {}: {error}", path.display()))),
    }
}

fn check_ours(db: &Connection, path: &Path, known: usize) -> Result<(), StoreError> {
    if kind(db, path)? != Kind::Ours {
        return Err(StoreError::Open(format!("{} is not a pillarbox file", path.display())));
    }
    let version = version(db)?;
    if version > known {
        return Err(StoreError::Open(format!(
            "{} was written by a newer pillarbox (schema {version}, this program knows {known}): use that one",
            path.display()
        )));
    }
    Ok(())
}

fn version(db: &Connection) -> Result<usize, StoreError> {
    Ok(db.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// What every connection has.
fn set_up_shared(db: &Connection) -> Result<(), StoreError> {
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// What the writing connection has. FULL: a commit is on the disk when it returns; NORMAL lost acknowledged commits.
fn set_up(db: &Connection) -> Result<(), StoreError> {
    set_up_shared(db)?;
    let mode: Option<String> = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).optional()?;
    if mode.as_deref() != Some("wal") {
        return Err(StoreError::Open("this file system cannot hold a write-ahead log".into()));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A log that was large once is cut back at the next checkpoint that empties it.
    db.pragma_update(None, "journal_size_limit", signed_limit())?;
    Ok(())
}

fn signed_limit() -> i64 {
    super::sql::signed(crate::base::limits::WAL_KEPT_BYTES)
}

fn migrate_file(options: &OpenOptions, migrations: &[Migration]) -> Result<Connection, StoreError> {
    let db = connect(options, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_ours(&db, &options.path, migrations.len())?;
    set_up(&db)?;
    let version = version(&db)?;
    if version < migrations.len() {
        snapshot(&db, options, version)?;
        migrate(&db, version, migrations)?;
    }
    Ok(db)
}

/// A copy of the file as it was, beside it: `pillarbox.db.schema-1`.
fn snapshot(db: &Connection, options: &OpenOptions, version: usize) -> Result<(), StoreError> {
    let mut name = options.path.as_os_str().to_owned();
    name.push(format!(".schema-{version}"));
    super::backup::copy_whole(db, &OpenOptions { path: name.into(), ..options.clone() })
}

/// Each migration in one transaction, with the version that it leads to.
fn migrate(db: &Connection, from: usize, migrations: &[Migration]) -> Result<(), StoreError> {
    for (index, step) in migrations.iter().enumerate().skip(from) {
        let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(step.sql)?;
        if let Some(then) = step.then {
            then(&transaction)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn sentence<T>(result: Result<T, StoreError>) -> String {
        match result {
            Err(StoreError::Open(sentence)) => sentence,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("opened"),
        }
    }

    #[test]
    fn a_new_file_and_its_log_are_readable_by_their_owner_only() {
        let dir = folder();
        let path = dir.path().join("box.db");
        let db = create(&OpenOptions::new(&path)).expect("created");
        db.execute("UPDATE counter SET next = 7 WHERE name = 'thing'", []).expect("written");
        for suffix in ["", "-wal", "-shm"] {
            let mode =
                fs::metadata(format!("{}{suffix}", path.display())).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{suffix}");
        }
        let number = |pragma: &str| db.query_row(pragma, [], |row| row.get::<_, i64>(0)).expect(pragma);
        assert_eq!(number("PRAGMA page_size"), 4096);
        assert_eq!(number("PRAGMA auto_vacuum"), 2);
        assert_eq!(number("PRAGMA synchronous"), 2);
        assert_eq!(number("PRAGMA wal_autocheckpoint"), 0);
        assert!(sentence(create(&OpenOptions::new(&path))).contains("exists already"));
    }

    #[test]
    fn what_is_no_pillarbox_file_is_refused_and_left_alone() {
        let dir = folder();
        let text = dir.path().join("letter.txt");
        fs::write(&text, "Dear file, you are no database. ".repeat(40)).expect("written");
        let other = dir.path().join("other.db");
        Connection::open(&other).and_then(|db| db.execute_batch("CREATE TABLE t (x)")).expect("made");
        for path in [&text, &other] {
            let before = (fs::read(path).expect("read"), fs::metadata(path).expect("there").permissions());
            let options = OpenOptions::new(path);
            for refusal in [sentence(open_writing(&options)), sentence(open_reading(&options))] {
                assert_eq!(refusal, format!("{} is not a pillarbox file", path.display()));
            }
            assert!(sentence(create(&options)).contains("exists already"));
            let after = (fs::read(path).expect("read"), fs::metadata(path).expect("there").permissions());
            assert!(before == after, "{} was touched", path.display());
        }
        let missing = OpenOptions::new(dir.path().join("none.db"));
        assert!(sentence(open_writing(&missing)).contains("cannot open"));
    }

    #[test]
    fn a_migration_leaves_a_copy_and_an_older_program_refuses() {
        let dir = folder();
        let options = OpenOptions::new(dir.path().join("box.db"));
        drop(create(&options).expect("created"));
        let newer = [MIGRATIONS, &[Migration::of("CREATE TABLE later (x INTEGER) STRICT;")]].concat();
        let db = migrate_file(&options, &newer).expect("migrated");
        assert_eq!(version(&db), Ok(MIGRATIONS.len() + 1));
        db.execute("INSERT INTO later VALUES (1)", []).expect("the table is there");
        drop(db);
        let refusal = sentence(open_writing(&options));
        assert!(
            refusal.contains("newer pillarbox")
                && refusal.contains(&format!("schema {}", MIGRATIONS.len() + 1)),
            "{refusal}"
        );
        assert!(sentence(open_reading(&options)).contains("newer pillarbox"));
        let copy = OpenOptions::new(dir.path().join(format!("box.db.schema-{}", MIGRATIONS.len())));
        open_reading(&copy).expect("the copy is as it was");
    }

    #[test]
    fn a_file_of_the_first_schema_gets_a_search_index_that_begins_at_its_first_message() {
        let dir = folder();
        let options = OpenOptions::new(dir.path().join("box.db"));
        let db = new_file(&options).expect("a file");
        set_up(&db).expect("set up");
        migrate(&db, 0, &MIGRATIONS[..1]).expect("as it was");
        db.execute("INSERT INTO body (id, size, refs) VALUES (7, 1, 1)", []).expect("a body");
        drop(db);
        let db = open_writing(&options).expect("brought up to date");
        let state =
            db.query_row("SELECT mode, up_to FROM index_state", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(state, Ok((1, 0)));
        let kept: i64 = db.query_row("SELECT count(*) FROM body", [], |row| row.get(0)).expect("read");
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_file_from_before_there_were_limits_counts_what_is_flagged_deleted() {
        let dir = folder();
        let options = OpenOptions::new(dir.path().join("box.db"));
        let db = new_file(&options).expect("made");
        set_up(&db).expect("set up");
        migrate(&db, 0, &MIGRATIONS[..2]).expect("a file of schema 2");
        db.execute_batch(
            "INSERT INTO account (id, name, quota, made) VALUES (1, 'me@box.test', 5000, 0);
            INSERT INTO mailbox (id, account, name, validity, uid_next, modseq, complete_from, no_select, messages,
                deleted, bytes) VALUES (2, 1, 'INBOX', 1, 4, 1, 0, 0, 3, 2, 111), (3, 1, 'a', 2, 1, 1, 0, 0, 0, 0, 0);
            INSERT INTO message VALUES (2, 1, 1, 1, 8, 0, 1, 0, 0), (2, 2, 2, 10, 4, 0, 1, 0, 0),
                (2, 3, 3, 100, 12, 0, 1, 0, 0);",
        )
        .expect("filled");
        drop(db);
        let db = open_writing(&options).expect("brought up to date");
        let counted = |id: i64| {
            let sql = "SELECT deleted_bytes FROM mailbox WHERE id = ?1";
            db.query_row(sql, [id], |row| row.get::<_, i64>(0)).expect("there")
        };
        assert_eq!((counted(2), counted(3)), (101, 0));
        let limits = "SELECT quota, quota_messages, own_bytes FROM account";
        let limits = db.query_row(limits, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        assert_eq!(limits, Ok((Some(5000), None::<i64>, None::<i64>)));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let dir = folder();
        let options = OpenOptions::new(dir.path().join("box.db"));
        drop(create(&options).expect("created"));
        let broken =
            [MIGRATIONS, &[Migration::of("CREATE TABLE half (x INTEGER); SELECT nonsense;")]].concat();
        assert!(migrate_file(&options, &broken).is_err());
        let db = open_writing(&options).expect("still ours");
        assert!(db.prepare("SELECT * FROM half").is_err());
    }
}
