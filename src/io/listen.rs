//! Listening sockets: several addresses for each service, IPv4 and IPv6 side by side.

use std::io::ErrorKind;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::base::{Mono, Now, limits};
use crate::engine::ServiceId;

use super::Failure;

/// An address to listen on, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub service: ServiceId,
    pub addr: SocketAddr,
}

pub struct Listener {
    pub wanted: Wanted,
    /// As bound: the real port where `wanted` has 0.
    pub local: SocketAddr,
    socket: TcpListener,
    /// The system may have connections for us.
    ready: bool,
    /// The system had no room for another connection: not before then.
    retry: Option<Mono>,
    /// That has been logged, once until it is over.
    complained: bool,
}

/// What came of one attempt to accept.
pub enum Accepted {
    One(TcpStream, SocketAddr),
    Nobody,
}

impl Listener {
    pub fn bind(wanted: Wanted) -> Result<Listener, Failure> {
        let open = || {
            let std = open(wanted.addr)?;
            let local = std.local_addr()?;
            let socket = TcpListener::from_std(std);
            Ok(Listener { wanted, local, socket, ready: false, retry: None, complained: false })
        };
        open().map_err(|error: std::io::Error| Failure::Port(sentence(wanted.addr, &error)))
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> Result<(), Failure> {
        registry
            .register(&mut self.socket, token, Interest::READABLE)
            .map_err(|error| Failure::Port(sentence(self.local, &error)))
    }

    pub fn edge(&mut self) {
        self.ready = true;
    }

    /// There may be more to accept right now.
    pub fn busy(&self) -> bool {
        self.ready && self.retry.is_none()
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.retry
    }

    pub fn accept(&mut self, now: Now) -> Accepted {
        if self.retry.is_some_and(|until| until <= now.mono) {
            self.retry = None;
        }
        if !self.busy() {
            return Accepted::Nobody;
        }
        match self.socket.accept() {
            Ok((stream, from)) => {
                self.complained = false;
                return Accepted::One(stream, from);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.ready = false,
            // The one who knocked is gone already; the next may be there.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    log::warn!("no connection can be accepted on {} for now: {error}", self.local);
                }
                self.retry = Some(now.mono.after(limits::ACCEPT_RETRY));
            }
        }
        Accepted::Nobody
    }
}

/// `0.0.0.0` and `[::]` are two sockets, on every system alike.
fn open(addr: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let family = if addr.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, limits::BACKLOG)?;
    Ok(socket.into())
}

fn sentence(addr: SocketAddr, error: &std::io::Error) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {port} on {ip} is taken by another program; end that one, or choose another port")
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} on {ip} may not be used by this user: ports below 1024 need root")
        }
        ErrorKind::AddrNotAvailable => format!("this machine has no address {ip} to listen on port {port}"),
        _ => format!("cannot listen on {addr}: {error}"),
    }
}

/// Whether this machine has no IPv6 at all, so that `[::]` among the defaults is not a mistake.
pub fn lacks_ipv6() -> bool {
    open(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0))).is_err()
}
