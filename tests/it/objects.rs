//! Object identifiers and threads (RFC 8474): what a message is called stays, whatever becomes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pillarbox::base::{AccountId, BodyId, MailboxId, ThreadId, Ticket, Uid, UidSet, Wall};
use pillarbox::mime::Summarizer;
use pillarbox::store::backup;
use pillarbox::store::{
    Admin, Append, ChangeFlags, Columns, Deliver, Delivered, Done, Expunge, FlagNames, FlagOp, Flags,
    NewBody, OpenOptions, Place, Question, Reader, Reply, Row, SpecialUse, Target, Transfer, Write, Writer,
};

use crate::store::{Box_, LATER, NOW, body, folder, one};
use crate::world::chance::Chance;

fn message(own: &str, references: &[String], text: &str) -> Vec<u8> {
    let mut message = String::new();
    if !own.is_empty() {
        message.push_str(&format!("Message-ID: <{own}>\r\n"));
    }
    if !references.is_empty() {
        message.push_str(&format!("References: <{}>\r\n", references.join("> <")));
    }
    message.push_str(&format!("Subject: s\r\n\r\n{text}\r\n"));
    message.into_bytes()
}

fn with_summary(bytes: &[u8]) -> NewBody {
    let NewBody::Inline { slice, sha256, .. } = body(bytes) else { panic!("inline") };
    let mut summarizer = Summarizer::new();
    summarizer.feed(bytes);
    NewBody::Inline { slice, sha256, summary: summarizer.finish() }
}

fn rows(reader: &Reader, account: AccountId, mailbox: MailboxId) -> Vec<Row> {
    reader.end_turn();
    let uids = Arc::new(UidSet::range(1..=u32::MAX));
    let question = Question::Rows { mailbox, account, uids, from: Uid(1), columns: Columns::default() };
    match reader.answer(&question).expect("read") {
        Reply::Rows(rows) => rows.rows,
        other => panic!("{other:?}"),
    }
}

fn in_inbox(account: AccountId) -> Target {
    Target { account, place: Place::Inbox, flags: FlagNames::default() }
}

impl Box_ {
    /// Delivers a message to INBOX; its body and thread.
    fn place(&mut self, own: &str, references: &[&str]) -> (BodyId, ThreadId) {
        let references: Vec<String> = references.iter().map(|id| id.to_string()).collect();
        let body = with_summary(&message(own, &references, "text"));
        let write = Write::Deliver(Deliver { body, to: vec![in_inbox(self.account)], received: NOW });
        let Ok(Done::Delivered(delivered)) = self.put(write) else { panic!("delivered") };
        let rows = rows(&self.reader, self.account, self.inbox);
        let row = rows.iter().find(|row| row.uid == delivered[0].uid).expect("there");
        (row.body, row.thread)
    }
}

#[test]
fn a_message_joins_the_thread_of_what_it_answers_in_whatever_order_they_come() {
    let mut it = Box_::new();
    let (root, thread) = it.place("root", &[]);
    assert_eq!(thread.0, root.0, "a thread has the name of what began it");
    assert_eq!(it.place("reply", &["root"]).1, thread);
    assert_eq!(it.place("deep", &["root", "unknown", "lost"]).1, thread, "by the first");
    assert_eq!(it.place("deeper", &["elsewhere", "deep"]).1, thread, "by the parent");
    assert_eq!(it.place("late", &["lost"]).1, thread, "by one that was only referred to");
    assert_eq!(it.place("lost", &[]).1, thread, "the parent comes after its child");
    assert_eq!(it.place("root", &[]).1, thread, "another copy of it");
    assert_eq!(it.place("", &["deep"]).1, thread, "without an id of its own");

    // Two threads that join keep their names; who joins them is in the nearer one.
    let (_, other) = it.place("other", &[]);
    assert_ne!(other, thread);
    assert_eq!(it.place("joins", &["root", "other"]).1, other);
    assert_eq!(it.place("after", &["root"]).1, thread);
    assert_eq!(it.place("behind", &["joins"]).1, other);

    // Nothing in common, and ids that only look the same.
    let (alone, thread) = it.place("", &[]);
    assert_eq!(thread.0, alone.0);
    assert_ne!(it.place("ROOT", &[]).1, it.place("root", &[]).1);
}

