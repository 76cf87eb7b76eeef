//! STARTTLS, LOGIN and AUTHENTICATE (RFC 9051 section 6.2) with SASL-IR (RFC 4959). `session::sasl` knows the mechanisms.

use crate::base::limits;
use crate::imap::capability;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Code, Reply};
use crate::imap::server::{Core, Pause, Running, Then};
use crate::session::sasl::{self, Exchange, Mechanism, Step};
use crate::session::{Answer, Ask, Cx, PasswordCheck, Service, Verdict, Want};

use super::{line, once};

pub fn starttls(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|core, cx| {
        if cx.peer.tls.is_some() {
            return Ok(reply::wrong_state("This connection is encrypted already"));
        }
        if !cx.can_tls {
            return Ok(reply::no("UNAVAILABLE", "There is no certificate to encrypt with"));
        }
        core.then = Then::Tls;
        Ok(reply::ok("Begin TLS now"))
    }))
}

/// `login = "LOGIN" SP userid SP password`
pub fn login(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let login = p.astring_text()?;
    p.space()?;
    let secret = p.astring()?.into_owned();
    Ok(Box::new(Check { said: Some((login, secret)) }))
}

/// A password is said and is being checked.
struct Check {
    said: Option<(String, Vec<u8>)>,
}

impl Running for Check {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if let Some((login, secret)) = self.said.take() {
            if !capability::may_log_in(cx) {
                return Ok(reply::need_tls());
            }
            if secret.len() > limits::PASSWORD_BYTES_MAX || login.len() > limits::LOGIN_NAME_BYTES_MAX {
                return Ok(denied());
            }
            let check = PasswordCheck { login, secret, from: cx.peer.addr.ip(), service: Service::Mail };
            let until = cx.now.mono.after(limits::IMAP_READ_TIMEOUT);
            return Err(Pause::Wait(Want::Answer { to: Ask::Password(check), until }));
        }
        match cx.answer.take() {
            Some(Answer::Password(Verdict::Granted(login))) => {
                core.login = Some(login);
                Ok(Reply { code: Code::Capability, ..reply::ok("Logged in") })
            }
            Some(Answer::Password(Verdict::Busy)) => {
                Ok(reply::no("UNAVAILABLE", "Too many people log in at once, please try again in a moment"))
            }
            _ => Ok(denied()),
        }
    }
}

/// Wrong user, wrong password and wrong scope look the same.
fn denied() -> Reply {
    reply::no("AUTHENTICATIONFAILED", "User or password is not right")
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`
pub fn authenticate(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let mechanism = Mechanism::named(p.atom()?.as_bytes());
    let initial = match p.eat(b' ') {
        true => Some(p.atom()?.as_bytes().to_vec()),
        false => None,
    };
    let Some(mechanism) = mechanism else {
        return Ok(once(|_, _| Ok(reply::no("CANNOT", "This mechanism is not offered"))));
    };
    Ok(Box::new(Authenticate::Begin(mechanism, initial)))
}

/// The exchange before the check.
enum Authenticate {
    Begin(Mechanism, Option<Vec<u8>>),
    Asked(Exchange),
    Checking(Check),
    Over,
}

impl Running for Authenticate {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        loop {
            let step = match std::mem::replace(self, Authenticate::Over) {
                Authenticate::Begin(_, _) if !capability::may_log_in(cx) => return Ok(reply::need_tls()),
                Authenticate::Begin(mechanism, initial) => sasl::start(mechanism, initial.as_deref()),
                Authenticate::Asked(exchange) => match line(core, cx) {
                    Ok(line) => exchange.line(&line),
                    Err(pause) => {
                        *self = Authenticate::Asked(exchange);
                        return Err(pause);
                    }
                },
                Authenticate::Checking(mut check) => {
                    let result = check.step(core, cx);
                    *self = Authenticate::Checking(check);
                    return result;
                }
                Authenticate::Over => return Err(Pause::Gone),
            };
            match step {
                // The Gmail app wants the space behind `+` even where nothing follows.
                Step::Challenge { exchange, text } => {
                    cx.output.str(&format!("+ {text}\r\n"));
                    *self = Authenticate::Asked(exchange);
                }
                Step::Credentials { login, secret } => {
                    *self = Authenticate::Checking(Check { said: Some((login, secret)) });
                }
                Step::Cancelled => return Err(Bad("The login is called off").into()),
                Step::Bad(why) => return Err(Bad(why).into()),
            }
        }
    }
}
