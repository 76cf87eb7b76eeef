//! The real program: started, asked, stopped, killed. Ports are chosen by the system, waits are for lines that come.

mod backup;
mod commands;
mod quickstart;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

const PATIENCE: Duration = Duration::from_secs(30);

// --- the program ---

/// What a command said at its end.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "out: {}\nerr: {}", self.out, self.err);
        self.out
    }

    /// It failed with this code and one sentence that has these words in it.
    #[track_caller]
    fn badly(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        assert!(self.err.contains(words), "no `{words}` in: {}", self.err);
        assert_eq!(self.err.trim_end().lines().count(), 1, "one sentence: {}", self.err);
        assert!(self.err.starts_with("pillarbox: "), "{}", self.err);
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillarbox"));
    command.env_remove("PILLARBOX_DB").env_remove("PILLARBOX_LOG").stdin(Stdio::null());
    command
}

/// Runs one command to its end, on this file.
fn run_with(db: &Path, input: &str, line: &str) -> Said {
    let mut command = program();
    command.args(line.split_whitespace()).arg("--db").arg(db);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input");
    // A command that does not want the input may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn run(db: &Path, line: &str) -> Said {
    run_with(db, "", line)
}

/// A server that runs until it is stopped, killed or dropped.
struct Box {
    child: Child,
    db: PathBuf,
    /// The line of JSON that `quickstart` begins with; empty for `serve`.
    greeting: String,
}

impl Box {
    fn quickstart(db: &Path) -> Box {
        let mut command = program();
        command.args(["quickstart", "--json", "--ports-from", "0", "--db"]).arg(db);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut greeting = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut greeting).expect("a line");
        Box { child, db: db.into(), greeting }
    }

    /// An existing box on ports of the system's choice.
    fn serve(db: &Path) -> Box {
        for service in ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"] {
            run(db, &format!("config set listen-{service} 127.0.0.1:0")).well();
        }
        let mut command = program();
        command.arg("serve").arg("--db").arg(db).env("PILLARBOX_LOG", "warn");
        let mut child = command.spawn().expect("the program starts");
        let end = Instant::now() + PATIENCE;
        while !run(db, "status --json").well().contains("\"running\":true") {
            assert!(child.try_wait().expect("a child").is_none(), "the server has ended");
            assert!(Instant::now() < end, "the server does not answer");
        }
        Box { child, db: db.into(), greeting: String::new() }
    }

    fn password(&self) -> String {
        text_field(&self.greeting, "password").expect("a password")
    }

    /// The first address of a service.
    fn address(&self, service: &str) -> SocketAddr {
        let status = run(&self.db, "status --json").well();
        let (_, rest) = status.split_once(&format!("\"listening-{service}\":[\"")).expect("a listener");
        rest.split('"').next().and_then(|addr| addr.parse().ok()).expect("an address")
    }

    fn plain(&self, service: &str) -> Talk<TcpStream> {
        Talk::new(connect(self.address(service)))
    }

    fn tls(&self, service: &str) -> Talk<Tls> {
        Talk::new(tls(connect(self.address(service)), None))
    }

    fn imap(&self, password: &str) -> Talk<Tls> {
        let mut talk = self.tls("imaps");
        talk.expect("* OK");
        talk.say(&format!("a LOGIN me@box.test {password}"));
        talk.expect_tagged("a", "OK");
        talk
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a signal");
    }

    fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("it ends")
    }

    fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of one field of a JSON object, if it is a text without escapes.
fn text_field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next().map(str::to_owned)
}

// --- peers ---

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Believes a certificate by its fingerprint, or any certificate.
#[derive(Debug)]
struct Pinned(Option<String>);

impl rustls::client::danger::ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, cert);
        let shown: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        match &self.0 {
            Some(pin) if *pin != shown.join(":") => Err(rustls::Error::General("another certificate".into())),
            _ => Ok(rustls::client::danger::ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn tls(stream: TcpStream, fingerprint: Option<String>) -> Tls {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(fingerprint)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    rustls::StreamOwned::new(client, stream)
}

/// A conversation in lines.
struct Talk<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Talk<S> {
    fn new(stream: S) -> Talk<S> {
        Talk { stream: BufReader::new(stream) }
    }

    fn say(&mut self, line: &str) {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("a peer that reads");
        stream.flush().expect("a peer that reads");
    }

    /// The next line; `None` when the server has hung up.
    fn maybe_line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(error) => panic!("no line: {error}"),
        }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.maybe_line().expect("the server has hung up")
    }

    /// The next line that is not a continuation (`250-…`) begins like this.
    #[track_caller]
    fn expect(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            let goes_on =
                line.as_bytes().get(3) == Some(&b'-') && line.starts_with(|c: char| c.is_ascii_digit());
            if !goes_on {
                assert!(line.starts_with(start), "wanted {start}: {line}");
                return line;
            }
        }
    }

    /// All lines up to the tagged one, which says this.
    #[track_caller]
    fn expect_tagged(&mut self, tag: &str, status: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.maybe_line() else { panic!("hung up before {tag} {status}: {lines:?}") };
            if let Some(rest) = line.strip_prefix(&format!("{tag} ")) {
                assert!(rest.starts_with(status), "wanted {status}: {line}");
                return lines;
            }
            lines.push(line);
        }
    }

    fn ask(&mut self, command: &str) -> Vec<String> {
        self.say(&format!("t {command}"));
        self.expect_tagged("t", "OK")
    }
}

fn deliver(talk: &mut Talk<TcpStream>, subject: &str) -> bool {
    send(talk, subject);
    talk.line().starts_with("250")
}

/// All of a mail transaction, without waiting for its last reply.
fn send(talk: &mut Talk<TcpStream>, subject: &str) {
    for (command, reply) in
        [("MAIL FROM:<friend@example.org>", "250"), ("RCPT TO:<me@box.test>", "250"), ("DATA", "354")]
    {
        talk.say(command);
        talk.expect(reply);
    }
    talk.say(&format!("From: friend@example.org\r\nSubject: {subject}\r\n\r\nHello.\r\n."));
}

fn greeted(server: &Box) -> Talk<TcpStream> {
    let mut talk = server.plain("smtp");
    talk.expect("220");
    talk.say("EHLO friend.example.org");
    talk.expect("250");
    talk
}

fn messages(talk: &mut Talk<Tls>) -> usize {
    let lines = talk.ask("EXAMINE INBOX");
    let exists = lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    exists.and_then(|count| count.parse().ok()).expect("EXISTS")
}

fn has(talk: &mut Talk<Tls>, subject: &str) -> bool {
    let lines = talk.ask(&format!("SEARCH SUBJECT \"{subject}\""));
    lines.iter().any(|line| line.starts_with("* SEARCH ") && line.len() > "* SEARCH ".len())
}

/// A folder with a place for a box in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("pillarbox.db");
    (folder, db)
}

/// A box with one domain and one account, made by the commands that a person would use.
fn small_box() -> (tempfile::TempDir, PathBuf) {
    let (folder, db) = folder();
    run(&db, "domain add box.test").well();
    run_with(&db, "secret1\n", "account add me@box.test --password-stdin").well();
    (folder, db)
}
