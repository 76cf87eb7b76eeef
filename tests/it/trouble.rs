//! What a client hears when something is wrong on our side: the code says whether to come back, nothing is called done
//! that is not, and the conversation goes on.

use std::net::{Ipv4Addr, SocketAddr};

use pillarbox::base::limits::OUTPUT_BYTES_HIGH;
use pillarbox::base::{Config, CredentialId, Input, Mono, Now, Output, Rng};
use pillarbox::session::{Answer, Ask, Budget, Cx, Gauges, Login, Opening, Peer, Session, Verdict, Want};
use pillarbox::store::{Done, Refused, Resource, Scope, StoreError, Write};

use crate::store::{Box_, NOW};

/// One conversation whose server has the trouble that its fields say.
struct Talk {
    it: Box_,
    session: Box<dyn Session>,
    peer: Peer,
    config: Config,
    output: Output,
    /// Too many logins at once, or a wrong password; else it is right.
    verdict: Option<Verdict>,
    /// What the next write is refused with.
    refuse: Option<Refused>,
    /// What the next question to the reader thread fails with.
    unreadable: Option<StoreError>,
    busy: bool,
    closing: bool,
    closed: bool,
    rng: Rng,
}

impl Talk {
    fn new(open: fn(&Opening<'_>) -> Box<dyn Session>) -> Talk {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let peer = Peer { addr, local: addr, tls: None };
        let config = Config { plaintext_login: true, ..Config::default() };
        let session = open(&Opening { peer: &peer, config: &config, now: Now::default() });
        let mut talk = Talk {
            it: Box_::new(),
            session,
            peer,
            config,
            output: Output::new(OUTPUT_BYTES_HIGH),
            verdict: None,
            refuse: None,
            unreadable: None,
            busy: false,
            closing: false,
            closed: false,
            rng: Rng::new(&[1; 32]),
        };
        talk.say("");
        talk
    }

    fn imap() -> Talk {
        let mut talk = Talk::new(pillarbox::imap::server::open);
        talk.it.deliver("Subject: one\r\n\r\nx\r\n");
        talk.hears("a LOGIN me@box.test secret", "a OK ");
        talk.hears("b SELECT INBOX", "b OK ");
        talk
    }

    #[track_caller]
    fn hears(&mut self, line: &str, last: &str) {
        let said = self.say(&format!("{line}\r\n"));
        let end = said.lines().last().unwrap_or_default();
        assert!(end.starts_with(last), "{line} was answered with {said}");
    }

    /// Steps until the session waits for its client, who reads all.
    fn say(&mut self, text: &str) -> String {
        let mut input = Input::default();
        input.append(text.as_bytes());
        let mut answer = None;
        loop {
            let want = self.session.step(&mut Cx {
                now: Now { wall: NOW, mono: Mono(1) },
                peer: &self.peer,
                input: &mut input,
                output: &mut self.output,
                answer: answer.take(),
                expired: false,
                closing: self.closing,
                busy: self.busy,
                can_tls: false,
                compression: pillarbox::session::Compression::Possible,
                store: &self.it.reader,
                config: &self.config,
                budget: &mut Budget::lend(1 << 20, 0),
                gauges: &mut Gauges::default(),
                rng: &mut self.rng,
            });
            self.it.reader.end_turn();
            answer = Some(match want {
                Want::Turn => continue,
                Want::Commit { write } => Answer::Commit(self.commit(write)),
                Want::CommitEach { writes } => {
                    Answer::CommitEach(writes.into_iter().map(|write| self.commit(write)).collect())
                }
                Want::Answer { to: Ask::Password(_), .. } => Answer::Password(self.checked()),
                Want::Answer { to: Ask::Read(question), .. } => Answer::Read(match self.unreadable.take() {
                    Some(why) => Err(why),
                    None => self.it.reader.answer(&question),
                }),
                want => {
                    self.closed = matches!(want, Want::Close);
                    let said = String::from_utf8_lossy(self.output.peek()).into_owned();
                    self.output.consume(self.output.len());
                    return said;
                }
            });
        }
    }

    fn commit(&mut self, write: Write) -> Result<Done, Refused> {
        match self.refuse.take() {
            Some(why) => Err(why),
            None => self.it.put(write),
        }
    }

    fn checked(&mut self) -> Verdict {
        let login = || Login {
            account: self.it.account,
            name: "me@box.test".into(),
            credential: CredentialId(1),
            scope: Scope::All,
        };
        self.verdict.take().unwrap_or_else(|| Verdict::Granted(login()))
    }
}

#[test]
fn too_many_logins_are_told_to_come_back_and_not_that_the_password_is_wrong() {
    let mut imap = Talk::new(pillarbox::imap::server::open);
    for (verdict, answer) in
        [(Verdict::Busy, "a NO [UNAVAILABLE] "), (Verdict::Denied, "a NO [AUTHENTICATIONFAILED] ")]
    {
        imap.verdict = Some(verdict);
        imap.hears("a LOGIN me@box.test secret", answer);
    }
    imap.hears("a LOGIN me@box.test secret", "a OK ");

    let mut smtp = Talk::new(pillarbox::smtp::server::open_submission);
    smtp.hears("EHLO phone.example.org", "250 ");
    let auth = "AUTH PLAIN AG1lQGJveC50ZXN0AHNlY3JldA==";
    for (verdict, answer) in [(Verdict::Busy, "454 4.7.0 "), (Verdict::Denied, "535 5.7.8 ")] {
        smtp.verdict = Some(verdict);
        smtp.hears(auth, answer);
    }
    smtp.hears("AUTH PLAIN =", "501 5.5.2 ");
    smtp.hears(auth, "235 ");
    smtp.hears("MAIL FROM:<me@box.test>", "250 ");
    smtp.hears(auth, "503 5.5.1 ");
}

#[test]
fn a_write_that_is_refused_is_a_no_with_its_reason() {
    let mut talk = Talk::imap();
    talk.hears("c STORE 1 +FLAGS.SILENT (\\Deleted)", "c OK ");
    for (refused, code) in [
        (Refused::DiskFull, "[LIMIT]"),
        (Refused::OverQuota(Resource::Message), "[OVERQUOTA]"),
        (Refused::Broken("x".into()), "[SERVERBUG]"),
        (Refused::NoAccount, "[UNAVAILABLE]"),
        (Refused::NoBody, "[UNAVAILABLE]"),
        (Refused::Limit("too\r\nmany".into()), "[LIMIT] toomany"),
    ] {
        for command in [
            "APPEND INBOX {10+}\r\nX: y\r\n\r\nz!",
            "COPY 1 Archive",
            "MOVE 1 Archive",
            "STORE 1 +FLAGS (\\Seen)",
            "EXPUNGE",
            "CREATE new",
            "RENAME Archive new",
            "DELETE Archive",
            "SUBSCRIBE new",
        ] {
            talk.refuse = Some(refused.clone());
            talk.hears(&format!("d {command}"), &format!("d NO {code}"));
            assert_eq!(talk.refuse, None, "{command} wrote nothing");
        }
    }
    let told = talk.say("e FETCH 1 FLAGS\r\nf STATUS Archive (MESSAGES)\r\n");
    assert!(told.contains("* 1 FETCH (FLAGS (\\Deleted))\r\n"), "{told}");
    assert!(told.contains("* STATUS Archive (MESSAGES 0)\r\n"), "{told}");
    assert!(!talk.closed);
}

#[test]
fn a_file_that_cannot_be_read_is_a_no_and_the_next_command_tries_again() {
    for (error, code) in [(StoreError::Broken("x".into()), "[SERVERBUG]"), (StoreError::Full, "[LIMIT]")] {
        let mut talk = Talk::imap();
        for command in ["FETCH 1 BODY.PEEK[]", "SEARCH BODY x"] {
            talk.unreadable = Some(match &error {
                StoreError::Full => StoreError::Full,
                _ => StoreError::Broken("x".into()),
            });
            talk.hears(&format!("c {command}"), &format!("c NO {code}"));
            assert!(talk.unreadable.is_none(), "{command} read nothing");
            talk.hears(&format!("d {command}"), "d OK ");
        }
    }
}

#[test]
fn a_writer_far_behind_takes_no_upload_on_and_all_else_works() {
    let mut talk = Talk::imap();
    talk.busy = true;
    talk.hears("c APPEND INBOX {10}", "c NO [UNAVAILABLE] ");
    talk.hears("d APPEND INBOX {10+}\r\nx LOGOUT\r\n", "d NO [UNAVAILABLE] ");
    talk.hears("e STORE 1 +FLAGS (\\Seen)", "e OK ");
    talk.busy = false;
    talk.hears("f APPEND INBOX {10+}\r\nX: y\r\n\r\nz!", "f OK [APPENDUID ");
}

#[test]
fn a_server_that_stops_says_goodbye_between_two_commands_and_within_idle() {
    for within in [None, Some("c IDLE\r\n")] {
        let mut talk = Talk::imap();
        if let Some(command) = within {
            assert_eq!(talk.say(command), "+ idling\r\n");
        }
        talk.closing = true;
        let said = talk.say("");
        assert!(said.starts_with("* BYE [UNAVAILABLE] ") && said.lines().count() == 1, "{said}");
        assert!(talk.closed);
    }
}
