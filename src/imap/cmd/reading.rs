//! The part of a search that the reader thread does, in slices with bounded work, so that others are served in between and
//! a client that hangs up ends the search. The full-text index names candidates, one stretch of the mailbox after the
//! other, and those of each stretch are read and judged before the next one is asked for: what is found first can be told
//! first. A program that says nothing to the index has all messages judged.

use std::sync::Arc;

use crate::base::{BodyId, Uid, UidSet};
use crate::imap::server::{Core, Pause, ask};
use crate::session::{Answer, Cx};
use crate::store::search::{Key, Program};
use crate::store::{Plan, Question, Reply as Read};

pub struct Reading {
    keys: Vec<Key>,
    /// Messages that match as far as the view can tell, as they were and as they are left to be looked at.
    all: u64,
    among: UidSet,
    stage: Stage,
    /// What the index is asked; `None`: nothing.
    query: Option<Arc<str>>,
    /// Candidates of all stretches are wanted before the first is judged: order matters.
    in_order: bool,
    candidates: UidSet,
    /// As many of the lowest matches as are asked for.
    enough: u64,
    found: UidSet,
    /// Messages that are known to match or not.
    judged: u64,
}

enum Stage {
    /// Asking the index for the next stretch.
    Asking(BodyId),
    /// Judging candidates from this uid on; behind them the next stretch, if there is one.
    Judging {
        program: Arc<Program>,
        from: Uid,
        up_to: Uid,
        next: Option<BodyId>,
    },
    Through,
}

/// So few messages are read sooner than the index is asked.
const READ_AT_ONCE: u64 = 8;

impl Reading {
    /// `keys` are judged for the messages of `among`. Of more than `enough` matches only the lowest are needed.
    pub fn new(keys: Vec<Key>, among: UidSet, enough: u64) -> Reading {
        let all = among.count();
        let mut reading = Reading {
            keys,
            all,
            among,
            stage: Stage::Through,
            query: None,
            in_order: enough < u64::MAX,
            candidates: UidSet::new(),
            enough,
            found: UidSet::new(),
            judged: 0,
        };
        if reading.keys.is_empty() {
            reading.found = std::mem::take(&mut reading.among);
        } else if all > READ_AT_ONCE
            && let Some(plan) = Plan::of(&Program { keys: reading.keys.clone() })
        {
            reading.query = Some(plan.query().into());
            reading.stage = Stage::Asking(BodyId(0));
        } else {
            let among = std::mem::take(&mut reading.among);
            reading.stage = reading.judging(among, None);
        }
        reading
    }

    /// What matches, as far as it is known.
    pub fn found(&self) -> &UidSet {
        &self.found
    }

    /// How many messages are judged, and of how many, where that can be said.
    pub fn progress(&self) -> (u64, Option<u64>) {
        match (&self.stage, &self.query) {
            (Stage::Judging { program, from, .. }, None) => {
                let left = program.within().map_or(0, |uids| {
                    uids.ranges_from(from.0).map(|range| u64::from(range.end() - range.start()) + 1).sum()
                });
                (self.all.saturating_sub(left), Some(self.all))
            }
            _ => (self.judged, None),
        }
    }

    /// Goes on until all has been judged.
    pub fn advance(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        match cx.answer.take() {
            Some(Answer::Read(Ok(Read::Candidates { uids, next }))) => self.take_candidates(&uids, next),
            Some(Answer::Read(Ok(Read::Found { uids, next }))) => self.take_found(&uids, next),
            Some(Answer::Read(Err(error))) => return Err(error.into()),
            _ => {}
        }
        let selected = core.selected()?;
        let (mailbox, account) = (selected.mailbox, selected.account);
        let question = match (&self.stage, &self.query) {
            (Stage::Asking(after), Some(query)) => {
                Question::Candidates { mailbox, query: query.clone(), after: *after }
            }
            (Stage::Judging { program, from, up_to, .. }, _) => {
                let (program, from, up_to) = (program.clone(), *from, *up_to);
                Question::Search { mailbox, account, program, from, up_to }
            }
            _ => return Ok(()),
        };
        // The client has hung up, and nothing that it said waits for an answer.
        if cx.input.eof() && cx.input.is_empty() {
            return Err(Pause::Gone);
        }
        Err(ask(cx, question))
    }

    fn take_candidates(&mut self, uids: &UidSet, next: Option<BodyId>) {
        let candidates = self.among.intersection(uids);
        if !self.in_order {
            self.stage = self.judging(candidates, next);
            return;
        }
        self.candidates = self.candidates.union(&candidates);
        self.stage = match next {
            Some(next) => Stage::Asking(next),
            None => {
                let candidates = std::mem::take(&mut self.candidates);
                self.judging(candidates, None)
            }
        };
    }

    fn take_found(&mut self, uids: &UidSet, next: Option<Uid>) {
        self.found = if self.found.is_empty() { uids.clone() } else { self.found.union(uids) };
        let Stage::Judging { program, from, next: stretch, .. } = &mut self.stage else { return };
        match next {
            _ if self.found.count() >= self.enough => self.stage = Stage::Through,
            Some(next) => *from = next,
            None => {
                self.judged += program.within().map_or(0, UidSet::count);
                self.stage = after(*stretch);
            }
        }
    }

    fn judging(&self, candidates: UidSet, next: Option<BodyId>) -> Stage {
        let (Some(first), Some(last)) = (candidates.first(), candidates.last()) else { return after(next) };
        let mut keys = Vec::with_capacity(self.keys.len() + 1);
        keys.push(Key::Uids(candidates));
        keys.extend(self.keys.iter().cloned());
        Stage::Judging { program: Arc::new(Program { keys }), from: Uid(first), up_to: Uid(last), next }
    }
}

/// What follows a stretch.
fn after(next: Option<BodyId>) -> Stage {
    next.map_or(Stage::Through, Stage::Asking)
}
