//! An IMAP client that behaves: one command at a time, random ones, everything the server says checked by `Picture`.
//! It loses its connection, comes back, and resynchronises with QRESYNC when it can.

mod whims;

use std::collections::BTreeSet;
use std::time::Duration;

use flate2::FlushCompress;
use pillarbox::base::Mono;
use pillarbox::mime::Summarizer;

use super::chance::Chance;
use super::net::PeerId;
use super::picture::{Cache, During, Picture, value};
use super::squeeze::Squeeze;
use super::wire::{self, Item, Response};
use super::{World, corpus};

/// How long a reply may take in a world with stalls of a minute, tiny windows and crashes.
pub const ROUGH_PATIENCE: Duration = Duration::from_secs(40 * 60);

/// What is in progress.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Login,
    Enable,
    Compress,
    Select {
        mailbox: String,
        resync: bool,
    },
    /// All messages from this number on are to be told.
    Flags {
        from: usize,
    },
    /// This message's body is to be told.
    Body {
        uid: u32,
    },
    /// One message, or several in one command.
    Append {
        tokens: Vec<String>,
        rest: Vec<u8>,
    },
    Idle {
        until: Mono,
        ready: bool,
        done: bool,
    },
    Noop,
    Logout,
    /// CLOSE or UNSELECT.
    Close,
    /// A STORE that is not answered with the new flags: they must be asked for.
    Silent {
        uid: Option<u32>,
    },
    /// Any other that has nothing to do at its end.
    Plain,
}

struct Pending {
    tag: String,
    what: Doing,
    since: Mono,
    line: String,
}

pub struct Client {
    pub name: usize,
    pub picture: Picture,
    pub selected: Option<String>,
    /// Tokens of APPENDs that got their OK.
    pub acknowledged: Vec<String>,
    pub complaints: Vec<String>,
    /// How many commands were answered.
    pub answered: u64,
    /// When this client wants to do something.
    pub next_at: Mono,
    /// Since when what an IDLE has told is not what is there.
    behind: Option<Mono>,
    /// No more commands of its own; stay in IDLE.
    pub calm: bool,
    peer: Option<PeerId>,
    greeted: bool,
    /// The server said BYE.
    goodbye: bool,
    buffer: Vec<u8>,
    pending: Option<Pending>,
    logged_in: bool,
    enabled: bool,
    wants_qresync: bool,
    wants_compress: Option<FlushCompress>,
    /// The connection is compressed.
    squeeze: Option<Squeeze>,
    target: String,
    cache: Option<(String, Cache)>,
    tag: u32,
    tokens: u32,
    /// Numbers of messages whose uid and flags, and uids whose body, were told since the command began.
    told: BTreeSet<u32>,
    /// How many messages were known of when the command began.
    known: usize,
    told_bodies: BTreeSet<u32>,
    /// A tagged reply must come within this, in the world's time.
    patience: Duration,
    think: Duration,
    chance: Chance,
    /// A SELECT is on its way: the old mailbox is still what the server talks about. Holds what is remembered of the new.
    opening: Option<Option<Cache>>,
}

impl Client {
    pub fn new(name: usize, chance: Chance, think: Duration) -> Client {
        let mut chance = chance;
        Client {
            name,
            picture: Picture::default(),
            selected: None,
            acknowledged: Vec::new(),
            complaints: Vec::new(),
            answered: 0,
            next_at: Mono(0),
            behind: None,
            calm: false,
            peer: None,
            greeted: false,
            goodbye: false,
            buffer: Vec::new(),
            pending: None,
            logged_in: false,
            enabled: false,
            wants_qresync: chance.one_in(2),
            wants_compress: *chance.pick(&[None, Some(FlushCompress::Partial), Some(FlushCompress::Sync)]),
            squeeze: None,
            target: "INBOX".into(),
            cache: None,
            tag: 0,
            tokens: 0,
            told: BTreeSet::new(),
            known: 0,
            told_bodies: BTreeSet::new(),
            patience: ROUGH_PATIENCE,
            think,
            chance,
            opening: None,
        }
    }

