//! CREATE, DELETE, RENAME, SUBSCRIBE (RFC 9051 sections 6.3.4 to 6.3.8).

use rusqlite::OptionalExtension;

use crate::base::limits::{
    MAILBOX_LEVELS_MAX, MAILBOX_NAME_BYTES_MAX, MAILBOXES_PER_ACCOUNT_MAX, ROWS_REMOVED_AT_ONCE,
};
use crate::base::{AccountId, MailboxId, Wall};

use super::super::mailbox::{INBOX, canonical, check_name, parents};
use super::super::{Done, Refused, SpecialUse, Usage};
use super::state::{State, check_quota};
use super::{Applied, Tx, count_up, expunge, transfer};

/// What a new account has besides INBOX.
const SPECIAL_MAILBOXES: [(SpecialUse, &str); 5] = [
    (SpecialUse::Drafts, "Drafts"),
    (SpecialUse::Sent, "Sent"),
    (SpecialUse::Junk, "Junk"),
    (SpecialUse::Trash, "Trash"),
    (SpecialUse::Archive, "Archive"),
];

/// INBOX and the special-use mailboxes of a new account, subscribed.
pub fn first_mailboxes(tx: &mut Tx<'_>, account: AccountId) -> Applied<()> {
    insert(tx, account, INBOX, None)?;
    subscribe(tx, account, INBOX, true)?;
    for (special, name) in SPECIAL_MAILBOXES {
        insert(tx, account, name, Some(special))?;
        subscribe(tx, account, name, true)?;
    }
    Ok(())
}

pub fn create(tx: &mut Tx<'_>, account: AccountId, name: &str, special: Option<SpecialUse>) -> Applied {
    let name = check_name(name)?;
    known_account(tx, account)?;
    if let Some(special) = special
        && special_named(tx, account, special)?.is_some()
    {
        return Err(Refused::InUse.into());
    }
    let id = match find(tx, account, &name)? {
        Some(id) if State::load(tx, id)?.no_select => revive(tx, account, id, special)?,
        Some(_) => return Err(Refused::Exists.into()),
        None => make(tx, account, &name, special)?,
    };
    Ok(Done::Created { mailbox: id, validity: State::load(tx, id)?.validity })
}

/// A `\Noselect` name becomes a mailbox again, under a new UIDVALIDITY.
fn revive(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: MailboxId,
    special: Option<SpecialUse>,
) -> Applied<MailboxId> {
    let validity = count_up(tx.db, "validity")?;
    tx.execute(
        "UPDATE mailbox SET no_select = 0, special = ?2, validity = ?3 WHERE id = ?1",
        (id, special, validity),
    )?;
    tx.mailboxes.insert(id);
    tx.accounts.insert(account);
    Ok(id)
}

/// The mailbox with its missing parents.
fn make(tx: &mut Tx<'_>, account: AccountId, name: &str, special: Option<SpecialUse>) -> Applied<MailboxId> {
    make_parents(tx, account, name)?;
    add(tx, account, name, special)
}

fn make_parents(tx: &mut Tx<'_>, account: AccountId, name: &str) -> Applied<()> {
    for parent in parents(name) {
        if find(tx, account, parent)?.is_none() {
            add(tx, account, parent, None)?;
        }
    }
    Ok(())
}

/// A mailbox more than there were.
fn add(tx: &mut Tx<'_>, account: AccountId, name: &str, special: Option<SpecialUse>) -> Applied<MailboxId> {
    check_quota(tx, account, Usage::MAILBOX)?;
    insert(tx, account, name, special)
}

fn insert(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: &str,
    special: Option<SpecialUse>,
) -> Applied<MailboxId> {
    let count: usize = tx
        .statement("SELECT count(*) FROM mailbox WHERE account = ?1")?
        .query_row([account], |row| row.get(0))?;
    if count >= MAILBOXES_PER_ACCOUNT_MAX {
        return Err(Refused::Limit(format!("at most {MAILBOXES_PER_ACCOUNT_MAX} mailboxes")).into());
    }
    let id = MailboxId(count_up(tx.db, "thing")?);
    let validity = count_up(tx.db, "validity")?;
    tx.execute(
        "INSERT INTO mailbox (id, account, name, validity, uid_next, modseq, complete_from, special, no_select)
            VALUES (?1, ?2, ?3, ?4, 1, 1, 0, ?5, 0)",
        (id, account, name, validity, special),
    )?;
    tx.accounts.insert(account);
    Ok(id)
}

