//! The real program: started, asked, stopped, killed. Ports are chosen by the system, waits are for lines that come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
        for service in ["smtp", "submission", "submissions", "imap", "imaps"] {
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

    /// The next line; empty when the server has hung up.
    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => String::new(),
            Err(error) => panic!("no line: {error}"),
        }
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
            let line = self.line();
            assert!(!line.is_empty(), "hung up before {tag} {status}: {lines:?}");
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

// --- quickstart ---

#[test]
fn quickstart_makes_a_box_that_a_client_can_use_and_serves_it_again() {
    let (folder, db) = folder();
    let server = Box::quickstart(&db);
    assert!(server.greeting.contains("\"made\":true"), "{}", server.greeting);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&db).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    for (service, greeting) in [("smtp", "220 "), ("submission", "220 "), ("imap", "* OK")] {
        server.plain(service).expect(greeting);
    }
    let pin = text_field(&server.greeting, "fingerprint");
    assert!(pin.is_some(), "{}", server.greeting);
    for (service, greeting) in [("submissions", "220 "), ("imaps", "* OK")] {
        Talk::new(tls(connect(server.address(service)), pin.clone())).expect(greeting);
    }
    let password = server.password();
    let mut imap = server.imap(&password);
    assert_eq!(messages(&mut imap), 1, "the welcome message");
    assert!(has(&mut imap, "Welcome"));
    let mailboxes = imap.ask("LIST \"\" *").join("\n");
    for special in ["\\Sent", "\\Drafts", "\\Trash", "\\Junk"] {
        assert!(mailboxes.contains(special), "{mailboxes}");
    }
    assert!(server.stop().success());

    let again = Box::quickstart(&db);
    assert!(again.greeting.contains("\"made\":false"), "{}", again.greeting);
    assert!(again.greeting.contains("\"password\":null"), "{}", again.greeting);
    assert_eq!(messages(&mut again.imap(&password)), 1);
    run(&db, "quickstart --ports-from 0").badly(5, "served already");
    assert!(again.stop().success());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with("-wal")), "one file: {left:?}");
}

