//! SEARCH and UID SEARCH (RFC 9051 section 6.4.4, RFC 4731, RFC 5182, RFC 7162 section 3.1.5, RFC 9394). `finding` finds,
//! `found` tells, as fast as the client reads.

use crate::imap::command::By;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::returns::{Returns, Wanted};
use crate::imap::search_args::{self, SearchArgs};
use crate::imap::server::{Core, Pause, Running};
use crate::session::Cx;

use super::early::Early;
use super::finding::{self, Finding};
use super::found::{Outcome, Telling};

pub fn search(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let args = search_args::search(p);
    finding::command(args, |args| {
        Box::new(Search { args, by, finding: None, early: Early::new(by), telling: None })
    })
}

struct Search {
    args: SearchArgs,
    by: By,
    /// `None` until the view is there.
    finding: Option<Finding>,
    early: Early,
    telling: Option<Telling>,
}

impl Running for Search {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if core.utf8 && self.args.charset_said {
            return Err(Bad("After ENABLE UTF8=ACCEPT a search is in UTF-8 and names no charset").into());
        }
        let done = self.advance(core, cx);
        if matches!(done, Err(Pause::Refuse(_))) {
            self.early.break_off(cx);
        }
        finding::came_to(done, &self.args, core)
    }

    fn in_literal(&self) -> bool {
        self.early.is_begun()
    }
}

impl Search {
    fn advance(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.telling.is_none() {
            let wanted = self.args.returns.map_or(Wanted::All, |returns| returns.wanted());
            let all = Returns { all: true, ..Returns::default() };
            self.early.set_returns(self.args.returns.or(core.rev2.then_some(all)));
            let finding = match &mut self.finding {
                Some(finding) => finding,
                none => none.insert(Finding::begin(&self.args, wanted, core, cx)?),
            };
            if let Err(pause) = finding.advance(core, cx) {
                return Err(self.early.go_on(pause, finding, core, cx));
            }
            let outcome = Outcome::of_search(finding.found(), finding.view(), self.by, self.args.modseq);
            if let Some(saved) = outcome.saved(self.args.returns) {
                core.selected()?.saved = saved;
            }
            self.telling = Some(match self.early.rest(finding) {
                Some(rest) => outcome.rest(rest, self.early.returns()),
                None => outcome.telling(&core.tag, self.early.returns()),
            });
        }
        if let Some(telling) = &mut self.telling {
            telling.write(cx)?;
        }
        Ok(reply::ok("Searched"))
    }
}
