//! The servers under test, as child processes on loopback: ours (the release binary) and Dovecot + Postfix.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where to reach a server, and how to look at what it costs.
pub struct Server {
    pub name: &'static str,
    pub smtp: u16,
    pub imap: u16,
    pub imaps: u16,
    /// Users `u0@box.test` … exist (or any user does).
    pub password: &'static str,
    kind: Kind,
}

enum Kind {
    Ours { child: Child, folder: tempfile::TempDir },
    Peers { folder: PathBuf },
}

pub const PASSWORD: &str = "secret7Password";

pub fn user(number: usize) -> String {
    format!("u{number}@box.test")
}

impl Server {
    /// A new box with `users` accounts, on a real disk: durability is part of what is measured.
    pub fn ours(users: usize) -> Server {
        let folder = tempfile::tempdir_in(scratch()).expect("a folder");
        let db = folder.path().join("bench.db");
        let ports = box_of(&db, users);
        let child = serve(&db);
        for port in ports {
            wait_for(port);
        }
        let [smtp, _, _, imap, imaps] = ports;
        Server {
            name: "pillarbox",
            smtp,
            imap,
            imaps,
            password: PASSWORD,
            kind: Kind::Ours { child, folder },
        }
    }

    /// Dovecot + Postfix from Debian; `None` where they cannot be had (no root, no apt).
    pub fn peers() -> Option<Server> {
        let folder = scratch().join("peers");
        let output = peers_script("up", &folder).output().ok()?;
        if !output.status.success() {
            eprintln!("no peers: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let port = |name: &str| {
            said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        let (smtp, imap, imaps) = (port("smtp")?, port("imap")?, port("imaps")?);
        Some(Server {
            name: "Dovecot + Postfix",
            smtp,
            imap,
            imaps,
            password: "secret",
            kind: Kind::Peers { folder },
        })
    }

    pub fn pids(&self) -> Vec<u32> {
        match &self.kind {
            Kind::Ours { child, .. } => vec![child.id()],
            Kind::Peers { folder } => {
                let output = peers_script("pids", folder).output().expect("the script runs");
                String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect()
            }
        }
    }

    /// CPU seconds used so far by all processes alive now. Peers' short-lived children that have ended are in their
    /// parents' `cutime` and counted too.
    pub fn cpu(&self) -> f64 {
        self.pids().iter().filter_map(|pid| cpu_of(*pid)).sum()
    }

    /// Proportional set size of all processes, in MiB.
    pub fn pss(&self) -> f64 {
        let rollups = self
            .pids()
            .into_iter()
            .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
        let kib = rollups.filter_map(|text| {
            let line = text.lines().find(|line| line.starts_with("Pss:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        });
        kib.sum::<f64>() / 1024.0
    }

    /// Voluntary context switches of all threads so far: every wake-up ends in one.
    pub fn wakeups(&self) -> u64 {
        let mut total = 0;
        for pid in self.pids() {
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for task in tasks.flatten() {
                let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                total += line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
            }
        }
        total
    }

    /// Ours only: the file, and its size with the WAL checkpointed is the caller's care.
    pub fn db(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Ours { folder, .. } => Some(folder.path().join("bench.db")),
            Kind::Peers { .. } => None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Ours { child, .. } => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Kind::Peers { folder } => {
                let _ = peers_script("down", folder).status();
                let _ = std::fs::remove_dir_all(folder.join("root/var/vmail"));
                let _ = std::fs::remove_dir_all(folder.join("root/var/spool"));
            }
        }
    }
}

/// A new file with so many accounts, and the ports it will listen on.
pub fn box_of(db: &Path, users: usize) -> [u16; 5] {
    command(db, &["domain", "add", "box.test"], "");
    for number in 0..users {
        command(db, &["account", "add", &user(number), "--password-stdin"], PASSWORD);
    }
    let ports = free_ports();
    for (name, port) in ["smtp", "submission", "submissions", "imap", "imaps"].iter().zip(ports) {
        command(db, &["config", "set", &format!("listen-{name}"), &format!("127.0.0.1:{port}")], "");
    }
    // Nobody asks for POP3 here.
    for name in ["listen-pop3", "listen-pop3s"] {
        command(db, &["config", "set", name, "127.0.0.1:0"], "");
    }
    // The bench measures mail, not handshakes, where it speaks in the clear.
    command(db, &["config", "set", "plaintext-login", "yes"], "");
    // Rows about mail coming in are without the index; the group about finding turns it on.
    command(db, &["config", "set", "search-index", "off"], "");
    ports
}

/// Where files of the bench lie: on the disk of the build folder, not in memory.
pub fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-scratch");
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

fn peers_script(verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers/run"));
    command.arg(verb).arg(folder).stdin(Stdio::null());
    command
}

pub fn serve(db: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    command
        .args(["serve", "--db"])
        .arg(db)
        .env("PILLARBOX_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command.spawn().expect("the box starts")
}

/// One command of our command line, which must succeed.
pub fn command(db: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(arguments)
        .arg("--db")
        .arg(db)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "{arguments:?}");
}

/// What a command of our command line prints.
pub fn output(db: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(arguments)
        .arg("--db")
        .arg(db)
        .output()
        .expect("the command runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn free_ports() -> [u16; 5] {
    let doors = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    doors.map(|door| door.local_addr().expect("an address").port())
}

/// Waits until something listens; returns how long that took.
pub fn wait_for(port: u16) -> Duration {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing listens on {port}");
        std::thread::sleep(Duration::from_micros(200));
    }
    begun.elapsed()
}

/// utime, stime and those of reaped children, in seconds.
fn cpu_of(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks as f64 / 100.0)
}
