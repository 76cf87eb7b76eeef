//! Taking messages out of a mailbox: the row moves to `expunged`, where sessions that still show it find it, and from
//! where QRESYNC learns that it is gone.

use crate::base::{MailboxId, Uid, UidSet, Wall};

use super::super::{Done, Expunge, Flags, Refused, Remove};
use super::state::{Gone, State};
use super::{Applied, Tx};

/// `expunged.at` of what need not be kept at all.
pub const NOT_KEPT: Wall = Wall(-1);

pub fn expunge(tx: &mut Tx<'_>, expunge: &Expunge) -> Applied {
    let mut mailbox = State::load(tx, expunge.mailbox)?;
    if mailbox.no_select {
        return Err(Refused::NoMailbox.into());
    }
    let mut uids = UidSet::new();
    if mailbox.has_deleted() {
        let everything = UidSet::range(1..=u32::MAX);
        let among = expunge.uids.as_ref().unwrap_or(&everything);
        for range in among.ranges() {
            for uid in deleted(tx, &mailbox, *range.start(), *range.end())? {
                uids.insert(uid.0);
            }
        }
    }
    take_out(tx, &mut mailbox, &uids, expunge.now)?;
    let modseq = mailbox.modseq;
    let account = mailbox.account;
    mailbox.save(tx, account)?;
    Ok(Done::Expunged { modseq, uids })
}

pub fn remove(tx: &mut Tx<'_>, remove: &Remove) -> Applied {
    let mut mailbox = State::load_for(tx, remove.mailbox, remove.account)?;
    let mut uids = UidSet::new();
    for range in remove.uids.ranges() {
        let sql = "SELECT uid FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid";
        let mut statement = tx.statement(sql)?;
        let here = (mailbox.id, *range.start(), *range.end());
        for uid in statement.query_map(here, |row| row.get::<_, Uid>(0))? {
            uids.insert(uid?.0);
        }
    }
    take_out(tx, &mut mailbox, &uids, remove.now)?;
    let modseq = mailbox.modseq;
    mailbox.save(tx, remove.account)?;
    Ok(Done::Expunged { modseq, uids })
}

fn deleted(tx: &Tx<'_>, mailbox: &State, first: u32, last: u32) -> Applied<Vec<Uid>> {
    let sql = "SELECT uid FROM message INDEXED BY message_deleted
        WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND flags & 8 ORDER BY uid";
    let mut statement = tx.statement(sql)?;
    let rows = statement.query_map((mailbox.id, first, last), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Moves these messages (all that are there) to `expunged`, under one modseq.
pub fn take_out(tx: &Tx<'_>, mailbox: &mut State, uids: &UidSet, at: Wall) -> Applied<()> {
    if uids.is_empty() {
        return Ok(());
    }
    let modseq = mailbox.step();
    let owner = mailbox.account;
    for range in uids.ranges() {
        let here = (mailbox.id, *range.start(), *range.end());
        tx.execute(
            "INSERT INTO expunged (mailbox, uid, body, size, flags, keywords, modseq, received, saved, at,
                thread)
                SELECT m.mailbox, m.uid, m.body, m.size, m.flags | coalesce(s.seen, 0), m.keywords, ?4,
                    m.received, m.saved, ?5, m.thread
                FROM message AS m
                LEFT JOIN seen AS s ON s.mailbox = m.mailbox AND s.account = ?6 AND s.uid = m.uid
                WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3",
            (here.0, here.1, here.2, modseq, at, owner),
        )?;
        mailbox.count_gone(&count(tx, here)?);
        tx.execute("DELETE FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3", here)?;
        forget_seen(tx, mailbox, here.1, here.2)?;
    }
    Ok(())
}

fn count(tx: &Tx<'_>, (mailbox, first, last): (MailboxId, u32, u32)) -> Applied<Gone> {
    let sql = "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(flags & 8 <> 0), 0),
        coalesce(sum(iif(flags & 8, size, 0)), 0) FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3";
    Ok(tx.statement(sql)?.query_row((mailbox, first, last), |row| {
        Ok(Gone {
            messages: row.get(0)?,
            bytes: row.get(1)?,
            deleted: row.get(2)?,
            deleted_bytes: row.get(3)?,
        })
    })?)
}

/// Every account's word on `\Seen` goes with the message.
fn forget_seen(tx: &Tx<'_>, mailbox: &mut State, first: u32, last: u32) -> Applied<()> {
    let mut accounts = tx.statement("SELECT account FROM seen_count WHERE mailbox = ?1")?;
    let accounts = accounts.query_map([mailbox.id], |row| row.get(0))?;
    for account in accounts.collect::<rusqlite::Result<Vec<crate::base::AccountId>>>()? {
        let range = (mailbox.id, account, first, last);
        let seen: i64 = tx
            .statement(
                "SELECT coalesce(sum(seen), 0) FROM seen WHERE mailbox = ?1 AND account = ?2 AND uid BETWEEN ?3 AND ?4",
            )?
            .query_row(range, |row| row.get(0))?;
        if seen != 0 {
            tx.execute(
                "UPDATE seen_count SET seen = seen - ?3 WHERE mailbox = ?1 AND account = ?2",
                (mailbox.id, account, seen),
            )?;
        }
        tx.execute("DELETE FROM seen WHERE mailbox = ?1 AND account = ?2 AND uid BETWEEN ?3 AND ?4", range)?;
    }
    Ok(())
}

/// All messages of a mailbox, whatever their flags.
pub fn take_all_out(tx: &Tx<'_>, mailbox: &mut State, at: Wall) -> Applied<()> {
    let uids = UidSet::range(1..=Uid::MAX.0);
    take_out(tx, mailbox, &uids, at)
}

const _: () = assert!(Flags::DELETED == 8 && Flags::SEEN == 1, "the SQL above says 8 and 1");
