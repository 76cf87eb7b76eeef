//! A message on its way in: DATA or the chunks of BDAT, then judged and stored, then answered.

use crate::base::limits::{
    BODY_BUDGET_SCARCE_BYTES, CHUNK_DISCARD_BYTES_MAX, DNS_TIMEOUT, SMTP_DATA_TIMEOUT, SMTP_MESSAGE_TIMEOUT,
    SMTP_SLOW_AFTER, SMTP_SLOW_BYTES_PER_SECOND,
};
use crate::base::{Input, Mono};
use crate::delivery::arrival::{Arrival, Next};
use crate::delivery::content::{Content, Finish, Room};
use crate::delivery::{Envelope, Refusal};
use crate::session::{Answer, Budget, Cx, Want};
use crate::store::Write;

use super::data::{Dots, Lines};
use super::grammar::{BodyType, ChunkArgs};
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, Role, State};
use super::{submission, trace};

/// A message that is not all here yet.
pub(super) struct Incoming {
    content: Content,
    framing: Framing,
    /// What we call it in Received, in the reply and in the log.
    id: String,
    began: Mono,
    /// When it must be all here.
    deadline: Mono,
    /// When the next bytes must be here; `until <= deadline`.
    until: Mono,
}

enum Framing {
    Dots(Dots),
    Chunks {
        left: u64,
        args: ChunkArgs,
        /// `None` for BINARYMIME.
        lines: Option<Lines>,
    },
    /// All of it is here, and this was wrong with its line ends.
    Whole {
        bare: bool,
    },
}

/// A refused chunk, whose bytes come nevertheless (RFC 3030 section 2: "MUST accept and discard").
pub(super) struct Discard {
    left: u64,
    reply: Reply,
}

impl Incoming {
    fn new(content: Content, framing: Framing, id: String, now: Mono) -> Incoming {
        let deadline = now.after(SMTP_MESSAGE_TIMEOUT);
        Incoming { content, framing, id, began: now, deadline, until: now.after(SMTP_DATA_TIMEOUT) }
    }

    pub fn abandon(self, budget: &mut Budget) -> Option<Write> {
        self.content.abandon(budget)
    }

    fn touch(&mut self, now: Mono) {
        self.until = now.after(SMTP_DATA_TIMEOUT).min(self.deadline);
    }

    /// It dribbles in while others wait for the memory that it holds.
    fn is_in_the_way(&self, now: Mono, budget: &Budget) -> bool {
        let age = now.since(self.began);
        budget.free() < BODY_BUDGET_SCARCE_BYTES
            && age >= SMTP_SLOW_AFTER
            && self.content.size() < age.as_secs() * SMTP_SLOW_BYTES_PER_SECOND
    }

    /// Deals with up to `room` bytes of input, which is not empty.
    fn take(&mut self, room: usize, input: &mut Input, budget: &mut Budget) {
        let at_hand = input.peek();
        let at_hand = &at_hand[..room.min(at_hand.len())];
        let consumed = match &mut self.framing {
            Framing::Dots(dots) => {
                let piece = dots.next(at_hand);
                if dots.has_bare_line_end() {
                    self.content.refuse(Refusal::BareLineEnd, budget);
                }
                self.content.feed(&at_hand[piece.content], budget);
                if piece.end {
                    self.framing = Framing::Whole { bare: dots.has_bare_line_end() };
                }
                piece.consumed
            }
            Framing::Chunks { left, lines, .. } => {
                let mine = usize::try_from(*left).unwrap_or(usize::MAX).min(at_hand.len());
                *left -= mine as u64;
                if let Some(lines) = lines {
                    lines.feed(&at_hand[..mine]);
                    if lines.has_bare() {
                        self.content.refuse(Refusal::BareLineEnd, budget);
                    }
                }
                self.content.feed(&at_hand[..mine], budget);
                mine
            }
            Framing::Whole { .. } => 0,
        };
        input.consume(consumed);
    }

    /// The chunk under way is all here.
    fn finished_chunk(&self) -> Option<ChunkArgs> {
        match self.framing {
            Framing::Chunks { left: 0, args, .. } => Some(args),
            _ => None,
        }
    }

    fn close_chunks(&mut self) {
        if let Framing::Chunks { lines, .. } = &self.framing {
            let bare = lines.as_ref().is_some_and(Lines::has_bare_line_end);
            self.framing = Framing::Whole { bare };
        }
    }
}

impl Conversation {
    /// After DATA has been allowed.
    pub fn proceed_data(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some((content, id)) = self.new_content(cx) else { return Flow::On(State::Closed) };
        reply::send_data().send(cx.output);
        let incoming = Incoming::new(content, Framing::Dots(Dots::new()), id, cx.now.mono);
        Flow::On(State::Receive(Box::new(incoming)))
    }

