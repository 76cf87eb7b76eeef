//! What searching, sorting and threading need of every message of a mailbox, in memory, on the reader thread: arrays in
//! order of uid, one entry for each message.
//!
//! A uid means the same body for ever, so arrays only grow at their end: they are read once, some thousand rows a slice,
//! and afterwards only what has come in since. Expunged messages stay in them, since a session may still show them; who
//! asks keeps to what its own view shows. Mailboxes that nobody has asked about for the longest time go first.

use std::cell::{Ref, RefMut};
use std::collections::BTreeMap;

use crate::base::{BodyId, MailboxId, Uid, UidSet, limits};

use super::work::Work;
use super::{Reader, StoreError};

mod fields;
mod strings;

pub use fields::{Field, Fields};

/// The columns of the mailboxes that were asked about last.
#[derive(Default)]
pub struct Shelf {
    mailboxes: BTreeMap<MailboxId, Columns>,
    /// Counts uses, for the order in which mailboxes are let go.
    clock: u64,
}

/// The columns of one mailbox. A message is named by its place in them.
#[derive(Default)]
pub struct Columns {
    /// Ascending.
    uids: Vec<Uid>,
    bodies: Vec<BodyId>,
    /// All places, in order of body.
    by_body: Vec<u32>,
    /// Every uid below this one that there is has been read.
    whole_below: Uid,
    /// How many messages there were when they were whole for the first time.
    begun_with: Option<usize>,
    fields: Fields,
    /// Keeps strangers from making strings that fall together; from the first who asked for strings.
    salt: Option<u64>,
    /// Who asked last has not got all it needs yet, and comes again.
    awaited: bool,
    used: u64,
    /// When they were begun, by the shelf's count: places of columns that were begun anew are others.
    pub begun: u64,
}

/// Columns may grow by this much beyond twice what they began with, or what there is. Past it most of them is gone, and
/// all is read again.
const GONE_KEPT: usize = 10_000;
/// Columns that are awaited stay even where they are too large, for so many questions. Otherwise two large mailboxes
/// would push each other out for ever.
const AWAITED_FOR: u64 = 1_000;

/// Whether there are expunged messages between two uids that can still be read.
const KEPT_THERE: &str = "SELECT 1 FROM expunged INDEXED BY expunged_kept
    WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND body IS NOT NULL LIMIT 1";

