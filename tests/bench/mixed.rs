//! Rows about several things at once: deliveries beside readers, and large messages beside a small one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::clients::{Imap, Line, Smtp, stuffed};
use crate::corpus::{self, Dice};
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{Server, user};

pub fn rows(bench: &Bench, _: &Limits) -> Vec<Row> {
    let ours = everyday(&bench.ours, bench);
    let mut rows =
        vec![Row::alone("20 deliveries/s beside 20 TLS clients: server CPU", "%", ours[3], Bar::AtMost(6.0))];
    if let Some(peers) = &bench.peers {
        let theirs = everyday(peers, bench);
        for (number, work) in ["NOOP p99", "FETCH p99", "delivery p99"].iter().enumerate() {
            rows.push(Row::against(
                &format!("20 deliveries/s beside 20 TLS clients: {work}"),
                "ms",
                ours[number],
                "D+P",
                theirs[number],
                Bar::AtMostTimes(0.5),
            ));
        }
        rows.push(Row::against(
            "20 deliveries/s beside 20 TLS clients: CPU",
            "%",
            ours[3],
            "D+P",
            theirs[3],
            Bar::Shown,
        ));
    }
    rows.extend(uploads(&bench.ours, bench));
    rows
}

/// NOOP, FETCH and delivery p99 in milliseconds, and CPU in percent of a core.
fn everyday(server: &Server, bench: &Bench) -> [f64; 4] {
    let time = Duration::from_secs(if bench.quick { 5 } else { 60 });
    let count = bench.scale(5_000);
    crate::read::fill(server, 6, count);
    let mut clients: Vec<Imap> = (0..20)
        .map(|_| Imap::login(Line::tls(server.imaps).expect("a connection"), &user(6), server.password))
        .collect();
    for client in &mut clients {
        client.run("SELECT INBOX");
    }
    let stop = AtomicBool::new(false);
    let cpu = server.cpu();
    let (mut noops, mut fetches, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let readers: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let stop = &stop;
                scope.spawn(move || read_now_and_then(client, number as u64, count as u64, stop))
            })
            .collect();
        waits = deliver_steadily(server, time);
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            let (noop, fetch) = reader.join().expect("a reader");
            noops.extend(noop);
            fetches.extend(fetch);
        }
    });
    let percent = (server.cpu() - cpu) / time.as_secs_f64() * 100.0;
    let ms = |waits: &mut Vec<Duration>| percentile(waits, 99).as_secs_f64() * 1e3;
    [ms(&mut noops), ms(&mut fetches), ms(&mut waits), percent]
}

fn deliver_steadily(server: &Server, time: Duration) -> Vec<Duration> {
    let mail = stuffed(&corpus::sized(5, 10 * 1024));
    let mut sender = Smtp::connect(server.smtp);
    let begun = Instant::now();
    let mut waits = Vec::new();
    while begun.elapsed() < time {
        let next = begun + Duration::from_millis(50) * (waits.len() as u32 + 1);
        waits.push(sender.deliver(&user(6), &mail));
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    waits
}

/// Twice a second a NOOP and the bytes of one message.
fn read_now_and_then(
    client: &mut Imap,
    seed: u64,
    count: u64,
    stop: &AtomicBool,
) -> (Vec<Duration>, Vec<Duration>) {
    let mut dice = Dice::new(seed);
    let (mut noops, mut fetches) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.run("NOOP");
        noops.push(begun.elapsed());
        let begun = Instant::now();
        client.run(&format!("UID FETCH {} (FLAGS BODY.PEEK[])", 1 + dice.roll(count)));
        fetches.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(400 + dice.roll(200)));
    }
    (noops, fetches)
}

/// Four clients send 50 MB each at once, by APPEND and by DATA, while a fifth delivers 10 KiB now and then.
fn uploads(server: &Server, bench: &Bench) -> Vec<Row> {
    let size = bench.scale(50 * 1024 * 1024);
    let small = stuffed(&corpus::sized(5, 10 * 1024));
    let mut sender = Smtp::connect(server.smtp);
    // A first login costs 19 MiB for a moment, which is not what this row is about.
    let mut uploaders: Vec<Uploader> = (0..4).map(|number| Uploader::connect(server, number)).collect();
    let mut quiet: Vec<Duration> = (0..200).map(|_| sender.deliver(&user(7), &small)).collect();
    let idle = server.pss();
    let done = AtomicBool::new(false);
    let (mut waits, mut peak) = (Vec::new(), 0f64);
    std::thread::scope(|scope| {
        let uploaders: Vec<_> = uploaders
            .iter_mut()
            .enumerate()
            .map(|(number, uploader)| scope.spawn(move || uploader.upload(number, size)))
            .collect();
        let watcher = scope.spawn(|| {
            let mut peak = 0f64;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(server.pss());
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        while uploaders.iter().any(|uploader| !uploader.is_finished()) {
            waits.push(sender.deliver(&user(7), &small));
            std::thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
        peak = watcher.join().expect("a watcher");
    });
    let ms = |waits: &mut Vec<Duration>| percentile(waits, 99).as_secs_f64() * 1e3;
    vec![
        Row::alone("four clients send 50 MB at once: PSS over idle", "MiB", peak - idle, Bar::AtMost(16.0)),
        Row::against(
            "… a fifth client's 10 KiB delivery p99",
            "ms",
            ms(&mut waits),
            "quiet p99",
            ms(&mut quiet),
            Bar::AtMostTimes(2.0),
        ),
    ]
}

enum Uploader {
    Append(Box<Imap>),
    Data(Box<Smtp>),
}

impl Uploader {
    fn connect(server: &Server, number: usize) -> Uploader {
        if number.is_multiple_of(2) {
            let line = Line::plain(server.imap).expect("a connection");
            Uploader::Append(Box::new(Imap::login(line, &user(8), server.password)))
        } else {
            Uploader::Data(Box::new(Smtp::connect(server.smtp)))
        }
    }

    fn upload(&mut self, number: usize, size: usize) {
        let mail = corpus::sized(number as u64, size);
        match self {
            Uploader::Append(imap) => imap.append("INBOX", &mail, false),
            Uploader::Data(smtp) => {
                smtp.deliver(&user(9), &stuffed(&mail));
            }
        }
    }
}
