//! Rows about finding and everyday work on a large mailbox: SEARCH, SORT, THREAD, a client that comes back, many messages
//! changed at once, and what the search index weighs.

use std::time::{Duration, Instant};

use crate::clients::{Imap, Line};
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{Server, user};
use crate::{Bench, corpus};

/// Stands in three messages of each mailbox and nowhere else.
const RARE: &str = "quetzalcoatl";
/// Messages changed, copied, moved and expunged at once.
const MANY: usize = 2_000;

pub fn rows(bench: &Bench, limits: &Limits) -> Vec<Row> {
    let (small, large) = (bench.scale(10_000), bench.scale(100_000));
    let db = bench.ours.db().expect("ours has a file");
    let before = crate::read::file_bytes(bench);
    crate::servers::command(&db, &["config", "set", "search-index", "on"], "");
    let raw = fill(&bench.ours, 1, small) + fill(&bench.ours, 0, large);
    indexed(&db);
    let file = (crate::read::file_bytes(bench) - before) as f64;
    let mut rows = search(&bench.ours, 1, small, [2.0, 1.5]);
    rows.extend(search(&bench.ours, 0, large, [10.0, 10.0]));
    rows.extend(order(bench, small));
    rows.extend(everyday(bench, limits, large));
    rows.push(Row::alone(
        "file bytes per corpus byte, search index included",
        "x",
        file / raw as f64,
        Bar::AtMost(1.3),
    ));
    rows.push(compressed(bench));
    rows
}

fn login(server: &Server, who: usize) -> Imap {
    let mut client =
        Imap::login(Line::plain(server.imap).expect("a connection"), &user(who), server.password);
    client.run("SELECT INBOX");
    client
}

fn fill(server: &Server, to: usize, count: usize) -> u64 {
    let bytes = crate::read::fill(server, to, count);
    let mut client = login(server, to);
    for number in 0..3 {
        let mail = format!("From: rare@example.org\r\nSubject: rare {number}\r\n\r\nSeen: {RARE}.\r\n");
        client.append("INBOX", mail.as_bytes(), true);
    }
    bytes
}

/// Waits until the index has caught up.
fn indexed(db: &std::path::Path) {
    let begun = Instant::now();
    while !crate::servers::output(db, &["status"]).contains(" 0 waiting)") {
        assert!(begun.elapsed() < Duration::from_secs(600), "the index does not come to an end");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn ms(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e3
}

/// The median time of a command in milliseconds, after it was asked once.
fn median(client: &mut Imap, command: &str, times: usize) -> f64 {
    client.run(command);
    let mut waits: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            client.run(command);
            begun.elapsed()
        })
        .collect();
    ms(percentile(&mut waits, 50))
}

fn search(server: &Server, who: usize, count: usize, [body, header]: [f64; 2]) -> Vec<Row> {
    let mut client = login(server, who);
    let mut rows = Vec::new();
    for (what, key, bar) in [
        ("BODY, rare word", format!("BODY {RARE}"), body),
        ("TEXT, absent word", "TEXT zyzzyvas".to_owned(), body),
        ("FROM, one of 200 senders", "FROM p7@example.org".to_owned(), header),
        ("SUBJECT, rare", "SUBJECT \"rare 2\"".to_owned(), header),
    ] {
        let took = median(&mut client, &format!("UID SEARCH {key}"), 9);
        rows.push(Row::alone(&format!("SEARCH {what}, {count} messages"), "ms", took, Bar::AtMost(bar)));
    }
    let begun = Instant::now();
    let found = client.lines("UID SEARCH RETURN (COUNT) BODY invoice");
    let took = begun.elapsed();
    let hits: f64 = found
        .iter()
        .find_map(|line| line.split("COUNT ").nth(1)?.split_whitespace().next()?.parse().ok())
        .expect("a count");
    rows.push(Row::alone(
        &format!("SEARCH BODY, common word, {count} messages: each hit"),
        "us",
        took.as_secs_f64() * 1e6 / hits.max(1.0),
        Bar::AtMost(60.0),
    ));
    let first = median(&mut client, "UID SEARCH RETURN (PARTIAL -1:-50) BODY invoice", 5);
    rows.push(Row::alone(
        &format!("… its newest fifty (PARTIAL), {count} messages"),
        "ms",
        first,
        Bar::AtMost(20.0),
    ));
    rows
}

/// SORT and THREAD against Dovecot on a mailbox of the same messages.
fn order(bench: &Bench, small: usize) -> Vec<Row> {
    let work = [
        ("SORT by date", "UID SORT (DATE) UTF-8 ALL", 0.5),
        ("SORT by arrival", "UID SORT (ARRIVAL) UTF-8 ALL", 0.5),
        ("SORT by subject", "UID SORT (SUBJECT) UTF-8 ALL", 0.5),
        ("THREAD=REFERENCES", "UID THREAD REFERENCES UTF-8 ALL", 0.15),
    ];
    let times = |server: &Server| {
        let mut client = login(server, 1);
        work.map(|(_, command, _)| median(&mut client, command, 5))
    };
    let ours = times(&bench.ours);
    let theirs = bench.peers.as_ref().map(|peers| {
        fill(peers, 1, small);
        times(peers)
    });
    let row = |number: usize| {
        let (what, _, bar) = work[number];
        let work = format!("{what}, {small} messages");
        match theirs {
            Some(theirs) => {
                Row::against(&work, "ms", ours[number], "D+P", theirs[number], Bar::AtMostTimes(bar))
            }
            None => Row::alone(&work, "ms", ours[number], Bar::Shown),
        }
    };
    (0..work.len()).map(row).collect()
}

