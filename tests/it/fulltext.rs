//! The full-text index against a plain scan: whatever state the index is in, and whatever a program says, both find the
//! same. Random histories of mail that comes, goes and is copied, of uploads finished late, of an index that is half done,
//! switched off and on; random programs over what the mail says. A failing seed is printed.

use std::sync::Arc;

use pillarbox::base::{BodyId, MailboxId, Uid, UidSet};
use pillarbox::mime::{PartMap, Summarizer, text};
use pillarbox::store::search::{Key, Program};
use pillarbox::store::{
    Admin, Append, Deliver, Done, EnvelopeField, Expunge, FlagNames, FlagOp, Flags, IndexNext, NewBody,
    Place, Plan, Question, Reader, Refused, Reply, Slice, Target, Transfer, Write,
};

use crate::store::{Box_, NOW, body, faults};
use crate::world::chance::Chance;

/// A body with what is known of it.
fn message(bytes: &[u8]) -> NewBody {
    let mut made = body(bytes);
    let mut summarizer = Summarizer::new();
    summarizer.feed(bytes);
    if let NewBody::Inline { summary, .. } = &mut made {
        *summary = summarizer.finish();
    }
    made
}

/// All matches by reading every message.
fn scanned(reader: &Reader, it: &Box_, mailbox: MailboxId, keys: &[Key]) -> UidSet {
    judged(reader, it, mailbox, Program { keys: keys.to_vec() })
}

fn judged(reader: &Reader, it: &Box_, mailbox: MailboxId, program: Program) -> UidSet {
    let (program, account) = (Arc::new(program), it.account);
    let (mut found, mut from) = (UidSet::new(), Uid(1));
    loop {
        let question =
            Question::Search { mailbox, account, program: program.clone(), from, up_to: Uid(u32::MAX) };
        let Ok(Reply::Found { uids, next }) = reader.answer(&question) else { panic!("searched") };
        reader.end_turn();
        found = found.union(&uids);
        match next {
            Some(next) => from = next,
            None => return found,
        }
    }
}

/// What the index says may match.
fn candidates(reader: &Reader, mailbox: MailboxId, plan: &Plan) -> UidSet {
    let query: Arc<str> = plan.query().into();
    let (mut all, mut after) = (UidSet::new(), BodyId(0));
    loop {
        let question = Question::Candidates { mailbox, query: query.clone(), after };
        let answer = reader.answer(&question);
        let Ok(Reply::Candidates { uids, next }) = answer else { panic!("{answer:?}") };
        reader.end_turn();
        all = all.union(&uids);
        match next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

/// What is to be done for the index, done; `steps` at most.
fn tend(it: &mut Box_, steps: u64) -> u64 {
    for step in 0..steps {
        it.reader.end_turn();
        let next = it.reader.index_next().expect("read");
        it.reader.end_turn();
        match next {
            IndexNext::Nothing => return step,
            IndexNext::Again => {}
            IndexNext::Work(work) => {
                it.put(Write::Index(work)).expect("done");
            }
        }
    }
    steps
}

const WORDS: [&str; 14] = [
    "invoice",
    "Rechnung",
    "Müller",
    "meeting",
    "über",
    "naïve",
    "отпуск",
    "日本語の件名",
    "re:",
    "42",
    "a-b_c",
    "Straße",
    "ffi ﬁ",
    "x",
];
const NAMES: [&str; 4] = ["Ann Other", "\"Doe, John\"", "=?utf-8?q?J=C3=BCrgen?=", "list (daily)"];

fn words(chance: &mut Chance, most: u64) -> String {
    (0..=chance.below(most)).map(|_| *chance.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

fn letter(chance: &mut Chance) -> Vec<u8> {
    let (name, to) = (*chance.pick(&NAMES), *chance.pick(&["bob", "carol", "d.e+f"]));
    let mut out = format!(
        "From: {name} <{}@example.org>\r\nTo: {to}@box.test, other@example.org\r\nSubject: {}\r\n",
        chance.pick(&["ann", "john", "news"]),
        words(chance, 2)
    );
    if chance.one_in(3) {
        out.push_str(&format!("Cc: Team <team@example.org>\r\nX-Tag: {}\r\n", chance.pick(&WORDS)));
    }
    let (plain, html) = (words(chance, 12), words(chance, 6));
    match chance.below(4) {
        0 => out.push_str(&format!("\r\n{plain}\r\n{html}\r\n")),
        1 => out
            .push_str(&format!("Content-Type: text/html; charset=utf-8\r\n\r\n<p>{plain}</p><i>{html}</i>")),
        2 => {
            let coded = data_encoding::BASE64.encode(plain.as_bytes());
            out.push_str(&format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}\r\n"
            ));
        }
        _ => out.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{plain}\r\n--b\r\n\
            Content-Type: message/rfc822\r\n\r\nSubject: {html}\r\n\r\ninner\r\n--b\r\n\
            Content-Type: image/png; name=\"{}.png\"\r\n\r\nbinary words\r\n--b--\r\n",
            chance.pick(&WORDS)
        )),
    }
    out.into_bytes()
}

