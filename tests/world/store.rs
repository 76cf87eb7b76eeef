//! The file of a world: where it lies, how it is opened, and what a person would have set up in it.

use std::path::Path;

use pillarbox::base::{MailboxId, Ticket, Wall};
use pillarbox::delivery::intake::Intake;
use pillarbox::session::Budget;
use pillarbox::store::{
    Admin, Done, IndexWork, NewBody, Outcome, Question, Reader, Refused, Reply, Write, Writer,
};

/// A folder in memory where there is one: thousands of commits want no real disk.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for the test")
}

/// A new file with the first writes in it.
pub fn create(path: &Path, setup: Vec<Write>) {
    let mut writer = Writer::create(path).expect("a new file");
    for write in setup {
        let outcome = writer.commit(vec![(Ticket(0), write.clone())]).expect("setting up");
        assert!(outcome[0].1.result.is_ok(), "{write:?}: {:?}", outcome[0].1.result);
    }
}

/// The loop's reader, the reader thread's reader, and the writer.
pub fn open(path: &Path) -> (Reader, Reader, Writer) {
    let writer = Writer::open(path).expect("the file opens for writing");
    let hot = Reader::open(path).expect("the file opens for the loop");
    let cold = Reader::open(path).expect("the file opens for the reader");
    (hot, cold, writer)
}

/// When the newest message came in.
pub fn newest(_reader: &Reader) -> Wall {
    Wall(0)
}

/// The usual box: one domain, `alice@box.test` with the password `secret`, and `bob@box.test` with `hidden`.
pub fn usual() -> Vec<Write> {
    let mut writes = vec![Write::Admin(Admin::AddDomain { name: "box.test".into() })];
    writes.push(account("alice@box.test", "secret"));
    writes.push(account("bob@box.test", "hidden"));
    writes.push(setting("hostname", "mx.box.test"));
    writes.push(setting("plaintext-login", "yes"));
    writes
}

pub fn account(name: &str, secret: &str) -> Write {
    let hash = fake_hash(secret.as_bytes());
    Write::Admin(Admin::AddAccount { name: name.into(), hash, now: super::BEGIN })
}

pub fn setting(name: &str, value: &str) -> Write {
    Write::Admin(Admin::SetSetting { name: name.into(), value: Some(value.into()) })
}

/// Looks like the real thing and costs nothing: the salt is the secret.
pub fn fake_hash(secret: &[u8]) -> String {
    let salt = data_encoding::BASE64_NOPAD.encode(secret);
    format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
}

pub fn fake_match(secret: &[u8], hashes: &[String]) -> Option<usize> {
    let right = fake_hash(secret);
    hashes.iter().position(|hash| *hash == right)
}

pub fn outcome_refused(refused: Refused) -> Outcome {
    let nothing = Vec::new;
    Outcome {
        result: Err(refused),
        mailboxes: nothing(),
        accounts: Vec::new(),
        revoked: Vec::new(),
        settings: false,
    }
}

/// A body that fits into one slice, as a session would make it.
pub fn body(bytes: &[u8]) -> NewBody {
    let mut budget = Budget::lend(usize::MAX / 2, 0);
    let mut intake = Intake::new(super::BEGIN);
    assert_eq!(intake.feed(bytes, &mut budget), bytes.len(), "a body of one slice");
    intake.finish().unwrap_or_else(|_| panic!("a body of one slice"))
}

/// What a write weighs in a batch.
pub fn payload_bytes(write: &Write) -> usize {
    if let Write::Stage { slice, .. } = write {
        return slice.stored.len();
    }
    let inline =
        |body: &NewBody| if let NewBody::Inline { slice, .. } = body { slice.stored.len() } else { 0 };
    write.bodies().map(inline).sum()
}

/// All bytes of a body.
pub fn whole_body(reader: &Reader, body: pillarbox::base::BodyId, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let length = pillarbox::base::limits::SLICE_BYTES as u32;
        let question = Question::Body { body, at: bytes.len() as u64, length };
        match reader.answer(&question) {
            Ok(Reply::Bytes(more)) if !more.is_empty() => bytes.extend(more),
            other => return Err(format!("body {body} of {size} ends at {}: {other:?}", bytes.len())),
        }
    }
    Ok(bytes)
}

// --- planted bugs that live in the file ---

fn sql(path: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).expect("the file opens");
    db.pragma_update(None, "wal_autocheckpoint", 0).expect("a pragma");
    db
}

/// The next uid is one above the highest that is there: wrong as soon as the highest was expunged.
pub fn reuse_uids(path: &Path) {
    let change = "UPDATE mailbox SET uid_next =
        1 + (SELECT coalesce(max(uid), 0) FROM message WHERE message.mailbox = mailbox.id)";
    sql(path).execute(change, []).expect("reuse");
}

/// The search index believes to know bodies that are yet to come.
pub fn advance_watermark(batch: &mut [(Ticket, Write)]) {
    for (_, write) in batch {
        if let Write::Index(IndexWork::Rows { up_to, .. }) = write {
            up_to.0 += 5;
        }
    }
}

/// Flags have changed, their modseq has not.
pub fn forget_modseq(path: &Path, results: &[(Ticket, Outcome)]) {
    for (_, outcome) in results {
        let (Ok(Done::Flags { modseq, .. }), Some(MailboxId(mailbox))) =
            (&outcome.result, outcome.mailboxes.first())
        else {
            continue;
        };
        let modseq = modseq.0 as i64;
        for table in ["message", "seen"] {
            let change = format!("UPDATE {table} SET modseq = 1 WHERE mailbox = ?1 AND modseq = ?2");
            sql(path).execute(&change, (mailbox, modseq)).expect("forget");
        }
    }
}

/// Of the messages of one APPEND, the last is not there.
pub fn lose_last(path: &Path, results: &[(Ticket, Outcome)]) {
    for (_, outcome) in results {
        let Ok(Done::AppendedAll(places)) = &outcome.result else { continue };
        let Some(last) = places.last() else { continue };
        let change = "DELETE FROM message WHERE mailbox = ?1 AND uid = ?2";
        sql(path).execute(change, (last.mailbox.0, last.uid.0)).expect("lose");
    }
}

/// The first two slices of a body that came in slices change places.
pub fn swap_slices(path: &Path, writes: &[Write]) {
    for body in writes.iter().flat_map(Write::bodies) {
        let NewBody::Staged { body, size, .. } = body else { continue };
        if *size < 2 * pillarbox::base::limits::SLICE_BYTES as u64 {
            continue;
        }
        let first = body.0 * 65_536;
        let db = sql(path);
        for (from, to) in [(first, -1), (first + 1, first), (-1, first + 1)] {
            db.execute("UPDATE slice SET id = ?2 WHERE id = ?1", (from, to)).expect("swap");
        }
    }
}
