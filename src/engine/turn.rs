//! One connection's share of a turn: decrypt, step the conversation if it is due, do what it wants, encrypt.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::limits::{
    BUFFERS_BYTES_MAX, CLOSE_TIMEOUT, COMMITS_IN_FLIGHT_BUSY, COMPRESSED_MAX, CONNECTIONS_MAX,
    HANDSHAKE_STEPS, HANDSHAKE_TIMEOUT, IDLE_TURNS_MAX,
};
use crate::base::{ConnId, Mono, Now};
use crate::session::{Answer, Budget, Compression, Cx, Opening, Session, Want, Watch};

use super::answers::Author;
use super::conn::{Conn, Wait};
use super::deadlines::Due;
use super::deflate::Layer;
use super::{Effect, Engine};

impl Engine {
    /// Puts a connection into the ready queue, once.
    pub(super) fn wake(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id)
            && !conn.marks.queued
        {
            conn.marks.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Returns what it cost of the turn's steps.
    pub(super) fn run(&mut self, now: Now, id: ConnId) -> usize {
        let Some(conn) = self.conns.get_mut(&id) else { return 0 };
        conn.marks.queued = false;
        let unsafe_yet = conn.tls.as_ref().is_some_and(|tls| !tls.is_established());
        let cost = if unsafe_yet { HANDSHAKE_STEPS } else { 1 };
        conn.unwrap_input();
        if let Some(tls) = &mut conn.tls {
            if conn.peer.tls.is_none() && tls.is_established() {
                conn.peer.tls = Some(tls.info());
            }
            if tls.is_broken() && conn.wait != Wait::Closing {
                self.hang_up(now, id);
                return cost;
            }
        }
        if conn.wait == Wait::Resolver {
            self.resolver_stream(now, id);
        } else if conn.is_due(self.stopping.is_some()) {
            self.open_or_step(now, id);
        }
        self.settle(now, id);
        cost
    }

    fn open_or_step(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.wait == Wait::Open {
            let Some(open) = conn.service.and_then(|service| self.services.get(service.0)).map(|s| s.open)
            else {
                return;
            };
            let opening = Opening { peer: &conn.peer, config: &self.config, now };
            match catch_unwind(AssertUnwindSafe(|| open(&opening))) {
                Ok(session) => conn.session = Some(session),
                Err(_) => return self.fell_over(now, id, 0),
            }
        }
        self.step(now, id);
    }

    /// One step behind a fence: a panic ends this conversation alone, and of that step nothing is sent.
    fn step(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(mut session) = conn.session.take() else { return };
        let before = Progress::of(conn);
        let mut budget = Budget::lend(self.budget_free, conn.held);
        let compression = match conn.deflate {
            Some(_) => Compression::Active,
            None if self.compressed >= COMPRESSED_MAX => Compression::Crowded,
            None => Compression::Possible,
        };
        let marks = &mut conn.marks;
        let expired = std::mem::take(&mut marks.expired) && conn.answer.is_none();
        marks.told_closing = self.stopping.is_some();
        marks.told_eof = conn.input.eof();
        marks.fresh = false;
        if conn.wait == Wait::News {
            marks.hinted = false;
        }
        let mut cx = Cx {
            now,
            peer: &conn.peer,
            input: &mut conn.input,
            output: &mut conn.output,
            answer: conn.answer.take(),
            expired,
            closing: self.stopping.is_some(),
            busy: self.in_flight > COMMITS_IN_FLIGHT_BUSY,
            can_tls: self.tls.is_ready(),
            compression,
            store: &self.store,
            config: &self.config,
            budget: &mut budget,
            gauges: &mut self.gauges,
            rng: &mut self.rng,
        };
        match catch_unwind(AssertUnwindSafe(|| session.step(&mut cx))) {
            Ok(want) => {
                conn.session = Some(session);
                conn.held = budget.held();
                conn.marks.starved = budget.refused();
                let gave = budget.free() > self.budget_free;
                self.budget_free = budget.free();
                if gave {
                    self.feed_the_starved();
                }
                if budget.refused() {
                    self.starved.insert(id);
                }
                self.count_idle_turns(id, &want, before);
                self.apply(now, id, want);
            }
            Err(_) => {
                bury(session);
                self.fell_over(now, id, before.written);
            }
        }
    }

    fn fell_over(&mut self, now: Now, id: ConnId, mark: usize) {
        log::error!("a conversation failed and was ended (connection {id})");
        self.gauges.panics += 1;
        self.store.end_turn();
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.output.truncate(mark);
        }
        self.hang_up(now, id);
    }

