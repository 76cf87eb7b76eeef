//! Plays a transcript or scenario against the real engine and the real store in a calm world.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::FlushCompress;
use pillarbox::base::{AccountId, Wall};
use pillarbox::store::{
    Admin, Append, ChangeFlags, Deliver, FlagNames, FlagOp, Limits, MailboxRow, Place, Scope, Target, Write,
};

use super::chance::Chance;
use super::disk::Crash;
use super::habits::Habits;
use super::net::PeerId;
use super::script::{self, Line, Names, What};
use super::squeeze::Squeeze;
use super::{World, corpus, store};

/// How the client's bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    ByteByByte,
    CutAtRandom(u64),
    Pipelined,
}

/// How long a line of the server is waited for, in the world's time.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Play<'a> {
    lines: &'a [Line],
    mode: Mode,
    service: String,
    world: World,
    peers: BTreeMap<usize, PeerId>,
    /// What each connection has received and no line has accounted for.
    heard: BTreeMap<usize, Vec<u8>>,
    /// Connections that are compressed.
    squeezed: BTreeMap<usize, Squeeze>,
    names: Names,
    /// Client lines that went out ahead of their turn.
    sent: Vec<bool>,
    chance: Chance,
    /// For `UPDATE=1`: the file as it would be right.
    pub rewritten: Vec<String>,
}

/// Plays the lines; the error names the line.
pub fn play(lines: &[Line], service: &str, mode: Mode) -> Result<(), String> {
    Play::new(lines, service, mode).run()
}

