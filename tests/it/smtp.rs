//! SMTP conversations stepped by hand against a real file: what transcripts cannot show. Bytes as they are stored, TLS
//! that begins in the middle, memory that runs out, commits that are refused.

use std::net::SocketAddr;
use std::time::Duration;

use pillarbox::base::limits::{HOPS_MAX, RECIPIENTS_MAX, SLICE_BYTES, TRANSACTIONS_MAX};
use pillarbox::base::{Config, Input, Mono, Now, Output, Rng, Ticket, Uid, UidSet, Wall};
use pillarbox::session::{
    Answer, Ask, Budget, Cx, Gauges, Login, Opening, Peer, Session, TlsInfo, Verdict, Want,
};
use pillarbox::smtp::server::{open_mx, open_submission};
use pillarbox::store::{
    Admin, Columns, Done, NewBody, Question, Reader, Refused, Reply, Resource, Scope, Write, Writer,
};

/// One connection, the file behind it, and everything that the engine would do for both.
struct Talk {
    session: Box<dyn Session>,
    peer: Peer,
    config: Config,
    now: Now,
    input: Input,
    output: Output,
    answer: Option<Answer>,
    expired: bool,
    closing: bool,
    busy: bool,
    free: usize,
    held: usize,
    gauges: Gauges,
    rng: Rng,
    store: Reader,
    writer: Writer,
    /// All writes that were committed, in order.
    writes: Vec<Write>,
    /// Refuse the next write with this.
    refuse: Option<Refused>,
    waits: Waits,
    _folder: tempfile::TempDir,
}

/// What the session said it waits for last.
#[derive(Debug, PartialEq)]
enum Waits {
    Bytes(Mono),
    Tls,
    Closed,
}

const ALICE: &str = "alice@box.test";
const EPOCH: Now = Now { mono: Mono(1_000_000), wall: Wall(1_795_000_000_000_000) };

impl Talk {
    fn exchanger() -> Talk {
        Talk::open(open_mx)
    }

    /// Over TLS.
    fn submission() -> Talk {
        let mut talk = Talk::open(open_submission);
        talk.start_tls();
        talk
    }

