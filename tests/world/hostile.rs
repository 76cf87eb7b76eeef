//! Peers that do not behave: random bytes, spoiled commands, lines and literals without end, half-closed connections,
//! readers that do not read. They expect nothing; what counts is that others do not notice them.

use std::time::Duration;

use pillarbox::base::Mono;

use super::World;
use super::chance::Chance;
use super::net::PeerId;

const COMMANDS: [&str; 38] = [
    "EHLO x\r\n",
    "HELO x\r\n",
    "MAIL FROM:<a@example.org> SIZE=10 BODY=8BITMIME\r\n",
    "RCPT TO:<alice@box.test>\r\n",
    "RCPT TO:<nobody@box.test>\r\n",
    "DATA\r\n",
    "Subject: x\r\n\r\nbody\r\n.\r\n",
    "BDAT 10\r\n0123456789",
    "BDAT 99999999999999999999\r\n",
    "BDAT 500 LAST\r\n",
    "RSET\r\nNOOP\r\nVRFY x\r\nHELP\r\nEXPN y\r\n",
    "AUTH PLAIN AGFsaWNlQGJveC50ZXN0AHdyb25n\r\n",
    "AUTH LOGIN\r\n====\r\n*\r\n",
    "STARTTLS\r\n",
    "a LOGIN alice@box.test secret\r\n",
    "a LOGIN {14+}\r\nalice@box.test {6+}\r\nsecret\r\n",
    "a LOGIN {99999999}\r\n",
    "b SELECT INBOX\r\n",
    "c FETCH 1:* (FLAGS UID BODY[1.2.3.4.MIME]<0.100> BODY.PEEK[HEADER.FIELDS (a b c)])\r\n",
    "c UID FETCH 4294967295:1 (ENVELOPE BODYSTRUCTURE)\r\n",
    "d SEARCH OR OR OR NOT NOT NOT ALL ALL ALL (ALL (ALL (ALL)))\r\n",
    "e APPEND INBOX {10}\r\n",
    "e APPEND INBOX (\\Seen x y z) \"01-Jan-1970 00:00:00 +0000\" {99999999999999999999+}\r\n",
    "e APPEND INBOX {4000+}\r\n",
    "f IDLE\r\n",
    "DONE\r\n",
    "g STORE 1:* +FLAGS (\\Deleted)\r\ng EXPUNGE\r\n",
    "h ENABLE CONDSTORE QRESYNC IMAP4rev2\r\n",
    "i SELECT INBOX (QRESYNC (1 1 1:* (1:* 1:*)))\r\n",
    "j LIST \"\" (\"*\" \"%\" \"a%b*c%\") RETURN (STATUS (MESSAGES SIZE))\r\n",
    "k CREATE a/b/c/d/e/f\r\nk RENAME a/b INBOX/x\r\nk DELETE a\r\n",
    "l COPY 1:* Trash\r\nl MOVE 1:* Archive\r\n",
    "m AUTHENTICATE PLAIN =\r\n",
    "USER alice@box.test\r\nPASS secret\r\nLIST\r\nUIDL\r\n",
    "RETR 1\r\nTOP 1 99999999999\r\nRETR 0\r\nDELE 4294967296\r\n",
    "CAPA\r\nUTF8\r\nLANG x\r\nSTLS\r\nSTAT\r\n",
    "AUTH LOGIN\r\n=\r\n",
    "n ID (\"name\" NIL \"x\" {3+}\r\nabc)\r\n",
];

pub struct Hostile {
    pub next_at: Mono,
    peer: Option<PeerId>,
    left: u32,
    chance: Chance,
}

impl Hostile {
    pub fn new(chance: Chance) -> Hostile {
        Hostile { next_at: Mono(0), peer: None, left: 0, chance }
    }

    pub fn poll(&mut self, world: &mut World) {
        if let Some(peer) = self.peer {
            let _ = world.take(peer);
            if world.closed(peer) {
                self.peer = None;
            }
        }
        if world.mono < self.next_at {
            return;
        }
        self.next_at = world.mono.after(Duration::from_millis(self.chance.below(3_000)));
        let Some(peer) = self.peer else {
            let service = *self.chance.pick(&["imap", "smtp", "submission", "imap", "pop3"]);
            let peer = world.connect(service);
            self.left = 1 + self.chance.below(12) as u32;
            self.peer = Some(peer);
            world.set_deaf(peer, self.chance.one_in(4));
            if service == "imap" && self.chance.one_in(2) {
                world.send(peer, b"a LOGIN alice@box.test secret\r\nb SELECT INBOX\r\n");
            }
            return;
        };
        if self.left == 0 {
            self.peer = None;
            return match self.chance.below(3) {
                0 => world.hang_up(peer),
                1 => world.reset(peer),
                _ => {}
            };
        }
        self.left -= 1;
        let bytes = self.bytes();
        world.send(peer, &bytes);
    }

    fn bytes(&mut self) -> Vec<u8> {
        match self.chance.below(12) {
            0 => {
                let length = self.chance.index(3_000);
                self.chance.bytes(length)
            }
            1 => vec![*self.chance.pick(b"a( {\"\\*"); 1 + self.chance.index(200_000)],
            2 => "x (".repeat(1 + self.chance.index(10_000)).into_bytes(),
            3 => "a NOOP\r\n".repeat(1 + self.chance.index(500)).into_bytes(),
            4 => "NOOP\r\n".repeat(1 + self.chance.index(500)).into_bytes(),
            5..9 => self.chance.pick(&COMMANDS).as_bytes().to_vec(),
            _ => self.spoiled(),
        }
    }

    /// Some commands with a few bytes changed, dropped or doubled.
    fn spoiled(&mut self) -> Vec<u8> {
        let count = 1 + self.chance.index(4);
        let mut bytes: Vec<u8> =
            (0..count).flat_map(|_| self.chance.pick(&COMMANDS).bytes().collect::<Vec<_>>()).collect();
        for _ in 0..1 + self.chance.index(4) {
            let at = self.chance.index(bytes.len());
            match self.chance.below(4) {
                0 => bytes[at] = self.chance.u64() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                _ => bytes.insert(at, *self.chance.pick(b"\r\n\0\"{}()<> *%\\\xFF")),
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    }
}