    /// After a BDAT line has been understood. Its bytes follow whatever we think of it.
    pub fn proceed_chunk(&mut self, cx: &mut Cx<'_>, args: ChunkArgs) -> Flow {
        if let Err(refusal) = self.check_chunk() {
            return self.begin_discard(cx, args.size, refusal);
        }
        let chunks = self.mail.as_mut().and_then(|mail| mail.chunks.take());
        let incoming = match chunks {
            Some(mut incoming) => {
                if let Framing::Chunks { left, args: latest, .. } = &mut incoming.framing {
                    (*left, *latest) = (args.size, args);
                }
                incoming.touch(cx.now.mono);
                incoming
            }
            None => {
                let Some((content, id)) = self.new_content(cx) else { return Flow::On(State::Closed) };
                let binary = self.mail.as_ref().is_some_and(|mail| mail.args.body == BodyType::BinaryMime);
                let lines = (!binary).then(Lines::default);
                let framing = Framing::Chunks { left: args.size, args, lines };
                Box::new(Incoming::new(content, framing, id, cx.now.mono))
            }
        };
        Flow::On(State::Receive(incoming))
    }

    fn check_chunk(&self) -> Result<(), Reply> {
        match &self.mail {
            None => Err(reply::mail_first()),
            Some(mail) if mail.to.is_empty() => Err(reply::recipient_first()),
            Some(_) => Ok(()),
        }
    }

    /// Our trace fields and an empty message behind them; its id.
    fn new_content(&self, cx: &mut Cx<'_>) -> Option<(Content, String)> {
        let mail = self.mail.as_ref()?;
        let id = cx.rng.letters_and_digits(trace::ID_LETTERS);
        let front = trace::fields(self, mail, cx, &id);
        let (size_max, now) = (cx.config.message_bytes_max, cx.now.wall);
        let content = match self.role {
            Role::Exchanger => Content::arriving(front, size_max, now),
            Role::Submission => Content::submitted(front, submission::completion(mail, cx), size_max, now),
        };
        Some((content, id))
    }

    pub fn receive(&mut self, cx: &mut Cx<'_>, mut incoming: Box<Incoming>) -> Flow {
        if let Some(Answer::Commit(result)) = cx.answer.take() {
            incoming.content.committed(result, cx.budget);
            incoming.touch(cx.now.mono);
        }
        loop {
            self.check_authors(cx, &mut incoming);
            if let Framing::Whole { bare } = incoming.framing {
                return self.finish(cx, incoming, bare);
            }
            if let Some(args) = incoming.finished_chunk() {
                if !args.last && !incoming.content.is_refused() {
                    return self.keep_chunk(cx, incoming, args);
                }
                incoming.close_chunks();
                continue;
            }
            if cx.input.is_empty() {
                return self.wait_for_bytes(cx, incoming, reply::timeout);
            }
            match incoming.content.room(cx.input.len(), cx.budget) {
                Room::Stage(write) => return Flow::Wait(State::Receive(incoming), Want::Commit { write }),
                Room::Wait => return self.wait_for_bytes(cx, incoming, reply::no_memory),
                Room::Bytes(room) => incoming.take(room, cx.input, cx.budget),
            }
            incoming.touch(cx.now.mono);
        }
    }

    /// When the header of a submission is complete: is its author the one who is logged in?
    fn check_authors(&self, cx: &mut Cx<'_>, incoming: &mut Incoming) {
        if let Some(authors) = incoming.content.take_authors()
            && let Err(why) = submission::check_authors(self, cx, &authors)
        {
            incoming.content.refuse(why, cx.budget);
        }
    }

    /// For more of the message, or for memory to put it in: with no memory free, its bytes stay where they are.
    fn wait_for_bytes(&mut self, cx: &mut Cx<'_>, incoming: Box<Incoming>, late: fn(&str) -> Reply) -> Flow {
        let starved = !cx.input.is_empty();
        let in_the_way = !starved && incoming.is_in_the_way(cx.now.mono, cx.budget);
        let is_late = cx.now.mono >= incoming.until;
        if !is_late && !in_the_way && (starved || !cx.input.eof()) {
            let until = incoming.until.min(cx.now.mono.after(SMTP_SLOW_AFTER));
            return Flow::Wait(State::Receive(incoming), Want::Bytes { until });
        }
        if in_the_way {
            reply::no_memory(&cx.config.hostname).send(cx.output);
        } else if is_late {
            late(&cx.config.hostname).send(cx.output);
        }
        match incoming.abandon(cx.budget) {
            Some(write) => Flow::Wait(State::Closed, Want::Commit { write }),
            None => Flow::On(State::Closed),
        }
    }

