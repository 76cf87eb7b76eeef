//! The server's side of an SMTP conversation: lines in, replies out, and what it waits for in between. Commands live in
//! `command`, message bodies in `receive`, AUTH in `auth`; this file holds them together.

use crate::base::Mono;
use crate::base::limits::{
    BAD_COMMANDS_MAX, RECIPIENTS_REFUSED_MAX, SMTP_COMMAND_TIMEOUT, SMTP_COMMANDS_PER_STEP,
    SMTP_LINE_BYTES_MAX,
};
use crate::delivery::Recipient;
use crate::delivery::arrival::Arrival;
use crate::session::sasl::Exchange;
use crate::session::{Cx, Login, Opening, Session, Want};
use crate::store::Write;

use super::grammar::MailArgs;
use super::receive::{Discard, Incoming};
use super::reply::{self, Reply};

/// For mail from other servers: port 25.
pub fn open_mx(opening: &Opening<'_>) -> Box<dyn Session> {
    open(Role::Exchanger, opening)
}

/// For mail from our own people: ports 587, 465, 2525.
pub fn open_submission(opening: &Opening<'_>) -> Box<dyn Session> {
    open(Role::Submission, opening)
}

fn open(role: Role, opening: &Opening<'_>) -> Box<dyn Session> {
    Box::new(Conversation {
        role,
        hello: None,
        login: None,
        mail: None,
        transactions: 0,
        bad_commands: 0,
        recipients_refused: 0,
        wrong_passwords: 0,
        state: State::Opening,
        until: opening.now.mono.after(SMTP_COMMAND_TIMEOUT),
    })
}

/// Whom a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Other servers, who bring mail for addresses that exist here.
    Exchanger,
    /// People of this box, who log in to send.
    Submission,
}

/// What the client called itself.
pub(super) struct Hello {
    pub name: String,
    /// EHLO, not HELO.
    pub extended: bool,
}

/// A mail transaction between MAIL and the end of its message.
pub(super) struct Mail {
    pub args: MailArgs,
    /// Accepted ones, at most `RECIPIENTS_MAX`.
    pub to: Vec<Recipient>,
    /// What earlier chunks brought (BDAT); never together with DATA.
    pub chunks: Option<Box<Incoming>>,
}

