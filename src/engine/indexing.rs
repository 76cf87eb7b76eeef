//! Keeping the full-text index up to date in the background: ask the reader thread what comes next, hand that to the
//! writer, and again, until there is nothing left. New mail is found all the same: a search reads what is not indexed yet.
//!
//! Real work goes first. Nothing is begun while a change is on its way to the writer; as long as others go on changing
//! things, indexing waits until they pause or too much is waiting, and then it works only part of the time. With nothing
//! left to do there is no deadline: an idle server sleeps.

use crate::base::limits::{
    INDEX_AFTER, INDEX_AGAIN, INDEX_BACKLOG, INDEX_GIVE_WAY, INDEX_PAUSE, SWEEP_AFTER_START,
};
use crate::base::{Mono, Now, Ticket};
use crate::store::{Done, IndexNext, IndexWork, Outcome, Question, Refused, Reply, StoreError, Write};

use super::answers::Author;
use super::deadlines::Due;
use super::{Effect, Engine};

#[derive(Default)]
pub(super) struct Indexing {
    state: State,
    /// Messages that came in since the index was last complete.
    arrived: usize,
    /// Changes of others since indexing last looked.
    others: usize,
}

#[derive(Default)]
enum State {
    /// All there is is indexed, as far as is known.
    #[default]
    Complete,
    /// A deadline is set.
    Waiting,
    Asked(Ticket),
    /// A change of somebody else is on its way to the writer; what is there for it already comes after that.
    GivingWay(Option<IndexWork>),
    Writing,
}

impl Engine {
    /// After the start: what a crash or an earlier program has left to do.
    pub(super) fn begin_indexing(&mut self, now: Now) {
        self.index_at(now.mono.after(SWEEP_AFTER_START));
    }

    /// What others have changed.
    pub(super) fn note_for_index(&mut self, now: Now, outcome: &Outcome) {
        let arrived = match &outcome.result {
            Ok(Done::Delivered(delivered)) => delivered.len(),
            Ok(Done::Appended(_)) => 1,
            Ok(Done::AppendedAll(appended)) => appended.len(),
            _ => 0,
        };
        self.indexing.others += 1;
        self.indexing.arrived += arrived;
        // The setting may be another one.
        let woken = arrived > 0 || outcome.settings;
        if woken && matches!(self.indexing.state, State::Complete) {
            self.index_at(now.mono.after(INDEX_AFTER));
        }
    }

    fn index_at(&mut self, at: Mono) {
        self.indexing.state = State::Waiting;
        self.deadlines.add(at, Due::Index);
    }

    /// The deadline has passed.
    pub(super) fn index_on(&mut self, now: Now) {
        let (others, backlog) = (std::mem::take(&mut self.indexing.others), self.indexing.arrived);
        match std::mem::take(&mut self.indexing.state) {
            State::Waiting if others > 0 && backlog < INDEX_BACKLOG => {
                self.index_at(now.mono.after(INDEX_AFTER));
            }
            State::Waiting if self.in_flight > 0 => self.indexing.state = State::GivingWay(None),
            State::Waiting => self.ask_for_index(),
            State::GivingWay(Some(work)) => self.write_index(work),
            State::GivingWay(None) => self.ask_for_index(),
            // Nobody set a deadline.
            state => self.indexing.state = state,
        }
    }

    fn ask_for_index(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let ticket = self.ticket();
        self.indexing.state = State::Asked(ticket);
        self.effects.push(Effect::Read { ticket, question: Question::IndexNext });
    }

    /// True if the answer was to indexing's question.
    pub(super) fn index_answered(
        &mut self,
        now: Now,
        ticket: Ticket,
        result: &Result<Reply, StoreError>,
    ) -> bool {
        if !matches!(self.indexing.state, State::Asked(asked) if asked == ticket) {
            return false;
        }
        match result {
            Ok(Reply::IndexNext(IndexNext::Work(work))) => self.write_index(work.clone()),
            Ok(Reply::IndexNext(IndexNext::Again)) => self.ask_for_index(),
            Ok(_) => self.indexing_complete(now),
            Err(error) => {
                log::warn!("the search index cannot be looked after now: {error}");
                self.index_at(now.mono.after(INDEX_AGAIN));
            }
        }
        true
    }

    fn indexing_complete(&mut self, now: Now) {
        let more = std::mem::take(&mut self.indexing.others) > 0 && self.indexing.arrived > 0;
        self.indexing.arrived = 0;
        self.indexing.state = State::Complete;
        if more {
            self.index_at(now.mono.after(INDEX_AFTER));
        }
    }

    /// The writer has answered everything. Whoever was answered gets a moment to go on.
    pub(super) fn writer_is_free(&mut self) {
        if matches!(self.indexing.state, State::GivingWay(_)) {
            self.deadlines.add(self.last_now.mono.after(INDEX_GIVE_WAY), Due::Index);
        }
    }

    fn write_index(&mut self, work: IndexWork) {
        if self.stopping.is_some() {
            return;
        }
        if self.in_flight > 0 {
            self.indexing.state = State::GivingWay(Some(work));
            return;
        }
        self.indexing.state = State::Writing;
        self.commit(Author::Indexer, Write::Index(work));
    }

    pub(super) fn index_written(&mut self, result: Result<Done, Refused>) {
        let now = self.last_now.mono;
        match result {
            // Somebody else is at work: they get most of the writer.
            Ok(_) if self.indexing.others > 0 => {
                self.indexing.others = 0;
                self.index_at(now.after(INDEX_PAUSE));
            }
            Ok(_) => self.ask_for_index(),
            Err(why) => {
                log::warn!("the search index waits: {why:?}");
                self.index_at(now.after(INDEX_AGAIN));
            }
        }
    }
}
