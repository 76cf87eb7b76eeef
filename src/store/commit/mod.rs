//! Group commit: a batch of writes, each in its own savepoint, one COMMIT, one fsync for all.
//!
//! ```text
//! BEGIN IMMEDIATE
//!   for each write: SAVEPOINT, apply; refused or panicked: ROLLBACK TO it and go on
//! COMMIT            the only point at which anything of the batch is durable
//! ```
//!
//! Where SQLite gives the whole transaction up (disk full, I/O error), or COMMIT itself fails, the writes are tried again
//! one by one, so that one that cannot be stored takes no other with it. Nobody but this room changes a row.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{CachedStatement, Connection};

use crate::base::{AccountId, BodyId, CredentialId, MailboxId, Ticket};

use super::writer::Writer;
use super::{Done, Outcome, Refused, StoreError, Write};

mod account;
mod arrive;
mod disk;
mod expunge;
mod flags;
mod index;
mod keywords;
mod mailboxes;
mod state;
mod sweep;
mod threads;
mod transfer;

pub use arrive::put_summary;
pub use disk::{Disk, PAGE_BYTES, Space};
pub use index::empty_whole as empty_index;
pub use sweep::sweep_uploads;
pub use threads::{rebuild as rebuild_threads, thread_all};

/// Body ids taken from the file's counter at once; a crash skips what was left of them.
const BODY_IDS_RESERVED: i64 = 1_024;

/// Why a write did not happen: theirs, or ours.
enum Fault {
    Refused(Refused),
    Store(StoreError),
}

type Applied<T = Done> = Result<T, Fault>;

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        Fault::Refused(refused)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Store(error.into())
    }
}

/// What one write may touch, and whom it will have to hint.
struct Tx<'a> {
    db: &'a Connection,
    ids: &'a mut Ids,
    /// The disk reserve is not reached.
    room: bool,
    /// There is more than the reserve: enough for what can be made again.
    spare: bool,
    mailboxes: BTreeSet<MailboxId>,
    accounts: BTreeSet<AccountId>,
    revoked: BTreeSet<CredentialId>,
    settings: bool,
}

impl Tx<'_> {
    fn statement(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.db.prepare_cached(sql)
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.statement(sql)?.execute(params)
    }

    /// Refuses what makes the file grow while the disk reserve is reached.
    fn needs_room(&self) -> Applied<()> {
        if self.room { Ok(()) } else { Err(Refused::DiskFull.into()) }
    }
}

/// Body ids reserved in the file and not given out yet. Never given out twice, also not after a rollback or a crash:
/// a session may still hold the id of a body that is gone.
#[derive(Default)]
pub struct Ids {
    next: i64,
    end: i64,
}

impl Ids {
    /// At the beginning of a batch, outside any savepoint.
    fn reserve(&mut self, db: &Connection, bodies: usize) -> Result<(), StoreError> {
        let needed = i64::try_from(bodies).unwrap_or(i64::MAX);
        if self.end - self.next >= needed {
            return Ok(());
        }
        let count = needed.max(BODY_IDS_RESERVED);
        let sql = "UPDATE counter SET next = next + ?1 WHERE name = 'body' RETURNING next";
        self.end = db.prepare_cached(sql)?.query_row([count], |row| row.get(0))?;
        self.next = self.end - count;
        Ok(())
    }

    fn body(&mut self) -> Applied<BodyId> {
        if self.next >= self.end {
            return Err(StoreError::Broken("no body id was reserved for this write".into()).into());
        }
        self.next += 1;
        Ok(BodyId(self.next - 1))
    }

    /// The reservation was rolled back with its batch.
    fn forget(&mut self) {
        *self = Ids::default();
    }
}

/// The next value of one of the file's counters.
fn count_up(db: &Connection, counter: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("UPDATE counter SET next = next + 1 WHERE name = ?1 RETURNING next - 1")?
        .query_row([counter], |row| row.get(0))
}

pub fn commit(
    writer: &mut Writer,
    batch: Vec<(Ticket, Write)>,
) -> Result<Vec<(Ticket, Outcome)>, StoreError> {
    match attempt(writer, &batch) {
        Ok(outcomes) => Ok(batch.iter().map(|(ticket, _)| *ticket).zip(outcomes).collect()),
        Err(error) => {
            log::error!("a commit of {} changes failed: {error}", batch.len());
            one_by_one(writer, batch, error)
        }
    }
}

/// After a failed batch. If nothing at all can be stored, the caller hears the first error instead.
fn one_by_one(
    writer: &mut Writer,
    batch: Vec<(Ticket, Write)>,
    error: StoreError,
) -> Result<Vec<(Ticket, Outcome)>, StoreError> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut stored = false;
    for entry in batch {
        let single = std::slice::from_ref(&entry);
        match attempt(writer, single) {
            Ok(mut one) => {
                stored = true;
                outcomes.extend(one.pop().map(|outcome| (entry.0, outcome)));
            }
            Err(StoreError::Full) => {
                stored = true;
                outcomes.push((entry.0, refused(Refused::DiskFull)));
            }
            Err(error) => outcomes.push((entry.0, refused(Refused::Broken(error.to_string())))),
        }
    }
    if stored { Ok(outcomes) } else { Err(error) }
}

