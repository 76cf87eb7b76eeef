//! The server's side of a POP3 conversation: lines in, replies out, and what it waits for in between. Commands are a table
//! here; what they do lies in `login`, `list`, `retrieve` and `update`.

use crate::base::limits::{
    POP3_BAD_COMMANDS_MAX, POP3_IDLE_TIMEOUT, POP3_LINE_BYTES_MAX, POP3_MOVES_PER_STEP, POP3_READ_TIMEOUT,
    POP3_ROOM_TIMEOUT,
};
use crate::base::{BodyId, Mono};
use crate::session::sasl::Exchange;
use crate::session::{Ask, Cx, Login, Opening, Session, Want};
use crate::store::{Question, Scope};

use super::grammar::{self, Bad, Language};
use super::list::Listing;
use super::maildrop::{Maildrop, Message, Missing};
use super::reply::{self, Reply};
use super::retrieve::Sending;
use super::update::Update;
use super::{capability, list, login, retrieve, update};

/// The constructor for the table of services.
pub fn open(opening: &Opening<'_>) -> Box<dyn Session> {
    let until = opening.now.mono.after(POP3_IDLE_TIMEOUT);
    Box::new(Conversation {
        user: None,
        utf8: false,
        login: None,
        maildrop: None,
        wrong_passwords: 0,
        bad_commands: 0,
        login_by: until,
        until,
        state: State::Opening,
    })
}

/// One connection. Whether it is in AUTHORIZATION or TRANSACTION (RFC 1939 section 3) is whether it has a maildrop.
pub(super) struct Conversation {
    /// What USER said, for the PASS right behind it.
    pub user: Option<String>,
    /// After UTF8 (RFC 6856 section 2.1).
    pub utf8: bool,
    pub login: Option<Login>,
    pub maildrop: Option<Box<Maildrop>>,
    pub wrong_passwords: u32,
    /// One after the other.
    bad_commands: u32,
    /// A stranger has this long altogether.
    login_by: Mono,
    /// When the next line must be there. Set anew after each command, not after each byte.
    until: Mono,
    state: State,
}

#[derive(Default)]
pub(super) enum State {
    /// Nothing has been said.
    Opening,
    /// The next line is a command.
    Command,
    /// The rest of an overlong line is read past.
    Overlong,
    /// The next line answers a challenge.
    Auth(Exchange),
    /// A password is being checked.
    Password,
    /// The password was right; does anybody else have the maildrop?
    Alone,
    /// The maildrop is ours; its sizes are being read.
    Counting(Box<Maildrop>),
    Listing(Listing),
    Sending(Box<Sending>),
    /// QUIT was said, and what is marked goes.
    Updating(Update),
    /// Everything is said.
    #[default]
    Closed,
}

/// What follows one piece of work.
pub(super) enum Flow {
    /// Go on at once.
    On(State),
    /// Go on when this has happened.
    Wait(State, Want),
}

/// What looking for a line leads to.
pub(super) enum Line {
    /// Without its line end.
    Here(Vec<u8>),
    /// It is not there yet: stay in the same state.
    Wait(Want),
    /// It will not come, or was none.
    Else(Flow),
}

/// When a command may be said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Authorization,
    Transaction,
    Always,
}

