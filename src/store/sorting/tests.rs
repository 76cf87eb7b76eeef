//! SORT and THREAD through the file, while mail arrives and is expunged, against plain sorting of what was put in.

use super::super::threader::tests::{Mail, model};
use super::super::threading::{Thread, ThreadBy, Threading, Threads};
use super::super::{
    Admin, Append, ChangeFlags, Done, Expunge, FlagNames, FlagOp, Flags, NewBody, Question, Reply, Slice,
    Write, Writer,
};
use super::*;
use crate::base::{AccountId, Rng, Ticket, Uid, Wall};
use crate::mime::Summarizer;

/// A message as it was made up.
#[derive(Clone, Debug, Default)]
struct Known {
    uid: u32,
    text: String,
    /// As each criterion sees it; dates in seconds.
    received: i64,
    sent: Option<i64>,
    strings: Vec<(SortBy, String)>,
    mail: Mail,
    gone: bool,
}

struct Box_ {
    _folder: tempfile::TempDir,
    writer: Writer,
    reader: Reader,
    account: AccountId,
    inbox: MailboxId,
    known: Vec<Known>,
    salt: u64,
}

/// 1 Nov 2026, 00:00 UTC.
const BEGIN: i64 = 1_793_491_200;

impl Box_ {
    fn new() -> Box_ {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let path = folder.path().join("box.db");
        let mut writer = Writer::create(&path).expect("a new file");
        put(&mut writer, Write::Admin(Admin::AddDomain { name: "box.test".into() }));
        let (name, hash) = ("me@box.test".into(), "$hash".into());
        let added = put(&mut writer, Write::Admin(Admin::AddAccount { name, hash, now: Wall(0) }));
        let Done::Account(account) = added else { panic!("{added:?}") };
        let reader = Reader::open(&path).expect("a reader");
        let inbox = reader.mailbox_named(account, "INBOX").expect("read").expect("INBOX").id;
        reader.end_turn();
        Box_ { _folder: folder, writer, reader, account, inbox, known: Vec::new(), salt: 0 }
    }

    fn append(&mut self, mut known: Known) {
        let bytes = known.text.as_bytes();
        let mut summarizer = Summarizer::new();
        summarizer.feed(bytes);
        let slice = Slice { stored: bytes.to_vec(), compressed: false, length: bytes.len() as u32 };
        let body = NewBody::Inline { slice, sha256: [0; 32], summary: summarizer.finish() };
        let done = put(
            &mut self.writer,
            Write::Append(Append {
                account: self.account,
                mailbox: self.inbox,
                body,
                flags: FlagNames::default(),
                received: Wall(known.received * 1_000_000 + 999_999 - self.known.len() as i64),
                now: Wall(0),
            }),
        );
        assert!(matches!(done, Done::Appended(_)), "{done:?}");
        known.uid = self.known.len() as u32 + 1;
        self.known.push(known);
    }

    fn expunge(&mut self, uid: u32) {
        let flags = FlagNames { system: Flags::DELETED, keywords: Vec::new() };
        let uids = UidSet::range(uid..=uid);
        let (account, mailbox, op) = (self.account, self.inbox, FlagOp::Add);
        let flag = ChangeFlags { account, mailbox, uids: uids.clone(), op, flags, unchanged_since: None };
        put(&mut self.writer, Write::Flags(flag));
        put(&mut self.writer, Write::Expunge(Expunge { mailbox, uids: Some(uids), now: Wall(0) }));
        self.known[uid as usize - 1].gone = true;
    }

    fn answer(&self, question: &Question) -> Reply {
        let answer = self.reader.answer(question).expect("an answer");
        self.reader.end_turn();
        answer
    }

