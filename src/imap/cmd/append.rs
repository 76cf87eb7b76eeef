//! APPEND (RFC 9051 section 6.3.12, UIDPLUS in RFC 4315): the message streams from the input into slices and is never held
//! whole. What can be refused is refused before the client sends it; what comes all the same is read away.
//!
//! Pipelined APPENDs whose messages are whole at hand are committed together with the one that is done: they share the
//! fsync, each is still stored or refused by itself, and the replies come in order. None is waited for.
//!
//! A `literal8` is refused in the words that RFC 3516 section 4.4 has for a mailbox that stores no binary content: what
//! we hand back must be the bytes that came, and BODY[] could not show a NUL in them as it must (RFC 9051 section 7.5.2).

use crate::base::{MailboxId, Wall, limits};
use crate::delivery::intake::Intake;
use crate::imap::command;
use crate::imap::gather::{Drain, Drained, Head, literal_head};
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::{Answer, Cx, Want};
use crate::store::{Append, Done, FlagNames, NewBody, Refused, Write};

struct Arguments {
    mailbox: String,
    flags: FlagNames,
    date: Option<Wall>,
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
        Ok(appending) => Ok(Box::new(appending)),
        Err(Pause::Refuse(reply)) => Err(reply),
        Err(_) => Err(reply::broken()),
    })
}

/// An APPEND whose line ends without a message.
pub fn without_message(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Err(Bad("APPEND needs the message as a literal"))
}

fn names_mailbox(mut p: Parser<'_>) -> bool {
    p.space().is_ok() && p.literal_head().is_ok() && p.rest().is_empty()
}

/// `append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal`, up to the literal's head.
fn arguments(p: &mut Parser<'_>) -> Parsed<Arguments> {
    p.space()?;
    let mailbox = p.mailbox()?;
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
    match p.peek() {
        Some(b'{' | b'~') => Ok(Arguments { mailbox, flags, date }),
        _ => Err(Bad("APPEND needs the message as a literal")),
    }
}

/// All that can be refused before the message comes.
fn check(arguments: Arguments, head: Head, core: &Core, cx: &Cx<'_>) -> Result<Appending, Pause> {
    core.may_write()?;
    let account = core.login()?.account;
    let Arguments { mailbox, flags, date } = arguments;
    let row = cx.store.mailbox_named(account, &mailbox)?.filter(|row| !row.no_select);
    let row = row.ok_or_else(|| Pause::Refuse(reply::try_create()))?;
    if head.eight {
        return Err(Pause::Refuse(reply::no_binary()));
    }
    if head.size == 0 {
        return Err(Pause::Refuse(reply::empty_message()));
    }
    if head.size > cx.config.message_bytes_max {
        return Err(Pause::Refuse(reply::message_too_big()));
    }
    let quota = cx.store.account(account)?.and_then(|row| Some((row.quota_bytes?, row.used_bytes)));
    if quota.is_some_and(|(quota, used)| used.saturating_add(head.size) > quota) {
        return Err(Pause::Refuse(reply::refused(&Refused::OverQuota)));
    }
    if cx.busy {
        return Err(Pause::Refuse(reply::busy()));
    }
    let intake = Box::new(Intake::new(cx.now.wall));
    let received = date.unwrap_or(cx.now.wall);
    let stage = Stage::Feed(intake);
    let (mailbox, left) = (row.id, head.size);
    Ok(Appending { mailbox, flags, received, head, left, invited: false, ahead: Vec::new(), stage })
}

struct Appending {
    mailbox: MailboxId,
    flags: FlagNames,
    received: Wall,
    head: Head,
    /// Bytes of the message that are still to come.
    left: u64,
    invited: bool,
    /// Tags of the further APPENDs that are being committed with this one.
    ahead: Vec<Box<str>>,
    stage: Stage,
}

enum Stage {
    /// Bytes go into the intake.
    Feed(Box<Intake>),
    /// A slice is being committed.
    Staging(Box<Intake>),
    /// The last slice of a staged body is being committed.
    LastSlice(Box<Intake>),
    /// The message is being committed.
    Committing,
    /// It is refused; the rest of the command is read away.
    Draining(Box<Drain>, Reply),
    /// The peer has hung up; what was staged is being discarded.
    Leaving,
}

impl Running for Appending {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.head.waits && !std::mem::replace(&mut self.invited, true) {
            cx.output.str("+ Go ahead\r\n");
        }
        loop {
            match std::mem::replace(&mut self.stage, Stage::Leaving) {
                Stage::Feed(intake) => self.feed(intake, core, cx)?,
                Stage::Staging(mut intake) => {
                    let result = answer(cx);
                    cx.budget.give(cx.budget.held());
                    match intake.staged(result) {
                        Ok(()) => self.stage = Stage::Feed(intake),
                        Err(why) => self.give_up(*intake, reply::refused(&why), cx)?,
                    }
                }
                Stage::LastSlice(mut intake) => {
                    cx.budget.give(cx.budget.held());
                    intake.staged(answer(cx)).map_err(|why| Pause::Refuse(reply::refused(&why)))?;
                    self.finish(*intake, core, cx)?;
                }
                Stage::Committing => {
                    cx.budget.give(cx.budget.held());
                    return self.committed(core, cx);
                }
                Stage::Draining(mut drain, reply) => {
                    return match drain.read(cx.input) {
                        Drained::Done => Err(Pause::Refuse(reply)),
                        Drained::Hopeless => Err(Pause::Bye(reply::literal_hopeless())),
                        Drained::More if cx.input.eof() => Err(Pause::Gone),
                        Drained::More => {
                            self.stage = Stage::Draining(drain, reply);
                            Err(Pause::Wait(Want::Bytes { until: core.patience(cx) }))
                        }
                    };
                }
                Stage::Leaving => return Err(Pause::Gone),
            }
        }
    }
}