#[test]
fn an_account_knows_nothing_of_the_threads_of_another() {
    let mut it = Box_::new();
    let added = Admin::AddAccount { name: "you@box.test".into(), hash: "$hash".into(), now: NOW };
    let Ok(Done::Account(you)) = it.put(Write::Admin(added)) else { panic!("no account") };
    let (first, _) = it.place("root", &[]);
    let both = vec![in_inbox(it.account), in_inbox(you)];
    let body = with_summary(&message("reply", &["root".to_string()], "x"));
    let Ok(Done::Delivered(delivered)) = it.put(Write::Deliver(Deliver { body, to: both, received: NOW }))
    else {
        panic!("delivered")
    };
    let yours = rows(&it.reader, you, delivered[1].mailbox);
    assert_eq!(yours[0].thread.0, yours[0].body.0);
    assert_eq!(rows(&it.reader, it.account, it.inbox)[1].thread.0, first.0);

    let known = |it: &Box_| {
        let db = rusqlite::Connection::open(it.dir.path().join("box.db")).expect("opened");
        db.query_row("SELECT count(*) FROM thread_of", [], |row| row.get::<_, i64>(0)).expect("counted")
    };
    assert_eq!(known(&it), 4);
    it.put(Write::Admin(Admin::RemoveAccount { name: "you@box.test".into(), now: NOW })).expect("removed");
    it.put(Write::Admin(Admin::Sweep { now: LATER, clock_trusted: true })).expect("swept");
    assert_eq!(known(&it), 2, "a removed account's ids go");
}

/// Random mail in two accounts, moved about, against a plain model.
struct History {
    chance: Chance,
    dir: tempfile::TempDir,
    writer: Writer,
    reader: Reader,
    accounts: Vec<AccountId>,
    /// Own id and references of every message, in the order in which they came, and the accounts that got it.
    sent: Vec<(String, Vec<String>, Vec<AccountId>)>,
    /// Which message each row is, by account, mailbox and uid.
    shown: BTreeMap<(AccountId, MailboxId, Uid), usize>,
    /// What was told of each: never another thing.
    told: BTreeMap<(AccountId, MailboxId, Uid), (BodyId, ThreadId)>,
}

