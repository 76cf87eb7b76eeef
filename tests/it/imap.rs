//! IMAP where transcripts would be too long: mailboxes larger than one commit, one slice, one output window.

use std::time::Duration;

use crate::world::net::PeerId;
use crate::world::{World, store};

/// Says a command and collects all up to its tagged reply.
fn ask(world: &mut World, peer: PeerId, tag: &str, command: &str) -> String {
    world.send(peer, format!("{tag} {command}\r\n").as_bytes());
    hear(world, peer, &format!("{tag} "))
}

fn hear(world: &mut World, peer: PeerId, until: &str) -> String {
    let mut heard = String::new();
    for _ in 0..10_000 {
        world.settle();
        heard.push_str(&String::from_utf8_lossy(&world.take(peer)));
        if heard.ends_with("\r\n") && heard.lines().any(|line| line.starts_with(until)) {
            return heard;
        }
        world.pass(Duration::from_millis(10));
    }
    panic!("never said {until:?}: {:?}", heard.lines().last());
}

fn logged_in(world: &mut World) -> PeerId {
    let peer = world.connect("imap");
    hear(world, peer, "* OK");
    assert!(ask(world, peer, "in", "LOGIN alice@box.test secret").contains("in OK"));
    peer
}

/// More messages than one commit changes: 8,192 of them, made by copying.
fn large_mailbox(world: &mut World, peer: PeerId) {
    assert!(ask(world, peer, "m", "APPEND INBOX {10+}\r\nX: y\r\n\r\nz!").contains("m OK"));
    assert!(ask(world, peer, "s", "SELECT INBOX").contains("s OK"));
    for _ in 0..13 {
        assert!(ask(world, peer, "c", "COPY 1:* INBOX").contains("c OK [COPYUID"));
    }
}