impl Appending {
    /// Takes what is at hand; at the end of the message, what must follow is the end of the line.
    fn feed(&mut self, mut intake: Box<Intake>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        if self.left == 0 {
            return self.end(intake, core, cx);
        }
        let waiting = cx.input.peek();
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(waiting.len());
        let taken = intake.feed(waiting.get(..wanted).unwrap_or_default(), cx.budget);
        cx.input.consume(taken);
        self.left -= taken as u64;
        if taken > 0 && taken == wanted {
            self.stage = Stage::Feed(intake);
            return Ok(());
        }
        if wanted > 0
            && let Some(write) = intake.stage()
        {
            self.stage = Stage::Staging(intake);
            return Err(Pause::Wait(Want::Commit { write }));
        }
        self.more(intake, core, cx)
    }

    /// Waits for bytes, or for memory, which comes as bytes that are looked at again.
    fn more(&mut self, intake: Box<Intake>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        if !cx.input.eof() || !cx.input.is_empty() {
            self.stage = Stage::Feed(intake);
            return Err(Pause::Wait(Want::Bytes { until: core.patience(cx) }));
        }
        match intake.abandon() {
            Some(write) => Err(Pause::Wait(Want::Commit { write })),
            None => Err(Pause::Gone),
        }
    }

    fn end(&mut self, intake: Box<Intake>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let length = match cx.input.peek() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] | [b'\r'] => return self.more(intake, core, cx),
            _ => {
                let why = Bad("APPEND takes one message, and nothing behind it");
                return self.give_up(*intake, reply::bad(why), cx);
            }
        };
        cx.input.consume(length);
        self.finish(*intake, core, cx)
    }

    /// The message is refused: what was staged is discarded, what still comes is read away.
    fn give_up(&mut self, intake: Intake, reply: Reply, cx: &mut Cx<'_>) -> Result<(), Pause> {
        cx.budget.give(cx.budget.held());
        self.stage = Stage::Draining(Box::new(Drain::literal(self.left)), reply);
        match intake.abandon() {
            Some(write) => Err(Pause::Wait(Want::Commit { write })),
            None => Ok(()),
        }
    }

    fn finish(&mut self, intake: Intake, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let body = match intake.finish() {
            Ok(body) => body,
            Err(last) => {
                self.stage = Stage::LastSlice(Box::new(last.intake));
                return Err(Pause::Wait(Want::Commit { write: last.write }));
            }
        };
        let mut writes = vec![self.write(body, core, cx)?];
        while writes.len() < limits::APPENDS_AHEAD_MAX
            && let Some((tag, write)) = at_hand(core, cx)
        {
            self.ahead.push(tag);
            writes.push(write);
        }
        self.stage = Stage::Committing;
        Err(Pause::Wait(Want::CommitEach { writes }))
    }

    /// All are answered: the first reply is this command's, the others follow it.
    fn committed(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        let results = match cx.answer.take() {
            Some(Answer::CommitEach(results)) => results,
            _ => return Err(Pause::Refuse(reply::broken())),
        };
        let mut replies = results.into_iter().map(|result| appended(result, cx));
        let first = replies.next().unwrap_or_else(reply::broken);
        core.ahead = std::mem::take(&mut self.ahead).into_iter().zip(replies).collect();
        Ok(first)
    }

    fn write(&mut self, body: NewBody, core: &Core, cx: &Cx<'_>) -> Result<Write, Pause> {
        Ok(Write::Append(Append {
            account: core.login()?.account,
            mailbox: self.mailbox,
            body,
            flags: std::mem::take(&mut self.flags),
            received: self.received,
            now: cx.now.wall,
        }))
    }
}

/// A further APPEND that is at hand to its last byte and that nothing speaks against. Whatever is not quite so is left
/// to its own turn.
fn at_hand(core: &Core, cx: &mut Cx<'_>) -> Option<(Box<str>, Write)> {
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
    let mut next = check(arguments(&mut p).ok()?, head, core, cx).ok()?;
    let Stage::Feed(mut intake) = std::mem::replace(&mut next.stage, Stage::Committing) else { return None };
    let held = cx.budget.held();
    if intake.feed(message, cx.budget) < message.len() {
        cx.budget.give(cx.budget.held() - held);
        return None;
    }
    let body = intake.finish().ok()?;
    cx.input.consume(length);
    Some((tag, next.write(body, core, cx).ok()?))
}

fn appended(result: Result<Done, Refused>, cx: &mut Cx<'_>) -> Reply {
    match result {
        Ok(Done::Appended(at)) => {
            cx.gauges.messages_appended += 1;
            reply::ok("Stored").with_code(format!("APPENDUID {} {}", at.validity, at.uid))
        }
        Ok(_) => reply::broken(),
        Err(Refused::NoMailbox) => reply::try_create(),
        Err(why) => reply::refused(&why),
    }
}

fn answer(cx: &mut Cx<'_>) -> Result<Done, Refused> {
    match cx.answer.take() {
        Some(Answer::Commit(result)) => result,
        _ => Err(Refused::Broken("a commit was not answered".into())),
    }
}
