//! Rows about mail coming in: SMTP and APPEND, rates, latencies, CPU and fsyncs.

use std::time::{Duration, Instant};

use crate::clients::{Imap, Line, Smtp, stuffed};
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{Server, user};
use crate::{Bench, corpus};

/// What one run of deliveries showed.
pub struct Delivered {
    /// Messages per second until the last 250, and until all can be seen by IMAP.
    pub accepted: f64,
    pub visible: f64,
    pub waits: Vec<Duration>,
    /// CPU seconds of the server for each message, and fsyncs where strace could count them.
    pub cpu: f64,
    pub fsyncs: Option<f64>,
}

/// `count` messages of `size` bytes to one mailbox over `connections`.
pub fn deliver(
    server: &Server,
    to: usize,
    connections: usize,
    count: usize,
    size: usize,
    trace: bool,
) -> Delivered {
    let mail = stuffed(&corpus::sized(7, size));
    let mut reader = Imap::login(Line::plain(server.imap).expect("a connection"), &user(to), server.password);
    let before = reader.messages("INBOX");
    let mut clients: Vec<Smtp> = (0..connections).map(|_| Smtp::connect(server.smtp)).collect();
    clients[0].deliver(&user(to), &mail);
    while reader.messages("INBOX") < before + 1 {}
    let tracer = trace.then(|| Tracer::start(server)).flatten();
    let cpu = server.cpu();
    let begun = Instant::now();
    let each = count / connections;
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let mail = &mail;
                scope.spawn(move || (0..each).map(|_| client.deliver(&user(to), mail)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    });
    let accepted = begun.elapsed();
    let total = (each * connections) as u64;
    while reader.messages("INBOX") < before + 1 + total {
        std::thread::sleep(Duration::from_millis(2));
    }
    let visible = begun.elapsed();
    waits.sort_unstable();
    Delivered {
        accepted: total as f64 / accepted.as_secs_f64(),
        visible: total as f64 / visible.as_secs_f64(),
        waits,
        cpu: (server.cpu() - cpu) / total as f64,
        fsyncs: tracer.map(|tracer| tracer.stop() as f64 / total as f64),
    }
}

pub fn rows(bench: &Bench, limits: &Limits) -> Vec<Row> {
    let mut rows = smtp(bench, limits);
    rows.extend(append(bench, limits));
    rows
}

/// All that `smtp` judges: ours at several shapes, theirs at the two that are compared.
struct SmtpRuns {
    one: Delivered,
    ten: Delivered,
    large: Delivered,
    fsyncs: [Option<f64>; 2],
    peer: Option<[Delivered; 2]>,
    peer_fsyncs: Option<f64>,
}

fn smtp(bench: &Bench, limits: &Limits) -> Vec<Row> {
    let count = bench.scale(4_000);
    let runs = SmtpRuns {
        one: deliver(&bench.ours, 0, 1, count, 10 * 1024, false),
        ten: deliver(&bench.ours, 1, 10, count * 2, 10 * 1024, false),
        large: deliver(&bench.ours, 3, 4, bench.scale(400), 1024 * 1024, false),
        fsyncs: [
            deliver(&bench.ours, 2, 1, count / 8, 10 * 1024, true).fsyncs,
            deliver(&bench.ours, 2, 10, count / 4, 10 * 1024, true).fsyncs,
        ],
        peer_fsyncs: bench
            .peers
            .as_ref()
            .and_then(|peers| deliver(peers, 2, 1, count / 20, 10 * 1024, true).fsyncs),
        peer: bench.peers.as_ref().map(|peers| {
            let count = bench.scale(1_500);
            [deliver(peers, 0, 1, count, 10 * 1024, false), deliver(peers, 1, 10, count, 10 * 1024, false)]
        }),
    };
    let mut rows = against_limits(&runs, limits);
    rows.extend(against_peers(&runs));
    rows
}

fn ms(waits: &[Duration], p: usize) -> f64 {
    percentile(&mut waits.to_vec(), p).as_secs_f64() * 1e3
}

fn against_limits(runs: &SmtpRuns, limits: &Limits) -> Vec<Row> {
    let (one, ten, large) = (&runs.one, &runs.ten, &runs.large);
    let (p50, p99) = (limits.fdatasync_p50.as_secs_f64() * 1e3, limits.fdatasync_p99.as_secs_f64() * 1e3);
    let wait = "final 250, 10 connections";
    let cpu = "server CPU per 10 KiB delivery";
    let mut rows = vec![
        Row::against(ONE, "/s", one.visible, "1-row commits", limits.rows_by_1, Bar::AtLeastTimes(0.4)),
        Row::against(TEN, "/s", ten.visible, "10-row commits", limits.rows_by_10, Bar::AtLeastTimes(0.3)),
        Row::against(
            &format!("{wait}, p50"),
            "ms",
            ms(&ten.waits, 50),
            "fdatasync p50",
            p50,
            Bar::AtMostTimes(6.0),
        ),
        Row::against(
            &format!("{wait}, p99"),
            "ms",
            ms(&ten.waits, 99),
            "fdatasync p99",
            p99,
            Bar::AtMostTimes(8.0),
        ),
        Row::against(
            "SMTP in 1 MiB, 4 connections",
            "MiB/s",
            large.visible,
            "1 MiB blobs",
            limits.blobs_mib,
            Bar::AtLeastTimes(0.6),
        ),
        Row::alone(&format!("{cpu}, 1 connection"), "ms", one.cpu * 1e3, Bar::AtMost(0.6)),
        Row::alone(&format!("{cpu}, 10 connections"), "ms", ten.cpu * 1e3, Bar::AtMost(0.6)),
    ];
    let bars = [("1 connection", 1.02), ("10 connections", 0.99)];
    for ((shape, bar), count) in bars.into_iter().zip(runs.fsyncs) {
        rows.extend(
            count.map(|count| {
                Row::alone(&format!("fsyncs per delivery, {shape}"), "", count, Bar::AtMost(bar))
            }),
        );
    }
    rows
}

