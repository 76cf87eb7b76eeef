//! Which connection has an account to itself, among those that ask for that (POP3's exclusive maildrop). The book is the
//! engine's and is closed where the conversation is: however a connection ends (goodbye, hang-up, deadline, panic, a
//! revoked password), `Engine::hang_up` or `Engine::forget` strikes it out. Nothing is left to be released, and nothing
//! outlives the process.
//!
//! Conversations that end while a change of theirs is on its way to the writer have left too: whoever comes next may see
//! messages that go a moment later, as it may with IMAP at any time.

use std::collections::BTreeMap;

use crate::base::{AccountId, ConnId};

/// At most one entry for each connection.
#[derive(Default)]
pub(super) struct Alone {
    by_account: BTreeMap<AccountId, ConnId>,
    by_conn: BTreeMap<ConnId, AccountId>,
}

impl Alone {
    /// True if the account is now this connection's. One that has another account already keeps that and gets no second.
    pub fn claim(&mut self, account: AccountId, conn: ConnId) -> bool {
        if let Some(holder) = self.by_account.get(&account) {
            return *holder == conn;
        }
        if self.by_conn.contains_key(&conn) {
            return false;
        }
        self.by_account.insert(account, conn);
        self.by_conn.insert(conn, account);
        true
    }

    pub fn leave(&mut self, conn: ConnId) {
        if let Some(account) = self.by_conn.remove(&conn) {
            self.by_account.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_leaves() {
        let mut alone = Alone::default();
        let (a, b) = (AccountId(1), AccountId(2));
        assert!(alone.claim(a, ConnId(1)) && alone.claim(a, ConnId(1)));
        assert!(!alone.claim(a, ConnId(2)) && !alone.claim(b, ConnId(1)));
        assert!(alone.claim(b, ConnId(3)));
        alone.leave(ConnId(2));
        assert!(!alone.claim(a, ConnId(2)));
        alone.leave(ConnId(1));
        assert!(alone.claim(a, ConnId(2)));
        alone.leave(ConnId(2));
        alone.leave(ConnId(3));
        assert!(alone.by_account.is_empty() && alone.by_conn.is_empty());
    }
}
