//! Messages that come in: slices of large bodies, deliveries, APPEND.

use rusqlite::OptionalExtension;

use crate::base::limits::SLICE_BYTES;
use crate::base::{AccountId, BodyId, ThreadId, Wall};
use crate::mime::Summary;

use super::super::mailbox::INBOX;
use super::super::message::SLICES_PER_BODY;
use super::super::sql::signed;
use super::super::{
    Append, Deliver, Delivered, Done, FlagNames, FlagOp, Flags, NewBody, Place, Refused, Slice, StoreError,
    Target, Usage,
};
use super::index;
use super::keywords;
use super::mailboxes;
use super::state::{Shown, State, check_quota};
use super::sweep;
use super::threads::{self, Ids};
use super::{Applied, Tx};

/// Bytes that a slice may take in the file: zstd's own bound is a little above the plain length.
const STORED_BYTES_MAX: usize = SLICE_BYTES + SLICE_BYTES / 64;

/// One slice of a large body: the first makes the body, each later one must be the next.
pub fn stage(tx: &mut Tx<'_>, body: Option<BodyId>, seq: u32, slice: &Slice, now: Wall) -> Applied {
    tx.needs_room()?;
    let (body, size) = match body {
        Some(body) => (body, staged_size(tx, body)?.ok_or(Refused::NoBody)?),
        None => {
            let body = tx.ids.body()?;
            tx.execute("INSERT INTO body (id, size, staged, refs) VALUES (?1, 0, ?2, 0)", (body, now))?;
            (body, 0)
        }
    };
    // A slice out of order, or after a short one, would shift every byte behind it.
    if size != u64::from(seq) * SLICE_BYTES as u64 {
        return Err(Refused::NoBody.into());
    }
    put_slice(tx, body, seq, slice)?;
    let size = size + u64::from(slice.length);
    tx.execute("UPDATE body SET size = ?2, staged = ?3 WHERE id = ?1", (body, signed(size), now))?;
    Ok(Done::Staged(body))
}

/// Gives an upload up. One that is not there (any more) is no fault.
pub fn discard(tx: &mut Tx<'_>, body: BodyId) -> Applied {
    if staged_size(tx, body)?.is_some() {
        sweep::drop_body(tx.db, body)?;
    }
    Ok(Done::Nothing)
}

pub fn deliver(tx: &mut Tx<'_>, deliver: &Deliver) -> Applied {
    tx.needs_room()?;
    let (body, size) = put_body(tx, &deliver.body, deliver.to.len())?;
    let mut delivered = Vec::with_capacity(deliver.to.len());
    for target in &deliver.to {
        check_quota(tx, target.account, Usage::messages(1, size))?;
        let mut mailbox = place(tx, target)?;
        let thread = thread(tx, target.account, body, &deliver.body)?;
        let shown = Arrival { body, size, thread, received: deliver.received, saved: deliver.received };
        delivered.push(show(tx, &mut mailbox, target.account, &target.flags, &shown)?);
        mailbox.save(tx, target.account)?;
    }
    Ok(Done::Delivered(delivered))
}

pub fn append(tx: &mut Tx<'_>, append: &Append) -> Applied {
    tx.needs_room()?;
    let mut mailbox = State::load_for(tx, append.mailbox, append.account)?;
    let (body, size) = put_body(tx, &append.body, 1)?;
    check_quota(tx, append.account, Usage::messages(1, size))?;
    let thread = thread(tx, append.account, body, &append.body)?;
    let shown = Arrival { body, size, thread, received: append.received, saved: append.now };
    let appended = show(tx, &mut mailbox, append.account, &append.flags, &shown)?;
    mailbox.save(tx, append.account)?;
    Ok(Done::Appended(appended))
}

/// All go into the mailbox of the first.
pub fn append_all(tx: &mut Tx<'_>, appends: &[Append]) -> Applied {
    tx.needs_room()?;
    let Some(first) = appends.first() else { return Ok(Done::AppendedAll(Vec::new())) };
    let mut mailbox = State::load_for(tx, first.mailbox, first.account)?;
    let mut appended = Vec::with_capacity(appends.len());
    let mut bytes = 0_u64;
    for append in appends {
        let (body, size) = put_body(tx, &append.body, 1)?;
        bytes = bytes.saturating_add(size);
        let thread = thread(tx, first.account, body, &append.body)?;
        let shown = Arrival { body, size, thread, received: append.received, saved: append.now };
        appended.push(show(tx, &mut mailbox, first.account, &append.flags, &shown)?);
    }
    check_quota(tx, first.account, Usage::messages(appends.len() as u64, bytes))?;
    mailbox.save(tx, first.account)?;
    Ok(Done::AppendedAll(appended))
}

pub fn park(tx: &mut Tx<'_>, body: &NewBody, now: Wall) -> Applied {
    tx.needs_room()?;
    let (body, _) = put_body(tx, body, 0)?;
    tx.execute("UPDATE body SET staged = ?2 WHERE id = ?1", (body, now))?;
    Ok(Done::Staged(body))
}

struct Arrival {
    body: BodyId,
    size: u64,
    thread: ThreadId,
    received: Wall,
    saved: Wall,
}