    /// Waits for a reply at most so long.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Reads what came, then acts if it is time.
    pub fn poll(&mut self, world: &mut World) {
        if let Some(peer) = self.peer {
            let bytes = world.take(peer);
            self.hear(&bytes);
            self.read(world);
            if world.closed(peer) && self.peer == Some(peer) {
                if self.pending.is_some() && !self.goodbye && world.is_blameless(peer) {
                    self.complain("the server hung up without a word");
                }
                self.drop_connection(world.mono);
            }
        }
        self.check_patience(world);
        if world.mono >= self.next_at {
            self.act(world);
        }
    }

    /// In IDLE, and the server has said so.
    pub fn is_idle(&self) -> bool {
        matches!(self.pending, Some(Pending { what: Doing::Idle { ready: true, done: false, .. }, .. }))
    }

    /// For complaints.
    pub fn state(&self) -> String {
        let doing = self.pending.as_ref().map(|pending| (&pending.line, pending.since.0));
        let next = self.next_at.0;
        format!(
            "client {} {doing:?} selected {:?} next {next} peer {:?}",
            self.name, self.selected, self.peer
        )
    }

    /// Notes whether an idling client lacks a message, and says since when.
    pub fn lags(&mut self, there: usize, now: Mono) -> Duration {
        if !self.is_idle() || self.picture.entries.len() == there {
            self.behind = None;
        }
        let behind = *self.behind.get_or_insert(now);
        if self.is_idle() { now.since(behind) } else { Duration::ZERO }
    }

    /// Ends an IDLE as soon as the client acts again.
    pub fn stop_idling(&mut self) {
        if let Some(Pending { what: Doing::Idle { until, .. }, .. }) = &mut self.pending {
            *until = Mono(0);
            self.next_at = Mono(0);
        }
    }

    fn complain(&mut self, what: &str) {
        let line = self.pending.as_ref().map(|pending| pending.line.clone()).unwrap_or_default();
        let complaint = format!("client {}: {what} [during: {line}]", self.name);
        if std::env::var_os("SIM_TRACE").is_some() {
            eprintln!("COMPLAINT {complaint}");
        }
        self.complaints.push(complaint);
    }

    fn check(&mut self, result: Result<(), String>) {
        if let Err(wrong) = result {
            self.complain(&wrong);
        }
    }

    fn check_patience(&mut self, world: &World) {
        let Some(pending) = &self.pending else { return };
        let idle = matches!(pending.what, Doing::Idle { done: false, ready: true, .. });
        if !idle && world.mono.since(pending.since) > self.patience {
            self.complain("no reply");
            self.drop_connection(world.mono);
        }
    }

    fn drop_connection(&mut self, now: Mono) {
        self.remember();
        self.peer = None;
        self.pending = None;
        self.greeted = false;
        self.goodbye = false;
        self.logged_in = false;
        self.enabled = false;
        self.squeeze = None;
        self.selected = None;
        self.buffer.clear();
        self.opening = None;
        self.picture = Picture::default();
        let pause = self.chance.delay(self.think);
        self.next_at = now.after(pause);
    }

    fn remember(&mut self) {
        if let (Some(mailbox), Some(cache)) = (&self.selected, self.picture.cache()) {
            self.cache = Some((mailbox.clone(), cache));
        }
    }

    // --- the wire ---

    fn hear(&mut self, bytes: &[u8]) {
        let Some(squeeze) = &mut self.squeeze else { return self.buffer.extend(bytes) };
        match squeeze.unpack(bytes) {
            Ok(plain) => self.buffer.extend(plain),
            Err(wrong) => self.complain(&wrong),
        }
    }

