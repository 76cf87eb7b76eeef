//! Floor 5: the whole server as one deterministic machine. `on` takes note, `turn` works, `effects` says what the
//! outside must do. No sockets, no threads, no clocks: io and the simulator are two worlds around the same engine.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::{Config, ConnId, Mono, Now, Ticket, Wall};
use crate::session::{Gauges, Opening, Session};
use crate::store::{Done, Outcome, Question, Reader, Refused, Reply, StoreError, Write};

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
    _private: (),
}

#[allow(unused_variables)]
impl Engine {
    pub fn new(setup: Setup) -> Engine {
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

    /// A change from the command line, on the same path as all others. Answered with `Effect::Admin`.
    pub fn admin(&mut self, write: Write) -> Ticket {
        todo!()
    }

    pub fn status(&self) -> Status {
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
