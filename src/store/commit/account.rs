//! What the command line changes: domains, accounts, addresses, credentials, settings, certificates.

use rusqlite::OptionalExtension;

use crate::base::limits::ROWS_REMOVED_AT_ONCE;
use crate::base::text::split_address;
use crate::base::{AccountId, CredentialId, MailboxId, Wall};

use super::super::account::fold;
use super::super::sql::signed;
use super::super::{Admin, Done, Limits, Refused, Scope, settings};
use super::state::State;
use super::{Applied, Tx, count_up, expunge, index, mailboxes, sweep};

/// The name of the credential that every account has.
const MAIN: &str = "main";
/// The last use of a credential is written at most this often, in microseconds.
const USED_EVERY_MICROS: i64 = 60_000_000;

pub fn admin(tx: &mut Tx<'_>, admin: &Admin) -> Applied {
    match admin {
        Admin::AddDomain { name } => add_domain(tx, name),
        Admin::RemoveDomain { name } => remove_domain(tx, name),
        Admin::AddAccount { name, hash, now } => add_account(tx, name, hash, *now),
        Admin::RemoveAccount { name, now: _ } => remove_account(tx, name),
        Admin::SetPassword { account, hash, now } => set_password(tx, account, hash, *now),
        Admin::AddCredential { account, name, scope, hash, now } => {
            let account = find(tx, account)?;
            add_credential(tx, account, name, *scope, (hash, *now))
        }
        Admin::RevokeCredential { account, name } => revoke_credential(tx, account, name),
        Admin::AddAddress { local, domain, account } => add_address(tx, local, domain, account),
        Admin::RemoveAddress { local, domain } => remove_address(tx, local, domain),
        Admin::SetQuota { account, limits } => {
            let account = find(tx, account)?;
            give(tx, account, limits)
        }
        Admin::SetSetting { name, value } => set_setting(tx, name, value.as_deref()),
        Admin::SetCertificate { name, chain_pem, key_pem, now } => {
            tx.execute(
                "INSERT OR REPLACE INTO certificate (name, chain_pem, key_pem, made) VALUES (?1, ?2, ?3, ?4)",
                (name, chain_pem, key_pem, now),
            )?;
            tx.settings = true;
            Ok(Done::Nothing)
        }
        Admin::Sweep { now, clock_trusted } => sweep::sweep(tx, *now, *clock_trusted),
    }
}

fn add_domain(tx: &mut Tx<'_>, name: &str) -> Applied {
    let name = fold(name);
    let good = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(good) || name.split('.').any(str::is_empty) {
        return Err(
            Refused::BadName("a domain is made of labels of letters, digits and hyphens".into()).into()
        );
    }
    if has_domain(tx, &name)? {
        return Err(Refused::Exists.into());
    }
    tx.execute("INSERT INTO domain (name) VALUES (?1)", [name])?;
    tx.settings = true;
    Ok(Done::Nothing)
}

fn has_domain(tx: &Tx<'_>, name: &str) -> Applied<bool> {
    Ok(tx.statement("SELECT 1 FROM domain WHERE name = ?1")?.exists([name])?)
}

fn remove_domain(tx: &mut Tx<'_>, name: &str) -> Applied {
    let name = fold(name);
    if !has_domain(tx, &name)? {
        return Err(Refused::NoDomain.into());
    }
    if tx.statement("SELECT 1 FROM address WHERE domain = ?1 LIMIT 1")?.exists([&name])? {
        return Err(Refused::InUse.into());
    }
    tx.execute("DELETE FROM domain WHERE name = ?1", [name])?;
    tx.settings = true;
    Ok(Done::Nothing)
}

fn add_account(tx: &mut Tx<'_>, name: &str, hash: &str, now: Wall) -> Applied {
    let name = fold(name);
    let (local, domain) = split_address(&name)
        .ok_or_else(|| Refused::BadName("an account is called by its address, as user@example.org".into()))?;
    check_local(local)?;
    if !has_domain(tx, domain)? {
        return Err(Refused::NoDomain.into());
    }
    if tx.statement("SELECT 1 FROM account WHERE name = ?1")?.exists([&name])? {
        return Err(Refused::Exists.into());
    }
    let account = AccountId(count_up(tx.db, "thing")?);
    tx.execute("INSERT INTO account (id, name, made) VALUES (?1, ?2, ?3)", (account, &name, now))?;
    put_address(tx, local, domain, account)?;
    add_credential(tx, account, MAIN, Scope::All, (hash, now))?;
    mailboxes::first_mailboxes(tx, account)?;
    tx.accounts.insert(account);
    Ok(Done::Account(account))
}

