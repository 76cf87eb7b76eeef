//! The agenda: what falls due, and what the engine's effects become.

use std::time::Duration;

use pillarbox::base::limits::{BATCH_BYTES_MAX, BATCH_WRITES_MAX};
use pillarbox::base::{ConnId, Mono, Ticket};
use pillarbox::engine::{Effect, Event};
use pillarbox::store::{Outcome, Question, Refused, Reply, StoreError, Write};

use super::disk::Crash;
use super::habits::{Bug, planted};
use super::net::PeerId;
use super::{World, store};

/// Something that falls due.
pub enum Item {
    ToServer {
        peer: PeerId,
        bytes: Vec<u8>,
    },
    ServerEof {
        peer: PeerId,
    },
    Reset {
        peer: PeerId,
    },
    /// The server's socket takes bytes from `wire` now.
    Drain {
        peer: PeerId,
    },
    ToPeer {
        peer: PeerId,
        bytes: Vec<u8>,
    },
    PeerEof {
        peer: PeerId,
    },
    /// The writer looks into its queue.
    Writer,
    Committed {
        results: Vec<(Ticket, Outcome)>,
    },
    CommitFailed {
        tickets: Vec<Ticket>,
        error: StoreError,
    },
    /// The reader thread does its work.
    Reader {
        ticket: Ticket,
        question: Question,
    },
    Read {
        ticket: Ticket,
        result: Box<Result<Reply, StoreError>>,
    },
    Hashed {
        ticket: Ticket,
        matched: Option<usize>,
    },
    /// A UDP query is never answered here.
    Nothing,
}

impl World {
    /// Whether anything happens until then.
    pub fn due(&self, until: Mono) -> bool {
        self.alarm.is_some_and(|alarm| alarm <= until)
            || self.agenda.keys().next().is_some_and(|(at, _)| *at <= until)
    }

