//! The commands, a row each. `check_` looks whether a command may be carried out and changes nothing; `proceed` carries
//! it out and cannot be refused any more.

use crate::base::limits::{RECIPIENTS_MAX, SMTP_COMMAND_TIMEOUT, TRANSACTIONS_MAX};
use crate::delivery::route::{self, Route};
use crate::delivery::{Mailbox, Recipient};
use crate::session::sasl::{MECHANISMS, Step};
use crate::session::{Cx, Want};
use crate::store::Usage;

use super::grammar::{self, BodyType, ChunkArgs, ForwardPath, MailArgs};
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, Hello, Mail, Role, State};
use super::submission;

struct Row {
    verb: &'static str,
    check: fn(&Conversation, &Cx<'_>, &str) -> Result<Act, Reply>,
}

/// A command that has been checked.
enum Act {
    Hello(Hello),
    Mail(MailArgs),
    Rcpt(Recipient),
    Data,
    Chunk(ChunkArgs),
    Reset,
    StartTls,
    Auth(Step),
    Say(Reply),
    Quit,
}

const COMMANDS: &[Row] = &[
    Row { verb: "EHLO", check: check_ehlo },
    Row { verb: "HELO", check: check_helo },
    Row { verb: "MAIL", check: check_mail },
    Row { verb: "RCPT", check: check_rcpt },
    Row { verb: "DATA", check: check_data },
    Row { verb: "BDAT", check: check_bdat },
    Row { verb: "RSET", check: |_, _, argument| nothing(argument, Act::Reset) },
    Row { verb: "NOOP", check: |_, _, _| Ok(Act::Say(reply::ok())) },
    Row { verb: "QUIT", check: |_, _, argument| nothing(argument, Act::Quit) },
    Row { verb: "HELP", check: |_, _, _| Ok(Act::Say(reply::help())) },
    Row { verb: "VRFY", check: |_, _, _| Ok(Act::Say(reply::cannot_verify())) },
    Row { verb: "EXPN", check: |_, _, _| Err(reply::no_expansion()) },
    Row { verb: "STARTTLS", check: check_starttls },
    Row {
        verb: "AUTH",
        check: |conversation, cx, argument| conversation.check_auth(cx, argument).map(Act::Auth),
    },
    Row { verb: "ETRN", check: |_, _, _| Err(reply::not_offered()) },
    Row { verb: "TURN", check: |_, _, _| Err(reply::not_offered()) },
    Row { verb: "SEND", check: |_, _, _| Err(reply::not_offered()) },
    Row { verb: "SOML", check: |_, _, _| Err(reply::not_offered()) },
    Row { verb: "SAML", check: |_, _, _| Err(reply::not_offered()) },
];

/// A browser that was made to talk to us has its first line end here, before a body full of commands can follow.
const HTTP_METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE"];

impl Conversation {
    pub fn command(&mut self, cx: &mut Cx<'_>, line: &str) -> Flow {
        let (verb, argument) = grammar::command(line);
        if HTTP_METHODS.iter().any(|method| method.eq_ignore_ascii_case(verb)) {
            return self.say(cx, &reply::not_a_web_server(&cx.config.hostname));
        }
        let Some(row) = COMMANDS.iter().find(|row| row.verb.eq_ignore_ascii_case(verb)) else {
            return self.bad_command(cx, reply::unknown());
        };
        match (row.check)(self, cx, argument) {
            Ok(act) => self.proceed(cx, act),
            Err(refusal) => {
                if row.verb == "RCPT" {
                    cx.gauges.recipients_refused += 1;
                    return self.refuse_recipient(cx, &refusal);
                }
                self.say(cx, &refusal)
            }
        }
    }

    fn proceed(&mut self, cx: &mut Cx<'_>, act: Act) -> Flow {
        match act {
            Act::Hello(hello) => self.proceed_hello(cx, hello),
            Act::Mail(args) => self.proceed_mail(cx, args),
            Act::Rcpt(recipient) => self.proceed_rcpt(cx, recipient),
            Act::Data => self.proceed_data(cx),
            Act::Chunk(args) => self.proceed_chunk(cx, args),
            Act::Reset => self.proceed_reset(cx),
            Act::StartTls => self.proceed_starttls(cx),
            Act::Auth(step) => self.proceed_auth(cx, step),
            Act::Say(reply) => self.say(cx, &reply),
            Act::Quit => self.say(cx, &reply::goodbye(&cx.config.hostname)),
        }
    }

    fn proceed_reset(&mut self, cx: &mut Cx<'_>) -> Flow {
        let discard = self.drop_mail(cx);
        self.say(cx, &reply::ok()).after(discard)
    }

    /// A second EHLO is a RSET too (RFC 5321 section 4.1.4).
    fn proceed_hello(&mut self, cx: &mut Cx<'_>, hello: Hello) -> Flow {
        let discard = self.drop_mail(cx);
        if hello.extended {
            let keywords = self.keywords(cx);
            reply::extensions(cx.output, &cx.config.hostname, &hello.name, &keywords);
        } else {
            reply::hello(&cx.config.hostname, &hello.name).send(cx.output);
        }
        self.hello = Some(hello);
        self.next_command(cx).after(discard)
    }

    /// What EHLO offers, in this order. Nothing that does not work. LIMITS (RFC 9422) names what `check_mail` and
    /// `check_rcpt` count.
    fn keywords(&self, cx: &Cx<'_>) -> Vec<String> {
        let mut keywords: Vec<String> =
            ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES"]
                .map(String::from)
                .into();
        keywords.push(format!("SIZE {}", cx.config.message_bytes_max));
        keywords.push(format!("LIMITS MAILMAX={TRANSACTIONS_MAX} RCPTMAX={RECIPIENTS_MAX}"));
        if cx.peer.tls.is_none() && cx.can_tls {
            keywords.push("STARTTLS".into());
        }
        if self.role == Role::Submission && submission::check_tls(cx).is_ok() {
            keywords.push(format!("AUTH {}", MECHANISMS.map(|mechanism| mechanism.name()).join(" ")));
        }
        keywords
    }