/// By stored name, also `\Noselect` ones.
pub fn find(tx: &Tx<'_>, account: AccountId, name: &str) -> Applied<Option<MailboxId>> {
    let sql = "SELECT id FROM mailbox WHERE account = ?1 AND name = ?2";
    Ok(tx.statement(sql)?.query_row((account, name), |row| row.get(0)).optional()?)
}

pub fn find_or_create(tx: &mut Tx<'_>, account: AccountId, name: &str) -> Applied<MailboxId> {
    let name = check_name(name)?;
    known_account(tx, account)?;
    match find(tx, account, &name)? {
        Some(id) if State::load(tx, id)?.no_select => revive(tx, account, id, None),
        Some(id) => Ok(id),
        None => make(tx, account, &name, None),
    }
}

/// The account's mailbox for this use. If there is none, one with the usual name gets it.
pub fn special(tx: &mut Tx<'_>, account: AccountId, special: SpecialUse) -> Applied<MailboxId> {
    if let Some(id) = special_named(tx, account, special)? {
        return Ok(id);
    }
    let usual = SPECIAL_MAILBOXES.iter().find(|(known, _)| *known == special);
    let fallback = format!("{special:?}");
    let id = find_or_create(tx, account, usual.map_or(&fallback, |(_, name)| name))?;
    tx.execute("UPDATE mailbox SET special = ?2 WHERE id = ?1 AND special IS NULL", (id, special))?;
    tx.accounts.insert(account);
    Ok(id)
}

fn special_named(tx: &Tx<'_>, account: AccountId, special: SpecialUse) -> Applied<Option<MailboxId>> {
    let sql = "SELECT id FROM mailbox WHERE account = ?1 AND special = ?2 AND no_select = 0";
    Ok(tx.statement(sql)?.query_row((account, special), |row| row.get(0)).optional()?)
}

fn known_account(tx: &Tx<'_>, account: AccountId) -> Applied<()> {
    let found = tx.statement("SELECT 1 FROM account WHERE id = ?1")?.exists([account])?;
    if found { Ok(()) } else { Err(Refused::NoAccount.into()) }
}

pub fn delete(tx: &mut Tx<'_>, account: AccountId, name: &str, now: Wall) -> Applied {
    let name = canonical(name);
    let id = find(tx, account, &name)?.ok_or(Refused::NoMailbox)?;
    if name == INBOX {
        return Err(Refused::InUse.into());
    }
    let mut mailbox = State::load(tx, id)?;
    let parent = has_children(tx, account, &name)?;
    // RFC 9051 section 6.3.5: it is an error to delete a \Noselect name that has inferior names.
    if parent && mailbox.no_select {
        return Err(Refused::InUse.into());
    }
    tx.accounts.insert(account);
    if mailbox.messages() > ROWS_REMOVED_AT_ONCE {
        disown(tx, id, DELETED)?;
        if parent {
            let name_only = insert(tx, account, &name, None)?;
            tx.execute("UPDATE mailbox SET no_select = 1 WHERE id = ?1", [name_only])?;
        }
        return Ok(Done::Mailbox(id));
    }
    expunge::take_all_out(tx, &mut mailbox, now)?;
    mailbox.step();
    mailbox.save(tx, account)?;
    if parent {
        tx.execute("UPDATE mailbox SET no_select = 1, special = NULL WHERE id = ?1", [id])?;
    } else {
        remove(tx, id)?;
    }
    Ok(Done::Mailbox(id))
}

/// Whose mailboxes are that are gone for everybody and still have messages in them, which the sweeps take out: those of
/// deleted mailboxes are kept as expunged ones are, those of removed accounts need not be. No account has these ids.
pub const DELETED: AccountId = AccountId(0);
pub const REMOVED: AccountId = AccountId(-1);

