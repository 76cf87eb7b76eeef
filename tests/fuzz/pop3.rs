//! POP3: the framing of messages, and whole conversations with a simulated server.

use pillarbox::base::Output;
use pillarbox::pop3::stuff::{Stuffer, Top};

use crate::world::{World, store};

pub const TALKS: &[&str] = &[
    "STAT\r\nLIST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 0\r\nQUIT\r\n",
    "DELE 1\r\nRSET\r\nLIST 1\r\nDELE 1\r\nUIDL\r\nQUIT\r\n",
    "CAPA\r\nLANG\r\nLANG *\r\nUTF8\r\nSTLS\r\nAPOP a b\r\n",
    "AUTH PLAIN AGFsaWNlQGJveC50ZXN0AHNlY3JldA==\r\nNOOP\r\nTOP 1 99999999999999999999\r\n",
    "AUTH LOGIN\r\nYWxpY2VAYm94LnRlc3Q=\r\n*\r\nUSER alice@box.test\r\nPASS  secret \r\n",
];

/// However a message is cut, it is framed alike; the frame ends where every client sees its end, and nowhere before.
pub fn stuff(data: &[u8]) {
    let framed = |cut: usize| {
        let mut out = Output::new(usize::MAX);
        let mut stuffer = Stuffer::default();
        data.chunks(cut).for_each(|piece| stuffer.feed(piece, &mut out));
        stuffer.finish(&mut out);
        out.peek().to_vec()
    };
    let wire = framed(usize::MAX);
    assert_eq!(wire, framed(1 + data.len() % 5));
    let before = wire.strip_suffix(b".\r\n").expect("a response ends");
    assert!(before.is_empty() || before.ends_with(b"\r\n"));
    let ends = before.split_inclusive(|byte| *byte == b'\n').any(|line| matches!(line, b".\n" | b".\r\n"));
    assert!(!ends, "it ends early: {}", wire.escape_ascii());
    for lines in [0, 1, 7] {
        let taken = |cut: usize| {
            let mut top = Top::new(lines);
            data.chunks(cut).map(|piece| top.take(piece)).sum::<usize>()
        };
        assert_eq!(taken(usize::MAX), taken(1 + data.len() % 7));
    }
}

/// The peer says this after logging in, and again without.
pub fn session(data: &[u8]) {
    talk(b"USER alice@box.test\r\nPASS secret\r\n", data);
    talk(b"", data);
}

/// One conversation of a simulated server that lives as long as the thread: it comes to rest, and nothing panics.
fn talk(first: &[u8], data: &[u8]) {
    thread_local!(static WORLD: std::cell::RefCell<Option<World>> = const { std::cell::RefCell::new(None) });
    WORLD.with_borrow_mut(|kept| {
        let world = kept.get_or_insert_with(|| World::calm(store::usual()));
        let peer = world.connect("smtp");
        world.send(peer, b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@box.test>\r\nDATA\r\nX: y\r\n\r\n.. z\r\n.\r\nQUIT\r\n");
        world.settle();
        let peer = world.connect("pop3");
        world.send(peer, first);
        world.settle();
        world.send(peer, data);
        world.settle();
        world.hang_up(peer);
        world.settle();
        world.take(peer);
        let (panics, complaints) = (world.panics(), std::mem::take(&mut world.complaints));
        if panics > 0 || !complaints.is_empty() {
            *kept = None;
            panic!("{panics} panics, {complaints:?}");
        }
    });
}
