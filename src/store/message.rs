//! Reads of messages: views, rows in bulk, bodies. All in slices, on the reader thread; only a small view is loaded on the
//! loop.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Rows as Cursor};

use crate::base::limits::{PREVIEWS_PER_SLICE, READ_BYTES_MAX, READ_ROWS_MAX, SLICE_BYTES};
use crate::base::{AccountId, BodyId, MailboxId, ModSeq, Uid, UidSet};
use crate::mime::Summarizer;

use super::changes::{change_row, with_seen};
use super::{Change, Columns, Flags, Preview, Question, Reader, Reply, Row, Rows, StoreError, View};

/// Uids apart by at most this much are read in one scan; what lies between is skipped.
const GAP_SCANNED: u32 = 32;
/// `slice.id` is body * this + the slice's number.
pub const SLICES_PER_BODY: i64 = 65_536;

impl Reader {
    /// Answers one question with one slice. On the reader thread, never on the loop.
    pub fn answer(&self, question: &Question) -> Result<Reply, StoreError> {
        match question {
            Question::View { mailbox, account } => {
                Ok(Reply::View(std::sync::Arc::new(self.load_view(*mailbox, *account)?)))
            }
            Question::ViewAsOf { mailbox, account, modseq, uid_next } => {
                let current = std::sync::Arc::new(self.load_view(*mailbox, *account)?);
                Ok(Reply::ViewAsOf(self.view_as_of(&current, *modseq, *uid_next)?))
            }
            Question::Expunged { mailbox, since, until } => {
                let (gone, complete) = self.expunged_until(*mailbox, *since, *until)?;
                Ok(Reply::Expunged(gone, complete))
            }
            Question::Rows { mailbox, account, uids, from, columns } => {
                Ok(Reply::Rows(self.rows(*mailbox, *account, uids, *from, *columns)?))
            }
            Question::Sizes { mailbox, from, up_to } => self.sizes(*mailbox, *from, *up_to),
            Question::Body { body, at, length } => Ok(Reply::Bytes(self.body(*body, *at, *length)?)),
            Question::Search { mailbox, account, program, from, up_to } => {
                self.search(*mailbox, *account, program, *from, *up_to)
            }
            Question::Sort { mailbox, sort } => Ok(Reply::Sorted(self.sort(*mailbox, sort)?)),
            Question::Thread { mailbox, threading } => Ok(Reply::Threads(self.thread(*mailbox, threading)?)),
            Question::Candidates { mailbox, query, after } => self.candidates(*mailbox, query, *after),
            Question::IndexNext => Ok(Reply::IndexNext(self.index_next()?)),
        }
    }

    pub(super) fn load_view(&self, mailbox: MailboxId, account: AccountId) -> Result<View, StoreError> {
        let Some(now) = self.mailbox_state(mailbox)? else {
            return Ok(View::new(mailbox, account, ModSeq(0), Uid(1), &[]));
        };
        let mut rows = Vec::with_capacity(now.messages as usize);
        self.scan(mailbox, account, Uid(1), |change| {
            rows.push(change);
            true
        })?;
        Ok(View::new(mailbox, account, now.modseq, now.uid_next, &rows))
    }

    /// Visits the messages of a mailbox from uid `from` on, in order, until `visit` says false.
    pub(super) fn scan(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        from: Uid,
        mut visit: impl FnMut(Change) -> bool,
    ) -> Result<(), StoreError> {
        let mut seen = self.seen_statement()?;
        let mut seen = SeenWalk::new(&mut seen, mailbox, account, from)?;
        let sql =
            "SELECT uid, flags, keywords, modseq FROM message WHERE mailbox = ?1 AND uid >= ?2 ORDER BY uid";
        let mut messages = self.statement(sql)?;
        let mut messages = messages.query((mailbox, from))?;
        while let Some(row) = messages.next()? {
            if !visit(seen.apply(change_row(row)?)?) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn seen_statement(&self) -> Result<CachedStatement<'_>, StoreError> {
        self.statement(
            "SELECT uid, seen, modseq FROM seen WHERE mailbox = ?1 AND account = ?2 AND uid >= ?3 ORDER BY uid",
        )
    }

    /// Message rows of `uids` from `from` on, until the slice is full.
    fn rows(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        uids: &UidSet,
        from: Uid,
        columns: Columns,
    ) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        let mut start = from.0.max(1);
        while let Some((first, last)) = window(uids, start) {
            let scan = Scan { mailbox, account, uids, first: Uid(first), last: Uid(last), columns };
            if !self.rows_of_window(&scan, &mut rows)? {
                rows.next = rows.rows.last().map(|row| row.uid.next());
                return Ok(rows);
            }
            let Some(next) = last.checked_add(1) else { break };
            start = next;
        }
        Ok(rows)
    }