    fn say(&mut self, world: &mut World, peer: PeerId, bytes: &[u8]) {
        match &mut self.squeeze {
            Some(squeeze) => world.send(peer, &squeeze.pack(bytes)),
            None => world.send(peer, bytes),
        }
    }

    // --- what the server says ---

    fn read(&mut self, world: &mut World) {
        loop {
            match wire::take(&mut self.buffer) {
                Ok(None) => return,
                Ok(Some(response)) => self.response(response, world),
                Err(wrong) => {
                    self.complain(&wrong);
                    if let Some(peer) = self.peer {
                        world.reset(peer);
                    }
                    self.drop_connection(world.mono);
                    return;
                }
            }
        }
    }

    fn response(&mut self, response: Response, world: &mut World) {
        match response {
            Response::Continue => self.go_ahead(world),
            Response::Status { status, code } => self.status(&status, code.as_deref(), world.mono),
            Response::Tagged { tag, status, code } => self.tagged(&tag, &status, code.as_deref(), world),
            Response::Data { number, name, items } => {
                let result = self.data(number, &name, &items);
                self.check(result);
            }
        }
    }

    fn status(&mut self, status: &str, code: Option<&str>, now: Mono) {
        if !self.greeted {
            self.greeted = true;
            self.next_at = now;
        }
        if status == "BAD" {
            self.complain("untagged BAD");
        }
        self.goodbye |= status == "BYE";
        let Some(code) = code else { return };
        let (name, argument) = code.split_once(' ').unwrap_or((code, ""));
        match name {
            "CLOSED" => self.begin_opening(),
            "UIDVALIDITY" => self.picture.validity = argument.parse().unwrap_or(0),
            "HIGHESTMODSEQ" => {
                if let (Some(Pending { what: Doing::Select { .. }, .. }), Ok(modseq)) =
                    (&self.pending, argument.parse())
                {
                    self.picture.modseq = modseq;
                }
            }
            _ => {}
        }
    }

    fn data(&mut self, number: Option<u32>, name: &str, items: &[Item]) -> Result<(), String> {
        match (number, name) {
            (Some(count), "EXISTS") => {
                if self.opening.is_some() {
                    self.begin_opening();
                    return Err("a mailbox was opened over another without CLOSED".into());
                }
                self.picture.exists(count)
            }
            (Some(number), "EXPUNGE") => self.picture.expunge(number),
            (None, "VANISHED") => self.picture.vanished(items),
            (None, "SORT" | "THREAD") => self.picture.arranged(items),
            (Some(number), "FETCH") => {
                self.body(items)?;
                let both = value(items, "UID").is_some() && value(items, "FLAGS").is_some();
                self.told.extend(both.then_some(number));
                self.picture.fetch(number, items)
            }
            _ => Ok(()),
        }
    }

    /// A literal is as long as the size says, and is the message that was sent.
    fn body(&mut self, items: &[Item]) -> Result<(), String> {
        let Some(Item::Text(text)) = value(items, "BODY[]") else { return Ok(()) };
        let uid =
            value(items, "UID").and_then(Item::number).ok_or("a body without the UID that was asked for")?;
        self.told_bodies.insert(uid as u32);
        let size = value(items, "RFC822.SIZE").and_then(Item::number);
        if size.is_some_and(|size| size != text.len() as u64) {
            return Err(format!("a body of {size:?} bytes came with {}", text.len()));
        }
        let mut summarizer = Summarizer::new();
        summarizer.feed(text);
        let preview = summarizer.finish().preview;
        if value(items, "PREVIEW").is_some_and(|told| told.text() != preview) {
            return Err(format!("the preview is not that of its body: {preview}"));
        }
        if corpus::is_intact(text) {
            return Ok(());
        }
        Err(format!("the body of {:?} is not what was sent", corpus::token_of(text)))
    }

