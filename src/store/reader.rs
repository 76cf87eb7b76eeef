//! Reads. Small indexed ones are methods, called on the loop inside the turn's snapshot; large or cold ones are
//! `Question` values that the reader thread answers in slices with the same type.

use std::sync::Arc;

use crate::base::{
    AccountId, BodyId, Config, CredentialId, MailboxId, ModSeq, Uid, UidSet, UidValidity, Wall,
};

use super::{Change, Flags, KeywordSet, StoreError, View, ViewAt};

/// A read-only handle. The snapshot opens at the first read after `end_turn` and lasts until the next `end_turn`.
pub struct Reader {
    _private: (),
}

/// RFC 6154 attributes (and INBOX's absence of one). The wire form is `\Sent` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Junk,
    Sent,
    Trash,
    Important,
}

/// What a credential may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    ReadOnly,
    SendOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// Login name: the main address.
    pub name: String,
    pub quota_bytes: Option<u64>,
    pub used_bytes: u64,
    pub used_messages: u64,
    pub made: Wall,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub account: AccountId,
    /// `main`, or the app password's name.
    pub name: String,
    pub scope: Scope,
    /// PHC string.
    pub hash: String,
    pub made: Wall,
    pub last_used: Option<Wall>,
    pub last_from: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `*` is the catch-all.
    pub local: String,
    pub domain: String,
    pub account: AccountId,
    pub account_name: String,
}

/// A mailbox with its counters, which are kept at each commit: reading it costs one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    pub id: MailboxId,
    pub account: AccountId,
    /// UTF-8, `/` between levels; `INBOX` in capitals.
    pub name: String,
    pub validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
    pub messages: u32,
    pub deleted: u32,
    pub bytes: u64,
    pub special: Option<SpecialUse>,
    /// A name only: deleted, but it has children.
    pub no_select: bool,
    pub subscribed: bool,
}

/// What STATUS tells beyond the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Messages without `\Seen` for the asking account.
    pub unseen: u32,
}

/// A large or cold read, for the reader thread. Each is one bounded slice; the reply says how to go on.
#[derive(Clone, Debug)]
pub enum Question {
    /// The whole view, for the first need of it in a session.
    View { mailbox: MailboxId, account: AccountId },
    /// Message rows of `uids` from `from` on, ascending, at most `READ_ROWS_MAX` and about `READ_BYTES_MAX`. Expunged
    /// rows that are still kept are included (a view may still show them).
    Rows { mailbox: MailboxId, account: AccountId, uids: Arc<UidSet>, from: Uid, columns: Columns },
    /// `length` bytes (at most `SLICE_BYTES`) of a body from `at` on; shorter only at its end.
    Body { body: BodyId, at: u64, length: u32 },
    /// One slice of a search from uid `from` on.
    Search {
        mailbox: MailboxId,
        account: AccountId,
        program: Arc<super::search::Program>,
        from: Uid,
        up_to: Uid,
    },
}

/// Which columns of a row are wanted, besides uid, flags, modseq, size, dates and body id, which cost nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub envelope: bool,
    pub structure: bool,
    pub parts: bool,
    /// The first `SLICE_BYTES` of the body: all of it for most messages.
    pub body: bool,
}

#[derive(Clone, Debug)]
pub enum Reply {
    View(Arc<View>),
    Rows(Rows),
    Bytes(Vec<u8>),
    /// `next` is where the next slice starts, `None` when `up_to` is reached.
    Found {
        uids: UidSet,
        next: Option<Uid>,
    },
}

/// Rows whose variable parts lie one after the other in `arena`.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub arena: Vec<u8>,
    /// Where the next slice starts; `None` when the set is exhausted.
    pub next: Option<Uid>,
}

/// One message row. Ranges are into the arena and empty for columns that were not asked for.
#[derive(Clone, Debug)]
pub struct Row {
    pub uid: Uid,
    pub flags: Flags,
    pub modseq: ModSeq,
    pub body: BodyId,
    pub size: u64,
    pub received: Wall,
    /// When it came into this mailbox (RFC 8514).
    pub saved: Wall,
    pub envelope: std::ops::Range<usize>,
    pub structure: std::ops::Range<usize>,
    pub parts: std::ops::Range<usize>,
    pub first_slice: std::ops::Range<usize>,
}

