//! Rows about 1,000 connections that wait: what they weigh, how they are set up, how fast they are told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::Bench;
use crate::clients::{Imap, Line, Smtp, stuffed};
use crate::corpus;
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{Server, user};

const IDLERS: usize = 1_000;
/// How many clients set connections up at a time.
const OPENERS: usize = 4;

pub fn rows(bench: &Bench, _: &Limits) -> Vec<Row> {
    let ours = measure(&bench.ours, bench);
    let mut rows = vec![
        Row::alone("1,000 idle TLS connections, 10,000 messages: PSS", "MiB", ours.pss, Bar::AtMost(16.0)),
        Row::alone("… set-up per second", "/s", ours.set_up, Bar::AtLeast(700.0)),
        Row::alone("… server CPU for each set-up", "ms", ours.cpu_ms, Bar::AtMost(0.7)),
        Row::alone("… wake-ups per second", "/s", ours.wakeups, Bar::AtMost(0.1)),
        Row::alone("250 to EXISTS on the first of 1,000", "ms", ours.first, Bar::AtMost(0.3)),
    ];
    let bare = bare_sends();
    for (p, ours, bare, bar) in [("p50", ours.all_p50, bare[0], 3.0), ("p99", ours.all_p99, bare[1], 15.0)] {
        let work = format!("250 to EXISTS on all 1,000, {p}");
        rows.push(Row::against(&work, "ms", ours, "bare sends", bare, Bar::AtMost(bar)));
    }
    if let Some(peers) = &bench.peers {
        let theirs = measure(peers, bench);
        for (work, ours, theirs) in
            [("PSS", ours.pss, theirs.pss), ("250 to EXISTS on all, p50 (ms)", ours.all_p50, theirs.all_p50)]
        {
            rows.push(Row::against(&format!("1,000 idle: {work}"), "", ours, "D+P", theirs, Bar::Shown));
        }
    }
    rows
}

struct Measured {
    pss: f64,
    set_up: f64,
    cpu_ms: f64,
    wakeups: f64,
    first: f64,
    all_p50: f64,
    all_p99: f64,
}

fn measure(server: &Server, bench: &Bench) -> Measured {
    crate::read::fill(server, 5, bench.scale(10_000));
    let open = || Imap::login(Line::tls(server.imaps).expect("a connection"), &user(5), server.password);
    open().run("SELECT INBOX");
    let cpu = server.cpu();
    let begun = Instant::now();
    let idle = || {
        let mut client = open();
        client.run("SELECT INBOX");
        client.start("IDLE");
        client.wire.read_line();
        client.wire.line
    };
    let mut idlers: Vec<Line> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|_| scope.spawn(|| (0..IDLERS / OPENERS).map(|_| idle()).collect::<Vec<_>>()))
            .collect();
        openers.into_iter().flat_map(|opener| opener.join().expect("a client")).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let cpu_ms = (server.cpu() - cpu) * 1e3 / IDLERS as f64;
    // Longer than the server waits before it rests.
    std::thread::sleep(Duration::from_secs(35));
    let pss = server.pss();
    // Ten minutes of quiet are for us; nobody judges the peers' wake-ups.
    let judged = !bench.quick && server.db().is_some();
    let quiet = Duration::from_secs(if judged { 600 } else { 20 });
    let wakeups = server.wakeups();
    std::thread::sleep(quiet);
    let wakeups = (server.wakeups() - wakeups) as f64 / quiet.as_secs_f64();
    let [first, all_p50, all_p99] = pushes(server, &mut idlers);
    Measured { pss, set_up: IDLERS as f64 / took, cpu_ms, wakeups, first, all_p50, all_p99 }
}

