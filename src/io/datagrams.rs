//! UDP sockets for DNS, one for each that the engine asks for, on a port of the system's choice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::base::{Now, Ticket, limits};
use crate::engine::{Engine, Event};

#[derive(Default)]
pub struct Datagrams {
    open: BTreeMap<Ticket, UdpSocket>,
    /// Those that had more than one turn's worth.
    unfinished: Vec<Ticket>,
}

impl Datagrams {
    /// Sends, or does not: a datagram may be lost anywhere, and the engine asks again.
    pub fn send(&mut self, registry: &Registry, ticket: Ticket, token: Token, to: SocketAddr, bytes: &[u8]) {
        let socket = match self.open.entry(ticket) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => match open(registry, token, to) {
                Ok(socket) => none.insert(socket),
                Err(error) => return log::warn!("no socket for a DNS question to {to}: {error}"),
            },
        };
        if let Err(error) = socket.send_to(bytes, to) {
            log::debug!("a DNS question to {to} was not sent: {error}");
        }
    }

    pub fn close(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    pub fn edge(&mut self, engine: &mut Engine, now: Now, ticket: Ticket) {
        let Some(socket) = self.open.get(&ticket) else { return };
        let mut buffer = [0; limits::DATAGRAM_BYTES_MAX];
        for _ in 0..limits::DATAGRAMS_PER_TURN {
            match socket.recv_from(&mut buffer) {
                Ok((count, from)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    engine.on(now, Event::Datagram { socket: ticket, from, bytes });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An ICMP error for something sent earlier.
                Err(_) => {}
            }
        }
        self.unfinished.push(ticket);
    }

    pub fn busy(&self) -> bool {
        !self.unfinished.is_empty()
    }

    pub fn read_on(&mut self, engine: &mut Engine, now: Now) {
        for ticket in std::mem::take(&mut self.unfinished) {
            self.edge(engine, now, ticket);
        }
    }
}

fn open(registry: &Registry, token: Token, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let mut socket = UdpSocket::bind(any)?;
    registry.register(&mut socket, token, Interest::READABLE)?;
    Ok(socket)
}
