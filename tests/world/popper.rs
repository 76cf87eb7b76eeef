//! A POP3 client that behaves, beside others of the same account and IMAP. It checks what only it can see: a message comes
//! back as it was delivered and as long as LIST said, the same id always brings the same bytes, and what was deleted at an
//! acknowledged QUIT never comes back. That nothing else is deleted, the model checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pillarbox::base::Mono;

use super::chance::Chance;
use super::client::ROUGH_PATIENCE;
use super::net::PeerId;
use super::{World, corpus};

/// What all POP3 clients of an account have seen together.
#[derive(Default)]
pub struct Seen {
    /// Ids that were deleted at a QUIT which was answered with +OK.
    gone: BTreeSet<String>,
    /// What each id brought.
    messages: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Away,
    Greeting,
    User,
    Pass,
    Uidl,
    List,
    Ready,
    Retr(usize),
    Dele(usize),
    Quit,
}

struct Message {
    id: String,
    octets: usize,
    marked: bool,
}

pub struct Popper {
    name: usize,
    pub complaints: Vec<String>,
    pub answered: u64,
    pub next_at: Mono,
    /// QUIT as soon as possible, and stay away.
    pub calm: bool,
    state: State,
    since: Mono,
    peer: Option<PeerId>,
    buffer: Vec<u8>,
    /// Number n is the n-th.
    messages: Vec<Message>,
    think: Duration,
    chance: Chance,
}

impl Popper {
    pub fn new(name: usize, chance: Chance, think: Duration) -> Popper {
        Popper {
            name,
            complaints: Vec::new(),
            answered: 0,
            next_at: Mono(0),
            calm: false,
            state: State::Away,
            since: Mono(0),
            peer: None,
            buffer: Vec::new(),
            messages: Vec::new(),
            think,
            chance,
        }
    }

    pub fn done(&self) -> bool {
        self.calm && self.state == State::Away
    }

    /// For complaints.
    pub fn state(&self) -> String {
        format!("popper {} {:?} since {}", self.name, self.state, self.since.0)
    }

    fn complain(&mut self, what: &str) {
        self.complaints.push(format!("popper {}: {what} [in {:?}]", self.name, self.state));
    }

    pub fn poll(&mut self, world: &mut World, seen: &mut Seen) {
        if let Some(peer) = self.peer {
            let bytes = world.take(peer);
            self.buffer.extend(bytes);
            while let Some((first, rest)) = self.response() {
                self.heard(&first, &rest, world, seen);
            }
            if self.peer == Some(peer) && world.closed(peer) {
                if self.waits() && world.is_blameless(peer) {
                    self.complain("hung up without a word");
                }
                self.leave(world.mono);
            }
        }
        if self.waits() && world.mono.since(self.since) > ROUGH_PATIENCE {
            self.complain("no reply");
            self.leave(world.mono);
        }
        if world.mono >= self.next_at || (self.calm && self.state == State::Ready) {
            self.act(world);
        }
    }

    fn waits(&self) -> bool {
        !matches!(self.state, State::Away | State::Ready)
    }

    /// The next whole response: its first line, and what follows that where it is multi-line.
    fn response(&mut self) -> Option<(String, Vec<u8>)> {
        let end = find(&self.buffer, b"\r\n")? + 2;
        let long = matches!(self.state, State::Uidl | State::List | State::Retr(_));
        let first = String::from_utf8_lossy(&self.buffer[..end - 2]).into_owned();
        let mut rest = Vec::new();
        if long && first.starts_with("+OK") {
            // This client asks one thing at a time. The first line's end may be that in front of the dot.
            self.buffer[end - 2..].ends_with(b"\r\n.\r\n").then_some(())?;
            rest = self.buffer[end..self.buffer.len() - 3].to_vec();
            self.buffer.clear();
        } else {
            self.buffer.drain(..end);
        }
        Some((first, rest))
    }

    fn leave(&mut self, now: Mono) {
        self.peer = None;
        self.buffer.clear();
        self.messages.clear();
        self.state = State::Away;
        self.pause(now);
    }

    fn pause(&mut self, now: Mono) {
        self.next_at = now.after(self.chance.delay(self.think).min(Duration::from_secs(120)));
    }

    fn ready(&mut self, now: Mono) {
        self.state = State::Ready;
        self.pause(now);
    }

    fn say(&mut self, world: &mut World, text: &str, state: State) {
        self.state = state;
        self.since = world.mono;
        if let Some(peer) = self.peer {
            world.send(peer, format!("{text}\r\n").as_bytes());
        }
    }

    fn act(&mut self, world: &mut World) {
        self.next_at = world.mono.after(Duration::from_secs(60));
        match self.state {
            State::Away if !self.calm => {
                self.peer = Some(world.connect("pop3"));
                self.state = State::Greeting;
                self.since = world.mono;
            }
            State::Ready => self.anything(world),
            _ => {}
        }
    }

