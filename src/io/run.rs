//! The loop. Once a turn: the clock is read, all that happened is told to the engine, the engine works, what it wants is
//! carried out, and the loop sleeps until something happens or the engine's next deadline. An idle server sleeps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use crate::base::{ConnId, Mono, Now, Ticket, limits};
use crate::engine::{Effect, Engine, Event, ServiceId, Setup};

use super::control::Control;
use super::datagrams::Datagrams;
use super::hasher::Hashers;
use super::inbox::{Inbox, Note};
use super::listen::{Accepted, Listener, Wanted};
use super::reader::ReaderThread;
use super::setup::Clock;
use super::signals::{Wish, Wishes};
use super::socket::{Edge, Sockets, turn_away};
use super::writer::WriterThread;
use super::{Failure, services};

/// Whom an event of the system concerns. Packed into mio's token: three bits of kind, the rest a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Waker,
    Signals,
    Control,
    Listener(u64),
    Conn(ConnId),
    Client(u64),
    Datagrams(Ticket),
}

impl Who {
    fn token(self) -> Token {
        let (kind, number) = match self {
            Who::Waker => (0, 0),
            Who::Signals => (1, 0),
            Who::Control => (2, 0),
            Who::Listener(number) => (3, number),
            Who::Conn(conn) => (4, conn.0),
            Who::Client(number) => (5, number),
            Who::Datagrams(ticket) => (6, ticket.0),
        };
        Token(number as usize * 8 + kind)
    }

    fn of(Token(token): Token) -> Who {
        let number = (token / 8) as u64;
        match token % 8 {
            0 => Who::Waker,
            1 => Who::Signals,
            2 => Who::Control,
            3 => Who::Listener(number),
            4 => Who::Conn(ConnId(number)),
            5 => Who::Client(number),
            _ => Who::Datagrams(Ticket(number)),
        }
    }
}

/// What a running server works with, apart from the engine.
pub struct World {
    poll: Poll,
    clock: Clock,
    db: PathBuf,
    ports: services::Ports,
    listeners: BTreeMap<u64, Listener>,
    next_listener: u64,
    sockets: Sockets,
    datagrams: Datagrams,
    control: Control,
    wishes: Wishes,
    inbox: Inbox,
    reader: ReaderThread,
    /// Questions that the reader thread has not answered yet.
    reading: usize,
    writer: WriterThread,
    hashers: Hashers,
    /// When freed memory is given back, if it stays quiet until then; and later, whether it is time to rest.
    trim: Option<Mono>,
    trimmed: bool,
    /// Set by the first stop signal: when to end even if not all conversations have.
    stop_by: Option<Mono>,
    stopped: bool,
}

/// The threads' shares of the file, and where the world stands.
pub struct Parts {
    pub db: PathBuf,
    pub ports: services::Ports,
    pub listeners: Vec<Listener>,
    pub reads: crate::store::Reader,
    pub writes: crate::store::Writer,
}

impl World {
    pub fn new(parts: Parts) -> Result<World, Failure> {
        let trouble = |error: std::io::Error| Failure::Other(format!("the server cannot start: {error}"));
        let poll = Poll::new().map_err(trouble)?;
        let inbox = Inbox::new(Waker::new(poll.registry(), Who::Waker.token()).map_err(trouble)?);
        let mut world = World {
            control: Control::listen(&parts.db, poll.registry(), Who::Control.token())?,
            wishes: Wishes::listen(poll.registry(), Who::Signals.token())?,
            reader: ReaderThread::start(parts.reads, &inbox).map_err(trouble)?,
            writer: WriterThread::start(parts.writes, &inbox).map_err(trouble)?,
            hashers: Hashers::start(&inbox).map_err(trouble)?,
            poll,
            clock: Clock::start(),
            db: parts.db,
            ports: parts.ports,
            listeners: BTreeMap::new(),
            next_listener: 0,
            sockets: Sockets::new(),
            datagrams: Datagrams::default(),
            inbox,
            reading: 0,
            trim: None,
            trimmed: false,
            stop_by: None,
            stopped: false,
        };
        for listener in parts.listeners {
            world.add(listener)?;
        }
        Ok(world)
    }

    fn add(&mut self, mut listener: Listener) -> Result<(), Failure> {
        self.next_listener += 1;
        listener.register(self.poll.registry(), Who::Listener(self.next_listener).token())?;
        self.listeners.insert(self.next_listener, listener);
        Ok(())
    }

