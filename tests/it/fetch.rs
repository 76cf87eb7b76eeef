//! FETCH, with the test as engine, reader thread and slow client at once: lengths, windows, what is asked of the reader,
//! and what happens when it does not have it.

use std::net::{Ipv4Addr, SocketAddr};

use pillarbox::base::limits::{OUTPUT_BYTES_HIGH, SLICE_BYTES};
use pillarbox::base::{Config, CredentialId, Input, Now, Output, Rng};
use pillarbox::delivery::intake::Intake;
use pillarbox::imap::server;
use pillarbox::session::{Answer, Ask, Budget, Cx, Gauges, Login, Opening, Peer, Session, Verdict, Want};
use pillarbox::store::{Deliver, FlagNames, NewBody, Place, Question, Reply, Rows, Scope, Target, Write};

use crate::store::{Box_, NOW};
use crate::world::chance::Chance;

struct Client {
    it: Box_,
    session: Box<dyn Session>,
    peer: Peer,
    config: Config,
    /// Bytes that the client reads at once.
    appetite: usize,
    /// The largest output ever held.
    held_most: usize,
    /// Questions put to the reader thread.
    asked: Vec<Question>,
    /// Changes answers of the reader thread.
    reader: fn(&Question, Reply) -> Reply,
    rng: Rng,
}

/// What the server said, and whether it hung up.
#[derive(Debug, PartialEq)]
struct Said {
    bytes: Vec<u8>,
    closed: bool,
}

