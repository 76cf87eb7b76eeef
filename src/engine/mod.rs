//! Floor 5: the whole server as one deterministic machine. `on` takes note, `turn` works, `effects` says what the
//! outside must do. No sockets, no threads, no clocks: io and the simulator are two worlds around the same engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::base::limits::{BODY_BUDGET_BYTES, HANDSHAKE_TIMEOUT, STEPS_PER_TURN};
use crate::base::{Config, ConnId, Mono, Now, Rng, Ticket, Wall};
use crate::session::{Answer, Gauges, Opening, Session};
use crate::store::{Done, Outcome, Question, Reader, Refused, Reply, StoreError, Write};

mod alone;
mod answers;
mod chores;
mod conn;
mod crowd;
mod deadlines;
mod deflate;
mod indexing;
mod passwords;
mod resolver;
mod tls;
mod turn;
mod watch;

use alone::Alone;
use answers::Author;
use conn::{Conn, Wait};
use crowd::Crowd;
use deadlines::{Deadlines, Due};
use watch::Watchers;

/// What listens on a port: how TLS begins, and which conversation is opened. The engine knows no protocol by name.
#[derive(Clone)]
pub struct ServiceKind {
    /// For logs and socket names: `smtp`, `submission`, `submissions`, `imap`, `imaps`.
    pub name: &'static str,
    /// TLS from the first byte.
    pub implicit_tls: bool,
    /// ALPN protocol names accepted; a client that offers only others is refused.
    pub alpn: &'static [&'static [u8]],
    /// Session tickets are offered. Never on port 25: Microsoft's MTA aborts the handshake.
    pub tickets: bool,
    /// Said in the clear, with its line end, to one who is turned away because too many are connected.
    pub busy: &'static str,
    pub open: fn(&Opening<'_>) -> Box<dyn Session>,
}

/// Index into the services the engine was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId(pub usize);

/// What happened outside.
pub enum Event<'a> {
    /// Encrypted or plain, as it came from the socket.
    Received {
        conn: ConnId,
        bytes: &'a [u8],
    },
    /// The peer will send no more.
    Eof {
        conn: ConnId,
    },
    /// The connection is gone: reset, or writing failed.
    Lost {
        conn: ConnId,
    },
    Connected {
        conn: ConnId,
        result: Result<(), String>,
    },
    /// `io` has written this many bytes of `Engine::wire`.
    Sent {
        conn: ConnId,
        count: usize,
    },
    /// `Err`: nothing of the batch is known to be durable.
    Committed {
        results: Vec<(Ticket, Outcome)>,
    },
    CommitFailed {
        tickets: Vec<Ticket>,
        error: StoreError,
    },
    Read {
        ticket: Ticket,
        result: Result<Reply, StoreError>,
    },
    /// Index of the hash that matched, if any.
    Hashed {
        ticket: Ticket,
        matched: Option<usize>,
    },
    /// A datagram for a DNS socket that the engine asked for.
    Datagram {
        socket: Ticket,
        from: SocketAddr,
        bytes: &'a [u8],
    },
    /// Settings, certificates or domains changed in the file, or a person asks for it (SIGHUP).
    Reload,
    /// The files of `tls-cert` and `tls-key` as they are now; `None`: the certificate in the file serves.
    Pem(Option<Pem>),
    /// Finish what is in flight and stop accepting.
    Stop,
}

/// What the outside must do. Order matters; each is carried out once.
pub enum Effect {
    /// Bytes lie in `Engine::wire(conn)`: write them and say `Sent`.
    Send(ConnId),
    /// Stop or start reading this socket.
    Pause(ConnId),
    Resume(ConnId),
    /// Write what `wire` holds, then close. The engine has forgotten the conversation; `wire` still answers until
    /// `Lost` or all is `Sent`. Said once more, with an empty `wire`, when the peer does not read the rest in time.
    Close(ConnId),
    Connect {
        conn: ConnId,
        to: SocketAddr,
    },
    /// Open a UDP socket on a random port for `socket`, or send through it if it is open.
    Datagram {
        socket: Ticket,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    CloseDatagram(Ticket),
    /// Does `secret` match one of these PHC strings? An empty list costs as much as one that does not match.
    Hash {
        ticket: Ticket,
        secret: Vec<u8>,
        hashes: Vec<String>,
    },
    Read {
        ticket: Ticket,
        question: Question,
    },
    /// In this order, to the one writer.
    Commit(Vec<(Ticket, Write)>),
    /// A write given to `Engine::admin` is done or refused.
    Admin {
        ticket: Ticket,
        result: Result<Done, Refused>,
    },
    /// The configuration has been read again: open and close listeners, read the PEM files again and say `Pem`.
    Reloaded,
    /// All conversations have ended after `Stop`.
    Stopped,
}

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    pub chain: String,
    pub key: String,
}

/// What an engine is made of.
pub struct Setup {
    pub services: Vec<ServiceKind>,
    pub store: Reader,
    pub config: Arc<Config>,
    /// From the system, or from the simulator's seed.
    pub seed: [u8; 32],
    /// The files of `tls-cert` and `tls-key`, if set.
    pub pem: Option<Pem>,
    /// When the newest message came in: a wall clock before that is not believed.
    pub newest: Wall,
}

