//! APPEND (RFC 9051 section 6.3.12, MULTIAPPEND in RFC 3502, UIDPLUS in RFC 4315): what it asks for, and whether it may.
//! `appending` takes the messages in.
//!
//! Pipelined APPENDs whose messages are whole at hand are committed together with the one that is done: they share the
//! fsync, each is still stored or refused by itself, and the replies come in order. None is waited for.
//!
//! A `literal8` needs an ENABLE of UTF8=ACCEPT or IMAP4rev2, and may hold no NUL: otherwise it is refused in the words that
//! RFC 3516 section 4.4 has for a mailbox that stores no binary content. What we hand back must be the bytes that came,
//! and BODY[] could not show a NUL in them as it must (RFC 9051 section 7.5.2).
//!
//! RFC 9755 section 4 wants a message with 8-bit header fields refused that comes without such an ENABLE. We store it:
//! imapsync, mbsync, offlineimap and Thunderbird move old mail as it is, and refusing it would lose it. No client is
//! worse off, because the same message may come in by SMTP, and ENVELOPE shows it in encoded words.

use crate::base::{AccountId, MailboxId, Wall, limits};
use crate::delivery::intake::Intake;
use crate::imap::command;
use crate::imap::gather::{Head, literal_head};
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::Cx;
use crate::store::{FlagNames, Usage, Write};

use super::appending::{Appending, Coming};

struct Arguments {
    mailbox: String,
    message: Described,
}

/// What stands before the literal of one message.
struct Described {
    flags: FlagNames,
    date: Option<Wall>,
    /// The literal stands in `UTF8 (…)`.
    utf8: bool,
}

/// Where the messages of one APPEND go.
#[derive(Clone, Copy)]
pub struct Target {
    pub account: AccountId,
    pub mailbox: MailboxId,
}

/// Called when the line so far ends in a literal's head. `None`: the literal is not the message, but the mailbox name,
/// and is to be gathered.
pub fn begin(
    p: &mut Parser<'_>,
    head: Head,
    core: &Core,
    cx: &mut Cx<'_>,
) -> Option<Result<Box<dyn Running>, Reply>> {
    if names_mailbox(p.clone()) {
        return None;
    }
    let arguments = match arguments(p) {
        Ok(arguments) => arguments,
        Err(why) => return Some(Err(reply::bad(why))),
    };
    Some(match check(arguments, head, core, cx) {
        Ok((target, coming)) => Ok(Box::new(Appending::new(target, coming))),
        Err(pause) => Err(refusal(pause)),
    })
}

/// An APPEND whose line ends without a message.
pub fn without_message(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Err(NO_MESSAGE)
}

const NO_MESSAGE: Bad = Bad("APPEND needs the message as a literal");

fn refusal(pause: Pause) -> Reply {
    if let Pause::Refuse(reply) = pause { reply } else { reply::broken() }
}

fn names_mailbox(mut p: Parser<'_>) -> bool {
    p.space().is_ok() && p.literal_head().is_ok() && p.rest().is_empty()
}

/// `append = "APPEND" SP mailbox 1*append-message`, up to the first literal's head.
fn arguments(p: &mut Parser<'_>) -> Parsed<Arguments> {
    p.space()?;
    let mailbox = p.mailbox()?;
    Ok(Arguments { mailbox, message: message(p)? })
}

/// `append-message = [SP flag-list] [SP date-time] SP (literal / literal8 / utf8-literal)`, up to the literal's head, with
/// `utf8-literal = "UTF8" SP "(" literal8 ")"` (RFC 6855 section 4).
fn message(p: &mut Parser<'_>) -> Parsed<Described> {
    p.space()?;
    let mut flags = FlagNames::default();
    if p.peek() == Some(b'(') {
        flags = p.flag_list()?;
        p.space()?;
    }
    let mut date = None;
    if p.peek() == Some(b'"') {
        date = Some(p.date_time()?);
        p.space()?;
    }
    let utf8 = p.eat_text("UTF8 (");
    let eight = p.eat(b'~');
    if utf8 && !eight {
        return Err(Bad("In UTF8 ( ) stands a literal that begins with ~"));
    }
    p.literal_head().and_then(|_| p.end()).map_err(|_| NO_MESSAGE)?;
    Ok(Described { flags, date, utf8 })
}