impl Client {
    fn new(it: Box_) -> Client {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 143));
        let peer = Peer { addr, local: addr, tls: None };
        let config = Config { plaintext_login: true, ..Config::default() };
        let session = server::open(&Opening { peer: &peer, config: &config, now: Now::default() });
        let rng = Rng::new(&[1; 32]);
        let reader = |_: &Question, reply| reply;
        let mut client = Client {
            it,
            session,
            peer,
            config,
            appetite: 1 << 20,
            held_most: 0,
            asked: Vec::new(),
            reader,
            rng,
        };
        client.say("");
        client.say("a LOGIN me@box.test secret");
        let selected = client.say("b SELECT INBOX");
        assert!(text(&selected).contains("b OK [READ-WRITE]"), "{selected:?}");
        client.held_most = 0;
        client.asked.clear();
        client
    }

    fn say(&mut self, line: &str) -> Said {
        let mut input = Input::default();
        let mut output = Output::new(OUTPUT_BYTES_HIGH);
        let mut said = Said { bytes: Vec::new(), closed: false };
        let mut answer = None;
        if !line.is_empty() {
            input.append(format!("{line}\r\n").as_bytes());
        }
        loop {
            let want = self.session.step(&mut Cx {
                now: Now { wall: NOW, ..Now::default() },
                peer: &self.peer,
                input: &mut input,
                output: &mut output,
                answer: answer.take(),
                expired: false,
                closing: false,
                busy: false,
                can_tls: false,
                compression: pillarbox::session::Compression::Possible,
                store: &self.it.reader,
                config: &self.config,
                budget: &mut Budget::lend(1 << 20, 0),
                gauges: &mut Gauges::default(),
                rng: &mut self.rng,
            });
            self.it.reader.end_turn();
            self.held_most = self.held_most.max(output.len());
            match want {
                Want::Bytes { .. } | Want::Close => {
                    said.bytes.extend_from_slice(output.peek());
                    said.closed = matches!(want, Want::Close);
                    return said;
                }
                Want::Room { .. } => {
                    let count = output.len().min(self.appetite);
                    said.bytes.extend_from_slice(&output.peek()[..count]);
                    output.consume(count);
                }
                Want::Answer { to: Ask::Read(question), .. } => {
                    let reply = self.it.reader.answer(&question).expect("an answer");
                    self.it.reader.end_turn();
                    answer = Some(Answer::Read(Ok((self.reader)(&question, reply))));
                    self.asked.push(question);
                }
                Want::Answer { to: Ask::Password(_), .. } => {
                    answer = Some(Answer::Password(Verdict::Granted(Login {
                        account: self.it.account,
                        name: "me@box.test".into(),
                        credential: CredentialId(1),
                        scope: Scope::All,
                    })));
                }
                Want::Commit { write } => answer = Some(Answer::Commit(self.it.put(write))),
                Want::Turn => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn text(said: &Said) -> String {
    String::from_utf8_lossy(&said.bytes).into_owned()
}

/// A body of any size, staged as SMTP would.
fn deliver(it: &mut Box_, bytes: &[u8]) {
    let mut budget = Budget::lend(1 << 30, 0);
    let mut intake = Intake::new(NOW);
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = intake.feed(rest, &mut budget);
        rest = &rest[taken..];
        if let Some(write) = intake.stage() {
            let done = it.put(write);
            intake.staged(done).expect("staged");
        }
    }
    let body: NewBody = loop {
        match intake.finish() {
            Ok(body) => break body,
            Err(last) => {
                let done = it.put(last.write);
                intake = last.intake;
                intake.staged(done).expect("staged");
            }
        }
    };
    let to = vec![Target { account: it.account, place: Place::Inbox, flags: FlagNames::default() }];
    it.put(Write::Deliver(Deliver { body, to, received: NOW })).expect("delivered");
}

fn letter(chance: &mut Chance, size: usize) -> Vec<u8> {
    let mut bytes = b"From: ann@example.org\r\nSubject: long\r\n\r\n".to_vec();
    while bytes.len() < size {
        bytes.extend_from_slice(format!("{:016x} and so on\r\n", chance.u64()).as_bytes());
    }
    bytes
}

#[test]
fn literals_are_exact_under_any_partial_and_appetite() {
    let mut chance = Chance::new(1);
    let mut it = Box_::new();
    let body = letter(&mut chance, 3 * SLICE_BYTES + 12_345);
    deliver(&mut it, &body);
    let mut client = Client::new(it);
    for round in 0..60 {
        client.appetite = 1 + chance.index(90_000);
        let first = chance.index(body.len() + 100);
        let count = 1 + chance.index(body.len());
        let end = (first + count).min(body.len());
        let part = body.get(first..end).unwrap_or_default();
        let said = client.say(&format!("c FETCH 1 (BODY.PEEK[]<{first}.{count}> UID)"));
        let head = format!("* 1 FETCH (UID 1 BODY[]<{first}> {{{}}}\r\n", part.len());
        let want = [head.as_bytes(), part, b")\r\nc OK Fetched\r\n"].concat();
        assert!(said.bytes == want, "round {round}: <{first}.{count}> appetite {}", client.appetite);
    }
    assert!(client.held_most <= OUTPUT_BYTES_HIGH + 200, "{} bytes were held", client.held_most);
}

#[test]
fn a_slice_is_all_that_an_offset_costs() {
    let mut it = Box_::new();
    let body = letter(&mut Chance::new(2), 6 * SLICE_BYTES);
    deliver(&mut it, &body);
    let mut client = Client::new(it);
    let first = 5 * SLICE_BYTES;
    let said = client.say(&format!("c UID FETCH 1 (BODY.PEEK[]<{first}.64>)"));
    assert!(said.bytes.windows(64).any(|window| window == &body[first..first + 64]));
    let bodies: Vec<_> =
        client.asked.iter().filter(|question| matches!(question, Question::Body { .. })).collect();
    assert!(matches!(bodies[..], [Question::Body { length: 64, .. }]), "{bodies:?}");
}

#[test]
fn flags_of_many_messages_are_told_without_reading() {
    let mut it = Box_::new();
    for number in 0..3_000 {
        it.deliver(&format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let mut client = Client::new(it);
    client.say("c NOOP");
    client.say("d FETCH 1 UID");
    client.asked.clear();
    client.appetite = 10_000;
    let said = text(&client.say("e FETCH 1:* (FLAGS UID)"));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3_001);
    assert_eq!(lines[2_999], "* 3000 FETCH (UID 3000 FLAGS ())");
    assert!(client.asked.is_empty(), "{:?}", client.asked);
    let said = text(&client.say("f FETCH 1:* (RFC822.SIZE)"));
    assert_eq!(said.lines().count(), 3_001);
    assert!(client.held_most <= OUTPUT_BYTES_HIGH + 200, "{} bytes were held", client.held_most);
}

#[test]
fn a_body_that_vanishes_in_the_middle_ends_the_conversation() {
    let mut it = Box_::new();
    deliver(&mut it, &letter(&mut Chance::new(3), 3 * SLICE_BYTES));
    let mut client = Client::new(it);
    client.reader = |question, reply| match question {
        Question::Body { at, .. } if *at >= SLICE_BYTES as u64 => Reply::Bytes(Vec::new()),
        _ => reply,
    };
    let said = client.say("c FETCH 1 BODY.PEEK[]");
    assert!(said.closed);
    let head = text(&said).lines().next().unwrap_or_default().to_string();
    let length: usize =
        head.trim_start_matches("* 1 FETCH (BODY[] {").trim_end_matches('}').parse().expect("a length");
    assert_eq!(said.bytes.len(), head.len() + 2 + SLICE_BYTES, "nothing but the literal's own bytes");
    assert!(length > SLICE_BYTES);
}

#[test]
fn what_is_gone_before_its_length_is_told_is_nil_and_no() {
    let mut it = Box_::new();
    deliver(&mut it, &letter(&mut Chance::new(4), 3 * SLICE_BYTES));
    let mut client = Client::new(it);
    client.reader = |question, reply| match question {
        Question::Body { .. } => Reply::Bytes(Vec::new()),
        _ => reply,
    };
    let said = text(&client.say("c FETCH 1 BODY.PEEK[]<600000.9>"));
    assert_eq!(said.lines().next(), Some("* 1 FETCH (BODY[]<600000> NIL)"));
    assert!(said.contains("c NO [EXPUNGEISSUED]"), "{said}");
    client.reader = |question, reply| match question {
        Question::Rows { .. } => Reply::Rows(Rows::default()),
        _ => reply,
    };
    let said = text(&client.say("d FETCH 1 RFC822.SIZE"));
    assert!(said.starts_with("d NO [EXPUNGEISSUED]"), "{said}");
}

#[test]
fn seen_is_durable_before_it_is_told_and_once_for_many() {
    let mut it = Box_::new();
    for number in 0..40 {
        it.deliver(&format!("Subject: {number}\r\n\r\nx\r\n"));
    }
    let mut client = Client::new(it);
    let before = client.it.reader.mailbox(client.it.inbox).expect("read").expect("INBOX").modseq;
    let said = text(&client.say("c FETCH 1:* BODY[TEXT]"));
    assert_eq!(said.matches("FLAGS (\\Seen)").count(), 40);
    let after = client.it.reader.mailbox(client.it.inbox).expect("read").expect("INBOX").modseq;
    assert_eq!(after.0, before.0 + 1, "one change for all");
    assert_eq!(client.it.reader.status(client.it.inbox, client.it.account).expect("read").unseen, 0);
}