/// Some of what mail says, cut anywhere, in any case.
fn wanted(chance: &mut Chance) -> String {
    let text = match chance.below(8) {
        0 => (*chance.pick(&["nowhere to be found", "", "inner\r\n", "example.org>, ", "ORG", "y <"]))
            .to_owned(),
        _ => words(chance, 2),
    };
    let chars: Vec<char> = text.chars().collect();
    let from = chance.index(chars.len().max(1));
    let to = from + chance.index(chars.len() - from.min(chars.len()) + 1);
    let cut: String = chars[from.min(chars.len())..to.min(chars.len())].iter().collect();
    if chance.one_in(2) { cut.to_uppercase() } else { cut }
}

fn key(chance: &mut Chance, depth: u32) -> Key {
    use EnvelopeField::{Bcc, Cc, From, Subject, To};
    match chance.below(if depth == 0 { 8 } else { 11 }) {
        0 | 1 => Key::Body(wanted(chance)),
        2 | 3 => Key::Text(wanted(chance)),
        4 | 5 => Key::Envelope(*chance.pick(&[From, To, Cc, Bcc, Subject]), wanted(chance)),
        6 => {
            let name = *chance.pick(&["X-Tag", "from", "Subject", "Content-Type", "none"]);
            Key::Header(name.into(), wanted(chance))
        }
        7 => Key::Larger(300 + chance.below(400)),
        8 => Key::Not(Box::new(key(chance, depth - 1))),
        9 => Key::Or(Box::new(key(chance, depth - 1)), Box::new(key(chance, depth - 1))),
        _ => Key::And((0..=chance.below(2)).map(|_| key(chance, depth - 1)).collect()),
    }
}

/// Index and scan agree on some programs. Says how many candidates the index saved from being read.
fn agree(it: &Box_, mailboxes: &[MailboxId], chance: &mut Chance, said: &str) -> u64 {
    let mut saved = 0;
    for _ in 0..6 {
        let keys: Vec<Key> = (0..=chance.below(1)).map(|_| key(chance, 2)).collect();
        let Some(plan) = Plan::of(&Program { keys: keys.clone() }) else { continue };
        for &mailbox in mailboxes {
            let plain = scanned(&it.reader, it, mailbox, &keys);
            let all = judged(&it.reader, it, mailbox, Program { keys: vec![Key::All] });
            let candidates = candidates(&it.reader, mailbox, &plan).intersection(&all);
            let missed = plain.without(&candidates);
            assert!(missed.is_empty(), "{said}: {keys:?} as {} misses {missed} of {plain}", plan.query());
            saved += all.count() - candidates.count();
            let mut narrowed = keys.clone();
            narrowed.insert(0, Key::Uids(candidates.clone()));
            if !candidates.is_empty() {
                let found = judged(&it.reader, it, mailbox, Program { keys: narrowed });
                assert_eq!(found, plain, "{said}: {keys:?}");
            }
        }
    }
    saved
}

struct History {
    it: Box_,
    other: MailboxId,
    uploads: Vec<(BodyId, Vec<u8>)>,
    parked: Vec<(BodyId, u64)>,
}

impl History {
    fn step(&mut self, chance: &mut Chance) {
        let (account, inbox, other) = (self.it.account, self.it.inbox, self.other);
        let uids = {
            let all = judged(&self.it.reader, &self.it, inbox, Program { keys: vec![Key::All] });
            all.iter().filter(|_| chance.one_in(5)).collect::<UidSet>()
        };
        let done = match chance.below(18) {
            0..6 => {
                let to = vec![Target { account, place: Place::Inbox, flags: FlagNames::default() }];
                self.it.put(Write::Deliver(Deliver { body: message(&letter(chance)), to, received: NOW }))
            }
            6 => self.it.put(Write::Copy(Transfer { account, from: inbox, uids, to: other, now: NOW })),
            7 => self.it.put(Write::Move(Transfer { account, from: inbox, uids, to: other, now: NOW })),
            8 => {
                self.it.flag(uids, FlagOp::Add, Flags::DELETED, &[]).expect("flagged");
                self.it.put(Write::Expunge(Expunge { mailbox: inbox, uids: None, now: NOW }))
            }
            9 => self.begin_upload(chance),
            10 => self.finish_upload(chance),
            16 => self.park(chance),
            17 => self.show_parked(),
            11 => self.it.put(Write::Admin(Admin::Sweep { now: crate::store::LATER, clock_trusted: true })),
            12 if chance.one_in(4) => {
                let value = Some((*chance.pick(&["on", "off"])).to_owned());
                self.it.put(Write::Admin(Admin::SetSetting { name: "search-index".into(), value }))
            }
            _ => {
                tend(&mut self.it, 1 + chance.below(4));
                Ok(Done::Nothing)
            }
        };
        done.expect("done");
    }

