//! A whole message on its last steps: judge, filter, store.

use crate::base::Now;
use crate::session::{Answer, Ask};
use crate::store::{NewBody, Write};

use super::judge::{Judge, Judged, Verdict};
use super::{Envelope, Refusal, store};

/// A message that is all here, and not yet in anybody's mailbox.
pub struct Arrival {
    envelope: Envelope,
    step: Step,
}

enum Step {
    Judge {
        judge: Judge,
        body: NewBody,
    },
    /// The commit is under way; `targets` accounts are in it.
    Store {
        targets: usize,
    },
    /// Refused with slices staged: they are discarded before the peer is told.
    Discard {
        why: Refusal,
    },
}

/// What the session does next: with the answer comes the next step.
pub enum Next {
    Ask(Arrival, Ask),
    Commit(Arrival, Write),
    /// Only now may the peer be told that its message is taken.
    Done(Result<(), Refusal>),
}

impl Arrival {
    pub fn new(envelope: Envelope, body: NewBody) -> Arrival {
        Arrival { envelope, step: Step::Judge { judge: Judge::default(), body } }
    }

    /// One step; `answer` is to what the last one asked or committed.
    pub fn step(self, now: Now, answer: Option<Answer>) -> Next {
        let Arrival { envelope, step } = self;
        match step {
            Step::Judge { judge, body } => judged(envelope, judge, body, now, answer),
            Step::Store { targets } => Next::Done(stored(answer, targets)),
            Step::Discard { why } => Next::Done(Err(why)),
        }
    }
}

fn judged(envelope: Envelope, mut judge: Judge, body: NewBody, now: Now, answer: Option<Answer>) -> Next {
    let why = match judge.step(&envelope, answer) {
        Judged::Ask(ask) => return Next::Ask(Arrival { envelope, step: Step::Judge { judge, body } }, ask),
        Judged::Verdict(Verdict::Accept) => {
            let deliver = store::deliver(&envelope, body, now.wall);
            let step = Step::Store { targets: deliver.to.len() };
            return Next::Commit(Arrival { envelope, step }, Write::Deliver(deliver));
        }
        Judged::Verdict(Verdict::Refuse(why)) => why,
    };
    match body {
        NewBody::Staged { body, .. } => {
            Next::Commit(Arrival { envelope, step: Step::Discard { why } }, Write::Discard { body })
        }
        NewBody::Inline { .. } | NewBody::Parked { .. } => Next::Done(Err(why)),
    }
}

fn stored(answer: Option<Answer>, targets: usize) -> Result<(), Refusal> {
    match answer {
        Some(Answer::Commit(Ok(_))) => Ok(()),
        Some(Answer::Commit(Err(refused))) => Err(store::refusal(&refused, targets)),
        _ => Err(Refusal::Broken),
    }
}
