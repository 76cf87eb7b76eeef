//! TLS against rustls's own buffered client.

use std::io::{Read, Write as _};
use std::sync::Arc;

use pillarbox::base::{Config, ConnId, Wall, limits};
use pillarbox::engine::{Event, Pem, ServiceKind};
use pillarbox::store::{Admin, Write};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::bench::{Bench, WALL, open_echo, open_starttls, service};
use super::implicit;

/// Checks signatures but believes every certificate; notes which one it saw.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn client_config(versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth()
}

fn pem(name: &str) -> Pem {
    let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).expect("a certificate");
    Pem { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// An echo with TLS from the first byte, one behind STARTTLS, and one that speaks only `imap`, with tickets.
fn bench() -> Bench {
    let kinds = vec![
        implicit(service("echo", open_echo)),
        service("starttls", open_starttls),
        ServiceKind { alpn: &[b"imap"], tickets: true, ..implicit(service("imaps", open_echo)) },
    ];
    Bench::with(kinds, Some(pem("box.test")), Config::default())
}

struct Client {
    tls: ClientConnection,
    conn: ConnId,
    /// Bytes of one event: small ones for a slow line.
    piece: usize,
    received: Vec<u8>,
    refused: Option<rustls::Error>,
}

impl Client {
    fn new(config: ClientConfig, conn: ConnId) -> Client {
        let name = ServerName::try_from("box.test").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        Client { tls, conn, piece: usize::MAX, received: Vec::new(), refused: None }
    }

    fn modern(conn: ConnId) -> Client {
        Client::new(client_config(&[&rustls::version::TLS13]), conn)
    }

    /// Carries bytes both ways until neither side has more.
    fn talk(&mut self, bench: &mut Bench) {
        loop {
            let mut out = Vec::new();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut out).expect("memory");
            }
            for piece in out.chunks(self.piece.min(out.len().max(1))) {
                bench.send(self.conn, piece);
            }
            let heard = bench.hear(self.conn);
            if heard.is_empty() && out.is_empty() {
                return;
            }
            self.take(&heard);
        }
    }

    fn take(&mut self, mut heard: &[u8]) {
        while !heard.is_empty() && self.refused.is_none() {
            self.tls.read_tls(&mut heard).expect("memory");
            if let Err(error) = self.tls.process_new_packets() {
                self.refused = Some(error);
            }
            let mut plain = [0; 4096];
            while let Ok(count @ 1..) = self.tls.reader().read(&mut plain) {
                self.received.extend_from_slice(&plain[..count]);
            }
        }
    }

    fn say(&mut self, bench: &mut Bench, bytes: &[u8]) -> String {
        self.tls.writer().write_all(bytes).expect("memory");
        self.talk(bench);
        String::from_utf8(std::mem::take(&mut self.received)).expect("text")
    }
}

#[test]
fn both_versions_of_tls_carry_an_echo() {
    let mut bench = bench();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let conn = bench.connect(0);
        let mut client = Client::new(client_config(&[version]), conn);
        client.talk(&mut bench);
        assert_eq!(client.say(&mut bench, b"hello"), "hello");
    }
}

#[test]
fn large_and_small_writes_come_through_whole() {
    let mut bench = bench();
    let conn = bench.connect(0);
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    for length in [1, 16_383, 16_384, 16_385, 200_000] {
        let text = "x".repeat(length);
        for piece in text.as_bytes().chunks(32_768) {
            client.tls.writer().write_all(piece).expect("memory");
            client.talk(&mut bench);
        }
        assert_eq!(String::from_utf8(std::mem::take(&mut client.received)), Ok(text));
    }
}

#[test]
fn a_handshake_byte_by_byte_ends_well() {
    let mut bench = bench();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let conn = bench.connect(0);
        let mut client = Client::new(client_config(&[version]), conn);
        client.piece = 1;
        client.talk(&mut bench);
        assert_eq!(client.say(&mut bench, b"slow"), "slow");
    }
}

