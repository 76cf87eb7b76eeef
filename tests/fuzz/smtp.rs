//! Whole SMTP conversations: a client sends any bytes, the outside answers at once. Whatever the bytes and wherever they
//! are cut, the server says the same well-formed replies, comes to rest, and holds no memory when the client has gone.

use std::net::SocketAddr;

use pillarbox::base::{BodyId, Config, CredentialId, Input, Mono, Now, Output, Rng, Ticket, Wall};
use pillarbox::session::{Answer, Ask, Budget, Cx, Gauges, Login, Opening, Peer, Session, Verdict, Want};
use pillarbox::smtp::server::{open_mx, open_submission};
use pillarbox::store::{Admin, Done, Reader, Scope, Write, Writer};

pub const DIALOGS: &[&str] = &[
    "EHLO x.test\r\nMAIL FROM:<a@b.test> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<me@box.test>\r\nDATA\r\nS: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
    "HELO [192.0.2.1]\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<@a,@b:\"m\\e\"@box.test>\r\nRSET\r\nNOOP\r\nHELP\r\n",
    "EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\nRCPT TO:<me+x@box.test>\r\nBDAT 3\r\na\r\nBDAT 4 LAST\r\n\0\n\rb",
    "EHLO x\r\nAUTH PLAIN AG1lAHNlY3JldA==\r\nMAIL FROM: <me@box.test>\r\nRCPT TO:<me@box.test>\r\nDATA\r\nFrom: me@box.test\r\nBcc: x,\r\n y\r\n\r\nb\r\n.\r\n",
    "EHLO x\r\nAUTH LOGIN\r\nbWU=\r\nc2VjcmV0\r\nVRFY a\r\nEXPN b\r\nETRN c\r\nSTARTTLS\r\nAUTH PLAIN\r\n*\r\nMAIL FROM:<x@y>\r\nBDAT 2 LAST\r\nab",
    "EHLO x\r\nAUTH PLAIN AG1lAHNlY3JldA==\r\nMAIL FROM:<me@box.test>\r\nRCPT TO:<me@box.test>\r\nDATA\r\nno: from\r\n\r\na\rb\r\n.\r\n",
];

pub fn exchanger(data: &[u8]) {
    check(open_mx, data);
}

pub fn submission(data: &[u8]) {
    check(open_submission, data);
}

type Open = fn(&Opening<'_>) -> Box<dyn Session>;

fn check(open: Open, data: &[u8]) {
    let whole = replies(open, data, usize::MAX);
    let cut = 1 + data.len() % 5;
    let other = replies(open, data, cut);
    assert!(
        whole == other,
        "cut by {cut} the replies are others: {} and {}",
        whole.escape_ascii(),
        other.escape_ascii()
    );
    for line in String::from_utf8_lossy(&whole).split_terminator("\r\n") {
        let code = line.get(..3).unwrap_or_default();
        let mark = line.as_bytes().get(3);
        assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
        assert!(matches!(mark, Some(b' ' | b'-')) && !line.contains(['\r', '\n', '\0']), "{line}");
    }
    assert!(whole.ends_with(b"\r\n"), "a reply that does not end");
}

thread_local! {
    /// A box with one account, `me@box.test`, made once.
    static STORE: (Reader, tempfile::TempDir) = store();
}

fn store() -> (Reader, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("box.db");
    let mut writer = Writer::create(&path).expect("a file");
    let account = Admin::AddAccount { name: "me@box.test".into(), hash: "$".into(), now: Wall(0) };
    for admin in [Admin::AddDomain { name: "box.test".into() }, account] {
        let outcome = writer.commit(vec![(Ticket(1), Write::Admin(admin))]).expect("a commit");
        assert!(outcome.iter().all(|(_, outcome)| outcome.result.is_ok()));
    }
    (Reader::open(&path).expect("a reader"), folder)
}

/// What the server says to `data`, given in pieces of `cut` bytes, until the client hangs up.
fn replies(open: Open, data: &[u8], cut: usize) -> Vec<u8> {
    STORE.with(|(store, _)| {
        let mut pieces = data.chunks(cut);
        let addr: SocketAddr = "192.0.2.7:1234".parse().expect("an address");
        let peer = Peer { addr, local: addr, tls: None };
        let config = Config { plaintext_login: true, message_bytes_max: 4_000, ..Config::default() };
        let now = Now { mono: Mono(0), wall: Wall(0) };
        let mut session = open(&Opening { peer: &peer, config: &config, now });
        let (mut input, mut output) = (Input::default(), Output::new(1 << 20));
        let (mut gauges, mut rng) = (Gauges::default(), Rng::new(&[1; 32]));
        let mut budget = Budget::lend(1 << 20, 0);
        let mut answer = None;
        // Every byte of input is worth a step or two; more is running in circles.
        for _ in 0..2 * data.len() + 100 {
            let mut cx = Cx {
                now,
                peer: &peer,
                input: &mut input,
                output: &mut output,
                answer: answer.take(),
                expired: false,
                closing: false,
                busy: false,
                can_tls: true,
                compression: pillarbox::session::Compression::Possible,
                store,
                config: &config,
                budget: &mut budget,
                gauges: &mut gauges,
                rng: &mut rng,
            };
            let want = session.step(&mut cx);
            store.end_turn();
            match want {
                Want::Turn => {}
                Want::Bytes { .. } | Want::Room { .. } => match pieces.next() {
                    Some(piece) => input.append(piece),
                    None => input.hang_up(),
                },
                Want::Commit { write } => answer = Some(Answer::Commit(Ok(done(&write)))),
                Want::Answer { to: Ask::Password(_), .. } => answer = Some(Answer::Password(granted(store))),
                Want::Tls | Want::Close => {
                    assert!(budget.held() == 0, "memory is held at the end");
                    return output.peek().to_vec();
                }
                other => panic!("a server wants {other:?}"),
            }
        }
        panic!("it does not come to rest")
    })
}

fn done(write: &Write) -> Done {
    match write {
        Write::Stage { .. } => Done::Staged(BodyId(1)),
        Write::Deliver(_) => Done::Delivered(Vec::new()),
        _ => Done::Nothing,
    }
}

fn granted(store: &Reader) -> Verdict {
    let account = store.account_by_login("me@box.test").expect("a read").expect("the account");
    let name = account.name.as_str().into();
    Verdict::Granted(Login { account: account.id, name, credential: CredentialId(1), scope: Scope::All })
}
