//! Every reply that an SMTP client can get: code (RFC 5321 section 4.2.3), enhanced code (RFC 3463), one sentence that says
//! what to do. One function each, so that the wording of the whole server can be read here.

use std::borrow::Cow;

use crate::base::Output;
use crate::base::limits::RECIPIENTS_MAX;
use crate::delivery::Refusal;

use super::grammar::Bad;

/// One reply. 221 and 421 end the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Empty where RFC 2034 section 4 leaves it out: greeting, EHLO, HELO, 334, 354.
    status: &'static str,
    text: Cow<'static, str>,
}

impl Reply {
    pub fn closes(&self) -> bool {
        matches!(self.code, 221 | 421)
    }

    pub fn send(&self, output: &mut Output) {
        let gap = if self.status.is_empty() { "" } else { " " };
        output.str(&format!("{} {}{gap}{}\r\n", self.code, self.status, self.text));
    }
}

fn reply(code: u16, status: &'static str, text: impl Into<Cow<'static, str>>) -> Reply {
    Reply { code, status, text: text.into() }
}

// --- greeting, goodbye ---

pub fn greeting(host: &str) -> Reply {
    reply(220, "", format!("{host} ESMTP pillarbox"))
}

pub fn hello(host: &str, client: &str) -> Reply {
    reply(250, "", format!("{host} greets {client}"))
}

/// The many lines of EHLO: the last one has a space behind its code.
pub fn extensions(output: &mut Output, host: &str, client: &str, keywords: &[String]) {
    let greeting = format!("{host} greets {client}");
    let mut lines = std::iter::once(&greeting).chain(keywords).peekable();
    while let Some(line) = lines.next() {
        let mark = if lines.peek().is_some() { '-' } else { ' ' };
        output.str(&format!("250{mark}{line}\r\n"));
    }
}

pub fn goodbye(host: &str) -> Reply {
    reply(221, "2.0.0", format!("{host} closes the connection"))
}

pub fn timeout(host: &str) -> Reply {
    reply(421, "4.4.2", format!("{host} has waited too long for you"))
}

pub fn shutting_down(host: &str) -> Reply {
    reply(421, "4.3.2", format!("{host} is shutting down, try again in a minute"))
}

pub fn no_memory(host: &str) -> Reply {
    reply(421, "4.3.1", format!("{host} is receiving too much mail at once, try again later"))
}

pub fn too_many_errors(host: &str) -> Reply {
    reply(421, "4.7.0", format!("{host} closes after too many commands that it does not know"))
}

pub fn too_many_unknown(host: &str) -> Reply {
    reply(421, "4.7.0", format!("{host} closes after too many addresses that do not exist here"))
}

pub fn not_a_web_server(host: &str) -> Reply {
    reply(421, "4.7.0", format!("{host} is a mail server and does not speak HTTP"))
}

pub fn too_many_transactions(host: &str) -> Reply {
    reply(421, "4.7.0", format!("{host} takes no more messages over this connection, open another"))
}

pub fn too_many_logins(host: &str) -> Reply {
    reply(421, "4.7.0", format!("{host} closes after too many wrong passwords"))
}

// --- small commands ---

pub fn ok() -> Reply {
    reply(250, "2.0.0", "Ok")
}

pub fn help() -> Reply {
    reply(
        214,
        "2.0.0",
        "See RFC 5321; commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT",
    )
}

pub fn cannot_verify() -> Reply {
    reply(252, "2.5.2", "Addresses are not verified here, send the message and RCPT will tell")
}

pub fn no_expansion() -> Reply {
    reply(502, "5.5.1", "Lists are not expanded here")
}

pub fn not_offered() -> Reply {
    reply(502, "5.5.1", "That command is not offered here")
}

pub fn unknown() -> Reply {
    reply(500, "5.5.1", "There is no such command")
}

pub fn line_too_long() -> Reply {
    reply(500, "5.5.2", "The line is too long")
}

pub fn line_end() -> Reply {
    reply(500, "5.5.2", "Lines end with CR LF")
}

pub fn not_text() -> Reply {
    reply(500, "5.5.2", "The line is not UTF-8")
}

pub fn argument(bad: Bad) -> Reply {
    match bad {
        Bad::Form(why) => reply(501, "5.5.4", why),
        Bad::Address(why) => reply(501, "5.1.3", why),
        Bad::Parameter(why) => reply(555, "5.5.4", why),
    }
}

/// The same for MAIL, where the address is the sender's.
pub fn sender_argument(bad: Bad) -> Reply {
    match bad {
        Bad::Address(why) => reply(501, "5.1.7", why),
        other => argument(other),
    }
}

pub fn hello_first() -> Reply {
    reply(503, "5.5.1", "Say EHLO first")
}

// --- STARTTLS and AUTH ---

pub fn start_tls() -> Reply {
    reply(220, "2.0.0", "Go ahead with TLS")
}

pub fn already_tls() -> Reply {
    reply(503, "5.5.1", "This connection is encrypted already")
}

pub fn no_certificate() -> Reply {
    reply(454, "4.7.0", "TLS is not available, there is no certificate yet")
}

pub fn tls_first() -> Reply {
    reply(530, "5.7.0", "Encrypt the connection with STARTTLS first")
}

pub fn login_first() -> Reply {
    reply(530, "5.7.0", "Log in with AUTH first")
}

