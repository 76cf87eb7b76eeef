//! The AUTH exchange that SMTP (RFC 4954) and IMAP (RFC 9051 section 6.2.2) share: PLAIN (RFC 4616) and LOGIN. A
//! pure machine over base64 lines; framing (`334 `, `+ `) and the password check itself are the caller's.

use crate::base::limits::{LOGIN_NAME_BYTES_MAX, PASSWORD_BYTES_MAX, SASL_LINE_BYTES_MAX};
use crate::base::text;

/// What we advertise, in this order.
pub const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    /// Never standardised, but all that Outlook knows for SMTP.
    Login,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// By name, in any case.
    pub fn named(name: &[u8]) -> Option<Mechanism> {
        MECHANISMS.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }
}

/// What the caller does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this (already base64, may be empty) after `334 ` or `+ ` and pass the next line to `Exchange::line`.
    Challenge { exchange: Exchange, text: &'static str },
    /// Both are known: ask for the password check.
    Credentials { login: String, secret: Vec<u8> },
    /// The client sent `*` (RFC 4954 section 4): 501, or BAD.
    Cancelled,
    /// Not base64, not UTF-8, too long, or an authorization identity other than the login.
    Bad(&'static str),
}

/// An exchange that waits for the client's next line. Debug shows no secret: none is kept here.
#[derive(Debug, PartialEq, Eq)]
pub enum Exchange {
    /// PLAIN without initial response.
    Plain,
    LoginName,
    LoginSecret {
        login: String,
    },
}

/// base64 of `Username:` and `Password:`: Outlook wants these very words (draft-murchison-sasl-login section 2).
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

/// Begins an exchange. `initial` is the initial response as sent: base64, or `=` for an empty one.
pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Step {
    match (mechanism, initial) {
        (Mechanism::Plain, None) => Step::Challenge { exchange: Exchange::Plain, text: "" },
        (Mechanism::Plain, Some(initial)) => Exchange::Plain.line(initial),
        (Mechanism::Login, None) => Step::Challenge { exchange: Exchange::LoginName, text: USERNAME },
        (Mechanism::Login, Some(initial)) => Exchange::LoginName.line(initial),
    }
}

impl Exchange {
    /// The client's next line, without its line end.
    pub fn line(self, line: &[u8]) -> Step {
        if line == b"*" {
            return Step::Cancelled;
        }
        if line.len() > SASL_LINE_BYTES_MAX {
            return Step::Bad("the response is too long");
        }
        let decoded = if line == b"=" { Some(Vec::new()) } else { text::base64_decode(line) };
        let Some(decoded) = decoded else {
            return Step::Bad("the response is not base64");
        };
        match self {
            Exchange::Plain => plain(&decoded),
            Exchange::LoginName => match login_name(&decoded) {
                Ok(login) => Step::Challenge { exchange: Exchange::LoginSecret { login }, text: PASSWORD },
                Err(why) => Step::Bad(why),
            },
            Exchange::LoginSecret { login } => credentials(login, decoded),
        }
    }
}

// message = [authzid] UTF8NUL authcid UTF8NUL passwd      RFC 4616 section 2
fn plain(message: &[u8]) -> Step {
    let mut parts = message.splitn(3, |byte| *byte == 0);
    let (Some(authzid), Some(authcid), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
        return Step::Bad("PLAIN needs a user and a password");
    };
    if !authzid.is_empty() && !authzid.eq_ignore_ascii_case(authcid) {
        return Step::Bad("acting for another user is not possible");
    }
    match login_name(authcid) {
        Ok(login) => credentials(login, secret.to_vec()),
        Err(why) => Step::Bad(why),
    }
}

fn login_name(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.is_empty() || bytes.len() > LOGIN_NAME_BYTES_MAX {
        return Err("the user name is empty or too long");
    }
    let name = std::str::from_utf8(bytes).map_err(|_| "the user name is not UTF-8")?;
    if name.contains(char::is_control) {
        return Err("the user name has a control character in it");
    }
    Ok(name.to_string())
}

fn credentials(login: String, secret: Vec<u8>) -> Step {
    if secret.is_empty() || secret.len() > PASSWORD_BYTES_MAX || secret.contains(&0) {
        return Step::Bad("the password is empty or too long");
    }
    Step::Credentials { login, secret }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        text::base64_encode(text.as_bytes()).into_bytes()
    }

    fn known(login: &str, secret: &str) -> Step {
        Step::Credentials { login: login.into(), secret: secret.into() }
    }

    #[test]
    fn plain_takes_its_credentials_at_once_or_after_an_empty_challenge() {
        let line = encoded("\0alice@example.org\0secret");
        assert_eq!(start(Mechanism::Plain, Some(&line)), known("alice@example.org", "secret"));
        let Step::Challenge { exchange, text: "" } = start(Mechanism::Plain, None) else { panic!() };
        assert_eq!(exchange.line(&line), known("alice@example.org", "secret"));
        let same = encoded("alice\0Alice\0secret");
        assert_eq!(start(Mechanism::Plain, Some(&same)), known("Alice", "secret"));
    }

    #[test]
    fn login_asks_twice_in_the_usual_words() {
        let Step::Challenge { exchange, text } = start(Mechanism::Login, None) else { panic!() };
        assert_eq!(text::base64_decode(text.as_bytes()).as_deref(), Some(&b"Username:"[..]));
        let Step::Challenge { exchange, text } = exchange.line(&encoded("alice")) else { panic!() };
        assert_eq!(text::base64_decode(text.as_bytes()).as_deref(), Some(&b"Password:"[..]));
        assert_eq!(exchange.line(&encoded("secret")), known("alice", "secret"));
        let Step::Challenge { exchange, .. } = start(Mechanism::Login, Some(&encoded("bob"))) else {
            panic!()
        };
        assert_eq!(exchange, Exchange::LoginSecret { login: "bob".into() });
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        for (line, why) in [
            (encoded("\0alice"), "one part"),
            (encoded("bob\0alice\0secret"), "another user"),
            (encoded("\0\0secret"), "no user"),
            (encoded("\0alice\0"), "no password"),
            (encoded("\0al\nice\0secret"), "control character"),
            (encoded(&format!("\0alice\0{}", "x".repeat(PASSWORD_BYTES_MAX + 1))), "long password"),
            (b"!!!".to_vec(), "not base64"),
            (b"=".to_vec(), "empty"),
            (vec![b'A'; SASL_LINE_BYTES_MAX + 4], "long line"),
        ] {
            assert!(matches!(start(Mechanism::Plain, Some(&line)), Step::Bad(_)), "{why}");
        }
        assert_eq!(Exchange::Plain.line(b"*"), Step::Cancelled);
        assert_eq!(Mechanism::named(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::named(b"CRAM-MD5"), None);
    }
}
