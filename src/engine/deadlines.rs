//! What happens when nothing happens: instants in order, each with what is due then.

use std::collections::BTreeSet;

use crate::base::{ConnId, Mono, Ticket};

/// What a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Conn(ConnId),
    /// A password check that was held back may be hashed now.
    Password(Ticket),
    /// A DNS packet was not answered.
    Dns(Ticket),
    /// The first turn.
    Start,
    Sweep,
    /// The last sweep left something over.
    SweepOn,
    /// The search index.
    Index,
    /// The grace period after `Stop` is over.
    Stop,
}

#[derive(Default)]
pub(super) struct Deadlines {
    set: BTreeSet<(Mono, Due)>,
}

impl Deadlines {
    /// `Mono::NEVER` is not kept.
    pub fn add(&mut self, at: Mono, due: Due) {
        if at != Mono::NEVER {
            self.set.insert((at, due));
        }
    }

    pub fn remove(&mut self, at: Mono, due: Due) {
        self.set.remove(&(at, due));
    }

    /// Takes the earliest that is due.
    pub fn pop(&mut self, now: Mono) -> Option<Due> {
        let first = self.set.first().filter(|(at, _)| *at <= now)?.1;
        self.set.pop_first();
        Some(first)
    }

    pub fn next(&self) -> Option<Mono> {
        self.set.first().map(|(at, _)| *at)
    }
}