    /// False when the slice is full before the window's end.
    fn rows_of_window(&self, scan: &Scan<'_>, rows: &mut Rows) -> Result<bool, StoreError> {
        let Scan { mailbox, account, first, last, .. } = *scan;
        let sql = "SELECT 1 FROM expunged INDEXED BY expunged_kept
            WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND body IS NOT NULL LIMIT 1";
        let expunged = self.one(sql, (mailbox, first, last), |_| Ok(()))?.is_some();
        let mut seen = self.seen_statement()?;
        let mut seen = SeenWalk::new(&mut seen, mailbox, account, first)?;
        let mut found = self.statement(rows_sql(scan.columns, expunged))?;
        let mut found = found.query((mailbox, first, last))?;
        while let Some(row) = found.next()? {
            let change = change_row(row)?;
            if !scan.uids.contains(change.uid.0) {
                continue;
            }
            let full = rows.rows.len() >= READ_ROWS_MAX || rows.arena.len() >= READ_BYTES_MAX;
            if full || rows.previews_made >= PREVIEWS_PER_SLICE {
                return Ok(false);
            }
            let change = seen.apply(change)?;
            let row = self.take_row(row, change, scan.columns, rows)?;
            rows.rows.push(row);
        }
        Ok(true)
    }

    fn take_row(
        &self,
        row: &rusqlite::Row<'_>,
        change: Change,
        columns: Columns,
        rows: &mut Rows,
    ) -> Result<Row, StoreError> {
        let Rows { arena, previews_made, .. } = rows;
        let body: BodyId = row.get(4)?;
        let mut column = FIXED_COLUMNS;
        let mut take = |wanted: bool, arena: &mut Vec<u8>| -> Result<std::ops::Range<usize>, StoreError> {
            let start = arena.len();
            if wanted {
                // NULL where the summary is missing: derived data that `rebuild` makes again.
                let value = row.get_ref(column)?;
                arena.extend_from_slice(value.as_bytes_or_null().ok().flatten().unwrap_or_default());
                column += 1;
            }
            Ok(start..arena.len())
        };
        let envelope = take(columns.envelope, arena)?;
        let structure = take(columns.structure, arena)?;
        let parts = take(columns.parts, arena)?;
        let wanted = columns.preview != Preview::No;
        let from_file = take(wanted, arena)?;
        let there = wanted && row.get_ref(preview_column(columns))? != ValueRef::Null;
        let mut preview = there.then_some(from_file);
        if columns.preview == Preview::Always && !there {
            let start = arena.len();
            arena.extend_from_slice(self.make_preview(body)?.as_bytes());
            *previews_made += 1;
            preview = Some(start..arena.len());
        }
        let start = arena.len();
        if columns.body {
            self.unpack(body, 0, 0, arena)?;
        }
        Ok(Row {
            uid: change.uid,
            flags: change.flags,
            modseq: change.modseq,
            body,
            size: row.get(5)?,
            received: row.get(6)?,
            saved: row.get(7)?,
            thread: row.get(8)?,
            envelope,
            structure,
            parts,
            preview,
            first_slice: start..arena.len(),
        })
    }

    /// Of a body that came before previews were kept: from as much of it as one slice holds.
    fn make_preview(&self, body: BodyId) -> Result<String, StoreError> {
        let mut summarizer = Summarizer::new();
        summarizer.feed(&self.slice(body, 0)?);
        Ok(summarizer.finish().preview)
    }

    /// The slice of a body that begins at `at`, a multiple of `SLICE_BYTES`.
    pub(super) fn slice(&self, body: BodyId, at: u64) -> Result<Vec<u8>, StoreError> {
        let number = at / SLICE_BYTES as u64;
        let mut bytes = Vec::new();
        self.unpack(body, number, number, &mut bytes)?;
        Ok(bytes)
    }

    /// Up to `length` bytes from `at` on. Nothing at all where the body is no longer in the file.
    pub(super) fn body(&self, body: BodyId, at: u64, length: u32) -> Result<Vec<u8>, StoreError> {
        let length = (length as usize).min(SLICE_BYTES);
        let slice = SLICE_BYTES as u64;
        let (first, last) = (at / slice, at.saturating_add(length.max(1) as u64 - 1) / slice);
        let mut bytes = Vec::new();
        self.unpack(body, first, last, &mut bytes)?;
        // Less than a slice lies before `at`.
        let skip = ((at - first * slice) as usize).min(bytes.len());
        bytes.drain(..skip);
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Appends the slices `first..=last` of a body to `out`, decompressed.
    pub(super) fn unpack(
        &self,
        body: BodyId,
        first: u64,
        last: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let Some(base) = body.0.checked_mul(SLICES_PER_BODY) else { return Ok(()) };
        let most = SLICES_PER_BODY - 1;
        let number = |slice: u64| base + i64::try_from(slice).unwrap_or(most).min(most);
        let sql = "SELECT length, compressed, stored FROM slice WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query((number(first), number(last)))?;
        while let Some(row) = rows.next()? {
            let stored = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            if row.get(1)? {
                self.unpacker.borrow_mut().unpack(stored, row.get(0)?, out)?;
            } else {
                out.extend_from_slice(stored);
            }
        }
        Ok(())
    }
}

/// One stretch of a mailbox to be read.
struct Scan<'a> {
    mailbox: MailboxId,
    account: AccountId,
    uids: &'a UidSet,
    first: Uid,
    last: Uid,
    columns: Columns,
}

