//! An SMTP client that behaves: another server that delivers, or a person who submits. Every message carries a token of
//! its own; a message that got its 250 must be in the box exactly once, any other at most once.

use std::time::Duration;

use pillarbox::base::Mono;

use super::chance::Chance;
use super::client::ROUGH_PATIENCE;
use super::net::PeerId;
use super::{World, corpus};

#[derive(Clone, Debug, PartialEq)]
enum State {
    Away,
    Greeting,
    Hello,
    Auth,
    Ready,
    From,
    To {
        left: u32,
        accepted: u32,
    },
    Data,
    Body,
    /// Everything from MAIL to DATA went out at once; so many replies are due.
    Pipelined {
        left: u32,
        accepted: u32,
    },
    Quit,
}

pub struct Sender {
    pub name: String,
    /// Tokens that got their 250.
    pub acknowledged: Vec<String>,
    /// All tokens that were ever sent.
    pub sent: Vec<String>,
    pub complaints: Vec<String>,
    pub next_at: Mono,
    /// Messages still to send.
    pub left: u32,
    submits: bool,
    state: State,
    since: Mono,
    peer: Option<PeerId>,
    buffer: Vec<u8>,
    token: String,
    recipients: u32,
    /// A reply must come within this, in the world's time.
    patience: Duration,
    think: Duration,
    chance: Chance,
}

impl Sender {
    pub fn new(name: &str, submits: bool, left: u32, chance: Chance, think: Duration) -> Sender {
        Sender {
            name: name.into(),
            acknowledged: Vec::new(),
            sent: Vec::new(),
            complaints: Vec::new(),
            next_at: Mono(0),
            left,
            submits,
            state: State::Away,
            since: Mono(0),
            peer: None,
            buffer: Vec::new(),
            token: String::new(),
            recipients: 1,
            patience: ROUGH_PATIENCE,
            think,
            chance,
        }
    }

    pub fn done(&self) -> bool {
        self.left == 0 && self.state == State::Away
    }

    /// For complaints.
    pub fn state(&self) -> String {
        format!("sender {} {:?} since {} left {}", self.name, self.state, self.since.0, self.left)
    }