/// From the final 250 to the first bytes on each waiting connection, over ten deliveries: the median of the first one
/// told, and p50 and p99 of all. Who is told before the sender has read its 250 counts as told at once.
fn pushes(server: &Server, idlers: &mut [Line]) -> [f64; 3] {
    let mut poll = Poll::new().expect("a poll");
    for (number, line) in idlers.iter().enumerate() {
        line.socket().set_nonblocking(true).expect("a mode");
        let fd = line.socket().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), Token(number), Interest::READABLE)
            .expect("a registration");
    }
    let mail = stuffed(&corpus::sized(11, 10 * 1024));
    let mut sender = Smtp::connect(server.smtp);
    let (mut firsts, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        // Whatever else the server said by now: news of the last delivery may come in two pieces.
        drain(&mut poll, idlers, Duration::from_millis(300));
        let (taken, told) = std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                sender.deliver(&user(5), &mail);
                Instant::now()
            });
            let told = drain(&mut poll, idlers, GIVE_UP);
            (sending.join().expect("a sender"), told)
        });
        let waits: Vec<Duration> = told.iter().map(|at| at.saturating_duration_since(taken)).collect();
        firsts.extend(waits.iter().min());
        alls.extend(std::iter::repeat_n(GIVE_UP, idlers.len() - waits.len()));
        alls.extend(waits);
    }
    let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
    [ms(percentile(&mut firsts, 50)), ms(percentile(&mut alls, 50)), ms(percentile(&mut alls, 99))]
}

/// What this machine takes for a thousand pushes at best: a send of sixty bytes on each of a thousand connections, one
/// after the other and nothing else; from the first one, p50 and p99.
fn bare_sends() -> [f64; 2] {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (mut readers, mut senders): (Vec<TcpStream>, Vec<TcpStream>) = (0..IDLERS)
        .map(|_| {
            let reader = TcpStream::connect(address).expect("a connection");
            reader.set_nonblocking(true).expect("a mode");
            let (sender, _) = listener.accept().expect("its other end");
            sender.set_nodelay(true).expect("a mode");
            (reader, sender)
        })
        .unzip();
    let mut poll = Poll::new().expect("a poll");
    for (number, reader) in readers.iter().enumerate() {
        let fd = reader.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), Token(number), Interest::READABLE)
            .expect("a registration");
    }
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (begun, told) = std::thread::scope(|scope| {
            let senders = &mut senders;
            let sending = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                let begun = Instant::now();
                for sender in senders {
                    sender.write_all(&[b'x'; 60]).expect("there is room");
                }
                begun
            });
            let told = drain(&mut poll, &mut readers, GIVE_UP);
            (sending.join().expect("a sender"), told)
        });
        waits.extend(told.iter().map(|at| at.saturating_duration_since(begun)));
    }
    [50, 99].map(|p| percentile(&mut waits, p).as_secs_f64() * 1e3)
}

/// After this long a connection counts as never told.
const GIVE_UP: Duration = Duration::from_secs(5);

/// So long a push is watched without sleeping.
const WATCHED: Duration = Duration::from_millis(200);

/// The waiting end of a connection.
trait Reads {
    fn take(&mut self, into: &mut [u8]) -> std::io::Result<usize>;
}

impl Reads for TcpStream {
    fn take(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.read(into)
    }
}

impl Reads for Line {
    fn take(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.socket().read(into)
    }
}

/// Waits until every connection had something to read, or `limit`; returns each one's first time.
fn drain<R: Reads>(poll: &mut Poll, idlers: &mut [R], limit: Duration) -> Vec<Instant> {
    let begun = Instant::now();
    // Few at a time, so that the time of each is read soon after it came.
    let mut events = Events::with_capacity(32);
    let mut told = vec![None; idlers.len()];
    let mut count = 0;
    let mut sink = [0u8; 4096];
    while count < idlers.len() && begun.elapsed() < limit {
        // Without sleeping at first: waking the reader up is not the server's work, but its core would pay for it.
        let nap = if begun.elapsed() < WATCHED { Duration::ZERO } else { Duration::from_millis(20) };
        poll.poll(&mut events, Some(nap)).expect("a poll");
        let at = Instant::now();
        for event in events.iter() {
            let number = event.token().0;
            while idlers[number].take(&mut sink).is_ok_and(|count| count > 0) {}
            if told[number].is_none() {
                told[number] = Some(at);
                count += 1;
            }
        }
    }
    told.into_iter().flatten().collect()
}