/// The thread that a new message is in.
fn thread(tx: &Tx<'_>, account: AccountId, body: BodyId, new: &NewBody) -> Applied<ThreadId> {
    let ids = match new {
        NewBody::Inline { summary, .. } | NewBody::Staged { summary, .. } => Ids::of(&summary.sort),
        NewBody::Parked { .. } => threads::ids_of(tx.db, body)?,
    };
    Ok(threads::join(tx.db, account, body, &ids)?)
}

/// The caller saves the mailbox.
fn show(
    tx: &mut Tx<'_>,
    mailbox: &mut State,
    account: AccountId,
    flags: &FlagNames,
    arrival: &Arrival,
) -> Applied<Delivered> {
    let names = keywords::settle(tx, mailbox.id, flags, FlagOp::Set)?;
    let keywords = keywords::apply(tx, Default::default(), FlagOp::Set, &names)?;
    let shown = Shown {
        body: arrival.body,
        size: arrival.size,
        thread: arrival.thread,
        flags: Flags { system: flags.system, keywords },
        received: arrival.received,
        saved: arrival.saved,
    };
    mailbox.show(tx, account, &shown)
}

/// The mailbox that a target means, made if it is missing.
fn place(tx: &mut Tx<'_>, target: &Target) -> Applied<State> {
    let id = match &target.place {
        Place::Inbox => mailboxes::find(tx, target.account, INBOX)?.ok_or(Refused::NoAccount)?,
        Place::Named(name) => mailboxes::find_or_create(tx, target.account, name)?,
        Place::Special(special) => mailboxes::special(tx, target.account, *special)?,
    };
    State::load_for(tx, id, target.account)
}

/// Stores the body that comes with a write, or takes the staged one that it names. `refs` rows are going to show it.
fn put_body(tx: &mut Tx<'_>, body: &NewBody, refs: usize) -> Applied<(BodyId, u64)> {
    let refs = i64::try_from(refs).unwrap_or(i64::MAX);
    match body {
        NewBody::Inline { slice, sha256, summary } => {
            let id = tx.ids.body()?;
            let size = u64::from(slice.length);
            let sql = "INSERT INTO body (id, size, sha256, refs) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, (id, signed(size), sha256.as_slice(), refs))?;
            put_slice(tx, id, 0, slice)?;
            put_summary(tx.db, id, summary)?;
            Ok((id, size))
        }
        NewBody::Staged { body, size, sha256, summary } => {
            if staged_size(tx, *body)? != Some(*size) {
                return Err(Refused::NoBody.into());
            }
            let sql = "UPDATE body SET sha256 = ?2, staged = NULL, refs = ?3 WHERE id = ?1";
            tx.execute(sql, (body, sha256.as_slice(), refs))?;
            index::finished(tx.db, *body)?;
            put_summary(tx.db, *body, summary)?;
            Ok((*body, *size))
        }
        NewBody::Parked { body, size } => {
            let sql = "UPDATE body SET staged = NULL, refs = ?2
                WHERE id = ?1 AND size = ?3 AND sha256 IS NOT NULL AND staged IS NOT NULL AND refs = 0";
            match tx.execute(sql, (body, refs, signed(*size)))? {
                1 => {
                    index::finished(tx.db, *body)?;
                    Ok((*body, *size))
                }
                _ => Err(Refused::NoBody.into()),
            }
        }
    }
}

/// How much of an upload has come; `None` if there is no such upload.
fn staged_size(tx: &Tx<'_>, body: BodyId) -> Applied<Option<u64>> {
    let sql = "SELECT size FROM body WHERE id = ?1 AND staged IS NOT NULL AND refs = 0";
    Ok(tx.statement(sql)?.query_row([body], |row| row.get(0)).optional()?)
}

fn put_slice(tx: &Tx<'_>, body: BodyId, seq: u32, slice: &Slice) -> Applied<()> {
    let plain = slice.compressed || slice.stored.len() == slice.length as usize;
    if slice.length as usize > SLICE_BYTES || slice.stored.len() > STORED_BYTES_MAX || !plain {
        return Err(StoreError::Broken("a slice is not what it says it is".into()).into());
    }
    if i64::from(seq) >= SLICES_PER_BODY {
        return Err(Refused::Limit("the message is too large".into()).into());
    }
    tx.execute(
        "INSERT INTO slice (id, length, compressed, stored) VALUES (?1, ?2, ?3, ?4)",
        (body.0 * SLICES_PER_BODY + i64::from(seq), slice.length, slice.compressed, &slice.stored),
    )?;
    Ok(())
}

/// What FETCH, SORT and THREAD will tell of a body.
pub fn put_summary(db: &rusqlite::Connection, body: BodyId, summary: &Summary) -> rusqlite::Result<()> {
    let sort = &summary.sort;
    let sql =
        "INSERT OR REPLACE INTO summary (body, envelope, structure, parts, sent, subject, sort_from, sort_to,
        sort_cc, display_from, display_to, message_id, thread_refs, preview)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    db.prepare_cached(sql)?.execute((
        body,
        &summary.envelope,
        &summary.structure,
        &summary.parts,
        sort.sent,
        &sort.subject,
        &sort.from,
        &sort.to,
        &sort.cc,
        &sort.display_from,
        &sort.display_to,
        &sort.message_id,
        &sort.references,
        &summary.preview,
    ))?;
    Ok(())
}