    /// `Want::Turn` without any progress, again and again, is a bug that would take the processor for itself.
    fn count_idle_turns(&mut self, id: ConnId, want: &Want, before: Progress) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !matches!(want, Want::Turn) || before != Progress::of(conn) {
            conn.idle_turns = 0;
            return;
        }
        conn.idle_turns += 1;
    }

    fn apply(&mut self, now: Now, id: ConnId, want: Want) {
        match want {
            Want::Bytes { until } => self.wait(id, Wait::Bytes, until),
            Want::Room { until } => self.wait(id, Wait::Room, until),
            Want::News { of, until } => {
                self.watch(id, Some(of));
                self.wait(id, Wait::News, until);
            }
            Want::Answer { to, until } => {
                let ticket = self.ask(now, id, to);
                self.wait(id, Wait::Answer(ticket), until);
            }
            Want::Commit { write } => {
                let ticket = self.commit(Author::Conn(id), write);
                self.wait(id, Wait::Commit(ticket), Mono::NEVER);
            }
            Want::CommitEach { writes } => self.commit_each(id, writes),
            Want::Turn => self.turn_again(now, id),
            Want::Connect { to, until } => self.dial(id, to, until),
            Want::Tls => self.start_tls(now, id),
            Want::Compress => self.start_deflate(id),
            Want::Close => self.hang_up(now, id),
        }
        // The peer has said its last, and the conversation wants more: there will be none.
        if let Some(conn) = self.conns.get(&id)
            && matches!(conn.wait, Wait::Bytes | Wait::News)
            && conn.marks.told_eof
            && !conn.marks.starved
        {
            self.hang_up(now, id);
        }
    }

    fn turn_again(&mut self, now: Now, id: ConnId) {
        let idle_turns = self.conns.get(&id).map_or(0, |conn| conn.idle_turns);
        if idle_turns > IDLE_TURNS_MAX {
            debug_assert!(false, "connection {id} turns without end");
            log::error!("a conversation made no progress and was ended (connection {id})");
            return self.hang_up(now, id);
        }
        self.wait(id, Wait::Turn, Mono::NEVER);
    }

    /// Sets what the conversation waits for. If it has happened already, it is stepped in the next turn.
    pub(super) fn wait(&mut self, id: ConnId, wait: Wait, until: Mono) {
        let stopping = self.stopping.is_some();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.wait = wait;
        if conn.until != until {
            self.deadlines.remove(conn.until, Due::Conn(id));
            conn.until = until;
            self.deadlines.add(until, Due::Conn(id));
        }
        if conn.is_due(stopping) {
            self.wake(id);
        }
    }

    fn watch(&mut self, id: ConnId, to: Option<Watch>) {
        if let Some(conn) = self.conns.get_mut(&id) {
            self.watchers.change(id, conn.watch, to);
            conn.watch = to;
        }
    }

    fn dial(&mut self, id: ConnId, to: std::net::SocketAddr, until: Mono) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.marks.dialled {
            conn.answer = Some(Answer::Connected(Err("one conversation connects once".into())));
        } else {
            conn.marks.dialled = true;
            conn.peer.addr = to;
            self.effects.push(Effect::Connect { conn: id, to });
        }
        self.wait(id, Wait::Connect, until);
    }

    /// RFC 3207 section 4.2: the reply goes out in the clear; what came in the clear behind the command is dropped.
    fn start_tls(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let stream = conn
            .service
            .filter(|_| conn.tls.is_none() && conn.deflate.is_none())
            .and_then(|service| self.tls.accept(service));
        let Some(mut stream) = stream else {
            return self.hang_up(now, id);
        };
        conn.input.clear();
        stream.send_first(conn.output.peek());
        conn.output.consume(conn.output.len());
        conn.tls = Some(Box::new(stream));
        self.wait(id, Wait::Tls, now.mono.after(HANDSHAKE_TIMEOUT));
    }

    /// The reply goes out as it is; from here on both ways are compressed.
    fn start_deflate(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.deflate.is_none() {
            self.compressed += 1;
            conn.deflate = Some(Box::new(Layer::begin(&mut conn.input, &mut conn.output)));
        }
        self.wait(id, Wait::Turn, Mono::NEVER);
    }

    /// At once and without last words: what it holds is needed.
    fn cut_off_one(&mut self, now: Now, id: ConnId) {
        log::debug!("connection {id} is cut off: memory for buffers is scarce");
        self.hang_up(now, id);
        if self.conns.contains_key(&id) {
            self.forget(id);
            self.effects.push(Effect::Close(id));
        }
    }

    /// What was written goes out, what was read makes room.
    fn settle(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.wait != Wait::Closing {
            conn.wrap_output(false, &mut self.deflater);
        }
        if !conn.wire().is_empty() && !conn.marks.sending {
            conn.marks.sending = true;
            self.effects.push(Effect::Send(id));
        }
        let now_held = conn.buffers();
        self.buffered = (self.buffered + now_held).saturating_sub(conn.buffered);
        conn.buffered = now_held;
        let greedy = conn.login.is_none() && now_held > BUFFERS_BYTES_MAX / CONNECTIONS_MAX;
        if greedy && self.buffered > BUFFERS_BYTES_MAX {
            return self.cut_off_one(now, id);
        }
        if conn.wait == Wait::Closing {
            return;
        }
        if !conn.marks.paused && conn.is_stuffed() {
            conn.marks.paused = true;
            self.effects.push(Effect::Pause(id));
        } else if conn.marks.paused && conn.is_hungry() {
            conn.marks.paused = false;
            self.effects.push(Effect::Resume(id));
        }
        if conn.is_due(self.stopping.is_some()) || conn.can_inflate() {
            self.wake(id);
        }
    }

    /// Ends the conversation; what it wrote still goes out.
    pub(super) fn hang_up(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.wait == Wait::Closing {
            return;
        }
        if let Some(session) = conn.session.take() {
            bury(session);
        }
        if let Wait::Answer(ticket) = conn.wait {
            self.asked.remove(&ticket);
        }
        let held = std::mem::take(&mut conn.held);
        conn.login = None;
        conn.answer = None;
        conn.wrap_output(true, &mut self.deflater);
        conn.input.clear();
        self.compressed -= usize::from(conn.deflate.as_mut().is_some_and(|deflate| deflate.stop()));
        self.watch(id, None);
        self.alone.leave(id);
        self.give_back(held);
        self.effects.push(Effect::Close(id));
        self.wait(id, Wait::Closing, now.mono.after(CLOSE_TIMEOUT));
        if self.conns.get(&id).is_some_and(|conn| conn.wire().is_empty()) {
            self.forget(id);
        }
    }

    /// The connection is no more.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.watch(id, None);
        self.alone.leave(id);
        let Some(conn) = self.conns.remove(&id) else { return };
        self.deadlines.remove(conn.until, Due::Conn(id));
        self.buffered = self.buffered.saturating_sub(conn.buffered);
        self.compressed -= usize::from(conn.deflate.is_some_and(|mut deflate| deflate.stop()));
        if let Wait::Answer(ticket) = conn.wait {
            self.asked.remove(&ticket);
        }
        if conn.service.is_some() {
            self.crowd.leave(conn.peer.addr.ip());
        }
        self.give_back(conn.held);
        if let Some(session) = conn.session {
            bury(session);
        }
    }

    fn give_back(&mut self, bytes: usize) {
        if bytes > 0 {
            self.budget_free += bytes;
            self.feed_the_starved();
        }
    }

    /// Those who found the body budget empty look again.
    fn feed_the_starved(&mut self) {
        for id in std::mem::take(&mut self.starved) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.marks.starved = false;
                conn.marks.fresh = true;
            }
            self.wake(id);
        }
    }

    /// A connection's deadline has passed.
    pub(super) fn expire(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.until = Mono::NEVER;
        match conn.wait {
            Wait::Closing => {
                self.forget(id);
                self.effects.push(Effect::Close(id));
            }
            Wait::Open | Wait::Tls => self.hang_up(now, id),
            Wait::Answer(ticket) if conn.answer.is_none() => {
                self.asked.remove(&ticket);
                conn.marks.expired = true;
                self.wake(id);
            }
            _ => {
                conn.marks.expired = true;
                self.wake(id);
            }
        }
    }
}

/// What a step must change, or it has done nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Progress {
    unread: usize,
    written: usize,
    held: usize,
}

impl Progress {
    fn of(conn: &Conn) -> Progress {
        Progress { unread: conn.input.len(), written: conn.output.mark(), held: conn.held }
    }
}

/// A conversation that fell over may do so once more while it is dropped.
fn bury(session: Box<dyn Session>) {
    if catch_unwind(AssertUnwindSafe(|| drop(session))).is_err() {
        log::error!("a conversation failed while it was dropped");
    }
}