#[allow(unused_variables)]
impl Reader {
    /// Ends the turn's snapshot, if one is open. Called by the engine after every turn, by the reader thread after
    /// every slice: no read transaction outlives either.
    pub fn end_turn(&self) {
        todo!()
    }

    /// The configuration as it stands in the file.
    pub fn config(&self) -> Result<Config, StoreError> {
        todo!()
    }

    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        todo!()
    }

    pub fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        todo!()
    }

    /// (chain, key) in PEM.
    pub fn certificate(&self, name: &str) -> Result<Option<(String, String)>, StoreError> {
        todo!()
    }

    pub fn domains(&self) -> Result<Vec<String>, StoreError> {
        todo!()
    }

    /// Whether mail for this domain (any case) is ours to take.
    pub fn is_local(&self, domain: &str) -> Result<bool, StoreError> {
        todo!()
    }

    /// Which account an address reaches, exactly as written (no tags), then the domain's catch-all. Cases are folded.
    /// `postmaster` of a local domain always reaches somebody: its own row, or else the oldest account.
    pub fn route(&self, local: &str, domain: &str) -> Result<Option<AccountId>, StoreError> {
        todo!()
    }

    pub fn addresses(&self, account: Option<AccountId>) -> Result<Vec<Address>, StoreError> {
        todo!()
    }

    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        todo!()
    }

    pub fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    /// By login name (any case): the account's name, or any of its addresses.
    pub fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    pub fn credentials(&self, account: AccountId) -> Result<Vec<Credential>, StoreError> {
        todo!()
    }

    /// All mailboxes of an account by name (INBOX first, then in order of name).
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxRow>, StoreError> {
        todo!()
    }

    /// Subscribed names, also of mailboxes that do not exist (any more).
    pub fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        todo!()
    }

    /// By name; `inbox` in any case is INBOX.
    pub fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Option<MailboxRow>, StoreError> {
        todo!()
    }

    pub fn mailbox(&self, id: MailboxId) -> Result<Option<MailboxRow>, StoreError> {
        todo!()
    }

    pub fn status(&self, mailbox: MailboxId, account: AccountId) -> Result<Status, StoreError> {
        todo!()
    }

    /// Names of an interned keyword set, in its order.
    pub fn keywords(&self, set: KeywordSet) -> Result<Arc<[String]>, StoreError> {
        todo!()
    }

    /// All keywords ever used in a mailbox: what FLAGS and PERMANENTFLAGS list.
    pub fn mailbox_keywords(&self, mailbox: MailboxId) -> Result<Vec<String>, StoreError> {
        todo!()
    }

    /// The view as of this turn's snapshot, from the shared cache brought up to date with a few rows, or the question
    /// to ask for it.
    pub fn view(&self, mailbox: MailboxId, account: AccountId) -> Result<ViewAt, StoreError> {
        todo!()
    }

    /// Puts a view that the reader thread loaded into the shared cache.
    pub fn keep(&self, view: &Arc<View>) {
        todo!()
    }

    /// `current` as it stood at `modseq` with `uid_next`: expunged uids put back, later ones taken out. Flags are the
    /// current ones. `None` where the expunged rows of that time are no longer kept.
    pub fn view_as_of(
        &self,
        current: &Arc<View>,
        modseq: ModSeq,
        uid_next: Uid,
    ) -> Result<Option<Arc<View>>, StoreError> {
        todo!()
    }

    /// Uids expunged after `since` (RFC 7162 VANISHED EARLIER), and whether the record reaches back that far: if not,
    /// the caller must treat every uid it does not see as vanished.
    pub fn expunged_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<(UidSet, bool), StoreError> {
        todo!()
    }

    /// Present messages with a modseq above `since`, ascending by uid, from uid `from` on, at most `limit`.
    pub fn changes(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        since: ModSeq,
        from: Uid,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        todo!()
    }

    /// Answers one question with one slice. On the reader thread, never on the loop.
    pub fn answer(&self, question: &Question) -> Result<Reply, StoreError> {
        todo!()
    }
}