    fn go_ahead(&mut self, world: &mut World) {
        let (now, peer) = (world.mono, self.peer);
        match (&mut self.pending, peer) {
            (Some(Pending { what: Doing::Idle { ready, .. }, .. }), _) => *ready = true,
            (Some(Pending { what: Doing::Append { rest, .. }, .. }), Some(peer)) => {
                let rest = std::mem::take(rest);
                self.say(world, peer, &rest);
            }
            _ => self.complain("a continuation that nobody asked for"),
        }
        self.next_at = self.next_at.max(now);
    }

    fn tagged(&mut self, tag: &str, status: &str, code: Option<&str>, world: &mut World) {
        let Some(pending) = self.pending.take() else {
            return self.complain(&format!("a tagged reply to nothing: {tag}"));
        };
        if pending.tag != tag {
            self.complain(&format!("tag {tag}, not {}", pending.tag));
        }
        if status == "BAD" {
            self.pending = Some(Pending { line: pending.line.clone(), ..dummy(world.mono) });
            self.complain("BAD to an honest command");
            self.pending = None;
        }
        self.answered += 1;
        let pause = self.chance.delay(self.think);
        self.next_at = world.mono.after(pause);
        let ok = status == "OK";
        if let Some(modseq) = code.and_then(|code| code.strip_prefix("HIGHESTMODSEQ ")) {
            let result = self.picture.highest(modseq.parse().unwrap_or(0));
            self.check(result);
        }
        let line = pending.line.clone();
        if let Err(wrong) = self.is_complete(&pending.what, status, code) {
            self.complain(&format!("{wrong} [to: {line}]"));
        }
        self.end_of(pending.what, ok, world.mono);
        self.picture.during = During::Nothing;
    }

    /// A read brings all that it asked for; nothing here makes reads fail.
    fn is_complete(&self, what: &Doing, status: &str, code: Option<&str>) -> Result<(), String> {
        let told = match what {
            Doing::Flags { from } => self.told.len() + from > self.known,
            Doing::Body { uid } => {
                self.told_bodies.contains(uid) || self.picture.entries.iter().all(|e| e.uid != Some(*uid))
            }
            _ => return Ok(()),
        };
        match status {
            "OK" if told => Ok(()),
            "OK" => Err("OK, but not all of it was told".into()),
            _ if code == Some("EXPUNGEISSUED") => Ok(()),
            _ => Err(format!("{status} [{code:?}] to a read")),
        }
    }

    fn end_of(&mut self, what: Doing, ok: bool, now: Mono) {
        match what {
            Doing::Login if ok => self.logged_in = true,
            Doing::Enable => {
                self.enabled = true;
                self.picture.condstore = ok;
                self.picture.qresync = ok;
            }
            // What came behind the OK is compressed already.
            Doing::Compress => {
                self.squeeze = self.wants_compress.filter(|_| ok).map(Squeeze::new);
                let behind = std::mem::take(&mut self.buffer);
                self.hear(&behind);
                self.next_at = now;
            }
            Doing::Select { mailbox, resync } if ok => {
                if resync {
                    let result = self.picture.end_resync();
                    self.check(result);
                }
                self.selected = Some(mailbox);
                self.next_at = now;
            }
            Doing::Select { .. } => self.begin_opening(),
            Doing::Noop | Doing::Idle { .. } if ok => self.picture.up_to_date(),
            Doing::Close if ok => {
                self.picture.clear();
                self.selected = None;
            }
            Doing::Silent { uid } => {
                let stored = self.picture.entries.iter_mut().filter(|entry| entry.uid == uid);
                stored.for_each(|entry| entry.flags = None);
            }
            Doing::Append { tokens, .. } if ok => self.acknowledged.extend(tokens),
            Doing::Logout => self.drop_connection(now),
            _ => {}
        }
    }

    // --- what the client does ---

