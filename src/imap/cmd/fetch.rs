//! FETCH and UID FETCH (RFC 9051 section 6.4.5, RFC 7162 sections 3.1.4 and 3.2.6).
//!
//! Flags, uids and modseqs come from the view without any reading. Everything else comes from rows, a slice of them at a
//! time: first the rows are read, then those that this command marks as `\Seen` are marked (one commit for the slice, so
//! that nothing is told that is not durable), then they are written as fast as the client reads. Larger bodies are read
//! slice by slice while they are written. Memory: one slice of rows, one slice of a body, and the output window.

use std::sync::Arc;

use crate::base::{Uid, UidSet, limits};
use crate::imap::command::By;
use crate::imap::fetch_args::{self, FetchArgs, Item};
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::returns::Window;
use crate::imap::server::{Core, Pause, Running, ask, room};
use crate::imap::view::{Own, Selected, expunged_since};
use crate::session::{Answer, Cx, Want};
use crate::store::{
    ChangeFlags, Columns, Done, FlagNames, FlagOp, Flags, Preview, Question, Reply as Read, Rows, View, Write,
};

use super::fetch_row::{Message, Wanted, Written};
use super::section;

pub fn fetch(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    p.space()?;
    Ok(Box::new(Fetch { args: fetch_args::fetch(p, by)?, by, work: None }))
}

struct Fetch {
    args: FetchArgs,
    by: By,
    /// `None` until the view is there.
    work: Option<Work>,
}

struct Work {
    view: Arc<View>,
    /// What is asked for; by uid it may hold numbers that no message has.
    uids: Arc<UidSet>,
    /// Everything below has been answered; `None` when all has.
    from: Option<Uid>,
    /// How many messages of the view are asked for and not answered yet.
    left: u64,
    /// Uids to tell as VANISHED (EARLIER) before anything else, from this one on.
    vanished: Option<(UidSet, u32)>,
    wanted: Wanted,
    source: Source,
    trouble: Trouble,
}

enum Source {
    /// The view knows it all.
    View,
    Rows {
        columns: Columns,
        mark_seen: bool,
        batch: Option<Batch>,
    },
}

/// One slice of rows.
struct Batch {
    rows: Rows,
    /// The row that is being written, or is next.
    at: usize,
    /// What this command has marked `\Seen` of it, and how those messages stand now. `None`: not tried yet.
    seen: Option<Seen>,
    message: Option<Message>,
}

#[derive(Default)]
struct Seen {
    changed: UidSet,
    now: Vec<crate::store::Change>,
}

/// What the tagged reply must say.
#[derive(Clone, Copy, Default)]
struct Trouble {
    unknown_encoding: bool,
    lost: bool,
}

impl Running for Fetch {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.work.is_none() {
            self.work = Some(self.begin(core, cx)?);
        }
        let Some(work) = &mut self.work else { return Err(Pause::Gone) };
        work.tell_vanished(cx)?;
        match work.source {
            Source::View => work.answer_by_view(cx)?,
            Source::Rows { .. } => work.answer_by_rows(core, cx)?,
        }
        Ok(work.reply())
    }

    fn in_literal(&self) -> bool {
        let Some(Work { source: Source::Rows { batch: Some(batch), .. }, .. }) = &self.work else {
            return false;
        };
        batch.message.as_ref().is_some_and(Message::in_literal)
    }
}

