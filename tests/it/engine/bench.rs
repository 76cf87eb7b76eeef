//! A world of one engine and a hand on every lever: time, bytes, and each effect are the test's.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pillarbox::base::{Config, ConnId, Mono, Now, Ticket, Wall};
use pillarbox::engine::{Effect, Engine, Event, Pem, ServiceId, ServiceKind, Setup};
use pillarbox::session::{Cx, Opening, Session, Want};
use pillarbox::store::{Outcome, Reader, Write, Writer};

pub const NEVER: Mono = Mono::NEVER;
/// 2026-11-23, well after the floor of the clock.
pub const WALL: i64 = 1_795_468_194;

/// A conversation made of one function.
pub struct Talk<F>(pub F);

impl<F: FnMut(&mut Cx<'_>) -> Want + Send> Session for Talk<F> {
    fn step(&mut self, cx: &mut Cx<'_>) -> Want {
        (self.0)(cx)
    }
}

pub fn talk(step: impl FnMut(&mut Cx<'_>) -> Want + Send + 'static) -> Box<dyn Session> {
    Box::new(Talk(step))
}

/// Says back what it hears, until the peer hangs up.
pub fn echo(cx: &mut Cx<'_>) -> Want {
    let heard = cx.input.peek().to_vec();
    cx.input.consume(heard.len());
    cx.output.push(&heard);
    if cx.input.eof() { Want::Close } else { Want::Bytes { until: NEVER } }
}

pub fn open_echo(_: &Opening<'_>) -> Box<dyn Session> {
    talk(echo)
}

/// Greets, and begins TLS at `STARTTLS`; after that it is an echo that says so.
pub fn open_starttls(_: &Opening<'_>) -> Box<dyn Session> {
    let mut greeted = false;
    talk(move |cx| {
        if !std::mem::replace(&mut greeted, true) {
            cx.output.str("hello\r\n");
        }
        if cx.peer.tls.is_some() {
            cx.output.str("safe:");
            return echo(cx);
        }
        if cx.input.peek().starts_with(b"STARTTLS\r\n") {
            cx.input.consume(10);
            cx.output.str("go ahead\r\n");
            return Want::Tls;
        }
        Want::Bytes { until: NEVER }
    })
}

pub fn service(name: &'static str, open: fn(&Opening<'_>) -> Box<dyn Session>) -> ServiceKind {
    ServiceKind { name, implicit_tls: false, alpn: &[], tickets: false, busy: "busy\r\n", open }
}

pub struct Bench {
    pub engine: Engine,
    pub now: Now,
    pub next: Option<Mono>,
    pub writer: Writer,
    pub reader: Reader,
    /// What the peer of a connection has received.
    pub heard: BTreeMap<ConnId, Vec<u8>>,
    /// Effects that the test answers itself: all but `Send`.
    pub effects: VecDeque<Effect>,
    /// These peers do not read.
    pub deaf: Vec<ConnId>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(vec![service("echo", open_echo)], None, Config::default())
    }

    pub fn with(services: Vec<ServiceKind>, pem: Option<Pem>, config: Config) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("box.db");
        let writer = Writer::create(&file).expect("a new file");
        let reader = Reader::open(&file).expect("a file to read");
        let store = Reader::open(&file).expect("a file to read");
        let config = Arc::new(config);
        let setup = Setup { services, store, config, seed: [7; 32], pem, newest: Wall(0) };
        Bench {
            engine: Engine::new(setup),
            now: Now { mono: Mono(1_000_000), wall: Wall::from_unix(WALL) },
            next: None,
            writer,
            reader,
            heard: BTreeMap::new(),
            effects: VecDeque::new(),
            deaf: Vec::new(),
            _folder: folder,
        }
    }

    pub fn connect(&mut self, service: usize) -> ConnId {
        self.connect_from(service, "192.0.2.1:1234").expect("room for a connection")
    }

    pub fn connect_from(&mut self, service: usize, from: &str) -> Option<ConnId> {
        let from: SocketAddr = from.parse().expect("an address");
        let local = SocketAddr::from(([192, 0, 2, 25], 25));
        let conn = self.engine.accept(self.now, ServiceId(service), from, local);
        self.run();
        conn
    }

    /// A conversation of the test's own; its connection is there already.
    pub fn open(&mut self, step: impl FnMut(&mut Cx<'_>) -> Want + Send + 'static) -> ConnId {
        let conn = self.engine.open(talk(step));
        self.run();
        conn
    }

    pub fn on(&mut self, event: Event<'_>) {
        self.engine.on(self.now, event);
        self.run();
    }

    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.on(Event::Received { conn, bytes });
    }

    pub fn wait(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono.after(time), wall: self.now.wall.after(time) };
        self.run();
    }

    /// Turns until there is nothing to do now. Everybody who is not deaf reads at once.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            self.next = self.engine.turn(self.now);
            let effects = self.engine.effects();
            let quiet = effects.is_empty();
            for effect in effects {
                match effect {
                    Effect::Send(conn) => self.deliver(conn),
                    Effect::Close(conn) => {
                        self.deliver(conn);
                        self.effects.push_back(Effect::Close(conn));
                    }
                    other => self.effects.push_back(other),
                }
            }
            if quiet && self.next != Some(self.now.mono) {
                return;
            }
        }
        panic!("the engine finds no rest");
    }

    fn deliver(&mut self, conn: ConnId) {
        if self.deaf.contains(&conn) {
            return;
        }
        let bytes = self.engine.wire(conn).to_vec();
        self.heard.entry(conn).or_default().extend_from_slice(&bytes);
        self.engine.on(self.now, Event::Sent { conn, count: bytes.len() });
    }

    /// What the peer has received since the last call.
    pub fn hear(&mut self, conn: ConnId) -> Vec<u8> {
        self.heard.remove(&conn).unwrap_or_default()
    }

    pub fn hear_text(&mut self, conn: ConnId) -> String {
        String::from_utf8(self.hear(conn)).expect("text")
    }

    pub fn closed(&self, conn: ConnId) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Close(one) if *one == conn))
    }

    /// The first effect that `choose` knows, taken from the list.
    pub fn take<T>(&mut self, choose: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        let (position, found) = self
            .effects
            .iter()
            .enumerate()
            .find_map(|(at, effect)| choose(effect).map(|found| (at, found)))?;
        self.effects.remove(position);
        Some(found)
    }

    /// All changes that wait for the writer.
    pub fn commits(&mut self) -> Vec<(Ticket, Write)> {
        let mut all = Vec::new();
        while let Some(batch) = self.take(|effect| match effect {
            Effect::Commit(batch) => Some(batch.clone()),
            _ => None,
        }) {
            all.extend(batch);
        }
        all
    }

    /// Commits what waits, for real, and tells the engine.
    pub fn commit(&mut self) {
        let batch = self.commits();
        let results = self.writer.commit(batch).expect("a commit");
        self.on(Event::Committed { results });
    }

    /// Answers what waits with an outcome of the test's making.
    pub fn commit_as(&mut self, outcome: Outcome) {
        let results = self.commits().into_iter().map(|(ticket, _)| (ticket, outcome.clone())).collect();
        self.on(Event::Committed { results });
    }

    /// Makes a change behind the engine's back, before it runs.
    pub fn prepare(&mut self, write: Write) {
        let outcomes = self.writer.commit(vec![(Ticket(0), write)]).expect("a commit");
        assert!(outcomes.iter().all(|(_, outcome)| outcome.result.is_ok()), "{outcomes:?}");
    }
}