    /// One moment. Moves time on to the next thing that falls due, at most to `until`.
    pub fn step(&mut self, until: Mono) {
        let first = self.agenda.keys().next().map(|(at, _)| *at);
        let next = [first, self.alarm].into_iter().flatten().min().unwrap_or(until);
        self.move_to(next.min(until));
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.mono) {
            if self.disk.is_dead() {
                break;
            }
            let item = entry.remove();
            self.happen(item);
        }
        if self.disk.is_dead() {
            self.crash(Crash::Power);
        }
        self.turn();
        self.move_to(Mono(self.mono.0 + 20));
    }

    pub(crate) fn move_to(&mut self, to: Mono) {
        if to > self.mono {
            let passed = to.0 - self.mono.0;
            self.mono = to;
            self.wall.0 += passed as i64;
        }
    }

    fn turn(&mut self) {
        let now = self.now();
        let Some(life) = &mut self.life else { return };
        self.alarm = life.engine.turn(now);
        let effects = life.engine.effects();
        for effect in effects {
            self.carry_out(effect);
        }
    }

    pub(crate) fn plan(&mut self, at: Mono, item: Item) {
        self.agenda.insert((at, self.next_item), item);
        self.next_item += 1;
    }

    fn after(&mut self, usual: Duration) -> Mono {
        let delay = if self.habits.steady { usual } else { self.chance.delay(usual) };
        self.mono.after(delay)
    }

    fn on(&mut self, event: Event<'_>) {
        let now = self.now();
        if let Some(life) = &mut self.life {
            life.engine.on(now, event);
        }
        self.alarm = Some(self.mono);
    }

    // --- effects ---

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(conn) => {
                if let Some(&peer) = self.peers.get(&conn) {
                    self.start_drain(peer);
                }
            }
            Effect::Close(conn) => self.close(conn),
            Effect::Pause(conn) => self.pause(conn, true),
            Effect::Resume(conn) => self.pause(conn, false),
            Effect::Connect { conn, .. } => {
                self.on(Event::Connected { conn, result: Err("nobody is out there".into()) });
            }
            Effect::Datagram { .. } | Effect::CloseDatagram(_) => {}
            Effect::Hash { ticket, secret, hashes } => {
                let matched = store::fake_match(&secret, &hashes);
                let at = self.after(self.habits.hash);
                self.trace.note("hash", &[ticket.0], b"");
                self.plan(at, Item::Hashed { ticket, matched });
            }
            Effect::Read { ticket, question } => {
                let at = self.after(self.habits.read);
                self.plan(at, Item::Reader { ticket, question });
            }
            Effect::Commit(writes) => {
                self.queue.extend(writes);
                self.start_writer();
            }
            Effect::Admin { result, .. } => {
                if let Err(refused) = result {
                    self.complain(format!("an admin write was refused: {refused:?}"));
                }
            }
            Effect::Reloaded | Effect::Stopped => {}
        }
    }

    fn close(&mut self, conn: ConnId) {
        let Some(&peer) = self.peers.get(&conn) else { return };
        if let Some(link) = self.links.get_mut(&peer) {
            link.closing = true;
        }
        self.start_drain(peer);
    }

    fn pause(&mut self, conn: ConnId, paused: bool) {
        let Some(&peer) = self.peers.get(&conn) else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.paused = paused;
        if paused {
            return;
        }
        let (held, eof) = (std::mem::take(&mut link.held), std::mem::take(&mut link.held_eof));
        if !held.is_empty() {
            self.received(peer, &held);
        }
        if eof {
            self.server_eof(peer);
        }
    }

    // --- network ---

    /// When what is sent now arrives: later than everything sent before.
    pub(crate) fn arrival(&mut self, peer: PeerId, to_server: bool) -> Mono {
        let mut at = self.after(self.habits.network);
        let Some(link) = self.links.get_mut(&peer) else { return at };
        let last = if to_server { &mut link.to_server_at } else { &mut link.to_peer_at };
        at = at.max(*last);
        *last = at;
        at
    }

    pub(crate) fn start_drain(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.draining || link.forgotten || link.deaf {
            return;
        }
        link.draining = true;
        let at = self.mono;
        self.plan(at, Item::Drain { peer });
    }

    fn drain(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.draining = false;
        if link.forgotten || link.deaf {
            return;
        }
        let (conn, closing) = (link.conn, link.closing);
        let Some(life) = &self.life else { return };
        let waiting = life.engine.wire(conn);
        let window = match self.habits.window_bytes {
            0 => waiting.len(),
            most => 1 + self.chance.below(most) as usize,
        };
        let taken = waiting[..window.min(waiting.len())].to_vec();
        let rest = waiting.len() - taken.len();
        if !taken.is_empty() {
            let count = taken.len();
            self.trace.note("out", &[peer.0, self.mono.0], &taken);
            let at = self.arrival(peer, false);
            self.plan(at, Item::ToPeer { peer, bytes: taken });
            self.on(Event::Sent { conn, count });
        }
        if rest > 0 {
            let stalled = self.chance.one_in(self.habits.stalls);
            let wait = if stalled {
                self.mono.after(Duration::from_secs(60))
            } else {
                self.after(self.habits.network)
            };
            let at = wait.max(Mono(self.mono.0 + 1));
            if let Some(link) = self.links.get_mut(&peer) {
                link.draining = true;
            }
            self.plan(at, Item::Drain { peer });
        } else if closing {
            self.end_link(peer);
        }
    }

    /// The server's end is gone; the peer sees the end of the stream after what is on its way.
    pub(crate) fn end_link(&mut self, peer: PeerId) {
        let at = self.arrival(peer, false);
        self.plan(at, Item::PeerEof { peer });
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.forgotten = true;
        let conn = link.conn;
        if self.peers.remove(&conn).is_some() {
            self.on(Event::Lost { conn });
        }
    }

    fn received(&mut self, peer: PeerId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.forgotten {
            return;
        }
        if link.paused {
            link.held.extend_from_slice(bytes);
            return;
        }
        let conn = link.conn;
        self.trace.note("in", &[peer.0, self.mono.0], bytes);
        self.on(Event::Received { conn, bytes });
    }

    fn server_eof(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.forgotten {
            return;
        }
        if link.paused {
            link.held_eof = true;
            return;
        }
        let conn = link.conn;
        self.on(Event::Eof { conn });
    }

    // --- things that happen ---

    fn happen(&mut self, item: Item) {
        match item {
            Item::ToServer { peer, bytes } => self.received(peer, &bytes),
            Item::ServerEof { peer } => self.server_eof(peer),
            Item::Reset { peer } => {
                if self.links.get(&peer).is_some_and(|link| !link.forgotten) {
                    self.trace.note("reset", &[peer.0], b"");
                    self.end_link(peer);
                }
            }
            Item::Drain { peer } => self.drain(peer),
            Item::ToPeer { peer, bytes } => {
                if let Some(link) = self.links.get_mut(&peer).filter(|link| !link.closed) {
                    link.inbox.extend_from_slice(&bytes);
                }
            }
            Item::PeerEof { peer } => {
                if let Some(link) = self.links.get_mut(&peer) {
                    link.closed = true;
                }
            }
            Item::Writer => self.write(),
            Item::Committed { results } => self.committed(results),
            Item::CommitFailed { tickets, error } => {
                self.on(Event::CommitFailed { tickets, error });
                self.writer_rests();
            }
            Item::Reader { ticket, question } => self.read(ticket, &question),
            Item::Read { ticket, result } => {
                self.trace.note("read", &[ticket.0, self.mono.0], b"");
                self.on(Event::Read { ticket, result: *result });
            }
            Item::Hashed { ticket, matched } => self.on(Event::Hashed { ticket, matched }),
            Item::Nothing => {}
        }
    }

    fn read(&mut self, ticket: Ticket, question: &Question) {
        let Some(life) = &self.life else { return };
        let mut result = life.cold.answer(question);
        life.cold.end_turn();
        if planted(Bug::StaleAnswerAccepted)
            && let Ok(reply) = &mut result
            && !matches!(reply, Reply::View(_))
        {
            let before = self.stale.replace(reply.clone());
            if let Some(before) =
                before.filter(|b| std::mem::discriminant(b) == std::mem::discriminant(reply))
            {
                *reply = before;
            }
        }
        let mut ticket = ticket;
        if planted(Bug::AnswerToTheWrongConversation) && !matches!(result, Ok(Reply::View(_))) {
            match self.crossed.replace(ticket) {
                Some(other) => ticket = other,
                None => return,
            }
        }
        let at = self.after(self.habits.read);
        self.plan(at, Item::Read { ticket, result: Box::new(result) });
    }

    // --- the writer ---

    fn start_writer(&mut self) {
        if !self.writing && !self.queue.is_empty() {
            self.writing = true;
            let at = self.mono;
            self.plan(at, Item::Writer);
        }
    }

    fn writer_rests(&mut self) {
        self.writing = false;
        let idle = self.queue.is_empty();
        if let Some(life) = &mut self.life {
            let _ = life.writer.checkpoint(idle);
        }
        self.start_writer();
    }

    fn next_batch(&mut self) -> Vec<(Ticket, Write)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((_, write)) = self.queue.front() {
            bytes += store::payload_bytes(write);
            if !batch.is_empty() && (batch.len() >= BATCH_WRITES_MAX || bytes > BATCH_BYTES_MAX) {
                break;
            }
            batch.extend(self.queue.pop_front());
        }
        batch
    }

    /// Perhaps the next batch meets a sync or a write that fails.
    fn spoil_the_disk(&mut self) {
        let fails_sync = self.chance.one_in(self.habits.failed_syncs);
        let fails_write = self.chance.one_in(self.habits.failed_writes);
        let (full, after) = (self.chance.one_in(2), self.chance.below(6));
        self.disk.set_faults(|faults, counts| {
            let at = fails_write.then_some(counts.writes + after);
            faults.fail_sync = fails_sync.then_some(counts.syncs);
            faults.fail_write = at.filter(|_| !full);
            faults.full_at_write = at.filter(|_| full);
        });
    }

    fn write(&mut self) {
        let mut batch = self.next_batch();
        let mut refused = Vec::new();
        if self.habits.refused > 0 {
            let (chance, one_in) = (&mut self.chance, self.habits.refused);
            batch.retain(|(ticket, _)| {
                let refuse = chance.one_in(one_in);
                if refuse {
                    refused.push((*ticket, store::outcome_refused(Refused::DiskFull)));
                }
                !refuse
            });
        }
        if planted(Bug::WatermarkTooFar) {
            store::advance_watermark(&mut batch);
        }
        self.spoil_the_disk();
        let Some(life) = &mut self.life else { return };
        let writes: Vec<Write> = batch.iter().map(|(_, write)| write.clone()).collect();
        let tickets: Vec<Ticket> = batch.iter().map(|(ticket, _)| *ticket).collect();
        self.model.begin(&writes);
        let result = life.writer.commit(batch);
        let at = self.after(self.habits.commit);
        if self.disk.is_dead() {
            return;
        }
        match result {
            Ok(results) => self.wrote(at, writes, results, refused),
            Err(error) => {
                self.trace.note("commit failed", &[self.mono.0], b"");
                self.plan(at, Item::CommitFailed { tickets, error });
                if !refused.is_empty() {
                    self.on(Event::Committed { results: refused });
                }
            }
        }
    }

    fn wrote(
        &mut self,
        at: Mono,
        writes: Vec<Write>,
        mut results: Vec<(Ticket, Outcome)>,
        refused: Vec<(Ticket, Outcome)>,
    ) {
        if let Err(wrong) = self.model.commit(&writes, &results) {
            self.complain(format!("commit: {wrong}"));
        }
        if self.model.adopt
            && let Some(life) = &self.life
            && let Err(wrong) = self.model.learn(&life.cold)
        {
            self.complain(format!("after a mailbox moved: {wrong}"));
        }
        if planted(Bug::BodySlicesSwapped) {
            store::swap_slices(&self.path(), &writes);
        }
        if planted(Bug::LastOfManyLost) {
            store::lose_last(&self.path(), &results);
        }
        if planted(Bug::CommitAppliedTwice)
            && let Some(life) = &mut self.life
        {
            let again = results.iter().map(|(ticket, _)| *ticket).zip(writes).collect();
            let _ = life.writer.commit(again);
        }
        if planted(Bug::HintLost) {
            results.iter_mut().for_each(|(_, outcome)| outcome.mailboxes.clear());
        }
        if planted(Bug::FlagChangeWithoutModseq) {
            store::forget_modseq(&self.path(), &results);
        }
        results.extend(refused);
        self.trace.note("commit", &[self.mono.0, results.len() as u64], b"");
        self.plan(at, Item::Committed { results });
    }

    fn committed(&mut self, results: Vec<(Ticket, Outcome)>) {
        self.on(Event::Committed { results });
        self.writer_rests();
    }
}
