//! Reads. Small indexed ones are methods, called on the loop inside the turn's snapshot; large or cold ones are
//! `Question` values that the reader thread answers in slices with the same type.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params};

use crate::base::{
    AccountId, BodyId, CredentialId, MailboxId, ModSeq, ThreadId, Uid, UidSet, UidValidity, Wall,
};

use super::changes::{MailboxState, ViewCache};
use super::columns::Shelf;
use super::fulltext::gather::Kept;
use super::message::Unpacker;
use super::open::{self, OpenOptions};
use super::searching::Scans;
use super::sorting::{Sort, Works};
use super::threading::{Threading, Threads};
use super::{Flags, KeywordSet, Limits, StoreError, Usage, View};

/// A read-only handle. The snapshot opens at the first read after `end_turn` and lasts until the next `end_turn`.
///
/// The methods lie with what they read: `account`, `mailbox`, `changes` and `message` each add theirs.
pub struct Reader {
    db: Connection,
    /// A read transaction is open.
    in_turn: Cell<bool>,
    pub(super) views: RefCell<ViewCache>,
    /// Interned sets never change their meaning, so they are read once.
    pub(super) keyword_sets: RefCell<BTreeMap<KeywordSet, Arc<[String]>>>,
    pub(super) unpacker: RefCell<Unpacker>,
    pub(super) scans: RefCell<Scans>,
    /// Filled on the reader thread only.
    pub(super) shelf: RefCell<Shelf>,
    pub(super) works: RefCell<Works>,
    pub(super) reading: Kept,
    /// The mailbox last looked at in this turn: a thousand sessions that idle on one ask for it one after the other.
    pub(super) row_of_turn: RefCell<Option<MailboxRow>>,
    pub(super) state_of_turn: Cell<Option<(MailboxId, MailboxState)>>,
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
    /// What the box's owner allows.
    pub given: Limits,
    /// What the account allows itself.
    pub own: Limits,
    pub used: Usage,
    pub made: Wall,
}

impl Account {
    pub fn limits(&self) -> Limits {
        self.given.and(self.own)
    }
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
    /// Of those flagged `\Deleted`.
    pub deleted_bytes: u64,
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
    /// The view as it stood at an earlier `modseq`, with that `uid_next` (`Reader::view_as_of`).
    ViewAsOf { mailbox: MailboxId, account: AccountId, modseq: ModSeq, uid_next: Uid },
    /// Uids expunged after `since` and not after `until`, in one piece: some bytes for each stretch of them.
    Expunged { mailbox: MailboxId, since: ModSeq, until: ModSeq },
    /// Message rows of `uids` from `from` on, ascending, at most `READ_ROWS_MAX` and about `READ_BYTES_MAX`. Expunged
    /// rows that are still kept are included (a view may still show them).
    Rows { mailbox: MailboxId, account: AccountId, uids: Arc<UidSet>, from: Uid, columns: Columns },
    /// Uids and sizes from uid `from` on, below `up_to`, at most `SIZES_PER_SLICE`: a POP3 maildrop is opened with them.
    Sizes { mailbox: MailboxId, from: Uid, up_to: Uid },
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
    /// One slice of a sort. The command's value must be the same one each time.
    Sort { mailbox: MailboxId, sort: Arc<Sort> },
    /// The same of a THREAD.
    Thread { mailbox: MailboxId, threading: Arc<Threading> },
    /// The messages that may match: one stretch of bodies above `after`. `query` is made by `Plan::query`.
    Candidates { mailbox: MailboxId, query: Arc<str>, after: BodyId },
    /// What the full-text index needs next.
    IndexNext,
}

/// Which columns of a row are wanted, besides uid, flags, modseq, size, dates and body id, which cost nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub envelope: bool,
    pub structure: bool,
    pub parts: bool,
    pub preview: Preview,
    /// The first `SLICE_BYTES` of the body: all of it for most messages.
    pub body: bool,
}

/// Whether and how far a preview is wanted (RFC 8970).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preview {
    #[default]
    No,
    /// Where it is in the file.
    AtHand,
    /// Made of the body where it is not.
    Always,
}

#[derive(Clone, Debug)]
pub enum Reply {
    View(Arc<View>),
    /// `None` where the expunged rows of that time are no longer kept.
    ViewAsOf(Option<Arc<View>>),
    /// … and whether the record reaches back that far.
    Expunged(UidSet, bool),
    Rows(Rows),
    /// Ascending; `next` is where the next slice starts, `None` when `up_to` is reached.
    Sizes {
        rows: Vec<(Uid, u32)>,
        next: Option<Uid>,
    },
    Bytes(Vec<u8>),
    /// `next` is where the next slice starts, `None` when `up_to` is reached.
    Found {
        uids: UidSet,
        next: Option<Uid>,
    },
    /// The uids in order. `None`: ask again.
    Sorted(Option<Vec<u32>>),
    Threads(Threads),
    /// Uids that may match, gone ones among them. `next` is where the next stretch begins, `None` behind the last.
    Candidates {
        uids: UidSet,
        next: Option<BodyId>,
    },
    IndexNext(super::IndexNext),
}

/// Rows whose variable parts lie one after the other in `arena`.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub arena: Vec<u8>,
    /// Previews that had to be made.
    pub previews_made: usize,
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
    pub thread: ThreadId,
    pub envelope: std::ops::Range<usize>,
    pub structure: std::ops::Range<usize>,
    pub parts: std::ops::Range<usize>,
    /// `None`: there is none in the file, and it was not to be made.
    pub preview: Option<std::ops::Range<usize>>,
    pub first_slice: std::ops::Range<usize>,
}

impl Reader {
    /// Opens a file that exists and is of this program's schema.
    pub fn open(options: impl Into<OpenOptions>) -> Result<Reader, StoreError> {
        Ok(Reader {
            db: open::open_reading(&options.into())?,
            in_turn: Cell::new(false),
            views: RefCell::default(),
            keyword_sets: RefCell::default(),
            unpacker: RefCell::default(),
            scans: RefCell::default(),
            shelf: RefCell::default(),
            works: RefCell::default(),
            reading: Kept::default(),
            row_of_turn: RefCell::default(),
            state_of_turn: Cell::default(),
        })
    }

    /// Ends the turn's snapshot, if one is open. Called by the engine after every turn, by the reader thread after
    /// every slice: no read transaction outlives either.
    pub fn end_turn(&self) {
        self.row_of_turn.replace(None);
        self.state_of_turn.set(None);
        if self.in_turn.take() {
            // A read transaction has nothing to lose; if ending it fails, it has ended.
            let ended = self.db.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
            if let Err(error) = ended {
                log::warn!("ending a read: {error}");
            }
        }
    }

    /// Lets go of what is only kept to answer faster: for a server that has been quiet for a while.
    pub fn rest(&self) {
        self.views.borrow_mut().rest();
        if let Err(error) = self.db.execute_batch("PRAGMA shrink_memory") {
            log::warn!("giving memory back: {error}");
        }
    }

    /// A prepared statement inside the turn's snapshot, which it opens if this is the first read.
    pub(super) fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.snapshot()?.prepare_cached(sql)?)
    }

    /// The connection inside the turn's snapshot.
    pub(super) fn snapshot(&self) -> Result<&Connection, StoreError> {
        if !self.in_turn.get() {
            self.db.prepare_cached("BEGIN")?.execute([])?;
            self.in_turn.set(true);
        }
        Ok(&self.db)
    }

    /// The one row that `sql` finds, if any.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.statement(sql)?.query_row(params, read).optional()?)
    }

    /// All rows that `sql` finds.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