    fn begin_upload(&mut self, chance: &mut Chance) -> Result<Done, Refused> {
        let bytes = letter(chance);
        let slice = Slice { stored: bytes.clone(), compressed: false, length: bytes.len() as u32 };
        let done = self.it.put(Write::Stage { body: None, seq: 0, slice, now: NOW });
        if let Ok(Done::Staged(id)) = done {
            self.uploads.push((id, bytes));
        }
        done
    }

    fn finish_upload(&mut self, chance: &mut Chance) -> Result<Done, Refused> {
        if self.uploads.is_empty() {
            return Ok(Done::Nothing);
        }
        let (body, bytes) = self.uploads.swap_remove(chance.index(self.uploads.len()));
        let NewBody::Inline { sha256, summary, .. } = message(&bytes) else { panic!("is whole") };
        let body = NewBody::Staged { body, size: bytes.len() as u64, sha256, summary };
        let (account, mailbox, flags) = (self.it.account, self.it.inbox, FlagNames::default());
        let append = Append { account, mailbox, body, flags, received: NOW, now: NOW };
        match self.it.put(Write::Append(append)) {
            // Swept meanwhile.
            Err(Refused::NoBody) => Ok(Done::Nothing),
            done => done,
        }
    }
}

impl History {
    /// A message of a long APPEND, whole and not shown yet; some came in slices.
    fn park(&mut self, chance: &mut Chance) -> Result<Done, Refused> {
        let bytes = letter(chance);
        let mut body = message(&bytes);
        if chance.one_in(2)
            && let Done::Staged(id) = self.begin_upload(chance)?
        {
            let (_, bytes) = self.uploads.pop().expect("just begun");
            let NewBody::Inline { sha256, summary, .. } = message(&bytes) else { panic!("is whole") };
            body = NewBody::Staged { body: id, size: bytes.len() as u64, sha256, summary };
        }
        let size = if let NewBody::Staged { size, .. } = body { size } else { bytes.len() as u64 };
        let done = self.it.put(Write::Park { body, now: NOW });
        if let Ok(Done::Staged(id)) = done {
            self.parked.push((id, size));
        }
        done
    }

    fn show_parked(&mut self) -> Result<Done, Refused> {
        let (account, mailbox) = (self.it.account, self.it.inbox);
        let append = |(body, size)| {
            let (body, flags) = (NewBody::Parked { body, size }, FlagNames::default());
            Append { account, mailbox, body, flags, received: NOW, now: NOW }
        };
        let appends: Vec<Append> = self.parked.drain(..).map(append).collect();
        match self.it.put(Write::AppendAll(appends)) {
            // Swept meanwhile.
            Err(Refused::NoBody) => Ok(Done::Nothing),
            done => done,
        }
    }
}

#[test]
fn the_index_never_misses_what_a_scan_finds() {
    let mut saved = 0;
    for seed in 0..24 {
        let chance = &mut Chance::new(seed);
        let it = Box_::new();
        let other = it.reader.mailbox_named(it.account, "Archive").expect("read").expect("Archive").id;
        it.reader.end_turn();
        let mut history = History { it, other, uploads: Vec::new(), parked: Vec::new() };
        for step in 0..60 {
            history.step(chance);
            if step % 6 == 5 {
                let boxes = [history.it.inbox, other];
                saved += agree(&history.it, &boxes, chance, &format!("seed {seed}, step {step}"));
            }
        }
        assert!(tend(&mut history.it, 500) < 500, "seed {seed}: it comes to an end");
        saved += agree(&history.it, &[history.it.inbox, other], chance, &format!("seed {seed}, at the end"));
        // SQLite's check believes what its connection remembers of an index: it gets one of its own.
        history.it.reader = Reader::open(history.it.dir.path().join("box.db")).expect("a reader");
        assert_eq!(faults(&history.it), Vec::<String>::new(), "seed {seed}");
        let progress = history.it.reader.index_progress().expect("read");
        history.it.reader.end_turn();
        assert_eq!(progress.waiting, 0, "seed {seed}: {progress:?}");
    }
    assert!(saved > 2_000, "{saved} messages need not have been read");
}