struct Row {
    verb: &'static str,
    when: When,
    proceed: fn(&mut Conversation, &mut Cx<'_>, &[u8]) -> Result<Flow, Reply>,
}

const COMMANDS: &[Row] = &[
    Row { verb: "CAPA", when: When::Always, proceed: capa },
    Row { verb: "STLS", when: When::Authorization, proceed: login::stls },
    Row { verb: "UTF8", when: When::Authorization, proceed: utf8 },
    Row { verb: "LANG", when: When::Always, proceed: lang },
    Row { verb: "USER", when: When::Authorization, proceed: login::user },
    Row { verb: "PASS", when: When::Authorization, proceed: login::pass },
    Row { verb: "AUTH", when: When::Authorization, proceed: login::auth },
    Row { verb: "APOP", when: When::Authorization, proceed: |_, _, _| Err(reply::apop()) },
    Row { verb: "STAT", when: When::Transaction, proceed: list::stat },
    Row { verb: "LIST", when: When::Transaction, proceed: list::list },
    Row { verb: "UIDL", when: When::Transaction, proceed: list::uidl },
    Row { verb: "RETR", when: When::Transaction, proceed: retrieve::retr },
    Row { verb: "TOP", when: When::Transaction, proceed: retrieve::top },
    Row { verb: "DELE", when: When::Transaction, proceed: dele },
    Row { verb: "RSET", when: When::Transaction, proceed: rset },
    Row { verb: "NOOP", when: When::Transaction, proceed: noop },
    Row { verb: "QUIT", when: When::Always, proceed: update::quit },
];

impl From<Bad> for Reply {
    fn from(bad: Bad) -> Reply {
        reply::bad(bad)
    }
}

/// Many commands may come at a time (RFC 2449 section 6.6): they are dealt with one by one, in order, and what one of them
/// waits for the next ones wait for too.
impl Session for Conversation {
    fn step(&mut self, cx: &mut Cx<'_>) -> Want {
        // RFC 1939 section 3: a session that times out ends without a word, and deletes nothing.
        if cx.expired && !self.asks() {
            return Want::Close;
        }
        for _ in 0..POP3_MOVES_PER_STEP {
            if cx.output.full() {
                return room(cx);
            }
            let flow = match std::mem::take(&mut self.state) {
                State::Opening => {
                    reply::greeting().send(cx.output);
                    self.next_command(cx)
                }
                State::Command => self.command_line(cx),
                State::Overlong => self.overlong_line(cx),
                State::Auth(exchange) => self.auth_line(cx, exchange),
                State::Password => self.password_checked(cx),
                State::Alone => self.open_maildrop(cx),
                State::Counting(maildrop) => self.counted(cx, maildrop),
                State::Listing(listing) => self.go_on_listing(cx, listing),
                State::Sending(sending) => self.go_on_sending(cx, sending),
                State::Updating(update) => self.updated(cx, update),
                State::Closed => return Want::Close,
            };
            match flow {
                Flow::On(state) => self.state = state,
                Flow::Wait(state, want) => {
                    self.state = state;
                    return want;
                }
            }
        }
        Want::Turn
    }
}

/// Waits until the peer has read what we wrote.
pub(super) fn room(cx: &Cx<'_>) -> Want {
    Want::Room { until: cx.now.mono.after(POP3_ROOM_TIMEOUT) }
}

/// Waits for the reader thread.
pub(super) fn read(cx: &Cx<'_>, question: Question) -> Want {
    Want::Answer { to: Ask::Read(question), until: cx.now.mono.after(POP3_READ_TIMEOUT) }
}

impl Conversation {
    /// It waits for an answer that may fail to come, and not for the peer.
    fn asks(&self) -> bool {
        match &self.state {
            State::Password | State::Alone | State::Counting(_) => true,
            State::Sending(sending) => sending.asks(),
            _ => false,
        }
    }

    /// The next thing we wait for is a command.
    pub fn next_command(&mut self, cx: &Cx<'_>) -> Flow {
        let idle = cx.now.mono.after(POP3_IDLE_TIMEOUT);
        self.until = if self.maildrop.is_some() { idle } else { idle.min(self.login_by) };
        Flow::On(State::Command)
    }

    pub fn say(&mut self, cx: &mut Cx<'_>, reply: &Reply) -> Flow {
        reply.send(cx.output);
        self.next_command(cx)
    }

    /// Says it and ends the conversation, and with it the hold on the maildrop.
    pub fn bye(&mut self, cx: &mut Cx<'_>, reply: &Reply) -> Flow {
        reply.send(cx.output);
        Flow::On(State::Closed)
    }

    fn command_line(&mut self, cx: &mut Cx<'_>) -> Flow {
        let line = match self.line(cx) {
            Line::Here(line) => line,
            Line::Wait(want) => return Flow::Wait(State::Command, want),
            Line::Else(flow) => return flow,
        };
        let (verb, argument) = grammar::command(&line);
        let row = COMMANDS.iter().find(|row| verb.eq_ignore_ascii_case(row.verb.as_bytes()));
        let Some(row) = row else { return self.bad_command(cx, &reply::unknown_command()) };
        self.bad_commands = 0;
        if row.verb != "PASS" {
            self.user = None;
        }
        let done = match (row.when, self.maildrop.is_some()) {
            (When::Authorization, true) => Err(reply::already_logged_in()),
            (When::Transaction, false) => Err(reply::log_in_first()),
            _ => (row.proceed)(self, cx, argument),
        };
        done.unwrap_or_else(|refusal| self.say(cx, &refusal))
    }