    fn open(open: fn(&Opening<'_>) -> Box<dyn Session>) -> Talk {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("box.db");
        let mut writer = Writer::create(&path).expect("a file");
        let wall = EPOCH.wall;
        let account = |name: &str| Admin::AddAccount { name: name.into(), hash: "$".into(), now: wall };
        for admin in [Admin::AddDomain { name: "box.test".into() }, account(ALICE), account("bob@box.test")] {
            commit(&mut writer, Write::Admin(admin)).expect("a box");
        }
        let store = Reader::open(&path).expect("a reader");
        let config = Config { hostname: "mx.box.test".into(), ..Config::default() };
        let addr: SocketAddr = "192.0.2.7:1234".parse().expect("an address");
        let peer = Peer { addr, local: addr, tls: None };
        let session = open(&Opening { peer: &peer, config: &config, now: EPOCH });
        Talk {
            session,
            peer,
            config,
            now: EPOCH,
            input: Input::default(),
            output: Output::new(65_536),
            answer: None,
            expired: false,
            closing: false,
            busy: false,
            free: 8 * 1024 * 1024,
            held: 0,
            gauges: Gauges::default(),
            rng: Rng::new(&[7; 32]),
            store,
            writer,
            writes: Vec::new(),
            refuse: None,
            waits: Waits::Bytes(Mono(0)),
            _folder: folder,
        }
    }

    /// Steps until the session waits for the peer; what it has said meanwhile.
    fn run(&mut self) -> String {
        for _ in 0..100_000 {
            let mut budget = Budget::lend(self.free, self.held);
            let mut cx = Cx {
                now: self.now,
                peer: &self.peer,
                input: &mut self.input,
                output: &mut self.output,
                answer: self.answer.take(),
                expired: std::mem::take(&mut self.expired),
                closing: self.closing,
                busy: self.busy,
                can_tls: true,
                compression: pillarbox::session::Compression::Possible,
                store: &self.store,
                config: &self.config,
                budget: &mut budget,
                gauges: &mut self.gauges,
                rng: &mut self.rng,
            };
            let want = self.session.step(&mut cx);
            (self.free, self.held) = (budget.free(), budget.held());
            self.store.end_turn();
            match want {
                Want::Turn => {}
                Want::Bytes { until } => {
                    self.waits = Waits::Bytes(until);
                    return self.said();
                }
                Want::Tls => {
                    self.input.clear();
                    self.waits = Waits::Tls;
                    return self.said();
                }
                Want::Close => {
                    self.waits = Waits::Closed;
                    return self.said();
                }
                Want::Commit { write } => self.answer = Some(Answer::Commit(self.commit(write))),
                Want::Answer { to: Ask::Password(check), .. } => {
                    self.answer = Some(Answer::Password(self.check(&check.login, &check.secret)));
                }
                other => panic!("a server wants {other:?}"),
            }
        }
        panic!("the session does not come to rest")
    }

    fn commit(&mut self, write: Write) -> Result<Done, Refused> {
        if let Some(refused) = self.refuse.take() {
            return Err(refused);
        }
        self.writes.push(write.clone());
        commit(&mut self.writer, write)
    }

    fn check(&self, login: &str, secret: &[u8]) -> Verdict {
        let Some(account) = self.store.account_by_login(login).expect("a read") else {
            return Verdict::Denied;
        };
        if secret != b"secret" {
            return Verdict::Denied;
        }
        let credential = self.store.credentials(account.id).expect("a read")[0].id;
        let name = account.name.as_str().into();
        Verdict::Granted(Login { account: account.id, name, credential, scope: Scope::All })
    }

    fn said(&mut self) -> String {
        let said = String::from_utf8_lossy(self.output.peek()).into_owned();
        self.output.consume(self.output.len());
        said
    }

    fn send(&mut self, bytes: &[u8]) -> String {
        self.input.append(bytes);
        self.run()
    }

    /// Sends lines one by one and insists on how each reply begins.
    fn dialog(&mut self, lines: &[(&str, &str)]) {
        for (line, wanted) in lines {
            let said = self.send(format!("{line}\r\n").as_bytes());
            assert!(said.starts_with(wanted), "{line} was answered with {said}");
        }
    }

    fn start_tls(&mut self) {
        let cipher = "TLS_AES_128_GCM_SHA256".into();
        self.peer.tls = Some(TlsInfo { version: "TLSv1.3", cipher, sni: None });
    }

    /// Up to DATA, from carol to alice.
    fn begin(&mut self) {
        self.run();
        self.dialog(&[
            ("EHLO mail.far.test", "250-"),
            ("MAIL FROM:<carol@far.test>", "250 2.1.0"),
            ("RCPT TO:<alice@box.test>", "250 2.1.5"),
            ("DATA", "354"),
        ]);
    }

    /// The message with this uid in an account's INBOX.
    fn stored(&self, account: &str, uid: u32) -> Vec<u8> {
        let account = self.store.account_by_login(account).expect("a read").expect("an account").id;
        let inbox = self.store.mailbox_named(account, "INBOX").expect("a read").expect("INBOX").id;
        let rows = self.store.answer(&Question::Rows {
            mailbox: inbox,
            account,
            uids: std::sync::Arc::new(UidSet::range(uid..=uid)),
            from: Uid(1),
            columns: Columns::default(),
        });
        let Ok(Reply::Rows(rows)) = rows else { panic!("no rows") };
        let row = rows.rows.first().expect("the message");
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < row.size {
            let length = SLICE_BYTES as u32;
            let question = Question::Body { body: row.body, at: bytes.len() as u64, length };
            let Ok(Reply::Bytes(more)) = self.store.answer(&question) else { panic!("no bytes") };
            assert!(!more.is_empty());
            bytes.extend(more);
        }
        self.store.end_turn();
        bytes
    }

    fn messages(&self, account: &str) -> u32 {
        let account = self.store.account_by_login(account).expect("a read").expect("an account").id;
        let inbox = self.store.mailbox_named(account, "INBOX").expect("a read").expect("INBOX");
        self.store.end_turn();
        inbox.messages
    }

    fn log_in(&mut self) {
        self.run();
        self.dialog(&[("EHLO phone", "250-"), ("AUTH PLAIN AGFsaWNlQGJveC50ZXN0AHNlY3JldA==", "235")]);
    }
}

fn commit(writer: &mut Writer, write: Write) -> Result<Done, Refused> {
    let mut outcomes = writer.commit(vec![(Ticket(1), write)]).expect("a commit");
    outcomes.pop().expect("an outcome").1.result
}

#[test]
fn a_message_is_stored_as_it_came_with_trace_fields_in_front() {
    let mut talk = Talk::exchanger();
    talk.start_tls();
    talk.begin();
    let said = talk.send(b"Subject: x\r\n\r\n..dot\r\n...\r\ncaf\xe9\r\n.\r\n");
    assert!(said.starts_with("250 2.0.0 Stored as "), "{said}");
    let id = said.trim_end().rsplit(' ').next().expect("an id");
    let wanted = format!(
        "Return-Path: <carol@far.test>\r\n\
         Received: from mail.far.test ([192.0.2.7])\r\n\
         \tby mx.box.test with ESMTPS id {id}\r\n\
         \tfor <alice@box.test>\r\n\
         \ttls TLS_AES_128_GCM_SHA256 (TLSv1.3);\r\n\
         \tWed, 18 Nov 2026 11:06:40 +0000\r\n\
         Subject: x\r\n\r\n.dot\r\n..\r\ncaf"
    );
    let stored = talk.stored(ALICE, 1);
    assert_eq!(String::from_utf8_lossy(&stored), wanted + "\u{fffd}\r\n");
    assert!(stored.ends_with(b"caf\xe9\r\n"));
    assert_eq!(talk.held, 0);
    assert_eq!(talk.gauges.messages_received, 1);
}

#[test]
fn recipients_of_one_message_are_not_told_of_each_other() {
    let mut talk = Talk::exchanger();
    talk.run();
    talk.dialog(&[
        ("EHLO not a name", "250-"),
        ("MAIL FROM:<>", "250"),
        ("RCPT TO:<alice@box.test>", "250"),
        ("RCPT TO:<alice+b@box.test>", "250"),
        ("RCPT TO:<bob@box.test>", "250"),
        ("DATA", "354"),
        ("x\r\n.", "250"),
    ]);
    assert_eq!((talk.messages(ALICE), talk.messages("bob@box.test")), (1, 1));
    let text = String::from_utf8(talk.stored("bob@box.test", 1)).expect("text");
    assert!(text.starts_with(
        "Return-Path: <>\r\nReceived: from [192.0.2.7] ([192.0.2.7])\r\n\tby mx.box.test with ESMTP id"
    ));
    assert!(!text.contains("for <"));
}

#[test]
fn a_submission_is_completed_and_tells_nobody_where_it_came_from() {
    let mut talk = Talk::submission();
    talk.log_in();
    talk.dialog(&[
        ("MAIL FROM:<alice@box.test>", "250"),
        ("RCPT TO:<bob@box.test>", "250"),
        ("DATA", "354"),
        (
            "From: Alice <alice@box.test>\r\nBcc: bob@box.test\r\nSubject: x\r\n\r\nBcc: stays\r\n.",
            "250 2.0.0",
        ),
    ]);
    let text = String::from_utf8(talk.stored("bob@box.test", 1)).expect("text");
    let (front, rest) = text.split_once("From: Alice").expect("a From");
    assert!(
        front.starts_with("Return-Path: <alice@box.test>\r\nReceived: by mx.box.test with ESMTPSA id "),
        "{front}"
    );
    let (header, body) = rest.split_once("\r\n\r\n").expect("a blank line");
    assert!(header.contains("\r\nDate: Wed, 18 Nov 2026 11:06:40 +0000"), "{header}");
    assert!(header.contains("\r\nMessage-ID: <") && header.ends_with("@box.test>"), "{header}");
    assert!(!header.contains("Bcc") && !text.contains("192.0.2.7") && !text.contains("phone"));
    assert_eq!(body, "Bcc: stays\r\n");
    assert_eq!(talk.gauges.messages_submitted, 1);
}

#[test]
fn starttls_forgets_what_was_said_before_it_and_is_not_offered_again() {
    let mut talk = Talk::open(open_submission);
    talk.run();
    let said = talk.send(b"EHLO client.test\r\n");
    assert!(said.contains("STARTTLS") && !said.contains("AUTH"), "{said}");
    let said = talk.send(b"STARTTLS\r\nEHLO injected.test\r\n");
    assert_eq!(said, "220 2.0.0 Go ahead with TLS\r\n");
    assert_eq!(talk.waits, Waits::Tls);
    talk.start_tls();
    assert_eq!(talk.run(), "", "nothing is said before the client speaks");
    talk.dialog(&[("AUTH PLAIN", "503 5.5.1"), ("STARTTLS", "503 5.5.1")]);
    let said = talk.send(b"EHLO client.test\r\n");
    assert!(!said.contains("STARTTLS") && said.contains("AUTH PLAIN LOGIN"), "{said}");
}

#[test]
fn large_messages_are_staged_slice_by_slice() {
    for chunked in [false, true] {
        let mut talk = Talk::exchanger();
        talk.begin();
        let line = [&[b'x'; 998][..], b"\r\n"].concat();
        let body = line.repeat(900);
        if chunked {
            talk.dialog(&[(".", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<alice@box.test>", "250")]);
            talk.send(format!("BDAT {} LAST\r\n", body.len()).as_bytes());
        }
        let before = talk.writes.len();
        for piece in body.chunks(60_000) {
            assert!(!matches!(talk.waits, Waits::Closed));
            let said = talk.send(piece);
            assert!(said.is_empty() || said.starts_with("250 2.0.0"), "{said}");
            assert!(talk.held <= SLICE_BYTES);
        }
        if !chunked {
            assert!(talk.send(b".\r\n").starts_with("250 2.0.0"));
        }
        let staged =
            talk.writes[before..].iter().filter(|write| matches!(write, Write::Stage { .. })).count();
        assert_eq!(staged, 4);
        let Some(Write::Deliver(deliver)) = talk.writes.last() else { panic!("no delivery") };
        assert!(matches!(deliver.body, NewBody::Staged { .. }));
        let stored = talk.stored(ALICE, if chunked { 2 } else { 1 });
        assert!(stored.ends_with(&body) && stored.len() < body.len() + 500);
        assert_eq!(talk.held, 0);
    }
}

#[test]
fn staged_slices_of_a_message_that_is_not_taken_are_discarded() {
    for last_words in ["hang up", "bare", "quit"] {
        let mut talk = Talk::exchanger();
        talk.begin();
        if last_words == "quit" {
            talk.dialog(&[(".", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<alice@box.test>", "250")]);
            talk.send(format!("BDAT {}\r\n", SLICE_BYTES * 2).as_bytes());
        }
        for _ in 0..16 {
            talk.send(&[b'x'; SLICE_BYTES / 8]);
        }
        match last_words {
            "hang up" => {
                talk.input.hang_up();
                talk.run();
                assert_eq!(talk.waits, Waits::Closed);
            }
            "bare" => assert!(talk.send(b"\n\r\n.\r\n").starts_with("550 5.6.0")),
            _ => assert!(talk.send(b"QUIT\r\n").starts_with("221")),
        }
        assert!(talk.writes.iter().any(|write| matches!(write, Write::Discard { .. })), "{last_words}");
        assert_eq!(talk.held, 0, "{last_words}");
    }
}

#[test]
fn with_no_memory_free_the_bytes_stay_in_the_socket() {
    let mut talk = Talk::exchanger();
    talk.begin();
    let free = std::mem::take(&mut talk.free);
    assert_eq!(talk.send(b"Subject: x\r\n\r\n.\r\n"), "");
    assert!(!talk.input.is_empty());
    talk.free = free;
    assert!(talk.run().starts_with("250 2.0.0"));
    // And where none comes free, the client is told.
    talk.dialog(&[("MAIL FROM:<>", "250"), ("RCPT TO:<alice@box.test>", "250"), ("DATA", "354")]);
    talk.free = 0;
    assert_eq!(talk.send(b"Subject: y\r\n"), "");
    talk.now.mono = talk.now.mono.after(Duration::from_secs(301));
    talk.expired = true;
    assert!(talk.run().starts_with("421 4.3.1"));
    assert_eq!((talk.messages(ALICE), &talk.waits), (1, &Waits::Closed));
}

#[test]
fn a_dribbling_sender_gives_way_when_memory_is_scarce() {
    let mut talk = Talk::exchanger();
    talk.begin();
    for (seconds, free, wanted) in [(21, 8, ""), (1, 1, "421 4.3.1")] {
        talk.free = free * 1024 * 1024;
        talk.now.mono = talk.now.mono.after(Duration::from_secs(seconds));
        let said = talk.send(b"x");
        assert!(said.starts_with(wanted) && said.is_empty() == wanted.is_empty(), "{said}");
    }
    assert_eq!((&talk.waits, talk.held), (&Waits::Closed, 0));
    // Who brings what an honest line brings is not disturbed.
    let mut talk = Talk::exchanger();
    talk.begin();
    talk.send(&[b'x'; 60_000]);
    talk.free = 1024 * 1024;
    talk.now.mono = talk.now.mono.after(Duration::from_secs(30));
    talk.expired = true;
    assert_eq!(talk.run(), "");
    assert!(talk.send(b"\r\n.\r\n").starts_with("250"));
}

#[test]
fn what_the_store_refuses_is_told_and_never_called_stored() {
    for (refused, wanted) in [
        (Refused::DiskFull, "452 4.3.1"),
        (Refused::Broken("x".into()), "451 4.3.0"),
        (Refused::OverQuota(Resource::Message), "552 5.2.2"),
        (Refused::NoAccount, "451 4.2.1"),
        (Refused::NoBody, "451 4.3.0"),
    ] {
        let mut talk = Talk::exchanger();
        talk.begin();
        talk.refuse = Some(refused);
        let said = talk.send(b"x\r\n.\r\n");
        assert!(said.starts_with(wanted), "{said}");
        assert_eq!(talk.messages(ALICE), 0);
        talk.dialog(&[("NOOP", "250")]);
    }
    // The same for a slice on the way: everything is read, then refused.
    let mut talk = Talk::exchanger();
    talk.begin();
    talk.refuse = Some(Refused::DiskFull);
    for _ in 0..10 {
        assert_eq!(talk.send(&[b'x'; SLICE_BYTES / 8]), "");
    }
    assert!(talk.send(b"\r\n.\r\n").starts_with("452 4.3.1"));
    assert_eq!(talk.held, 0);
}

#[test]
fn a_message_that_goes_round_is_stopped() {
    for (hops, wanted) in [(HOPS_MAX, "250 2.0.0"), (HOPS_MAX + 1, "554 5.4.6")] {
        let mut talk = Talk::exchanger();
        talk.begin();
        let text = format!("{}\r\nReceived: in the body\r\n.\r\n", "Received: again\r\n".repeat(hops));
        let said = talk.send(text.as_bytes());
        assert!(said.starts_with(wanted), "{hops} hops: {said}");
    }
}

#[test]
fn recipients_and_transactions_have_their_limits() {
    let mut talk = Talk::exchanger();
    talk.run();
    talk.dialog(&[("EHLO client.test", "250-"), ("MAIL FROM:<>", "250")]);
    for number in 0..RECIPIENTS_MAX {
        talk.dialog(&[(&format!("RCPT TO:<alice+{number}@box.test>"), "250 2.1.5")]);
    }
    talk.dialog(&[("RCPT TO:<bob@box.test>", "452 4.5.3"), ("RSET", "250")]);
    for _ in 1..TRANSACTIONS_MAX {
        talk.dialog(&[("MAIL FROM:<>", "250"), ("RSET", "250")]);
    }
    talk.dialog(&[("MAIL FROM:<>", "421 4.7.0")]);
    assert_eq!(talk.waits, Waits::Closed);
}

#[test]
fn a_writer_far_behind_takes_no_new_message_on() {
    let mut talk = Talk::exchanger();
    talk.run();
    talk.busy = true;
    talk.dialog(&[("EHLO client.test", "250-"), ("MAIL FROM:<>", "451 4.3.0")]);
    talk.busy = false;
    talk.dialog(&[("MAIL FROM:<>", "250"), ("RCPT TO:<alice@box.test>", "250"), ("DATA", "354")]);
    talk.busy = true;
    talk.dialog(&[("x\r\n.", "250 2.0.0")]);
}

#[test]
fn a_closing_server_finishes_the_message_and_says_goodbye() {
    let mut talk = Talk::exchanger();
    talk.begin();
    talk.closing = true;
    assert_eq!(talk.send(b"Subject: x\r\n"), "");
    let said = talk.send(b"\r\n.\r\n");
    let replies: Vec<&str> = said.lines().collect();
    assert!(replies[0].starts_with("250 2.0.0") && replies[1].starts_with("421 4.3.2"), "{said}");
    assert_eq!(talk.waits, Waits::Closed);
    assert_eq!(talk.messages(ALICE), 1);
}

#[test]
fn a_peer_that_never_reads_is_left() {
    let mut talk = Talk::exchanger();
    talk.run();
    talk.input.append(&b"HELP\r\n".repeat(5_000));
    let mut budget = Budget::lend(0, 0);
    let mut steps = 0;
    let want = loop {
        let mut cx = Cx {
            now: talk.now,
            peer: &talk.peer,
            input: &mut talk.input,
            output: &mut talk.output,
            answer: None,
            expired: steps > 200,
            closing: false,
            busy: false,
            can_tls: true,
            compression: pillarbox::session::Compression::Possible,
            store: &talk.store,
            config: &talk.config,
            budget: &mut budget,
            gauges: &mut talk.gauges,
            rng: &mut talk.rng,
        };
        steps += 1;
        match talk.session.step(&mut cx) {
            Want::Turn => {}
            Want::Room { .. } if steps <= 200 => steps = 201,
            other => break other,
        }
    };
    assert!(matches!(want, Want::Close), "{want:?}");
    assert!(talk.output.len() < 80_000);
}

/// Every way to write a line end on either side of a lone dot, cut at every byte, through the whole conversation: the
/// smuggled command is never carried out, and the message is refused unless its lines end with CR LF.
#[test]
fn nothing_can_be_smuggled_behind_a_false_end_of_data() {
    const ENDS: [&str; 8] = ["\r", "\n", "\r\n", "\n\r", "\r\r\n", "\r\n\r", "\0\r\n", "\n\n"];
    let mut talk = Talk::exchanger();
    talk.run();
    talk.dialog(&[("EHLO client.test", "250-")]);
    let mut taken = 0;
    for before in ENDS {
        for after in ENDS {
            let true_end = before.ends_with("\r\n") && after.starts_with("\r\n");
            if true_end {
                continue;
            }
            let text = format!("Subject: x{before}.{after}MAIL FROM:<evil@far.test>\r\n.\r\n");
            for cut in 0..text.len() {
                // A connection carries so many transactions and no more.
                taken += 1;
                if taken % (TRANSACTIONS_MAX - 1) == 0 {
                    talk = Talk::exchanger();
                    talk.run();
                    talk.dialog(&[("EHLO client.test", "250-")]);
                }
                talk.dialog(&[("MAIL FROM:<>", "250"), ("RCPT TO:<bob@box.test>", "250"), ("DATA", "354")]);
                let said = talk.send(&text.as_bytes()[..cut]) + &talk.send(&text.as_bytes()[cut..]);
                assert!(said.starts_with("550 5.6.0"), "{text:?} cut at {cut}: {said}");
                assert_eq!(said.lines().count(), 1, "{text:?} cut at {cut}: {said}");
            }
        }
    }
    assert_eq!(talk.messages("bob@box.test"), 0);
}
