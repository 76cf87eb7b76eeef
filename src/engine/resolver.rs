//! DNS for conversations: the cache first, then one look-up for each different question, however many ask it. The
//! machine of a look-up is `dns::stub`; here are its sockets and its clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::base::limits::{DNS_LOOK_UPS_MAX, DNS_TRY_TIMEOUT};
use crate::base::{ConnId, Mono, Now, Ticket};
use crate::dns::cache::Cache;
use crate::dns::stub::{LookUp, Next};
use crate::dns::{Outcome, Query};
use crate::session::Answer;

use super::conn::{Conn, Wait};
use super::deadlines::Due;
use super::{Effect, Engine};

#[derive(Default)]
pub(super) struct Resolver {
    cache: Cache,
    /// By the ticket of the socket of its present try.
    running: BTreeMap<Ticket, Running>,
    by_query: BTreeMap<Query, Ticket>,
    /// Questions of conversations, and what is still missing of their answers.
    asked: BTreeMap<Ticket, Vec<Option<Outcome>>>,
    /// Datagrams of the look-ups under way, to be looked at in the next turn.
    received: Vec<(Ticket, SocketAddr, Vec<u8>)>,
}

struct Running {
    look_up: LookUp,
    /// Who asked, and as which of its queries.
    askers: Vec<(Ticket, usize)>,
    until: Mono,
    /// The connection, where the answer did not fit into a datagram.
    stream: Option<ConnId>,
}

impl Resolver {
    pub fn received(&mut self, socket: Ticket, from: SocketAddr, bytes: &[u8]) {
        if self.running.contains_key(&socket) {
            self.received.push((socket, from, bytes.to_vec()));
        }
    }

    pub fn has_news(&self) -> bool {
        !self.received.is_empty()
    }
}

impl Engine {
    pub(super) fn look_up(&mut self, now: Now, ticket: Ticket, queries: Vec<Query>) {
        self.resolver.asked.insert(ticket, vec![None; queries.len()]);
        for (index, mut query) in queries.into_iter().enumerate() {
            query.name = query.name.trim_end_matches('.').to_ascii_lowercase();
            self.look_up_one(now, query, (ticket, index));
        }
        self.answer_if_complete(ticket);
    }

    fn look_up_one(&mut self, now: Now, query: Query, asker: (Ticket, usize)) {
        if let Some(outcome) = self.resolver.cache.find(now.mono, &query) {
            return self.note_outcome(asker, outcome);
        }
        if let Some(running) =
            self.resolver.by_query.get(&query).and_then(|socket| self.resolver.running.get_mut(socket))
        {
            running.askers.push(asker);
            return;
        }
        if self.resolver.running.len() >= DNS_LOOK_UPS_MAX {
            return self.note_outcome(asker, Outcome::Failed);
        }
        let mut look_up = LookUp::new(query, &self.config.dns_servers);
        let next = look_up.ask(self.dns_id());
        let running = Running { look_up, askers: vec![asker], until: Mono::NEVER, stream: None };
        self.go_on(now, running, next);
    }

    fn dns_id(&mut self) -> u16 {
        self.rng.below(1 << 16) as u16
    }

    /// Carries out what the machine says. Every try has its own socket, and so its own random port.
    fn go_on(&mut self, now: Now, mut running: Running, next: Next) {
        match next {
            Next::Wait => {}
            Next::Datagram { to, bytes } => {
                let socket = self.ticket();
                self.effects.push(Effect::Datagram { socket, to, bytes });
                self.keep_running(now, socket, running);
            }
            Next::Stream { to, bytes } => {
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                let mut conn = Conn::new(None, to, nowhere);
                conn.output.push(&bytes);
                let id = self.insert(conn);
                self.wait(id, Wait::Resolver, Mono::NEVER);
                self.effects.push(Effect::Connect { conn: id, to });
                running.stream = Some(id);
                let socket = self.ticket();
                self.keep_running(now, socket, running);
            }
            Next::Done { outcome, keep } => self.looked_up(now, running, outcome, keep),
        }
    }

    fn keep_running(&mut self, now: Now, socket: Ticket, mut running: Running) {
        running.until = now.mono.after(DNS_TRY_TIMEOUT);
        self.deadlines.add(running.until, Due::Dns(socket));
        self.resolver.by_query.insert(running.look_up.query.clone(), socket);
        self.resolver.running.insert(socket, running);
    }

    /// Ends a try: its socket or connection is closed and its deadline lifted.
    fn end_try(&mut self, now: Now, socket: Ticket) -> Option<Running> {
        let mut running = self.resolver.running.remove(&socket)?;
        self.resolver.by_query.remove(&running.look_up.query);
        self.deadlines.remove(running.until, Due::Dns(socket));
        match running.stream.take() {
            Some(id) => self.hang_up(now, id),
            None => self.effects.push(Effect::CloseDatagram(socket)),
        }
        Some(running)
    }

    fn looked_up(&mut self, now: Now, running: Running, outcome: Outcome, keep: Duration) {
        self.resolver.cache.keep(now.mono, running.look_up.query, outcome.clone(), keep);
        for asker in running.askers {
            self.note_outcome(asker, outcome.clone());
            self.answer_if_complete(asker.0);
        }
    }

    fn note_outcome(&mut self, (ticket, index): (Ticket, usize), outcome: Outcome) {
        if let Some(slot) = self.resolver.asked.get_mut(&ticket).and_then(|slots| slots.get_mut(index)) {
            *slot = Some(outcome);
        }
    }

    fn answer_if_complete(&mut self, ticket: Ticket) {
        let Some(slots) = self.resolver.asked.get(&ticket) else { return };
        if slots.iter().all(Option::is_some) {
            let outcomes = self.resolver.asked.remove(&ticket).into_iter().flatten().flatten().collect();
            self.answer(ticket, Answer::Dns(outcomes));
        }
    }

    pub(super) fn dns_timed_out(&mut self, now: Now, socket: Ticket) {
        if let Some(mut running) = self.end_try(now, socket) {
            let next = running.look_up.ask(self.dns_id());
            self.go_on(now, running, next);
        }
    }

    /// Datagrams that came since the last turn.
    pub(super) fn answer_dns(&mut self, now: Now) {
        for (socket, from, bytes) in std::mem::take(&mut self.resolver.received) {
            let next_id = self.dns_id();
            let Some(running) = self.resolver.running.get_mut(&socket) else { continue };
            let next = running.look_up.received(from, &bytes, false, next_id);
            if next != Next::Wait
                && let Some(running) = self.end_try(now, socket)
            {
                self.go_on(now, running, next);
            }
        }
    }

    /// The TCP connection of a look-up has something to say. Its failure needs no word here: the try times out.
    pub(super) fn resolver_stream(&mut self, now: Now, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let from = conn.peer.addr;
        let Some((length, rest)) = conn.input.peek().split_first_chunk::<2>() else { return };
        let Some(packet) = rest.get(..usize::from(u16::from_be_bytes(*length))).map(<[u8]>::to_vec) else {
            return;
        };
        let socket = self
            .resolver
            .running
            .iter()
            .find(|(_, running)| running.stream == Some(id))
            .map(|(socket, _)| *socket);
        let ended = socket.and_then(|socket| self.end_try(now, socket));
        let Some(mut running) = ended else { return self.hang_up(now, id) };
        let next_id = self.dns_id();
        let next = running.look_up.received(from, &packet, true, next_id);
        self.go_on(now, running, next);
    }
}
