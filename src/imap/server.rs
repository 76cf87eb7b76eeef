//! One IMAP conversation: greeting, then one command after the other, strictly in order: the next command is not even
//! read before the previous one has been answered.
//!
//! How a command plugs in: its file in `cmd/` has a function `parse(&mut Parser) -> Parsed<Box<dyn Running>>`, and a row
//! in `command::COMMANDS` names it. The parser stands behind the verb, at the space; `parse` reads to the end of its
//! grammar (that nothing follows is checked here). The box is then stepped until it is through:
//!
//! - `Ok(reply)`: the command is done. What changed in the selected mailbox is told (as far as the row's `Tell` allows),
//!   then the tagged reply is written.
//! - `Err(Pause::Wait(want))`: in the middle. The next step comes when what `want` names has happened, with the answer in
//!   `cx.answer` (take it). `room(cx)` and `ask(cx, question)` make the usual ones; `Want::Turn` gives way to others.
//! - `Err(Pause::Refuse(reply))`: done without success; store errors become this through `?`.
//! - `Err(Pause::Bye(reply))` and `Err(Pause::Gone)` end the conversation.
//!
//! A command that streams checks `cx.output.full()` before each row. One that needs messages starts each step with
//! `core.selected()?.view(cx)?` and `resolve`. One that commits notes its own flag changes in `Selected::own`. Commands
//! that only compute use `cmd::once`, those of one write `cmd::commit`.

use crate::base::{Mono, limits};
use crate::session::{Ask, Cx, Login, Opening, Session, Want};
use crate::store::{Question, Scope, StoreError};

use super::capability;
use super::cmd::append;
use super::command::{self, Row, When};
use super::gather::{Drain, Drained, Gather, Gathered, Head};
use super::lex::{Bad, Parser};
use super::names::Names;
use super::reply::{self, Code, Reply, Status};
use super::tell::{Tell, Telling};
use super::view::Selected;

/// The constructor for the table of services.
pub fn open(opening: &Opening<'_>) -> Box<dyn Session> {
    Box::new(Server {
        core: Core {
            login: None,
            selected: None,
            rev2: false,
            utf8: false,
            condstore: false,
            qresync: false,
            tag: "".into(),
            ahead: Vec::new(),
            then: Then::Next,
            login_by: opening.now.mono.after(limits::LOGIN_TIMEOUT),
            bad_commands: 0,
        },
        gather: Gather::default(),
        state: State::Greet,
    })
}

/// What all commands of a conversation share.
pub struct Core {
    /// Who is logged in.
    pub login: Option<Login>,
    pub selected: Option<Box<Selected>>,
    /// ENABLE IMAP4rev2: names in UTF-8, no RECENT, ESEARCH instead of SEARCH.
    pub rev2: bool,
    /// ENABLE UTF8=ACCEPT: names and other strings in UTF-8 (RFC 9755 section 3).
    pub utf8: bool,
    /// The client wants MODSEQ in every FETCH response (RFC 7162 section 3.1).
    pub condstore: bool,
    /// ENABLE QRESYNC: VANISHED instead of EXPUNGE (RFC 7162 section 3.2.10).
    pub qresync: bool,
    /// The tag of the running command, which ESEARCH repeats.
    pub tag: Box<str>,
    /// Replies to pipelined commands that ran together with the running one: they follow its own.
    pub ahead: Vec<(Box<str>, Reply)>,
    /// What follows the tagged reply of the running command.
    pub then: Then,
    login_by: Mono,
    bad_commands: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Next,
    Tls,
    Compress,
    Close,
}

/// A command in progress.
pub trait Running: Send {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause>;

    /// It only waits for news and for the client: its deadlines are its own, and the server may say goodbye (IDLE).
    fn is_idle(&self) -> bool {
        false
    }

    /// It is in the middle of a literal or a line to the client: anything else that we said now would be taken for a part of it.
    fn in_literal(&self) -> bool {
        false
    }
}

/// Why a command is not done.
pub enum Pause {
    Wait(Want),
    Refuse(Reply),
    Bye(Reply),
    /// The peer has hung up.
    Gone,
}

impl From<StoreError> for Pause {
    fn from(error: StoreError) -> Pause {
        Pause::Refuse(reply::store_error(&error))
    }
}

impl From<Bad> for Pause {
    fn from(why: Bad) -> Pause {
        Pause::Refuse(reply::bad(why))
    }
}

