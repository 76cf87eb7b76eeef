//! One connection as the engine sees it: its buffers, its conversation, and what that waits for. An idle one holds
//! no buffer at all.

use std::net::SocketAddr;

use crate::base::limits::{INPUT_BYTES_MAX, OUTPUT_BYTES_HIGH};
use crate::base::{CredentialId, Input, Mono, Output, Ticket};
use crate::session::{Answer, Peer, Session, Watch};
use crate::store::{Done, Refused};

use super::{ServiceId, deflate, tls};

/// What a conversation waits for, without the data of its `Want`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// To be opened, once TLS stands where the port begins with it.
    Open,
    /// To be stepped for the first time, or again.
    Turn,
    Bytes,
    Room,
    News,
    Answer(Ticket),
    Connect,
    Commit(Ticket),
    /// Results from the first ticket to before the second; what has come lies in `Conn::settled`.
    CommitEach(Ticket, Ticket),
    /// The handshake that the conversation asked for.
    Tls,
    /// Nothing of its own: the resolver's connection, which has no conversation.
    Resolver,
    /// Nothing: the conversation is over, the last bytes are on their way.
    Closing,
}

pub(super) struct Conn {
    /// `None` for a connection that we made.
    pub service: Option<ServiceId>,
    pub peer: Peer,
    pub session: Option<Box<dyn Session>>,
    pub input: Input,
    pub output: Output,
    pub tls: Option<Box<tls::Stream>>,
    /// Between the conversation and `tls`.
    pub deflate: Option<Box<deflate::Layer>>,
    pub wait: Wait,
    /// As it stands in the engine's deadlines.
    pub until: Mono,
    pub answer: Option<Answer>,
    /// Results of a `CommitEach` that is not answered yet; empty, and without memory, at all other times.
    pub settled: Vec<(Ticket, Result<Done, Refused>)>,
    pub watch: Option<Watch>,
    /// Who is logged in here, from the verdict that the engine gave.
    pub login: Option<CredentialId>,
    /// Of the body budget.
    pub held: usize,
    /// Bytes that its buffers held when it was looked at last.
    pub buffered: usize,
    pub idle_turns: u32,
    pub marks: Marks,
}

/// What has happened since the last step, and what the outside has been told.
#[derive(Default)]
pub(super) struct Marks {
    /// It is in the ready queue or among the hinted.
    pub queued: bool,
    /// Bytes came, or the end of them.
    pub fresh: bool,
    /// A watched thing moved on.
    pub hinted: bool,
    /// The deadline passed.
    pub expired: bool,
    /// The conversation has been stepped with `closing` set.
    pub told_closing: bool,
    /// The conversation has been stepped with the end of the input in sight.
    pub told_eof: bool,
    /// The body budget was empty when it was stepped last.
    pub starved: bool,
    /// The socket is not read.
    pub paused: bool,
    /// `Effect::Send` is among the effects of this turn.
    pub sending: bool,
    /// A TCP connection was asked for: at most one in a conversation.
    pub dialled: bool,
}

impl Conn {
    pub fn new(service: Option<ServiceId>, addr: SocketAddr, local: SocketAddr) -> Conn {
        Conn {
            service,
            peer: Peer { addr, local, tls: None },
            session: None,
            input: Input::default(),
            output: Output::new(OUTPUT_BYTES_HIGH),
            tls: None,
            deflate: None,
            wait: Wait::Open,
            until: Mono::NEVER,
            answer: None,
            settled: Vec::new(),
            watch: None,
            login: None,
            held: 0,
            buffered: 0,
            idle_turns: 0,
            marks: Marks::default(),
        }
    }

    /// Bytes on their way to the peer.
    pub fn wire(&self) -> &[u8] {
        match (&self.tls, &self.deflate) {
            (Some(tls), _) => tls.wire(),
            (None, Some(deflate)) => deflate.leaving.peek(),
            (None, None) => self.output.peek(),
        }
    }

    /// Something waits for room on the wire.
    pub fn has_unsent(&self) -> bool {
        !self.output.is_empty() || self.deflate.as_ref().is_some_and(|deflate| !deflate.leaving.is_empty())
    }