    fn keep_chunk(&mut self, cx: &mut Cx<'_>, incoming: Box<Incoming>, args: ChunkArgs) -> Flow {
        if let Some(mail) = &mut self.mail {
            mail.chunks = Some(incoming);
        }
        self.say(cx, &reply::chunk_ok(args.size))
    }

    fn finish(&mut self, cx: &mut Cx<'_>, mut incoming: Box<Incoming>, bare: bool) -> Flow {
        if bare {
            incoming.content.refuse(Refusal::BareLineEnd, cx.budget);
        }
        incoming.content.close();
        self.check_authors(cx, &mut incoming);
        match incoming.content.finish(cx.budget) {
            Finish::Commit(write) => Flow::Wait(State::Receive(incoming), Want::Commit { write }),
            Finish::Wait => self.wait_for_bytes(cx, incoming, reply::no_memory),
            Finish::Refused(why) => self.finished(cx, Err(why), &incoming.id),
            Finish::Body(body) => {
                let Some(envelope) = self.envelope() else { return Flow::On(State::Closed) };
                let arrival = Box::new(Arrival::new(envelope, body));
                Flow::On(State::Arrive { arrival, id: incoming.id })
            }
        }
    }

    fn envelope(&self) -> Option<Envelope> {
        let mail = self.mail.as_ref()?;
        Some(Envelope { from: mail.args.from.clone(), to: mail.to.clone(), login: self.login.clone() })
    }

    /// Judging and storing. A commit is waited for however long it takes: a message may never be both stored and
    /// refused.
    pub fn arrive(&mut self, cx: &mut Cx<'_>, arrival: Arrival, id: String) -> Flow {
        let answer = cx.answer.take();
        match arrival.step(cx.now, answer) {
            Next::Ask(arrival, to) => {
                let until = cx.now.mono.after(DNS_TIMEOUT);
                let arrival = Box::new(arrival);
                Flow::Wait(State::Arrive { arrival, id }, Want::Answer { to, until })
            }
            Next::Commit(arrival, write) => {
                let arrival = Box::new(arrival);
                Flow::Wait(State::Arrive { arrival, id }, Want::Commit { write })
            }
            Next::Done(result) => self.finished(cx, result, &id),
        }
    }

    /// The message is taken or refused; either way the transaction is over.
    fn finished(&mut self, cx: &mut Cx<'_>, result: Result<(), Refusal>, id: &str) -> Flow {
        let mail = self.mail.take();
        let recipients = mail.as_ref().map_or(0, |mail| mail.to.len());
        cx.budget.give(cx.budget.held());
        match result {
            Ok(()) => {
                let s = if recipients == 1 { "" } else { "s" };
                log::info!("{id}: stored for {recipients} recipient{s}, from {}", cx.peer.addr.ip());
                match self.role {
                    Role::Exchanger => cx.gauges.messages_received += 1,
                    Role::Submission => cx.gauges.messages_submitted += 1,
                }
                self.say(cx, &reply::stored(id))
            }
            Err(why) => {
                log::info!("{id}: refused, {why:?}, from {}", cx.peer.addr.ip());
                cx.gauges.messages_refused += 1;
                self.say(cx, &reply::refusal(&why, cx.config.message_bytes_max))
            }
        }
    }

    /// The transaction has failed, but the chunk comes all the same, and more may be in the pipeline behind it.
    fn begin_discard(&mut self, cx: &mut Cx<'_>, size: u64, reply: Reply) -> Flow {
        if size > CHUNK_DISCARD_BYTES_MAX {
            return self.say(cx, &reply::chunk_unacceptable(&cx.config.hostname));
        }
        self.until = cx.now.mono.after(SMTP_DATA_TIMEOUT);
        Flow::On(State::Discard(Discard { left: size, reply }))
    }

    pub fn discard(&mut self, cx: &mut Cx<'_>, mut discard: Discard) -> Flow {
        let mine = usize::try_from(discard.left).unwrap_or(usize::MAX).min(cx.input.len());
        cx.input.consume(mine);
        discard.left -= mine as u64;
        if discard.left == 0 {
            return self.say(cx, &discard.reply);
        }
        if cx.input.eof() {
            return Flow::On(State::Closed);
        }
        if mine > 0 {
            self.until = cx.now.mono.after(SMTP_DATA_TIMEOUT);
        }
        if cx.now.mono >= self.until {
            return self.say(cx, &reply::timeout(&cx.config.hostname));
        }
        Flow::Wait(State::Discard(discard), Want::Bytes { until: self.until })
    }
}
