//! What the client of a selected mailbox has been told. SELECT remembers only where it stood (modseq and next uid);
//! the view itself is loaded at the first need, as of that moment, and shared with all sessions that stand there.

use std::sync::Arc;

use crate::base::{AccountId, MailboxId, ModSeq, Uid, UidSet, UidValidity, limits};
use crate::session::{Answer, Cx};
use crate::store::{AtOnce, Change, FlagNames, FlagOp, MailboxRow, Reply as Read, View, ViewAt};

use super::command::By;
use super::lex::{Bad, Point, Set, union};
use super::reply;
use super::server::{Pause, ask};

/// The mailbox that is open in a session, as far as its client knows it.
pub struct Selected {
    pub mailbox: MailboxId,
    /// Whose `\Seen` flags are shown.
    pub account: AccountId,
    pub validity: UidValidity,
    /// EXAMINE, or a credential that may only read.
    pub read_only: bool,
    /// All changes up to this one have been told, expunges excepted while `gone_untold`.
    pub modseq: ModSeq,
    /// Uids below this one have been announced.
    pub uid_next: Uid,
    /// How many messages the client counts: the last EXISTS less the EXPUNGEs since.
    pub messages: u32,
    /// Expunges that could not be told yet, because a FETCH, STORE or SEARCH was being answered.
    pub gone_untold: bool,
    /// Keywords in the last FLAGS response.
    pub keywords_told: usize,
    /// SEARCHRES: what `$` stands for.
    pub saved: UidSet,
    /// Our own changes that the next telling must not tell as if they were somebody else's.
    pub own: Vec<Own>,
    /// Messages whose flags the next telling tells in any case: what a STORE without `.SILENT` addressed.
    pub loud: UidSet,
    view: Option<Arc<View>>,
}

/// A flag change of this session: its client knows what it did.
pub struct Own {
    /// The change's own modseq.
    pub modseq: ModSeq,
    pub uids: UidSet,
    pub op: FlagOp,
    pub flags: FlagNames,
    /// The client has been told flags and modseq as they are now, in the answer to its command.
    pub told: bool,
}

impl Selected {
    /// Where a client stands that has just been told the row: O(1), whatever the size of the mailbox.
    pub fn new(row: &MailboxRow, account: AccountId, read_only: bool) -> Selected {
        Selected {
            mailbox: row.id,
            account,
            validity: row.validity,
            read_only,
            modseq: row.modseq,
            uid_next: row.uid_next,
            messages: row.messages,
            gone_untold: false,
            keywords_told: 0,
            saved: UidSet::new(),
            own: Vec::new(),
            loud: UidSet::new(),
            view: None,
        }
    }

    /// The view that the client's sequence numbers refer to. Flags in it may be newer than what was told.
    ///
    /// Call it with `?` at the start of a step: it pauses the command until the reader thread has brought the view,
    /// and takes that answer from `cx` when the step is repeated.
    pub fn view(&mut self, cx: &mut Cx<'_>) -> Result<Arc<View>, Pause> {
        if let Some(view) = &self.view {
            return Ok(view.clone());
        }
        let view = self.then(cx)?;
        let view = view.filter(|view| view.len() == self.messages as usize);
        let view = view.ok_or(Pause::Bye(reply::lost_track()))?;
        self.view = Some(view.clone());
        Ok(view)
    }

    /// The mailbox as it stood when the client was last told; `None` where that is not known any more.
    fn then(&mut self, cx: &mut Cx<'_>) -> Result<Option<Arc<View>>, Pause> {
        if let Some(Answer::Read(Ok(Read::ViewAsOf(then)))) = &cx.answer {
            let then = then.clone();
            cx.answer = None;
            return Ok(then);
        }
        let current = self.current(cx)?;
        if current.modseq == self.modseq {
            return Ok(Some(current));
        }
        match cx.store.view_then(&current, self.modseq, self.uid_next)? {
            AtOnce::Ready(then) => Ok(then),
            AtOnce::Ask(question) => Err(ask(cx, question)),
        }
    }

    /// The view as the mailbox stands now: what is *not* told yet is in it. Pauses as `view` does.
    pub fn current(&mut self, cx: &mut Cx<'_>) -> Result<Arc<View>, Pause> {
        if let Some(Answer::Read(Ok(Read::View(view)))) = &cx.answer {
            cx.store.keep(view);
            cx.answer = None;
        }
        if let Some(Answer::Read(Err(error))) = &cx.answer {
            return Err(Pause::Refuse(reply::store_error(error)));
        }
        match cx.store.view(self.mailbox, self.account)? {
            ViewAt::Ready(view) => Ok(view),
            ViewAt::Ask(question) => Err(ask(cx, question)),
        }
    }

    /// The client has now been told all that `view` shows.
    pub fn told(&mut self, view: Arc<View>) {
        self.modseq = view.modseq;
        self.uid_next = view.uid_next;
        self.messages = u32::try_from(view.len()).unwrap_or(u32::MAX);
        self.view = Some(view);
    }

