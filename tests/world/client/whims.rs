//! What the client does next when nothing forces it: any command, at random.

use std::time::Duration;

use super::super::picture::During;
use super::super::{World, corpus};
use super::{Client, Doing};

const MAILBOXES: [&str; 3] = ["INBOX", "Archive", "Trash"];

impl Client {
    fn some_uid(&mut self) -> Option<u32> {
        let at = self.chance.index(self.picture.entries.len());
        self.picture.entries.get(at).and_then(|entry| entry.uid)
    }

    fn some_number(&mut self) -> usize {
        1 + self.chance.index(self.picture.entries.len())
    }

    pub(super) fn anything(&mut self, world: &mut World) {
        if self.picture.entries.is_empty() {
            return match self.chance.below(4) {
                0 => self.append(world),
                1 => self.command(world, Doing::Noop, During::Other, "NOOP"),
                2 => self.change_mailbox(world),
                _ => self.idle(world, world.mono.after(Duration::from_secs(90))),
            };
        }
        let uid = self.some_uid().unwrap_or(1);
        let number = self.some_number();
        match self.chance.below(30) {
            0..3 => self.command(world, Doing::Noop, During::Other, "NOOP"),
            3..6 => {
                let long = Duration::from_secs(1 + self.chance.below(300));
                self.idle(world, world.mono.after(long));
            }
            6..8 => {
                let line = format!("FETCH 1:* {}", self.items());
                self.command(world, Doing::Flags { from: 1 }, During::Numbers, &line);
            }
            8..11 => {
                let line = format!("UID FETCH {uid}:* (UID RFC822.SIZE PREVIEW BODY.PEEK[])");
                self.command(world, Doing::Body { uid }, During::Other, &line);
            }
            11..14 => {
                let line = format!("STORE {number} {}", self.flag_change());
                let uid = self.picture.entries.get(number - 1).and_then(|entry| entry.uid);
                let what = if line.contains("SILENT") { Doing::Silent { uid } } else { Doing::Plain };
                self.command(world, what, During::Numbers, &line);
            }
            14..16 => {
                let line = format!("UID STORE {uid} {}", self.flag_change());
                let uid = Some(uid);
                let what = if line.contains("SILENT") { Doing::Silent { uid } } else { Doing::Plain };
                self.command(world, what, During::Other, &line);
            }
            16 => self.command(
                world,
                Doing::Plain,
                During::Other,
                &format!("UID STORE {uid} +FLAGS (\\Deleted)"),
            ),
            17 => {
                let line =
                    if self.chance.one_in(2) { "EXPUNGE".into() } else { format!("UID EXPUNGE {uid}") };
                self.command(world, Doing::Plain, During::Other, &line);
            }
            18 => self.transfer(world, uid),
            19 | 20 => self.append(world),
            21 => self.search_or_arrange(world),
            22 | 23 => self.change_mailbox(world),
            24 => {
                let line = format!("STORE {number}:* {}FLAGS (\\Flagged)", self.chance.pick(&["+", "-"]));
                self.command(world, Doing::Plain, During::Numbers, &line);
            }
            25 if self.picture.condstore => self.store_unless_changed(world, uid),
            26 => self.close(world),
            27 => self.transfer_many(world, uid),
            28 => self.look_around(world),
            _ => self.leave(world),
        }
    }

    fn flag_change(&mut self) -> String {
        let op = *self.chance.pick(&["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT"]);
        let flags =
            *self.chance.pick(&["\\Seen", "\\Flagged", "\\Answered \\Seen", "$Forwarded", "blue \\Draft"]);
        format!("{op} ({flags})")
    }

    /// RFC 7162 section 3.1.3: refused for messages that others have changed since.
    fn store_unless_changed(&mut self, world: &mut World, uid: u32) {
        let known = self.picture.entries.iter().find(|entry| entry.uid == Some(uid));
        let since = known.map_or(0, |entry| entry.modseq).saturating_sub(self.chance.below(2));
        let line = format!("UID STORE {uid} (UNCHANGEDSINCE {since}) {}", self.flag_change());
        let silent = line.contains("SILENT");
        let what = if silent { Doing::Silent { uid: Some(uid) } } else { Doing::Plain };
        self.command(world, what, During::Other, &line);
    }

    /// Leaves the mailbox: CLOSE expunges on the way and says nothing of it, UNSELECT does not.
    fn close(&mut self, world: &mut World) {
        self.remember();
        let line = *self.chance.pick(&["CLOSE", "UNSELECT"]);
        self.command(world, Doing::Close, During::Other, line);
    }

