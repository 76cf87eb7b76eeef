//! THREAD and UID THREAD (RFC 5256, draft-ietf-morg-inthread). `finding` finds, the reader thread threads in slices, and the
//! answer is written as fast as the client reads.

use std::sync::Arc;

use crate::imap::command::By;
use crate::imap::emit;
use crate::imap::lex::{Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::returns::Wanted;
use crate::imap::server::{Core, Pause, Running, ask, room};
use crate::imap::sort_args::{self, ThreadArgs};
use crate::session::{Answer, Cx};
use crate::store::threading::{self, Thread as Token, Threads};
use crate::store::{Question, Reply as Read, View};

use super::finding::{self, Finding};

pub fn thread(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let args = sort_args::thread(p);
    finding::command(args, |args| Box::new(Thread { args, by, stage: Stage::View }))
}

struct Thread {
    args: ThreadArgs,
    by: By,
    stage: Stage,
}

enum Stage {
    View,
    Finding(Box<Finding>),
    Threading(Box<Finding>, Arc<threading::Threading>),
    Telling(Telling),
}

impl Running for Thread {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if matches!(self.stage, Stage::View) {
            let finding = Finding::begin(&self.args.search, Wanted::All, core, cx)?;
            self.stage = Stage::Finding(Box::new(finding));
        }
        if let Stage::Finding(finding) = &mut self.stage {
            finding.advance_with_word(core, cx)?;
            self.stage = match std::mem::replace(&mut self.stage, Stage::View) {
                Stage::Finding(finding) => self.threading(finding, cx),
                other => other,
            };
        }
        if let Stage::Threading(finding, threading) = &self.stage {
            let mailbox = core.selected()?.mailbox;
            let tokens = match cx.answer.take() {
                Some(Answer::Read(Ok(Read::Threads(Threads::All(tokens))))) => tokens,
                Some(Answer::Read(Ok(Read::Threads(Threads::TooMany)))) => {
                    return Err(Pause::Refuse(reply::too_many_references()));
                }
                Some(Answer::Read(Err(error))) => return Err(error.into()),
                _ => return Err(ask(cx, Question::Thread { mailbox, threading: threading.clone() })),
            };
            let view = (self.by == By::Seq).then(|| finding.view().clone());
            self.stage = Stage::Telling(Telling { head: head(&tokens), tokens, at: 0, view });
        }
        if let Stage::Telling(telling) = &mut self.stage {
            telling.write(cx)?;
        }
        Ok(reply::ok("Threaded"))
    }
}

impl Thread {
    fn threading(&self, finding: Box<Finding>, cx: &mut Cx<'_>) -> Stage {
        let uids = finding.found().clone();
        let threading = threading::Threading { uids, by: self.args.by, salt: cx.rng.u64() };
        Stage::Threading(finding, Arc::new(threading))
    }
}

/// The answer while it is being written.
struct Telling {
    head: &'static str,
    tokens: Vec<Token>,
    at: usize,
    /// Messages are told by their numbers in it; without one by uid.
    view: Option<Arc<View>>,
}

// thread-data = "THREAD" [SP 1*thread-list]
fn head(tokens: &[Token]) -> &'static str {
    if tokens.is_empty() { "* THREAD" } else { "* THREAD " }
}

impl Telling {
    fn write(&mut self, cx: &mut Cx<'_>) -> Result<(), Pause> {
        cx.output.str(std::mem::take(&mut self.head));
        for (written, token) in self.tokens.iter().enumerate().skip(self.at) {
            if cx.output.full() {
                self.at = written;
                return Err(room(cx));
            }
            let behind_message =
                written.checked_sub(1).is_some_and(|before| matches!(self.tokens[before], Token::Message(_)));
            if behind_message && *token != Token::End {
                cx.output.push(b" ");
            }
            match token {
                Token::Begin => cx.output.push(b"("),
                Token::End => cx.output.push(b")"),
                Token::Message(uid) => {
                    let number = self.view.as_ref().map_or(uid.0, |view| view.seq_from(*uid));
                    emit::number(cx.output, u64::from(number));
                }
            }
        }
        self.tokens = Vec::new();
        cx.output.str("\r\n");
        Ok(())
    }
}