    /// Whether a view is at hand, so that telling costs nothing but the difference.
    pub fn has_view(&self) -> bool {
        self.view.is_some()
    }

    /// The uids that a set means to this client. `*` is the last message; uids that are not announced yet are left
    /// out, uids that are gone may be in it.
    ///
    /// RFC 9051 section 9 (`seq-number`) asks for BAD where a sequence number is beyond the end. We do that for plain
    /// numbers, but not for `*` in an empty mailbox, since `FETCH 1:*` is what clients send right after SELECT.
    pub fn resolve(&self, set: &Set, by: By, view: &View) -> Result<UidSet, Pause> {
        let ranges = match set {
            Set::Saved => return Ok(clip(&self.saved, view)),
            Set::Ranges(ranges) => ranges,
        };
        let last = match by {
            By::Seq => u32::try_from(view.len()).unwrap_or(u32::MAX),
            By::Uid => view.at(u32::try_from(view.len()).unwrap_or(u32::MAX)).map_or(0, |row| row.uid.0),
        };
        let mut wanted = Vec::with_capacity(ranges.len());
        for (a, b) in ranges {
            let number = |point: &Point| if let Point::Number(number) = point { *number } else { last };
            let (first, end) = (number(a).min(number(b)), number(a).max(number(b)));
            let starred = matches!(a, Point::Last) || matches!(b, Point::Last);
            if by == By::Seq && end > last && !(last == 0 && starred) {
                return Err(Pause::Refuse(reply::bad(Bad("There are not that many messages"))));
            }
            if end >= 1 && last >= 1 {
                wanted.push((first.max(1), end));
            }
        }
        let numbers = union(wanted);
        match by {
            By::Seq => Ok(view.uids_of(&numbers)),
            By::Uid => Ok(clip(&numbers, view)),
        }
    }
}

/// The part of `uids` that a view can know.
fn clip(uids: &UidSet, view: &View) -> UidSet {
    match view.uid_next.0 {
        0 | 1 => UidSet::new(),
        next => uids.intersection(&UidSet::range(1..=next - 1)),
    }
}

/// Uids that were expunged after `since`, of those in `known`: what VANISHED (EARLIER) says (RFC 7162 section 3.2.5.2).
/// Where the record does not reach back that far, every uid that is not there any more counts as expunged, but for
/// those below a pair of `matched` (sequence number, uid) that still agrees.
pub fn vanished_since(
    selected: &mut Selected,
    cx: &mut Cx<'_>,
    since: ModSeq,
    known: Option<&UidSet>,
    matched: &[(u32, u32)],
) -> Result<UidSet, Pause> {
    let view = selected.view(cx)?;
    let (gone, complete) = expunged_since(selected, cx, since)?;
    let gone = if complete { gone } else { missing(&view, matched) };
    Ok(match known {
        Some(known) => gone.intersection(known),
        None => gone,
    })
}

/// What was expunged after `since` and up to what the client has been told, and whether all of it is on record. Pauses
/// when it is much; the view must be at hand, so that one question waits at a time.
pub fn expunged_since(selected: &Selected, cx: &mut Cx<'_>, since: ModSeq) -> Result<(UidSet, bool), Pause> {
    if let Some(Answer::Read(Ok(Read::Expunged(gone, complete)))) = &cx.answer {
        let answer = (gone.clone(), *complete);
        cx.answer = None;
        return Ok(answer);
    }
    if let Some(Answer::Read(Err(error))) = &cx.answer {
        return Err(Pause::Refuse(reply::store_error(error)));
    }
    match cx.store.expunged(selected.mailbox, since, selected.modseq)? {
        AtOnce::Ready(answer) => Ok(answer),
        AtOnce::Ask(question) => Err(ask(cx, question)),
    }
}

/// Every uid below the next one that the view does not show.
fn missing(view: &View, matched: &[(u32, u32)]) -> UidSet {
    let agrees = |&&(seq, uid): &&(u32, u32)| view.at(seq).is_some_and(|row| row.uid.0 == uid);
    let mut from = matched.iter().filter(agrees).map(|(_, uid)| uid + 1).max().unwrap_or(1);
    let mut missing = UidSet::new();
    for (_, row) in view.iter_from(1) {
        if row.uid.0 > from {
            missing.insert_range(from, row.uid.0 - 1);
        }
        from = from.max(row.uid.0.saturating_add(1));
    }
    if view.uid_next.0 > from {
        missing.insert_range(from, view.uid_next.0 - 1);
    }
    missing
}

/// The next messages to be changed in one commit: from uid `from` on, those that `fits`, at most `UIDS_PER_WRITE_MAX`.
pub fn next_part(view: &View, from: Uid, fits: impl Fn(&Change) -> bool) -> UidSet {
    let rows = view.iter_from(view.seq_from(from)).map(|(_, row)| row).filter(fits);
    rows.take(limits::UIDS_PER_WRITE_MAX as usize).map(|row| row.uid.0).collect()
}
