//! The messages of one APPEND on their way in. Each streams from the input into slices and is never held whole; what can
//! be refused is refused before the client sends it, and what comes all the same is read away.
//!
//! Several messages (RFC 3502) come in together or not at all: those that are whole wait for the last one, in memory while
//! they are small, else parked in the file, where nothing shows them. One write then shows all. Whatever ends the command
//! before discards them.

use memchr::memchr;

use crate::base::{BodyId, UidSet, Wall, limits};
use crate::delivery::intake::Intake;
use crate::imap::gather::{Drain, Drained, Head, literal_head};
use crate::imap::lex::Bad;
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::{Answer, Cx, Want};
use crate::store::{Append, Done, FlagNames, NewBody, Refused, Write};

use super::append::{self, Target};

pub struct Appending {
    target: Target,
    /// Messages that are whole, and wait for the last one.
    done: Vec<Append>,
    /// Their bytes in all, as FETCH will count them.
    bytes: u64,
    /// Their bytes in memory, and how many of them are taken from the budget.
    held: usize,
    charged: usize,
    coming: Coming,
    /// The client has been told to go ahead with `coming`, or does not wait for it.
    invited: bool,
    /// Tags of the further APPENDs that are being committed with this one.
    ahead: Vec<Box<str>>,
    stage: Stage,
}

/// The message that comes now.
pub struct Coming {
    pub flags: FlagNames,
    pub received: Wall,
    pub head: Head,
    /// Bytes of it that are still to come.
    pub left: u64,
    /// It stands in `UTF8 (…)`.
    pub utf8: bool,
}

enum Stage {
    /// The first bytes are to come.
    Begin,
    /// Bytes go into the intake.
    Feed(Box<Intake>),
    /// A slice is being committed.
    Staging(Box<Intake>),
    /// The last slice of a staged body is being committed; another message follows, or none.
    LastSlice(Box<Intake>, Behind),
    /// What is whole is being parked; the message that comes, if one has begun, goes on then.
    Parking(Option<Box<Intake>>),
    /// The line that describes the next message.
    Next,
    /// The messages are being committed. Bodies that would be left over if they are refused.
    Committing(Vec<BodyId>),
    /// It is refused; what was staged has been discarded, what still comes of the command is read away.
    Refusing(Option<Box<Drain>>, Reply),
    /// All is answered; what was staged for nothing has been discarded.
    Answered(Reply),
    /// The peer has hung up; what was staged has been discarded.
    Leaving,
}

/// What follows a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    EndOfLine,
    Another,
}

impl Coming {
    /// The message with its body.
    pub fn whole(self, to: Target, body: NewBody, now: Wall) -> Append {
        let Target { account, mailbox } = to;
        Append { account, mailbox, body, flags: self.flags, received: self.received, now }
    }
}

impl Running for Appending {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        loop {
            if self.coming.head.waits && !std::mem::replace(&mut self.invited, true) {
                cx.output.str("+ Go ahead\r\n");
            }
            match std::mem::replace(&mut self.stage, Stage::Leaving) {
                Stage::Begin => self.stage = Stage::Feed(Box::new(Intake::new(cx.now.wall))),
                Stage::Feed(intake) => self.feed(intake, core, cx)?,
                Stage::Staging(mut intake) => match intake.staged(answer(cx)) {
                    Ok(()) => self.stage = Stage::Feed(intake),
                    Err(why) => {
                        let drain = Drain::literal(self.coming.left);
                        self.give_up(Some(*intake), reply::refused(&why), Some(drain), cx)?;
                    }
                },
                Stage::LastSlice(mut intake, behind) => match intake.staged(answer(cx)) {
                    Ok(()) => self.finish(*intake, behind, core, cx)?,
                    Err(why) => {
                        let drain = (behind == Behind::Another).then(Drain::line);
                        self.give_up(Some(*intake), reply::refused(&why), drain, cx)?;
                    }
                },
                Stage::Parking(intake) => self.parked(intake, cx)?,
                Stage::Next => self.next(core, cx)?,
                Stage::Committing(left_over) => {
                    cx.budget.give(cx.budget.held());
                    self.committed(left_over, core, cx)?;
                }
                Stage::Answered(reply) => return Ok(reply),
                Stage::Refusing(None, reply) => return Err(Pause::Refuse(reply)),
                Stage::Refusing(Some(drain), reply) => return self.drain(drain, reply, core, cx),
                Stage::Leaving => return Err(Pause::Gone),
            }
        }
    }
}