    fn anything(&mut self, world: &mut World) {
        if self.calm || self.chance.one_in(6) {
            let marked = self.messages.iter().filter(|message| message.marked);
            let uids: Vec<u32> = marked.filter_map(|m| m.id.split_once('.')?.1.parse().ok()).collect();
            world.model.quitting.get_or_insert_default().extend(uids);
            return self.say(world, "QUIT", State::Quit);
        }
        if self.chance.one_in(12) {
            let Some(peer) = self.peer else { return };
            if self.chance.one_in(2) {
                world.hang_up(peer)
            } else {
                world.reset(peer)
            }
            return self.leave(world.mono);
        }
        let there: Vec<usize> = (0..self.messages.len()).filter(|at| !self.messages[*at].marked).collect();
        if there.is_empty() {
            return self.ready(world.mono);
        }
        let at = *self.chance.pick(&there);
        match self.chance.below(3) {
            0 => self.say(world, &format!("DELE {}", at + 1), State::Dele(at)),
            _ => self.say(world, &format!("RETR {}", at + 1), State::Retr(at)),
        }
    }

    fn heard(&mut self, first: &str, rest: &[u8], world: &mut World, seen: &mut Seen) {
        self.answered += 1;
        self.since = world.mono;
        let ok = first.starts_with("+OK");
        match self.state {
            State::Greeting if ok => self.say(world, "USER alice@box.test", State::User),
            State::User if ok => self.say(world, "PASS secret", State::Pass),
            State::Pass if ok => self.say(world, "UIDL", State::Uidl),
            State::Pass if first.starts_with("-ERR [IN-USE]") || first.starts_with("-ERR [SYS/TEMP]") => {
                self.say(world, "QUIT", State::Quit);
            }
            State::Uidl if ok => {
                self.listed(rest, seen);
                self.say(world, "LIST", State::List);
            }
            State::List if ok => {
                self.sized(rest);
                self.ready(world.mono);
            }
            State::Retr(at) if ok => {
                self.retrieved(at, rest, seen);
                self.ready(world.mono);
            }
            State::Dele(at) if ok => {
                self.messages[at].marked = true;
                self.ready(world.mono);
            }
            State::Retr(_) | State::Dele(_) if first.contains("removed by another program") => {
                self.ready(world.mono);
            }
            State::Quit => {
                if ok {
                    let marked = self.messages.iter().filter(|message| message.marked);
                    seen.gone.extend(marked.map(|message| message.id.clone()));
                } else if !first.starts_with("-ERR [SYS/TEMP]") {
                    self.complain(first);
                }
                self.leave(world.mono);
            }
            _ => {
                self.complain(first);
                self.leave(world.mono);
            }
        }
    }

    fn listed(&mut self, rows: &[u8], seen: &Seen) {
        self.messages.clear();
        for (number, row) in (1..).zip(String::from_utf8_lossy(rows).lines()) {
            let Some((told, id)) = row.split_once(' ') else { return self.complain(row) };
            if told != format!("{number}") {
                self.complain(&format!("message {number} is called {told}"));
            }
            if seen.gone.contains(id) {
                self.complain(&format!("{id} was deleted at QUIT and is there again"));
            }
            self.messages.push(Message { id: id.to_owned(), octets: 0, marked: false });
        }
    }

    fn sized(&mut self, rows: &[u8]) {
        let text = String::from_utf8_lossy(rows).into_owned();
        if text.lines().count() != self.messages.len() {
            self.complain(&format!("LIST has {} rows, UIDL {}", text.lines().count(), self.messages.len()));
        }
        for (message, row) in self.messages.iter_mut().zip(text.lines()) {
            message.octets = row.split_once(' ').and_then(|(_, octets)| octets.parse().ok()).unwrap_or(0);
        }
    }

    fn retrieved(&mut self, at: usize, wire: &[u8], seen: &mut Seen) {
        let message = unstuffed(wire);
        let (id, octets) = (self.messages[at].id.clone(), self.messages[at].octets);
        let ended = message.len() == octets + 2 && message.ends_with(b"\r\n");
        if message.len() != octets && !ended {
            self.complain(&format!("{id} has {} octets, LIST said {octets}", message.len()));
        }
        if !corpus::is_intact(&message) {
            self.complain(&format!("{id} is not what was sent"));
        }
        let known = seen.messages.entry(id.clone()).or_insert_with(|| message.clone());
        if *known != message {
            self.complain(&format!("{id} was another message before"));
        }
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// A response without the dots that were put in front of lines (RFC 1939 section 3).
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(wire.len());
    let mut rest = wire;
    while !rest.is_empty() {
        let end = find(rest, b"\r\n").map_or(rest.len(), |at| at + 2);
        message.extend_from_slice(rest[..end].strip_prefix(b".").unwrap_or(&rest[..end]));
        rest = &rest[end..];
    }
    message
}
