//! One look-up as a machine: which server to ask next, over what, and whether an answer is ours. Sockets, clocks and
//! chance are the caller's; every try is meant to leave from a fresh port with a fresh id (RFC 5452).

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::limits::{DNS_ROUNDS, DNS_SERVERS_MAX};

use super::packet::{self, Reply};
use super::{Outcome, Query};

pub struct LookUp {
    pub query: Query,
    servers: Vec<SocketAddr>,
    /// Tries so far; the next one goes to server `tries % servers.len()`.
    tries: usize,
    id: u16,
    asked: Option<SocketAddr>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on waiting.
    Wait,
    /// Send this in one datagram, and call `timed_out` if nothing comes.
    Datagram {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// Connect, send this (it has its length before it) and pass what comes back, without its length, to `received`.
    Stream {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Done {
        outcome: Outcome,
        keep: Duration,
    },
}

const FAILED: Next = Next::Done { outcome: Outcome::Failed, keep: Duration::ZERO };

impl LookUp {
    pub fn new(query: Query, servers: &[SocketAddr]) -> LookUp {
        let servers = servers.iter().copied().take(DNS_SERVERS_MAX).collect();
        LookUp { query, servers, tries: 0, id: 0, asked: None }
    }

    /// Asks the next server with the id given, or gives up.
    pub fn ask(&mut self, id: u16) -> Next {
        if self.tries >= self.servers.len() * DNS_ROUNDS {
            return FAILED;
        }
        let to = self.servers[self.tries % self.servers.len()];
        self.tries += 1;
        self.id = id;
        self.asked = Some(to);
        match packet::question(id, &self.query) {
            Some(bytes) => Next::Datagram { to, bytes },
            None => Next::Done { outcome: Outcome::NoName, keep: Duration::ZERO },
        }
    }

    /// `next_id` serves if another server has to be asked.
    pub fn received(&mut self, from: SocketAddr, bytes: &[u8], over_stream: bool, next_id: u16) -> Next {
        if self.asked != Some(from) {
            return Next::Wait;
        }
        // Only what comes over loopback cannot have been tampered with on the way.
        let believed = from.ip().is_loopback();
        match packet::reply(self.id, &self.query, bytes, believed) {
            Reply::Answer { outcome, keep } => Next::Done { outcome, keep },
            Reply::Truncated if !over_stream => self.ask_over_stream(from),
            Reply::Stray if !over_stream => Next::Wait,
            Reply::Stray | Reply::Truncated | Reply::Useless => self.ask(next_id),
        }
    }

    /// RFC 7766: the same question with two bytes of length before it.
    fn ask_over_stream(&self, to: SocketAddr) -> Next {
        let Some(question) = packet::question(self.id, &self.query) else { return FAILED };
        let mut bytes = (question.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&question);
        Next::Stream { to, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Kind, Record};
    use simple_dns::rdata::{A, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, RCODE, ResourceRecord};

    fn server(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 53))
    }

    fn look_up() -> LookUp {
        LookUp::new(Query { name: "a.test".into(), kind: Kind::A }, &[server(1), server(2)])
    }

    /// What a server makes of a question.
    fn answered(next: &Next, change: impl Fn(&mut Packet<'_>)) -> (SocketAddr, Vec<u8>) {
        let Next::Datagram { to, bytes } = next else { panic!("{next:?}") };
        let mut packet = Packet::parse(bytes).expect("a question").into_reply();
        *packet.opt_mut() = None;
        let address = RData::A(A { address: 0xc000_0201 });
        packet.answers.push(ResourceRecord::new(Name::new_unchecked("a.test"), CLASS::IN, 60, address));
        change(&mut packet);
        (*to, packet.build_bytes_vec().expect("a packet"))
    }

    #[test]
    fn an_answer_ends_it_and_strangers_do_not() {
        let mut look_up = look_up();
        let asked = look_up.ask(7);
        let (from, bytes) = answered(&asked, |_| ());
        assert_eq!(look_up.received(server(9), &bytes, false, 8), Next::Wait);
        assert_eq!(look_up.received(from, b"garbage", false, 8), Next::Wait);
        let (_, forged) = answered(&asked, |packet| packet.set_id(8));
        assert_eq!(look_up.received(from, &forged, false, 8), Next::Wait);
        let records = vec![Record::A([192, 0, 2, 1].into())];
        let outcome = Outcome::Found { records, secure: false };
        let keep = Duration::from_secs(60);
        assert_eq!(look_up.received(from, &bytes, false, 8), Next::Done { outcome, keep });
    }

    #[test]
    fn every_server_is_asked_in_turn_and_then_it_fails() {
        let mut look_up = look_up();
        let mut asked = Vec::new();
        while let Next::Datagram { to, .. } = look_up.ask(1) {
            asked.push(to);
        }
        assert_eq!(asked.len(), 2 * DNS_ROUNDS);
        assert_eq!(asked[..2], [server(1), server(2)]);
        assert_eq!(look_up.ask(1), FAILED);
        assert_eq!(LookUp::new(look_up.query.clone(), &[]).ask(1), FAILED);
    }

    #[test]
    fn a_failing_server_is_passed_over_and_a_cut_answer_is_asked_for_again_over_tcp() {
        let mut look_up = look_up();
        let (from, bytes) = answered(&look_up.ask(1), |packet| *packet.rcode_mut() = RCODE::ServerFailure);
        let asked = look_up.received(from, &bytes, false, 2);
        let (from, bytes) = answered(&asked, |packet| packet.set_flags(PacketFlag::TRUNCATION));
        assert_eq!(from, server(2));
        let Next::Stream { to, bytes: question } = look_up.received(from, &bytes, false, 3) else { panic!() };
        assert_eq!((to, usize::from(question[1])), (server(2), question.len() - 2));
        let (from, bytes) = answered(&asked, |_| ());
        assert!(matches!(look_up.received(from, &bytes, true, 4), Next::Done { .. }));
    }
}