impl Reader {
    /// The columns of a mailbox, whole as of this turn's snapshot. `None`: that was too much to read at once; one slice
    /// of it has been read, and who asks again comes nearer.
    pub(super) fn columns(&self, mailbox: MailboxId) -> Result<Option<Ref<'_, Columns>>, StoreError> {
        let (uid_next, messages) = match self.mailbox_state(mailbox)? {
            Some(now) => (now.uid_next, now.messages as usize),
            None => (Uid(1), 0),
        };
        let mut shelf = self.shelf.borrow_mut();
        let columns = shelf.take_up(mailbox, messages);
        if columns.whole_below < uid_next {
            let end = self.read_places(mailbox, columns)?;
            columns.whole_below = if end { uid_next } else { columns.last().next() };
        }
        let whole = columns.whole_below >= uid_next;
        if whole {
            columns.begun_with.get_or_insert(columns.uids.len());
        }
        columns.awaited = !whole;
        shelf.make_room(mailbox);
        drop(shelf);
        if !whole {
            return Ok(None);
        }
        Ok(Ref::filter_map(self.shelf.borrow(), |shelf| shelf.mailboxes.get(&mailbox)).ok())
    }

    /// The columns of a mailbox with these fields and the order of their strings, whole as far as the messages go that
    /// there are in this turn's snapshot. `None`: ask again, as for `columns`. Who has got them and still needs another
    /// slice says so by `await_more`.
    pub(super) fn columns_with(
        &self,
        mailbox: MailboxId,
        wanted: &[Field],
        ranked: &[Field],
        salt: u64,
        work: &mut Work,
    ) -> Result<Option<RefMut<'_, Columns>>, StoreError> {
        if self.columns(mailbox)?.is_none() {
            return Ok(None);
        }
        let shelf = self.shelf.borrow_mut();
        let Ok(mut columns) = RefMut::filter_map(shelf, |shelf| shelf.mailboxes.get_mut(&mailbox)) else {
            return Ok(None);
        };
        columns.awaited = true;
        let salt = *columns.salt.get_or_insert(salt);
        if !self.read_fields(mailbox, &mut columns, wanted, salt)? {
            return Ok(None);
        }
        if !ranked.iter().all(|field| columns.fields.rank(*field, work)) {
            return Ok(None);
        }
        columns.awaited = false;
        Ok(Some(columns))
    }

    /// Reads the next messages at the end of the columns; says whether there are no more.
    fn read_places(&self, mailbox: MailboxId, columns: &mut Columns) -> Result<bool, StoreError> {
        let most = limits::COLUMN_ROWS_PER_SLICE;
        let from = columns.whole_below;
        let sql = match self.one(KEPT_THERE, (mailbox, from, Uid::MAX), |_| Ok(()))? {
            None => "SELECT uid, body FROM message WHERE mailbox = ?1 AND uid >= ?2 ORDER BY uid LIMIT ?3",
            Some(()) => {
                "SELECT uid, body FROM message WHERE mailbox = ?1 AND uid >= ?2
                 UNION ALL SELECT uid, body FROM expunged INDEXED BY expunged_kept
                 WHERE mailbox = ?1 AND uid >= ?2 AND body IS NOT NULL ORDER BY uid LIMIT ?3"
            }
        };
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query((mailbox, from, most as i64))?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            columns.uids.push(row.get(0)?);
            columns.bodies.push(row.get(1)?);
            read += 1;
        }
        columns.order_by_body();
        Ok(read < most)
    }
}

impl Shelf {
    /// The columns of a mailbox, which are the ones used last from now on. Those that remember mostly what is gone
    /// begin anew.
    fn take_up(&mut self, mailbox: MailboxId, messages: usize) -> &mut Columns {
        self.clock += 1;
        let begun = self.clock;
        let columns = self.mailboxes.entry(mailbox).or_insert_with(|| Columns::begin(begun));
        let grown = |least: usize| columns.uids.len() > 2 * least.max(messages) + GONE_KEPT;
        if columns.begun_with.is_some_and(grown) && !columns.awaited {
            *columns = Columns::begin(begun);
        }
        columns.used = self.clock;
        columns
    }

    #[cfg(test)]
    pub fn pretend_ids(&mut self, mailbox: MailboxId, count: usize) {
        self.take_up(mailbox, 0).fields.pretend_ids(count);
    }

    /// Lets the mailboxes go that were used least recently, until there is room; the one in use stays in any case.
    fn make_room(&mut self, in_use: MailboxId) {
        let mut bytes: usize = self.mailboxes.values().map(Columns::bytes).sum();
        while bytes > limits::COLUMNS_BYTES_MAX {
            let others = self.mailboxes.iter().filter(|(mailbox, columns)| {
                **mailbox != in_use && !(columns.awaited && columns.used + AWAITED_FOR > self.clock)
            });
            let Some(oldest) = others.min_by_key(|(_, columns)| columns.used).map(|(mailbox, _)| *mailbox)
            else {
                return;
            };
            bytes -= self.mailboxes.remove(&oldest).map_or(0, |columns| columns.bytes());
        }
    }
}

impl Columns {
    fn begin(begun: u64) -> Columns {
        Columns { begun, ..Columns::default() }
    }

