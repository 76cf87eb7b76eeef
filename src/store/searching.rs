//! One slice of a search, on the reader thread: rows of the mailbox go before the judge, who asks for more of a message
//! only where the row does not decide.

use std::sync::{Arc, Weak};

use crate::base::{AccountId, BodyId, MailboxId, ModSeq, ThreadId, Uid, UidSet, Wall, limits};

use super::changes::change_row;
use super::judge::Judged;
use super::message::{SeenWalk, window};
use super::scan::Scan;
use super::search::{Judge, Message, Program};
use super::{Change, Flags, Reader, Reply, StoreError};

impl Reader {
    /// Judges messages from uid `from` up to `up_to`, until the slice's work is done.
    pub(super) fn search(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        program: &Arc<Program>,
        from: Uid,
        up_to: Uid,
    ) -> Result<Reply, StoreError> {
        let (judge, within) = (Judge::new(program), program.within());
        let span = Search { mailbox, account, judge, within, program };
        let all = UidSet::range(1..=u32::MAX);
        let uids = span.within.unwrap_or(&all);
        let mut slice = Slice { found: UidSet::new(), looked_at: 0, read: 0 };
        let mut start = from.0.max(1);
        while let Some((first, last)) = window(uids, start).filter(|(first, _)| *first <= up_to.0) {
            let last = last.min(up_to.0);
            if let Some(next) = self.search_window(&span, Uid(first), Uid(last), &mut slice)? {
                return Ok(Reply::Found { uids: slice.found, next: Some(next) });
            }
            let Some(next) = last.checked_add(1) else { break };
            start = next;
        }
        Ok(Reply::Found { uids: slice.found, next: None })
    }

    /// Where to go on if the slice's work is done before the window's end.
    fn search_window(
        &self,
        search: &Search<'_>,
        first: Uid,
        last: Uid,
        slice: &mut Slice,
    ) -> Result<Option<Uid>, StoreError> {
        let mut seen = self.seen_statement()?;
        let mut seen = SeenWalk::new(&mut seen, search.mailbox, search.account, first)?;
        let sql = "SELECT uid, flags, keywords, modseq, body, size, received, saved,
                iif(thread = 0, body, thread) FROM message
            WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid";
        let mut rows = self.statement(sql)?;
        let mut rows = rows.query((search.mailbox, first, last))?;
        while let Some(row) = rows.next()? {
            let change = change_row(row)?;
            if search.within.is_some_and(|uids| !uids.contains(change.uid.0)) {
                continue;
            }
            if slice.looked_at >= limits::SEARCH_ROWS_PER_SLICE
                || slice.read >= limits::SEARCH_BYTES_PER_SLICE
            {
                return Ok(Some(change.uid));
            }
            slice.looked_at += 1 + search.judge.keys() / KEYS_FREE;
            let mut candidate = Candidate {
                reader: self,
                change: seen.apply(change)?,
                body: row.get(4)?,
                size: row.get(5)?,
                received: row.get(6)?,
                saved: row.get(7)?,
                thread: row.get(8)?,
            };
            let body = candidate.body;
            let scan = self.scans.borrow_mut().take(search.program, body);
            let room = self.scans.borrow_mut().has_room();
            let most = if room { limits::SEARCH_BYTES_PER_SLICE } else { u64::MAX };
            match search.judge.judge_on(&mut candidate, scan, most)? {
                Judged::Holds(holds, read) => {
                    slice.read += read;
                    if holds {
                        slice.found.insert(change.uid.0);
                    }
                }
                Judged::Paused(scan, _) => {
                    self.scans.borrow_mut().keep(search.program, body, scan);
                    return Ok(Some(change.uid));
                }
            }
        }
        Ok(None)
    }

    /// A column of what is kept beside a body; empty where it is missing (`rebuild` makes it again).
    fn summary_column(&self, sql: &'static str, body: BodyId) -> Result<Vec<u8>, StoreError> {
        Ok(self.one(sql, [body], |row| row.get::<_, Option<Vec<u8>>>(0))?.flatten().unwrap_or_default())
    }
}

struct Search<'p> {
    mailbox: MailboxId,
    account: AccountId,
    judge: Judge,
    /// The only uids that can match.
    within: Option<&'p UidSet>,
    program: &'p Arc<Program>,
}

/// Keys that a message is held against at the cost of reading its row.
const KEYS_FREE: usize = 16;
/// Messages that wait to be searched on. Beyond them a message is searched to its end.
const SCANS_KEPT: usize = 64;

/// Large messages of which a part has been searched, until the same search comes back for the rest. Those of searches
/// that were given up are let go when others come.
#[derive(Default)]
pub struct Scans {
    kept: Vec<(Weak<Program>, BodyId, Box<Scan>)>,
}

impl Scans {
    fn take(&mut self, program: &Arc<Program>, body: BodyId) -> Option<Scan> {
        let same = |(of, at, _): &(Weak<Program>, BodyId, Box<Scan>)| {
            std::ptr::eq(of.as_ptr(), Arc::as_ptr(program)) && *at == body
        };
        let place = self.kept.iter().position(same)?;
        Some(*self.kept.swap_remove(place).2)
    }

    fn has_room(&mut self) -> bool {
        self.kept.retain(|(of, ..)| of.strong_count() > 0);
        self.kept.len() < SCANS_KEPT
    }

    fn keep(&mut self, program: &Arc<Program>, body: BodyId, scan: Box<Scan>) {
        self.kept.push((Arc::downgrade(program), body, scan));
    }
}

/// What one slice has come to.
struct Slice {
    found: UidSet,
    looked_at: usize,
    read: u64,
}

/// One message row, and the file behind it.
struct Candidate<'r> {
    reader: &'r Reader,
    change: Change,
    body: BodyId,
    size: u64,
    received: Wall,
    saved: Wall,
    thread: ThreadId,
}

impl Message for Candidate<'_> {
    fn uid(&self) -> Uid {
        self.change.uid
    }

    fn flags(&self) -> Flags {
        self.change.flags
    }

    fn modseq(&self) -> ModSeq {
        self.change.modseq
    }

    fn keywords(&mut self) -> Result<Arc<[String]>, StoreError> {
        self.reader.keywords(self.change.flags.keywords)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn received(&self) -> Wall {
        self.received
    }

    fn saved(&self) -> Wall {
        self.saved
    }

    fn body(&self) -> BodyId {
        self.body
    }

    fn thread(&self) -> ThreadId {
        self.thread
    }

    fn envelope(&mut self) -> Result<Vec<u8>, StoreError> {
        self.reader.summary_column("SELECT envelope FROM summary WHERE body = ?1", self.body)
    }

    fn parts(&mut self) -> Result<Vec<u8>, StoreError> {
        self.reader.summary_column("SELECT parts FROM summary WHERE body = ?1", self.body)
    }

    fn slice(&mut self, at: u64) -> Result<Vec<u8>, StoreError> {
        self.reader.slice(self.body, at)
    }
}