impl Fetch {
    fn begin(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Work, Pause> {
        if self.args.vanished && !core.qresync {
            return Err(Bad("VANISHED needs ENABLE QRESYNC first").into());
        }
        let selected = core.selected()?;
        let view = selected.view(cx)?;
        let mut uids = selected.resolve(&self.args.set, self.by, &view)?;
        let mark_seen = !selected.read_only && self.args.items.iter().any(Item::sets_seen);
        let since = self.args.changed_since;
        let vanished = match since {
            Some(since) if self.args.vanished => Some(vanished(selected, &uids, since, &view, cx)?),
            _ => None,
        };
        if let Some(window) = self.args.window {
            uids = within(&view, &uids, window);
        }
        if let Some(since) = since.filter(|since| since.0 > 0) {
            let changed = view.changed_since(since);
            uids = changed.iter().map(|(_, row)| row.uid.0).filter(|uid| uids.contains(*uid)).collect();
        }
        if self.args.items.contains(&Item::ModSeq) {
            core.enable_condstore(cx);
        }
        let items = std::mem::take(&mut self.args.items);
        Ok(Work {
            left: shown(&view, &uids),
            from: uids.first().map(Uid),
            view,
            uids: Arc::new(uids),
            vanished: vanished.map(|uids| (uids, 1)),
            source: source(&items, mark_seen),
            wanted: Wanted::new(items, core.condstore, core.names()),
            trouble: Trouble::default(),
        })
    }
}

/// The rows to be read for these items, if any.
fn source(items: &[Item], mark_seen: bool) -> Source {
    if items.iter().all(|item| matches!(item, Item::Uid | Item::Flags | Item::ModSeq)) {
        return Source::View;
    }
    let mut columns = Columns::default();
    for item in items {
        match item {
            Item::Envelope => columns.envelope = true,
            Item::Body | Item::BodyStructure => columns.structure = true,
            Item::Preview { lazy: true } => columns.preview = Preview::AtHand,
            Item::Preview { lazy: false } => columns.preview = Preview::Always,
            Item::Bytes(bytes) => {
                columns.body = true;
                columns.parts |= !section::is_whole(bytes);
            }
            _ => {}
        }
    }
    Source::Rows { columns, mark_seen, batch: None }
}

/// How many messages of the view are in the set.
fn shown(view: &View, uids: &UidSet) -> u64 {
    numbers(view, uids).count()
}

/// The sequence numbers of the messages that are in the set.
fn numbers(view: &View, uids: &UidSet) -> UidSet {
    let mut numbers = UidSet::new();
    for range in uids.ranges() {
        let (first, next) = (view.seq_from(Uid(*range.start())), view.seq_from(Uid(*range.end()).next()));
        if first < next {
            numbers.insert_range(first, next - 1);
        }
    }
    numbers
}

/// The messages of the set that lie in the window (RFC 9394 section 3.3).
fn within(view: &View, uids: &UidSet, window: Window) -> UidSet {
    let numbers = numbers(view, uids);
    let places = window.places(usize::try_from(numbers.count()).unwrap_or(usize::MAX));
    view.uids_of(&numbers.nth(places.start as u64..places.end as u64))
}

/// Uids of the set that are gone since then. Those the client still counts are left out: they are told when the command
/// is over. If the record does not reach back that far, all uids that are not there are gone (RFC 7162 section 3.2.6).
fn vanished(
    selected: &Selected,
    uids: &UidSet,
    since: crate::base::ModSeq,
    view: &View,
    cx: &mut Cx<'_>,
) -> Result<UidSet, Pause> {
    let (gone, complete) = expunged_since(selected, cx, since)?;
    let told = if complete { gone.intersection(uids) } else { uids.clone() };
    let shown: UidSet = told
        .ranges()
        .flat_map(|range| {
            let rows = view.iter_from(view.seq_from(Uid(*range.start())));
            rows.map(|(_, row)| row.uid.0).take_while(move |uid| uid <= range.end())
        })
        .collect();
    Ok(told.without(&shown))
}

impl Work {
    fn tell_vanished(&mut self, cx: &mut Cx<'_>) -> Result<(), Pause> {
        while let Some((uids, from)) = &mut self.vanished {
            if cx.output.full() {
                return Err(room(cx));
            }
            let mut some = UidSet::new();
            for range in uids.ranges_from(*from).take(limits::FETCH_VANISHED_RANGES_MAX) {
                some.insert_range(*range.start(), *range.end());
            }
            match some.last() {
                Some(last) => {
                    cx.output.str(&format!("* VANISHED (EARLIER) {some}\r\n"));
                    *from = last.saturating_add(1);
                }
                None => self.vanished = None,
            }
        }
        Ok(())
    }

    /// Writes as many responses as there is room for; nothing is read.
    fn answer_by_view(&mut self, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let Some(from) = self.from else { return Ok(()) };
        for range in self.uids.ranges_from(from.0) {
            for (seq, row) in self.view.iter_from(self.view.seq_from(Uid(*range.start()))) {
                if row.uid.0 > *range.end() {
                    break;
                }
                if cx.output.full() {
                    self.from = Some(row.uid);
                    return Err(room(cx));
                }
                self.wanted.write_flags_only(seq, row, cx.output, cx.store)?;
                self.left = self.left.saturating_sub(1);
            }
        }
        self.from = None;
        Ok(())
    }

    /// Reads, marks and writes one slice of rows after the other.
    fn answer_by_rows(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        self.take_answer(core, cx)?;
        loop {
            let Source::Rows { columns, mark_seen, batch } = &mut self.source else { return Ok(()) };
            let Some(current) = batch else {
                let Some(from) = self.from.filter(|_| self.left > 0) else { return Ok(()) };
                let selected = core.selected()?;
                let (mailbox, account) = (selected.mailbox, selected.account);
                let (uids, columns) = (self.uids.clone(), *columns);
                return Err(ask(cx, Question::Rows { mailbox, account, uids, from, columns }));
            };
            if current.seen.is_none() {
                current.seen = Some(Seen::default());
                let unseen = if *mark_seen { current.unseen(&self.view) } else { UidSet::new() };
                if !unseen.is_empty() {
                    return Err(Pause::Wait(Want::Commit { write: mark(core.selected()?, unseen) }));
                }
            }
            current.write(&self.view, &mut self.wanted, &mut self.trouble, &mut self.left, cx)?;
            self.from = current.rows.next;
            *batch = None;
        }
    }