/// One transaction. `Err`: it was rolled back.
fn attempt(writer: &mut Writer, batch: &[(Ticket, Write)]) -> Result<Vec<Outcome>, StoreError> {
    let result = within_transaction(writer, batch);
    if result.is_err() {
        writer.ids.forget();
        if !writer.db.is_autocommit() {
            writer.db.execute_batch("ROLLBACK")?;
        }
    }
    result
}

fn within_transaction(writer: &mut Writer, batch: &[(Ticket, Write)]) -> Result<Vec<Outcome>, StoreError> {
    let Writer { db, ids, disk, before_each, .. } = writer;
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    ids.reserve(db, batch.iter().map(|(_, write)| write.bodies().count().max(1)).sum())?;
    let room = !batch.iter().any(|(_, write)| grows(write)) || disk.make_room(db)?;
    let spare = !batch.iter().any(|(_, write)| matches!(write, Write::Index(_))) || disk.has_spare();
    let mut outcomes = Vec::with_capacity(batch.len());
    for (_, write) in batch {
        let mut tx = Tx {
            db,
            ids,
            room,
            spare,
            mailboxes: BTreeSet::new(),
            accounts: BTreeSet::new(),
            revoked: BTreeSet::new(),
            settings: false,
        };
        let result = fenced(&mut tx, write, before_each)?;
        outcomes.push(match result {
            Ok(done) => Outcome {
                result: Ok(done),
                mailboxes: tx.mailboxes.into_iter().collect(),
                accounts: tx.accounts.into_iter().collect(),
                revoked: tx.revoked.into_iter().collect(),
                settings: tx.settings,
            },
            Err(why) => refused(why),
        });
    }
    db.prepare_cached("COMMIT")?.execute([])?;
    Ok(outcomes)
}

/// Called ahead of each write: a simulated fault.
pub type Before = Option<Box<dyn FnMut(&Write) + Send>>;

/// Applies one write whole or not at all. The outer `Err` means that the transaction is lost.
fn fenced(tx: &mut Tx<'_>, write: &Write, before: &mut Before) -> Result<Result<Done, Refused>, StoreError> {
    tx.execute("SAVEPOINT one", [])?;
    // What a panic leaves half done is the savepoint's rows, which are rolled back, and `tx`, which is dropped.
    let applied = catch_unwind(AssertUnwindSafe(|| {
        if let Some(before) = before {
            before(write);
        }
        apply(tx, write)
    }));
    let refusal = match applied {
        Ok(Ok(done)) => {
            tx.execute("RELEASE one", [])?;
            return Ok(Ok(done));
        }
        Ok(Err(Fault::Refused(why))) => why,
        Ok(Err(Fault::Store(error))) if tx.db.is_autocommit() => return Err(error),
        Ok(Err(Fault::Store(StoreError::Full))) => Refused::DiskFull,
        Ok(Err(Fault::Store(error))) => {
            log::error!("a change failed: {error}");
            Refused::Broken(error.to_string())
        }
        Err(_) => {
            log::error!("a change panicked and was refused; this is a bug");
            Refused::Broken("the change could not be made".into())
        }
    };
    tx.execute("ROLLBACK TO one", [])?;
    tx.execute("RELEASE one", [])?;
    Ok(Err(refusal))
}

fn refused(why: Refused) -> Outcome {
    Outcome {
        result: Err(why),
        mailboxes: Vec::new(),
        accounts: Vec::new(),
        revoked: Vec::new(),
        settings: false,
    }
}

/// Whether a write brings bodies or rows that are refused while the disk reserve is reached. Everything else must go
/// through, so that a full disk can be emptied.
fn grows(write: &Write) -> bool {
    matches!(write, Write::Stage { .. } | Write::Copy(_)) || write.bodies().next().is_some()
}

fn apply(tx: &mut Tx<'_>, write: &Write) -> Applied {
    match write {
        Write::Stage { body, seq, slice, now } => arrive::stage(tx, *body, *seq, slice, *now),
        Write::Discard { body } => arrive::discard(tx, *body),
        Write::Deliver(deliver) => arrive::deliver(tx, deliver),
        Write::Append(append) => arrive::append(tx, append),
        Write::AppendAll(appends) => arrive::append_all(tx, appends),
        Write::Park { body, now } => arrive::park(tx, body, *now),
        Write::Flags(change) => flags::change(tx, change),
        Write::Expunge(expunge) => expunge::expunge(tx, expunge),
        Write::Remove(remove) => expunge::remove(tx, remove),
        Write::Copy(transfer) => transfer::copy(tx, transfer),
        Write::Move(transfer) => transfer::move_(tx, transfer),
        Write::CreateMailbox { account, name, special, now: _ } => {
            mailboxes::create(tx, *account, name, *special)
        }
        Write::DeleteMailbox { account, name, now } => mailboxes::delete(tx, *account, name, *now),
        Write::RenameMailbox { account, from, to, now } => mailboxes::rename(tx, *account, from, to, *now),
        Write::Subscribe { account, name, on } => mailboxes::subscribe(tx, *account, name, *on),
        Write::Restrain { account, limits } => account::restrain(tx, *account, limits),
        Write::Used { credential, at, from } => account::used(tx, *credential, *at, from),
        Write::Index(work) => index::index(tx, work),
        Write::Admin(admin) => account::admin(tx, admin),
    }
}
