//! A mailbox while a write works on it: its counters in memory, written back once.

use rusqlite::OptionalExtension;

use crate::base::{AccountId, BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity, Wall};

use super::super::account::{limits, usage};
use super::super::sql::signed;
use super::super::{Delivered, Flags, Refused, Usage};
use super::{Applied, Tx, threads};

/// One row of `mailbox`. `save` writes it back if anything happened.
pub struct State {
    pub id: MailboxId,
    pub account: AccountId,
    pub validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
    pub no_select: bool,
    messages: i64,
    deleted: i64,
    bytes: i64,
    deleted_bytes: i64,
    /// The modseq of this write, once something has changed.
    own: Option<ModSeq>,
    /// Change of the number of seen messages, for one account.
    seen: i64,
}

/// What messages that go take off the counters.
pub struct Gone {
    pub messages: i64,
    pub bytes: i64,
    pub deleted: i64,
    pub deleted_bytes: i64,
}

/// One message to be shown in a mailbox.
#[derive(Clone, Copy)]
pub struct Shown {
    pub body: BodyId,
    pub size: u64,
    pub thread: ThreadId,
    pub flags: Flags,
    pub received: Wall,
    pub saved: Wall,
}

impl State {
    pub fn load(tx: &Tx<'_>, id: MailboxId) -> Applied<State> {
        let sql =
            "SELECT account, validity, uid_next, modseq, no_select, messages, deleted, bytes, deleted_bytes
            FROM mailbox WHERE id = ?1";
        let found = tx.statement(sql)?.query_row([id], |row| {
            Ok(State {
                id,
                account: row.get(0)?,
                validity: row.get(1)?,
                uid_next: row.get(2)?,
                modseq: row.get(3)?,
                no_select: row.get(4)?,
                messages: row.get(5)?,
                deleted: row.get(6)?,
                bytes: row.get(7)?,
                deleted_bytes: row.get(8)?,
                own: None,
                seen: 0,
            })
        });
        found.optional()?.ok_or_else(|| Refused::NoMailbox.into())
    }

    /// A mailbox of this account that can hold messages.
    pub fn load_for(tx: &Tx<'_>, id: MailboxId, account: AccountId) -> Applied<State> {
        let state = State::load(tx, id)?;
        if state.account != account || state.no_select { Err(Refused::NoMailbox.into()) } else { Ok(state) }
    }

    /// The modseq of this write in this mailbox: one for all that it changes here.
    pub fn step(&mut self) -> ModSeq {
        let next = self.own.unwrap_or_else(|| self.modseq.next());
        self.own = Some(next);
        self.modseq = next;
        next
    }

    pub fn messages(&self) -> usize {
        usize::try_from(self.messages).unwrap_or(0)
    }

    /// Whether any message here is flagged `\Deleted`.
    pub fn has_deleted(&self) -> bool {
        self.deleted > 0
    }

    /// Shows a message at the next uid.
    pub fn show(&mut self, tx: &Tx<'_>, account: AccountId, shown: &Shown) -> Applied<Delivered> {
        let uid = self.uid_next;
        if uid == Uid::MAX {
            return Err(Refused::Limit(
                "this mailbox has used up its uids; move its messages to a new one".into(),
            )
            .into());
        }
        let modseq = self.step();
        tx.execute(
            "INSERT INTO message (mailbox, uid, body, size, flags, keywords, modseq, received, saved,
                thread) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                self.id,
                uid,
                shown.body,
                signed(shown.size),
                shown.flags.system & !Flags::SEEN,
                shown.flags.keywords,
                modseq,
                shown.received,
                shown.saved,
                threads::stored(shown.thread, shown.body),
            ),
        )?;
        self.uid_next = uid.next();
        self.count(shown.flags.has(Flags::DELETED), shown.size, 1);
        if shown.flags.has(Flags::SEEN) {
            self.say_seen(tx, account, uid, true)?;
            self.seen += 1;
        }
        Ok(Delivered { account, mailbox: self.id, validity: self.validity, uid, modseq })
    }

    /// Writes down what an account says of `\Seen`. The caller counts.
    pub fn say_seen(&mut self, tx: &Tx<'_>, account: AccountId, uid: Uid, seen: bool) -> Applied<()> {
        let modseq = self.step();
        tx.execute(
            "INSERT INTO seen (mailbox, account, uid, seen, modseq) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
            (self.id, account, uid, seen, modseq),
        )?;
        Ok(())
    }

    pub fn count_seen(&mut self, by: i64) {
        self.seen += by;
    }

    /// A message of this size was flagged `\Deleted` (`by` 1), or is no longer (-1).
    pub fn count_deleted(&mut self, size: u64, by: i64) {
        self.deleted += by;
        self.deleted_bytes += by * signed(size);
    }

    /// One message came (`by` 1) or went (-1).
    pub fn count(&mut self, deleted: bool, size: u64, by: i64) {
        self.messages += by;
        self.bytes += by * signed(size);
        self.count_deleted(size, by * i64::from(deleted));
    }

    /// Many messages went at once.
    pub fn count_gone(&mut self, gone: &Gone) {
        self.messages -= gone.messages;
        self.bytes -= gone.bytes;
        self.deleted -= gone.deleted;
        self.deleted_bytes -= gone.deleted_bytes;
    }

    /// Writes the row back; `account` is whose `\Seen` was counted.
    pub fn save(self, tx: &mut Tx<'_>, account: AccountId) -> Applied<()> {
        if self.own.is_none() {
            return Ok(());
        }
        tx.execute(
            "UPDATE mailbox SET uid_next = ?2, modseq = ?3, messages = ?4, deleted = ?5, bytes = ?6,
                deleted_bytes = ?7 WHERE id = ?1",
            (
                self.id,
                self.uid_next,
                self.modseq,
                self.messages,
                self.deleted,
                self.bytes,
                self.deleted_bytes,
            ),
        )?;
        if self.seen != 0 {
            tx.execute(
                "INSERT INTO seen_count (mailbox, account, seen) VALUES (?1, ?2, ?3)
                    ON CONFLICT DO UPDATE SET seen = seen + excluded.seen",
                (self.id, account, self.seen),
            )?;
        }
        tx.mailboxes.insert(self.id);
        Ok(())
    }
}

/// Refuses what would make an account hold more than it may. Costs a row for each mailbox, where there is a limit.
pub fn check_quota(tx: &Tx<'_>, account: AccountId, more: Usage) -> Applied<()> {
    let sql = "SELECT quota, quota_messages, quota_mailboxes, own_bytes, own_messages, own_mailboxes
        FROM account WHERE id = ?1";
    let found = tx.statement(sql)?.query_row([account], |row| Ok(limits(row, 0)?.and(limits(row, 3)?)));
    let limits = found.optional()?.ok_or(Refused::NoAccount)?;
    if limits.is_unlimited() {
        return Ok(());
    }
    let sql = "SELECT coalesce(sum(bytes), 0), coalesce(sum(messages), 0), count(*) FROM mailbox WHERE account = ?1";
    let used = tx.statement(sql)?.query_row([account], |row| usage(row, 0))?;
    match limits.passed(used, more) {
        Some(resource) => Err(Refused::OverQuota(resource).into()),
        None => Ok(()),
    }
}

/// One more row shows this body, or `by` fewer.
pub fn count_refs(tx: &Tx<'_>, body: BodyId, by: i64) -> Applied<()> {
    tx.execute("UPDATE body SET refs = refs + ?2 WHERE id = ?1", (body, by))?;
    Ok(())
}