const ONE: &str = "SMTP in 10 KiB, 1 connection, visible";
const TEN: &str = "SMTP in 10 KiB, 10 connections, visible";

fn against_peers(runs: &SmtpRuns) -> Vec<Row> {
    let Some([peer_one, peer_ten]) = &runs.peer else { return Vec::new() };
    let (one, ten) = (&runs.one, &runs.ten);
    let compare = |work: &str, unit, ours, theirs, bar| Row::against(work, unit, ours, "D+P", theirs, bar);
    let fsyncs = runs.fsyncs[0].zip(runs.peer_fsyncs);
    let fsyncs = fsyncs.map(|(ours, theirs)| compare("fsyncs per delivery", "", ours, theirs, Bar::Shown));
    let mut rows = vec![
        compare(ONE, "/s", one.visible, peer_one.visible, Bar::AtLeastTimes(4.0)),
        compare(TEN, "/s", ten.visible, peer_ten.visible, Bar::AtLeastTimes(10.0)),
        compare("SMTP in 10 KiB, 1 connection, accepted", "/s", one.accepted, peer_one.accepted, Bar::Shown),
        compare(
            "SMTP in 10 KiB, 10 connections, accepted",
            "/s",
            ten.accepted,
            peer_ten.accepted,
            Bar::Shown,
        ),
        compare(
            "final 250, 10 connections, p99",
            "ms",
            ms(&ten.waits, 99),
            ms(&peer_ten.waits, 99),
            Bar::Shown,
        ),
        compare("server CPU per 10 KiB delivery", "ms", one.cpu * 1e3, peer_one.cpu * 1e3, Bar::Shown),
    ];
    rows.extend(fsyncs);
    rows
}

/// APPEND of 10 KiB: per second on one connection, on ten, and twenty in flight on one.
fn append_rates(server: &Server, to: usize, count: usize) -> [f64; 3] {
    let mail = corpus::sized(9, 10 * 1024);
    let login = || Imap::login(Line::plain(server.imap).expect("a connection"), &user(to), server.password);
    let mut client = login();
    client.append("INBOX", &mail, false);
    let begun = Instant::now();
    (0..count).for_each(|_| client.append("INBOX", &mail, false));
    let one = count as f64 / begun.elapsed().as_secs_f64();

    let mut clients: Vec<Imap> = (0..10).map(|_| login()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in &mut clients {
            let mail = &mail;
            scope.spawn(move || (0..count / 5).for_each(|_| client.append("INBOX", mail, false)));
        }
    });
    let ten = (count / 5 * 10) as f64 / begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    for _ in 0..count / 20 {
        let tags: Vec<String> = (0..20).map(|_| client.start_append("INBOX", &mail, true)).collect();
        for tag in &tags {
            client.finish(tag);
        }
    }
    [one, ten, (count / 20 * 20) as f64 / begun.elapsed().as_secs_f64()]
}

fn append(bench: &Bench, limits: &Limits) -> Vec<Row> {
    let [one, ten, piped] = append_rates(&bench.ours, 4, bench.scale(2_000));
    let mut rows = vec![
        Row::against(
            "APPEND 10 KiB, 1 connection",
            "/s",
            one,
            "1-row commits",
            limits.rows_by_1,
            Bar::AtLeastTimes(0.4),
        ),
        Row::against(
            "APPEND 10 KiB, 10 connections",
            "/s",
            ten,
            "10-row commits",
            limits.rows_by_10,
            Bar::AtLeastTimes(0.3),
        ),
        Row::against(
            "APPEND 10 KiB, pipelined by 20",
            "/s",
            piped,
            "10-row commits",
            limits.rows_by_10,
            Bar::AtLeastTimes(0.4),
        ),
    ];
    if let Some(peers) = &bench.peers {
        let theirs = append_rates(peers, 4, bench.scale(1_000));
        for (work, ours, theirs) in [
            ("1 connection", one, theirs[0]),
            ("10 connections", ten, theirs[1]),
            ("pipelined by 20", piped, theirs[2]),
        ] {
            rows.push(Row::against(&format!("APPEND 10 KiB, {work}"), "/s", ours, "D+P", theirs, Bar::Shown));
        }
    }
    rows
}

/// strace counting fsyncs of a running server.
struct Tracer {
    child: std::process::Child,
    log: tempfile::NamedTempFile,
}

impl Tracer {
    fn start(server: &Server) -> Option<Tracer> {
        let log = tempfile::NamedTempFile::new().expect("a log");
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(log.path());
        for pid in server.pids() {
            command.args(["-p", &pid.to_string()]);
        }
        let child = command.stderr(std::process::Stdio::null()).spawn().ok()?;
        std::thread::sleep(Duration::from_millis(500));
        Some(Tracer { child, log })
    }

    fn stop(mut self) -> usize {
        let _ = std::process::Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
        let text = std::fs::read_to_string(self.log.path()).unwrap_or_default();
        text.lines().filter(|line| line.contains("sync(") && !line.contains("resumed")).count()
    }
}
