//! POP3 where transcripts would be too long or not exact enough: every byte of a message, maildrops larger than one slice,
//! one window, one commit, and the hold on a maildrop through every end of a connection.

use std::time::Duration;

use pillarbox::base::limits::{
    OUTPUT_BYTES_HIGH, POP3_LINE_BYTES_MAX, SIZES_PER_SLICE, SLICE_BYTES, UIDS_PER_WRITE_MAX,
};
use pillarbox::store::Write;

use crate::world::disk::Crash;
use crate::world::net::PeerId;
use crate::world::{World, store};

/// One POP3 client and what it has heard.
struct Pop {
    peer: PeerId,
    heard: Vec<u8>,
}

impl Pop {
    fn connect(world: &mut World) -> Pop {
        let mut pop = Pop { peer: world.connect("pop3"), heard: Vec::new() };
        assert!(pop.line(world).starts_with("+OK "));
        pop
    }

    fn login(world: &mut World) -> Pop {
        let mut pop = Pop::connect(world);
        let said = pop.try_login(world);
        assert!(said.starts_with("+OK "), "{said}");
        pop
    }

    fn try_login(&mut self, world: &mut World) -> String {
        assert!(self.ask(world, "USER alice@box.test").starts_with("+OK "));
        self.ask(world, "PASS secret")
    }

    /// Everything up to and with `end`.
    fn until(&mut self, world: &mut World, end: &[u8]) -> Vec<u8> {
        let mut looked_at = 0;
        for _ in 0..20_000 {
            if let Some(at) = memchr::memmem::find(&self.heard[looked_at..], end) {
                let rest = self.heard.split_off(looked_at + at + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            looked_at = self.heard.len().saturating_sub(end.len());
            world.settle();
            self.heard.extend(world.take(self.peer));
            if looked_at + end.len() >= self.heard.len() {
                world.pass(Duration::from_millis(10));
            }
        }
        panic!("never said {}", end.escape_ascii());
    }

    fn line(&mut self, world: &mut World) -> String {
        let line = self.until(world, b"\r\n");
        String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
    }

    fn ask(&mut self, world: &mut World, command: &str) -> String {
        world.send(self.peer, format!("{command}\r\n").as_bytes());
        self.line(world)
    }

    /// The lines of a multi-line response as they came, dots and all, without the first and the last.
    fn ask_long(&mut self, world: &mut World, command: &str) -> Vec<u8> {
        let first = self.ask(world, command);
        assert!(first.starts_with("+OK"), "{command}: {first}");
        if self.heard.starts_with(b".\r\n") {
            self.heard.drain(..3);
            return Vec::new();
        }
        let mut body = self.until(world, b"\r\n.\r\n");
        body.truncate(body.len() - 3);
        body
    }
}

/// A message as a client by RFC 1939 section 3 sees it: the dots in front of lines taken away.
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = wire;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|two| two == b"\r\n").map_or(rest.len(), |at| at + 2);
        message.extend_from_slice(rest[..end].strip_prefix(b".").unwrap_or(&rest[..end]));
        rest = &rest[end..];
    }
    message
}

struct Imap(PeerId);

impl Imap {
    fn login(world: &mut World) -> Imap {
        let imap = Imap(world.connect("imap"));
        imap.ask(world, "LOGIN alice@box.test secret");
        imap
    }

    fn ask(&self, world: &mut World, command: &str) -> Vec<u8> {
        self.send(world, format!("t {command}\r\n").as_bytes())
    }

    fn append(&self, world: &mut World, message: &[u8]) {
        let head = format!("t APPEND INBOX {{{}+}}\r\n", message.len());
        let said = self.send(world, &[head.as_bytes(), message, b"\r\n"].concat());
        assert!(said.starts_with(b"t OK"), "{}", String::from_utf8_lossy(&said));
    }

