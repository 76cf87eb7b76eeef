//! The view of a mailbox: uids and flags in order. Immutable per (mailbox, modseq) and shared by all sessions that
//! stand there; a new view shares every chunk that did not change with the old one.

use std::sync::Arc;

use crate::base::{AccountId, MailboxId, ModSeq, Uid, UidSet};

/// Messages in a full chunk: what a change of one message copies.
const CHUNK_ROWS: usize = 512;
/// A rewritten chunk below this joins its neighbour.
const CHUNK_ROWS_MIN: usize = 64;

/// System flags as bits, and the id of a set of keywords. Two words, however many keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub system: u8,
    pub keywords: KeywordSet,
}

/// An interned set of keywords; `Reader::keywords` gives the names. 0 is the empty set. Never changes its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Debug)]
pub struct View {
    pub mailbox: MailboxId,
    /// Whose `\Seen` this view shows.
    pub account: AccountId,
    /// Everything up to this change is in the view.
    pub modseq: ModSeq,
    /// The next uid at that moment: all uids in the view are below it.
    pub uid_next: Uid,
    /// Never empty ones; ascending and disjoint in uids.
    chunks: Vec<Arc<Chunk>>,
    /// For each chunk, how many messages lie before it.
    before: Vec<usize>,
}

/// Up to some hundred messages, in ascending order of uid.
#[derive(Debug)]
struct Chunk {
    rows: Vec<Change>,
    /// The highest modseq in `rows`.
    modseq: ModSeq,
}

/// What can be said at once, or the question to put to the reader thread because it is too much for the loop.
pub enum AtOnce<T> {
    Ready(T),
    Ask(super::Question),
}

/// A view (`Reader::view`; the reader thread answers `Reply::View`).
pub type ViewAt = AtOnce<Arc<View>>;

impl View {
    /// A view of these rows, which ascend by uid.
    pub fn new(
        mailbox: MailboxId,
        account: AccountId,
        modseq: ModSeq,
        uid_next: Uid,
        rows: &[Change],
    ) -> View {
        let chunks = rows.chunks(CHUNK_ROWS).map(|rows| Chunk::new(rows.to_vec())).collect();
        View::of_chunks(mailbox, account, modseq, uid_next, chunks)
    }

    fn of_chunks(
        mailbox: MailboxId,
        account: AccountId,
        modseq: ModSeq,
        uid_next: Uid,
        chunks: Vec<Arc<Chunk>>,
    ) -> View {
        let before = chunks
            .iter()
            .scan(0, |sum, chunk| {
                let before = *sum;
                *sum += chunk.rows.len();
                Some(before)
            })
            .collect();
        View { mailbox, account, modseq, uid_next, chunks, before }
    }

    /// How many messages the view shows.
    pub fn len(&self) -> usize {
        match (self.before.last(), self.chunks.last()) {
            (Some(before), Some(chunk)) => before + chunk.rows.len(),
            _ => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// About how much memory the view takes, shared chunks included.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<Change>() + self.chunks.len() * (size_of::<Chunk>() + 24)
    }

    /// The message with this sequence number, from 1.
    pub fn at(&self, seq: u32) -> Option<Change> {
        self.iter_from(seq.max(1)).next().filter(|_| seq > 0).map(|(_, row)| row)
    }

    /// The sequence number of a uid and its row.
    pub fn find(&self, uid: Uid) -> Option<(u32, Change)> {
        let (chunk, row) = self.place(uid);
        let found = *self.chunks.get(chunk)?.rows.get(row)?;
        (found.uid == uid).then(|| (seq(self.before[chunk] + row), found))
    }

    /// The sequence number of the first message whose uid is at least `uid`; one past the last if there is none.
    pub fn seq_from(&self, uid: Uid) -> u32 {
        let (chunk, row) = self.place(uid);
        seq(self.before.get(chunk).map_or(self.len(), |before| before + row))
    }

    /// Messages from sequence number `seq` on, in order.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, Change)> + '_ {
        let index = (from.max(1) - 1) as usize;
        let first = self.before.partition_point(|before| *before <= index).saturating_sub(1);
        let skip = self.before.get(first).map_or(0, |before| index - before);
        let rows = self.chunks[first.min(self.chunks.len())..].iter().flat_map(|chunk| chunk.rows.iter());
        rows.skip(skip).zip(index..).map(|(row, index)| (seq(index), *row))
    }

    /// The uids of a set of sequence numbers; numbers beyond the end are left out.
    pub fn uids_of(&self, seqs: &UidSet) -> UidSet {
        let mut uids = UidSet::new();
        for range in seqs.ranges() {
            let count = (range.end() - range.start()) as usize + 1;
            for (_, row) in self.iter_from(*range.start()).take(count) {
                uids.insert(row.uid.0);
            }
        }
        uids
    }