/// All that can be refused before the message comes.
fn check(arguments: Arguments, head: Head, core: &Core, cx: &Cx<'_>) -> Result<(Target, Coming), Pause> {
    core.may_write()?;
    let account = core.login()?.account;
    let Arguments { mailbox, message } = arguments;
    let row = cx.store.mailbox_named(account, &mailbox)?.filter(|row| !row.no_select);
    let row = row.ok_or_else(|| Pause::Refuse(reply::try_create()))?;
    let target = Target { account, mailbox: row.id };
    let coming = check_message(message, head, (0, 0), target, core, cx)?;
    if cx.busy {
        return Err(Pause::Refuse(reply::busy()));
    }
    Ok((target, coming))
}

/// `count` and `before`: how many messages of how many bytes this APPEND has brought already.
fn check_message(
    message: Described,
    head: Head,
    (count, before): (usize, u64),
    target: Target,
    core: &Core,
    cx: &Cx<'_>,
) -> Result<Coming, Pause> {
    if message.utf8 && !core.takes_utf8() {
        return Err(Bad("UTF8 needs ENABLE UTF8=ACCEPT first").into());
    }
    if head.eight && !core.takes_utf8() {
        return Err(Pause::Refuse(reply::no_binary()));
    }
    if head.size == 0 {
        return Err(Pause::Refuse(reply::empty_message()));
    }
    if head.size > cx.config.message_bytes_max {
        return Err(Pause::Refuse(reply::message_too_big()));
    }
    let more = Usage::messages(count as u64 + 1, before.saturating_add(head.size));
    let account = cx.store.account(target.account)?;
    if let Some(resource) = account.and_then(|account| account.limits().passed(account.used, more)) {
        return Err(Pause::Refuse(reply::over_quota(resource)));
    }
    let received = message.date.unwrap_or(cx.now.wall);
    Ok(Coming { flags: message.flags, received, head, left: head.size, utf8: message.utf8 })
}

/// The next message of the same APPEND, as its line describes it. `count` and `before`: how many messages of how many
/// bytes have come already.
pub fn another(
    line: &[u8],
    head: Option<Head>,
    (count, before): (usize, u64),
    target: Target,
    core: &Core,
    cx: &Cx<'_>,
) -> Result<Coming, Reply> {
    let described = message(&mut Parser::new(line, core.names())).map_err(reply::bad)?;
    let head = head.ok_or_else(|| reply::bad(NO_MESSAGE))?;
    if count >= limits::MULTIAPPEND_MESSAGES_MAX {
        return Err(reply::no("LIMIT", "One APPEND takes 5,000 messages, send the others in another"));
    }
    check_message(described, head, (count, before), target, core, cx).map_err(refusal)
}

/// A further APPEND that is at hand to its last byte and that nothing speaks against. Whatever is not quite so is left
/// to its own turn.
pub fn at_hand(core: &Core, cx: &mut Cx<'_>) -> Option<(Box<str>, Write)> {
    let waiting = cx.input.peek();
    let line = waiting.split_inclusive(|&byte| byte == b'\n').next()?;
    let head = literal_head(line).filter(|head| !head.waits && !head.eight)?;
    let message = waiting.get(line.len()..)?.get(..usize::try_from(head.size).ok()?)?;
    let length = line.len() + message.len() + 2;
    waiting.get(length - 2..length).filter(|end| end == b"\r\n")?;
    let mut p = Parser::new(line, core.names());
    let tag: Box<str> = p.tag().ok()?.into();
    p.space().ok()?;
    command::find(&mut p).filter(|row| row.verb == "APPEND" && !names_mailbox(p.clone()))?;
    let (target, coming) = check(arguments(&mut p).ok()?, head, core, cx).ok()?;
    let mut intake = Intake::new(cx.now.wall);
    let held = cx.budget.held();
    if intake.feed(message, cx.budget) < message.len() {
        cx.budget.give(cx.budget.held() - held);
        return None;
    }
    let body = intake.finish().ok()?;
    cx.input.consume(length);
    Some((tag, Write::Append(coming.whole(target, body, cx.now.wall))))
}