    fn send(&self, world: &mut World, bytes: &[u8]) -> Vec<u8> {
        world.send(self.0, bytes);
        let mut heard = Vec::new();
        for _ in 0..20_000 {
            world.settle();
            heard.extend(world.take(self.0));
            if heard.ends_with(b"\r\n") && heard.windows(3).any(|three| three == b"t O" || three == b"t N") {
                return heard;
            }
            world.pass(Duration::from_millis(10));
        }
        panic!("no reply: {}", String::from_utf8_lossy(&heard));
    }
}

/// INBOX with `count` messages, at most doubled once too often.
fn large_maildrop(world: &mut World, count: usize) -> usize {
    let imap = Imap::login(world);
    imap.append(world, b"X: y\r\n\r\nz\r\n");
    imap.ask(world, "SELECT INBOX");
    let mut there = 1;
    while there < count {
        let said = imap.ask(world, "COPY 1:* INBOX");
        assert!(said.windows(4).any(|four| four == b"t OK"), "{}", String::from_utf8_lossy(&said));
        there *= 2;
    }
    imap.ask(world, "LOGOUT");
    there
}

#[test]
fn every_byte_comes_back_as_it_is_stored() {
    let mut world = World::calm(store::usual());
    let imap = Imap::login(&mut world);
    let long_dots = b"X: y\r\n\r\n".iter().copied().chain(b".\r\n".repeat(SLICE_BYTES)).collect();
    let across: Vec<u8> = [&b"X: y\r\n\r\n"[..], &vec![b'a'; SLICE_BYTES - 10], b"\r\n.b\r\n..\r\n"].concat();
    let messages: Vec<Vec<u8>> = vec![
        b"X: y\r\n\r\n.\r\n..\r\n.a\r\n...b\r\n".to_vec(),
        b"X: y\n\n.a\nb\n.c\n".to_vec(),
        b"X: y\r\r\n\ra\r.\rb\n\r.\r\n".to_vec(),
        b"X: \xff\xfe\r\n\r\n\xc3\xa4\x7f\r\n".to_vec(),
        b"X: y\r\n\r\nno end".to_vec(),
        b"X: y\r\n\r\nends in CR\r".to_vec(),
        b"X: y\r\n\r\nends in LF\n".to_vec(),
        b"X: y\r\n".to_vec(),
        b".\r\n".to_vec(),
        long_dots,
        across,
    ];
    for message in &messages {
        imap.append(&mut world, message);
    }
    let mut pop = Pop::login(&mut world);
    let listed = String::from_utf8(pop.ask_long(&mut world, "LIST")).expect("ASCII");
    let sizes: Vec<usize> = listed
        .lines()
        .map(|row| row.split_once(' ').map_or(0, |(_, size)| size.parse().expect("a size")))
        .collect();
    assert_eq!(sizes, messages.iter().map(Vec::len).collect::<Vec<_>>(), "LIST says what is stored");
    for (number, message) in (1..).zip(&messages) {
        let wire = pop.ask_long(&mut world, &format!("RETR {number}"));
        let mut expected = message.clone();
        if !expected.ends_with(b"\r\n") {
            expected.extend_from_slice(b"\r\n");
        }
        let shown = unstuffed(&wire);
        assert!(shown == expected, "message {number}: {}", shown[..shown.len().min(200)].escape_ascii());
        let top = pop.ask_long(&mut world, &format!("TOP {number} 999999999"));
        assert!(top == wire || top == [&wire[..], b"\r\n"].concat(), "TOP {number}");
    }
    assert!(pop.ask(&mut world, "QUIT").starts_with("+OK"));
}

#[test]
fn a_dot_alone_behind_a_bare_lf_cannot_end_a_message() {
    let mut world = World::calm(store::usual());
    let imap = Imap::login(&mut world);
    imap.append(&mut world, b"X: y\r\n\r\na\n.\r\n-ERR this is no reply\r\n\n.\n+OK nor this\n.");
    let mut pop = Pop::login(&mut world);
    let wire = pop.ask_long(&mut world, "RETR 1");
    // What Python's poplib and others do: every LF ends a line.
    for line in wire.split(|byte| *byte == b'\n') {
        assert!(!matches!(line, b"." | b".\r"), "{}", wire.escape_ascii());
    }
    assert_eq!(pop.ask(&mut world, "NOOP"), "+OK Nothing done");
}