/// What `pillarbox status` shows of a running server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Open now, by the name of their service.
    pub connections: Vec<(&'static str, usize)>,
    pub gauges: Gauges,
    pub commits_waiting: usize,
    pub hashes_waiting: usize,
    /// Bytes of message bodies in flight.
    pub body_bytes: usize,
    pub has_certificate: bool,
    pub clock_trusted: bool,
}

/// The machine.
pub struct Engine {
    services: Vec<ServiceKind>,
    store: Reader,
    config: Arc<Config>,
    rng: Rng,
    pem: Option<Pem>,
    newest: Wall,
    tls: tls::Configs,
    passwords: passwords::Passwords,
    resolver: resolver::Resolver,

    conns: BTreeMap<ConnId, Box<Conn>>,
    last_conn: u64,
    crowd: Crowd,
    /// Connections that have something to do; each at most once.
    ready: VecDeque<ConnId>,
    /// Due only because of a hint: after those that have bytes or an answer, so that telling a thousand idle
    /// conversations of a delivery does not keep its sender waiting.
    hinted: VecDeque<ConnId>,
    deadlines: Deadlines,
    watchers: Watchers,
    alone: Alone,
    /// Conversations that found the body budget empty.
    starved: BTreeSet<ConnId>,
    budget_free: usize,
    /// Bytes in the buffers of all connections, as of when each was looked at last.
    buffered: usize,
    deflater: deflate::Deflater,
    /// Connections that are compressed.
    compressed: usize,
    gauges: Gauges,

    indexing: indexing::Indexing,
    last_ticket: u64,
    /// Open questions of conversations.
    asked: BTreeMap<Ticket, ConnId>,
    /// Changes that the writer has not answered yet.
    authors: BTreeMap<Ticket, Author>,
    in_flight: usize,

    /// Changes of this turn: they go out together, before everything else.
    commits: Vec<(Ticket, Write)>,
    effects: Vec<Effect>,
    reload: bool,
    reload_certificate: bool,
    /// Since `Stop`: when the grace period ends.
    stopping: Option<Mono>,
    stopped: bool,
    last_now: Now,
}

impl Engine {
    pub fn new(setup: Setup) -> Engine {
        let mut rng = Rng::new(&setup.seed);
        let passwords = passwords::Passwords::new(&mut rng);
        let mut deadlines = Deadlines::default();
        deadlines.add(Mono::default(), Due::Start);
        let mut engine = Engine {
            services: setup.services,
            store: setup.store,
            config: setup.config,
            rng,
            pem: setup.pem,
            newest: setup.newest,
            tls: tls::Configs::default(),
            passwords,
            resolver: resolver::Resolver::default(),
            conns: BTreeMap::new(),
            last_conn: 0,
            crowd: Crowd::default(),
            ready: VecDeque::new(),
            hinted: VecDeque::new(),
            deadlines,
            watchers: Watchers::default(),
            alone: Alone::default(),
            starved: BTreeSet::new(),
            budget_free: BODY_BUDGET_BYTES,
            buffered: 0,
            deflater: deflate::Deflater::default(),
            compressed: 0,
            gauges: Gauges::default(),
            indexing: indexing::Indexing::default(),
            last_ticket: 0,
            asked: BTreeMap::new(),
            authors: BTreeMap::new(),
            in_flight: 0,
            commits: Vec::new(),
            effects: Vec::new(),
            reload: false,
            reload_certificate: false,
            stopping: None,
            stopped: false,
            last_now: Now::default(),
        };
        engine.load_certificate();
        engine.store.end_turn();
        engine
    }

    /// A connection came in. `None`: too many are open, or the server is stopping; close it.
    pub fn accept(
        &mut self,
        now: Now,
        service: ServiceId,
        addr: SocketAddr,
        local: SocketAddr,
    ) -> Option<ConnId> {
        let kind = self.services.get(service.0)?;
        if self.stopping.is_some() || !self.crowd.admit(addr.ip()) {
            return None;
        }
        let mut conn = Conn::new(Some(service), addr, local);
        if kind.implicit_tls {
            let Some(stream) = self.tls.accept(service) else {
                log::warn!("{}: no certificate, so no TLS", kind.name);
                self.crowd.leave(addr.ip());
                return None;
            };
            conn.tls = Some(Box::new(stream));
        }
        self.gauges.connections += 1;
        let id = self.insert(conn);
        self.wait(id, Wait::Open, now.mono.after(HANDSHAKE_TIMEOUT));
        Some(id)
    }

