//! Look-ups: cache, retries, one question for many askers, TCP where UDP is too small.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use pillarbox::base::{Config, Ticket, limits};
use pillarbox::dns::{Kind, Outcome, Query, Record};
use pillarbox::engine::{Effect, Event};
use pillarbox::session::{Answer, Ask, Want};

use super::bench::{Bench, NEVER, open_echo, service};

type Heard = Arc<Mutex<Vec<Outcome>>>;

fn server(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 53))
}

fn with_servers(servers: &[SocketAddr]) -> Bench {
    let config = Config { dns_servers: servers.to_vec(), ..Config::default() };
    Bench::with(vec![service("echo", open_echo)], None, config)
}

fn ask(bench: &mut Bench, names: &[&str]) -> Heard {
    let heard = Heard::default();
    let note = Arc::clone(&heard);
    let queries: Vec<Query> =
        names.iter().map(|name| Query { name: name.to_string(), kind: Kind::A }).collect();
    bench.open(move |cx| {
        if let Some(Answer::Dns(outcomes)) = cx.answer.take() {
            *note.lock().expect("one thread") = outcomes;
            return Want::Bytes { until: NEVER };
        }
        Want::Answer { to: Ask::Dns(queries.clone()), until: NEVER }
    });
    heard
}

fn outcomes(heard: &Heard) -> Vec<Outcome> {
    heard.lock().expect("one thread").clone()
}

fn datagram(bench: &mut Bench) -> Option<(Ticket, SocketAddr, Vec<u8>)> {
    bench.take(|effect| match effect {
        Effect::Datagram { socket, to, bytes } => Some((*socket, *to, bytes.clone())),
        _ => None,
    })
}

/// The question back with one A record, or with TC set and none.
fn reply(question: &[u8], cut: bool) -> Vec<u8> {
    let end = question.len() - 11;
    let mut reply = question[..end].to_vec();
    reply[2] = if cut { 0x83 } else { 0x81 };
    reply[3] = 0x80;
    reply[7] = u8::from(!cut);
    reply[11] = 0;
    if !cut {
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
    }
    reply
}

fn found() -> Outcome {
    Outcome::Found { records: vec![Record::A(Ipv4Addr::new(192, 0, 2, 80))], secure: false }
}

#[test]
fn without_servers_a_look_up_fails_at_once() {
    let mut bench = with_servers(&[]);
    assert_eq!(outcomes(&ask(&mut bench, &["a.test", "b.test"])), [Outcome::Failed, Outcome::Failed]);
}

#[test]
fn one_question_serves_all_who_ask_and_then_the_cache_does() {
    let mut bench = with_servers(&[server(1)]);
    let (one, two) = (ask(&mut bench, &["a.test"]), ask(&mut bench, &["A.test."]));
    let (socket, to, question) = datagram(&mut bench).expect("asked");
    assert!(datagram(&mut bench).is_none(), "once");
    bench.on(Event::Datagram { socket, from: to, bytes: &reply(&question, false) });
    assert_eq!((outcomes(&one), outcomes(&two)), (vec![found()], vec![found()]));
    assert!(bench.take(|effect| matches!(effect, Effect::CloseDatagram(_)).then_some(())).is_some());
    assert_eq!(outcomes(&ask(&mut bench, &["a.test"])), [found()]);
    bench.wait(std::time::Duration::from_secs(61));
    ask(&mut bench, &["a.test"]);
    assert!(datagram(&mut bench).is_some(), "its ttl is over");
}

#[test]
fn a_silent_server_is_passed_over_from_a_new_port_and_in_the_end_it_fails() {
    let mut bench = with_servers(&[server(1), server(2)]);
    let heard = ask(&mut bench, &["a.test"]);
    let mut tries = Vec::new();
    while let Some((socket, to, question)) = datagram(&mut bench) {
        tries.push((socket, to, question[..2].to_vec()));
        bench.wait(limits::DNS_TRY_TIMEOUT);
    }
    assert_eq!(tries.len(), 2 * limits::DNS_ROUNDS);
    assert_eq!((tries[0].1, tries[1].1), (server(1), server(2)));
    assert!(tries.windows(2).all(|pair| pair[0].0 != pair[1].0 && pair[0].2 != pair[1].2));
    assert_eq!(outcomes(&heard), [Outcome::Failed]);
}

#[test]
fn a_late_or_forged_datagram_changes_nothing() {
    let mut bench = with_servers(&[server(1)]);
    let heard = ask(&mut bench, &["a.test"]);
    let (socket, to, question) = datagram(&mut bench).expect("asked");
    let good = reply(&question, false);
    bench.on(Event::Datagram { socket, from: server(66), bytes: &good });
    bench.wait(limits::DNS_TRY_TIMEOUT);
    bench.on(Event::Datagram { socket, from: to, bytes: &good });
    assert!(outcomes(&heard).is_empty());
}

#[test]
fn an_answer_that_was_cut_is_fetched_over_tcp() {
    let mut bench = with_servers(&[server(1)]);
    let heard = ask(&mut bench, &["a.test"]);
    let (socket, to, question) = datagram(&mut bench).expect("asked");
    bench.on(Event::Datagram { socket, from: to, bytes: &reply(&question, true) });
    let (conn, to) = bench
        .take(|effect| match effect {
            Effect::Connect { conn, to } => Some((*conn, *to)),
            _ => None,
        })
        .expect("a connection");
    assert_eq!(to, server(1));
    bench.on(Event::Connected { conn, result: Ok(()) });
    let sent = bench.hear(conn);
    let whole = reply(&sent[2..], false);
    let mut framed = (whole.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&whole);
    for byte in framed {
        bench.send(conn, &[byte]);
    }
    assert_eq!(outcomes(&heard), [found()]);
    assert!(bench.closed(conn));
}