#[test]
fn quickstart_says_what_a_person_must_type() {
    let (_folder, db) = folder();
    let mut command = program();
    command.args(["quickstart", "ann@example.test", "--ports-from", "0", "--db"]).arg(&db);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut shown = String::new();
    while !shown.contains("Ctrl-C") {
        shown.push_str(&lines.next().expect("more").expect("a line"));
        shown.push('\n');
    }
    for part in ["ann@example.test", "password", "127.0.0.1", "STARTTLS", "fingerprint", "curl --insecure"] {
        assert!(shown.contains(part), "no {part} in:\n{shown}");
    }
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn quickstart_for_somebody_else_is_refused() {
    let (_folder, db) = small_box();
    run(&db, "quickstart you@box.test --ports-from 0").badly(4, "no account for you@box.test");
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_behind() {
    let (_folder, db) = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    run(&db, &format!("quickstart --ports-from {}", port - 25))
        .badly(6, &format!("port {port} on 127.0.0.1 is taken"));
    assert!(!db.exists(), "a password that nobody saw is of no use");
}

// --- files that are not what they should be ---

#[test]
fn a_file_that_is_no_box_is_refused_and_left_alone() {
    let (_folder, db) = folder();
    let text = "This is somebody's letter, not a box.\n".repeat(300);
    std::fs::write(&db, &text).expect("a file");
    for line in
        ["quickstart --ports-from 0", "serve", "status", "domain add box.test", "account list", "verify"]
    {
        run(&db, line).badly(3, "is not a pillarbox file");
    }
    assert_eq!(std::fs::read_to_string(&db).expect("the file"), text);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_one_sentence() {
    let (folder, _) = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for line in ["quickstart --ports-from 0", "serve", "domain add box.test"] {
        run(&file.join("box.db"), line).badly(3, "cannot write to the folder");
    }
}

#[test]
fn a_missing_file_is_said_with_what_to_do() {
    let (_folder, db) = folder();
    for line in ["status", "account list", "config get hostname", "backup x.db", "verify", "rebuild"] {
        run(&db, line).badly(3, "there is no pillarbox file");
    }
}

#[test]
fn a_newer_file_is_refused() {
    let (_folder, db) = small_box();
    let file = rusqlite::Connection::open(&db).expect("the file");
    file.pragma_update(None, "user_version", 999).expect("a version");
    drop(file);
    for line in ["serve", "status", "domain add example.test"] {
        run(&db, line).badly(3, "newer pillarbox");
    }
}

// --- commands ---

/// The life of a box in commands. The same with and without a server.
fn administer(db: &Path) {
    run(db, "domain add example.test").well();
    run(db, "domain add example.test").badly(4, "exists already");
    assert_eq!(run(db, "domain list").well(), "box.test\nexample.test\n");
    run_with(db, "pw\n", "account add ann@example.test --password-stdin").well();
    run_with(db, "pw\n", "account add bob@elsewhere.test --password-stdin")
        .badly(4, "domain is not served here");
    run_with(db, "\n", "account add bob@box.test --password-stdin").badly(2, "empty password");
    run_with(db, "pw\n", "account add bob --password-stdin").badly(2, "not an address");
    run(db, "account add bob@box.test").badly(2, "--password-stdin");
    assert!(run(db, "account list").well().contains("ann@example.test  0 messages"));
    run_with(db, "other\n", "account password ann@example.test --password-stdin").well();
    run_with(db, "other\n", "account password nobody@box.test --password-stdin").badly(4, "no such account");
    run(db, "account quota ann@example.test 1000000").well();
    assert!(run(db, "account list --json").well().contains("\"quota-bytes\":1000000"));

    let made = run(db, "account app add ann@example.test phone --scope read-only --json").well();
    assert_eq!(text_field(&made, "password").map(|secret| secret.len()), Some(18), "{made}");
    run(db, "account app add ann@example.test phone").badly(4, "exists already");
    run(db, "account app add ann@example.test watch --scope nothing").badly(2, "no scope");
    assert!(run(db, "account app list ann@example.test").well().contains("phone  read-only"));
    run(db, "account app revoke ann@example.test phone").well();
    run(db, "account app revoke ann@example.test phone").badly(4, "no such password");

    run(db, "address add sales@box.test ann@example.test").well();
    run(db, "address add *@example.test ann@example.test").well();
    run(db, "address add sales@box.test ann@example.test").badly(4, "exists already");
    let addresses = run(db, "address list ann@example.test").well();
    assert!(addresses.contains("sales@box.test") && addresses.contains("*@example.test"), "{addresses}");
    run(db, "domain remove example.test").badly(4, "in use");
    run(db, "address remove sales@box.test").well();
    run(db, "address remove sales@box.test").badly(4, "no such address");
    run(db, "address remove *@example.test").well();

    assert_eq!(run(db, "config get tag-separators").well(), "+\n");
    run(db, "config set tag-separators -").well();
    assert_eq!(run(db, "config get tag-separators").well(), "-\n");
    run(db, "config set message-bytes-max many").badly(2, "message-bytes-max");
    run(db, "config set no-such-thing 1").badly(2, "no setting");
    run(db, "config set tag-separators").well();
    assert!(run(db, "config list").well().contains("tag-separators = +  (default)"));

    run(db, "account remove ann@example.test").badly(2, "--yes");
    run(db, "account remove ann@example.test --yes").well();
    run(db, "domain remove example.test").well();
    assert_eq!(run(db, "domain list").well(), "box.test\n");
    let status = run(db, "status --json").well();
    assert!(status.contains("\"accounts\":1") && status.contains("\"domains\":1"), "{status}");
    run(db, "verify").well();
}

#[test]
fn commands_work_without_a_server() {
    let (_folder, db) = small_box();
    administer(&db);
    assert!(run(&db, "status --json").well().contains("\"running\":false"));
    run(&db, "reload").badly(4, "no server runs");
    run(&db, "rebuild").well();
    run(&db, "verify").well();
}

#[test]
fn commands_work_beside_a_server() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    administer(&db);
    run(&db, "reload").well();
    run(&db, "rebuild").badly(5, "stop it before");
    run(&db, "restore nothing.db").badly(5, "stop it before");
    assert!(run(&db, "status").well().contains("server: running"));
    run(&db, "serve").badly(5, "another pillarbox works on");
    assert!(server.stop().success());
}

#[test]
fn a_changed_setting_moves_the_listeners_of_a_running_server() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    let before = server.address("imap");
    run(&db, "config set listen-imap 127.0.0.1:0 ").well();
    server.plain("imap").expect("* OK");
    run(&db, "config set listen-smtp [::1]:0").well();
    let end = Instant::now() + PATIENCE;
    while server.address("smtp").is_ipv4() {
        assert!(Instant::now() < end, "still at the old address");
    }
    greeted(&server);
    assert_eq!(server.address("imap"), before, "what is as before stays open");
}

#[test]
fn a_new_password_ends_the_old_ones_connections() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    let mut talk = server.imap("secret1");
    run_with(&db, "secret2\n", "account password me@box.test --password-stdin").well();
    let said = Instant::now();
    while !talk.line().is_empty() {}
    assert!(said.elapsed() < Duration::from_secs(1), "it took {:?}", said.elapsed());
    let mut old = server.tls("imaps");
    old.expect("* OK");
    old.say("a LOGIN me@box.test secret1");
    old.expect("a NO");
    server.imap("secret2");
}

