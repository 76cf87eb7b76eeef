//! Telling a client what has changed in its mailbox since it was last told: one machine that alone emits EXPUNGE,
//! VANISHED, EXISTS and unasked FETCH, so that sequence numbers can only change here.
//!
//! It compares the view that the client knows with the one that is current. The moments are those of RFC 9051 section
//! 7.5.1: expunges are never told while a FETCH, STORE or SEARCH is answered; then the client's view keeps the expunged
//! messages until they may be told. The order is expunges, the new count, flags: numbers in the flag responses are those
//! after the expunges.

use std::sync::Arc;

use crate::base::{ModSeq, Uid, UidSet};
use crate::session::{Cx, Want};
use crate::store::{Change, FlagOp, Flags, Reader, StoreError, View};

use super::emit;
use super::reply;
use super::server::{Core, Pause, room};
use super::view::{Own, Selected};

/// What may be told when a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    Nothing,
    /// FETCH, STORE, SEARCH by sequence number: the client's numbers must stay as they are.
    NoExpunge,
    All,
}

/// One telling, from the comparison to the last line. Step it until it is through.
pub struct Telling {
    tell: Tell,
    stage: Option<Stage>,
}

struct Stage {
    /// What the client has known so far.
    base: Arc<View>,
    /// What it knows when we are through.
    next: Arc<View>,
    /// Expunged messages by their number in `base`, ascending; told from the end, so that numbers below stay right.
    gone: Vec<(u32, Uid)>,
    counted: bool,
    gone_untold: bool,
    rows: Rows,
    since: ModSeq,
    /// Messages from here on are new to the client: it will ask for their flags itself.
    new_from: Uid,
    own: Vec<Own>,
    loud: UidSet,
}

/// Which rows of `next` are looked at.
enum Rows {
    Few(std::vec::IntoIter<(u32, Change)>),
    /// All from this number on.
    From(u32),
}

/// Rows looked at in one step: well under a millisecond.
const ROWS_PER_STEP: usize = 20_000;
/// Up to so many changed rows are listed beforehand; more are found on the way.
const ROWS_LISTED_MAX: usize = 1_000;
/// Uids in one VANISHED response.
const VANISHED_UIDS_MAX: usize = 2_000;

impl Telling {
    pub fn new(tell: Tell) -> Telling {
        Telling { tell, stage: None }
    }

    pub fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let (condstore, qresync) = (core.condstore, core.qresync);
        let Some(selected) = core.selected.as_deref_mut() else { return Ok(()) };
        if self.tell == Tell::Nothing {
            return Ok(());
        }
        if self.stage.is_none() {
            self.stage = compare(selected, self.tell, cx)?;
        }
        let Some(stage) = &mut self.stage else { return Ok(()) };
        let through = stage
            .tell_gone(qresync, cx)
            .and_then(|()| stage.tell_count(selected, cx))
            .and_then(|()| stage.tell_flags(condstore, cx));
        // Half a telling cannot be repeated: the expunges would be told twice.
        through.map_err(|pause| match pause {
            Pause::Refuse(_) => Pause::Bye(reply::lost_track()),
            pause => pause,
        })?;
        selected.told(stage.next.clone());
        selected.gone_untold = stage.gone_untold;
        self.stage = None;
        Ok(())
    }
}

/// What there is to tell; `None` if nothing.
fn compare(selected: &mut Selected, tell: Tell, cx: &mut Cx<'_>) -> Result<Option<Stage>, Pause> {
    let row =
        cx.store.mailbox(selected.mailbox)?.filter(|row| row.validity == selected.validity && !row.no_select);
    let row = row.ok_or(Pause::Bye(reply::mailbox_gone()))?;
    let quiet = row.modseq == selected.modseq && !(selected.gone_untold && tell == Tell::All);
    if quiet && selected.loud.is_empty() {
        selected.own.clear();
        return Ok(None);
    }
    let base = selected.view(cx)?;
    let current = selected.current(cx)?;
    let mut gone = base.gone_in(&current);
    let gone_untold = tell == Tell::NoExpunge && !gone.is_empty();
    let next = if gone_untold {
        let changed: Vec<Change> =
            current.changed_since(base.modseq).into_iter().map(|(_, row)| row).collect();
        gone.clear();
        Arc::new(base.advance(&UidSet::new(), &changed, current.modseq, current.uid_next))
    } else {
        current
    };
    let (own, loud) = (std::mem::take(&mut selected.own), std::mem::take(&mut selected.loud));
    let since = selected.modseq;
    let rows = list_rows(&next, since, &loud);
    let new_from = selected.uid_next;
    Ok(Some(Stage { base, next, gone, counted: false, gone_untold, rows, since, new_from, own, loud }))
}

fn list_rows(next: &View, since: ModSeq, loud: &UidSet) -> Rows {
    if loud.count() > ROWS_LISTED_MAX as u64 {
        return Rows::From(1);
    }
    let mut rows = next.changed_since(since);
    if rows.len() > ROWS_LISTED_MAX {
        return Rows::From(1);
    }
    rows.extend(loud.iter().filter_map(|uid| next.find(Uid(uid))));
    rows.sort_unstable_by_key(|(seq, _)| *seq);
    rows.dedup_by_key(|(seq, _)| *seq);
    Rows::Few(rows.into_iter())
}

