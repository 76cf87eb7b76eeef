//! RETR and TOP (RFC 1939 section 5 and 7): a message on its way, in slices from the reader thread, as fast as the client
//! reads. However large it is, one slice of it and one window of output are in memory.
//!
//! A message is sent as it is stored. RFC 6856 section 2.1 would have us refuse one with raw UTF-8 in its header, or make
//! a surrogate of it, unless UTF8 was said. We do neither: a surrogate is not what was signed and counted, and on a
//! refusal getmail and fetchmail end their run and Outlook asks for the same message for ever, so that one careless
//! sender would lock everybody who has no UTF8 out of the mail behind it.

use crate::base::BodyId;
use crate::base::limits::SLICE_BYTES;
use crate::session::{Answer, Cx};
use crate::store::{Question, Reply as Read};

use super::grammar;
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, State, read, room};
use super::stuff::{Stuffer, Top};

/// A message on its way.
pub struct Sending {
    body: BodyId,
    size: u64,
    /// Where `slice` begins.
    at: u64,
    slice: Vec<u8>,
    /// How much of `slice` has been written.
    written: usize,
    /// The next answer is the next slice.
    asked: bool,
    /// The first line, until it is said: as long as nothing is, a failure can be.
    first_line: Option<Reply>,
    stuffer: Stuffer,
    /// TOP: where it ends.
    top: Option<Top>,
}

pub fn retr(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    let number = grammar::message(argument)?;
    let (message, body) = conversation.message(cx, number)?;
    let first_line = reply::message(message.octets);
    Ok(Box::new(Sending::new(body, message.octets, first_line, None)).next_slice(cx))
}

pub fn top(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    let (number, lines) = grammar::top(argument)?;
    let (message, body) = conversation.message(cx, number)?;
    let top = Some(Top::new(lines));
    Ok(Box::new(Sending::new(body, message.octets, reply::top(), top)).next_slice(cx))
}

impl Sending {
    fn new(body: BodyId, octets: u32, first_line: Reply, top: Option<Top>) -> Sending {
        Sending {
            body,
            size: u64::from(octets),
            at: 0,
            slice: Vec::new(),
            written: 0,
            asked: false,
            first_line: Some(first_line),
            stuffer: Stuffer::default(),
            top,
        }
    }

    /// It waits for the reader thread and not for the peer.
    pub fn asks(&self) -> bool {
        self.asked
    }

    fn next_slice(mut self: Box<Self>, cx: &Cx<'_>) -> Flow {
        if self.at >= self.size {
            return Flow::On(State::Sending(self));
        }
        let length = (self.size - self.at).min(SLICE_BYTES as u64);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let question = Question::Body { body: self.body, at: self.at, length };
        self.asked = true;
        Flow::Wait(State::Sending(self), read(cx, question))
    }

    /// Writes of the slice what there is room for. True when TOP has shown all that it shows.
    fn write(&mut self, cx: &mut Cx<'_>) -> bool {
        let rest = &self.slice[self.written..];
        let piece = &rest[..rest.len().min(cx.output.room())];
        let shown = self.top.as_mut().map_or(piece.len(), |top| top.take(piece));
        self.stuffer.feed(&piece[..shown], cx.output);
        self.written += piece.len();
        self.top.as_ref().is_some_and(Top::is_over)
    }

    fn finish(self, cx: &mut Cx<'_>) {
        let mut stuffer = self.stuffer;
        // Outlook Express waits for ever where a header ends without its empty line, and TOP has to show one.
        if self.top.is_some_and(|top| top.lacks_empty_line()) {
            stuffer.end_line(cx.output);
            stuffer.feed(b"\r\n", cx.output);
        }
        stuffer.finish(cx.output);
    }
}

impl Conversation {
    pub fn go_on_sending(&mut self, cx: &mut Cx<'_>, mut sending: Box<Sending>) -> Flow {
        if std::mem::take(&mut sending.asked) {
            match cx.answer.take() {
                Some(Answer::Read(Ok(Read::Bytes(bytes)))) if !bytes.is_empty() => {
                    (sending.slice, sending.written) = (bytes, 0);
                }
                other => return self.cannot_go_on(cx, &sending, other),
            }
        }
        if let Some(first_line) = sending.first_line.take() {
            first_line.send(cx.output);
        }
        while sending.written < sending.slice.len() {
            if cx.output.full() {
                return Flow::Wait(State::Sending(sending), room(cx));
            }
            if sending.write(cx) {
                sending.finish(cx);
                return self.next_command(cx);
            }
        }
        sending.at += std::mem::take(&mut sending.slice).len() as u64;
        sending.written = 0;
        if sending.at < sending.size {
            // Doubled dots may have gone past the window's end. An answer that finds it full would find nobody at home.
            if cx.output.full() {
                return Flow::Wait(State::Sending(sending), room(cx));
            }
            return sending.next_slice(cx);
        }
        sending.finish(cx);
        self.next_command(cx)
    }

    /// In the middle of a message anything said would be taken for a part of it: then only hanging up is honest.
    fn cannot_go_on(&mut self, cx: &mut Cx<'_>, sending: &Sending, answer: Option<Answer>) -> Flow {
        let refusal = match &answer {
            Some(Answer::Read(Err(error))) => reply::broken(error),
            _ => reply::unreadable(),
        };
        if sending.first_line.is_some() {
            return self.say(cx, &refusal);
        }
        log::error!("a message cannot be read to its end at {} of {} bytes", sending.at, sending.size);
        Flow::On(State::Closed)
    }
}