#[test]
fn starttls_sends_its_reply_in_the_clear_and_drops_what_was_injected() {
    let mut bench = bench();
    let conn = bench.connect(1);
    assert_eq!(bench.hear_text(conn), "hello\r\n");
    bench.send(conn, b"STARTTLS\r\nINJECTED\r\n");
    assert_eq!(bench.hear_text(conn), "go ahead\r\n");
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    let mut heard = client.say(&mut bench, b"");
    heard += &client.say(&mut bench, b"mine");
    assert!(heard.ends_with("safe:mine") && !heard.contains("INJECTED"), "{heard}");
}

#[test]
fn the_conversation_knows_how_safe_it_is() {
    fn open(_: &pillarbox::session::Opening<'_>) -> Box<dyn pillarbox::session::Session> {
        super::talk(|cx| {
            cx.output.str(&format!("{:?}", cx.peer.tls));
            pillarbox::session::Want::Close
        })
    }
    let kinds = vec![implicit(service("info", open))];
    let mut bench = Bench::with(kinds, Some(pem("box.test")), Config::default());
    let conn = bench.connect(0);
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    let heard = String::from_utf8_lossy(&client.received).into_owned();
    assert!(heard.contains("TLSv1.3") && heard.contains("\"TLS_AES_"), "{heard}");
    assert!(heard.contains("Some(\"box.test\")"), "{heard}");
}

#[test]
fn garbage_gets_an_alert_and_the_door() {
    let mut bench = bench();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0, 4, 1, 0, 0, 0], &[0x80; 600]] {
        let conn = bench.connect(0);
        bench.send(conn, garbage);
        assert!(bench.closed(conn), "{garbage:?}");
        assert_eq!(bench.hear(conn).first(), Some(&21), "an alert record");
    }
    assert_eq!(bench.engine.status().gauges.panics, 0);
}

#[test]
fn every_bent_hello_is_survived() {
    let mut bench = bench();
    let mut hello = Vec::new();
    let mut client = Client::modern(ConnId(0));
    client.tls.write_tls(&mut hello).expect("memory");
    for position in 0..hello.len() {
        let mut bent = hello.clone();
        bent[position] ^= 0x55;
        let conn = bench.connect(0);
        bench.send(conn, &bent);
        bench.on(Event::Eof { conn });
        assert!(bench.closed(conn), "bent at {position}");
        bench.on(Event::Lost { conn });
        bench.heard.clear();
        bench.effects.clear();
    }
    let conn = bench.connect(0);
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    assert_eq!(client.say(&mut bench, b"hello"), "hello");
}