fn count(heard: &str, what: &str) -> usize {
    heard.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn changes_larger_than_one_commit_are_told_whole_and_once() {
    let mut world = World::calm(store::usual());
    let (one, two) = (logged_in(&mut world), logged_in(&mut world));
    large_mailbox(&mut world, one);
    assert!(ask(&mut world, two, "s", "SELECT INBOX").contains("* 8192 EXISTS"));

    let stored = ask(&mut world, one, "a", "STORE 1:* +FLAGS (\\Deleted)");
    assert_eq!(count(&stored, " FLAGS (\\Deleted))"), 8_192);
    let told = ask(&mut world, two, "b", "NOOP");
    assert_eq!(count(&told, " FLAGS (\\Deleted))"), 8_192);
    assert_eq!(count(&ask(&mut world, two, "c", "NOOP"), "FETCH"), 0);

    assert!(ask(&mut world, one, "d", "STORE 1:* +FLAGS.SILENT (\\Seen)").starts_with("d OK"));
    assert!(ask(&mut world, one, "e", "UID STORE 4000 -FLAGS.SILENT (\\Deleted)").starts_with("e OK"));
    let gone = ask(&mut world, one, "f", "EXPUNGE");
    assert_eq!(count(&gone, " EXPUNGE"), 8_191);

    // By number nothing may go yet; the one that stayed is still number 4,000, until a command that allows it.
    let kept = ask(&mut world, two, "g", "STORE 4000 FLAGS (\\Draft)");
    assert!(kept.contains("* 4000 FETCH (UID 4000 FLAGS (\\Draft))"), "{:?}", kept.lines().last());
    assert_eq!(count(&kept, "EXPUNGE"), 0);
    let told = ask(&mut world, two, "h", "NOOP");
    assert_eq!(count(&told, " EXPUNGE"), 8_191);
    assert!(ask(&mut world, two, "i", "STORE 1 FLAGS ()").contains("* 1 FETCH (UID 4000 FLAGS ())"));
}

#[test]
fn a_client_that_returns_is_told_thousands_of_changes() {
    let mut world = World::calm(store::usual());
    let (one, two) = (logged_in(&mut world), logged_in(&mut world));
    large_mailbox(&mut world, one);
    assert!(ask(&mut world, two, "q", "ENABLE QRESYNC").contains("* ENABLED QRESYNC"));
    let opened = ask(&mut world, two, "s", "SELECT INBOX");
    let word = |name: &str| {
        let (_, rest) = opened.split_once(name).expect("a code");
        rest.split(']').next().expect("its end").trim().to_owned()
    };
    let (validity, modseq) = (word("UIDVALIDITY"), word("HIGHESTMODSEQ"));
    assert!(ask(&mut world, two, "u", "UNSELECT").contains("u OK"));

    assert!(ask(&mut world, one, "a", "STORE 1:* +FLAGS.SILENT (\\Seen)").contains("a OK"));
    assert!(ask(&mut world, one, "b", "STORE 2:8191 +FLAGS.SILENT (\\Deleted)").contains("b OK"));
    assert!(ask(&mut world, one, "c", "UID EXPUNGE 2:1000,1002:2000").contains("c OK"));
    let told = ask(&mut world, two, "d", &format!("SELECT INBOX (QRESYNC ({validity} {modseq}))"));
    assert!(told.contains("* VANISHED (EARLIER) 2:1000,1002:2000\r\n"), "{}", &told[..600]);
    assert_eq!(count(&told, " FETCH (UID "), 8_192 - 1_998);
    assert_eq!(count(&told, "* 2 FETCH (UID 1001 FLAGS (\\Deleted \\Seen) MODSEQ ("), 1);
    assert_eq!(count(&ask(&mut world, two, "e", "NOOP"), "FETCH"), 0);
}

#[test]
fn long_lists_of_ranges_in_the_worst_order_are_one_set() {
    let mut world = World::calm(store::usual());
    let peer = logged_in(&mut world);
    large_mailbox(&mut world, peer);
    let downwards: Vec<String> = (1..=8_000).rev().step_by(2).map(|number: u32| number.to_string()).collect();
    let stored = ask(&mut world, peer, "a", &format!("UID STORE {} +FLAGS (\\Flagged)", downwards.join(",")));
    assert_eq!(count(&stored, " FLAGS (\\Flagged))"), 4_000);
}

#[test]
fn a_client_that_does_not_read_is_waited_for() {
    let mut world = World::calm(store::usual());
    let (one, two) = (logged_in(&mut world), logged_in(&mut world));
    large_mailbox(&mut world, one);
    world.set_deaf(one, true);
    world.send(one, b"a STORE 1:* +FLAGS (\\Seen)\r\nb NOOP\r\n");
    world.settle();
    world.pass(Duration::from_secs(60));
    assert!(ask(&mut world, two, "c", "STATUS INBOX (UNSEEN)").contains("(UNSEEN 0)"), "others are served");
    world.set_deaf(one, false);
    let heard = hear(&mut world, one, "b ");
    assert_eq!(count(&heard, " FLAGS (\\Seen))"), 8_192);
    assert!(heard.contains("a OK") && heard.ends_with("b OK Done\r\n"));
}

#[test]
fn what_was_expunged_by_thousands_is_never_read_on_the_loop() {
    let mut world = World::calm(store::usual());
    let (one, two) = (logged_in(&mut world), logged_in(&mut world));
    large_mailbox(&mut world, one);
    assert!(ask(&mut world, two, "q", "ENABLE QRESYNC").contains("* ENABLED QRESYNC"));
    assert!(ask(&mut world, two, "s", "SELECT INBOX").contains("* 8192 EXISTS"));
    assert!(ask(&mut world, one, "a", "STORE 1:8000 +FLAGS.SILENT (\\Deleted)").contains("a OK"));
    assert_eq!(count(&ask(&mut world, one, "b", "EXPUNGE"), " EXPUNGE"), 8_000);

    // It counts what was there when it selected, and none of that is loaded yet.
    let reader = pillarbox::store::Reader::open(world.path()).expect("a file to read");
    let alice = reader.account_by_login("alice@box.test").expect("read").expect("alice");
    let mailbox = reader.mailbox_named(alice.id, "INBOX").expect("read").expect("INBOX");
    let much = reader.expunged(mailbox.id, pillarbox::base::ModSeq(0), mailbox.modseq).expect("read");
    assert!(matches!(much, pillarbox::store::AtOnce::Ask(_)), "a question to the reader thread");
    let all = ask(&mut world, two, "c", "UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)");
    assert_eq!(count(&all, "VANISHED (EARLIER)"), 0, "it still counts them all");
    assert!(all.contains("* 8192 FETCH (UID 8192"), "{:?}", all.lines().last());
    assert!(
        all.contains("* VANISHED 1:2000\r\n") || all.contains("* VANISHED 6001:8000\r\n"),
        "told behind it"
    );
    let later = ask(&mut world, two, "d", "UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)");
    assert!(later.contains("* VANISHED (EARLIER) 1:8000\r\n"), "{:?}", later.lines().next());
}

/// RFC 9051 section 6.3.4: else a client would take new messages for those it has kept under the same uids.
#[test]
fn a_mailbox_made_again_under_its_name_has_a_higher_uidvalidity() {
    let mut world = World::calm(store::usual());
    let peer = logged_in(&mut world);
    let mut before = 0;
    // The name stays behind for what is below it, goes along with a rename, goes whole.
    assert!(ask(&mut world, peer, "b", "CREATE again/below").contains("b OK"));
    for gone in ["DELETE again", "RENAME again other", "DELETE again"] {
        if before > 0 {
            assert!(ask(&mut world, peer, "c", "CREATE again").contains("c OK"));
        }
        let told = ask(&mut world, peer, "s", "STATUS again (UIDVALIDITY UIDNEXT)");
        let (_, rest) = told.split_once("(UIDVALIDITY ").expect("a number");
        let validity: u32 = rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        assert!(validity > before, "{validity} after {before}");
        assert!(rest.starts_with(&format!("{validity} UIDNEXT 1)")), "{told}");
        before = validity;
        assert!(ask(&mut world, peer, "g", gone).contains("g OK"));
    }
}

#[test]
fn names_above_subscriptions_are_told_up_to_a_limit() {
    let mut world = World::calm(store::usual());
    let peer = logged_in(&mut world);
    let below = "/d".repeat(30);
    for number in 0..500 {
        assert!(ask(&mut world, peer, "s", &format!("SUBSCRIBE top{number}{below}")).contains("s OK"));
    }
    // 15,000 names lie above those 500.
    let told = count(&ask(&mut world, peer, "a", "LSUB \"\" *"), "* LSUB (");
    assert!((500..=12_000).contains(&told), "{told}");
    let top = ask(&mut world, peer, "b", "LSUB \"\" top1%");
    assert!(top.contains("* LSUB (\\Noselect \\HasChildren) \"/\" top1\r\n"), "{top}");
}

/// An APPEND of many messages of `size` bytes, as a client sends it that does not wait.
fn append_of(count: usize, size: usize, noise: &mut pillarbox::base::Rng) -> Vec<u8> {
    let mut command = b"m APPEND INBOX".to_vec();
    for n in 0..count {
        let mut body = format!("Subject: number {n}\r\n\r\n").into_bytes();
        body.extend(noise.letters_and_digits(size.saturating_sub(body.len())).into_bytes());
        command.extend(format!(" {{{}+}}\r\n", body.len()).into_bytes());
        command.extend(body);
    }
    command.extend(b"\r\n");
    command
}

#[test]
fn thousands_of_messages_in_one_append_are_stored_together_or_not_at_all() {
    let mut world = World::calm(store::usual());
    let mut noise = pillarbox::base::Rng::new(&[7; 32]);
    let peer = logged_in(&mut world);
    world.send(peer, &append_of(5_001, 600, &mut noise));
    assert!(hear(&mut world, peer, "m ").contains("m NO [LIMIT]"));
    world.send(peer, &append_of(5_000, 600, &mut noise));
    assert!(hear(&mut world, peer, "m ").contains(" 1:5000] Stored"));
    let status = ask(&mut world, peer, "s", "STATUS INBOX (MESSAGES UIDNEXT)");
    assert!(status.contains("(MESSAGES 5000 UIDNEXT 5001)"), "{status}");
    assert!(ask(&mut world, peer, "e", "EXAMINE INBOX").contains("e OK"));
    let last = ask(&mut world, peer, "f", "FETCH 1,2500,5000 (RFC822.SIZE ENVELOPE)");
    for n in [0, 2_499, 4_999] {
        assert!(last.contains(&format!("RFC822.SIZE 600 ENVELOPE (NIL \"number {n}\"")), "{last}");
    }
    assert!(last.contains("f OK"));
}

/// Together they want four times the memory that there is for bodies; whoever holds whole messages parks them.
#[test]
fn many_long_appends_at_once_do_not_wait_for_each_other_for_ever() {
    let mut world = World::calm(store::usual());
    let mut noise = pillarbox::base::Rng::new(&[9; 32]);
    let all: Vec<(PeerId, Vec<u8>)> =
        (0..60).map(|_| (logged_in(&mut world), append_of(20, 30_000, &mut noise))).collect();
    let longest = all.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    for at in (0..longest).step_by(50_000) {
        for (peer, bytes) in &all {
            world.send(*peer, &bytes[at.min(bytes.len())..(at + 50_000).min(bytes.len())]);
        }
        world.settle();
    }
    for (peer, _) in &all {
        assert!(hear(&mut world, *peer, "m ").contains("m OK [APPENDUID "));
    }
    let status = ask(&mut world, all[0].0, "s", "STATUS INBOX (MESSAGES)");
    assert!(status.contains("(MESSAGES 1200)"), "{status}");
}