fn check_local(local: &str) -> Applied<()> {
    let good = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '*' | '@' | '"' | '<' | '>');
    if local.is_empty() || local.len() > 64 || !local.chars().all(good) {
        return Err(Refused::BadName("this cannot stand before the @ of an address".into()).into());
    }
    Ok(())
}

fn find(tx: &Tx<'_>, name: &str) -> Applied<AccountId> {
    let found = tx
        .statement("SELECT id FROM account WHERE name = ?1")?
        .query_row([fold(name)], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Refused::NoAccount.into())
}

/// Everything of the account goes. Its messages need not be kept for undelete: the sweep drops them when it comes by.
fn remove_account(tx: &mut Tx<'_>, name: &str) -> Applied {
    let account = find(tx, name)?;
    let mut gone = 0;
    for mailbox in ids(tx, "SELECT id FROM mailbox WHERE account = ?1", account)?.into_iter().map(MailboxId) {
        let mut state = State::load(tx, mailbox)?;
        gone += state.messages() + expunged(tx, mailbox)?;
        if gone > ROWS_REMOVED_AT_ONCE {
            mailboxes::disown(tx, mailbox, mailboxes::REMOVED)?;
            continue;
        }
        expunge::take_all_out(tx, &mut state, expunge::NOT_KEPT)?;
        mailboxes::remove(tx, mailbox)?;
        tx.execute("UPDATE expunged SET at = ?2 WHERE mailbox = ?1", (mailbox, expunge::NOT_KEPT))?;
    }
    let credentials = ids(tx, "SELECT id FROM credential WHERE account = ?1", account)?;
    tx.revoked.extend(credentials.into_iter().map(CredentialId));
    for sql in [
        "DELETE FROM credential WHERE account = ?1",
        "DELETE FROM address WHERE account = ?1",
        "DELETE FROM subscription WHERE account = ?1",
        "DELETE FROM account WHERE id = ?1",
    ] {
        tx.execute(sql, [account])?;
    }
    tx.accounts.insert(account);
    Ok(Done::Account(account))
}

/// How many expunged messages of a mailbox are kept, as far as it matters.
fn expunged(tx: &Tx<'_>, mailbox: MailboxId) -> Applied<usize> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM expunged WHERE mailbox = ?1 LIMIT ?2)";
    Ok(tx.statement(sql)?.query_row((mailbox, ROWS_REMOVED_AT_ONCE as i64 + 1), |row| row.get(0))?)
}