    /// Puts what the step has been waiting for where it belongs.
    fn take_answer(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let Source::Rows { batch, .. } = &mut self.source else { return Ok(()) };
        match (cx.answer.take(), batch) {
            (Some(Answer::Read(Ok(Read::Rows(rows)))), batch @ None) => {
                *batch = Some(Batch { rows, at: 0, seen: None, message: None });
            }
            (Some(Answer::Read(Ok(Read::Bytes(bytes)))), Some(batch)) => batch.take_bytes(Some(bytes)),
            (Some(Answer::Read(Err(error))), Some(batch)) => {
                log::warn!("reading a message failed: {error}");
                batch.take_bytes(None);
            }
            (Some(Answer::Read(Err(error))), None) => return Err(error.into()),
            (Some(Answer::Commit(Ok(Done::Flags { modseq, changed, .. }))), Some(batch)) => {
                let selected = core.selected()?;
                let first = Uid(changed.first().unwrap_or(1));
                let before = crate::base::ModSeq(modseq.0.saturating_sub(1));
                let now = cx.store.changes(
                    selected.mailbox,
                    selected.account,
                    before,
                    first,
                    limits::READ_ROWS_MAX,
                )?;
                let (op, flags, told) = (FlagOp::Add, seen_flag(), true);
                selected.own.push(Own { modseq, uids: changed.clone(), op, flags, told });
                batch.seen = Some(Seen { changed, now });
            }
            // A refused mark (a full disk, say) does not keep anybody from reading.
            _ => {}
        }
        Ok(())
    }

    fn reply(&self) -> Reply {
        if self.trouble.unknown_encoding {
            return reply::no("UNKNOWN-CTE", "A part has an encoding that nobody here knows");
        }
        if self.trouble.lost || self.left > 0 {
            return reply::no("EXPUNGEISSUED", "Some of these messages are gone");
        }
        reply::ok("Fetched")
    }
}

fn seen_flag() -> FlagNames {
    FlagNames { system: Flags::SEEN, keywords: Vec::new() }
}

fn mark(selected: &Selected, uids: UidSet) -> Write {
    Write::Flags(ChangeFlags {
        account: selected.account,
        mailbox: selected.mailbox,
        uids,
        op: FlagOp::Add,
        flags: seen_flag(),
        unchanged_since: None,
    })
}

impl Batch {
    fn unseen(&self, view: &View) -> UidSet {
        let rows = self.rows.rows.iter();
        rows.filter(|row| !row.flags.has(Flags::SEEN) && view.find(row.uid).is_some())
            .map(|row| row.uid.0)
            .collect()
    }

    /// `None`: the reading failed, and there are none.
    fn take_bytes(&mut self, bytes: Option<Vec<u8>>) {
        if let Some(message) = &mut self.message {
            message.take_bytes(bytes.unwrap_or_default());
        }
    }

    fn write(
        &mut self,
        view: &View,
        wanted: &mut Wanted,
        trouble: &mut Trouble,
        left: &mut u64,
        cx: &mut Cx<'_>,
    ) -> Result<(), Pause> {
        while let Some(row) = self.rows.rows.get(self.at) {
            let mut message = match self.message.take() {
                Some(message) => message,
                None if cx.output.full() => return Err(room(cx)),
                None => match view.find(row.uid) {
                    Some((seq, _)) => {
                        Message::new(seq, row, self.seen.as_ref().and_then(|seen| seen.of(row.uid)))
                    }
                    // A kept row of a message that was gone before this client's view began.
                    None => {
                        self.at += 1;
                        continue;
                    }
                },
            };
            match message.write(row, &self.rows.arena, wanted, cx)? {
                Written::All => {
                    trouble.unknown_encoding |= message.unknown_encoding;
                    trouble.lost |= message.lost;
                    *left = left.saturating_sub(1);
                    self.at += 1;
                }
                Written::Room => {
                    self.message = Some(message);
                    return Err(room(cx));
                }
                Written::Read { at, length } => {
                    message.asked(at);
                    self.message = Some(message);
                    return Err(ask(cx, Question::Body { body: row.body, at, length }));
                }
            }
        }
        Ok(())
    }
}

impl Seen {
    /// How a message that was marked stands now; `None` if it was not marked.
    fn of(&self, uid: Uid) -> Option<crate::store::Change> {
        if !self.changed.contains(uid.0) {
            return None;
        }
        self.now.iter().find(|now| now.uid == uid).copied()
    }
}