#[test]
fn a_handshake_message_without_end_is_cut_off() {
    let mut bench = bench();
    let conn = bench.connect(0);
    let mut record = vec![0x16, 3, 3, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    for _ in 0..8 {
        bench.send(conn, &record);
    }
    assert!(bench.closed(conn));
}

#[test]
fn a_client_that_wants_only_another_protocol_is_refused() {
    let mut bench = bench();
    for (offered, welcome) in [(Some(&b"h2"[..]), false), (Some(b"imap"), true), (None, true)] {
        let conn = bench.connect(2);
        let mut config = client_config(&[&rustls::version::TLS13]);
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let mut client = Client::new(config, conn);
        client.talk(&mut bench);
        assert_eq!(client.refused.is_none() && !client.tls.is_handshaking(), welcome, "{offered:?}");
        assert_eq!(bench.closed(conn), !welcome);
    }
}

#[test]
fn tickets_are_given_where_the_service_says_so_and_nowhere_else() {
    let mut bench = bench();
    let config = client_config(&[&rustls::version::TLS13]);
    for (service, resumed) in [(0, false), (2, true)] {
        for round in 0..2 {
            let conn = bench.connect(service);
            let mut client = Client::new(config.clone(), conn);
            client.talk(&mut bench);
            client.say(&mut bench, b"x");
            let kind = client.tls.handshake_kind();
            let expected = if resumed && round == 1 {
                rustls::HandshakeKind::Resumed
            } else {
                rustls::HandshakeKind::Full
            };
            assert_eq!(kind, Some(expected), "service {service}, round {round}");
        }
    }
}

#[test]
fn both_sides_say_goodbye() {
    let mut bench = bench();
    let conn = bench.connect(0);
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    client.tls.send_close_notify();
    client.talk(&mut bench);
    assert!(bench.closed(conn), "close_notify is the end of the input");
    let state = client.tls.process_new_packets().expect("no error");
    assert!(state.peer_has_closed(), "and is answered with ours");
}

#[test]
fn a_peer_that_never_shakes_hands_is_let_go() {
    let mut bench = bench();
    let conn = bench.connect(0);
    bench.wait(limits::HANDSHAKE_TIMEOUT);
    assert!(bench.closed(conn));
}

#[test]
fn stop_does_not_wait_for_a_handshake() {
    let mut bench = bench();
    let conn = bench.connect(0);
    bench.on(Event::Stop);
    assert!(bench.closed(conn));
}

#[test]
fn a_new_certificate_serves_new_connections_without_a_restart() {
    let mut bench = bench();
    let seen = |bench: &mut Bench| {
        let conn = bench.connect(0);
        let mut client = Client::modern(conn);
        client.talk(bench);
        let chain = client.tls.peer_certificates().expect("a certificate");
        chain[0].as_ref().to_vec()
    };
    let old = seen(&mut bench);
    assert_eq!(old, seen(&mut bench));
    bench.on(Event::Pem(Some(pem("box.test"))));
    let new = seen(&mut bench);
    assert_ne!(old, new);
    let broken = Pem { chain: "none".into(), key: "none".into() };
    bench.on(Event::Pem(Some(broken)));
    assert_eq!(new, seen(&mut bench), "a broken one leaves the old in place");
}

#[test]
fn a_certificate_put_into_the_file_serves_at_once() {
    let mut bench = Bench::with(vec![implicit(service("echo", open_echo))], None, Config::default());
    let Pem { chain, key } = pem("box.test");
    let now = Wall::from_unix(WALL);
    let set = Admin::SetCertificate { name: "default".into(), chain_pem: chain, key_pem: key, now };
    bench.engine.admin(Write::Admin(set));
    bench.run();
    bench.commit();
    let conn = bench.connect(0);
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    assert_eq!(client.say(&mut bench, b"hello"), "hello");
}

#[test]
fn without_a_certificate_a_tls_port_takes_nobody() {
    let mut bench = Bench::with(vec![implicit(service("echo", open_echo))], None, Config::default());
    assert!(bench.connect_from(0, "192.0.2.1:1").is_none());
    assert!(!bench.engine.status().has_certificate);
}

/// RFC 2595 section 4, with the conversation of POP3 itself.
#[test]
fn stls_is_offered_once_and_what_came_behind_it_is_dropped() {
    let kinds = vec![service("pop3", pillarbox::pop3::server::open)];
    let mut bench = Bench::with(kinds, Some(pem("box.test")), Config::default());
    let conn = bench.connect(0);
    assert!(bench.hear_text(conn).starts_with("+OK "));
    bench.send(conn, b"CAPA\r\n");
    let offered = bench.hear_text(conn);
    assert!(offered.contains("\r\nSTLS\r\n") && !offered.contains("\r\nUSER\r\n"), "{offered}");
    assert!(!offered.contains("SASL"), "{offered}");
    bench.send(conn, b"STLS\r\nUSER injected@box.test\r\nCAPA\r\n");
    assert_eq!(bench.hear_text(conn), "+OK Begin TLS now\r\n");
    let mut client = Client::modern(conn);
    client.talk(&mut bench);
    assert_eq!(client.say(&mut bench, b"PASS x\r\n"), "-ERR PASS comes right after USER\r\n");
    let offered = client.say(&mut bench, b"CAPA\r\n");
    assert!(offered.contains("\r\nUSER\r\nSASL PLAIN LOGIN\r\n") && !offered.contains("STLS"), "{offered}");
    assert_eq!(client.say(&mut bench, b"STLS\r\n"), "-ERR This connection is encrypted already\r\n");
    assert_eq!(client.say(&mut bench, b"QUIT\r\n"), "+OK Goodbye\r\n");
}