#[test]
fn a_maildrop_of_a_hundred_thousand_is_listed_in_windows_and_emptied_in_parts() {
    let mut world = World::calm(store::usual());
    let there = large_maildrop(&mut world, 100_000);
    assert!(there > 20 * SIZES_PER_SLICE && there as u64 > 20 * UIDS_PER_WRITE_MAX);
    let mut pop = Pop::login(&mut world);
    assert_eq!(pop.ask(&mut world, "STAT"), format!("+OK {there} {}", there * 11));
    let listed = String::from_utf8(pop.ask_long(&mut world, "LIST")).expect("ASCII");
    assert!(listed.lines().eq((1..=there).map(|number| format!("{number} 11"))));
    let ids = String::from_utf8(pop.ask_long(&mut world, "UIDL")).expect("ASCII");
    assert!(ids.lines().eq((1..=there).map(|number| format!("{number} 1.{number}"))));

    // A client that does not read is waited for, and others are served.
    world.set_deaf(pop.peer, true);
    world.send(pop.peer, b"UIDL\r\n");
    world.settle();
    let imap = Imap::login(&mut world);
    assert!(imap.ask(&mut world, "STATUS INBOX (MESSAGES)").starts_with(b"* STATUS"));
    world.set_deaf(pop.peer, false);
    assert_eq!(pop.until(&mut world, b"\r\n.\r\n").len(), ids.len() + "+OK Unique ids follow\r\n.\r\n".len());

    // All but one go. Everybody else's mail comes in between.
    let all: String = (2..=there).map(|number| format!("DELE {number}\r\n")).collect();
    world.send(pop.peer, (all + "STAT\r\n").as_bytes());
    let replies = String::from_utf8(pop.until(&mut world, b"+OK 1 11\r\n")).expect("ASCII");
    assert!(replies.lines().take(there - 1).all(|reply| reply == "+OK Deleted at QUIT"));
    assert_eq!(replies.lines().count(), there);
    assert_eq!(String::from_utf8_lossy(&pop.ask_long(&mut world, "UIDL")), "1 1.1\r\n");
    let gone = there - 1;
    assert_eq!(pop.ask(&mut world, "QUIT"), format!("+OK Goodbye, {gone} messages are deleted"));
    let mut pop = Pop::login(&mut world);
    assert_eq!(pop.ask(&mut world, "STAT"), "+OK 1 11");
}

#[test]
fn fifty_megabytes_take_one_slice_and_one_window() {
    let mut world = World::calm(store::usual());
    let imap = Imap::login(&mut world);
    let line = [&b"."[..], &[b'x'; 97], b"\r\n"].concat();
    let message = [&b"X: y\r\n\r\n"[..], &line.repeat(500_000)].concat();
    imap.append(&mut world, &message);
    let mut pop = Pop::login(&mut world);
    world.set_deaf(pop.peer, true);
    world.send(pop.peer, b"RETR 1\r\nQUIT\r\n");
    world.settle();
    let held = world.held_for(pop.peer);
    assert!(
        (OUTPUT_BYTES_HIGH..2 * OUTPUT_BYTES_HIGH).contains(&held),
        "{held} bytes wait for a deaf client"
    );
    world.set_deaf(pop.peer, false);
    assert_eq!(pop.line(&mut world), format!("+OK {} octets", message.len()));
    let wire = pop.until(&mut world, b"\r\n.\r\n");
    assert!(wire.len() == message.len() + 500_000 + 3, "{} bytes", wire.len());
    assert!(unstuffed(&wire[..wire.len() - 3]) == message);
    assert_eq!(pop.line(&mut world), "+OK Goodbye");
}