#[test]
fn a_certificate_from_files_is_served_and_read_again_on_hangup() {
    let (folder, db) = small_box();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let write = || {
        let pair = rcgen::generate_simple_self_signed(vec!["box.test".into()]).expect("a certificate");
        std::fs::write(&chain, pair.cert.pem()).expect("a file");
        std::fs::write(&key, pair.signing_key.serialize_pem()).expect("a file");
        let digest = ring::digest::digest(&ring::digest::SHA256, pair.cert.der());
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    };
    let first = write();
    run(&db, &format!("config set tls-cert {}", chain.display())).well();
    run(&db, &format!("config set tls-key {}", key.display())).well();
    let server = Box::serve(&db);
    Talk::new(tls(connect(server.address("imaps")), Some(first))).expect("* OK");
    let second = write();
    server.signal(Signal::HUP);
    let end = Instant::now() + PATIENCE;
    loop {
        let mut stream = tls(connect(server.address("imaps")), Some(second.clone()));
        let mut byte = [0];
        if matches!(stream.read(&mut byte), Ok(1)) {
            break;
        }
        assert!(Instant::now() < end, "still the old certificate");
    }
}

// --- backup, restore, kill -9 ---

#[test]
fn a_backup_is_taken_while_mail_comes_in_and_restored() {
    let (folder, db) = small_box();
    let server = Box::serve(&db);
    let copy = folder.path().join("copy.db");
    let mut talk = greeted(&server);
    assert!(deliver(&mut talk, "before-the-copy"));
    let backup = {
        let (db, line) = (db.clone(), format!("backup {}", copy.display()));
        std::thread::spawn(move || run(&db, &line))
    };
    let mut count = 0;
    while !backup.is_finished() {
        assert!(deliver(&mut talk, "during-the-copy"));
        count += 1;
    }
    let said = backup.join().expect("a thread").well();
    assert!(said.contains("checked"), "{said}");
    assert!(deliver(&mut talk, "after-the-copy"));
    run(&db, &format!("backup {}", copy.display())).badly(3, "exists already");
    let mut imap = server.imap("secret1");
    assert_eq!(messages(&mut imap), count + 2);
    drop(imap);
    assert!(server.stop().success());

    run(&db, &format!("restore {}", copy.display())).well();
    run(&db, "verify").well();
    let server = Box::serve(&db);
    let mut imap = server.imap("secret1");
    assert!((1..=count + 1).contains(&messages(&mut imap)));
    assert!(has(&mut imap, "before-the-copy") && !has(&mut imap, "after-the-copy"));
}

#[test]
fn a_restore_from_something_else_changes_nothing() {
    let (folder, db) = small_box();
    let other = folder.path().join("letter.txt");
    std::fs::write(&other, "Dear friend,\n".repeat(100)).expect("a file");
    run(&db, &format!("restore {}", other.display())).badly(3, "is not a pillarbox file");
    run(&db, "restore /no/such/file").badly(3, "/no/such/file");
    assert_eq!(run(&db, "domain list").well(), "box.test\n");
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let (_folder, db) = small_box();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let server = Box::serve(&db);
        let mut talk = greeted(&server);
        for number in 0..20 + round * 7 {
            let subject = format!("mail-{round}-{number}-end");
            assert!(deliver(&mut talk, &subject));
            acknowledged.push(subject);
        }
        // The last one is in the midst of its way.
        send(&mut talk, &format!("mail-{round}-last-end"));
        server.kill();
    }
    let server = Box::serve(&db);
    let mut imap = server.imap("secret1");
    imap.ask("EXAMINE INBOX");
    for subject in &acknowledged {
        assert!(has(&mut imap, subject), "{subject} was acknowledged and is gone");
    }
    drop(imap);
    assert!(server.stop().success());
    run(&db, "verify").well();
}
