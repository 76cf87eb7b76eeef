//! A disk whose every read takes 100 ms, as an SD card behind a write does: other connections must not notice. The
//! server runs in a child of the bench itself, so that the fault-injecting VFS of the tests can stand in front of its
//! file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pillarbox::io::Server;
use pillarbox::io::lock::Lock;
use pillarbox::io::services::Ports;

use crate::Bench;
use crate::clients::{Imap, Line};
use crate::corpus::Dice;
use crate::limits::{Limits, percentile};
use crate::report::{Bar, Row};
use crate::servers::{PASSWORD, box_of, scratch, user, wait_for};
use crate::world::disk::Disk;

/// Names the file to serve: with it, the bench is the server.
pub const SERVE: &str = "PILLARBOX_BENCH_SERVE";
const READ_TAKES: Duration = Duration::from_millis(100);

/// The child's main: serves, and makes reads slow as soon as its input says a line.
pub fn serve(db: &Path) {
    let disk = Disk::watch(db.parent().expect("a folder"), 1);
    let lock = Lock::take(db).expect("nobody else serves it");
    let server = Server::prepare(db, Ports::Settings, lock).expect("it can be served");
    std::thread::spawn(move || {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            disk.set_faults(|faults, _| faults.read_delay = Some(READ_TAKES));
            println!("slow");
        }
    });
    server.run().expect("it serves");
}

struct Slow {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn rows(bench: &Bench, _: &Limits) -> Vec<Row> {
    let folder = tempfile::tempdir_in(scratch()).expect("a folder");
    let db = folder.path().join("slow.db");
    let ports = box_of(&db, 2);
    let program = std::env::current_exe().expect("the bench itself");
    let child = Command::new(program)
        .env(SERVE, &db)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut slow = Slow { child, _folder: folder };
    let imap = ports[3];
    wait_for(imap);
    let login = |who| Imap::login(Line::plain(imap).expect("a connection"), &user(who), PASSWORD);
    let count = bench.scale(5_000);
    crate::read::fill_by(&mut login(0), count);
    let mut reader = login(0);
    let mut other = login(1);
    for client in [&mut reader, &mut other] {
        client.run("SELECT INBOX");
        client.run("NOOP");
    }
    make_slow(&mut slow.child);
    let (mut noops, cold) = noop_beside_reads(&mut reader, &mut other, count as u64);
    let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
    vec![
        Row::alone(
            "NOOP of another connection, p99, every cold read takes 100 ms",
            "ms",
            ms(percentile(&mut noops, 99)),
            Bar::AtMost(20.0),
        ),
        Row::alone("… cold reads meanwhile", "", cold as f64, Bar::Shown),
    ]
}

fn make_slow(child: &mut Child) {
    child.stdin.as_mut().expect("its input").write_all(b"slow\n").expect("it reads");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut said).expect("it answers");
    assert_eq!(said, "slow\n");
}

/// NOOPs of one connection while the other opens messages at random, for some seconds; how long each took, and how
/// many messages were opened.
fn noop_beside_reads(reader: &mut Imap, other: &mut Imap, count: u64) -> (Vec<Duration>, u64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cold = scope.spawn(|| {
            let mut dice = Dice::new(5);
            let mut opened = 0;
            while !stop.load(Ordering::Relaxed) {
                reader.run(&format!("UID FETCH {} (BODY.PEEK[])", 1 + dice.roll(count)));
                opened += 1;
            }
            opened
        });
        let begun = Instant::now();
        let mut noops = Vec::new();
        while begun.elapsed() < Duration::from_secs(10) {
            let asked = Instant::now();
            other.run("NOOP");
            noops.push(asked.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        (noops, cold.join().expect("a reader"))
    })
}
