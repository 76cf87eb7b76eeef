//! Reads of what the command line changes: settings, domains, accounts, addresses, credentials.

use rusqlite::Row;

use crate::base::{AccountId, Config};

use super::{Account, Address, Credential, Limits, Reader, StoreError, Usage, settings};

/// Names of domains, accounts and local parts are compared without case.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

const ACCOUNT: &str =
    "SELECT id, name, made, quota, quota_messages, quota_mailboxes, own_bytes, own_messages, own_mailboxes,
    (SELECT coalesce(sum(bytes), 0) FROM mailbox WHERE account = account.id),
    (SELECT coalesce(sum(messages), 0) FROM mailbox WHERE account = account.id),
    (SELECT count(*) FROM mailbox WHERE account = account.id)
    FROM account";

impl Reader {
    /// The configuration as it stands in the file.
    pub fn config(&self) -> Result<Config, StoreError> {
        Ok(settings::config(&self.settings()?))
    }

    /// What the file says of a setting; `None` where it is at its default.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.one("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0))
    }

    /// All settings that are not at their default.
    pub fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.all("SELECT name, value FROM setting ORDER BY name", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// (chain, key) in PEM.
    pub fn certificate(&self, name: &str) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT chain_pem, key_pem FROM certificate WHERE name = ?1";
        self.one(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    pub fn domains(&self) -> Result<Vec<String>, StoreError> {
        self.all("SELECT name FROM domain ORDER BY name", [], |row| row.get(0))
    }

    /// Whether mail for this domain (any case) is ours to take.
    pub fn is_local(&self, domain: &str) -> Result<bool, StoreError> {
        let found = self.one("SELECT 1 FROM domain WHERE name = ?1", [fold(domain)], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Which account an address reaches, exactly as written (no tags), then the domain's catch-all. Cases are folded.
    /// `postmaster` of a local domain always reaches somebody: its own row, or else the oldest account.
    pub fn route(&self, local: &str, domain: &str) -> Result<Option<AccountId>, StoreError> {
        let (local, domain) = (fold(local), fold(domain));
        // `*` as a local part of mail is no way to name the catch-all.
        if local != "*"
            && let Some(account) = self.address(&local, &domain)?
        {
            return Ok(Some(account));
        }
        if local == "postmaster" && self.is_local(&domain)? {
            return self.one("SELECT min(id) FROM account HAVING count(*) > 0", [], |row| row.get(0));
        }
        self.address("*", &domain)
    }

    /// Whose address this is, exactly as written: neither tags nor the catch-all count. Cases are folded.
    pub fn holder(&self, local: &str, domain: &str) -> Result<Option<AccountId>, StoreError> {
        self.address(&fold(local), &fold(domain))
    }

    fn address(&self, local: &str, domain: &str) -> Result<Option<AccountId>, StoreError> {
        let sql = "SELECT account FROM address WHERE domain = ?1 AND local = ?2";
        self.one(sql, [domain, local], |row| row.get(0))
    }

    pub fn addresses(&self, account: Option<AccountId>) -> Result<Vec<Address>, StoreError> {
        let sql = "SELECT address.local, address.domain, address.account, account.name
            FROM address JOIN account ON account.id = address.account
            WHERE ?1 IS NULL OR address.account = ?1 ORDER BY address.domain, address.local";
        self.all(sql, [account], |row| {
            Ok(Address {
                local: row.get(0)?,
                domain: row.get(1)?,
                account: row.get(2)?,
                account_name: row.get(3)?,
            })
        })
    }

    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.all(&format!("{ACCOUNT} ORDER BY name"), [], account_row)
    }

    /// An account that `number` stands for, always the same one while there are as many; `None` if there is none at all.
    /// Without its counters, which cost a row for each mailbox.
    pub fn account_numbered(&self, number: u64) -> Result<Option<AccountId>, StoreError> {
        let count: u64 = self.one("SELECT count(*) FROM account", [], |row| row.get(0))?.unwrap_or(0);
        let Some(offset) = number.checked_rem(count) else { return Ok(None) };
        self.one("SELECT id FROM account ORDER BY id LIMIT 1 OFFSET ?1", [offset], |row| row.get(0))
    }

    pub fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.one(&format!("{ACCOUNT} WHERE id = ?1"), [id], account_row)
    }

    /// By login name (any case): the account's name, or any of its addresses.
    pub fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        let login = fold(login);
        let found = self.one(&format!("{ACCOUNT} WHERE name = ?1"), [&login], account_row)?;
        if found.is_some() {
            return Ok(found);
        }
        match crate::base::text::split_address(&login) {
            Some((local, domain)) if local != "*" => match self.address(local, domain)? {
                Some(id) => self.account(id),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// All credentials of an account, the main one first, then in order of name.
    pub fn credentials(&self, account: AccountId) -> Result<Vec<Credential>, StoreError> {
        let sql = "SELECT id, account, name, scope, hash, made, last_used, last_from FROM credential
            WHERE account = ?1 ORDER BY name <> 'main', name";
        self.all(sql, [account], |row| {
            Ok(Credential {
                id: row.get(0)?,
                account: row.get(1)?,
                name: row.get(2)?,
                scope: row.get(3)?,
                hash: row.get(4)?,
                made: row.get(5)?,
                last_used: row.get(6)?,
                last_from: row.get(7)?,
            })
        })
    }
}

fn account_row(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        made: row.get(2)?,
        given: limits(row, 3)?,
        own: limits(row, 6)?,
        used: usage(row, 9)?,
    })
}

/// Three columns from `at` on.
pub fn limits(row: &Row<'_>, at: usize) -> rusqlite::Result<Limits> {
    let limit = |at: usize| -> rusqlite::Result<Option<u64>> {
        let stored: Option<i64> = row.get(at)?;
        Ok(stored.map(|limit| limit.max(0).unsigned_abs()))
    };
    Ok(Limits { bytes: limit(at)?, messages: limit(at + 1)?, mailboxes: limit(at + 2)? })
}

/// Three columns from `at` on.
pub fn usage(row: &Row<'_>, at: usize) -> rusqlite::Result<Usage> {
    Ok(Usage { bytes: row.get(at)?, messages: row.get(at + 1)?, mailboxes: row.get(at + 2)? })
}
