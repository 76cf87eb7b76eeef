//! TCP connections, in and out: bytes between the system and the engine, bounded per turn. Sockets are registered once,
//! edge-triggered, for both directions; what an edge said is remembered until the system says "would block", so that
//! pausing and resuming cost no system call, and an idle connection costs none at all.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::base::{ConnId, Mono, Now, limits};
use crate::engine::{Engine, Event};

/// All open connections.
pub struct Sockets {
    open: BTreeMap<ConnId, Socket>,
    /// Those the system may have bytes for, in the order they are served.
    readable: VecDeque<ConnId>,
    /// Those that took all we had while there was more to come.
    unfinished: Vec<ConnId>,
    /// Those that wait for the peer's hang-up, the oldest first.
    lingering: VecDeque<(Mono, ConnId)>,
    scratch: Vec<u8>,
}

struct Socket {
    stream: TcpStream,
    phase: Phase,
    /// The system may have bytes (or the end) for us.
    readable: bool,
    /// Lies in `Sockets::readable`.
    queued: bool,
    /// The engine wants no more bytes for now.
    paused: bool,
    /// The last write filled the system's buffer: wait for the next edge.
    blocked: bool,
    /// The peer has said its last byte, seen or not: a short read does not mean that nothing follows.
    ending: bool,
    /// The peer's last byte has been read.
    eof: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    /// The engine has forgotten the conversation; its last words are on their way.
    Closing,
    /// All is said; the peer hangs up, or its time is up. What it still sends is dropped.
    Lingering {
        dropped: usize,
    },
}

/// What mio said about a socket.
#[derive(Clone, Copy)]
pub struct Edge {
    pub readable: bool,
    pub writable: bool,
    pub ending: bool,
    pub error: bool,
}

impl Sockets {
    pub fn new() -> Sockets {
        Sockets {
            open: BTreeMap::new(),
            readable: VecDeque::new(),
            unfinished: Vec::new(),
            lingering: VecDeque::new(),
            scratch: vec![0; limits::READ_PER_TURN_BYTES],
        }
    }

    /// There is something to do at once: do not sleep.
    pub fn busy(&self) -> bool {
        !self.readable.is_empty() || !self.unfinished.is_empty()
    }

    /// When `expire` is to be called next.
    pub fn deadline(&self) -> Option<Mono> {
        self.lingering.front().map(|(until, _)| *until)
    }

