//! The wires: one link per connection, with what each end has not seen yet.

use pillarbox::base::{ConnId, Mono};

/// Names a connection for the peer's side; never used again, also not after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// One connection as the network sees it.
pub struct Link {
    pub conn: ConnId,
    /// What has arrived at the peer and was not taken by it yet.
    pub inbox: Vec<u8>,
    /// The peer sees the end of the stream.
    pub closed: bool,
    /// The server does not read for now; what arrives waits in `held`.
    pub paused: bool,
    pub held: Vec<u8>,
    pub held_eof: bool,
    /// A drain of the server's output is on the agenda.
    pub draining: bool,
    /// The server said `Close`: the link ends when its output has left.
    pub closing: bool,
    /// The engine knows this connection no more.
    pub forgotten: bool,
    /// Bytes keep their order: nothing arrives before these.
    pub to_server_at: Mono,
    pub to_peer_at: Mono,
    /// Reset by the network or lost in a crash.
    pub broken: bool,
    /// The peer does not read at all while this holds.
    pub deaf: bool,
}

impl Link {
    pub fn new(conn: ConnId) -> Link {
        Link {
            conn,
            inbox: Vec::new(),
            closed: false,
            paused: false,
            held: Vec::new(),
            held_eof: false,
            draining: false,
            closing: false,
            forgotten: false,
            to_server_at: Mono(0),
            to_peer_at: Mono(0),
            broken: false,
            deaf: false,
        }
    }
}