/// Waits until the peer has read what we wrote.
pub fn room(cx: &Cx<'_>) -> Pause {
    Pause::Wait(Want::Room { until: cx.now.mono.after(limits::IMAP_ROOM_TIMEOUT) })
}

/// Waits for the reader thread.
pub fn ask(cx: &Cx<'_>, question: Question) -> Pause {
    Pause::Wait(Want::Answer { to: Ask::Read(question), until: cx.now.mono.after(limits::IMAP_READ_TIMEOUT) })
}

impl Core {
    pub fn selected(&mut self) -> Result<&mut Selected, Pause> {
        self.selected.as_deref_mut().ok_or_else(|| Pause::Refuse(reply::not_selected()))
    }

    pub fn login(&self) -> Result<&Login, Pause> {
        self.login.as_ref().ok_or_else(|| Pause::Refuse(reply::wrong_state("Log in first")))
    }

    /// Refuses what changes anything if the credential may only read.
    pub fn may_write(&self) -> Result<(), Pause> {
        match self.login()?.scope {
            Scope::All => Ok(()),
            _ => Err(Pause::Refuse(reply::scope_read_only())),
        }
    }

    /// The selected mailbox, if messages in it may be changed.
    pub fn writable(&mut self) -> Result<&mut Selected, Pause> {
        self.may_write()?;
        let selected = self.selected()?;
        if selected.read_only { Err(Pause::Refuse(reply::read_only())) } else { Ok(selected) }
    }

    /// The client has shown that it knows modseqs: it is told the mailbox's, and from now on every change's
    /// (RFC 7162 section 3.1).
    pub fn enable_condstore(&mut self, cx: &mut Cx<'_>) {
        if std::mem::replace(&mut self.condstore, true) {
            return;
        }
        if let Some(selected) = &self.selected {
            cx.output
                .str(&format!("* OK [HIGHESTMODSEQ {}] Changes are told with this\r\n", selected.modseq));
        }
    }

    pub fn names(&self) -> Names {
        if self.takes_utf8() { Names::Utf8 } else { Names::Utf7 }
    }

    /// This client takes UTF-8 wherever a string may stand.
    pub fn takes_utf8(&self) -> bool {
        self.rev2 || self.utf8
    }

    /// Bytes of one command, its literals included.
    fn line_bytes_max(&self) -> usize {
        match self.login {
            None => limits::IMAP_LINE_BYTES_BEFORE_LOGIN_MAX,
            Some(_) => limits::IMAP_LINE_BYTES_MAX,
        }
    }

    /// Until when we wait for the client's next bytes.
    pub fn patience(&self, cx: &Cx<'_>) -> Mono {
        match self.login {
            None => self.login_by,
            Some(_) => cx.now.mono.after(limits::IMAP_IDLE_TIMEOUT),
        }
    }

    fn refuses(&self, row: &Row) -> Option<Reply> {
        let needed = match row.when {
            When::Before if self.login.is_some() => "You are logged in already",
            When::After | When::Selected if self.login.is_none() => "Log in first",
            When::Selected if self.selected.is_none() => return Some(reply::not_selected()),
            _ => return None,
        };
        Some(reply::wrong_state(needed))
    }
}

struct Server {
    core: Core,
    gather: Gather,
    state: State,
}

enum State {
    Greet,
    /// Between two commands, or in the middle of reading one.
    Reading,
    Running {
        tag: Box<str>,
        tell: Tell,
        running: Box<dyn Running>,
    },
    /// The rest of a refused command is read away before the reply goes out.
    Draining {
        tag: Box<str>,
        drain: Box<Drain>,
        reply: Box<Reply>,
    },
    Telling {
        tag: Box<str>,
        telling: Box<Telling>,
        reply: Box<Reply>,
    },
}

impl Session for Server {
    fn step(&mut self, cx: &mut Cx<'_>) -> Want {
        let idle = matches!(&self.state, State::Running { running, .. } if running.is_idle());
        if cx.expired && self.in_literal() {
            return Want::Close;
        }
        if cx.expired && !idle {
            return bye(cx, &reply::timeout());
        }
        if cx.closing && (idle || matches!(self.state, State::Reading)) {
            return bye(cx, &reply::shutting_down());
        }
        for _ in 0..limits::IMAP_MOVES_PER_STEP {
            match self.advance(cx) {
                Some(Want::Close) if cx.input.spoilt() && !self.in_literal() => {
                    return bye(cx, &reply::garbled());
                }
                Some(want) => return want,
                None => {}
            }
        }
        Want::Turn
    }
}

