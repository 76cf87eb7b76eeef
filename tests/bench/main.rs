//! The benchmark: `cargo bench`, or `cargo bench -- --quick`. It starts our release binary and, where it can, Dovecot +
//! Postfix on loopback, drives both with the same work, and prints a table and JSON. Every bar is a ratio to something
//! measured in the same run, because machines are noisy.
//!
//! `--quick` does a tenth of the work; `--no-peers` leaves Dovecot + Postfix out; `--only NAME` runs one group
//! (start, receive, read, slow, idle, mixed, find); `--json FILE` also writes the rows there.

#![allow(clippy::print_stdout)]

mod clients;
mod corpus;
mod find;
mod idle;
mod limits;
mod mixed;
mod read;
mod receive;
mod report;
mod servers;
mod slow;
mod start;

/// The tests' disk with faults, for the server whose reads are slow.
#[path = "../world"]
#[allow(dead_code)]
mod world {
    pub mod chance;
    pub mod disk;
    pub mod vfs;
}

use std::time::Duration;

use report::{Bar, Row};
use servers::Server;

/// What a group of rows works with.
pub struct Bench {
    pub ours: Server,
    pub peers: Option<Server>,
    pub quick: bool,
}

impl Bench {
    /// A count for this run: a tenth in `--quick`.
    pub fn scale(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }
}

impl Row {
    pub fn against(
        work: &str,
        unit: &'static str,
        ours: f64,
        name: &'static str,
        figure: f64,
        bar: Bar,
    ) -> Row {
        Row { work: work.into(), unit, ours, against: Some((name, figure)), bar }
    }

    pub fn alone(work: &str, unit: &'static str, ours: f64, bar: Bar) -> Row {
        Row { work: work.into(), unit, ours, against: None, bar }
    }
}

type Group = (&'static str, fn(&Bench, &limits::Limits) -> Vec<Row>);

const GROUPS: [Group; 7] = [
    ("start", start::rows),
    ("receive", receive::rows),
    ("read", read::rows),
    ("slow", slow::rows),
    ("idle", idle::rows),
    ("mixed", mixed::rows),
    ("find", find::rows),
];

fn main() {
    if let Some(db) = std::env::var_os(slow::SERVE) {
        return slow::serve(db.as_ref());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1))
    };
    let quick = has("--quick");
    let mut rows = Vec::new();
    for (name, group) in GROUPS {
        if value("--only").is_some_and(|only| only != name) {
            continue;
        }
        let peers =
            if has("--no-peers") || matches!(name, "start" | "slow") { None } else { Server::peers() };
        // Measured beside each group, because a shared disk changes by the minute.
        let limits = limits::measure(Duration::from_millis(if quick { 700 } else { 3_000 }));
        println!("{name}: {limits}");
        let bench = Bench { ours: Server::ours(12), peers, quick };
        let measured = group(&bench, &limits);
        println!("{}", report::table(&measured));
        rows.extend(measured);
    }
    println!("{}", report::json(&rows));
    if let Some(path) = value("--json") {
        std::fs::write(path, report::json(&rows)).expect("the JSON file can be written");
    }
}
