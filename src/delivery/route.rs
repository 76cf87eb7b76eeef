//! Step one: which account does an address reach? Small indexed reads, done while the peer waits for its reply to RCPT.

use crate::base::{AccountId, Config};
use crate::store::{Reader, StoreError};

use super::Mailbox;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Account(AccountId),
    /// The domain is ours, but nobody has that address.
    Nobody,
    /// Some other server's to take.
    Elsewhere,
}

/// The local part that every domain has (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster";
/// `user+tag` reaches `user` unless it is an address of its own; the catch-all comes last.
pub fn route(store: &Reader, config: &Config, to: &Mailbox) -> Result<Route, StoreError> {
    if !store.is_local(&to.domain)? {
        return Ok(Route::Elsewhere);
    }
    let local = match without_tag(&to.local, &config.tag_separators) {
        Some(untagged) if store.holder(&to.local, &to.domain)?.is_none() => untagged,
        _ => &to.local,
    };
    Ok(found(store.route(local, &to.domain)?))
}

/// `<postmaster>` without a domain: any of ours will do, the first in order.
pub fn postmaster(store: &Reader) -> Result<Route, StoreError> {
    match store.domains()?.first() {
        Some(domain) => Ok(found(store.route(POSTMASTER, domain)?)),
        None => Ok(Route::Nobody),
    }
}

/// Whether mail may be sent in the name of `address` by `account`: it must lead there.
pub fn belongs(
    store: &Reader,
    config: &Config,
    address: &Mailbox,
    account: AccountId,
) -> Result<bool, StoreError> {
    Ok(route(store, config, address)? == Route::Account(account))
}

fn found(account: Option<AccountId>) -> Route {
    account.map_or(Route::Nobody, Route::Account)
}

/// What stands before the first separator; `None` where there is none, or nothing before it.
fn without_tag<'a>(local: &'a str, separators: &str) -> Option<&'a str> {
    let at = local.find(|c| separators.contains(c))?;
    (at > 0).then(|| &local[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_cut_at_the_first_separator() {
        assert_eq!(without_tag("bob+a+b", "+"), Some("bob"));
        assert_eq!(without_tag("bob-list", "+-"), Some("bob"));
        assert_eq!(without_tag("bob", "+"), None);
        assert_eq!(without_tag("+bob", "+"), None);
        assert_eq!(without_tag("bob+a", ""), None);
    }
}