    /// Waits for a reply at most so long.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub fn poll(&mut self, world: &mut World) {
        if let Some(peer) = self.peer {
            let bytes = world.take(peer);
            self.buffer.extend(bytes);
            while let Some(code) = self.reply() {
                self.heard(code, world);
            }
            if self.peer == Some(peer) && world.closed(peer) {
                self.leave(world.mono);
            }
        }
        let waits = !matches!(self.state, State::Away | State::Ready);
        if waits && world.mono.since(self.since) > self.patience {
            self.complaints.push(format!("sender {}: no reply in {:?}", self.name, self.state));
            self.leave(world.mono);
        }
        if world.mono >= self.next_at {
            self.act(world);
        }
    }

    /// The code of the next whole reply, all its lines.
    fn reply(&mut self) -> Option<u32> {
        let mut from = 0;
        loop {
            let end = from + self.buffer[from..].windows(2).position(|two| two == b"\r\n")?;
            let line = &self.buffer[from..end];
            let code =
                std::str::from_utf8(line.get(..3).unwrap_or_default()).ok().and_then(|c| c.parse().ok());
            if !matches!(line.get(3), Some(b'-')) {
                if code.is_none() {
                    let shown = String::from_utf8_lossy(line).into_owned();
                    self.complaints.push(format!("sender {}: no reply line: {shown}", self.name));
                }
                self.buffer.drain(..end + 2);
                return Some(code.unwrap_or(599));
            }
            from = end + 2;
        }
    }

    fn leave(&mut self, now: Mono) {
        self.peer = None;
        self.buffer.clear();
        self.state = State::Away;
        let pause = self.chance.delay(self.think);
        self.next_at = now.after(pause);
    }

    fn say(&mut self, world: &mut World, text: &str, state: State) {
        self.state = state;
        self.since = world.mono;
        if let Some(peer) = self.peer {
            world.send(peer, text.as_bytes());
        }
    }

    fn act(&mut self, world: &mut World) {
        self.next_at = world.mono.after(Duration::from_secs(60));
        match self.state {
            State::Away if self.left > 0 => {
                self.peer = Some(world.connect(if self.submits { "submission" } else { "smtp" }));
                self.state = State::Greeting;
                self.since = world.mono;
            }
            State::Ready => self.begin(world),
            _ => {}
        }
    }

    /// A message begins: step by step or pipelined.
    fn begin(&mut self, world: &mut World) {
        if self.left == 0 || self.chance.one_in(12) {
            return self.say(world, "QUIT\r\n", State::Quit);
        }
        self.left -= 1;
        self.token = format!("{}-{}", self.name, self.left);
        self.sent.push(self.token.clone());
        self.recipients = 1 + self.chance.below(3) as u32;
        if self.chance.one_in(2) {
            return self.say(world, &self.from(), State::From);
        }
        let to: String = (0..self.recipients).map(recipient).collect();
        let all = format!("{}{to}DATA\r\n", self.from());
        self.say(world, &all, State::Pipelined { left: self.recipients + 2, accepted: 0 });
    }

    fn from(&self) -> String {
        let from = if self.submits { "alice@box.test" } else { "sender@example.org" };
        format!("MAIL FROM:<{from}>\r\n")
    }

    fn heard(&mut self, code: u32, world: &mut World) {
        self.since = world.mono;
        let good = code < 400;
        match self.state.clone() {
            State::Greeting if good => self.say(world, "EHLO client.example.org\r\n", State::Hello),
            State::Hello if good && self.submits => {
                let plain = data_encoding::BASE64.encode(b"\0alice@box.test\0secret");
                self.say(world, &format!("AUTH PLAIN {plain}\r\n"), State::Auth);
            }
            State::Hello | State::Auth if good => self.pause(world.mono),
            State::From if good => {
                let to = recipient(0);
                self.say(world, &to, State::To { left: self.recipients - 1, accepted: 0 });
            }
            State::To { left, accepted } => {
                let accepted = accepted + u32::from(good);
                match left {
                    0 if accepted == 0 => self.say(world, "RSET\r\n", State::Hello),
                    0 => self.say(world, "DATA\r\n", State::Data),
                    _ => self.say(world, &recipient(left), State::To { left: left - 1, accepted }),
                }
            }
            State::Pipelined { left, accepted } => {
                let accepted = accepted + u32::from(code == 250);
                match left {
                    1 if code == 354 => self.body(world),
                    1 => self.say(world, "RSET\r\n", State::Hello),
                    _ => self.state = State::Pipelined { left: left - 1, accepted },
                }
            }
            State::Data if code == 354 => self.body(world),
            State::Body => {
                if good {
                    self.acknowledged.push(self.token.clone());
                }
                self.pause(world.mono);
            }
            State::Away => {}
            _ => {
                if code >= 500 && self.state != State::Quit {
                    self.complaints.push(format!("sender {}: {code} in {:?}", self.name, self.state));
                }
                if let Some(peer) = self.peer {
                    world.hang_up(peer);
                }
                self.leave(world.mono);
            }
        }
    }

    fn pause(&mut self, now: Mono) {
        self.state = State::Ready;
        let pause = self.chance.delay(self.think);
        self.next_at = now.after(pause.min(Duration::from_secs(120)));
    }

    fn body(&mut self, world: &mut World) {
        let large = self.chance.one_in(8);
        let size =
            if large { *self.chance.pick(&[300_000, 600_000]) } else { 300 + self.chance.index(5_000) };
        let mut text = corpus::token(&self.token, size);
        if self.submits {
            let from = String::from_utf8_lossy(&text).replacen("sender@example.org", "alice@box.test", 1);
            text = from.into_bytes();
        }
        text.extend(b".\r\n");
        self.state = State::Body;
        self.since = world.mono;
        let Some(peer) = self.peer else { return };
        // A server in the middle of a message sometimes goes away.
        if self.chance.one_in(20) {
            text.truncate(self.chance.index(text.len()));
            world.send(peer, &text);
            world.reset(peer);
            return self.leave(world.mono);
        }
        world.send(peer, &text);
    }
}

fn recipient(n: u32) -> String {
    let who = ["alice", "alice+tag", "bob", "alice+other"][n as usize % 4];
    format!("RCPT TO:<{who}@box.test>\r\n")
}