fn everyday(bench: &Bench, limits: &Limits, large: usize) -> Vec<Row> {
    let server = &bench.ours;
    let mut rows = vec![come_back(server, large), multiappend(server, bench.scale(4_000))];
    let many = bench.scale(MANY * 10) / 10;
    let commit = 1e3 / limits.rows_by_1;
    crate::read::fill(server, 2, many);
    let mut client = login(server, 2);
    client.run("CREATE Copies");
    client.run("CREATE Elsewhere");
    let mut time = |command: &str| {
        let begun = Instant::now();
        client.run(command);
        ms(begun.elapsed())
    };
    let all = format!("1:{many}");
    let flags = time(&format!("STORE {all} +FLAGS.SILENT (\\Flagged)"));
    rows.push(Row::alone(&format!("STORE {many}, silent, durable"), "ms", flags, Bar::AtMost(20.0)));
    let mut ones: Vec<f64> =
        (1..30).map(|number| time(&format!("STORE {number} +FLAGS (\\Answered)"))).collect();
    ones.sort_by(f64::total_cmp);
    rows.push(Row::against(
        "STORE of one flag, durable",
        "ms",
        ones[15],
        "1-row commit",
        commit,
        Bar::AtMostTimes(1.5),
    ));
    let copied = time(&format!("COPY {all} Copies"));
    rows.push(Row::alone(&format!("COPY {many}"), "ms", copied, Bar::AtMost(40.0)));
    let moved = time(&format!("MOVE {all} Elsewhere"));
    rows.push(Row::alone(&format!("MOVE {many}"), "ms", moved, Bar::AtMost(40.0)));
    time("SELECT Copies");
    time(&format!("STORE {all} +FLAGS.SILENT (\\Deleted)"));
    let expunged = time("EXPUNGE");
    rows.push(Row::alone(&format!("EXPUNGE {many}"), "ms", expunged, Bar::AtMost(25.0)));
    client.append("INBOX", &corpus::sized(3, 25 * 1024 * 1024), false);
    client.run("SELECT INBOX");
    let deep = median(&mut client, "FETCH * (BODY.PEEK[]<20971520.64>)", 9);
    rows.push(Row::alone("64 bytes at 20 MB of a 25 MB message", "ms", deep, Bar::AtMost(2.0)));
    rows
}

/// A client that was away while ten flags changed: connection, login with the cached proof, SELECT with QRESYNC.
fn come_back(server: &Server, large: usize) -> Row {
    let mut other = login(server, 0);
    let mut waits: Vec<Duration> = (0..9)
        .map(|turn| {
            let mut before =
                Imap::login(Line::plain(server.imap).expect("a connection"), &user(0), server.password);
            before.run("ENABLE QRESYNC");
            let said = before.lines("SELECT INBOX").join("\n");
            let number = |name: &str| -> u64 {
                let rest = said.split(name).nth(1).expect("SELECT says it");
                rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
            };
            let (validity, modseq) = (number("UIDVALIDITY "), number("HIGHESTMODSEQ "));
            before.run("LOGOUT");
            for uid in 1..=10 {
                let sign = if turn % 2 == 0 { '+' } else { '-' };
                other.run(&format!("UID STORE {} {sign}FLAGS.SILENT (\\Flagged)", uid * 7));
            }
            let begun = Instant::now();
            let mut again =
                Imap::login(Line::plain(server.imap).expect("a connection"), &user(0), server.password);
            again.run("ENABLE QRESYNC");
            again.run(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"));
            begun.elapsed()
        })
        .collect();
    Row::alone(
        &format!("reconnect and QRESYNC after 10 changes, {large} messages"),
        "ms",
        ms(percentile(&mut waits, 50)),
        Bar::AtMost(3.0),
    )
}

/// A hundred messages in one APPEND, against rows of the same size a hundred in one commit.
fn multiappend(server: &Server, count: usize) -> Row {
    let mail = corpus::sized(9, 10 * 1024);
    let mut client = login(server, 3);
    let begun = Instant::now();
    for _ in 0..(count / 100).max(1) {
        let tag = client.start_multiappend("INBOX", &mail, 100);
        client.finish(&tag);
    }
    let rate = ((count / 100).max(1) * 100) as f64 / begun.elapsed().as_secs_f64();
    let limit = crate::limits::rows(10 * 1024, 100, Duration::from_secs(1));
    Row::against("MULTIAPPEND by 100, 10 KiB", "/s", rate, "100-row commits", limit, Bar::AtLeastTimes(0.5))
}

/// What a hundred connections that compress cost more than a hundred that do not.
fn compressed(bench: &Bench) -> Row {
    let server = &bench.ours;
    let mut clients: Vec<Imap> = (0..100)
        .map(|_| {
            let mut client = login(server, 1);
            client.run("NOOP");
            client
        })
        .collect();
    std::thread::sleep(Duration::from_secs(5));
    let plain = server.pss();
    for client in &mut clients {
        client.run("COMPRESS DEFLATE");
    }
    std::thread::sleep(Duration::from_secs(5));
    Row::alone(
        "100 idle compressed connections: PSS over plain ones",
        "MiB",
        server.pss() - plain,
        Bar::AtMost(5.0),
    )
}