/// The next stretch from `start` on that is worth one scan: ranges with small gaps are read together.
pub(super) fn window(uids: &UidSet, start: u32) -> Option<(u32, u32)> {
    let mut ranges = uids.ranges_from(start);
    let (first, mut last) = ranges.next().map(|range| range.into_inner())?;
    for range in ranges {
        if *range.start() - last > GAP_SCANNED {
            break;
        }
        last = *range.end();
    }
    Some((first.max(start), last))
}

/// What one account said about `\Seen`, walked beside the messages in order of uid.
pub(super) struct SeenWalk<'s> {
    rows: Cursor<'s>,
    head: Option<(Uid, bool, ModSeq)>,
}

impl<'s> SeenWalk<'s> {
    pub(super) fn new(
        statement: &'s mut CachedStatement<'_>,
        mailbox: MailboxId,
        account: AccountId,
        from: Uid,
    ) -> Result<SeenWalk<'s>, StoreError> {
        let mut walk = SeenWalk { rows: statement.query((mailbox, account, from))?, head: None };
        walk.step()?;
        Ok(walk)
    }

    fn step(&mut self) -> Result<(), StoreError> {
        self.head = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, row.get(1)?, row.get(2)?)),
            None => None,
        };
        Ok(())
    }

    /// The change as the account sees it. Uids must ascend from call to call.
    pub(super) fn apply(&mut self, change: Change) -> Result<Change, StoreError> {
        while let Some((uid, seen, modseq)) = self.head {
            if uid > change.uid {
                break;
            }
            if uid == change.uid {
                return Ok(with_seen(change, seen, modseq));
            }
            self.step()?;
        }
        Ok(change)
    }
}

/// The place of the preview, which is the last column.
fn preview_column(columns: Columns) -> usize {
    let kept = usize::from(columns.envelope) + usize::from(columns.structure) + usize::from(columns.parts);
    FIXED_COLUMNS + kept
}

/// `uid, flags, keywords, modseq, body, size, received, saved` come first in each row.
const FIXED_COLUMNS: usize = 9;

/// One statement for each choice of columns, so that each is prepared once.
fn rows_sql(columns: Columns, expunged: bool) -> &'static str {
    static STATEMENTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let index = usize::from(columns.envelope)
        | usize::from(columns.structure) << 1
        | usize::from(columns.parts) << 2
        | usize::from(columns.preview != Preview::No) << 3
        | usize::from(expunged) << 4;
    let statements = STATEMENTS.get_or_init(|| (0..32).map(make_rows_sql).collect());
    statements.get(index).map_or("", String::as_str)
}

fn make_rows_sql(index: usize) -> String {
    let fixed =
        "uid, flags, keywords, modseq, m.body, size, received, saved, iif(thread = 0, m.body, thread)";
    let wanted: String = [", s.envelope", ", s.structure", ", s.parts", ", s.preview"]
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| index >> bit & 1 == 1)
        .map(|(_, column)| column)
        .collect();
    let join = if wanted.is_empty() { "" } else { "LEFT JOIN summary AS s ON s.body = m.body" };
    let range = "mailbox = ?1 AND uid BETWEEN ?2 AND ?3";
    let mut sql = format!("SELECT {fixed}{wanted} FROM message AS m {join} WHERE {range}");
    if index >> 4 == 1 {
        let expunged = format!(
            " UNION ALL SELECT {fixed}{wanted} FROM expunged AS m {join} WHERE {range} AND m.body IS NOT NULL"
        );
        sql.push_str(&expunged);
    }
    sql.push_str(" ORDER BY uid");
    sql
}

/// Undoes zstd, with one context for the life of the reader.
#[derive(Default)]
pub struct Unpacker {
    context: Option<zstd::bulk::Decompressor<'static>>,
}

impl Unpacker {
    /// Appends the `length` bytes that `stored` stands for.
    pub fn unpack(&mut self, stored: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let broken = |why: String| StoreError::Broken(format!("a slice of a body is damaged: {why}"));
        if length > SLICE_BYTES {
            return Err(broken(format!("{length} bytes long")));
        }
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|error| broken(error.to_string()))?),
        };
        let start = out.len();
        out.resize(start + length, 0);
        let got = context.decompress_to_buffer(stored, &mut out[start..]);
        match got {
            Ok(got) if got == length => Ok(()),
            Ok(got) => Err(broken(format!("{got} bytes instead of {length}"))),
            Err(error) => Err(broken(error.to_string())),
        }
    }
}

/// System flags that lie in the message's own row, not in the table of `\Seen`.
pub const SHARED_FLAGS: u8 = Flags::ANSWERED | Flags::FLAGGED | Flags::DELETED | Flags::DRAFT;
