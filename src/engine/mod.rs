//! Floor 5: the whole server as one deterministic machine. `on` takes note, `turn` works, `effects` says what the
//! outside must do. No sockets, no threads, no clocks: io and the simulator are two worlds around the same engine.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::{Config, ConnId, Mono, Now, Ticket};
use crate::session::{Opening, Session};
use crate::store::{Outcome, Question, Reader, Reply, StoreError, Write};

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
    /// Settings, certificates or domains changed in the file.
    Reload,
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
    /// `Lost` or all is `Sent`.
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
    /// All conversations have ended after `Stop`.
    Stopped,
}

/// The machine.
pub struct Engine {
    _private: (),
}

#[allow(unused_variables)]
impl Engine {
    pub fn new(services: Vec<ServiceKind>, store: Reader, config: Arc<Config>, seed: &[u8; 32]) -> Engine {
        todo!()
    }

    /// A connection came in. `None`: too many are open, close it.
    pub fn accept(
        &mut self,
        now: Now,
        service: ServiceId,
        addr: SocketAddr,
        local: SocketAddr,
    ) -> Option<ConnId> {
        todo!()
    }

    /// Takes note, does no work.
    pub fn on(&mut self, now: Now, event: Event<'_>) {
        todo!()
    }

    /// Works, bounded. Returns when to call again if nothing happens.
    pub fn turn(&mut self, now: Now) -> Option<Mono> {
        todo!()
    }

    /// What the outside must do now, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        todo!()
    }

    /// Bytes on their way to the peer of `conn`, encrypted where it is.
    pub fn wire(&self, conn: ConnId) -> &[u8] {
        todo!()
    }
}