    fn transfer_many(&mut self, world: &mut World, uid: u32) {
        let to = *self.chance.pick(&MAILBOXES);
        // COPY to where one is would double the mailbox again and again.
        if self.selected.as_deref() == Some(to) || self.picture.entries.len() > 40 {
            return self.command(world, Doing::Noop, During::Other, "NOOP");
        }
        let verb = *self.chance.pick(&["COPY", "MOVE"]);
        self.command(world, Doing::Plain, During::Other, &format!("UID {verb} {uid}:* {to}"));
    }

    fn search_or_arrange(&mut self, world: &mut World) {
        let line = *self.chance.pick(&[
            "SEARCH OR SEEN NOT DELETED",
            "SORT (REVERSE DATE SUBJECT) UTF-8 ALL",
            "SORT (FROM ARRIVAL) UTF-8 UNSEEN",
            "THREAD REFERENCES UTF-8 ALL",
            "THREAD REFS UTF-8 NOT DELETED",
            "THREAD ORDEREDSUBJECT UTF-8 ALL",
        ]);
        self.command(world, Doing::Plain, During::Numbers, line);
    }

    /// Commands that read without touching the selected mailbox.
    fn look_around(&mut self, world: &mut World) {
        let line = *self.chance.pick(&[
            "STATUS Archive (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)",
            "LIST \"\" \"*\" RETURN (STATUS (MESSAGES))",
            "UID SEARCH RETURN (MIN MAX COUNT) UNSEEN",
            "UID SEARCH RETURN (ALL COUNT) TEXT \"block 0\"",
            "UID SEARCH OR SUBJECT \"a1\" FROM \"nobody\" NOT BODY \"block 3\"",
            "UID SORT RETURN (PARTIAL -1:-5 COUNT) (ARRIVAL SIZE) UTF-8 ALL",
            "NAMESPACE",
            "ID NIL",
        ]);
        self.command(world, Doing::Plain, During::Other, line);
    }

    fn transfer(&mut self, world: &mut World, uid: u32) {
        let verb = *self.chance.pick(&["COPY", "MOVE"]);
        let to = *self.chance.pick(&MAILBOXES);
        if verb == "MOVE" && self.selected.as_deref() == Some(to) {
            return self.command(world, Doing::Noop, During::Other, "NOOP");
        }
        self.command(world, Doing::Plain, During::Other, &format!("UID {verb} {uid} {to}"));
    }

    fn append(&mut self, world: &mut World) {
        let (token, body) = self.message();
        let mailbox = *self.chance.pick(&MAILBOXES);
        // A non-synchronizing literal may hold 4096 bytes where LITERAL- is what is offered (RFC 7888 section 4).
        let sync = body.len() > 4096 || self.chance.one_in(2);
        let line = format!("APPEND {mailbox} (\\Seen) {{{}{}}}", body.len(), if sync { "" } else { "+" });
        let (mut tokens, mut rest) = (vec![token], body);
        // Several in one command (RFC 3502), or one.
        let more = if self.chance.one_in(3) { 1 + self.chance.index(6) } else { 0 };
        for _ in 0..more {
            let (token, body) = self.message();
            let flags = *self.chance.pick(&["", " (\\Flagged blue)"]);
            rest.extend(format!("{flags} {{{}+}}\r\n", body.len()).into_bytes());
            rest.extend(body);
            tokens.push(token);
        }
        rest.extend(b"\r\n");
        let (now, rest) = if sync { (Vec::new(), rest) } else { (rest, Vec::new()) };
        let tag = self.begin(world.mono, Doing::Append { tokens, rest }, During::Other, &line);
        if let Some(peer) = self.peer {
            self.say(world, peer, &[format!("{tag} {line}\r\n").as_bytes(), &now].concat());
        }
    }

    fn message(&mut self) -> (String, Vec<u8>) {
        self.tokens += 1;
        let token = format!("append-{}-{}", self.name, self.tokens);
        let size = if self.chance.one_in(15) { 300_000 } else { 400 + self.chance.index(6_000) };
        let body = corpus::token(&token, size);
        (token, body)
    }

    fn change_mailbox(&mut self, world: &mut World) {
        self.remember();
        self.target = (*self.chance.pick(&MAILBOXES)).to_owned();
        self.select(world);
    }

    fn leave(&mut self, world: &mut World) {
        let Some(peer) = self.peer else { return };
        if self.chance.one_in(2) {
            world.reset(peer);
            return self.drop_connection(world.mono);
        }
        self.command(world, Doing::Logout, During::Other, "LOGOUT");
    }
}