impl Server {
    fn in_literal(&self) -> bool {
        matches!(&self.state, State::Running { running, .. } if running.in_literal())
    }

    /// One move from state to state; `Some` when there is something to wait for.
    fn advance(&mut self, cx: &mut Cx<'_>) -> Option<Want> {
        match std::mem::replace(&mut self.state, State::Reading) {
            State::Greet => {
                let code = capability::list(&self.core, cx);
                reply::ok("pillarbox is ready").write(cx.output, "*", Some(&code));
                None
            }
            State::Reading => self.read(cx),
            State::Running { tag, tell, running } => self.run(tag, tell, running, cx),
            State::Draining { tag, drain, reply } => self.drain(tag, drain, reply, cx),
            State::Telling { tag, telling, reply } => self.tell(tag, telling, reply, cx),
        }
    }

    fn read(&mut self, cx: &mut Cx<'_>) -> Option<Want> {
        if cx.output.full() {
            return Some(Want::Room { until: cx.now.mono.after(limits::IMAP_ROOM_TIMEOUT) });
        }
        match self.gather.read(cx.input, self.core.line_bytes_max()) {
            Gathered::More if cx.input.eof() => Some(Want::Close),
            Gathered::More => Some(Want::Bytes { until: self.core.patience(cx) }),
            Gathered::Command => {
                let bytes = self.gather.take();
                self.start(&bytes);
                None
            }
            Gathered::Literal(head) => self.literal(head, cx),
            Gathered::TooLong => {
                let bytes = self.gather.take();
                let tag = tag_of(if bytes.is_empty() { cx.input.peek() } else { &bytes });
                let (drain, reply) = (Box::new(Drain::line()), Box::new(reply::line_too_long()));
                self.state = State::Draining { tag, drain, reply };
                None
            }
        }
    }

    /// A whole command is there: it is looked up, read, and begun or refused.
    fn start(&mut self, bytes: &[u8]) {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut p = Parser::new(line, self.core.names());
        let Ok(tag) = p.tag() else {
            return self.finish("*".into(), reply::bad(Bad("A command begins with a tag")));
        };
        let tag: Box<str> = tag.into();
        let Some(row) = p.space().ok().and_then(|()| command::find(&mut p)) else {
            return self.finish(tag, reply::unknown_command());
        };
        if let Some(reply) = self.core.refuses(row) {
            return self.finish(tag, reply);
        }
        match (row.parse)(&mut p).and_then(|running| p.end().map(|()| running)) {
            Ok(running) => {
                self.core.tag = tag.clone();
                self.state = State::Running { tag, tell: row.tell, running };
            }
            Err(why) => self.finish(tag, reply::bad(why)),
        }
    }

    /// The line so far ends in a literal's head: the message of an APPEND is streamed, any other literal is gathered.
    fn literal(&mut self, head: Head, cx: &mut Cx<'_>) -> Option<Want> {
        let mut p = Parser::new(self.gather.bytes(), self.core.names());
        let tag: Box<str> = p.tag().unwrap_or("*").into();
        let row = p.space().ok().and_then(|()| command::find(&mut p));
        if let Some(row) = row.filter(|row| row.verb == "APPEND") {
            let begun = match self.core.refuses(row) {
                Some(reply) => Some(Err(reply)),
                None => append::begin(&mut p, head, &self.core, cx),
            };
            match begun {
                Some(Ok(running)) => {
                    self.gather.take();
                    self.state = State::Running { tag, tell: row.tell, running };
                    return None;
                }
                Some(Err(reply)) => return self.refuse_literal(tag, head, reply, cx),
                None => {}
            }
        }
        if head.eight {
            return self.refuse_literal(
                tag,
                head,
                reply::bad(Bad("A binary literal is not allowed here")),
                cx,
            );
        }
        if !self.gather.expect(head, self.core.line_bytes_max()) {
            return self.refuse_literal(tag, head, reply::literal_too_big(), cx);
        }
        if head.waits {
            cx.output.str("+ Go ahead\r\n");
        }
        None
    }

