//! The view of a mailbox: uids and flags in order. Immutable per (mailbox, modseq) and shared by all sessions that
//! stand there; a new view shares every chunk that did not change with the old one.

use std::sync::Arc;

use crate::base::{AccountId, MailboxId, ModSeq, Uid, UidSet};

/// System flags as bits, and the id of a set of keywords. Two words, however many keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub system: u8,
    pub keywords: KeywordSet,
}

/// An interned set of keywords; `Reader::keywords` gives the names. 0 is the empty set. Never changes its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeywordSet(pub u32);

impl Flags {
    pub const SEEN: u8 = 1;
    pub const ANSWERED: u8 = 2;
    pub const FLAGGED: u8 = 4;
    pub const DELETED: u8 = 8;
    pub const DRAFT: u8 = 16;

    pub fn has(self, bit: u8) -> bool {
        self.system & bit != 0
    }
}

/// One message as a view shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub uid: Uid,
    pub flags: Flags,
    pub modseq: ModSeq,
}

/// All messages of a mailbox as one account sees them at one modseq: sequence number n is the n-th uid.
#[derive(Debug)]
pub struct View {
    pub mailbox: MailboxId,
    /// Whose `\Seen` this view shows.
    pub account: AccountId,
    /// Everything up to this change is in the view.
    pub modseq: ModSeq,
    /// The next uid at that moment: all uids in the view are below it.
    pub uid_next: Uid,
    chunks: Vec<Arc<Chunk>>,
}

/// Up to some hundred messages, in ascending order of uid.
#[derive(Debug)]
struct Chunk {
    rows: Vec<Change>,
}

/// What `Reader::view` can say at once.
pub enum ViewAt {
    Ready(Arc<View>),
    /// Too much to load on the loop: put this question to the reader thread; it answers `Reply::View`.
    Ask(super::Question),
}

impl View {
    /// How many messages the view shows.
    pub fn len(&self) -> usize {
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message with this sequence number, from 1.
    pub fn at(&self, seq: u32) -> Option<Change> {
        let _ = seq;
        todo!()
    }

    /// The sequence number of a uid and its row.
    pub fn find(&self, uid: Uid) -> Option<(u32, Change)> {
        let _ = uid;
        todo!()
    }

    /// Messages from sequence number `seq` on, in order.
    pub fn iter_from(&self, seq: u32) -> impl Iterator<Item = (u32, Change)> + '_ {
        let _ = seq;
        std::iter::empty()
    }

    /// The uids of a set of sequence numbers; numbers beyond the end are left out.
    pub fn uids_of(&self, seqs: &UidSet) -> UidSet {
        let _ = seqs;
        todo!()
    }

    /// A view with `gone` taken out, `changed` replaced or added (ascending uids), at the later `modseq`.
    pub fn advance(&self, gone: &UidSet, changed: &[Change], modseq: ModSeq, uid_next: Uid) -> View {
        let _ = (gone, changed, modseq, uid_next);
        todo!()
    }

    /// Sequence numbers (of `self`, the older view) and uids that `later` no longer has, ascending. Skips shared chunks.
    pub fn gone_in(&self, later: &View) -> Vec<(u32, Uid)> {
        let _ = later;
        todo!()
    }

    /// Rows of `self` whose modseq is above `since`, with their sequence numbers, ascending. Skips old chunks.
    pub fn changed_since(&self, since: ModSeq) -> Vec<(u32, Change)> {
        let _ = since;
        todo!()
    }
}