    /// A view with `gone` taken out, `changed` replaced or added (ascending uids), at the later `modseq`.
    pub fn advance(&self, gone: &UidSet, changed: &[Change], modseq: ModSeq, uid_next: Uid) -> View {
        let mut chunks: Vec<Arc<Chunk>> = Vec::with_capacity(self.chunks.len() + 1);
        let mut rest = changed;
        for (index, chunk) in self.chunks.iter().enumerate() {
            // What lies before the next chunk belongs to this one; all of the rest to the last.
            let end = match self.chunks.get(index + 1) {
                Some(next) => rest.partition_point(|row| row.uid < next.first()),
                None => rest.len(),
            };
            let (here, later) = rest.split_at(end);
            rest = later;
            if here.is_empty() && !touches(gone, chunk) {
                chunks.push(Arc::clone(chunk));
            } else {
                push_rows(&mut chunks, merge(&chunk.rows, here, gone));
            }
        }
        push_rows(&mut chunks, merge(&[], rest, gone));
        View::of_chunks(self.mailbox, self.account, modseq, uid_next, chunks)
    }

    /// Sequence numbers (of `self`, the older view) and uids that `later` no longer has, ascending. Skips shared chunks.
    pub fn gone_in(&self, later: &View) -> Vec<(u32, Uid)> {
        let mut gone = Vec::new();
        let (mut at, mut inner) = (0, 0);
        for (chunk, before) in self.chunks.iter().zip(&self.before) {
            while later.chunks.get(at).is_some_and(|other| other.last() < chunk.first()) {
                (at, inner) = (at + 1, 0);
            }
            if later.chunks.get(at).is_some_and(|other| Arc::ptr_eq(chunk, other)) {
                (at, inner) = (at + 1, 0);
                continue;
            }
            for (row, index) in chunk.rows.iter().zip(*before..) {
                while let Some(other) = later.chunks.get(at) {
                    match other.rows.get(inner) {
                        Some(candidate) if candidate.uid >= row.uid => break,
                        Some(_) => inner += 1,
                        None => (at, inner) = (at + 1, 0),
                    }
                }
                let kept = later.chunks.get(at).and_then(|other| other.rows.get(inner));
                if kept.is_none_or(|kept| kept.uid != row.uid) {
                    gone.push((seq(index), row.uid));
                }
            }
        }
        gone
    }

    /// Rows of `self` whose modseq is above `since`, with their sequence numbers, ascending. Skips old chunks.
    pub fn changed_since(&self, since: ModSeq) -> Vec<(u32, Change)> {
        let mut changed = Vec::new();
        for (chunk, before) in self.chunks.iter().zip(&self.before) {
            if chunk.modseq > since {
                let rows = chunk.rows.iter().zip(*before..);
                let new = rows.filter(|(row, _)| row.modseq > since);
                changed.extend(new.map(|(row, index)| (seq(index), *row)));
            }
        }
        changed
    }

    /// Chunk and row of the first message whose uid is at least `uid`.
    fn place(&self, uid: Uid) -> (usize, usize) {
        let chunk = self.chunks.partition_point(|chunk| chunk.last() < uid);
        let row = self.chunks.get(chunk).map_or(0, |chunk| chunk.rows.partition_point(|row| row.uid < uid));
        (chunk, row)
    }
}

impl Chunk {
    fn new(rows: Vec<Change>) -> Arc<Chunk> {
        let modseq = rows.iter().map(|row| row.modseq).max().unwrap_or_default();
        Arc::new(Chunk { rows, modseq })
    }

    fn first(&self) -> Uid {
        self.rows.first().map_or(Uid(0), |row| row.uid)
    }

    fn last(&self) -> Uid {
        self.rows.last().map_or(Uid(0), |row| row.uid)
    }
}