    /// What to say to one that `accept` did not take. Nothing where TLS would have to come first.
    pub fn refusal(&self, service: ServiceId) -> &'static str {
        self.services.get(service.0).filter(|kind| !kind.implicit_tls).map_or("", |kind| kind.busy)
    }

    /// Begins a conversation of our own making, which will ask for its connection (`Want::Connect`).
    pub fn open(&mut self, session: Box<dyn Session>) -> ConnId {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut conn = Conn::new(None, nowhere, nowhere);
        conn.session = Some(session);
        let id = self.insert(conn);
        self.wait(id, Wait::Turn, Mono::NEVER);
        id
    }

    fn insert(&mut self, conn: Conn) -> ConnId {
        self.last_conn += 1;
        let id = ConnId(self.last_conn);
        self.conns.insert(id, Box::new(conn));
        id
    }

    /// A change from the command line, on the same path as all others. Answered with `Effect::Admin`.
    pub fn admin(&mut self, write: Write) -> Ticket {
        self.commit(Author::Admin, write)
    }

    pub fn status(&self) -> Status {
        let mut connections: Vec<(&'static str, usize)> =
            self.services.iter().map(|service| (service.name, 0)).collect();
        for conn in self.conns.values() {
            if let Some(entry) = conn.service.and_then(|service| connections.get_mut(service.0)) {
                entry.1 += 1;
            }
        }
        Status {
            connections,
            gauges: self.gauges.clone(),
            commits_waiting: self.in_flight,
            hashes_waiting: self.passwords.waiting(),
            body_bytes: BODY_BUDGET_BYTES - self.budget_free,
            has_certificate: self.tls.is_ready(),
            clock_trusted: self.clock_trusted(self.last_now.wall),
        }
    }

    /// Takes note, does no work.
    pub fn on(&mut self, now: Now, event: Event<'_>) {
        match event {
            Event::Received { conn, bytes } => self.received(conn, bytes),
            Event::Eof { conn } => self.eof(conn),
            Event::Lost { conn } => self.forget(conn),
            Event::Connected { conn, result } => self.connected(conn, result),
            Event::Sent { conn, count } => self.sent(conn, count),
            Event::Committed { results } => self.committed(now, results),
            Event::CommitFailed { tickets, error } => self.commit_failed(tickets, &error),
            Event::Read { ticket, result } => {
                if !self.index_answered(now, ticket, &result) {
                    self.answer(ticket, Answer::Read(result));
                }
            }
            Event::Hashed { ticket, matched } => self.passwords.hashed(ticket, matched),
            Event::Datagram { socket, from, bytes } => self.resolver.received(socket, from, bytes),
            Event::Reload => self.reload = true,
            Event::Pem(pem) => {
                self.pem = pem;
                self.reload_certificate = true;
            }
            Event::Stop => self.stop(now),
        }
    }

    fn received(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.wait != Wait::Closing) else { return };
        conn.received(bytes);
        if !conn.marks.paused && conn.is_stuffed() {
            conn.marks.paused = true;
            self.effects.push(Effect::Pause(id));
        }
        self.wake(id);
    }

    fn eof(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.wait != Wait::Closing) else { return };
        conn.hung_up();
        self.wake(id);
    }

    fn sent(&mut self, id: ConnId, count: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.sent(count);
        if conn.wait != Wait::Closing {
            if conn.wait == Wait::Room || conn.has_unsent() {
                self.wake(id);
            }
        } else if conn.wire().is_empty() {
            self.forget(id);
        }
    }

    /// Works, bounded. Returns when to call again if nothing happens.
    pub fn turn(&mut self, now: Now) -> Option<Mono> {
        self.last_now = now;
        self.tls.tell_time(now.wall);
        self.reload_if_asked();
        self.fire_deadlines(now);
        self.answer_passwords(now);
        self.answer_dns(now);
        let mut steps = 0;
        for _ in 0..self.ready.len() {
            if steps >= STEPS_PER_TURN {
                break;
            }
            if let Some(id) = self.ready.pop_front() {
                steps += self.run(now, id);
            }
        }
        // A busy queue leaves half a turn to those that were only hinted.
        let mut left = STEPS_PER_TURN.saturating_sub(steps).max(STEPS_PER_TURN / 2);
        while let Some(id) = self.hinted.pop_front_if(|_| left > 0) {
            left = left.saturating_sub(self.run(now, id));
        }
        self.say_stopped();
        self.store.end_turn();
        self.next_turn(now)
    }

    /// What the outside must do now, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(self.effects.len() + 1);
        if !self.commits.is_empty() {
            effects.push(Effect::Commit(std::mem::take(&mut self.commits)));
        }
        effects.append(&mut self.effects);
        for effect in &effects {
            if let Effect::Send(id) = effect
                && let Some(conn) = self.conns.get_mut(id)
            {
                conn.marks.sending = false;
            }
        }
        effects
    }

    /// What was noted since the last turn needs another one at once. Bytes that were sent often need none.
    pub fn is_stirred(&self) -> bool {
        !self.ready.is_empty()
            || !self.hinted.is_empty()
            || !self.effects.is_empty()
            || !self.commits.is_empty()
            || self.reload
            || self.reload_certificate
            || self.passwords.has_news()
            || self.resolver.has_news()
            || self.is_over()
    }

    /// Bytes on their way to the peer of `conn`, encrypted where it is.
    pub fn wire(&self, conn: ConnId) -> &[u8] {
        self.conns.get(&conn).map(|conn| conn.wire()).unwrap_or_default()
    }
}