    /// Bytes in its buffers, both ways.
    pub fn buffers(&self) -> usize {
        let tls = self.tls.as_ref().map_or(0, |tls| tls.buffers());
        let deflate = self.deflate.as_ref().map_or(0, |deflate| deflate.buffers());
        self.input.len() + self.output.len() + tls + deflate
    }

    pub fn sent(&mut self, count: usize) {
        let count = count.min(self.wire().len());
        match (&mut self.tls, &mut self.deflate) {
            (Some(tls), _) => tls.sent(count),
            (None, Some(deflate)) => deflate.leaving.consume(count),
            (None, None) => self.output.consume(count),
        }
    }

    /// Bytes from the socket.
    pub fn received(&mut self, bytes: &[u8]) {
        match (&mut self.tls, &mut self.deflate) {
            (Some(tls), _) => tls.received(bytes),
            (None, Some(deflate)) => deflate.arriving.append(bytes),
            (None, None) => {
                self.input.append(bytes);
                self.marks.fresh = true;
            }
        }
    }

    /// The socket will bring no more.
    pub fn hung_up(&mut self) {
        match (&mut self.tls, &mut self.deflate) {
            (Some(tls), _) => tls.hung_up(),
            (None, Some(deflate)) => deflate.arriving.hang_up(),
            (None, None) => {
                self.input.hang_up();
                self.marks.fresh = true;
            }
        }
    }

    /// Decrypts and inflates what has come, for the conversation to read.
    pub fn unwrap_input(&mut self) {
        let arriving = self.deflate.as_mut().map_or(&mut self.input, |deflate| &mut deflate.arriving);
        let mut fresh = self.tls.as_mut().is_some_and(|tls| tls.receive_into(arriving));
        if let Some(deflate) = &mut self.deflate {
            fresh = deflate.inflate_into(&mut self.input);
        }
        self.marks.fresh |= fresh;
    }

    /// Deflates and encrypts what the conversation wrote, as much as the wire holds; `all` is for its end.
    pub fn wrap_output(&mut self, all: bool, deflater: &mut deflate::Deflater) {
        let mut leaving = &mut self.output;
        if let Some(deflate) = &mut self.deflate {
            deflate.deflate_from(leaving, all, deflater);
            leaving = &mut deflate.leaving;
        }
        if let Some(tls) = &mut self.tls {
            if all { tls.close(leaving) } else { tls.send_from(leaving, false) }
        }
    }

    /// The peer has read half of what we may hold for it.
    pub fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_BYTES_HIGH / 2
    }

    /// Whether what the conversation waits for has happened. A stopping server does not interrupt a question, a commit
    /// or a handshake: these end by themselves.
    pub fn is_due(&self, stopping: bool) -> bool {
        let nudged = self.marks.expired || (stopping && !self.marks.told_closing);
        match self.wait {
            Wait::Turn => true,
            Wait::Bytes => self.marks.fresh || nudged,
            Wait::News => self.marks.fresh || self.marks.hinted || nudged,
            Wait::Room => self.has_room() || self.marks.expired,
            Wait::Answer(_) | Wait::Connect => self.answer.is_some() || self.marks.expired,
            Wait::Commit(_) | Wait::CommitEach(..) => self.answer.is_some(),
            Wait::Open | Wait::Tls => self.tls.as_ref().is_none_or(|tls| tls.is_established()),
            Wait::Resolver | Wait::Closing => false,
        }
    }

    /// More is at hand than a conversation needs to go on: leave the rest with the peer.
    pub fn is_stuffed(&self) -> bool {
        self.input.len() >= INPUT_BYTES_MAX
            || self.deflate.as_ref().is_some_and(|deflate| deflate.is_stuffed())
            || self.tls.as_ref().is_some_and(|tls| tls.is_stuffed())
    }

    /// What has come compressed goes on as soon as there is room.
    pub fn can_inflate(&self) -> bool {
        self.input.len() < INPUT_BYTES_MAX && self.deflate.as_ref().is_some_and(|deflate| deflate.has_more())
    }

    /// Little enough is at hand to read on. One that waits for bytes gets them even above the half, or it would wait
    /// for ever.
    pub fn is_hungry(&self) -> bool {
        let waits = matches!(self.wait, Wait::Bytes | Wait::News | Wait::Open | Wait::Tls | Wait::Resolver);
        !self.is_stuffed() && (waits || self.input.len() <= INPUT_BYTES_MAX / 2)
    }
}