impl Appending {
    pub fn new(target: Target, coming: Coming) -> Appending {
        let (done, ahead, stage) = (Vec::new(), Vec::new(), Stage::Begin);
        Appending { target, done, bytes: 0, held: 0, charged: 0, coming, invited: false, ahead, stage }
    }

    /// Takes what is at hand; at the end of the message, what must follow is the end of the line or another message.
    fn feed(&mut self, mut intake: Box<Intake>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        if self.coming.left == 0 {
            return self.end(intake, core, cx);
        }
        let waiting = cx.input.peek();
        let wanted = usize::try_from(self.coming.left).unwrap_or(usize::MAX).min(waiting.len());
        let bytes = waiting.get(..wanted).unwrap_or_default();
        if self.coming.head.eight && memchr(0, bytes).is_some() {
            let drain = Drain::literal(self.coming.left);
            return self.give_up(Some(*intake), reply::no_binary(), Some(drain), cx);
        }
        let taken = intake.feed(bytes, cx.budget);
        cx.input.consume(taken);
        self.coming.left -= taken as u64;
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
        // Memory is short, and some of it is here.
        if cx.budget.refused() && self.charged > 0 {
            return self.park(Some(intake));
        }
        self.more(Some(intake), core, cx)
    }

    /// Waits for bytes, or for memory, which comes as bytes that are looked at again.
    fn more(&mut self, intake: Option<Box<Intake>>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        if !cx.input.eof() || (intake.is_some() && !cx.input.is_empty()) {
            self.stage = intake.map_or(Stage::Next, Stage::Feed);
            return Err(Pause::Wait(Want::Bytes { until: core.patience(cx) }));
        }
        self.stage = Stage::Leaving;
        self.discard(intake.map(|intake| *intake))
    }

    fn end(&mut self, intake: Box<Intake>, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let waiting = cx.input.peek();
        let closed = match (self.coming.utf8, waiting) {
            (false, _) => Some(waiting),
            (true, []) => return self.more(Some(intake), core, cx),
            (true, _) => waiting.strip_prefix(b")"),
        };
        let (length, behind) = match closed {
            Some([b'\n', ..]) => (1, Behind::EndOfLine),
            Some([b'\r', b'\n', ..]) => (2, Behind::EndOfLine),
            Some([b' ', ..]) => (0, Behind::Another),
            Some([] | [b'\r']) => return self.more(Some(intake), core, cx),
            _ => {
                let why = Bad("Behind a message, only another one may follow");
                return self.give_up(Some(*intake), reply::bad(why), Some(Drain::line()), cx);
            }
        };
        cx.input.consume(length + usize::from(self.coming.utf8));
        self.finish(*intake, behind, core, cx)
    }

    fn finish(&mut self, intake: Intake, behind: Behind, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let body = match intake.finish() {
            Ok(body) => body,
            Err(last) => {
                self.stage = Stage::LastSlice(Box::new(last.intake), behind);
                return Err(Pause::Wait(Want::Commit { write: last.write }));
            }
        };
        let (held, charged) = in_memory(&body);
        self.bytes = self.bytes.saturating_add(self.coming.head.size);
        self.held += held;
        self.charged += charged;
        let (flags, received) = (std::mem::take(&mut self.coming.flags), self.coming.received);
        let Target { account, mailbox } = self.target;
        self.done.push(Append { account, mailbox, body, flags, received, now: cx.now.wall });
        match behind {
            Behind::EndOfLine => self.commit(core, cx),
            Behind::Another => {
                self.give_back(cx);
                self.stage = Stage::Next;
                if self.held > limits::MULTIAPPEND_HELD_BYTES_MAX { self.park(None) } else { Ok(()) }
            }
        }
    }

