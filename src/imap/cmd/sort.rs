//! SORT and UID SORT (RFC 5256, RFC 5957, RFC 5267 section 3, RFC 9394). `finding` finds, the reader thread sorts in slices,
//! and `found` tells, as fast as the client reads. Strings compare as i;unicode-casemap says (RFC 5255 section 4.2).

use std::sync::Arc;

use crate::base::UidSet;
use crate::imap::command::By;
use crate::imap::lex::{Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::returns::Wanted;
use crate::imap::server::{Core, Pause, Running, ask};
use crate::imap::sort_args::{self, SortArgs};
use crate::session::{Answer, Cx};
use crate::store::sorting;
use crate::store::{Question, Reply as Read};

use super::finding::{self, Finding};
use super::found::{Outcome, Telling};

pub fn sort(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let args = sort_args::sort(p);
    finding::command(args, |args| Box::new(Sort { args, by, stage: Stage::View }))
}

struct Sort {
    args: SortArgs,
    by: By,
    stage: Stage,
}

enum Stage {
    View,
    Finding(Box<Finding>),
    Sorting(Box<Finding>, Arc<sorting::Sort>),
    Telling(Telling),
}

impl Running for Sort {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        let done = self.advance(core, cx);
        finding::came_to(done, &self.args.search, core)
    }
}

impl Sort {
    fn advance(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if matches!(self.stage, Stage::View) {
            let finding = Finding::begin(&self.args.search, Wanted::All, core, cx)?;
            self.stage = Stage::Finding(Box::new(finding));
        }
        if let Stage::Finding(finding) = &mut self.stage {
            finding.advance_with_word(core, cx)?;
            self.stage = match std::mem::replace(&mut self.stage, Stage::View) {
                Stage::Finding(finding) => self.sorting(finding, cx),
                other => other,
            };
        }
        if let Stage::Sorting(finding, sort) = &self.stage {
            let mailbox = core.selected()?.mailbox;
            let order = match cx.answer.take() {
                Some(Answer::Read(Ok(Read::Sorted(Some(order))))) => order,
                Some(Answer::Read(Err(error))) => return Err(error.into()),
                _ => return Err(ask(cx, Question::Sort { mailbox, sort: sort.clone() })),
            };
            self.stage = Stage::Telling(self.outcome(finding, &order, core)?);
        }
        if let Stage::Telling(telling) = &mut self.stage {
            telling.write(cx)?;
        }
        Ok(reply::ok("Sorted"))
    }

    fn sorting(&self, finding: Box<Finding>, cx: &mut Cx<'_>) -> Stage {
        let (uids, keys) = (finding.found().clone(), self.args.keys.clone());
        let sort = sorting::Sort { uids, keys, salt: cx.rng.u64() };
        Stage::Sorting(finding, Arc::new(sort))
    }

    fn outcome(&self, finding: &Finding, order: &[u32], core: &mut Core) -> Result<Telling, Pause> {
        let mut uids = finding.found().clone();
        if uids.count() != order.len() as u64 {
            // Of some that the client still counts nothing is left that could be sorted.
            let mut left = order.to_vec();
            left.sort_unstable();
            uids = left.into_iter().collect::<UidSet>();
        }
        let search = &self.args.search;
        let outcome = Outcome::of_sort(&uids, order, finding.view(), self.by, search.modseq);
        if let Some(saved) = outcome.saved(search.returns) {
            core.selected()?.saved = saved;
        }
        Ok(outcome.telling(&core.tag, search.returns))
    }
}