    fn sorted(&mut self, uids: UidSet, keys: Vec<SortKey>) -> (Vec<u32>, usize) {
        self.salt += 1;
        let sort = Arc::new(Sort { uids, keys, salt: self.salt });
        let question = Question::Sort { mailbox: self.inbox, sort };
        for slices in 1..10_000 {
            match self.answer(&question) {
                Reply::Sorted(Some(order)) => return (order, slices),
                Reply::Sorted(None) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("no end")
    }

    fn threads(&mut self, uids: UidSet, by: ThreadBy) -> Vec<Thread> {
        self.salt += 1;
        let threading = Arc::new(Threading { uids, by, salt: self.salt });
        let question = Question::Thread { mailbox: self.inbox, threading };
        for _ in 0..10_000 {
            match self.answer(&question) {
                Reply::Threads(Threads::All(threads)) => return threads,
                Reply::Threads(Threads::Later) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("no end")
    }
}

fn put(writer: &mut Writer, write: Write) -> Done {
    let mut outcomes = writer.commit(vec![(Ticket(1), write)]).expect("a commit");
    outcomes.pop().expect("one outcome").1.result.expect("is done")
}

/// Missing, equal and broken things, and what the criteria make of them.
fn made_up(rng: &mut Rng) -> Known {
    let mut known = Known { received: BEGIN + rng.below(5) as i64, ..Known::default() };
    let mut head = String::new();
    let date = |n: u64| format!("{} Nov 2026 10:00:00 +0000", n + 1);
    let n = rng.below(8);
    match n {
        0 => {}
        1 => head += "Date: soon\r\n",
        _ => {
            head += &format!("Date: {}\r\n", date(n));
            known.sent = Some(BEGIN + n as i64 * 86_400 + 36_000);
        }
    }
    let subjects = ["", "apple", "Apple", "=?utf-8?q?=C3=84pfel?=", "[x] ", "zoo"];
    let bases = ["", "APPLE", "APPLE", "A\u{308}PFEL", "[X]", "ZOO"];
    let n = rng.below(6) as usize;
    let (before, behind, reply) = [
        ("", "", false),
        ("Re: ", "", true),
        ("[l] Fwd: ", "", true),
        ("", " (fwd)", true),
        ("[fwd: ", "]", true),
    ][rng.below(5) as usize];
    if rng.below(6) > 0 {
        head += &format!("Subject: {before}{}{behind}\r\n", subjects[n]);
        known.strings.push((SortBy::Subject, bases[n].into()));
        known.mail.reply = reply;
        known.mail.subject = bases.iter().position(|base| *base == bases[n]).expect("is one") as u32;
    }
    let people = [
        ("ann@example.org", "ANN", "ANN@EXAMPLE.ORG"),
        ("Zoe <Bob@example.org>", "BOB", "ZOE"),
        ("=?utf-8?b?w4RubmU=?= <ann@x.test>, b@x.test", "ANN", "A\u{308}NNE"),
        ("friends: a@b.test;", "FRIENDS", "FRIENDS"),
    ];
    for (field, by, display) in [
        ("From", SortBy::From, Some(SortBy::DisplayFrom)),
        ("To", SortBy::To, Some(SortBy::DisplayTo)),
        ("Cc", SortBy::Cc, None),
    ] {
        if let Some((said, local, shown)) = people.get(rng.below(5) as usize) {
            head += &format!("{field}: {said}\r\n");
            known.strings.push((by, local.to_string()));
            known.strings.extend(display.map(|by| (by, shown.to_string())));
        }
    }
    let id = |n: u64| format!("<{n}@example.org>");
    known.mail.id = rng.below(20) as u32;
    if known.mail.id > 0 {
        head += &format!("Message-ID: {}\r\n", id(known.mail.id.into()));
    }
    let references: Vec<u64> = (0..rng.below(4)).map(|_| 1 + rng.below(20)).collect();
    known.mail.references = references.iter().map(|n| *n as u32).collect();
    match (references.as_slice(), rng.below(2)) {
        ([], _) => {}
        ([one, ..], 0) => {
            // Of In-Reply-To only the first counts.
            known.mail.references.truncate(1);
            head += &format!("In-Reply-To: {} x <9@elsewhere>\r\n", id(*one));
        }
        (all, _) => {
            let all: Vec<String> = all.iter().map(|n| id(*n)).collect();
            head += &format!("References: {}\r\nIn-Reply-To: <8@elsewhere>\r\n", all.join("\r\n "));
        }
    }
    known.text = head + "\r\n" + &"x".repeat(rng.below(4) as usize);
    known.mail.sent = known.sent.unwrap_or(known.received).cast_unsigned();
    known.mail.arrival = known.received.cast_unsigned();
    known
}

const CRITERIA: [SortBy; 9] = [
    SortBy::Arrival,
    SortBy::Cc,
    SortBy::Date,
    SortBy::From,
    SortBy::Size,
    SortBy::Subject,
    SortBy::To,
    SortBy::DisplayFrom,
    SortBy::DisplayTo,
];

fn plain_compare(a: &Known, b: &Known, by: SortBy) -> Ordering {
    let string = |known: &Known| known.strings.iter().find(|(of, _)| *of == by).map(|(_, text)| text.clone());
    match by {
        SortBy::Arrival => a.received.cmp(&b.received),
        SortBy::Date => a.sent.unwrap_or(a.received).cmp(&b.sent.unwrap_or(b.received)),
        SortBy::Size => a.text.len().cmp(&b.text.len()),
        _ => string(a).unwrap_or_default().cmp(&string(b).unwrap_or_default()),
    }
}

fn plainly_sorted(known: &[&Known], keys: &[SortKey]) -> Vec<u32> {
    let mut sorted = known.to_vec();
    for key in keys.iter().rev() {
        sorted.sort_by(|a, b| {
            let order = plain_compare(a, b, key.by);
            if key.reverse { order.reverse() } else { order }
        });
    }
    sorted.into_iter().map(|known| known.uid).collect()
}

fn written(threads: &[Thread]) -> String {
    let mut text = String::new();
    for token in threads {
        if text.ends_with(|c: char| c.is_ascii_digit()) && *token != Thread::End {
            text.push(' ');
        }
        text += &match token {
            Thread::Begin => "(".into(),
            // The model counts from 0.
            Thread::Message(uid) => (uid.0 - 1).to_string(),
            Thread::End => ")".into(),
        };
    }
    text
}

#[test]
fn sorted_and_threaded_as_plainly_while_mail_comes_and_goes() {
    for seed in 0..6 {
        let mut rng = Rng::new(&[seed; 32]);
        let mut it = Box_::new();
        for round in 0..25 {
            for _ in 0..rng.below(6) {
                it.append(made_up(&mut rng));
            }
            if !it.known.is_empty() && rng.below(3) == 0 {
                let uid = 1 + rng.below(it.known.len() as u64) as u32;
                it.expunge(uid);
            }
            // Some that are gone are still in the asker's view.
            let wanted: Vec<Known> =
                it.known.iter().filter(|known| !known.gone || rng.below(2) == 0).cloned().collect();
            let wanted: Vec<&Known> = wanted.iter().filter(|_| rng.below(8) > 0).collect();
            let uids: UidSet = wanted.iter().map(|known| known.uid).collect();
            for _ in 0..4 {
                let keys: Vec<SortKey> = (0..=rng.below(3))
                    .map(|_| SortKey { by: CRITERIA[rng.below(9) as usize], reverse: rng.below(2) == 0 })
                    .collect();
                let (order, _) = it.sorted(uids.clone(), keys.clone());
                let plain = plainly_sorted(&wanted, &keys);
                assert_eq!(order, plain, "seed {seed}, round {round}, {keys:?} of {wanted:#?}");
            }
            let mails: Vec<Mail> = it.known.iter().map(|known| known.mail.clone()).collect();
            let places: Vec<u32> = wanted.iter().map(|known| known.uid - 1).collect();
            for by in [ThreadBy::OrderedSubject, ThreadBy::References, ThreadBy::Refs] {
                let threads = written(&it.threads(uids.clone(), by));
                let plain = model(by, &mails, &places);
                assert_eq!(threads, plain, "seed {seed}, round {round}, {by:?} of {wanted:#?}");
            }
        }
    }
}

#[test]
fn what_is_gone_for_good_is_left_out() {
    let mut it = Box_::new();
    let mut rng = Rng::new(&[3; 32]);
    (0..3).for_each(|_| it.append(made_up(&mut rng)));
    it.expunge(2);
    it.writer.db.execute("UPDATE expunged SET body = NULL", []).expect("swept");
    let by_size = vec![SortKey { by: SortBy::Size, reverse: false }];
    let (order, _) = it.sorted(UidSet::range(1..=3), by_size);
    assert_eq!(order.iter().copied().collect::<UidSet>().to_string(), "1,3");
    assert!(!it.threads(UidSet::range(1..=3), ThreadBy::Refs).contains(&Thread::Message(Uid(2))));
}

/// So many messages, put in by hand.
fn many(count: u32) -> Box_ {
    let it = Box_::new();
    let Box_ { inbox, .. } = it;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO message SELECT {inbox}, i, i + 100, i % 1000, 0, 0, 1, (i * 7919 % 100003) * 1000000, 0, 0 FROM n;
         INSERT INTO summary SELECT body, x'', x'', x'', NULL, 'SUBJECT ' || (body * 31 % 5003), 'A', 'B', '', '', '',
             body || '@x', CASE WHEN body % 10 THEN (body - 1) || '@x' ELSE '' END, '' FROM message;
         UPDATE mailbox SET uid_next = {count} + 1, messages = {count} WHERE id = {inbox};"
    );
    it.writer.db.execute_batch(&fill).expect("filled");
    it
}

#[test]
fn ten_thousand_messages_are_sorted_in_slices_of_which_the_second_time_none_reads() {
    let count = 10_000;
    let mut it = many(count);
    let keys =
        vec![SortKey { by: SortBy::Subject, reverse: false }, SortKey { by: SortBy::Date, reverse: true }];
    let (order, slices) = it.sorted(UidSet::range(1..=count), keys.clone());
    assert!(slices > 5, "{slices} slices");
    let (again, slices) = it.sorted(UidSet::range(1..=count), keys);
    assert!(slices < 3 && again == order, "{slices} slices");
    let subject = |uid: u32| format!("SUBJECT {}", (uid + 100) * 31 % 5003);
    let date = |uid: u32| uid * 7919 % 100_003;
    let key = |uid: &u32| (subject(*uid), std::cmp::Reverse(date(*uid)), *uid);
    assert!(order.len() == count as usize && order.is_sorted_by_key(key));
    let threads = it.threads(UidSet::range(1..=count), ThreadBy::Refs);
    assert_eq!(threads.iter().filter(|token| **token == Thread::Begin).count(), 1_001);
}

#[test]
fn no_more_than_so_many_are_under_way_and_those_that_are_given_up_make_room() {
    let it = many(3_000);
    let sort = |salt| {
        let keys = vec![SortKey { by: SortBy::Subject, reverse: false }];
        Arc::new(Sort { uids: UidSet::range(1..=3_000), keys, salt })
    };
    let ask = |sort: &Arc<Sort>| match it.answer(&Question::Sort { mailbox: it.inbox, sort: sort.clone() }) {
        Reply::Sorted(order) => order,
        other => panic!("{other:?}"),
    };
    let first: Vec<Arc<Sort>> = (0..limits::WORKS_MAX as u64).map(sort).collect();
    let other = sort(99);
    // Each gets a slice of the reading done, so that the mailbox must be forgotten for all to be under way.
    for sort in &first {
        assert_eq!(ask(sort), None);
        *it.reader.shelf.borrow_mut() = Default::default();
    }
    assert_eq!(it.reader.works.borrow().under_way.len(), limits::WORKS_MAX);
    for _ in 0..20 {
        assert_eq!(ask(&other), None, "it waits");
    }
    assert!((0..20).any(|_| ask(&first[0]).is_some()), "the others go on");
    drop(first);
    assert!((0..20).any(|_| ask(&other).is_some()), "and then it is its turn");
}

#[test]
fn of_many_references_the_first_and_the_last_count() {
    let mut it = Box_::new();
    let most = limits::THREAD_REFERENCES_MAX;
    let message = |id: u32, references: &[u32]| {
        let references: Vec<String> = references.iter().map(|n| format!("<{n}@x>")).collect();
        let text = format!("Message-ID: <{id}@x>\r\nReferences: {}\r\n\r\n", references.join(" "));
        Known { text, ..Known::default() }
    };
    it.append(message(1, &[]));
    it.append(message(2, &[]));
    it.append(message(3, &[]));
    let mut long: Vec<u32> = (100..100 + most as u32 - 1).collect();
    long.splice(0..0, [1, 2]);
    it.append(message(4, &long));
    let threads = written(&it.threads(UidSet::range(1..=4), ThreadBy::Refs));
    assert_eq!(threads, "(1)(2)(0 3)", "the second one is not looked at");
}

#[test]
fn too_many_message_ids_are_refused() {
    let mut it = Box_::new();
    it.append(Known { text: "Message-ID: <1@x>\r\n\r\n".into(), ..Known::default() });
    it.threads(UidSet::range(1..=1), ThreadBy::Refs);
    it.reader.shelf.borrow_mut().pretend_ids(it.inbox, limits::THREAD_IDS_MAX + 1);
    let threading = Arc::new(Threading { uids: UidSet::range(1..=1), by: ThreadBy::Refs, salt: 1 });
    let answer = it.answer(&Question::Thread { mailbox: it.inbox, threading });
    assert!(matches!(answer, Reply::Threads(Threads::TooMany)), "{answer:?}");
}
