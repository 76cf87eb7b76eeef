//! The part of a search that the reader thread does, in slices with bounded work, so that others are served in between and
//! a client that hangs up ends the search. The full-text index names candidates, one stretch of the mailbox after the
//! other, and those of each stretch are read and judged before the next one is asked for: what is found first can be told
//! first. A program that says nothing to the index has all messages judged.

use std::sync::Arc;

use crate::base::{BodyId, Uid, UidSet};
use crate::imap::returns::Wanted;
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
    /// Where not all matches are wanted, the candidates of all stretches are there before the first is judged, and then
    /// some at a time from the end that is wanted.
    wanted: Wanted,
    candidates: UidSet,
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

/// Where only some matches are wanted, so many candidates are judged at a time, or twice as many as are wanted.
const JUDGED_AT_ONCE: u64 = 128;
/// So few messages are read sooner than the index is asked.
const READ_AT_ONCE: u64 = 8;

impl Reading {
    /// `keys` are judged for the messages of `among`.
    pub fn new(keys: Vec<Key>, among: UidSet, wanted: Wanted) -> Reading {
        let all = among.count();
        let mut reading = Reading {
            keys,
            all,
            among,
            stage: Stage::Through,
            query: None,
            wanted,
            candidates: UidSet::new(),
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
            reading.judge_some(among);
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
            (Stage::Judging { program, from, .. }, None) if self.wanted == Wanted::All => {
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
        if self.wanted == Wanted::All {
            self.stage = self.judging(candidates, next);
            return;
        }
        self.candidates = self.candidates.union(&candidates);
        match next {
            Some(next) => self.stage = Stage::Asking(next),
            None => {
                let candidates = std::mem::take(&mut self.candidates);
                self.judge_some(candidates);
            }
        }
    }

    /// Goes on with these candidates: all of them, or those that come first from the end that is wanted.
    fn judge_some(&mut self, mut candidates: UidSet) {
        let (all, some) = (candidates.count(), self.wanted.enough().saturating_mul(2).max(JUDGED_AT_ONCE));
        let first = match self.wanted {
            Wanted::Highest(_) if some < all => candidates.nth(all - some..all),
            Wanted::Lowest(_) if some < all => candidates.nth(0..some),
            _ => std::mem::take(&mut candidates),
        };
        self.candidates = candidates.without(&first);
        self.stage = self.judging(first, None);
    }

    fn take_found(&mut self, uids: &UidSet, next: Option<Uid>) {
        self.found = if self.found.is_empty() { uids.clone() } else { self.found.union(uids) };
        let highest = matches!(self.wanted, Wanted::Highest(_));
        let Stage::Judging { program, from, next: stretch, .. } = &mut self.stage else { return };
        match next {
            // The highest are known when all that were taken together have been judged.
            _ if self.found.count() >= self.wanted.enough() && !(highest && next.is_some()) => {
                self.stage = Stage::Through;
            }
            Some(next) => *from = next,
            None => {
                self.judged += program.within().map_or(0, UidSet::count);
                self.stage = after(*stretch);
                if !self.candidates.is_empty() && self.wanted != Wanted::All {
                    let candidates = std::mem::take(&mut self.candidates);
                    self.judge_some(candidates);
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wanted: Wanted) -> Reading {
        Reading::new(vec![Key::Text("common".into())], UidSet::range(1..=1_000), wanted)
    }

    fn judged(reading: &Reading) -> Option<(u32, u32)> {
        match &reading.stage {
            Stage::Judging { from, up_to, .. } => Some((from.0, up_to.0)),
            _ => None,
        }
    }

    fn uids(uids: &[u32]) -> UidSet {
        uids.iter().copied().collect()
    }

    #[test]
    fn the_highest_are_looked_for_from_the_end() {
        let mut reading = reading(Wanted::Highest(3));
        assert!(matches!(reading.stage, Stage::Asking(_)), "the index is asked");
        reading.take_candidates(&UidSet::range(1..=500), Some(BodyId(7)));
        assert!(matches!(reading.stage, Stage::Asking(BodyId(7))), "all stretches come first");
        reading.take_candidates(&UidSet::range(501..=2_000), None);
        assert_eq!(judged(&reading), Some((873, 1_000)));
        reading.take_found(&uids(&[873, 880, 881]), Some(Uid(890)));
        assert_eq!(judged(&reading), Some((890, 1_000)), "higher ones may follow");
        reading.take_found(&uids(&[]), None);
        assert_eq!((judged(&reading), reading.found().count()), (None, 3));
    }

    #[test]
    fn what_is_not_found_at_one_end_is_looked_for_further_on() {
        let mut highest = reading(Wanted::Highest(2));
        highest.take_candidates(&UidSet::range(1..=1_000), None);
        highest.take_found(&uids(&[999]), None);
        assert_eq!(judged(&highest), Some((745, 872)));
        highest.take_found(&uids(&[]), None);
        assert_eq!(judged(&highest), Some((617, 744)));
        let mut lowest = reading(Wanted::Lowest(2));
        lowest.take_candidates(&UidSet::range(1..=1_000), None);
        assert_eq!(judged(&lowest), Some((1, 128)));
        lowest.take_found(&uids(&[]), None);
        assert_eq!(judged(&lowest), Some((129, 256)));
        lowest.take_found(&uids(&[130, 131]), Some(Uid(140)));
        assert_eq!(judged(&lowest), None, "the rest is higher");
        let mut all = reading(Wanted::All);
        all.take_candidates(&UidSet::range(1..=1_000), None);
        assert_eq!(judged(&all), Some((1, 1_000)));
    }
}