impl History {
    fn new(seed: u64) -> History {
        let Box_ { dir, mut writer, reader, account, .. } = Box_::new();
        let added = Admin::AddAccount { name: "you@box.test".into(), hash: "$hash".into(), now: NOW };
        let Ok(Done::Account(you)) = one(&mut writer, Write::Admin(added)) else { panic!("no account") };
        History {
            chance: Chance::new(seed),
            dir,
            writer,
            reader,
            accounts: vec![account, you],
            sent: Vec::new(),
            shown: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn mailbox(&mut self, account: AccountId) -> MailboxId {
        self.reader.end_turn();
        let rows = self.reader.mailboxes(account).expect("read");
        rows[self.chance.index(rows.len())].id
    }

    fn id(&mut self) -> String {
        format!("id{}", self.chance.below(24))
    }

    fn new_message(&mut self, accounts: Vec<AccountId>) -> NewBody {
        let own = if self.chance.one_in(6) { String::new() } else { self.id() };
        let references: Vec<String> = (0..self.chance.below(4)).map(|_| self.id()).collect();
        let bytes = message(&own, &references, &format!("message {}", self.sent.len()));
        self.sent.push((own, references, accounts));
        with_summary(&bytes)
    }

    fn arrived(&mut self, delivered: &[Delivered]) {
        for one in delivered {
            self.shown.insert((one.account, one.mailbox, one.uid), self.sent.len() - 1);
        }
    }

    fn put(&mut self, write: Write) -> Done {
        one(&mut self.writer, write).expect("done")
    }

    fn some_uids(&mut self, account: AccountId, mailbox: MailboxId) -> UidSet {
        let rows = rows(&self.reader, account, mailbox);
        let there = rows.iter().filter(|row| self.shown.contains_key(&(account, mailbox, row.uid)));
        let uids: Vec<u32> = there.map(|row| row.uid.0).collect();
        uids.into_iter().filter(|_| self.chance.one_in(3)).collect()
    }

    fn step(&mut self) {
        let account = self.accounts[self.chance.index(2)];
        match self.chance.below(10) {
            0..3 => {
                let both = self.chance.one_in(3);
                let mut accounts = if both { self.accounts.clone() } else { vec![account] };
                // The same body twice in one account, too.
                let mut to: Vec<Target> = accounts.iter().map(|account| in_inbox(*account)).collect();
                if self.chance.one_in(3) {
                    to.push(Target { place: Place::Special(SpecialUse::Junk), ..in_inbox(account) });
                }
                accounts.dedup();
                let body = self.new_message(accounts);
                let Done::Delivered(done) = self.put(Write::Deliver(Deliver { body, to, received: NOW }))
                else {
                    panic!("delivered")
                };
                self.arrived(&done);
            }
            3..5 => {
                let mailbox = self.mailbox(account);
                let body = self.new_message(vec![account]);
                let flags = FlagNames::default();
                let append = Append { account, mailbox, body, flags, received: NOW, now: NOW };
                let Done::Appended(done) = self.put(Write::Append(append)) else { panic!("appended") };
                self.arrived(&[done]);
            }
            5..8 => {
                let (from, to) = (self.mailbox(account), self.mailbox(account));
                let uids = self.some_uids(account, from);
                let transfer = Transfer { account, from, uids, to, now: NOW };
                let moves = self.chance.one_in(2);
                let write = if moves { Write::Move(transfer) } else { Write::Copy(transfer) };
                let Done::Copied { pairs, .. } = self.put(write) else { panic!("copied") };
                for (old, new) in pairs {
                    let which = self.shown[&(account, from, old)];
                    if moves {
                        self.shown.remove(&(account, from, old));
                    }
                    self.shown.insert((account, to, new), which);
                }
            }
            8 => {
                let mailbox = self.mailbox(account);
                let uids = self.some_uids(account, mailbox);
                let flags = FlagNames { system: Flags::DELETED, keywords: Vec::new() };
                let (op, unchanged_since) = (FlagOp::Add, None);
                let change = ChangeFlags { account, mailbox, uids: uids.clone(), op, flags, unchanged_since };
                self.put(Write::Flags(change));
                let Done::Expunged { uids, .. } =
                    self.put(Write::Expunge(Expunge { mailbox, uids: Some(uids), now: NOW }))
                else {
                    panic!("expunged")
                };
                self.shown.retain(|key, _| (key.0, key.1) != (account, mailbox) || !uids.contains(key.2.0));
            }
            _ if self.chance.one_in(3) => self.writer.rebuild(&mut |_| ()).expect("rebuilt"),
            _ if self.chance.one_in(4) => self.restore(),
            _ => {}
        }
        self.compare();
    }

    /// Ids given out after the backup was made are lost with it, and are never given again.
    fn restore(&mut self) {
        let (path, copy) = (self.dir.path().join("box.db"), self.dir.path().join("copy.db"));
        let _ = std::fs::remove_file(&copy);
        backup::backup(&OpenOptions::new(&path), &copy).expect("a backup");
        let lost = self.lost();
        let other = Reader::open(&copy).expect("a copy");
        self.reader = other;
        self.writer = Writer::open(&copy).expect("a copy");
        backup::restore(&copy, &OpenOptions::new(&path)).expect("restored");
        self.writer = Writer::open(&path).expect("opened");
        self.reader = Reader::open(&path).expect("opened");
        let new = self.lost();
        assert!(new.0 > lost.0, "{new:?} after {lost:?}");
        assert!(new.1 > lost.1, "{new:?} after {lost:?}");
    }

    /// Delivers a message that is no part of the history and makes a mailbox; their ids.
    fn lost(&mut self) -> (BodyId, MailboxId) {
        let account = self.accounts[0];
        let body = with_summary(b"Subject: lost\r\n\r\nlost\r\n");
        let to = vec![Target { place: Place::Named("Lost".into()), ..in_inbox(account) }];
        self.put(Write::Deliver(Deliver { body, to, received: NOW }));
        self.reader.end_turn();
        let lost = self.reader.mailbox_named(account, "Lost").expect("read").expect("made").id;
        let body = rows(&self.reader, account, lost).last().expect("a row").body;
        self.put(Write::DeleteMailbox { account, name: "Lost".into(), now: NOW });
        (body, lost)
    }

    fn compare(&mut self) {
        let threads: Vec<BTreeMap<usize, usize>> =
            self.accounts.iter().map(|account| self.threads_of(*account)).collect();
        let (mut bodies, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (at, account) in self.accounts.clone().into_iter().enumerate() {
            self.reader.end_turn();
            for mailbox in self.reader.mailboxes(account).expect("read") {
                let mut count = 0;
                for row in rows(&self.reader, account, mailbox.id) {
                    let key = (account, mailbox.id, row.uid);
                    let said = (row.body, row.thread);
                    assert_eq!(*self.told.entry(key).or_insert(said), said, "{key:?} has changed");
                    let Some(which) = self.shown.get(&key) else { continue };
                    count += 1;
                    assert_eq!(*bodies.entry(*which).or_insert(row.body), row.body, "copies of {which}");
                    let name = (at, threads[at][which]);
                    assert_eq!(*names.entry(name).or_insert(row.thread), row.thread, "thread {name:?}");
                }
                let expected =
                    self.shown.keys().filter(|key| (key.0, key.1) == (account, mailbox.id)).count();
                assert_eq!(count, expected);
            }
        }
        let distinct = |count: usize, all: usize| assert_eq!(count, all, "two things with one name");
        distinct(bodies.values().collect::<std::collections::BTreeSet<_>>().len(), bodies.len());
        for at in 0..2 {
            let of = names.iter().filter(|(name, _)| name.0 == at).map(|(_, thread)| thread);
            distinct(of.clone().collect::<std::collections::BTreeSet<_>>().len(), of.count());
        }
    }

    /// Each message's thread, named after the message that began it, by plain rules.
    fn threads_of(&self, account: AccountId) -> BTreeMap<usize, usize> {
        let (mut known, mut threads) = (BTreeMap::new(), BTreeMap::new());
        for (at, (own, references, accounts)) in self.sent.iter().enumerate() {
            if !accounts.contains(&account) {
                continue;
            }
            let ids: Vec<&String> = [Some(own), references.last(), references.first()]
                .into_iter()
                .flatten()
                .filter(|id| !id.is_empty())
                .collect();
            let thread = ids.iter().find_map(|id| known.get(*id).copied()).unwrap_or(at);
            for id in ids {
                known.entry(id.clone()).or_insert(thread);
            }
            threads.insert(at, thread);
        }
        threads
    }

    fn finish(mut self) {
        self.put(Write::Admin(Admin::Sweep { now: LATER, clock_trusted: true }));
        self.compare();
        self.writer.rebuild(&mut |_| ()).expect("rebuilt");
        self.compare();
        self.reader.end_turn();
        let faults = pillarbox::store::verify::verify(&self.reader, &mut |_| ()).expect("verified");
        assert_eq!(faults, Vec::<String>::new());
    }
}

#[test]
fn ids_stay_through_any_history_and_threads_are_those_of_the_model() {
    for seed in 0..8 {
        let mut history = History::new(seed);
        for _ in 0..120 {
            history.step();
        }
        history.finish();
    }
}

/// A box as the first version left it: a welcome and its copy, two mails of one conversation (the answer expunged), one
/// alone, a sent answer and a draft without an id.
fn old_box(dir: &Path) -> OpenOptions {
    let packed =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/schema-1.db.zst")).expect("kept");
    let path = dir.join("box.db");
    std::fs::write(&path, zstd::bulk::decompress(&packed, 1 << 20).expect("whole")).expect("written");
    OpenOptions::new(path)
}

#[test]
fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let dir = folder();
    let options = old_box(dir.path());
    assert!(Reader::open(options.clone()).is_err(), "it is migrated by who may write");
    let mut writer = Writer::open(options.clone()).expect("migrated");
    assert!(dir.path().join("box.db.schema-1").exists(), "a copy is kept");
    let reader = Reader::open(options).expect("opened");
    let me = reader.account_by_login("me@box.test").expect("read").expect("me").id;
    let named = |name: &str| reader.mailbox_named(me, name).expect("read").expect("there").id;
    let of = |name: &str| -> Vec<(u32, i64, i64)> {
        let rows = rows(&reader, me, named(name));
        rows.iter().map(|row| (row.uid.0, row.body.0, row.thread.0)).collect()
    };
    assert_eq!(of("INBOX"), [(1, 1, 1), (2, 1025, 1025), (3, 1026, 1025), (4, 1027, 1027)]);
    assert_eq!((of("Archive"), of("Drafts")), (vec![(1, 1, 1)], vec![(1, 1029, 1029)]));
    assert_eq!(of("Sent"), [(1, 1028, 1025)]);

    let body = with_summary(&message("new@example.org", &["four@box.test".to_string()], "new"));
    one(&mut writer, Write::Deliver(Deliver { body, to: vec![in_inbox(me)], received: Wall(LATER.0) }))
        .expect("delivered");
    assert_eq!(of("INBOX").last().map(|row| row.2), Some(1025), "an answer to old mail");
    reader.end_turn();
    let faults = pillarbox::store::verify::verify(&reader, &mut |_| ()).expect("verified");
    assert_eq!(faults, Vec::<String>::new());
    let sweep = Write::Admin(Admin::Sweep { now: LATER, clock_trusted: true });
    writer.commit(vec![(Ticket(1), sweep)]).expect("swept");
}