    /// Reads the line up to the next message.
    fn next(&mut self, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let waiting = cx.input.peek();
        let Some(end) = memchr(b'\n', waiting) else {
            if waiting.len() > limits::APPEND_HEAD_BYTES_MAX {
                return self.give_up(None, reply::line_too_long(), Some(Drain::line()), cx);
            }
            return self.more(None, core, cx);
        };
        let line = waiting.get(..=end).unwrap_or_default();
        let head = literal_head(line);
        let another = append::another(line, head, (self.done.len(), self.bytes), self.target, core, cx);
        cx.input.consume(end + 1);
        match another {
            Ok(coming) => {
                self.coming = coming;
                self.invited = false;
                self.stage = Stage::Begin;
                Ok(())
            }
            Err(reply) => {
                // A client that waits for our go-ahead sends nothing more.
                let drain = head.filter(|head| !head.waits).map(|head| Drain::literal(head.size));
                self.give_up(None, reply, drain, cx)
            }
        }
    }

    /// What is whole and still in memory goes into the file, and its memory to others.
    fn park(&mut self, intake: Option<Box<Intake>>) -> Result<(), Pause> {
        let held = self.done.iter().filter(|append| is_held(&append.body));
        let writes = held.map(|append| Write::Park { body: append.body.clone(), now: append.now }).collect();
        self.stage = Stage::Parking(intake);
        Err(Pause::Wait(Want::CommitEach { writes }))
    }

    fn parked(&mut self, intake: Option<Box<Intake>>, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let results = answers(cx);
        let mut refused = None;
        for (append, result) in self.done.iter_mut().filter(|append| is_held(&append.body)).zip(results) {
            match result {
                Ok(Done::Staged(body)) => {
                    append.body = NewBody::Parked { body, size: size_of(&append.body) };
                }
                Ok(_) => refused = Some(reply::broken()),
                Err(why) => refused = Some(reply::refused(&why)),
            }
        }
        cx.budget.give(self.charged);
        (self.held, self.charged) = (0, 0);
        if refused.is_none() && self.done.iter().any(|append| is_held(&append.body)) {
            refused = Some(reply::broken());
        }
        if let Some(reply) = refused {
            let left = if intake.is_some() { self.coming.left } else { 0 };
            return self.give_up(intake.map(|intake| *intake), reply, Some(Drain::literal(left)), cx);
        }
        self.stage = intake.map_or(Stage::Next, Stage::Feed);
        Ok(())
    }

    /// The APPEND is whole: it is committed, with those behind it that are at hand.
    fn commit(&mut self, core: &Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let left_over = self.done.iter().filter_map(|append| staged(&append.body)).collect();
        let mut done = std::mem::take(&mut self.done);
        let first = match (done.pop(), done.is_empty()) {
            (Some(append), true) => Write::Append(append),
            (last, _) => {
                done.extend(last);
                Write::AppendAll(done)
            }
        };
        let mut writes = vec![first];
        while writes.len() < limits::APPENDS_AHEAD_MAX
            && let Some((tag, write)) = append::at_hand(core, cx)
        {
            self.ahead.push(tag);
            writes.push(write);
        }
        self.stage = Stage::Committing(left_over);
        Err(Pause::Wait(Want::CommitEach { writes }))
    }

    /// All are answered: the first reply is this command's, the others follow it.
    fn committed(&mut self, left_over: Vec<BodyId>, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let results = answers(cx);
        let refused = !matches!(results.first(), Some(Ok(_)));
        let mut replies = results.into_iter().map(|result| appended(result, cx));
        let first = replies.next().unwrap_or_else(reply::broken);
        core.ahead = std::mem::take(&mut self.ahead).into_iter().zip(replies).collect();
        self.stage = Stage::Answered(first);
        if refused && !left_over.is_empty() {
            let writes = left_over.into_iter().map(|body| Write::Discard { body }).collect();
            return Err(Pause::Wait(Want::CommitEach { writes }));
        }
        Ok(())
    }

