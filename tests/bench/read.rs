//! Rows about reading: SELECT, FETCH in bulk, bodies, one message at random; and what the file weighs.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::clients::{Imap, Line};
use crate::corpus::{self, Dice};
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{Server, user};

pub fn rows(bench: &Bench, _: &Limits) -> Vec<Row> {
    let (small, large) = (bench.scale(10_000), bench.scale(100_000));
    let corpus_bytes = fill(&bench.ours, 0, large);
    let file = file_bytes(bench) as f64 / corpus_bytes as f64;
    fill(&bench.ours, 1, small);
    let ours = measure(&bench.ours, small, large, true);
    let theirs = bench.peers.as_ref().map(|peers| {
        fill(peers, 1, small);
        measure(peers, small, small, false)
    });
    let mut rows = vec![
        Row::alone(
            &format!("SELECT on a new connection, {small} messages"),
            "ms",
            ours.select_small,
            Bar::AtMost(0.6),
        ),
        Row::alone(
            &format!("SELECT on a new connection, {large} messages"),
            "ms",
            ours.select_large,
            Bar::AtMost(1.5),
        ),
        Row::alone(
            "FETCH (… ENVELOPE BODYSTRUCTURE), server CPU per 1,000",
            "ms",
            ours.envelope_cpu,
            Bar::AtMost(4.0),
        ),
        Row::alone("file bytes per corpus byte", "x", file, Bar::AtMost(0.80)),
    ];
    let theirs = theirs.as_ref();
    // `figure` gives of a run what is ours, and what of theirs it is held against.
    let mut compare = |work: &str, unit, figure: fn(&Measured) -> [f64; 2], bar| {
        let [ours, _] = figure(&ours);
        rows.push(match theirs {
            Some(theirs) => Row::against(work, unit, ours, "D+P", figure(theirs)[1], bar),
            None => Row::alone(work, unit, ours, Bar::Shown),
        });
    };
    compare("SELECT on a new connection, small", "ms", |m| [m.select_small, m.select_small], Bar::Shown);
    compare("FETCH 1:* (FLAGS UID)", "/s", |m| [m.flags, m.flags], Bar::AtLeastTimes(1.0));
    compare(
        "FETCH 1:* (… ENVELOPE BODYSTRUCTURE), first time",
        "/s",
        |m| [m.envelope_first, m.envelope_first],
        Bar::Shown,
    );
    compare(
        "FETCH 1:* (… ENVELOPE BODYSTRUCTURE), first time, against warm",
        "/s",
        |m| [m.envelope_first, m.envelope],
        Bar::AtLeastTimes(2.3),
    );
    compare(
        "FETCH 1:* (… ENVELOPE BODYSTRUCTURE), warm",
        "/s",
        |m| [m.envelope, m.envelope],
        Bar::AtLeastTimes(2.3),
    );
    compare("all bodies, plain", "/s", |m| [m.bodies, m.bodies], Bar::AtLeastTimes(2.0));
    compare("all bodies, TLS", "/s", |m| [m.bodies_tls, m.bodies_tls], Bar::AtLeastTimes(3.0));
    compare("open one random message, p50", "ms", |m| [m.open_p50, m.open_p50], Bar::AtMostTimes(0.8));
    compare("open one random message, p99", "ms", |m| [m.open_p99, m.open_p99], Bar::AtMostTimes(0.5));
    rows
}

/// Puts corpus messages into a user's INBOX by pipelined APPENDs; returns their bytes.
pub fn fill(server: &Server, to: usize, count: usize) -> u64 {
    fill_by(
        &mut Imap::login(Line::plain(server.imap).expect("a connection"), &user(to), server.password),
        count,
    )
}

/// The same by a connection that is there.
pub fn fill_by(client: &mut Imap, count: usize) -> u64 {
    let mut total = 0;
    for begin in (0..count).step_by(50) {
        let tags: Vec<String> = (begin..(begin + 50).min(count))
            .map(|number| {
                let mail = corpus::message(number as u64);
                total += mail.len() as u64;
                client.start_append("INBOX", &mail, true)
            })
            .collect();
        for tag in &tags {
            client.finish(tag);
        }
    }
    total
}

struct Measured {
    select_small: f64,
    select_large: f64,
    flags: f64,
    envelope_first: f64,
    envelope: f64,
    envelope_cpu: f64,
    bodies: f64,
    bodies_tls: f64,
    open_p50: f64,
    open_p99: f64,
}

/// `u1` has the small mailbox, `u0` the large one (where there is one).
fn measure(server: &Server, small: usize, large: usize, has_large: bool) -> Measured {
    let login = |who: usize| {
        Imap::login(Line::plain(server.imap).expect("a connection"), &user(who), server.password)
    };
    let rate = |client: &mut Imap, command: &str| {
        let begun = Instant::now();
        client.run(command);
        small as f64 / begun.elapsed().as_secs_f64()
    };
    let bulk = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)";
    let mut client = login(1);
    client.run("SELECT INBOX");
    client.run("FETCH 1:* (FLAGS UID)");
    let flags = (0..3).map(|_| rate(&mut client, "FETCH 1:* (FLAGS UID)")).fold(0.0, f64::max);
    let envelope_first = rate(&mut client, bulk);
    let cpu = server.cpu();
    let runs: Vec<f64> = (0..5).map(|_| rate(&mut client, bulk)).collect();
    let envelope_cpu = (server.cpu() - cpu) / 5.0 / small as f64 * 1e6;
    let bodies = (0..2).map(|_| rate(&mut client, "FETCH 1:* (BODY.PEEK[])")).fold(0.0, f64::max);
    let mut secure = Imap::login(Line::tls(server.imaps).expect("a connection"), &user(1), server.password);
    secure.run("SELECT INBOX");
    let bodies_tls = (0..2).map(|_| rate(&mut secure, "FETCH 1:* (BODY.PEEK[])")).fold(0.0, f64::max);
    let mut dice = Dice::new(3);
    let mut opens: Vec<Duration> = (0..500)
        .map(|_| {
            let begun = Instant::now();
            client.run(&format!("UID FETCH {} (BODY.PEEK[])", 1 + dice.roll(small as u64)));
            begun.elapsed()
        })
        .collect();
    let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
    Measured {
        select_small: select(&login, 1),
        select_large: if has_large { select(&login, 0) } else { large as f64 * 0.0 },
        flags,
        envelope_first,
        envelope: runs.iter().copied().fold(0.0, f64::max),
        envelope_cpu,
        bodies,
        bodies_tls,
        open_p50: ms(percentile(&mut opens, 50)),
        open_p99: ms(percentile(&mut opens, 99)),
    }
}

/// The median time of SELECT on connections that have just logged in, in milliseconds.
fn select(login: &dyn Fn(usize) -> Imap, who: usize) -> f64 {
    let mut waits: Vec<Duration> = (0..20)
        .map(|_| {
            let mut client = login(who);
            let begun = Instant::now();
            client.run("SELECT INBOX");
            begun.elapsed()
        })
        .collect();
    percentile(&mut waits, 50).as_secs_f64() * 1e3
}

/// The size of a backup: the file without free pages and WAL.
pub fn file_bytes(bench: &Bench) -> u64 {
    let db = bench.ours.db().expect("ours has a file");
    let copy = db.with_file_name("size.db");
    crate::servers::command(&db, &["backup", &copy.to_string_lossy()], "");
    let whole = std::fs::metadata(&copy).map_or(0, |data| data.len());
    let _ = std::fs::remove_file(&copy);
    whole
}