#[test]
fn a_slow_reader_gets_every_slice() {
    let mut world = World::calm(store::usual());
    let imap = Imap::login(&mut world);
    // With all dots doubled, what was written last before a slice is asked for may fill the window.
    let message = [&b"X: y\r\n\r\n"[..], &b".\r\n".repeat(700_000)].concat();
    imap.append(&mut world, &message);
    let mut pop = Pop::login(&mut world);
    let mut slow = world.habits.clone();
    (slow.network, slow.window_bytes) = (Duration::from_millis(1), 1_000);
    world.change_habits(slow);
    world.send(pop.peer, b"RETR 1\r\nNOOP\r\n");
    assert_eq!(pop.line(&mut world), format!("+OK {} octets", message.len()));
    let wire = pop.until(&mut world, b"\r\n.\r\n");
    assert!(unstuffed(&wire[..wire.len() - 3]) == message);
    assert_eq!(pop.line(&mut world), "+OK Nothing done");
}

#[test]
fn the_hold_ends_with_the_connection_however_that_ends() {
    let mut world = World::calm(store::usual());
    let in_use = |said: &str| said.starts_with("-ERR [IN-USE] ");
    let mut other = Pop::connect(&mut world);
    for end in ["quit", "hang up", "reset", "silence", "too long", "revoked", "crash"] {
        let mut pop = Pop::login(&mut world);
        if end != "crash" {
            other = Pop::connect(&mut world);
            assert!(in_use(&other.try_login(&mut world)), "{end}");
        }
        match end {
            "quit" => drop(pop.ask(&mut world, "QUIT")),
            "hang up" => world.hang_up(pop.peer),
            "reset" => world.reset(pop.peer),
            "silence" => world.pass(Duration::from_secs(601)),
            "too long" => world.send(pop.peer, &b"X\r\n".repeat(50)),
            "revoked" => {
                let (hash, now) = (store::fake_hash(b"secret"), world.wall);
                let account = "alice@box.test".to_owned();
                world.admin(Write::Admin(pillarbox::store::Admin::SetPassword { account, hash, now }));
            }
            _ => world.crash(Crash::Power),
        }
        world.settle();
        if matches!(end, "silence" | "revoked" | "crash") {
            other = Pop::connect(&mut world);
        }
        let said = other.try_login(&mut world);
        assert!(said.starts_with("+OK "), "after {end}: {said}");
        other.ask(&mut world, "QUIT");
    }
}

#[test]
fn a_conversation_that_falls_over_leaves_its_maildrop() {
    let mut world = World::calm(store::usual());
    let pop = Pop::login(&mut world);
    let mut rough = world.habits.clone();
    rough.panics = 1;
    let calm = std::mem::replace(&mut world.habits, rough.clone());
    world.change_habits(rough);
    world.send(pop.peer, b"NOOP\r\n");
    world.settle();
    world.change_habits(calm);
    assert!(world.closed(pop.peer) && world.panics() == 1);
    assert!(Pop::connect(&mut world).try_login(&mut world).starts_with("+OK "));
}

#[test]
fn the_longest_line_is_taken_and_one_byte_more_is_not() {
    let mut world = World::calm(store::usual());
    let mut pop = Pop::connect(&mut world);
    let line = |bytes: usize| format!("CAPA {}", "x".repeat(bytes - "CAPA \r\n".len()));
    assert_eq!(pop.ask(&mut world, &line(POP3_LINE_BYTES_MAX)), "-ERR This command takes no argument");
    assert_eq!(pop.ask(&mut world, &line(POP3_LINE_BYTES_MAX + 1)), "-ERR The line is too long");
    world.send(pop.peer, &vec![b'x'; 1 << 20]);
    world.settle();
    assert_eq!(pop.ask(&mut world, ""), "-ERR The line is too long");
}