    /// Takes over a connection that the engine has accepted.
    pub fn adopt(&mut self, registry: &Registry, conn: ConnId, token: Token, mut stream: TcpStream) -> bool {
        // Without it a small reply can wait 40 ms for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut stream, token, both) {
            log::warn!("a connection cannot be watched: {error}");
            return false;
        }
        self.open.insert(conn, Socket::new(stream, Phase::Open));
        true
    }

    /// Begins a connection to somebody; the engine hears `Connected` later, or at once if it cannot even begin.
    pub fn connect(
        &mut self,
        registry: &Registry,
        conn: ConnId,
        token: Token,
        to: SocketAddr,
    ) -> Result<(), String> {
        let begin = || {
            let mut stream = TcpStream::connect(to)?;
            let _ = stream.set_nodelay(true);
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        };
        let stream = begin().map_err(|error: std::io::Error| error.to_string())?;
        self.open.insert(conn, Socket::new(stream, Phase::Connecting));
        Ok(())
    }

    /// What the system says about one socket. Only writing happens here; reading has its turn in `read`.
    pub fn edge(&mut self, engine: &mut Engine, now: Now, conn: ConnId, edge: Edge) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        if socket.phase == Phase::Connecting {
            if edge.writable || edge.error {
                self.connected(engine, now, conn);
            }
            return;
        }
        if edge.error {
            self.lose(engine, now, conn);
            return;
        }
        socket.ending |= edge.ending;
        if edge.readable || edge.ending {
            socket.readable = true;
            self.queue(conn);
        }
        if edge.writable {
            self.unblock(engine, now, conn);
        }
    }

    fn unblock(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        if let Some(socket) = self.open.get_mut(&conn)
            && std::mem::take(&mut socket.blocked)
        {
            self.send(engine, now, conn);
        }
    }

    fn connected(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        let result = match (socket.stream.take_error(), socket.stream.peer_addr()) {
            (Ok(None), Ok(_)) => Ok(()),
            (Ok(None), Err(error)) if error.kind() == ErrorKind::NotConnected => return,
            (Ok(Some(error)) | Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        };
        socket.phase = Phase::Open;
        socket.readable = true;
        if result.is_err() {
            self.open.remove(&conn);
        } else {
            self.queue(conn);
        }
        engine.on(now, Event::Connected { conn, result });
    }

    fn queue(&mut self, conn: ConnId) {
        if let Some(socket) = self.open.get_mut(&conn)
            && socket.readable
            && !socket.queued
            && !socket.paused
        {
            socket.queued = true;
            self.readable.push_back(conn);
        }
    }

    /// Reads from each readable socket once, up to the limits of a turn.
    pub fn read(&mut self, engine: &mut Engine, now: Now) {
        for _ in 0..self.readable.len().min(limits::READS_PER_TURN) {
            let Some(conn) = self.readable.pop_front() else { break };
            self.read_one(engine, now, conn);
            self.queue(conn);
        }
    }

    fn read_one(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        socket.queued = false;
        if socket.paused || socket.eof {
            return;
        }
        let count = match socket.stream.read(&mut self.scratch) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.readable = false;
                return;
            }
            Err(_) => return self.lose(engine, now, conn),
        };
        socket.eof = count == 0;
        // A short read has drained the socket, unless the end is waiting behind it.
        socket.readable = !socket.eof && (count == self.scratch.len() || socket.ending);
        let bytes = self.scratch.get(..count).unwrap_or_default();
        match socket.phase {
            Phase::Connecting | Phase::Open if count == 0 => engine.on(now, Event::Eof { conn }),
            Phase::Connecting | Phase::Open => engine.on(now, Event::Received { conn, bytes }),
            Phase::Closing | Phase::Lingering { .. } => self.drop_bytes(engine, now, conn, count),
        }
    }

    /// A peer that talks on after our last words is listened to politely, but not for ever.
    fn drop_bytes(&mut self, engine: &mut Engine, now: Now, conn: ConnId, count: usize) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        let Phase::Lingering { dropped } = &mut socket.phase else { return };
        *dropped += count;
        if socket.eof || *dropped > limits::LINGER_BYTES_MAX {
            self.lose(engine, now, conn);
        }
    }

    /// Writes what the engine has for this peer, as much as the system takes now.
    pub fn send(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        if socket.blocked || socket.phase == Phase::Connecting {
            return;
        }
        let wire = engine.wire(conn);
        if wire.is_empty() {
            return self.finish(conn, now);
        }
        match socket.stream.write(wire) {
            Ok(count) => {
                let blocked = count < wire.len();
                socket.blocked = blocked;
                engine.on(now, Event::Sent { conn, count });
                if engine.wire(conn).is_empty() {
                    self.finish(conn, now);
                } else if !blocked {
                    self.unfinished.push(conn);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => socket.blocked = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.unfinished.push(conn),
            Err(_) => self.lose(engine, now, conn),
        }
    }

    /// Goes on with those that took everything last time: there may be more by now, or nothing for ever.
    pub fn send_on(&mut self, engine: &mut Engine, now: Now) {
        for conn in std::mem::take(&mut self.unfinished) {
            self.send(engine, now, conn);
        }
    }

    /// The engine has forgotten the conversation: its last words go out, then the socket closes. Said again, it
    /// closes at once.
    pub fn close(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        match socket.phase {
            Phase::Open => {
                socket.phase = Phase::Closing;
                socket.paused = false;
                self.queue(conn);
                self.send(engine, now, conn);
            }
            Phase::Connecting | Phase::Closing | Phase::Lingering { .. } => self.lose(engine, now, conn),
        }
    }

    /// All last words are out: says so to the peer, and waits for its hang-up.
    fn finish(&mut self, conn: ConnId, now: Now) {
        let Some(socket) = self.open.get_mut(&conn) else { return };
        if socket.phase != Phase::Closing {
            return;
        }
        if socket.eof || socket.stream.shutdown(Shutdown::Write).is_err() {
            self.open.remove(&conn);
            return;
        }
        socket.phase = Phase::Lingering { dropped: 0 };
        self.lingering.push_back((now.mono.after(limits::LINGER_TIMEOUT), conn));
    }

    /// Closes what has lingered long enough.
    pub fn expire(&mut self, now: Now) {
        while let Some(&(until, conn)) = self.lingering.front()
            && (until <= now.mono || !self.open.contains_key(&conn))
        {
            self.lingering.pop_front();
            self.open.remove(&conn);
        }
    }

    pub fn pause(&mut self, conn: ConnId) {
        if let Some(socket) = self.open.get_mut(&conn) {
            socket.paused = true;
        }
    }

    pub fn resume(&mut self, conn: ConnId) {
        if let Some(socket) = self.open.get_mut(&conn) {
            socket.paused = false;
        }
        self.queue(conn);
    }

    /// Nobody is connected any more, apart from peers that have yet to hang up.
    pub fn all_said(&self) -> bool {
        self.open.values().all(|socket| matches!(socket.phase, Phase::Lingering { .. }))
    }

    fn lose(&mut self, engine: &mut Engine, now: Now, conn: ConnId) {
        let Some(socket) = self.open.remove(&conn) else { return };
        if !matches!(socket.phase, Phase::Lingering { .. }) {
            engine.on(now, Event::Lost { conn });
        }
    }
}

/// Says one line, as far as the system takes it at once, and hangs up.
pub fn turn_away(mut stream: TcpStream, line: &str) {
    // Nobody is owed more than the attempt.
    if !line.is_empty() && stream.write(line.as_bytes()).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

impl Socket {
    fn new(stream: TcpStream, phase: Phase) -> Socket {
        Socket {
            stream,
            phase,
            readable: false,
            queued: false,
            paused: false,
            blocked: false,
            ending: false,
            eof: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_hears_why() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer =
            std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        stream.set_nonblocking(true).expect("set");
        turn_away(TcpStream::from_std(stream), "421 4.3.2 Later\r\n");
        let mut heard = String::new();
        peer.read_to_string(&mut heard).expect("the end");
        assert_eq!(heard, "421 4.3.2 Later\r\n");
    }
}
