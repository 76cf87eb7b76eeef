//! Real clients against the real binary. Each test starts a box of its own on free loopback ports and runs one script
//! of `tests/interop`, which checks outcomes: bytes equal, flags equal, message there. They need Debian packages, so
//! `cargo test` alone leaves them out; `tests/run` installs what they need and runs them.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USER: &str = "me@box.test";
const PASSWORD: &str = "CorrectHorse7Battery";
const SERVICES: [&str; 7] = ["SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "POP3", "POP3S"];

/// A box that serves on free ports of 127.0.0.1 until it is dropped.
struct Running {
    child: Child,
    ports: Vec<u16>,
    db: PathBuf,
    work: tempfile::TempDir,
}

impl Running {
    /// `folder` is where the file lies; the scratch folder of the script is always elsewhere.
    fn start(folder: Option<&Path>) -> Running {
        let work = tempfile::tempdir().expect("a scratch folder");
        let db = folder.unwrap_or(work.path()).join("box.db");
        let ports = free_ports(SERVICES.len());
        pillarbox(&db, &["domain", "add", "box.test"], "");
        pillarbox(&db, &["account", "add", USER, "--password-stdin"], PASSWORD);
        for (service, port) in SERVICES.iter().zip(&ports) {
            let setting = format!("listen-{}", service.to_lowercase());
            pillarbox(&db, &["config", "set", &setting, &format!("127.0.0.1:{port}")], "");
        }
        let child = serve(&db, work.path());
        let running = Running { child, ports, db, work };
        running.wait_until_it_listens();
        running
    }

    /// As after a power cut: killed, and started again.
    fn start_again(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.child = serve(&self.db, self.work.path());
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        for port in &self.ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                assert!(Instant::now() < end, "nothing listens on {port}; log:\n{}", self.log());
                std::thread::yield_now();
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.work.path().join("serve.log")).unwrap_or_default()
    }

    /// Runs a script of `tests/interop` to its end; panics with what it printed if it fails.
    fn run(&mut self, script: &str, limit: Duration) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
        let printed = self.work.path().join("script.log");
        let out = std::fs::File::create(&printed).expect("a log file");
        let mut command = match script.ends_with(".py") {
            true => Command::new("python3"),
            false => Command::new("bash"),
        };
        command.arg(path).env("BOX_HOST", "127.0.0.1").env("BOX_USER", USER).env("BOX_PASSWORD", PASSWORD);
        for (service, port) in SERVICES.iter().zip(&self.ports) {
            command.env(format!("BOX_{service}"), port.to_string());
        }
        command
            .env("BOX_WORK", self.work.path())
            .env("BOX_PROGRAM", env!("CARGO_BIN_EXE_pillarbox"))
            .env("BOX_DB", &self.db)
            .env("BOX_PID", self.child.id().to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out);
        let mut child = command.spawn().expect("the script starts");
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the script can be waited for") {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        let said = std::fs::read_to_string(&printed).unwrap_or_default();
        println!("{said}");
        assert!(status.success(), "{script}: {status}\n{said}\nlog of the box:\n{}", self.log());
        let serving = self.child.try_wait().expect("the box can be asked").is_none();
        assert!(serving, "{script}: the box ended; its log:\n{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(db: &Path, work: &Path) -> Child {
    let log = std::fs::File::create(work.join("serve.log")).expect("a log file");
    Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(["serve", "--db"])
        .arg(db)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the box starts")
}

fn free_ports(count: usize) -> Vec<u16> {
    let doors: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    doors.iter().map(|door| door.local_addr().expect("an address").port()).collect()
}

/// One command of the command line, which must succeed.
fn pillarbox(db: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pillarbox"))
        .args(arguments)
        .arg("--db")
        .arg(db)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn python_submits_delivers_reads_and_two_devices_agree() {
    Running::start(None).run("python_clients.py", 2 * MINUTE);
}

#[test]
#[ignore = "needs Python: tests/run"]
fn commands_speak_json_and_ask_a_person_on_a_terminal() {
    Running::start(None).run("terminal.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn curl_gets_back_the_bytes_it_sent() {
    Running::start(None).run("curl.sh", 2 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn swaks_delivers_and_submits_and_is_refused_what_it_may_not() {
    Running::start(None).run("swaks.sh", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn mbsync_keeps_both_sides_equal() {
    Running::start(None).run("mbsync.sh", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn neomutt_sends_reads_flags_and_saves() {
    Running::start(None).run("neomutt.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn mutt_sends_reads_flags_and_saves() {
    Running::start(None).run("mutt.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn offlineimap_keeps_both_sides_equal() {
    Running::start(None).run("offlineimap.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs IMAPClient: tests/run"]
fn imapclient_manages_folders_of_any_name_and_uploads_many() {
    Running::start(None).run("with_imapclient.py", 2 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn alpine_uploads_many_reads_and_flags() {
    Running::start(None).run("alpine.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn aerc_reads_flags_and_moves() {
    Running::start(None).run("aerc.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Python: tests/run"]
fn compressed_connections_stream_and_stay_small() {
    Running::start(None).run("compress.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Python: tests/run"]
fn poplib_reads_deletes_and_knows_every_message_again() {
    let mut running = Running::start(None);
    running.run("pop3_python.py", 2 * MINUTE);
    running.start_again();
    running.run("pop3_python.py", 2 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn curl_reads_and_deletes_by_pop3() {
    Running::start(None).run("pop3_curl.sh", 2 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn getmail_fetches_what_is_new_once() {
    Running::start(None).run("getmail.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Debian packages: tests/run"]
fn fetchmail_fetches_by_pop3_and_imap() {
    Running::start(None).run("fetchmail.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs Python and minutes: tests/run"]
fn a_bad_line_ends_right() {
    Running::start(None).run("bad_line.py", 20 * MINUTE);
}

#[test]
#[ignore = "needs Python and thousands of sockets: tests/run"]
fn a_crowd_of_slow_peers_does_not_delay_an_honest_one() {
    Running::start(None).run("crowd.py", 3 * MINUTE);
}

#[test]
#[ignore = "needs root to mount a small file system: tests/run"]
fn a_full_disk_can_be_emptied() {
    let disk = SmallDisk::mount();
    Running::start(Some(disk.folder.path())).run("disk_full.py", 5 * MINUTE);
}

/// A file system of 100 MB in memory, unmounted on drop.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> SmallDisk {
        let folder = tempfile::tempdir().expect("a folder");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=100m", "tmpfs"])
            .arg(folder.path())
            .status()
            .expect("mount can be run");
        assert!(done.success(), "mounting needs root");
        SmallDisk { folder }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
