//! What kind of sender is this? Runs once a message, after its end. May ask DNS: the answer comes with the next step.

use crate::session::{Answer, Ask};

use super::{Envelope, Refusal};

/// What a step of judging says.
pub enum Judged {
    /// Put this question and step again with its answer.
    Ask(Ask),
    Verdict(Verdict),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each recipient's filter decides where it goes.
    Accept,
    Refuse(Refusal),
}

/// The judgement of one message on its way.
#[derive(Default)]
pub struct Judge {}

impl Judge {
    /// Senders are not judged: whoever names an address that exists here is heard.
    pub fn step(&mut self, envelope: &Envelope, answer: Option<Answer>) -> Judged {
        let _ = (envelope, answer);
        Judged::Verdict(Verdict::Accept)
    }
}