/// One connection to the SMTP server.
pub(super) struct Conversation {
    pub role: Role,
    /// `None` before EHLO or HELO, and again after STARTTLS.
    pub hello: Option<Hello>,
    /// Only ever set on submission.
    pub login: Option<Login>,
    /// `None` outside of a transaction.
    pub mail: Option<Box<Mail>>,
    pub transactions: u32,
    pub bad_commands: u32,
    pub recipients_refused: u32,
    pub wrong_passwords: u32,
    state: State,
    /// When the command or bytes we wait for must be there. Set anew after each command, not after each byte.
    pub until: Mono,
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
    /// A message, or a chunk of one, is coming.
    Receive(Box<Incoming>),
    /// A chunk that nobody wants is read past.
    Discard(Discard),
    /// A whole message is being judged and stored.
    Arrive { arrival: Box<Arrival>, id: String },
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

impl Flow {
    /// The same, but not before `write` is done.
    pub fn after(self, write: Option<Write>) -> Flow {
        match (self, write) {
            (Flow::On(state), Some(write)) => Flow::Wait(state, Want::Commit { write }),
            (flow, _) => flow,
        }
    }
}

/// What looking for a line leads to.
pub(super) enum Line {
    /// Without its CR LF.
    Here(Vec<u8>),
    /// It is not there yet: stay in the same state.
    Wait(Want),
    /// It will not come, or was none.
    Else(Flow),
}

/// Many commands may come at a time (RFC 2920): they are dealt with one by one, in order, and what one of them waits for
/// the next ones wait for too. Their replies leave together.
impl Session for Conversation {
    fn step(&mut self, cx: &mut Cx<'_>) -> Want {
        for _ in 0..SMTP_COMMANDS_PER_STEP {
            if cx.output.full() {
                return self.wait_for_room(cx);
            }
            let flow = match std::mem::take(&mut self.state) {
                State::Opening => self.greet(cx),
                State::Command => self.command_line(cx),
                State::Overlong => self.overlong_line(cx),
                State::Auth(exchange) => self.auth_line(cx, exchange),
                State::Password => self.password_checked(cx),
                State::Receive(incoming) => self.receive(cx, incoming),
                State::Discard(discard) => self.discard(cx, discard),
                State::Arrive { arrival, id } => self.arrive(cx, *arrival, id),
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

impl Conversation {
    /// A client that speaks before it is greeted has only pipelined too early: its words are heard after the greeting.
    fn greet(&mut self, cx: &mut Cx<'_>) -> Flow {
        reply::greeting(&cx.config.hostname).send(cx.output);
        self.next_command(cx)
    }

    /// The next thing we wait for is a command.
    pub fn next_command(&mut self, cx: &Cx<'_>) -> Flow {
        self.until = cx.now.mono.after(SMTP_COMMAND_TIMEOUT);
        Flow::On(State::Command)
    }

    /// Says it and goes on as the reply asks.
    pub fn say(&mut self, cx: &mut Cx<'_>, reply: &Reply) -> Flow {
        reply.send(cx.output);
        if reply.closes() { self.close(cx) } else { self.next_command(cx) }
    }

    /// Everything is said, or nobody is there to hear it.
    fn close(&mut self, cx: &mut Cx<'_>) -> Flow {
        let discard = self.drop_mail(cx);
        Flow::On(State::Closed).after(discard)
    }

    /// Gives the transaction up, if there is one. What of it is staged already is to be discarded: `Flow::after`.
    pub fn drop_mail(&mut self, cx: &mut Cx<'_>) -> Option<Write> {
        let chunks = self.mail.take().and_then(|mail| mail.chunks)?;
        chunks.abandon(cx.budget)
    }

    /// Back to before EHLO: what was said in the clear does not count under TLS (RFC 3207 section 4.2).
    pub fn forget(&mut self) {
        self.hello = None;
        self.login = None;
        self.mail = None;
    }

    fn command_line(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.line(cx) {
            Line::Here(line) => match String::from_utf8(line) {
                Ok(line) => self.command(cx, &line),
                Err(_) => self.bad_command(cx, reply::not_text()),
            },
            Line::Wait(want) => Flow::Wait(State::Command, want),
            Line::Else(flow) => flow,
        }
    }

    /// The next line.
    pub fn line(&mut self, cx: &mut Cx<'_>) -> Line {
        let at_hand = cx.input.peek();
        let looked_at = at_hand.get(..SMTP_LINE_BYTES_MAX).unwrap_or(at_hand);
        let Some(end) = memchr::memchr(b'\n', looked_at) else {
            return self.no_line(cx, at_hand.len());
        };
        let line = looked_at[..end].strip_suffix(b"\r").map(<[u8]>::to_vec);
        cx.input.consume(end + 1);
        match line {
            Some(line) => Line::Here(line),
            None => Line::Else(self.bad_command(cx, reply::line_end())),
        }
    }

    fn no_line(&mut self, cx: &mut Cx<'_>, at_hand: usize) -> Line {
        if at_hand >= SMTP_LINE_BYTES_MAX {
            return Line::Else(Flow::On(State::Overlong));
        }
        if cx.input.eof() {
            return Line::Else(self.close(cx));
        }
        if cx.closing {
            return Line::Else(self.say(cx, &reply::shutting_down(&cx.config.hostname)));
        }
        if cx.now.mono >= self.until {
            return Line::Else(self.say(cx, &reply::timeout(&cx.config.hostname)));
        }
        Line::Wait(Want::Bytes { until: self.until })
    }

    /// Reads past the line that was too long, and only then says so: the reply keeps in step.
    fn overlong_line(&mut self, cx: &mut Cx<'_>) -> Flow {
        let at_hand = cx.input.peek();
        if let Some(end) = memchr::memchr(b'\n', at_hand) {
            cx.input.consume(end + 1);
            return self.bad_command(cx, reply::line_too_long());
        }
        cx.input.clear();
        if cx.input.eof() {
            return self.close(cx);
        }
        if cx.now.mono >= self.until {
            return self.say(cx, &reply::timeout(&cx.config.hostname));
        }
        Flow::Wait(State::Overlong, Want::Bytes { until: self.until })
    }

    /// A sender may have an old list of addresses; whoever tries out all names there are is sent away.
    pub fn refuse_recipient(&mut self, cx: &mut Cx<'_>, refusal: &Reply) -> Flow {
        let unknown = refusal.code == 550 && self.role == Role::Exchanger;
        self.recipients_refused += u32::from(unknown);
        if self.recipients_refused < RECIPIENTS_REFUSED_MAX {
            return self.say(cx, refusal);
        }
        refusal.send(cx.output);
        self.say(cx, &reply::too_many_unknown(&cx.config.hostname))
    }

    /// Three of these stop whoever does not speak SMTP.
    pub fn bad_command(&mut self, cx: &mut Cx<'_>, refusal: Reply) -> Flow {
        self.bad_commands += 1;
        if self.bad_commands < BAD_COMMANDS_MAX {
            return self.say(cx, &refusal);
        }
        refusal.send(cx.output);
        self.say(cx, &reply::too_many_errors(&cx.config.hostname))
    }

    fn wait_for_room(&mut self, cx: &Cx<'_>) -> Want {
        if cx.expired {
            return Want::Close;
        }
        Want::Room { until: cx.now.mono.after(SMTP_COMMAND_TIMEOUT) }
    }
}
