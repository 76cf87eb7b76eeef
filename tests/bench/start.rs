//! Rows about the program itself: how soon it greets, what it weighs.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::limits::Limits;
use crate::report::{Bar, Row};
use crate::servers::{Server, serve};

pub fn rows(bench: &Bench, _: &Limits) -> Vec<Row> {
    let quiet = Server::ours(1);
    std::thread::sleep(Duration::from_secs(2));
    let pss = quiet.pss();
    drop(quiet);
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_pillarbox")).map_or(0, |data| data.len());
    vec![
        Row::alone(
            "start to first greeting",
            "ms",
            first_greeting(bench).as_secs_f64() * 1e3,
            Bar::AtMost(15.0),
        ),
        Row::alone("PSS after start", "MiB", pss, Bar::AtMost(6.0)),
        Row::alone("summary of a corpus message, per 10 KiB", "us", summary_micros(), Bar::AtMost(60.0)),
        Row::alone("release binary, stripped", "MB", binary as f64 / 1e6, Bar::AtMost(6.0)),
    ]
}

/// What ENVELOPE, BODYSTRUCTURE, part map and sort fields of 500 corpus messages cost, in microseconds for each 10 KiB.
fn summary_micros() -> f64 {
    let mails: Vec<Vec<u8>> = (0..500).map(crate::corpus::message).collect();
    let bytes: usize = mails.iter().map(Vec::len).sum();
    let begun = Instant::now();
    for mail in &mails {
        let mut summarizer = pillarbox::mime::Summarizer::new();
        summarizer.feed(mail);
        std::hint::black_box(summarizer.finish());
    }
    begun.elapsed().as_secs_f64() * 1e6 / (bytes as f64 / 10_240.0)
}

/// The median of several starts of a box that was stopped before, from spawn to the first bytes on the IMAP port.
fn first_greeting(bench: &Bench) -> Duration {
    let db = bench.ours.db().expect("ours has a file");
    let copy = db.with_file_name("start.db");
    crate::servers::command(&db, &["backup", &copy.to_string_lossy()], "");
    let ports: Vec<u16> = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"]
        .iter()
        .map(|name| {
            let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = door.local_addr().expect("an address").port();
            crate::servers::command(
                &copy,
                &["config", "set", &format!("listen-{name}"), &format!("127.0.0.1:{port}")],
                "",
            );
            port
        })
        .collect();
    let mut waits: Vec<Duration> = (0..9).map(|_| one_start(&copy, ports[3])).collect();
    crate::limits::percentile(&mut waits, 50)
}

fn one_start(db: &std::path::Path, port: u16) -> Duration {
    let begun = Instant::now();
    let mut child = serve(db);
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            break stream;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not start");
        std::thread::sleep(Duration::from_micros(200));
    };
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("a greeting");
    let took = begun.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    took
}