    /// Who asked comes again for more, and the columns must not change until then but for growing.
    pub fn await_more(&mut self) {
        self.awaited = true;
    }

    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The places of these uids, ascending. Uids of which nothing is left are left out.
    pub fn places(&self, uids: &UidSet) -> Vec<u32> {
        let mut places = Vec::with_capacity(usize::try_from(uids.count()).unwrap_or(0).min(self.len()));
        let mut from = 0;
        for range in uids.ranges() {
            from += self.uids[from..].partition_point(|uid| uid.0 < *range.start());
            let count = self.uids[from..].partition_point(|uid| uid.0 <= *range.end());
            places.extend((from..from + count).map(|place| place as u32));
            from += count;
        }
        places
    }

    /// The uids that these bodies have here, gone ones among them. `bodies` ascend.
    pub fn uids_of(&self, bodies: &[BodyId]) -> UidSet {
        let mut uids = Vec::new();
        let mut rest = self.by_body.as_slice();
        for body in bodies {
            rest = &rest[self.first_from(rest, *body)..];
            // A body that was copied within its mailbox is there more than once.
            let same = rest.iter().take_while(|place| self.body(**place) == *body).count();
            let (places, later) = rest.split_at(same);
            uids.extend(places.iter().map(|place| self.uid(*place).0));
            rest = later;
        }
        uids.sort_unstable();
        uids.into_iter().collect()
    }

    /// The uids of all bodies above `body`, gone ones among them.
    pub fn uids_after(&self, body: BodyId) -> UidSet {
        let from = self.by_body.partition_point(|place| self.body(*place) <= body);
        let mut uids: Vec<u32> = self.by_body[from..].iter().map(|place| self.uid(*place).0).collect();
        uids.sort_unstable();
        uids.into_iter().collect()
    }

    /// The bodies above `after`, at most `most` messages of them: the first and the last.
    pub fn stretch(&self, after: BodyId, most: usize) -> Option<(BodyId, BodyId)> {
        let from = self.by_body.partition_point(|place| self.body(*place) <= after);
        let last = from.saturating_add(most).min(self.len()).checked_sub(1).filter(|last| *last >= from)?;
        Some((self.body(self.by_body[from]), self.body(self.by_body[last])))
    }

    /// The uids of all bodies in `first..=last`, gone ones among them.
    pub fn uids_between(&self, first: BodyId, last: BodyId) -> UidSet {
        let from = self.by_body.partition_point(|place| self.body(*place) < first);
        let to = self.by_body.partition_point(|place| self.body(*place) <= last);
        let places = self.by_body.get(from..to).unwrap_or_default();
        let mut uids: Vec<u32> = places.iter().map(|place| self.uid(*place).0).collect();
        uids.sort_unstable();
        uids.into_iter().collect()
    }

    /// How many messages there are places for.
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    fn last(&self) -> Uid {
        self.uids.last().copied().unwrap_or_default()
    }

    pub fn uid(&self, place: u32) -> Uid {
        self.uids[place as usize]
    }

    fn body(&self, place: u32) -> BodyId {
        self.bodies[place as usize]
    }

    /// How many of `places`, which ascend by body, come before `body`. Cheap when it is few.
    fn first_from(&self, places: &[u32], body: BodyId) -> usize {
        let before = |place: &u32| self.body(*place) < body;
        let mut reach = 1;
        while places.get(reach).is_some_and(before) {
            reach *= 2;
        }
        places[..places.len().min(reach + 1)].partition_point(before)
    }

    /// Takes the places at the end into the order by body. New mail has new bodies and comes last anyway.
    fn order_by_body(&mut self) {
        let known = self.by_body.len();
        let mut new: Vec<u32> = (known..self.uids.len()).map(|place| place as u32).collect();
        new.sort_by_key(|place| self.body(*place));
        let in_order = match (self.by_body.last(), new.first()) {
            (Some(last), Some(first)) => self.body(*last) <= self.body(*first),
            _ => true,
        };
        let mut places = std::mem::take(&mut self.by_body);
        places.append(&mut new);
        if !in_order {
            // Two runs that are each in order: a stable sort only merges them.
            places.sort_by_key(|place| self.body(*place));
        }
        self.by_body = places;
    }