impl Stage {
    fn tell_gone(&mut self, qresync: bool, cx: &mut Cx<'_>) -> Result<(), Pause> {
        while !self.gone.is_empty() {
            if cx.output.full() {
                return Err(room(cx));
            }
            if qresync {
                let from = self.gone.len().saturating_sub(VANISHED_UIDS_MAX);
                let uids: UidSet = self.gone.drain(from..).map(|(_, uid)| uid.0).collect();
                cx.output.str(&format!("* VANISHED {uids}\r\n"));
            } else if let Some((seq, _)) = self.gone.pop() {
                emit::count(cx.output, seq, "EXPUNGE");
            }
        }
        Ok(())
    }

    /// EXISTS, and FLAGS when keywords have appeared.
    fn tell_count(&mut self, selected: &mut Selected, cx: &mut Cx<'_>) -> Result<(), Pause> {
        if std::mem::replace(&mut self.counted, true) {
            return Ok(());
        }
        if self.next.uid_next > self.new_from && self.next.seq_from(self.new_from) as usize <= self.next.len()
        {
            emit::count(cx.output, u32::try_from(self.next.len()).unwrap_or(u32::MAX), "EXISTS");
        }
        let keywords = match &self.rows {
            Rows::Few(rows) => rows.as_slice().iter().any(|(_, row)| row.flags.keywords.0 != 0),
            Rows::From(_) => true,
        };
        if keywords {
            let names = cx.store.mailbox_keywords(selected.mailbox)?;
            if names.len() != selected.keywords_told {
                selected.keywords_told = names.len();
                emit::flag_lists(cx.output, &names, !selected.read_only);
            }
        }
        Ok(())
    }

    fn tell_flags(&mut self, condstore: bool, cx: &mut Cx<'_>) -> Result<(), Pause> {
        match std::mem::replace(&mut self.rows, Rows::From(u32::MAX)) {
            Rows::Few(mut rows) => {
                while let Some((seq, row)) = rows.next() {
                    self.tell_row(seq, row, condstore, cx)?;
                    if cx.output.full() {
                        self.rows = Rows::Few(rows);
                        return Err(room(cx));
                    }
                }
            }
            Rows::From(from) => {
                let next = self.next.clone();
                for (looked, (seq, row)) in next.iter_from(from).enumerate() {
                    if cx.output.full() || looked == ROWS_PER_STEP {
                        self.rows = Rows::From(seq);
                        return Err(if cx.output.full() { room(cx) } else { Pause::Wait(Want::Turn) });
                    }
                    if row.modseq > self.since || self.loud.contains(row.uid.0) {
                        self.tell_row(seq, row, condstore, cx)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn tell_row(&self, seq: u32, row: Change, condstore: bool, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let told = |own: &Own| own.told && own.modseq == row.modseq && own.uids.contains(row.uid.0);
        if row.uid >= self.new_from || self.own.iter().any(told) {
            return Ok(());
        }
        let known = !self.loud.contains(row.uid.0) && self.is_known(row, cx.store)?;
        if known && !condstore {
            return Ok(());
        }
        emit::fetch_begin(cx.output, seq, row.uid);
        if !known {
            cx.output.push(b" FLAGS ");
            emit::flags(cx.output, cx.store, row.flags)?;
        }
        if condstore {
            emit::modseq(cx.output, row.modseq);
        }
        emit::fetch_end(cx.output);
        Ok(())
    }

    /// Whether a row is as the client expects it after its own change: nobody else changed it before or after.
    fn is_known(&self, row: Change, store: &Reader) -> Result<bool, StoreError> {
        let Some(own) = self.own.iter().find(|own| own.modseq == row.modseq && own.uids.contains(row.uid.0))
        else {
            return Ok(false);
        };
        match self.base.find(row.uid) {
            Some((_, old)) if old.modseq <= self.since => is_result(old.flags, own, row.flags, store),
            _ => Ok(false),
        }
    }
}

/// Whether `own` makes `new` out of `old`.
fn is_result(old: Flags, own: &Own, new: Flags, store: &Reader) -> Result<bool, StoreError> {
    let system = match own.op {
        FlagOp::Set => own.flags.system,
        FlagOp::Add => old.system | own.flags.system,
        FlagOp::Remove => old.system & !own.flags.system,
    };
    if system != new.system {
        return Ok(false);
    }
    if own.flags.keywords.is_empty() && own.op != FlagOp::Set {
        return Ok(old.keywords == new.keywords);
    }
    let named = |name: &String| own.flags.keywords.iter().any(|own| own.eq_ignore_ascii_case(name));
    let (old, new) = (store.keywords(old.keywords)?, store.keywords(new.keywords)?);
    let has = |names: &[String], name: &String| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let kept = |name: &&String| match own.op {
        FlagOp::Set => false,
        FlagOp::Add => true,
        FlagOp::Remove => !named(name),
    };
    let all_there = old.iter().filter(kept).all(|name| has(&new, name))
        && (own.op == FlagOp::Remove || own.flags.keywords.iter().all(|name| has(&new, name)));
    let none_more = new.iter().all(|name| match own.op {
        FlagOp::Set => named(name),
        FlagOp::Add => named(name) || has(&old, name),
        FlagOp::Remove => !named(name) && has(&old, name),
    });
    Ok(all_there && none_more)
}
