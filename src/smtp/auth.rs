//! AUTH (RFC 4954) with PLAIN and LOGIN: framing here, the exchange itself in `session::sasl`. Only on submission, only
//! over TLS.

use crate::base::limits::{AUTH_FAILURES_MAX, AUTH_TIMEOUT};
use crate::session::sasl::{self, Exchange, Mechanism, Step};
use crate::session::{Answer, Ask, Cx, Login, PasswordCheck, Service, Verdict, Want};
use crate::store::Scope;

use super::reply::{self, Reply};
use super::server::{Conversation, Flow, Line, Role, State};
use super::{grammar, submission};

impl Conversation {
    /// Whether AUTH may begin; changes nothing.
    pub fn check_auth(&self, cx: &Cx<'_>, argument: &str) -> Result<Step, Reply> {
        // Phones probe port 25 when a person sets up an account (iOS): tell them at once where to go.
        if self.role == Role::Exchanger {
            return Err(reply::auth_elsewhere());
        }
        submission::check_tls(cx)?;
        if self.hello.as_ref().is_none_or(|hello| !hello.extended) {
            return Err(reply::hello_first());
        }
        if self.login.is_some() {
            return Err(reply::already_logged_in());
        }
        if self.mail.is_some() {
            return Err(reply::auth_in_mail());
        }
        let (mechanism, initial) = grammar::auth(argument).map_err(reply::argument)?;
        let mechanism = Mechanism::named(mechanism.as_bytes()).ok_or_else(reply::unknown_mechanism)?;
        Ok(sasl::start(mechanism, initial.map(str::as_bytes)))
    }

    pub fn auth_line(&mut self, cx: &mut Cx<'_>, exchange: Exchange) -> Flow {
        match self.line(cx) {
            Line::Here(line) => self.proceed_auth(cx, exchange.line(&line)),
            Line::Wait(want) => Flow::Wait(State::Auth(exchange), want),
            Line::Else(flow) => flow,
        }
    }

    pub fn proceed_auth(&mut self, cx: &mut Cx<'_>, step: Step) -> Flow {
        match step {
            Step::Challenge { exchange, text } => {
                reply::challenge(text).send(cx.output);
                self.until = cx.now.mono.after(AUTH_TIMEOUT);
                Flow::On(State::Auth(exchange))
            }
            Step::Credentials { login, secret } => {
                let from = cx.peer.addr.ip();
                let check = PasswordCheck { login, secret, from, service: Service::Send };
                let until = cx.now.mono.after(AUTH_TIMEOUT);
                Flow::Wait(State::Password, Want::Answer { to: Ask::Password(check), until })
            }
            Step::Cancelled => self.say(cx, &reply::auth_cancelled()),
            Step::Bad(why) => self.bad_command(cx, reply::auth_malformed(why)),
        }
    }

    pub fn password_checked(&mut self, cx: &mut Cx<'_>) -> Flow {
        match cx.answer.take() {
            Some(Answer::Password(Verdict::Granted(login))) if may_send(&login) => {
                self.login = Some(login);
                self.say(cx, &reply::logged_in())
            }
            Some(Answer::Password(Verdict::Granted(_) | Verdict::Denied)) => self.wrong_password(cx),
            _ => self.say(cx, &reply::auth_busy()),
        }
    }

    fn wrong_password(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.wrong_passwords += 1;
        if self.wrong_passwords < AUTH_FAILURES_MAX {
            return self.say(cx, &reply::wrong_password());
        }
        reply::wrong_password().send(cx.output);
        self.say(cx, &reply::too_many_logins(&cx.config.hostname))
    }
}

fn may_send(login: &Login) -> bool {
    matches!(login.scope, Scope::All | Scope::SendOnly)
}
