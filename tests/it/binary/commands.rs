//! Every command, with and without a server, and what a running server makes of a change.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::*;

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
    run(db, "account quota ann@example.test --messages 500 --mailboxes 20").well();
    let listed = run(db, "account list --json").well();
    for field in ["\"quota-bytes\":null", "\"quota-messages\":500", "\"quota-mailboxes\":20"] {
        assert!(listed.contains(field), "{field}: {listed}");
    }

    let made = run(db, "account app add ann@example.test phone --scope read-only --json").well();
    // Letters and digits only: some clients choke on others.
    let secret = text_field(&made, "password").expect("a password");
    assert!(secret.len() == 18 && secret.chars().all(|c| c.is_ascii_alphanumeric()), "{made}");
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
fn a_damaged_file_is_said_with_what_is_wrong() {
    let (_folder, db) = small_box();
    let file = rusqlite::Connection::open(&db).expect("the file");
    file.execute("UPDATE mailbox SET messages = 7 WHERE name = 'INBOX'", []).expect("a wrong counter");
    drop(file);
    run(&db, "verify").badly(1, "INBOX");
    let said = run(&db, "verify --json");
    assert!(
        said.out.starts_with("{\"error\":\"") && said.out.trim_end().ends_with(",\"exit\":1}"),
        "{}",
        said.out
    );
    run(&db, "rebuild").well();
    run(&db, "verify").well();
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
    while talk.maybe_line().is_some() {}
    assert!(said.elapsed() < Duration::from_secs(1), "it took {:?}", said.elapsed());
    let mut old = server.tls("imaps");
    old.expect("* OK");
    old.say("a LOGIN me@box.test secret1");
    old.expect("a NO");
    server.imap("secret2");
}

/// Two passwords of one account, one for reading and one for sending: each serves only its end, shows where it was last
/// used, and takes its connections along when it is revoked, idle ones too; those of the others stay.
#[test]
fn a_revoked_app_password_ends_its_connections_and_no_others() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    for (name, scope) in [("reader", "read-only"), ("sender", "send-only")] {
        let line = format!("account app add me@box.test {name} --scope {scope} --password-stdin");
        run_with(&db, &format!("{name}-pw\n"), &line).well();
    }
    let before = run(&db, "account app list me@box.test --json").well();
    assert!(before.contains("\"name\":\"reader\",\"scope\":\"read-only\""), "{before}");
    assert_eq!(before.matches("\"last-used\":null").count(), 3, "{before}");

    let mut main = server.imap("secret1");
    let mut idle = server.imap("reader-pw");
    idle.ask("SELECT INBOX");
    idle.say("i IDLE");
    idle.expect("+ ");
    let mut send = sender(&server, "sender-pw", "235");
    sender(&server, "reader-pw", "535");
    let mut refused = server.tls("imaps");
    refused.expect("* OK");
    refused.say("a LOGIN me@box.test sender-pw");
    refused.expect("a NO [AUTHENTICATIONFAILED]");
    let end = Instant::now() + PATIENCE;
    while run(&db, "account app list me@box.test --json").well().contains("\"last-used\":null") {
        assert!(Instant::now() < end, "use is not written down");
    }
    assert!(run(&db, "account app list me@box.test").well().contains(" from 127.0.0.1"));

    run(&db, "account app revoke me@box.test reader").well();
    let said = Instant::now();
    while idle.maybe_line().is_some() {}
    assert!(said.elapsed() < Duration::from_secs(1), "it took {:?}", said.elapsed());
    send.say("NOOP");
    send.expect("250");
    main.ask("NOOP");
    let mut old = server.tls("imaps");
    old.expect("* OK");
    old.say("a LOGIN me@box.test reader-pw");
    old.expect("a NO [AUTHENTICATIONFAILED]");

    run(&db, "account app revoke me@box.test sender").well();
    let said = Instant::now();
    while send.maybe_line().is_some() {}
    assert!(said.elapsed() < Duration::from_secs(1), "it took {:?}", said.elapsed());
    sender(&server, "sender-pw", "535");
    main.ask("NOOP");
}

/// RFC 9051 section 6.2.1: what was injected behind STARTTLS is never run, the OK and the handshake say no capabilities (K-9
/// stumbled over them), and those asked for afterwards are new ones. Clients that offer a certificate of their own (the
/// Gmail app, Thunderbird) are as welcome as the others.
#[test]
fn imap_starttls_drops_what_was_injected_and_says_nothing_unasked() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    let mut plain = server.plain("imap");
    assert!(plain.expect("* OK [CAPABILITY ").contains(" LOGINDISABLED STARTTLS]"));
    plain.say("a STARTTLS\r\nb NOOP");
    assert_eq!(plain.line(), "a OK Begin TLS now");
    let mut talk = Talk::new(tls_offering_a_certificate(plain.stream.into_inner()));
    let capabilities = talk.ask("CAPABILITY");
    assert_eq!(capabilities.len(), 1, "{capabilities:?}");
    assert!(capabilities[0].contains(" AUTH=PLAIN"), "{capabilities:?}");
    for gone in ["LOGINDISABLED", "STARTTLS"] {
        assert!(!capabilities[0].contains(gone), "{capabilities:?}");
    }
    talk.ask("LOGIN me@box.test secret1");
}

/// Microsoft's servers abort STARTTLS on port 25 where session tickets are offered; people's clients save time with them.
#[test]
fn other_servers_get_no_session_tickets() {
    let (_folder, db) = small_box();
    let server = Box::serve(&db);
    for (service, given) in [("smtp", false), ("submission", true)] {
        let mut talk = server.plain(service);
        talk.expect("220");
        talk.say("EHLO far.example.org");
        talk.expect("250");
        talk.say("STARTTLS");
        talk.expect("220");
        let mut talk = Talk::new(tls(talk.stream.into_inner(), None));
        talk.say("EHLO far.example.org");
        talk.expect("250");
        let tickets = talk.stream.get_ref().conn.tls13_tickets_received();
        assert_eq!(tickets > 0, given, "{service}: {tickets} tickets");
    }
}

fn tls_offering_a_certificate(stream: TcpStream) -> Tls {
    let pair = rcgen::generate_simple_self_signed(vec!["phone.example.org".into()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(None)))
        .with_client_auth_cert(vec![pair.cert.der().clone()], key)
        .expect("a certificate");
    let name = ServerName::try_from("localhost").expect("a name");
    let client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    rustls::StreamOwned::new(client, stream)
}

/// A submission that has tried to log in and heard this.
fn sender(server: &Box, password: &str, reply: &str) -> Talk<Tls> {
    let mut talk = server.tls("submissions");
    talk.expect("220");
    talk.say("EHLO phone.example.org");
    talk.expect("250");
    let login = data_encoding::BASE64.encode(format!("\0me@box.test\0{password}").as_bytes());
    talk.say(&format!("AUTH PLAIN {login}"));
    talk.expect(reply);
    talk
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