    fn proceed_mail(&mut self, cx: &mut Cx<'_>, args: MailArgs) -> Flow {
        self.transactions += 1;
        self.mail = Some(Box::new(Mail { args, to: Vec::new(), chunks: None }));
        self.say(cx, &reply::sender_ok())
    }

    fn proceed_rcpt(&mut self, cx: &mut Cx<'_>, recipient: Recipient) -> Flow {
        if let Some(mail) = &mut self.mail
            && !mail.to.contains(&recipient)
        {
            mail.to.push(recipient);
        }
        self.say(cx, &reply::recipient_ok())
    }

    fn proceed_starttls(&mut self, cx: &mut Cx<'_>) -> Flow {
        reply::start_tls().send(cx.output);
        self.forget();
        self.until = cx.now.mono.after(SMTP_COMMAND_TIMEOUT);
        Flow::Wait(State::Command, Want::Tls)
    }
}

fn nothing(argument: &str, act: Act) -> Result<Act, Reply> {
    grammar::nothing(argument).map(|()| act).map_err(reply::argument)
}

fn check_ehlo(_: &Conversation, _: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    let name = grammar::hello(argument).map_err(reply::argument)?.to_string();
    Ok(Act::Hello(Hello { name, extended: true }))
}

fn check_helo(_: &Conversation, _: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    let name = grammar::hello(argument).map_err(reply::argument)?.to_string();
    Ok(Act::Hello(Hello { name, extended: false }))
}

fn check_starttls(conversation: &Conversation, cx: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    if cx.peer.tls.is_some() {
        return Err(reply::already_tls());
    }
    // Nothing but clean state is taken through the handshake.
    if conversation.mail.is_some() {
        return Err(reply::nested_mail());
    }
    if !cx.can_tls {
        return Err(reply::no_certificate());
    }
    nothing(argument, Act::StartTls)
}

fn check_mail(conversation: &Conversation, cx: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    if conversation.hello.is_none() {
        return Err(reply::hello_first());
    }
    if conversation.mail.is_some() {
        return Err(reply::nested_mail());
    }
    submission::check_login(conversation, cx)?;
    let args = grammar::mail(argument).map_err(reply::sender_argument)?;
    if !args.utf8 && args.from.as_ref().is_some_and(|from| !from.is_ascii()) {
        return Err(reply::needs_utf8());
    }
    if args.size.is_some_and(|size| size > cx.config.message_bytes_max) {
        return Err(reply::too_large(cx.config.message_bytes_max));
    }
    submission::check_sender(conversation, cx, args.from.as_ref())?;
    if conversation.transactions >= TRANSACTIONS_MAX {
        return Err(reply::too_many_transactions(&cx.config.hostname));
    }
    if cx.busy {
        return Err(reply::writer_behind());
    }
    Ok(Act::Mail(args))
}

fn check_rcpt(conversation: &Conversation, cx: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    let Some(mail) = &conversation.mail else { return Err(reply::mail_first()) };
    if mail.chunks.is_some() {
        return Err(reply::data_after_chunk());
    }
    let path = grammar::rcpt(argument).map_err(reply::argument)?;
    if mail.to.len() >= RECIPIENTS_MAX {
        return Err(reply::too_many_recipients());
    }
    let (route, address) = match path {
        ForwardPath::Postmaster => {
            let domain = cx.config.hostname.clone();
            (route::postmaster(cx.store), Mailbox { local: "postmaster".into(), domain })
        }
        ForwardPath::Mailbox(address) => (route::route(cx.store, cx.config, &address), address),
    };
    if !mail.args.utf8 && !address.is_ascii() {
        return Err(reply::needs_utf8());
    }
    match route.map_err(|error| submission::broken(&error))? {
        Route::Account(account) => {
            let recipient = Recipient { account, address };
            check_quota(cx, &recipient, mail.args.size)?;
            Ok(Act::Rcpt(recipient))
        }
        Route::Nobody => Err(reply::no_such_user()),
        Route::Elsewhere if conversation.role == Role::Submission => Err(reply::no_outbound()),
        Route::Elsewhere => Err(reply::no_relay()),
    }
}

/// A full mailbox is told here, where it concerns one recipient, as far as it can be known before the message.
fn check_quota(cx: &Cx<'_>, recipient: &Recipient, size: Option<u64>) -> Result<(), Reply> {
    let account = cx.store.account(recipient.account).map_err(|error| submission::broken(&error))?;
    // No message is shorter than a byte, whatever it says of its size.
    let message = Usage::messages(1, size.unwrap_or(0).max(1));
    let full = account.is_some_and(|account| account.limits().passed(account.used, message).is_some());
    if full { Err(reply::mailbox_full()) } else { Ok(()) }
}

fn check_data(conversation: &Conversation, _: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    let Some(mail) = &conversation.mail else { return Err(reply::mail_first()) };
    if mail.to.is_empty() {
        return Err(reply::recipient_first());
    }
    if mail.chunks.is_some() {
        return Err(reply::data_after_chunk());
    }
    if mail.args.body == BodyType::BinaryMime {
        return Err(reply::binary_needs_chunks());
    }
    nothing(argument, Act::Data)
}

/// Only its form: the bytes behind it come whether the chunk is wanted or not.
fn check_bdat(_: &Conversation, _: &Cx<'_>, argument: &str) -> Result<Act, Reply> {
    grammar::bdat(argument).map(Act::Chunk).map_err(reply::argument)
}
