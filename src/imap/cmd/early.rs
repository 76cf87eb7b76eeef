//! The first results of a long search, told while it goes on. RFC 9051 section 6.4.4 and RFC 4731 section 3.1 want one
//! response for one SEARCH, but not all of it at once: the line is begun with ALL (or in the old form) as soon as there is
//! something to tell, grows by what each slice finds, in any order, and ends with the rest of the answer. A search that is
//! done sooner is answered as ever.

use crate::base::{Uid, UidSet};
use crate::imap::command::By;
use crate::imap::emit;
use crate::imap::returns::Returns;
use crate::imap::server::{Core, Pause, room};
use crate::session::{Cx, Want};

use super::finding::Finding;

/// What has been told before the end.
pub struct Early {
    returns: Option<Returns>,
    by: By,
    /// The line is begun.
    begun: bool,
    told: UidSet,
}

impl Early {
    pub fn new(by: By) -> Early {
        Early { returns: None, by, begun: false, told: UidSet::new() }
    }

    /// What is asked for; `None`: the answer has the old form.
    pub fn set_returns(&mut self, returns: Option<Returns>) {
        self.returns = returns;
    }

    /// In the middle of a line: nothing else may be said.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    pub fn returns(&self) -> Option<Returns> {
        self.returns
    }

    /// The search pauses. Tells what is new, or that it goes on; waits for the client where it does not read.
    pub fn go_on(&mut self, pause: Pause, finding: &mut Finding, core: &Core, cx: &mut Cx<'_>) -> Pause {
        if !matches!(pause, Pause::Wait(Want::Answer { .. })) {
            return pause;
        }
        if self.returns.is_none_or(|returns| returns.all) {
            self.tell(finding, core, cx);
        }
        if !self.begun {
            finding.tell_progress(core, cx);
        }
        // The question is put again when the client has read.
        if cx.output.full() { room(cx) } else { pause }
    }

    fn tell(&mut self, finding: &Finding, core: &Core, cx: &mut Cx<'_>) {
        let new = finding.found().without(&self.told);
        if new.is_empty() {
            return;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            let uid = if self.by == By::Uid { " UID" } else { "" };
            let head = match self.returns {
                Some(_) => format!("* ESEARCH (TAG \"{}\"){uid} ALL ", core.tag),
                None => "* SEARCH".into(),
            };
            cx.output.str(&head);
        }
        let number = |uid: u32| if self.by == By::Uid { uid } else { finding.view().seq_from(Uid(uid)) };
        for (index, range) in new.ranges().enumerate() {
            let (start, end) = (number(*range.start()), number(*range.end()));
            if self.returns.is_none() {
                for number in start..=end {
                    cx.output.push(b" ");
                    emit::number(cx.output, u64::from(number));
                }
                continue;
            }
            if index > 0 || !first {
                cx.output.push(b",");
            }
            emit::number(cx.output, u64::from(start));
            if end > start {
                cx.output.push(b":");
                emit::number(cx.output, u64::from(end));
            }
        }
        self.told.clone_from(finding.found());
    }

    /// The search is done: what has not been told of it, if the line is begun.
    pub fn rest(&self, finding: &Finding) -> Option<UidSet> {
        self.begun.then(|| finding.found().without(&self.told))
    }

    /// The search failed: a line that is begun ends here, before the tagged response says so.
    pub fn break_off(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.begun) {
            cx.output.str("\r\n");
        }
    }
}