    fn bytes(&self) -> usize {
        self.uids.capacity() * size_of::<Uid>()
            + self.bodies.capacity() * size_of::<BodyId>()
            + self.by_body.capacity() * size_of::<u32>()
            + self.fields.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::base::Rng;

    const MAILBOX: MailboxId = MailboxId(70);

    /// A file with one mailbox, and what was ever put into it.
    struct Known {
        _folder: tempfile::TempDir,
        writer: Writer,
        reader: Reader,
        all: Vec<(u32, i64)>,
    }

    impl Known {
        fn new() -> Known {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("box.db");
            let writer = Writer::create(&path).expect("a new file");
            let sql = "INSERT INTO mailbox (id, account, name, validity, uid_next, modseq, complete_from, no_select)
                VALUES (70, 1, 'x', 1, 1, 1, 0, 0)";
            writer.db.execute(sql, []).expect("a mailbox");
            let reader = Reader::open(&path).expect("a reader");
            Known { _folder: folder, writer, reader, all: Vec::new() }
        }

        fn put(&mut self, bodies: impl Iterator<Item = i64>) {
            let transaction = self.writer.db.transaction().expect("begun");
            for body in bodies {
                let uid = self.all.last().map_or(1, |(uid, _)| uid + 1);
                self.all.push((uid, body));
                let sql = "INSERT INTO message VALUES (70, ?1, ?2, 1, 0, 0, 1, 0, 0, 0)";
                transaction.prepare_cached(sql).expect("prepared").execute((uid, body)).expect("put");
            }
            let sql = "UPDATE mailbox SET uid_next = (SELECT max(uid) + 1 FROM message WHERE mailbox = 70),
                messages = (SELECT count(*) FROM message WHERE mailbox = 70)";
            transaction.execute(sql, []).expect("counted");
            transaction.commit().expect("committed");
        }

        fn expunge(&mut self, uid: u32) {
            let sql = "INSERT OR IGNORE INTO expunged
                SELECT mailbox, uid, body, size, flags, keywords, modseq, received, saved, 0, 0 FROM message
                WHERE mailbox = 70 AND uid = ?1";
            self.writer.db.execute(sql, [uid]).expect("kept");
            self.writer
                .db
                .execute("DELETE FROM message WHERE mailbox = 70 AND uid = ?1", [uid])
                .expect("gone");
        }

        /// Asks until the columns are whole; how many slices it took, and what they say.
        fn ask<T>(&self, say: impl FnOnce(&Columns) -> T) -> (usize, T) {
            for slices in 1.. {
                self.reader.end_turn();
                if let Some(columns) = self.reader.columns(MAILBOX).expect("read") {
                    return (slices, say(&columns));
                }
            }
            unreachable!("it is whole at some time")
        }

        fn uids_where(&self, holds: impl Fn(i64) -> bool) -> UidSet {
            self.all.iter().filter(|(_, body)| holds(*body)).map(|(uid, _)| *uid).collect()
        }
    }

    #[test]
    fn bodies_are_found_while_mail_comes_and_goes() {
        let mut known = Known::new();
        let mut rng = Rng::new(&[4; 32]);
        let mut next = 1;
        for _ in 0..60 {
            let some: Vec<i64> = (0..rng.below(40))
                .map(|_| {
                    next += 1;
                    // Some are copies of what came earlier.
                    if rng.below(4) == 0 { rng.below(next) as i64 } else { next as i64 }
                })
                .collect();
            known.put(some.into_iter());
            for _ in 0..rng.below(5) {
                known.expunge(1 + rng.below(known.all.len() as u64 + 1) as u32);
            }
            let mut bodies: Vec<i64> = (0..rng.below(30)).map(|_| rng.below(next + 2) as i64).collect();
            bodies.sort_unstable();
            bodies.dedup();
            let ids: Vec<BodyId> = bodies.iter().copied().map(BodyId).collect();
            let after = rng.below(next + 2) as i64;
            let (_, (found, tail)) =
                known.ask(|columns| (columns.uids_of(&ids), columns.uids_after(BodyId(after))));
            assert_eq!(found, known.uids_where(|body| bodies.binary_search(&body).is_ok()));
            assert_eq!(tail, known.uids_where(|body| body > after));
        }
    }

    #[test]
    fn what_was_expunged_before_the_first_question_is_known_too() {
        let mut known = Known::new();
        known.put(1..=10);
        known.expunge(3);
        known.expunge(10);
        let (_, tail) = known.ask(|columns| columns.uids_after(BodyId(2)));
        assert_eq!(tail.to_string(), "3:10");
    }

    #[test]
    fn a_large_mailbox_is_read_in_slices_and_then_only_its_end() {
        let mut known = Known::new();
        let rows = limits::COLUMN_ROWS_PER_SLICE;
        known.put((1..=2 * rows as i64 + 5).rev());
        let (slices, first) = known.ask(|columns| columns.uids_of(&[BodyId(1), BodyId(rows as i64)]));
        assert_eq!((slices, first.to_string()), (3, format!("{},{}", rows + 6, 2 * rows + 5)));
        known.put(100_000..100_003);
        let (slices, tail) = known.ask(|columns| columns.uids_after(BodyId(99_999)));
        assert_eq!((slices, tail.count()), (1, 3));
    }

    #[test]
    fn columns_of_what_is_mostly_gone_are_read_anew() {
        let mut known = Known::new();
        let expunge_all = "INSERT INTO expunged
            SELECT mailbox, uid, body, size, flags, keywords, modseq, received, saved, 0, 0 FROM message";
        known.put(1..=GONE_KEPT as i64);
        known.writer.db.execute_batch(expunge_all).expect("kept");
        known.writer.db.execute_batch("DELETE FROM message; UPDATE mailbox SET messages = 0").expect("gone");
        known.put(20_000..20_010);
        assert_eq!(known.ask(Columns::len), (2, GONE_KEPT + 10), "all of it can still be in somebody's view");
        known.put(30_000..30_000 + 2 * GONE_KEPT as i64);
        assert_eq!(known.ask(Columns::len).1, 3 * GONE_KEPT + 10);
        let forget =
            "DELETE FROM expunged; DELETE FROM message WHERE uid < 30000; UPDATE mailbox SET messages = 10";
        known.writer.db.execute_batch(forget).expect("gone");
        assert_eq!(known.ask(Columns::len).1, 3 * GONE_KEPT + 10, "not more than twice what it began with");
        known.put(60_000..60_011);
        assert_eq!(known.ask(Columns::len).1, 3 * GONE_KEPT + 21);
        assert_eq!(known.ask(Columns::len).1, 22);
    }

    #[test]
    fn a_mailbox_that_is_not_there_has_no_messages() {
        let known = Known::new();
        let columns = known.reader.columns(MailboxId(999)).expect("read").expect("whole at once");
        assert!(columns.len() == 0 && columns.uids_after(BodyId(0)).is_empty());
    }

    #[test]
    fn the_mailbox_that_was_used_least_recently_goes_first() {
        let mut shelf = Shelf::default();
        let third = limits::COLUMNS_BYTES_MAX / 3 / size_of::<BodyId>();
        for number in [1, 2, 3, 1, 4] {
            let columns = shelf.take_up(MailboxId(number), 0);
            columns.bodies.resize(third, BodyId(0));
            shelf.make_room(MailboxId(number));
        }
        let left: Vec<i64> = shelf.mailboxes.keys().map(|mailbox| mailbox.0).collect();
        assert_eq!(left, [1, 3, 4]);
        shelf.take_up(MailboxId(3), 0).bodies.resize(4 * third, BodyId(0));
        shelf.make_room(MailboxId(3));
        assert_eq!(shelf.mailboxes.len(), 1, "the one in use stays, however large");
    }
}
