//! IMAP: single commands, mailbox names, and whole conversations with a simulated server.

use pillarbox::imap::{command, lex, names};

use crate::world::{World, store};

pub const COMMANDS: &[&str] = &[
    "UID FETCH 1:*,3,$ (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS.NOT (To \"Cc\")]<0.100> BINARY.SIZE[1]) (CHANGEDSINCE 0 VANISHED)",
    "FETCH 5:1 FULL",
    "SEARCH RETURN (MIN MAX ALL COUNT SAVE) CHARSET UTF-8 OR NOT (SEEN KEYWORD $x) SENTSINCE 1-Feb-1994 SUBJECT {3}\r\nabc",
    "SORT RETURN (PARTIAL -1:-9 SAVE) (REVERSE DISPLAYFROM SUBJECT DATE) KOI8-R YOUNGER 9 OLDER 1",
    "UID THREAD REFERENCES UTF-8 NOT (SEEN) TEXT {1+}\r\nx",
    "UID FETCH 1:* FLAGS (PARTIAL 9:3 CHANGEDSINCE 1)",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"%\" INBOX/*) RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES SIZE))",
    "SELECT \"&AOQ-\" (QRESYNC (1 2 3:9 (1:3 4:6)))",
    "STORE 1 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen $Junk)",
    "CREATE x (USE (\\Sent))",
    "STATUS INBOX (MESSAGES UNSEEN HIGHESTMODSEQ DELETED)",
    "ID (\"name\" NIL)",
    "UID MOVE 1:3 Trash",
    "ENABLE CONDSTORE QRESYNC IMAP4rev2",
    "AUTHENTICATE PLAIN =",
];

pub const NAMES: &[&str] = &["&AOQ-/&2D3eAA-", "INBOX", "a&-b", "&", "&AOQ", "B\u{fc}ro"];

pub const TALKS: &[&str] = &[
    "b SELECT INBOX\r\nc FETCH 1:* (FLAGS)\r\nd IDLE\r\nDONE\r\ne LOGOUT\r\n",
    "b APPEND INBOX (\\Seen) {19+}\r\nSubject: x\r\n\r\nabc\r\n\r\nc SELECT INBOX\r\nd UID SEARCH TEXT {3+}\r\nabc\r\n",
    "b APPEND INBOX {40+}\r\nMessage-ID: <1@x>\r\nReferences: <1@x>\r\n\r\n\r\nc SELECT INBOX\r\nd SORT (SUBJECT REVERSE DATE TO) UTF-8 ALL\r\ne UID THREAD REFERENCES UTF-8 ALL\r\nf THREAD REFS UTF-8 1:*\r\n",
    "b CREATE a/b\r\nc LIST \"\" *\r\nd RENAME a c\r\ne DELETE c/b\r\nf STATUS INBOX (MESSAGES)\r\n",
    "b SELECT INBOX\r\nc STORE 1:* +FLAGS (\\Deleted)\r\nd COPY 1 Trash\r\ne EXPUNGE\r\nf CLOSE\r\n",
    "b AUTHENTICATE PLAIN\r\n*\r\nc ENABLE QRESYNC\r\nd EXAMINE INBOX (QRESYNC (1 1))\r\n",
];

/// One IMAP command behind its tag, in both spellings of names.
pub fn command(data: &[u8]) {
    for spelling in [names::Names::Utf7, names::Names::Utf8] {
        let mut parser = lex::Parser::new(data, spelling);
        if let Some(row) = command::find(&mut parser) {
            let _ = (row.parse)(&mut parser);
        }
    }
}

/// What is a mailbox name stays the same when it is written and read again.
pub fn names(data: &[u8]) {
    for spelling in [names::Names::Utf7, names::Names::Utf8] {
        // A separator at the end is taken off once; a name that still has one is refused later.
        if let Some(name) = names::decode(data, spelling).filter(|name| !name.ends_with('/')) {
            let wire = names::encode(&name, spelling);
            assert_eq!(names::decode(wire.as_bytes(), spelling).as_deref(), Some(name.as_str()), "{wire}");
        }
    }
}

/// The peer says this after logging in, and again without.
pub fn session(data: &[u8]) {
    talk(b"a LOGIN alice@box.test secret\r\n", data);
    talk(b"", data);
}

/// One conversation of a simulated server that lives as long as the thread: it comes to rest, and nothing panics.
fn talk(first: &[u8], data: &[u8]) {
    thread_local!(static WORLD: std::cell::RefCell<Option<World>> = const { std::cell::RefCell::new(None) });
    WORLD.with_borrow_mut(|kept| {
        let world = kept.get_or_insert_with(|| World::calm(store::usual()));
        let peer = world.connect("imap");
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