pub fn auth_elsewhere() -> Reply {
    reply(
        503,
        "5.5.1",
        "This port is for other servers: to send mail use port 465 with TLS or 587 with STARTTLS",
    )
}

pub fn already_logged_in() -> Reply {
    reply(503, "5.5.1", "You are logged in already")
}

pub fn auth_in_mail() -> Reply {
    reply(503, "5.5.1", "AUTH is not possible within a mail transaction")
}

pub fn unknown_mechanism() -> Reply {
    reply(504, "5.5.4", "Log in with PLAIN or LOGIN")
}

pub fn challenge(text: &'static str) -> Reply {
    reply(334, "", text)
}

pub fn auth_cancelled() -> Reply {
    reply(501, "5.7.0", "The login was cancelled")
}

pub fn auth_malformed(why: &'static str) -> Reply {
    reply(501, "5.5.2", format!("The login cannot be read: {why}"))
}

pub fn logged_in() -> Reply {
    reply(235, "2.7.0", "You are logged in")
}

pub fn wrong_password() -> Reply {
    reply(535, "5.7.8", "User name or password is wrong, or the password is not meant for sending")
}

pub fn auth_busy() -> Reply {
    reply(454, "4.7.0", "Too many logins at once, try again in a minute")
}

// --- MAIL and RCPT ---

pub fn sender_ok() -> Reply {
    reply(250, "2.1.0", "Sender ok")
}

pub fn recipient_ok() -> Reply {
    reply(250, "2.1.5", "Recipient ok")
}

pub fn nested_mail() -> Reply {
    reply(503, "5.5.1", "A message is under way already, finish it or say RSET")
}

pub fn mail_first() -> Reply {
    reply(503, "5.5.1", "Say MAIL first")
}

pub fn recipient_first() -> Reply {
    reply(503, "5.5.1", "No recipient has been accepted, say RCPT first")
}

pub fn too_large(max: u64) -> Reply {
    reply(552, "5.3.4", format!("The message is larger than the {max} bytes taken here"))
}

pub fn needs_utf8() -> Reply {
    reply(553, "5.6.7", "Addresses beyond ASCII need the SMTPUTF8 parameter of MAIL")
}

pub fn sender_not_yours(address: &str) -> Reply {
    reply(553, "5.7.1", format!("<{address}> is not an address of your account"))
}

pub fn writer_behind() -> Reply {
    reply(451, "4.3.0", "The disk is behind with earlier messages, try again in a minute")
}

pub fn no_such_user() -> Reply {
    reply(550, "5.1.1", "There is no such address here")
}

pub fn no_relay() -> Reply {
    reply(
        550,
        "5.7.1",
        "That domain is not served here, and mail is not passed on: to send, log in on port 465 or 587",
    )
}

pub fn no_outbound() -> Reply {
    reply(550, "5.7.1", "This server cannot send to other servers: only addresses of its own can be reached")
}

pub fn too_many_recipients() -> Reply {
    reply(
        452,
        "4.5.3",
        format!("At most {RECIPIENTS_MAX} recipients at a time, send to the others afterwards"),
    )
}

pub fn mailbox_full() -> Reply {
    reply(552, "5.2.2", "The mailbox is full")
}

// --- DATA and BDAT ---

pub fn send_data() -> Reply {
    reply(354, "", "Send the message, end it with a dot on a line of its own")
}

pub fn data_after_chunk() -> Reply {
    reply(503, "5.5.1", "This message is under way with BDAT, go on with it or say RSET")
}

pub fn binary_needs_chunks() -> Reply {
    reply(503, "5.5.1", "A BINARYMIME message is sent with BDAT")
}

pub fn chunk_ok(size: u64) -> Reply {
    reply(250, "2.0.0", format!("{size} bytes received"))
}

pub fn chunk_unacceptable(host: &str) -> Reply {
    reply(421, "4.3.1", format!("{host} will not read past a chunk of that size"))
}

pub fn stored(id: &str) -> Reply {
    reply(250, "2.0.0", format!("Stored as {id}"))
}

/// Why a whole message was not taken.
pub fn refusal(refusal: &Refusal, size_max: u64) -> Reply {
    match refusal {
        Refusal::TooLarge => too_large(size_max),
        Refusal::BareLineEnd => {
            reply(550, "5.6.0", "The message has a bare CR, a bare LF or a NUL in it: lines end with CR LF")
        }
        Refusal::Looping => {
            reply(554, "5.4.6", "The message has been through too many servers, it is going round")
        }
        Refusal::NoAuthor => reply(550, "5.7.1", "The message has no From with an address in it"),
        Refusal::NotYours(address) => {
            reply(550, "5.7.1", format!("From names <{address}>, which is not an address of your account"))
        }
        Refusal::HeaderTooLarge => reply(552, "5.3.4", "The header of the message is too large"),
        Refusal::MailboxFull => mailbox_full(),
        Refusal::SomeMailboxFull => {
            reply(452, "4.2.2", "The mailbox of a recipient is full, try again to learn which")
        }
        Refusal::DiskFull => reply(452, "4.3.1", "The disk is full, try again later"),
        Refusal::RecipientGone => reply(451, "4.2.1", "A recipient has just gone, try again to learn which"),
        Refusal::Broken => broken(),
    }
}

pub fn broken() -> Reply {
    reply(451, "4.3.0", "Something is wrong here, it is in our log; try again later")
}
