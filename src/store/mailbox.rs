//! Reads of mailboxes: one row each, because counters are kept at every commit. Also what a mailbox may be called.

use std::sync::Arc;

use rusqlite::Row;

use crate::base::limits::{MAILBOX_LEVELS_MAX, MAILBOX_NAME_BYTES_MAX};
use crate::base::{AccountId, MailboxId, Wall};

use super::{KeywordSet, MailboxRow, Reader, Refused, Status, StoreError};
use crate::mime::text::is_decomposed;

/// The one name that every account has, and that means the same in any case (RFC 9051 section 5.1).
pub const INBOX: &str = "INBOX";

/// Keyword sets whose names a reader remembers.
const KEYWORD_SETS_KEPT: usize = 4_096;

const MAILBOX: &str = "SELECT id, account, name, validity, uid_next, modseq, messages, deleted, bytes,
    deleted_bytes, special, no_select, EXISTS (SELECT 1 FROM subscription
        WHERE subscription.account = mailbox.account AND subscription.name = mailbox.name)
    FROM mailbox";

impl Reader {
    /// All mailboxes of an account by name (INBOX first, then in order of name).
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError> {
        let sql = format!("{MAILBOX} WHERE account = ?1 ORDER BY name <> 'INBOX', name");
        self.all(&sql, [account], mailbox_row)
    }

    /// Subscribed names, also of mailboxes that do not exist (any more).
    pub fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM subscription WHERE account = ?1 ORDER BY name <> 'INBOX', name";
        self.all(sql, [account], |row| row.get(0))
    }

    /// By name; `inbox` in any case is INBOX.
    pub fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Option<MailboxRow>, StoreError> {
        let sql = format!("{MAILBOX} WHERE account = ?1 AND name = ?2");
        self.one(&sql, (account, canonical(name)), mailbox_row)
    }

    pub fn mailbox(&self, id: MailboxId) -> Result<Option<MailboxRow>, StoreError> {
        if let Some(row) = self.row_of_turn.borrow().as_ref().filter(|row| row.id == id) {
            return Ok(Some(row.clone()));
        }
        let row = self.one(&format!("{MAILBOX} WHERE id = ?1"), [id], mailbox_row)?;
        self.row_of_turn.replace(row.clone());
        Ok(row)
    }

    pub fn status(&self, mailbox: MailboxId, account: AccountId) -> Result<Status, StoreError> {
        let sql =
            "SELECT messages - coalesce((SELECT seen FROM seen_count WHERE mailbox = ?1 AND account = ?2), 0)
            FROM mailbox WHERE id = ?1";
        let unseen: Option<i64> = self.one(sql, (mailbox, account), |row| row.get(0))?;
        Ok(Status { unseen: u32::try_from(unseen.unwrap_or(0)).unwrap_or(0) })
    }

    /// When a message last came into a mailbox; 1970 for an empty file. Costs one row for each mailbox.
    pub fn newest_saved(&self) -> Result<Wall, StoreError> {
        let sql = "SELECT max((SELECT saved FROM message WHERE message.mailbox = mailbox.id ORDER BY uid DESC LIMIT 1))
            FROM mailbox";
        let newest: Option<Option<i64>> = self.one(sql, [], |row| row.get(0))?;
        Ok(Wall(newest.flatten().unwrap_or(0)))
    }

    /// Whether there are names below this one.
    pub fn has_children(&self, account: AccountId, name: &str) -> Result<bool, StoreError> {
        // `/` is followed by `0`: names below `a` lie between `a/` and `a0`.
        let sql = "SELECT 1 FROM mailbox WHERE account = ?1 AND name >= ?2 AND name < ?3 LIMIT 1";
        let bounds = (account, format!("{name}/"), format!("{name}0"));
        Ok(self.one(sql, bounds, |row| row.get::<_, i64>(0))?.is_some())
    }

    /// Names of an interned keyword set, in its order.
    pub fn keywords(&self, set: KeywordSet) -> Result<Arc<[String]>, StoreError> {
        if set == KeywordSet::default() {
            return Ok(Arc::from([]));
        }
        if let Some(known) = self.keyword_sets.borrow().get(&set) {
            return Ok(Arc::clone(known));
        }
        let names: Option<String> =
            self.one("SELECT names FROM keyword_set WHERE id = ?1", [set], |row| row.get(0))?;
        // A set from a view that is newer than this turn's snapshot is not remembered as empty.
        let Some(names) = names else { return Ok(Arc::from([])) };
        let names: Arc<[String]> = names.split(' ').map(String::from).collect();
        let mut known = self.keyword_sets.borrow_mut();
        if known.len() >= KEYWORD_SETS_KEPT {
            known.clear();
        }
        known.insert(set, Arc::clone(&names));
        Ok(names)
    }

    /// All keywords ever used in a mailbox: what FLAGS and PERMANENTFLAGS list.
    pub fn mailbox_keywords(&self, mailbox: MailboxId) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM mailbox_keyword WHERE mailbox = ?1 ORDER BY folded";
        self.all(sql, [mailbox], |row| row.get(0))
    }
}

fn mailbox_row(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    Ok(MailboxRow {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        validity: row.get(3)?,
        uid_next: row.get(4)?,
        modseq: row.get(5)?,
        messages: row.get(6)?,
        deleted: row.get(7)?,
        bytes: row.get(8)?,
        deleted_bytes: row.get(9)?,
        special: row.get(10)?,
        no_select: row.get(11)?,
        subscribed: row.get(12)?,
    })
}

/// `inbox` and `Inbox/x` are `INBOX` and `INBOX/x`; every other name is itself.
pub fn canonical(name: &str) -> String {
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    if first.eq_ignore_ascii_case(INBOX) { format!("{INBOX}{rest}") } else { name.into() }
}

/// The name as it is stored, if it may be one: RFC 9051 section 5.1 leaves this to the server. Wildcards and control
/// characters are refused because no client could name such a mailbox safely in LIST.
pub fn check_name(name: &str) -> Result<String, Refused> {
    let bad = |why: &str| Err(Refused::BadName(why.into()));
    if name.is_empty() {
        return bad("a mailbox name may not be empty");
    }
    if name.len() > MAILBOX_NAME_BYTES_MAX {
        return bad("the mailbox name is too long");
    }
    if name.split('/').any(str::is_empty) {
        return bad("a mailbox name may not begin or end with / or contain //");
    }
    if name.split('/').count() > MAILBOX_LEVELS_MAX {
        return bad("the mailbox name has too many levels");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '%' | '*' | '\u{2028}' | '\u{2029}')) {
        return bad("a mailbox name may not contain % or * or control characters");
    }
    // Net-Unicode, as RFC 9051 section 5.1 demands: else two names look the same and are not.
    if is_decomposed(name) {
        return bad(
            "a mailbox name may not have letters and their accents apart: write it in Unicode's form NFC",
        );
    }
    Ok(canonical(name))
}

/// The names above this one: `a/b/c` has `a` and `a/b`.
pub fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}