/// Over real mail, if there is some: `MAIL=folder cargo test --test it fulltext`, with a message in each file.
#[test]
fn the_index_never_misses_what_a_scan_finds_in_real_mail() {
    let Some(folder) = std::env::var_os("MAIL") else { return };
    let mut it = Box_::new();
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").take(500) {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        if bytes.len() > 200_000 {
            continue;
        }
        let body = message(&bytes);
        if let NewBody::Inline { summary, .. } = &body {
            let map = PartMap::decode(&summary.parts);
            texts.push(text::of_message(&bytes, &map, text::Scope::Message));
        }
        let to = vec![Target { account: it.account, place: Place::Inbox, flags: FlagNames::default() }];
        it.put(Write::Deliver(Deliver { body, to, received: NOW })).expect("delivered");
    }
    tend(&mut it, u64::MAX);
    let chance = &mut Chance::new(1);
    for _ in 0..60 {
        let chars: Vec<char> = chance.pick(&texts).chars().collect();
        let from = chance.index(chars.len());
        let cut: String = chars[from..].iter().take(3 + chance.index(12)).collect();
        for key in [Key::Text(cut.clone()), Key::Body(cut.clone()), Key::Envelope(EnvelopeField::From, cut)] {
            let Some(plan) = Plan::of(&Program { keys: vec![key.clone()] }) else { continue };
            let plain = scanned(&it.reader, &it, it.inbox, std::slice::from_ref(&key));
            let missed = plain.without(&candidates(&it.reader, it.inbox, &plan));
            assert!(missed.is_empty(), "{key:?} misses {missed}");
        }
    }
}

#[path = "../bench/corpus.rs"]
#[allow(dead_code)]
mod realistic;

/// Figures by hand: `MESSAGES=10000 cargo test --test it what_the_index_costs -- --ignored --nocapture`, optimized.
#[test]
#[ignore = "a measurement, not a check"]
fn what_the_index_costs() {
    use std::time::{Duration, Instant};
    let count: u64 = std::env::var("MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let mut it = Box_::new();
    let mut raw = 0;
    for number in 0..count {
        let bytes = realistic::message(number);
        raw += bytes.len() as u64;
        let to = vec![Target { account: it.account, place: Place::Inbox, flags: FlagNames::default() }];
        let mut body = message(&bytes);
        if let NewBody::Inline { slice, .. } = &mut body {
            slice.stored = zstd::bulk::compress(&bytes, 1).expect("compressed");
            slice.compressed = true;
        }
        it.put(Write::Deliver(Deliver { body, to, received: NOW })).expect("delivered");
    }
    it.writer.checkpoint(true).expect("home");
    let file = |it: &Box_| std::fs::metadata(it.dir.path().join("box.db")).expect("a file").len();
    let before = file(&it);
    let (mut reading, mut writing, mut slowest) = (Duration::ZERO, Duration::ZERO, [Duration::ZERO; 2]);
    let mut writes = 0;
    loop {
        it.reader.end_turn();
        let begun = Instant::now();
        let next = it.reader.index_next().expect("read");
        it.reader.end_turn();
        let took = begun.elapsed();
        reading += took;
        slowest[0] = slowest[0].max(took);
        let IndexNext::Work(work) = next else { break };
        let begun = Instant::now();
        it.put(Write::Index(work)).expect("done");
        let took = begun.elapsed();
        it.writer.checkpoint(false).expect("home");
        writing += took;
        slowest[1] = slowest[1].max(took);
        writes += 1;
    }
    it.writer.checkpoint(true).expect("home");
    println!(
        "{count} messages, {raw} bytes: file {before} without index, {} with ({:.2} of raw, index {:.2} of raw)",
        file(&it),
        file(&it) as f64 / raw as f64,
        (file(&it) - before) as f64 / raw as f64
    );
    println!(
        "indexing: reader {reading:?} (slowest {:?}), writer {writing:?} in {writes} (slowest {:?})",
        slowest[0], slowest[1]
    );
    ask_for_figures(&it);
}

fn ask_for_figures(it: &Box_) {
    use std::time::{Duration, Instant};
    for (what, key) in [
        ("absent", Key::Text("xyzzyplugh".into())),
        ("rare", Key::Text("<1234.".into())),
        ("common", Key::Body("the".into())),
        ("a word", Key::Body("meeting".into())),
        ("from", Key::Envelope(EnvelopeField::From, "anna".into())),
        ("subject", Key::Envelope(EnvelopeField::Subject, "report".into())),
    ] {
        let plan = Plan::of(&Program { keys: vec![key.clone()] }).expect("a plan");
        let mut looked = Duration::MAX;
        let mut found = UidSet::new();
        for _ in 0..5 {
            let begun = Instant::now();
            found = candidates(&it.reader, it.inbox, &plan);
            looked = looked.min(begun.elapsed());
        }
        let begun = Instant::now();
        let mut program = Program { keys: vec![key] };
        program.keys.insert(0, Key::Uids(found.clone()));
        let hits = if found.is_empty() { UidSet::new() } else { judged(&it.reader, it, it.inbox, program) };
        println!(
            "{what}: {} candidates in {looked:?}, {} hits judged in {:?}",
            found.count(),
            hits.count(),
            begun.elapsed()
        );
    }
}