impl Play<'_> {
    pub fn new<'a>(lines: &'a [Line], service: &str, mode: Mode) -> Play<'a> {
        let seed = if let Mode::CutAtRandom(seed) = mode { seed } else { 0 };
        Play {
            lines,
            mode,
            service: service.to_owned(),
            world: World::calm(store::usual()),
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            squeezed: BTreeMap::new(),
            names: Names::new(),
            sent: vec![false; lines.len()],
            chance: Chance::new(seed),
            rewritten: Vec::new(),
        }
    }

    pub fn run(&mut self) -> Result<(), String> {
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            self.line(index).map_err(|wrong| format!("line {} ({:?}): {wrong}", line.number, self.mode))?;
        }
        self.quiet().map_err(|wrong| format!("at the end ({:?}): {wrong}", self.mode))?;
        self.world.complaints.first().map_or(Ok(()), |complaint| Err(complaint.clone()))
    }

    /// Plays on and writes down what the server really says.
    pub fn rewrite(&mut self) -> Vec<String> {
        let mut index = 0;
        while index < self.lines.len() {
            index = self.rewrite_line(index);
        }
        self.note_rest();
        self.rewritten.clone()
    }

    fn rewrite_line(&mut self, index: usize) -> usize {
        let line = &self.lines[index];
        if !matches!(line.what, What::Server { .. }) {
            if matches!(line.what, What::Client { .. } | What::Directive(_)) {
                self.note_rest();
            }
            if let Err(wrong) = self.line(index) {
                self.rewritten.push(format!("# {wrong}"));
            }
            self.rewritten.push(line.text.clone());
            return index + 1;
        }
        let heard = self.heard.clone();
        let group = self.lines[index..].iter().take_while(|l| matches!(l.what, What::Server { .. })).count();
        let fits = (index..index + group).all(|at| self.line(at).is_ok());
        if fits {
            self.rewritten.extend(self.lines[index..index + group].iter().map(|l| l.text.clone()));
        } else {
            let later = std::mem::replace(&mut self.heard, heard);
            for (conn, bytes) in later {
                let known = self.heard.entry(conn).or_default();
                if bytes.len() > known.len() {
                    *known = bytes;
                }
            }
            self.note_rest();
        }
        index + group
    }

    fn note_rest(&mut self) {
        self.listen();
        for (conn, bytes) in std::mem::take(&mut self.heard) {
            let mark = if conn == 1 { "S".to_owned() } else { format!("S{conn}") };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.rewritten.extend(text.split_terminator("\r\n").map(|line| format!("{mark}: {line}")));
        }
    }

    fn line(&mut self, index: usize) -> Result<(), String> {
        match &self.lines[index].what {
            What::Nothing => Ok(()),
            What::Setup(words) => self.setup(words),
            What::Directive(words) => {
                self.quiet()?;
                self.directive(words)
            }
            What::Client { .. } if self.sent[index] => Ok(()),
            What::Client { conn, .. } => {
                self.peer(*conn)?;
                self.quiet()?;
                self.speak(index, *conn)
            }
            What::Server { conn, pattern } => {
                self.peer(*conn)?;
                self.expect(index, *conn, pattern)
            }
        }
    }

    // --- the client's side ---

    fn peer(&mut self, conn: usize) -> Result<PeerId, String> {
        if let Some(&peer) = self.peers.get(&conn) {
            return Ok(peer);
        }
        let peer = self.world.connect(&self.service.clone());
        self.peers.insert(conn, peer);
        self.world.settle();
        Ok(peer)
    }

    fn speak(&mut self, index: usize, conn: usize) -> Result<(), String> {
        let mut bytes = self.bytes_from(index, conn);
        let peer = self.peer(conn)?;
        if let Some(squeeze) = self.squeezed.get_mut(&conn) {
            bytes = squeeze.pack(&bytes);
        }
        match self.mode {
            Mode::Whole | Mode::Pipelined => self.world.send(peer, &bytes),
            Mode::ByteByByte => bytes.iter().for_each(|byte| {
                self.world.send(peer, &[*byte]);
                self.world.settle();
            }),
            Mode::CutAtRandom(_) => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(1 + self.chance.index(rest.len()));
                    self.world.send(peer, piece);
                    self.world.settle();
                    rest = more;
                }
            }
        }
        self.world.settle();
        Ok(())
    }

    /// This line, and when pipelining all that the same client says without waiting for a go-ahead.
    fn bytes_from(&mut self, index: usize, conn: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let pipelined = self.mode == Mode::Pipelined;
        for at in index..self.lines.len() {
            match &self.lines[at].what {
                What::Nothing => {}
                What::Client { conn: speaker, bytes } if *speaker == conn => {
                    self.sent[at] = true;
                    all.extend(script::replace(bytes, &self.names));
                    if !pipelined {
                        break;
                    }
                }
                What::Server { conn: speaker, pattern } if *speaker == conn => {
                    let go_ahead =
                        pattern.starts_with("+ ") || pattern.starts_with('3') || pattern.contains("${");
                    if go_ahead {
                        break;
                    }
                }
                _ => break,
            }
        }
        all
    }

    // --- the server's side ---

    fn listen(&mut self) {
        self.world.settle();
        for (conn, peer) in &self.peers {
            let mut bytes = self.world.take(*peer);
            if let Some(squeeze) = self.squeezed.get_mut(conn) {
                bytes = squeeze.unpack(&bytes).unwrap_or_else(|wrong| wrong.into_bytes());
            }
            if !bytes.is_empty() {
                self.heard.entry(*conn).or_default().extend(bytes);
            }
        }
    }

    /// Nothing was said that no line expects.
    fn quiet(&mut self) -> Result<(), String> {
        self.listen();
        let heard = self.heard.iter().find(|(_, bytes)| !bytes.is_empty());
        heard.map_or(Ok(()), |(conn, bytes)| {
            Err(format!("the server said more on {conn}: {:?}", String::from_utf8_lossy(bytes)))
        })
    }

    /// The next line that a connection says, without CR LF.
    fn next_line(&mut self, conn: usize) -> Option<String> {
        self.listen();
        let mut waited = Duration::ZERO;
        loop {
            let heard = self.heard.entry(conn).or_default();
            if let Some(at) = heard.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&heard[..at]).into_owned();
                heard.drain(..at + 2);
                return Some(line);
            }
            let closed = self.peers.get(&conn).is_none_or(|peer| self.world.closed(*peer));
            if waited >= PATIENCE || closed {
                return None;
            }
            waited += Duration::from_millis(500);
            self.world.pass(Duration::from_millis(500));
            self.listen();
        }
    }

    fn expect(&mut self, index: usize, conn: usize, pattern: &str) -> Result<(), String> {
        if pattern == "…" {
            return self.skip(index, conn);
        }
        let Some(said) = self.next_line(conn) else {
            let rest = self.heard.get(&conn).cloned().unwrap_or_default();
            return Err(format!(
                "expected {pattern:?}, heard nothing ({:?})",
                String::from_utf8_lossy(&rest)
            ));
        };
        if script::matches(pattern, &said, &mut self.names) {
            return Ok(());
        }
        Err(format!("expected\n    {pattern}\n  but the server said\n    {said}"))
    }

    /// Any lines, up to the one that the next S line of this connection describes.
    fn skip(&mut self, index: usize, conn: usize) -> Result<(), String> {
        let next = self.lines[index + 1..].iter().find_map(|line| match &line.what {
            What::Server { conn: speaker, pattern } if *speaker == conn => Some(pattern.clone()),
            _ => None,
        });
        let Some(next) = next else {
            self.listen();
            self.heard.remove(&conn);
            return Ok(());
        };
        loop {
            let before = self.heard.get(&conn).cloned();
            let Some(said) = self.next_line(conn) else { return Err(format!("never said: {next}")) };
            if script::matches(&next, &said, &mut self.names.clone()) {
                let rest = self.heard.entry(conn).or_default();
                let again = [said.as_bytes(), b"\r\n", rest].concat();
                *rest = again;
                return Ok(());
            }
            drop(before);
        }
    }

    // --- set-up and directives ---

    fn setup(&mut self, words: &[String]) -> Result<(), String> {
        let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
        let admin = match word(0) {
            "have" => return self.have(word(1), word(2)),
            "service" => {
                self.service = word(1).to_owned();
                return Ok(());
            }
            "nopipeline" => {
                if self.mode == Mode::Pipelined {
                    self.mode = Mode::Whole;
                }
                return Ok(());
            }
            "flags" => return self.flags(word(1), word(2), &words[3..]),
            "mailbox" => {
                let special = None;
                let (account, name) = (self.account()?, word(1).to_owned());
                Write::CreateMailbox { account, name, special, now: self.world.wall }
            }
            "subscribe" => Write::Subscribe { account: self.account()?, name: word(1).to_owned(), on: true },
            "account" => store::account(word(1), word(2)),
            "domain" => Write::Admin(Admin::AddDomain { name: word(1).into() }),
            "setting" => store::setting(word(1), &words[2..].join(" ")),
            "alias" => {
                let (local, domain) = word(1).rsplit_once('@').ok_or("alias LOCAL@DOMAIN ACCOUNT")?;
                let (local, domain) = (local.to_owned(), domain.to_owned());
                Write::Admin(Admin::AddAddress { local, domain, account: word(2).into() })
            }
            "quota" => {
                let limit = |at: usize| word(at).parse().ok();
                let limits = Limits { bytes: limit(2), messages: limit(3), mailboxes: limit(4) };
                Write::Admin(Admin::SetQuota { account: word(1).into(), limits })
            }
            "app" => {
                let scope = match word(4) {
                    "read" => Scope::ReadOnly,
                    "send" => Scope::SendOnly,
                    _ => Scope::All,
                };
                let (hash, now) = (store::fake_hash(word(3).as_bytes()), self.world.wall);
                Write::Admin(Admin::AddCredential {
                    account: word(1).into(),
                    name: word(2).into(),
                    scope,
                    hash,
                    now,
                })
            }
            other => return Err(format!("no such set-up line: {other}")),
        };
        self.world.admin(admin);
        Ok(())
    }

    fn directive(&mut self, words: &[String]) -> Result<(), String> {
        let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
        let conn = word(1).parse().unwrap_or(1);
        match word(0) {
            "deliver" => self.deliver(word(1), word(2)),
            "time" => {
                self.world.pass(span(word(1)).ok_or("@time 10m")?);
                Ok(())
            }
            "reads" => {
                let read = span(word(1)).ok_or("@reads 6s")?;
                self.world.change_habits(Habits { read, steady: true, ..Habits::calm() });
                Ok(())
            }
            "clock" => {
                self.world.jump_wall(Wall::from_unix(word(1).parse().map_err(|_| "@clock UNIX")?));
                Ok(())
            }
            "open" => {
                let peer = self.world.connect(word(2));
                self.peers.insert(conn, peer);
                self.world.settle();
                Ok(())
            }
            "close" => {
                let peer = self.peer(conn)?;
                self.world.hang_up(peer);
                self.world.settle();
                Ok(())
            }
            "closed" => {
                let peer = self.peer(conn)?;
                self.world.pass(Duration::from_secs(1));
                if self.world.closed(peer) { Ok(()) } else { Err("the server has not hung up".into()) }
            }
            "send" => {
                let count: usize = word(1).parse().map_err(|_| "@send COUNT TEXT [CONN]")?;
                let text = script::unescape(word(2)).ok_or("@send: bad escape")?;
                let conn = word(3).parse().unwrap_or(1);
                let peer = self.peer(conn)?;
                let mut bytes = text.repeat(count);
                if let Some(squeeze) = self.squeezed.get_mut(&conn) {
                    bytes = squeeze.pack(&bytes);
                }
                self.world.send(peer, &bytes);
                self.world.settle();
                Ok(())
            }
            "compress" => {
                let whole = matches!(self.mode, Mode::Whole | Mode::Pipelined);
                let flush = if whole { FlushCompress::Sync } else { FlushCompress::Partial };
                self.squeezed.insert(conn, Squeeze::new(flush));
                Ok(())
            }
            "plain" => {
                let text = script::unescape(&words[1..].join(" ")).ok_or("@plain: bad escape")?;
                let peer = self.peer(1)?;
                self.world.send(peer, &text);
                self.world.settle();
                Ok(())
            }
            "crash" => {
                let how = if word(1) == "process" { Crash::Process } else { Crash::Power };
                self.world.crash(how);
                self.peers.clear();
                Ok(())
            }
            "now" => self.setup(&words[1..]),
            other => Err(format!("no such directive: @{other}")),
        }
    }

    fn account(&self) -> Result<AccountId, String> {
        let found = self.world.reader().account_by_login("alice@box.test");
        self.world.reader().end_turn();
        found.map_err(|e| e.to_string())?.map(|account| account.id).ok_or_else(|| "no alice".into())
    }

    fn mailbox(&self, name: &str) -> Result<MailboxRow, String> {
        let found = self.world.reader().mailbox_named(self.account()?, name);
        self.world.reader().end_turn();
        found.map_err(|e| e.to_string())?.ok_or_else(|| format!("no mailbox {name}"))
    }

    /// `have INBOX 3`: three plain messages; `have INBOX data/plain.eml`: that one.
    fn have(&mut self, mailbox: &str, what: &str) -> Result<(), String> {
        if self.mailbox(mailbox).is_err() {
            self.setup(&["mailbox".to_owned(), mailbox.to_owned()])?;
        }
        let bodies = match what.parse::<u32>() {
            Ok(count) => (1..=count).map(corpus::plain).collect(),
            Err(_) => vec![file(what)?],
        };
        for body in bodies {
            let append = Append {
                account: self.account()?,
                mailbox: self.mailbox(mailbox)?.id,
                body: store::body(&body),
                flags: FlagNames::default(),
                received: super::BEGIN,
                now: super::BEGIN,
            };
            self.world.admin(Write::Append(append));
        }
        Ok(())
    }

    /// `flags INBOX 1:3 \Seen keyword`.
    fn flags(&mut self, mailbox: &str, uids: &str, names: &[String]) -> Result<(), String> {
        let mut flags = FlagNames::default();
        for name in names {
            match ["\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"]
                .iter()
                .position(|known| name.eq_ignore_ascii_case(known))
            {
                Some(bit) => flags.system |= 1 << bit,
                None => flags.keywords.push(name.clone()),
            }
        }
        let mut set = pillarbox::base::UidSet::new();
        for range in uids.split(',') {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let number = |text: &str| text.parse::<u32>().map_err(|_| "flags MAILBOX UIDS FLAGS".to_owned());
            set.insert_range(number(first)?, number(last)?);
        }
        let (account, mailbox) = (self.account()?, self.mailbox(mailbox)?.id);
        let (op, unchanged_since) = (FlagOp::Add, None);
        self.world.admin(Write::Flags(ChangeFlags {
            account,
            mailbox,
            uids: set,
            op,
            flags,
            unchanged_since,
        }));
        Ok(())
    }

    /// Somebody else delivers; the message is durable and hinted when this returns.
    fn deliver(&mut self, mailbox: &str, name: &str) -> Result<(), String> {
        let body = if name.is_empty() { corpus::plain(99) } else { file(name)? };
        let place = if mailbox == "INBOX" { Place::Inbox } else { Place::Named(mailbox.to_owned()) };
        let target = Target { account: self.account()?, place, flags: FlagNames::default() };
        let received = self.world.wall;
        self.world.admin(Write::Deliver(Deliver { body: store::body(&body), to: vec![target], received }));
        Ok(())
    }
}

/// A file of `tests`, with CR LF line ends.
fn file(name: &str) -> Result<Vec<u8>, String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.windows(2).any(|two| two == b"\r\n") {
        return Ok(bytes);
    }
    Ok(bytes.split_inclusive(|&b| b == b'\n').flat_map(crlf).collect())
}

fn crlf(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\n").map_or_else(|| line.to_vec(), |line| [line, b"\r\n"].concat())
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(60 * count),
        "h" => Duration::from_secs(3600 * count),
        "d" => Duration::from_secs(86_400 * count),
        _ => return None,
    })
}