    /// The APPEND is refused as a whole: what was staged is discarded, what still comes is read away.
    fn give_up(
        &mut self,
        intake: Option<Intake>,
        reply: Reply,
        drain: Option<Drain>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Pause> {
        cx.budget.give(cx.budget.held());
        self.stage = Stage::Refusing(drain.map(Box::new), reply);
        self.discard(intake)
    }

    fn discard(&mut self, intake: Option<Intake>) -> Result<(), Pause> {
        let done = std::mem::take(&mut self.done);
        let parked =
            done.iter().filter_map(|append| staged(&append.body)).map(|body| Write::Discard { body });
        let writes: Vec<Write> = parked.chain(intake.and_then(Intake::abandon)).collect();
        if writes.is_empty() { Ok(()) } else { Err(Pause::Wait(Want::CommitEach { writes })) }
    }

    fn drain(
        &mut self,
        mut drain: Box<Drain>,
        reply: Reply,
        core: &Core,
        cx: &mut Cx<'_>,
    ) -> Result<Reply, Pause> {
        match drain.read(cx.input) {
            Drained::Done => Err(Pause::Refuse(reply)),
            Drained::Hopeless => Err(Pause::Bye(reply::literal_hopeless())),
            Drained::More if cx.input.eof() => Err(Pause::Gone),
            Drained::More => {
                self.stage = Stage::Refusing(Some(drain), reply);
                Err(Pause::Wait(Want::Bytes { until: core.patience(cx) }))
            }
        }
    }

    /// Everything but what the whole messages in memory take.
    fn give_back(&self, cx: &mut Cx<'_>) {
        cx.budget.give(cx.budget.held().saturating_sub(self.charged));
    }
}

/// Bytes of memory that a body and its summary take until they are parked, and how many of them the budget counts.
fn in_memory(body: &NewBody) -> (usize, usize) {
    let (NewBody::Inline { summary, .. } | NewBody::Staged { summary, .. }) = body else { return (0, 0) };
    let slice = if let NewBody::Inline { slice, .. } = body { slice.stored.len() } else { 0 };
    let sort = &summary.sort;
    let sorted = sort.subject.len() + sort.display_from.len() + sort.display_to.len() + sort.references.len();
    (slice + summary.envelope.len() + summary.structure.len() + summary.parts.len() + sorted, slice)
}

fn is_held(body: &NewBody) -> bool {
    !matches!(body, NewBody::Parked { .. })
}

/// What lies in the file already and is no message yet.
fn staged(body: &NewBody) -> Option<BodyId> {
    match body {
        NewBody::Staged { body, .. } | NewBody::Parked { body, .. } => Some(*body),
        NewBody::Inline { .. } => None,
    }
}

fn size_of(body: &NewBody) -> u64 {
    match body {
        NewBody::Inline { slice, .. } => u64::from(slice.length),
        NewBody::Staged { size, .. } | NewBody::Parked { size, .. } => *size,
    }
}

fn appended(result: Result<Done, Refused>, cx: &mut Cx<'_>) -> Reply {
    let places = match result {
        Ok(Done::Appended(at)) => vec![at],
        Ok(Done::AppendedAll(places)) => places,
        Ok(_) => return reply::broken(),
        Err(Refused::NoMailbox) => return reply::try_create(),
        Err(why) => return reply::refused(&why),
    };
    let Some(first) = places.first() else { return reply::broken() };
    cx.gauges.messages_appended += places.len() as u64;
    let uids: UidSet = places.iter().map(|at| at.uid.0).collect();
    reply::ok("Stored").with_code(format!("APPENDUID {} {uids}", first.validity))
}

fn answer(cx: &mut Cx<'_>) -> Result<Done, Refused> {
    match cx.answer.take() {
        Some(Answer::Commit(result)) => result,
        _ => Err(Refused::Broken("a commit was not answered".into())),
    }
}

fn answers(cx: &mut Cx<'_>) -> Vec<Result<Done, Refused>> {
    if let Some(Answer::CommitEach(results)) = cx.answer.take() { results } else { Vec::new() }
}