/// Sequence numbers count from 1; a mailbox has fewer messages than uids.
fn seq(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn touches(gone: &UidSet, chunk: &Chunk) -> bool {
    let span = UidSet::range(chunk.first().0.max(1)..=chunk.last().0.max(1));
    !gone.is_empty() && !gone.intersection(&span).is_empty()
}

/// Both ascend by uid; a row of `changed` takes the place of one of `rows` with the same uid.
fn merge(rows: &[Change], changed: &[Change], gone: &UidSet) -> Vec<Change> {
    let mut merged = Vec::with_capacity(rows.len() + changed.len());
    let mut new = changed.iter().peekable();
    for row in rows {
        while let Some(change) = new.next_if(|change| change.uid < row.uid) {
            merged.push(*change);
        }
        merged.push(*new.next_if(|change| change.uid == row.uid).unwrap_or(row));
    }
    merged.extend(new);
    if !gone.is_empty() {
        merged.retain(|row| !gone.contains(row.uid.0));
    }
    merged
}

/// Adds rows as chunks; few rows join the chunk before them, so that expunging leaves no crumbs.
fn push_rows(chunks: &mut Vec<Arc<Chunk>>, mut rows: Vec<Change>) {
    if let Some(last) = chunks.last()
        && rows.len() < CHUNK_ROWS_MIN
        && !rows.is_empty()
        && last.rows.len() + rows.len() <= CHUNK_ROWS
    {
        rows.splice(0..0, last.rows.iter().copied());
        chunks.pop();
    }
    chunks.extend(rows.chunks(CHUNK_ROWS).map(|rows| Chunk::new(rows.to_vec())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uid: u32, modseq: u64) -> Change {
        Change { uid: Uid(uid), flags: Flags::default(), modseq: ModSeq(modseq) }
    }

    fn view(uids: impl Iterator<Item = u32>) -> View {
        let rows: Vec<Change> = uids.map(|uid| row(uid, 1)).collect();
        let next = Uid(rows.last().map_or(1, |row| row.uid.0 + 1));
        View::new(MailboxId(1), AccountId(1), ModSeq(1), next, &rows)
    }

    #[test]
    fn numbers_and_uids_find_each_other_across_chunks() {
        let view = view((1..=3_000).map(|n| n * 3));
        assert_eq!((view.len(), view.at(0), view.at(3_001)), (3_000, None, None));
        for n in [1, 2, 512, 513, 1_024, 1_025, 3_000] {
            assert_eq!(view.at(n).map(|row| row.uid), Some(Uid(n * 3)));
            assert_eq!(view.find(Uid(n * 3)).map(|(seq, _)| seq), Some(n));
            assert_eq!(view.find(Uid(n * 3 + 1)), None);
            assert_eq!((view.seq_from(Uid(n * 3)), view.seq_from(Uid(n * 3 - 1))), (n, n));
        }
        assert_eq!(view.seq_from(Uid(9_001)), 3_001);
        let seqs: UidSet = [1, 511, 512, 513, 2_999, 3_000, 3_001].into_iter().collect();
        assert_eq!(view.uids_of(&seqs).to_string(), "3,1533,1536,1539,8997,9000");
        assert_eq!(
            view.iter_from(2_990).map(|(seq, _)| seq).collect::<Vec<_>>(),
            (2_990..=3_000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_empty_view_answers_everything() {
        let view = view(0..0);
        assert!(view.is_empty() && view.at(1).is_none() && view.find(Uid(1)).is_none());
        assert_eq!((view.seq_from(Uid(1)), view.iter_from(1).count()), (1, 0));
        let grown = view.advance(&UidSet::new(), &[row(1, 2), row(2, 2)], ModSeq(2), Uid(3));
        assert_eq!((grown.len(), view.gone_in(&grown).len()), (2, 0));
        assert_eq!(grown.advance(&UidSet::range(1..=2), &[], ModSeq(3), Uid(3)).len(), 0);
    }

    #[test]
    fn advancing_copies_only_the_chunks_that_changed() {
        let old = view(1..=10_000);
        let new =
            old.advance(&UidSet::range(700..=700), &[row(5_000, 2), row(10_001, 2)], ModSeq(2), Uid(10_002));
        let shared = old.chunks.iter().filter(|a| new.chunks.iter().any(|b| Arc::ptr_eq(a, b))).count();
        assert_eq!(old.chunks.len() - shared, 3);
        assert_eq!(old.gone_in(&new), [(700, Uid(700))]);
        let told: Vec<(u32, u32)> =
            new.changed_since(ModSeq(1)).iter().map(|(seq, row)| (*seq, row.uid.0)).collect();
        assert_eq!(told, [(4_999, 5_000), (10_000, 10_001)]);
    }

    #[test]
    fn expunging_most_of_a_mailbox_leaves_no_crumbs() {
        let old = view(1..=100_000);
        let mut view = old.clone();
        for step in 0..10 {
            let gone: UidSet = (1..=100_000).filter(|uid| uid % 100 / 10 == step && uid % 10 != 0).collect();
            view = view.advance(&gone, &[], ModSeq(2 + u64::from(step)), Uid(100_001));
        }
        assert_eq!(view.len(), 10_000);
        assert!(view.chunks.len() < 200, "{} chunks", view.chunks.len());
        let gone = old.gone_in(&view);
        assert!(gone.len() == 90_000 && gone.iter().all(|(seq, uid)| *seq == uid.0 && uid.0 % 10 != 0));
    }
}