/// Takes a mailbox from its account, with all that is in it: one row, however many messages.
pub fn disown(tx: &mut Tx<'_>, id: MailboxId, to: AccountId) -> Applied<()> {
    tx.execute(
        "UPDATE mailbox SET account = ?2, name = ?3, special = NULL, no_select = 1 WHERE id = ?1",
        (id, to, id.to_string()),
    )?;
    tx.mailboxes.insert(id);
    Ok(())
}

/// The row and what hangs on it; its messages are in `expunged` already.
pub fn remove(tx: &mut Tx<'_>, id: MailboxId) -> Applied<()> {
    for sql in [
        "DELETE FROM mailbox WHERE id = ?1",
        "DELETE FROM mailbox_keyword WHERE mailbox = ?1",
        "DELETE FROM seen_count WHERE mailbox = ?1",
    ] {
        tx.execute(sql, [id])?;
    }
    tx.mailboxes.insert(id);
    Ok(())
}

/// `/` is followed by `0` in every encoding that SQLite compares: names below `a` lie between `a/` and `a0`.
fn below(name: &str) -> (String, String) {
    (format!("{name}/"), format!("{name}0"))
}

fn has_children(tx: &Tx<'_>, account: AccountId, name: &str) -> Applied<bool> {
    let (from, to) = below(name);
    let sql = "SELECT 1 FROM mailbox WHERE account = ?1 AND name >= ?2 AND name < ?3 LIMIT 1";
    Ok(tx.statement(sql)?.exists((account, from, to))?)
}

pub fn rename(tx: &mut Tx<'_>, account: AccountId, from: &str, to: &str, now: Wall) -> Applied {
    let (from, to) = (canonical(from), check_name(to)?);
    let id = find(tx, account, &from)?.ok_or(Refused::NoMailbox)?;
    if find(tx, account, &to)?.is_some() {
        return Err(Refused::Exists.into());
    }
    if from == INBOX {
        let new = make(tx, account, &to, None)?;
        transfer::move_all(tx, id, new, account, now)?;
        return Ok(Done::Mailbox(new));
    }
    if to.starts_with(&below(&from).0) {
        return Err(Refused::BadName("a mailbox cannot be moved below itself".into()).into());
    }
    make_parents(tx, account, &to)?;
    tx.execute("UPDATE mailbox SET name = ?2 WHERE id = ?1", (id, &to))?;
    rename_children(tx, account, &from, &to)?;
    tx.accounts.insert(account);
    Ok(Done::Mailbox(id))
}

fn rename_children(tx: &Tx<'_>, account: AccountId, from: &str, to: &str) -> Applied<()> {
    let (first, end) = below(from);
    let mut statement =
        tx.statement("SELECT id, name FROM mailbox WHERE account = ?1 AND name >= ?2 AND name < ?3")?;
    let rows = statement.query_map((account, first, end), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (id, name) in rows.collect::<rusqlite::Result<Vec<(MailboxId, String)>>>()? {
        let rest = name.get(from.len()..).unwrap_or_default();
        let name = format!("{to}{rest}");
        if name.len() > MAILBOX_NAME_BYTES_MAX || name.split('/').count() > MAILBOX_LEVELS_MAX {
            return Err(Refused::BadName("a mailbox below it would get too long a name".into()).into());
        }
        tx.execute("UPDATE mailbox SET name = ?2 WHERE id = ?1", (id, name))?;
    }
    Ok(())
}

/// Any name may be subscribed, also one that no mailbox has (RFC 9051 section 6.3.7).
pub fn subscribe(tx: &mut Tx<'_>, account: AccountId, name: &str, on: bool) -> Applied {
    if on {
        let name = check_name(name)?;
        known_account(tx, account)?;
        let count: usize = tx
            .statement("SELECT count(*) FROM subscription WHERE account = ?1")?
            .query_row([account], |row| row.get(0))?;
        if count >= MAILBOXES_PER_ACCOUNT_MAX {
            return Err(Refused::Limit(format!("at most {MAILBOXES_PER_ACCOUNT_MAX} subscriptions")).into());
        }
        tx.execute("INSERT OR IGNORE INTO subscription (account, name) VALUES (?1, ?2)", (account, name))?;
    } else {
        let name = canonical(name);
        tx.execute("DELETE FROM subscription WHERE account = ?1 AND name = ?2", (account, name))?;
    }
    tx.accounts.insert(account);
    Ok(Done::Nothing)
}
