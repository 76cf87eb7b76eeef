//! From a stranger to somebody with a maildrop: STLS (RFC 2595 section 4), USER and PASS (RFC 1939 section 7), AUTH
//! (RFC 5034), then the exclusive hold on the maildrop, then its sizes.
//!
//! The hold is asked of the engine and ends with the connection: see `session::Ask::Alone`. Nothing here lets go of it,
//! so that nothing here can forget to.

use crate::base::Uid;
use crate::base::limits::{
    AUTH_FAILURES_MAX, AUTH_TIMEOUT, LOGIN_NAME_BYTES_MAX, PASSWORD_BYTES_MAX, POP3_READ_TIMEOUT,
};
use crate::session::sasl::{self, Exchange, Mechanism, Step};
use crate::session::{Answer, Ask, Cx, PasswordCheck, Service, Verdict, Want};
use crate::store::{Question, Reply as Read};

use super::capability::may_log_in;
use super::grammar;
use super::maildrop::Maildrop;
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, Line, State, read};

const INBOX: &str = "INBOX";

pub fn stls(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    if cx.peer.tls.is_some() {
        return Err(reply::already_encrypted());
    }
    if conversation.utf8 {
        return Err(reply::tls_after_utf8());
    }
    if !cx.can_tls {
        return Err(reply::no_certificate());
    }
    reply::begin_tls().send(cx.output);
    Ok(Flow::Wait(State::Command, Want::Tls))
}

pub fn user(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    if !may_log_in(cx) {
        return Err(reply::need_tls());
    }
    conversation.user = Some(name(argument.trim_ascii())?);
    Ok(conversation.say(cx, &reply::password_next()))
}

/// RFC 6856 section 2.2: UTF-8, or it is refused; no control characters.
fn name(bytes: &[u8]) -> Result<String, Reply> {
    if bytes.is_empty() || bytes.len() > LOGIN_NAME_BYTES_MAX {
        return Err(reply::malformed("The user name is empty or too long"));
    }
    let name = std::str::from_utf8(bytes).map_err(|_| reply::malformed("The user name is not UTF-8"))?;
    match name.contains(char::is_control) {
        true => Err(reply::malformed("The user name has a control character in it")),
        false => Ok(name.to_owned()),
    }
}

/// The whole rest of the line is the password, its spaces included (RFC 1939 section 7).
pub fn pass(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    let login = conversation.user.take().ok_or_else(reply::user_first)?;
    if argument.is_empty() || argument.len() > PASSWORD_BYTES_MAX {
        return Err(reply::cannot_be("The password is empty or too long"));
    }
    if argument.contains(&0) || std::str::from_utf8(argument).is_err() {
        return Err(reply::cannot_be("The password is not UTF-8"));
    }
    Ok(check(cx, login, argument.to_vec()))
}

fn check(cx: &Cx<'_>, login: String, secret: Vec<u8>) -> Flow {
    let check = PasswordCheck { login, secret, from: cx.peer.addr.ip(), service: Service::Mail };
    let until = cx.now.mono.after(AUTH_TIMEOUT);
    Flow::Wait(State::Password, Want::Answer { to: Ask::Password(check), until })
}

pub fn auth(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    if !may_log_in(cx) {
        return Err(reply::need_tls());
    }
    let (mechanism, initial) = grammar::auth(argument)?;
    let mechanism = Mechanism::named(mechanism).ok_or_else(reply::unknown_mechanism)?;
    Ok(conversation.go_on_with_auth(cx, sasl::start(mechanism, initial)))
}

impl Conversation {
    pub fn auth_line(&mut self, cx: &mut Cx<'_>, exchange: Exchange) -> Flow {
        match self.line(cx) {
            Line::Here(line) => self.go_on_with_auth(cx, exchange.line(&line)),
            Line::Wait(want) => Flow::Wait(State::Auth(exchange), want),
            Line::Else(flow) => flow,
        }
    }

    fn go_on_with_auth(&mut self, cx: &mut Cx<'_>, step: Step) -> Flow {
        match step {
            Step::Challenge { exchange, text } => {
                reply::challenge(cx.output, text);
                Flow::On(State::Auth(exchange))
            }
            Step::Credentials { login, secret } => check(cx, login, secret),
            Step::Cancelled => self.say(cx, &reply::cancelled()),
            Step::Bad(why) => self.say(cx, &reply::malformed(why)),
        }
    }

    pub fn password_checked(&mut self, cx: &mut Cx<'_>) -> Flow {
        match cx.answer.take() {
            Some(Answer::Password(Verdict::Granted(login))) => {
                let to = Ask::Alone(login.account);
                self.login = Some(login);
                Flow::Wait(State::Alone, Want::Answer { to, until: cx.now.mono.after(POP3_READ_TIMEOUT) })
            }
            Some(Answer::Password(Verdict::Denied)) => {
                self.wrong_passwords += 1;
                if self.wrong_passwords < AUTH_FAILURES_MAX {
                    return self.say(cx, &reply::wrong_password());
                }
                self.bye(cx, &reply::too_many_logins())
            }
            _ => self.say(cx, &reply::logins_busy()),
        }
    }

    /// Nobody else has it, or somebody has (RFC 2449 section 8.1.2).
    pub fn open_maildrop(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !matches!(cx.answer.take(), Some(Answer::Alone(true))) {
            self.login = None;
            return self.say(cx, &reply::in_use());
        }
        let Some(account) = self.login.as_ref().map(|login| login.account) else {
            return Flow::On(State::Closed);
        };
        match cx.store.mailbox_named(account, INBOX) {
            Ok(Some(row)) if row.messages == 0 => self.opened(cx, Box::new(Maildrop::new(&row))),
            Ok(Some(row)) => count(cx, Box::new(Maildrop::new(&row)), Uid(1)),
            Ok(None) => self.bye(cx, &reply::no_maildrop()),
            Err(error) => self.bye(cx, &reply::broken(&error)),
        }
    }

    pub fn counted(&mut self, cx: &mut Cx<'_>, mut maildrop: Box<Maildrop>) -> Flow {
        match cx.answer.take() {
            Some(Answer::Read(Ok(Read::Sizes { rows, next }))) => {
                maildrop.add(&rows);
                match next {
                    Some(next) => count(cx, maildrop, next),
                    None => self.opened(cx, maildrop),
                }
            }
            // RFC 1939 section 4: a refusal releases the maildrop, here by ending the conversation.
            Some(Answer::Read(Err(error))) => self.bye(cx, &reply::broken(&error)),
            _ => self.bye(cx, &reply::unreadable()),
        }
    }

    fn opened(&mut self, cx: &mut Cx<'_>, maildrop: Box<Maildrop>) -> Flow {
        let (messages, octets) = maildrop.stat();
        self.maildrop = Some(maildrop);
        self.say(cx, &reply::opened(messages, octets))
    }
}

/// The next slice of sizes.
fn count(cx: &Cx<'_>, maildrop: Box<Maildrop>, from: Uid) -> Flow {
    let question = Question::Sizes { mailbox: maildrop.mailbox, from, up_to: maildrop.uid_next };
    Flow::Wait(State::Counting(maildrop), read(cx, question))
}