    fn act(&mut self, world: &mut World) {
        let Some(peer) = self.peer else {
            let peer = world.connect("imap");
            self.peer = Some(peer);
            self.next_at = world.mono.after(Duration::from_secs(3600));
            return;
        };
        if !self.greeted {
            self.complain("no greeting within an hour");
            return self.drop_connection(world.mono);
        }
        if let Some(pending) = &mut self.pending {
            let Doing::Idle { until, ready: true, done } = &mut pending.what else {
                self.next_at = world.mono.after(Duration::from_secs(60));
                return;
            };
            let ends = *until <= world.mono && !*done;
            *done |= ends;
            let soon = world.mono.after(Duration::from_secs(20));
            self.next_at = if *done { soon } else { soon.min(*until) };
            if ends {
                pending.since = world.mono;
                self.say(world, peer, b"DONE\r\n");
            }
            return;
        }
        self.next_at = world.mono.after(Duration::from_secs(60));
        if !self.logged_in {
            return self.command(world, Doing::Login, During::Other, "LOGIN alice@box.test secret");
        }
        if self.wants_compress.is_some() && self.squeeze.is_none() {
            return self.command(world, Doing::Compress, During::Other, "COMPRESS DEFLATE");
        }
        if self.wants_qresync && !self.enabled {
            return self.command(world, Doing::Enable, During::Other, "ENABLE QRESYNC");
        }
        if self.selected.is_none() {
            return self.select(world);
        }
        if self.picture.entries.iter().any(|entry| entry.uid.is_none() || entry.flags.is_none()) {
            let first = self.picture.entries.iter().position(|e| e.uid.is_none() || e.flags.is_none());
            let number = first.unwrap_or(0) + 1;
            let line = format!("FETCH {number}:* {}", self.items());
            return self.command(world, Doing::Flags { from: number }, During::Numbers, &line);
        }
        if self.calm {
            return self.idle(world, Mono::NEVER);
        }
        self.anything(world);
    }

    fn select(&mut self, world: &mut World) {
        let mailbox = self.target.clone();
        let cached = self.cache.as_ref().filter(|(name, _)| *name == mailbox && self.picture.qresync);
        let cache = cached.map(|(_, cache)| cache.clone());
        let line = match &cache {
            Some(cache) => format!("SELECT {mailbox} (QRESYNC ({} {}))", cache.validity, cache.modseq),
            None => format!("SELECT {mailbox}"),
        };
        let resync = cache.is_some();
        self.command(world, Doing::Select { mailbox, resync }, During::Other, &line);
        self.opening = Some(cache);
        // The picture of the old mailbox holds until the server says CLOSED; what comes before belongs to it.
        if self.selected.take().is_none() {
            self.begin_opening();
        }
    }

    /// From here on what the server says is about the mailbox being opened.
    fn begin_opening(&mut self) {
        self.picture.clear();
        self.selected = None;
        if let Some(Some(cache)) = self.opening.take() {
            self.picture.during = During::Resync;
            self.picture.begin_resync(&cache);
        }
    }

    fn idle(&mut self, world: &mut World, until: Mono) {
        self.command(world, Doing::Idle { until, ready: false, done: false }, During::Other, "IDLE");
    }

    fn command(&mut self, world: &mut World, what: Doing, during: During, line: &str) {
        let tag = self.begin(world.mono, what, during, line);
        if let Some(peer) = self.peer {
            self.say(world, peer, format!("{tag} {line}\r\n").as_bytes());
        }
    }

    fn begin(&mut self, now: Mono, what: Doing, during: During, line: &str) -> String {
        self.tag += 1;
        self.known = self.picture.entries.len();
        self.told.clear();
        self.told_bodies.clear();
        let tag = format!("t{}", self.tag);
        self.picture.during = during;
        self.pending = Some(Pending { tag: tag.clone(), what, since: now, line: line.to_owned() });
        tag
    }

    fn items(&self) -> &'static str {
        if self.picture.condstore { "(UID FLAGS MODSEQ)" } else { "(FLAGS UID)" }
    }
}

fn dummy(since: Mono) -> Pending {
    Pending { tag: String::new(), what: Doing::Plain, since, line: String::new() }
}