fn ids(tx: &Tx<'_>, sql: &str, account: AccountId) -> Applied<Vec<i64>> {
    let mut statement = tx.statement(sql)?;
    let rows = statement.query_map([account], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A changed password is a new credential: what was proved with the old one no longer holds.
fn set_password(tx: &mut Tx<'_>, account: &str, hash: &str, now: Wall) -> Applied {
    let account = find(tx, account)?;
    drop_credential(tx, account, MAIN)?;
    add_credential(tx, account, MAIN, Scope::All, (hash, now))
}

fn add_credential(
    tx: &mut Tx<'_>,
    account: AccountId,
    name: &str,
    scope: Scope,
    (hash, now): (&str, Wall),
) -> Applied {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        return Err(Refused::BadName("a password is named in up to 128 bytes of plain text".into()).into());
    }
    let sql = "SELECT 1 FROM credential WHERE account = ?1 AND name = ?2";
    if tx.statement(sql)?.exists((account, name))? {
        return Err(Refused::Exists.into());
    }
    let id = CredentialId(count_up(tx.db, "thing")?);
    tx.execute(
        "INSERT INTO credential (id, account, name, scope, hash, made) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (id, account, name, scope, hash, now),
    )?;
    tx.accounts.insert(account);
    Ok(Done::Account(account))
}

/// App passwords can be revoked; the main one can only be replaced.
fn revoke_credential(tx: &mut Tx<'_>, account: &str, name: &str) -> Applied {
    let account = find(tx, account)?;
    if name == MAIN {
        return Err(Refused::InUse.into());
    }
    if !drop_credential(tx, account, name)? {
        return Err(Refused::NoCredential.into());
    }
    Ok(Done::Account(account))
}

fn drop_credential(tx: &mut Tx<'_>, account: AccountId, name: &str) -> Applied<bool> {
    let dropped: Option<CredentialId> = tx
        .statement("DELETE FROM credential WHERE account = ?1 AND name = ?2 RETURNING id")?
        .query_row((account, name), |row| row.get(0))
        .optional()?;
    tx.revoked.extend(dropped);
    tx.accounts.insert(account);
    Ok(dropped.is_some())
}

fn add_address(tx: &mut Tx<'_>, local: &str, domain: &str, account: &str) -> Applied {
    let (local, domain) = (fold(local), fold(domain));
    let account = find(tx, account)?;
    if local != "*" {
        check_local(&local)?;
    }
    if !has_domain(tx, &domain)? {
        return Err(Refused::NoDomain.into());
    }
    put_address(tx, &local, &domain, account)?;
    tx.accounts.insert(account);
    Ok(Done::Account(account))
}

fn put_address(tx: &Tx<'_>, local: &str, domain: &str, account: AccountId) -> Applied<()> {
    let sql = "INSERT OR IGNORE INTO address (domain, local, account) VALUES (?1, ?2, ?3)";
    if tx.execute(sql, (domain, local, account))? == 0 {
        return Err(Refused::Exists.into());
    }
    Ok(())
}

/// The address that an account is called by stays as long as the account.
fn remove_address(tx: &mut Tx<'_>, local: &str, domain: &str) -> Applied {
    let (local, domain) = (fold(local), fold(domain));
    let account: AccountId = tx
        .statement("SELECT account FROM address WHERE domain = ?1 AND local = ?2")?
        .query_row((&domain, &local), |row| row.get(0))
        .optional()?
        .ok_or(Refused::NoAddress)?;
    if tx.statement("SELECT 1 FROM account WHERE name = ?1")?.exists([format!("{local}@{domain}")])? {
        return Err(Refused::InUse.into());
    }
    tx.execute("DELETE FROM address WHERE domain = ?1 AND local = ?2", (&domain, &local))?;
    tx.accounts.insert(account);
    Ok(Done::Account(account))
}

fn set_setting(tx: &mut Tx<'_>, name: &str, value: Option<&str>) -> Applied {
    match value {
        Some(value) => {
            settings::check(name, value).map_err(Refused::BadName)?;
            tx.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)", (name, value))?;
        }
        None => {
            if settings::setting(name).is_none() {
                return Err(Refused::BadName(format!("there is no setting called {name}")).into());
            }
            tx.execute("DELETE FROM setting WHERE name = ?1", [name])?;
        }
    }
    if name == index::SETTING {
        index::follow_setting(tx.db)?;
    }
    tx.settings = true;
    Ok(Done::Nothing)
}

/// The owner's word: what the account allowed itself is over, so that nobody stays locked into a limit of their own
/// that their mail client cannot lift.
fn give(tx: &Tx<'_>, account: AccountId, limits: &Limits) -> Applied {
    let sql = "UPDATE account SET (quota, quota_messages, quota_mailboxes) = (?2, ?3, ?4),
        (own_bytes, own_messages, own_mailboxes) = (NULL, NULL, NULL) WHERE id = ?1";
    set_limits(tx, sql, account, limits)
}

/// The account's own word, which holds as far as it is stricter than the owner's.
pub fn restrain(tx: &Tx<'_>, account: AccountId, limits: &Limits) -> Applied {
    let sql = "UPDATE account SET (own_bytes, own_messages, own_mailboxes) = (?2, ?3, ?4) WHERE id = ?1";
    set_limits(tx, sql, account, limits)
}

fn set_limits(tx: &Tx<'_>, sql: &str, account: AccountId, limits: &Limits) -> Applied {
    let stored = |limit: Option<u64>| limit.map(signed);
    let row = (account, stored(limits.bytes), stored(limits.messages), stored(limits.mailboxes));
    if tx.execute(sql, row)? == 0 { Err(Refused::NoAccount.into()) } else { Ok(Done::Account(account)) }
}

/// Lossy by design: a client that reconnects every few seconds writes once a minute.
pub fn used(tx: &mut Tx<'_>, credential: CredentialId, at: Wall, from: &str) -> Applied {
    let sql = "SELECT last_used, last_from FROM credential WHERE id = ?1";
    let last: Option<(Option<Wall>, Option<String>)> =
        tx.statement(sql)?.query_row([credential], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((last_used, last_from)) = last else { return Err(Refused::NoCredential.into()) };
    let recent = last_used.is_some_and(|last| (0..USED_EVERY_MICROS).contains(&(at.0 - last.0)));
    if !(recent && last_from.as_deref() == Some(from)) {
        let sql = "UPDATE credential SET last_used = ?2, last_from = ?3 WHERE id = ?1";
        tx.execute(sql, (credential, at, from))?;
    }
    Ok(Done::Nothing)
}