    /// A client that asked is refused before it sends; what comes without asking is read away first (RFC 7888 section 4).
    fn refuse_literal(&mut self, tag: Box<str>, head: Head, reply: Reply, cx: &mut Cx<'_>) -> Option<Want> {
        self.gather.take();
        if head.waits {
            self.finish(tag, reply);
            return None;
        }
        if head.size > limits::LITERAL_DRAIN_BYTES_MAX {
            return Some(bye(cx, &reply::literal_hopeless()));
        }
        self.state =
            State::Draining { tag, drain: Box::new(Drain::literal(head.size)), reply: Box::new(reply) };
        None
    }

    fn drain(
        &mut self,
        tag: Box<str>,
        mut drain: Box<Drain>,
        reply: Box<Reply>,
        cx: &mut Cx<'_>,
    ) -> Option<Want> {
        match drain.read(cx.input) {
            Drained::Done => self.finish(tag, *reply),
            Drained::Hopeless => return Some(bye(cx, &reply::literal_hopeless())),
            Drained::More if cx.input.eof() => return Some(Want::Close),
            Drained::More => {
                self.state = State::Draining { tag, drain, reply };
                return Some(Want::Bytes { until: self.core.patience(cx) });
            }
        }
        None
    }

    fn run(
        &mut self,
        tag: Box<str>,
        tell: Tell,
        mut running: Box<dyn Running>,
        cx: &mut Cx<'_>,
    ) -> Option<Want> {
        let (reply, tell) = match running.step(&mut self.core, cx) {
            Ok(reply) => (reply, tell),
            Err(Pause::Refuse(reply)) => (reply, tell),
            Err(Pause::Wait(want)) => {
                self.state = State::Running { tag, tell, running };
                return Some(want);
            }
            Err(Pause::Bye(reply)) => return Some(bye(cx, &reply)),
            Err(Pause::Gone) => return Some(Want::Close),
        };
        let telling = Box::new(Telling::new(tell));
        self.state = State::Telling { tag, telling, reply: Box::new(reply) };
        None
    }

    /// The command is answered without having run: nothing is told, so that no number changes under a client that is
    /// already confused.
    fn finish(&mut self, tag: Box<str>, reply: Reply) {
        self.state =
            State::Telling { tag, telling: Box::new(Telling::new(Tell::Nothing)), reply: Box::new(reply) };
    }

    fn tell(
        &mut self,
        tag: Box<str>,
        mut telling: Box<Telling>,
        reply: Box<Reply>,
        cx: &mut Cx<'_>,
    ) -> Option<Want> {
        match telling.step(&mut self.core, cx) {
            // What could not be told for an error of ours stays untold until the next time.
            Ok(()) | Err(Pause::Refuse(_)) => {}
            Err(Pause::Wait(want)) => {
                self.state = State::Telling { tag, telling, reply };
                return Some(want);
            }
            Err(Pause::Bye(reply)) => return Some(bye(cx, &reply)),
            Err(Pause::Gone) => return Some(Want::Close),
        }
        let code = match &reply.code {
            Code::None => None,
            Code::Text(code) => Some(code.to_string()),
            Code::HighestModseq => {
                self.core.selected.as_ref().map(|at| format!("HIGHESTMODSEQ {}", at.modseq))
            }
            Code::Capability => Some(capability::list(&self.core, cx)),
        };
        reply.write(cx.output, &tag, code.as_deref());
        for (tag, reply) in std::mem::take(&mut self.core.ahead) {
            let code = if let Code::Text(code) = &reply.code { Some(code.as_ref()) } else { None };
            reply.write(cx.output, &tag, code);
        }
        self.core.bad_commands = if reply.status == Status::Bad { self.core.bad_commands + 1 } else { 0 };
        if self.core.bad_commands >= limits::IMAP_BAD_COMMANDS_MAX {
            return Some(bye(cx, &reply::too_many_errors()));
        }
        match std::mem::replace(&mut self.core.then, Then::Next) {
            Then::Next => None,
            Then::Tls => Some(Want::Tls),
            Then::Compress => Some(Want::Compress),
            Then::Close => Some(Want::Close),
        }
    }
}

fn bye(cx: &mut Cx<'_>, reply: &Reply) -> Want {
    let code = if let Code::Text(code) = &reply.code { Some(code.as_ref()) } else { None };
    reply.write(cx.output, "*", code);
    Want::Close
}

fn tag_of(bytes: &[u8]) -> Box<str> {
    Parser::new(bytes, Names::Utf7).tag().unwrap_or("*").into()
}