    /// Serves until a signal says stop and all conversations have ended, or a thread has died.
    pub fn run(mut self, setup: Setup) -> Result<(), Failure> {
        let mut engine = Engine::new(setup);
        let mut events = Events::with_capacity(1024);
        let mut wake = Some(self.clock.now().mono);
        while !self.ended() {
            self.sleep(&mut events, wake, engine.is_stirred())?;
            let now = self.clock.now();
            self.tell(&mut engine, now, &events)?;
            wake = engine.turn(now);
            for effect in engine.effects() {
                self.carry_out(&mut engine, now, effect);
            }
        }
        self.reader.stop();
        // The engine's connection goes before the writer's: the last one to close leaves a single file behind.
        drop(engine);
        self.writer.stop();
        Ok(())
    }

    fn ended(&self) -> bool {
        let overdue = self.stop_by.is_some_and(|until| until <= self.clock.now().mono);
        overdue || (self.stopped && self.sockets.all_said())
    }

    /// Until something happens, or `wake`, or one of our own deadlines; not at all if there is work left.
    fn sleep(&mut self, events: &mut Events, wake: Option<Mono>, stirred: bool) -> Result<(), Failure> {
        let now = self.clock.now().mono;
        let busy = stirred
            || self.sockets.busy()
            || self.datagrams.busy()
            || self.control.busy()
            || self.listeners.values().any(Listener::busy);
        let until = [wake, self.sockets.deadline(), self.control.deadline(), self.trim, self.stop_by]
            .into_iter()
            .chain(self.listeners.values().map(Listener::deadline))
            .flatten()
            .min()
            .filter(|until| *until != Mono::NEVER);
        // A warm read takes less time than falling asleep: half of what opening a message costs.
        if !busy && self.reading > 0 {
            self.inbox.watch(limits::ANSWER_SPIN);
        }
        let sleeps = !busy && self.inbox.may_sleep();
        let timeout = if sleeps { until.map(|until| until.since(now)) } else { Some(Duration::ZERO) };
        let polled = self.poll.poll(events, timeout);
        self.inbox.awake();
        match polled {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(Failure::Other(format!("the loop cannot wait for events: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Everything that happened, in the order: threads' answers, connections, bytes.
    fn tell(&mut self, engine: &mut Engine, now: Now, events: &Events) -> Result<(), Failure> {
        for event in events {
            self.edge(engine, now, event);
        }
        for note in self.inbox.take() {
            self.note(engine, now, note)?;
        }
        self.control.accept(self.poll.registry(), now, |number| Who::Client(number).token());
        self.accept(engine, now);
        self.sockets.send_on(engine, now);
        self.sockets.read(engine, now);
        self.datagrams.read_on(engine, now);
        self.sockets.expire(now);
        self.control.expire(now);
        self.tidy(engine, now, !events.is_empty());
        Ok(())
    }

    fn edge(&mut self, engine: &mut Engine, now: Now, event: &mio::event::Event) {
        match Who::of(event.token()) {
            Who::Waker => {}
            Who::Signals => {
                for wish in self.wishes.take() {
                    self.wish(engine, now, wish);
                }
            }
            Who::Control => self.control.edge(),
            Who::Listener(number) => {
                if let Some(listener) = self.listeners.get_mut(&number) {
                    listener.edge();
                }
            }
            Who::Conn(conn) => {
                let edge = Edge {
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    ending: event.is_read_closed(),
                    error: event.is_error(),
                };
                self.sockets.edge(engine, now, conn, edge);
            }
            Who::Client(number) => {
                let listeners = &self.listeners;
                let about = || about(listeners, now);
                self.control.client(engine, now, number, about);
            }
            Who::Datagrams(ticket) => self.datagrams.edge(engine, now, ticket),
        }
    }

    fn wish(&mut self, engine: &mut Engine, now: Now, wish: Wish) {
        match wish {
            Wish::Reload => engine.on(now, Event::Reload),
            Wish::Stop if self.stop_by.is_none() => {
                log::info!("stopping: what is in flight is finished first");
                self.listeners.clear();
                self.stop_by = Some(now.mono.after(limits::EXIT_TIMEOUT));
                engine.on(now, Event::Stop);
            }
            // Asked twice: whoever asks is in a hurry.
            Wish::Stop => self.stop_by = Some(now.mono),
        }
    }

    fn note(&mut self, engine: &mut Engine, now: Now, note: Note) -> Result<(), Failure> {
        match note {
            Note::Committed(results) => engine.on(now, Event::Committed { results }),
            Note::CommitFailed(tickets, error) => engine.on(now, Event::CommitFailed { tickets, error }),
            Note::Read(ticket, result) => {
                self.reading = self.reading.saturating_sub(1);
                engine.on(now, Event::Read { ticket, result });
            }
            Note::Hashed(ticket, matched) => engine.on(now, Event::Hashed { ticket, matched }),
            Note::Died(thread) => {
                return Err(Failure::Other(format!(
                    "the {thread} thread has failed; the server ends, and nothing that was acknowledged is lost"
                )));
            }
        }
        Ok(())
    }

    fn accept(&mut self, engine: &mut Engine, now: Now) {
        for listener in self.listeners.values_mut() {
            for _ in 0..limits::ACCEPTS_PER_TURN {
                let Accepted::One(stream, from) = listener.accept(now) else { break };
                let local = stream.local_addr().unwrap_or(listener.local);
                let service = listener.wanted.service;
                let Some(conn) = engine.accept(now, service, from, local) else {
                    turn_away(stream, engine.refusal(service));
                    continue;
                };
                let token = Who::Conn(conn).token();
                if !self.sockets.adopt(self.poll.registry(), conn, token, stream) {
                    engine.on(now, Event::Lost { conn });
                }
            }
        }
    }

    fn tidy(&mut self, engine: &Engine, now: Now, active: bool) {
        if active {
            (self.trim, self.trimmed) = (Some(now.mono.after(limits::TRIM_AFTER)), false);
        } else if self.trim.is_some_and(|until| until <= now.mono) {
            let resting = std::mem::replace(&mut self.trimmed, true);
            if resting {
                engine.rest();
            }
            super::sys::give_memory_back();
            self.trim = (!resting).then(|| now.mono.after(limits::REST_AFTER));
        }
    }

    fn carry_out(&mut self, engine: &mut Engine, now: Now, effect: Effect) {
        match effect {
            Effect::Send(conn) => self.sockets.send(engine, now, conn),
            Effect::Pause(conn) => self.sockets.pause(conn),
            Effect::Resume(conn) => self.sockets.resume(conn),
            Effect::Close(conn) => self.sockets.close(engine, now, conn),
            Effect::Connect { conn, to } => {
                let token = Who::Conn(conn).token();
                if let Err(why) = self.sockets.connect(self.poll.registry(), conn, token, to) {
                    engine.on(now, Event::Connected { conn, result: Err(why) });
                }
            }
            Effect::Datagram { socket, to, bytes } => {
                let token = Who::Datagrams(socket).token();
                self.datagrams.send(self.poll.registry(), socket, token, to, &bytes);
            }
            Effect::CloseDatagram(socket) => self.datagrams.close(socket),
            Effect::Hash { ticket, secret, hashes } => self.hashers.check(ticket, secret, hashes),
            Effect::Read { ticket, question } => {
                self.reading += 1;
                self.reader.ask(ticket, question);
            }
            Effect::Commit(writes) => self.writer.commit(writes),
            Effect::Admin { ticket, result } => self.control.changed(ticket, result),
            Effect::Reloaded => self.reload(engine, now),
            Effect::Stopped => self.stopped = true,
        }
    }

    /// The settings have been read again. What is as before stays open; what cannot be opened is said and left.
    fn reload(&mut self, engine: &mut Engine, now: Now) {
        let fresh = match services::Fresh::read(&self.db, &self.ports) {
            Ok(fresh) => fresh,
            Err(failure) => return log::error!("the settings stay as they were: {failure}"),
        };
        engine.on(now, Event::Pem(fresh.pem));
        if self.stop_by.is_some() {
            return;
        }
        self.listeners.retain(|_, listener| fresh.wanted.contains(&listener.wanted));
        let open: Vec<Wanted> = self.listeners.values().map(|listener| listener.wanted).collect();
        for wanted in fresh.wanted.into_iter().filter(|wanted| !open.contains(wanted)) {
            if let Err(failure) = Listener::bind(wanted).and_then(|listener| self.add(listener)) {
                log::error!("{failure}");
            }
        }
    }
}

/// What io itself knows for `status`.
fn about(listeners: &BTreeMap<u64, Listener>, now: Now) -> Vec<(String, String)> {
    let mut rows = vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("process".to_owned(), std::process::id().to_string()),
        ("uptime-seconds".to_owned(), now.mono.since(Mono(0)).as_secs().to_string()),
    ];
    for listener in listeners.values() {
        let ServiceId(service) = listener.wanted.service;
        let name = services::TABLE.get(service).map_or("", |service| service.kind.name);
        rows.push((format!("listening-{name}"), listener.local.to_string()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_event_concerns_goes_through_the_token() {
        for who in [
            Who::Waker,
            Who::Signals,
            Who::Control,
            Who::Listener(3),
            Who::Conn(ConnId(1 << 40)),
            Who::Client(0),
            Who::Datagrams(Ticket(9)),
        ] {
            assert_eq!(Who::of(who.token()), who);
        }
    }
}