    /// The next line.
    pub fn line(&mut self, cx: &mut Cx<'_>) -> Line {
        let at_hand = cx.input.peek();
        let looked_at = at_hand.get(..POP3_LINE_BYTES_MAX).unwrap_or(at_hand);
        let Some(end) = memchr::memchr(b'\n', looked_at) else {
            return self.no_line(cx, at_hand.len());
        };
        let line = &looked_at[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        cx.input.consume(end + 1);
        Line::Here(line)
    }

    fn no_line(&mut self, cx: &mut Cx<'_>, at_hand: usize) -> Line {
        if at_hand >= POP3_LINE_BYTES_MAX {
            return Line::Else(Flow::On(State::Overlong));
        }
        if cx.input.eof() {
            return Line::Else(Flow::On(State::Closed));
        }
        if cx.closing {
            return Line::Else(self.bye(cx, &reply::shutting_down()));
        }
        Line::Wait(Want::Bytes { until: self.until })
    }

    /// Reads past the line that was too long, and only then says so: the reply keeps in step.
    fn overlong_line(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.user = None;
        let at_hand = cx.input.peek();
        if let Some(end) = memchr::memchr(b'\n', at_hand) {
            cx.input.consume(end + 1);
            return self.bad_command(cx, &reply::line_too_long());
        }
        cx.input.clear();
        if cx.input.eof() {
            return Flow::On(State::Closed);
        }
        Flow::Wait(State::Overlong, Want::Bytes { until: self.until })
    }

    fn bad_command(&mut self, cx: &mut Cx<'_>, refusal: &Reply) -> Flow {
        self.bad_commands += 1;
        if self.bad_commands < POP3_BAD_COMMANDS_MAX {
            return self.say(cx, refusal);
        }
        self.bye(cx, &reply::too_many_errors())
    }

    /// The maildrop, for commands that the table allows only with one.
    pub fn maildrop(&mut self) -> Result<&mut Maildrop, Reply> {
        self.maildrop.as_deref_mut().ok_or_else(reply::log_in_first)
    }

    /// A message that is not marked and that no other program has removed meanwhile, and where its bytes are.
    pub fn message(&mut self, cx: &Cx<'_>, number: u32) -> Result<(Message, BodyId), Reply> {
        let maildrop = self.maildrop()?;
        let message = maildrop.message(number).map_err(|missing| match missing {
            Missing::Never => reply::no_such_message(maildrop.len()),
            Missing::Marked => reply::marked_already(),
        })?;
        match cx.store.body_of(maildrop.mailbox, message.uid) {
            Ok(Some(body)) => Ok((message, body)),
            Ok(None) => Err(reply::gone()),
            Err(error) => Err(reply::broken(&error)),
        }
    }
}

// --- commands of one line ---

fn capa(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    let flow = conversation.say(cx, &reply::capabilities());
    let list = capability::list(conversation, cx);
    cx.output.str(&list);
    Ok(flow)
}

fn utf8(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    conversation.utf8 = true;
    Ok(conversation.say(cx, &reply::utf8_on()))
}

fn lang(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    match grammar::language(argument) {
        Language::List => {
            let flow = conversation.say(cx, &reply::languages());
            cx.output.str("en English\r\n.\r\n");
            Ok(flow)
        }
        Language::English => Ok(conversation.say(cx, &reply::english())),
        Language::Other => Err(reply::no_such_language()),
    }
}

fn dele(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    let number = grammar::message(argument)?;
    if conversation.login.as_ref().is_none_or(|login| login.scope != Scope::All) {
        return Err(reply::read_only());
    }
    let (message, _) = conversation.message(cx, number)?;
    conversation.maildrop()?.mark(message);
    Ok(conversation.say(cx, &reply::marked()))
}

fn rset(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    let maildrop = conversation.maildrop()?;
    maildrop.unmark_all();
    let (messages, octets) = maildrop.stat();
    Ok(conversation.say(cx, &reply::reset(messages, octets)))
}

fn noop(conversation: &mut Conversation, cx: &mut Cx<'_>, _: &[u8]) -> Result<Flow, Reply> {
    Ok(conversation.say(cx, &reply::nothing_done()))
}
