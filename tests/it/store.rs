//! The store through its public door: writes as values in, reads out.

use pillarbox::base::{AccountId, MailboxId, ModSeq, Ticket, Uid, UidSet, Wall};
use pillarbox::mime::Summary;
use pillarbox::store::search::{Key, Program};
use pillarbox::store::{
    Admin, Append, ChangeFlags, Columns, Deliver, Done, Expunge, FlagNames, FlagOp, Flags, NewBody, Place,
    Question, Reader, Refused, Reply, Slice, Target, Transfer, View, ViewAt, Write, Writer,
};
use std::sync::Arc;

pub const NOW: Wall = Wall(1_795_000_000_000_000);
/// Long enough for what was expunged or uploaded at `NOW` to be let go.
pub const LATER: Wall = Wall(NOW.0 + 2 * HOURS);

pub struct Box_ {
    pub dir: tempfile::TempDir,
    pub writer: Writer,
    pub reader: Reader,
    pub account: AccountId,
    pub inbox: MailboxId,
}

impl Box_ {
    pub fn new() -> Box_ {
        Box_::within(folder())
    }

    pub fn within(dir: tempfile::TempDir) -> Box_ {
        let path = dir.path().join("box.db");
        let mut writer = Writer::create(&path).expect("a new file");
        one(&mut writer, Write::Admin(Admin::AddDomain { name: "box.test".into() })).expect("a domain");
        let added = Admin::AddAccount { name: "me@box.test".into(), hash: "$hash".into(), now: NOW };
        let Ok(Done::Account(account)) = one(&mut writer, Write::Admin(added)) else { panic!("no account") };
        let reader = Reader::open(&path).expect("a reader");
        let inbox = reader.mailbox_named(account, "inbox").expect("read").expect("INBOX").id;
        reader.end_turn();
        Box_ { dir, writer, reader, account, inbox }
    }

    pub fn put(&mut self, write: Write) -> Result<Done, Refused> {
        self.reader.end_turn();
        one(&mut self.writer, write)
    }

    pub fn deliver(&mut self, text: &str) -> Uid {
        let write = Write::Deliver(Deliver {
            body: body(text.as_bytes()),
            to: vec![Target { account: self.account, place: Place::Inbox, flags: FlagNames::default() }],
            received: NOW,
        });
        match self.put(write) {
            Ok(Done::Delivered(delivered)) => delivered[0].uid,
            other => panic!("{other:?}"),
        }
    }

    pub fn flag(&mut self, uids: UidSet, op: FlagOp, system: u8, keywords: &[&str]) -> Result<Done, Refused> {
        let flags = FlagNames { system, keywords: keywords.iter().map(|name| name.to_string()).collect() };
        self.put(Write::Flags(ChangeFlags {
            account: self.account,
            mailbox: self.inbox,
            uids,
            op,
            flags,
            unchanged_since: None,
        }))
    }

    pub fn view(&self, mailbox: MailboxId) -> Arc<View> {
        match self.reader.view(mailbox, self.account).expect("a view") {
            ViewAt::Ready(view) => view,
            ViewAt::Ask(question) => match self.reader.answer(&question).expect("an answer") {
                Reply::View(view) => {
                    self.reader.keep(&view);
                    view
                }
                other => panic!("{other:?}"),
            },
        }
    }
}

/// In memory where there is such a place: what is tested here is not the disk.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

pub fn one(writer: &mut Writer, write: Write) -> Result<Done, Refused> {
    let mut outcomes = writer.commit(vec![(Ticket(1), write)]).expect("a commit");
    outcomes.pop().expect("one outcome").1.result
}

pub fn body(bytes: &[u8]) -> NewBody {
    NewBody::Inline {
        slice: Slice { stored: bytes.to_vec(), compressed: false, length: bytes.len() as u32 },
        sha256: ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes"),
        summary: Summary {
            envelope: b"(NIL)".to_vec(),
            structure: b"(\"text\")".to_vec(),
            ..Summary::default()
        },
    }
}

#[test]
fn a_new_account_has_its_mailboxes_and_its_address() {
    let it = Box_::new();
    let names: Vec<String> =
        it.reader.mailboxes(it.account).expect("read").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]);
    assert_eq!(it.reader.route("ME", "Box.Test"), Ok(Some(it.account)));
    assert_eq!(it.reader.route("nobody", "box.test"), Ok(None));
    assert_eq!(it.reader.route("postmaster", "box.test"), Ok(Some(it.account)));
    assert_eq!(it.reader.route("postmaster", "elsewhere.test"), Ok(None));
    assert_eq!(it.reader.credentials(it.account).expect("read").len(), 1);
}

#[test]
fn a_delivered_message_is_read_back_as_it_came() {
    let mut it = Box_::new();
    let uid = it.deliver("Subject: hello\r\n\r\nbody\0\r bare\r\n");
    let row = it.reader.mailbox(it.inbox).expect("read").expect("INBOX");
    assert_eq!((row.messages, row.uid_next, row.modseq), (1, Uid(2), ModSeq(2)));
    assert_eq!(it.reader.status(it.inbox, it.account).expect("read").unseen, 1);
    let question = Question::Rows {
        mailbox: it.inbox,
        account: it.account,
        uids: Arc::new(UidSet::range(1..=u32::MAX)),
        from: Uid(1),
        columns: Columns { envelope: true, structure: true, parts: true, body: true, ..Columns::default() },
    };
    let Ok(Reply::Rows(rows)) = it.reader.answer(&question) else { panic!("no rows") };
    assert_eq!((rows.rows.len(), rows.next, rows.rows[0].uid), (1, None, uid));
    let row = &rows.rows[0];
    assert_eq!(&rows.arena[row.envelope.clone()], b"(NIL)");
    assert_eq!(&rows.arena[row.first_slice.clone()], b"Subject: hello\r\n\r\nbody\0\r bare\r\n");
    let question = Question::Body { body: row.body, at: 9, length: 5 };
    let Ok(Reply::Bytes(bytes)) = it.reader.answer(&question) else { panic!("no bytes") };
    assert_eq!(bytes, b"hello");
}

#[test]
fn flags_change_once_and_count_right() {
    let mut it = Box_::new();
    for text in ["one", "two", "three"] {
        it.deliver(text);
    }
    let old = it.view(it.inbox);
    let done = it.flag(UidSet::range(1..=2), FlagOp::Add, Flags::SEEN | Flags::DELETED, &["$Work", "$work"]);
    let Ok(Done::Flags { modseq, changed, .. }) = done else { panic!("{done:?}") };
    assert_eq!((modseq, changed.to_string()), (ModSeq(5), "1:2".into()));
    let again = it.flag(UidSet::range(1..=2), FlagOp::Add, Flags::SEEN, &["$WORK"]);
    assert_eq!(again, Ok(Done::Flags { modseq: ModSeq(5), changed: UidSet::new(), modified: UidSet::new() }));
    assert_eq!(it.reader.status(it.inbox, it.account).expect("read").unseen, 1);
    assert_eq!(it.reader.mailbox(it.inbox).expect("read").expect("INBOX").deleted, 2);
    let view = it.view(it.inbox);
    let told: Vec<u32> = view.changed_since(old.modseq).iter().map(|(seq, _)| *seq).collect();
    assert_eq!(told, [1, 2]);
    let row = view.at(1).expect("a message");
    assert_eq!(*it.reader.keywords(row.flags.keywords).expect("read"), ["$Work".to_string()]);
    assert_eq!(it.reader.mailbox_keywords(it.inbox), Ok(vec!["$Work".to_string()]));
}

#[test]
fn an_expunged_message_stays_readable_and_vanishes_from_the_view() {
    let mut it = Box_::new();
    for text in ["one", "two", "three"] {
        it.deliver(text);
    }
    let old = it.view(it.inbox);
    it.flag(UidSet::range(2..=2), FlagOp::Add, Flags::DELETED, &[]).expect("flagged");
    let done = it.put(Write::Expunge(Expunge { mailbox: it.inbox, uids: None, now: NOW }));
    assert_eq!(done, Ok(Done::Expunged { modseq: ModSeq(6), uids: UidSet::range(2..=2) }));
    let new = it.view(it.inbox);
    assert_eq!(old.gone_in(&new), [(2, Uid(2))]);
    assert_eq!(it.reader.expunged_since(it.inbox, old.modseq), Ok((UidSet::range(2..=2), true)));
    let back = it.reader.view_as_of(&new, old.modseq, old.uid_next).expect("read").expect("still known");
    assert_eq!(back.uids_of(&UidSet::range(1..=9)).to_string(), "1:3");
}

#[test]
fn copy_and_move_share_the_body() {
    let mut it = Box_::new();
    let uid = it.deliver("one");
    let to = it.reader.mailbox_named(it.account, "Archive").expect("read").expect("Archive").id;
    let transfer =
        |from| Transfer { account: it.account, from, uids: UidSet::range(uid.0..=uid.0), to, now: NOW };
    let (copy, move_) = (Write::Copy(transfer(it.inbox)), Write::Move(transfer(it.inbox)));
    assert!(matches!(it.put(copy), Ok(Done::Copied { pairs, .. }) if pairs == [(Uid(1), Uid(1))]));
    assert!(matches!(it.put(move_), Ok(Done::Copied { pairs, .. }) if pairs == [(Uid(1), Uid(2))]));
    assert_eq!(it.view(to).len(), 2);
    assert_eq!(it.view(it.inbox).len(), 0);
}

#[test]
fn append_needs_a_mailbox() {
    let mut it = Box_::new();
    let append = |mailbox| {
        Write::Append(Append {
            account: it.account,
            mailbox,
            body: body(b"x"),
            flags: FlagNames { system: Flags::SEEN, keywords: vec![] },
            received: NOW,
            now: NOW,
        })
    };
    let (good, bad) = (append(it.inbox), append(MailboxId(999)));
    assert!(matches!(it.put(good), Ok(Done::Appended(_))));
    assert_eq!(it.put(bad), Err(Refused::NoMailbox));
    assert_eq!(it.reader.status(it.inbox, it.account).expect("read").unseen, 0);
}

/// A body in slices of its own, as the intake makes them.
fn upload(it: &mut Box_, bytes: &[u8]) -> Result<NewBody, Refused> {
    let mut id = None;
    for (seq, chunk) in bytes.chunks(pillarbox::base::limits::SLICE_BYTES).enumerate() {
        let slice = Slice { stored: chunk.to_vec(), compressed: false, length: chunk.len() as u32 };
        match it.put(Write::Stage { body: id, seq: seq as u32, slice, now: NOW })? {
            Done::Staged(body) => id = Some(body),
            other => panic!("{other:?}"),
        }
    }
    let sha256 = ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes");
    let body = id.expect("at least one slice");
    Ok(NewBody::Staged { body, size: bytes.len() as u64, sha256, summary: Summary::default() })
}

fn to_inbox(it: &Box_, body: NewBody) -> Write {
    let to = vec![Target { account: it.account, place: Place::Inbox, flags: FlagNames::default() }];
    Write::Deliver(Deliver { body, to, received: NOW })
}

fn count(it: &Box_, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(it.dir.path().join("box.db")).expect("opened");
    db.query_row(sql, [], |row| row.get(0)).expect("counted")
}

fn bodies(it: &Box_) -> i64 {
    count(it, "SELECT count(*) FROM (SELECT id FROM body UNION ALL SELECT id FROM slice)")
}

pub fn faults(it: &Box_) -> Vec<String> {
    pillarbox::store::verify::verify(&it.reader, &mut |_| ()).expect("verified")
}

const HOURS: i64 = 3_600_000_000;

fn sweep(it: &mut Box_, hours: i64, clock_trusted: bool) {
    let sweep = Admin::Sweep { now: Wall(NOW.0 + hours * HOURS), clock_trusted };
    it.put(Write::Admin(sweep)).expect("swept");
}

#[test]
fn a_large_body_comes_in_slices_and_goes_in_slices() {
    let mut it = Box_::new();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n / 7) as u8).collect();
    let body = upload(&mut it, &bytes).expect("staged");
    let write = to_inbox(&it, body.clone());
    assert!(matches!(it.put(write), Ok(Done::Delivered(_))));
    let again = to_inbox(&it, body.clone());
    assert_eq!(it.put(again), Err(Refused::NoBody), "a staged body is taken once");
    let NewBody::Staged { body, .. } = body else { panic!("not staged") };
    let mut read = Vec::new();
    while let Ok(Reply::Bytes(some)) =
        it.reader.answer(&Question::Body { body, at: read.len() as u64, length: 100_000 })
    {
        if some.is_empty() {
            break;
        }
        read.extend(some);
    }
    assert!(read == bytes, "{} bytes came back", read.len());
    assert_eq!(faults(&it), Vec::<String>::new());
    it.flag(UidSet::range(1..=1), FlagOp::Add, Flags::DELETED, &[]).expect("flagged");
    it.put(Write::Expunge(Expunge { mailbox: it.inbox, uids: None, now: NOW })).expect("expunged");
    sweep(&mut it, 0, true);
    assert_eq!(bodies(&it), 4, "kept for an hour");
    sweep(&mut it, 1_000_000, false);
    assert_eq!(bodies(&it), 4, "nothing goes while the clock is not believed");
    sweep(&mut it, 2, true);
    assert_eq!(bodies(&it), 0);
    assert_eq!(
        it.reader.expunged_since(it.inbox, ModSeq(1)),
        Ok((UidSet::range(1..=1), true)),
        "a tombstone stays"
    );
    it.reader.end_turn();
    sweep(&mut it, 24 * 91, true);
    assert_eq!(it.reader.expunged_since(it.inbox, ModSeq(1)), Ok((UidSet::new(), false)));
}

#[test]
fn slices_out_of_order_are_refused_and_uploads_are_swept() {
    let mut it = Box_::new();
    let slice = |length: usize| Slice { stored: vec![7; length], compressed: false, length: length as u32 };
    let full = pillarbox::base::limits::SLICE_BYTES;
    let stage = |body, seq, length| Write::Stage { body, seq, slice: slice(length), now: NOW };
    let Ok(Done::Staged(body)) = it.put(stage(None, 0, full)) else { panic!("not staged") };
    assert_eq!(it.put(stage(Some(body), 2, full)), Err(Refused::NoBody));
    assert_eq!(it.put(stage(Some(body), 0, full)), Err(Refused::NoBody));
    assert!(it.put(stage(Some(body), 1, 5)).is_ok());
    assert_eq!(it.put(stage(Some(body), 2, 5)), Err(Refused::NoBody), "nothing follows a short slice");
    let staged = NewBody::Staged { body, size: 9, sha256: [0; 32], summary: Summary::default() };
    let wrong = to_inbox(&it, staged);
    assert_eq!(it.put(wrong), Err(Refused::NoBody));
    sweep(&mut it, 0, true);
    assert_eq!(bodies(&it), 3);
    it.put(Write::Discard { body }).expect("discarded");
    assert_eq!(bodies(&it), 0);
    it.put(stage(None, 0, full)).expect("staged");
    sweep(&mut it, 2, true);
    assert_eq!(bodies(&it), 0, "given up after an hour");
    it.put(stage(None, 0, full)).expect("staged");
    it.writer = Writer::open(it.dir.path().join("box.db")).expect("opened");
    sweep(&mut it, 0, false);
    assert_eq!(bodies(&it), 0, "nobody can finish an upload of before the start");
}

#[test]
fn a_write_that_panics_or_is_refused_takes_no_other_with_it() {
    let mut it = Box_::new();
    it.writer.before_each(Box::new(|write| {
        assert!(!matches!(write, Write::Subscribe { .. }), "a planted panic");
    }));
    let subscribe = Write::Subscribe { account: it.account, name: "x".into(), on: true };
    let nowhere = Write::DeleteMailbox { account: it.account, name: "nowhere".into(), now: NOW };
    let batch = [to_inbox(&it, body(b"one")), subscribe, nowhere, to_inbox(&it, body(b"two"))];
    let batch = batch.into_iter().zip(1..).map(|(write, n)| (Ticket(n), write)).collect();
    let outcomes = it.writer.commit(batch).expect("committed");
    let tickets: Vec<u64> = outcomes.iter().map(|(ticket, _)| ticket.0).collect();
    assert_eq!(tickets, [1, 2, 3, 4]);
    let results: Vec<&Result<Done, Refused>> = outcomes.iter().map(|(_, outcome)| &outcome.result).collect();
    assert!(matches!(results[0], Ok(Done::Delivered(_))));
    assert!(matches!(results[1], Err(Refused::Broken(_))));
    assert_eq!(results[2], &Err(Refused::NoMailbox));
    assert!(matches!(results[3], Ok(Done::Delivered(to)) if to[0].uid == Uid(2)));
    assert_eq!(outcomes[0].1.mailboxes, [it.inbox]);
    assert!(outcomes[2].1.mailboxes.is_empty());
    assert_eq!(it.view(it.inbox).len(), 2);
    assert_eq!(faults(&it), Vec::<String>::new());
}

#[test]
fn a_nearly_full_disk_refuses_mail_but_can_be_emptied() {
    let mut it = Box_::new();
    let free = Arc::new(std::sync::atomic::AtomicU64::new(1 << 30));
    let probe = Arc::clone(&free);
    it.writer.watch_disk(Box::new(move || {
        let free_bytes = probe.load(std::sync::atomic::Ordering::Relaxed);
        Some(pillarbox::store::Space { free_bytes, total_bytes: 100 << 20 })
    }));
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for _ in 0..4 {
        let write = to_inbox(&it, body(&noise));
        it.put(write).expect("delivered");
    }
    free.store((16 << 20) - 100_000, std::sync::atomic::Ordering::Relaxed);
    let refused = to_inbox(&it, body(&noise));
    assert_eq!(it.put(refused.clone()), Err(Refused::DiskFull));
    it.flag(UidSet::range(1..=2), FlagOp::Add, Flags::DELETED, &[]).expect("flags go through");
    it.put(Write::Expunge(Expunge { mailbox: it.inbox, uids: None, now: NOW })).expect("so does expunging");
    assert!(it.put(refused).is_ok(), "what was expunged makes room at once");
    assert_eq!(it.view(it.inbox).len(), 3);
    assert_eq!(faults(&it), Vec::<String>::new());
}

#[test]
fn after_a_restore_no_client_takes_an_old_message_for_a_new_one() {
    let mut it = Box_::new();
    for text in ["one", "two", "three"] {
        it.deliver(text);
    }
    let path = it.dir.path().join("box.db");
    let copy = it.dir.path().join("copy.db");
    pillarbox::store::backup::backup(&path.as_path().into(), &copy).expect("backed up");
    // A client sees this, and then it is lost.
    it.deliver("lost");
    it.flag(UidSet::range(1..=1), FlagOp::Add, Flags::DELETED, &[]).expect("flagged");
    it.put(Write::Expunge(Expunge { mailbox: it.inbox, uids: None, now: NOW })).expect("expunged");
    let client = it.view(it.inbox);
    let before = it.reader.mailbox(it.inbox).expect("read").expect("INBOX");
    let Box_ { dir, writer, reader, account, inbox } = it;
    drop((writer, reader));
    let kept = pillarbox::store::backup::restore(&copy, &path.as_path().into()).expect("restored");
    assert!(kept.is_some_and(|kept| kept.exists()));
    let writer = Writer::open(&path).expect("opened");
    let reader = Reader::open(&path).expect("opened");
    let mut it = Box_ { dir, writer, reader, account, inbox };
    let after = it.reader.mailbox(inbox).expect("read").expect("INBOX");
    assert_eq!(after.validity, before.validity);
    assert!(after.uid_next > before.uid_next && after.modseq > before.modseq);
    let new = it.deliver("other");
    assert!(client.find(new).is_none() && new >= before.uid_next);
    let (_, whole) = it.reader.expunged_since(inbox, client.modseq).expect("read");
    assert!(!whole, "the client must compare all uids");
    let changes = it.reader.changes(inbox, account, client.modseq, Uid(1), 100).expect("read");
    assert_eq!(changes.len(), 4, "every message counts as changed");
    assert_eq!(faults(&it), Vec::<String>::new());
}

#[test]
fn mailbox_names_follow_the_rules() {
    let mut it = Box_::new();
    let account = it.account;
    let create = |name: &str| Write::CreateMailbox { account, name: name.into(), special: None, now: NOW };
    let delete = |name: &str| Write::DeleteMailbox { account, name: name.into(), now: NOW };
    let rename =
        |from: &str, to: &str| Write::RenameMailbox { account, from: from.into(), to: to.into(), now: NOW };
    for bad in ["", "/a", "a/", "a//b", "a*", "a%", "a\nb", &"x".repeat(1_001), &"x/".repeat(40)] {
        assert!(matches!(it.put(create(bad)), Err(Refused::BadName(_))), "{bad:?}");
    }
    assert_eq!(it.put(create("iNbOx")), Err(Refused::Exists));
    assert!(it.put(create("inbox/x/y")).is_ok());
    assert!(it.reader.mailbox_named(account, "INBOX/x").expect("read").is_some(), "parents are made");
    assert_eq!(it.put(delete("inbox")), Err(Refused::InUse));
    assert!(it.put(delete("INBOX/x")).is_ok(), "stays as a name, because of its child");
    assert!(it.reader.mailbox_named(account, "INBOX/x").expect("read").is_some_and(|row| row.no_select));
    assert_eq!(it.put(delete("INBOX/x")), Err(Refused::InUse));
    assert!(it.put(rename("INBOX/x", "y")).is_ok());
    assert!(it.reader.mailbox_named(account, "y/y").expect("read").is_some(), "children come along");
    assert!(matches!(it.put(rename("y", "y/z")), Err(Refused::BadName(_))));
    assert_eq!(it.put(rename("y", "Trash")), Err(Refused::Exists));
    it.deliver("one");
    assert!(it.put(rename("INBOX", "old mail")).is_ok());
    let moved = it.reader.mailbox_named(account, "old mail").expect("read").expect("made").messages;
    assert_eq!((moved, it.view(it.inbox).len()), (1, 0));
}

#[test]
fn accounts_addresses_and_passwords_are_kept_straight() {
    let mut it = Box_::new();
    let mut admin = |admin: Admin| it.put(Write::Admin(admin)).map(|_| ());
    let me = || "me@box.test".to_string();
    let address = |local: &str, domain: &str| Admin::AddAddress {
        local: local.into(),
        domain: domain.into(),
        account: me(),
    };
    assert_eq!(admin(Admin::AddDomain { name: "BOX.test".into() }), Err(Refused::Exists));
    assert_eq!(admin(address("x", "elsewhere.test")), Err(Refused::NoDomain));
    assert_eq!(admin(address("*", "box.test")), Ok(()));
    assert_eq!(admin(address("Sales", "box.test")), Ok(()));
    assert_eq!(admin(address("sales", "box.test")), Err(Refused::Exists));
    assert_eq!(
        admin(Admin::RemoveAddress { local: "me".into(), domain: "box.test".into() }),
        Err(Refused::InUse)
    );
    assert_eq!(admin(Admin::RemoveDomain { name: "box.test".into() }), Err(Refused::InUse));
    let app = |name: &str| Admin::AddCredential {
        account: me(),
        name: name.into(),
        scope: pillarbox::store::Scope::ReadOnly,
        hash: "$app".into(),
        now: NOW,
    };
    assert_eq!((admin(app("phone")), admin(app("phone"))), (Ok(()), Err(Refused::Exists)));
    assert_eq!(admin(Admin::RevokeCredential { account: me(), name: "main".into() }), Err(Refused::InUse));
    let setting = |value: &str| Admin::SetSetting { name: "undelete-days".into(), value: Some(value.into()) };
    assert!(matches!(admin(setting("soon")), Err(Refused::BadName(_))));
    assert_eq!(admin(setting("7")), Ok(()));
    assert_eq!(it.reader.route("anything", "box.test"), Ok(Some(it.account)));
    assert_eq!(it.reader.setting("undelete-days"), Ok(Some("7".into())));
    let main = it.reader.credentials(it.account).expect("read")[0].id;
    it.reader.end_turn();
    let change = Write::Admin(Admin::SetPassword { account: me(), hash: "$new".into(), now: NOW });
    let outcome = it.writer.commit(vec![(Ticket(1), change)]).expect("committed").remove(0).1;
    assert_eq!((outcome.revoked, outcome.accounts), (vec![main], vec![it.account]));
    it.deliver("one");
    it.put(Write::Admin(Admin::RemoveAccount { name: me(), now: NOW })).expect("removed");
    assert!(it.reader.accounts().expect("read").is_empty());
    sweep(&mut it, 0, false);
    assert_eq!(bodies(&it), 0, "the mail goes with the account");
    assert_eq!(faults(&it), Vec::<String>::new());
}

/// 8,192 messages in INBOX.
fn fill(it: &mut Box_) {
    it.deliver("one");
    for _ in 0..13 {
        let uids = UidSet::range(1..=u32::MAX);
        let (account, from) = (it.account, it.inbox);
        it.put(Write::Copy(Transfer { account, from, uids, to: from, now: NOW })).expect("copied");
    }
}

fn rows(it: &Box_) -> i64 {
    count(it, "SELECT count(*) FROM message")
}

#[test]
fn a_large_mailbox_or_account_goes_in_many_small_writes() {
    let mut it = Box_::new();
    fill(&mut it);
    let account = it.account;
    let mailbox =
        |name: &str, to: &str| Write::RenameMailbox { account, from: name.into(), to: to.into(), now: NOW };
    it.put(mailbox("INBOX", "large")).expect("renamed");
    let child = Write::CreateMailbox { account, name: "large/child".into(), special: None, now: NOW };
    it.put(child).expect("made");
    it.put(Write::DeleteMailbox { account, name: "large".into(), now: NOW }).expect("deleted");
    assert_eq!(rows(&it), 8_192, "not one message has been touched by that write");
    let left = it.reader.mailbox_named(account, "large").expect("read").expect("the name stays");
    assert!(left.no_select && left.messages == 0, "{left:?}");
    assert_eq!(it.reader.accounts().expect("read")[0].used.messages, 0);
    fill(&mut it);
    it.put(Write::Admin(Admin::RemoveAccount { name: "me@box.test".into(), now: NOW })).expect("removed");
    assert!(rows(&it) > 8_192);
    let mut before = rows(&it);
    for round in 0.. {
        let sweep = Write::Admin(Admin::Sweep { now: NOW, clock_trusted: false });
        let done = it.put(sweep).expect("swept");
        assert!(before - rows(&it) <= 1_000, "a sweep is small");
        before = rows(&it);
        if done == Done::Nothing {
            assert!(round > 16);
            break;
        }
    }
    let mailboxes = count(&it, "SELECT count(*) FROM mailbox");
    assert_eq!((rows(&it), mailboxes), (0, 0));
    assert_eq!(faults(&it), Vec::<String>::new());
}

#[test]
fn a_large_message_is_searched_a_part_at_a_time() {
    let mut it = Box_::new();
    let mut bytes = b"Subject: large\r\n\r\n".to_vec();
    while bytes.len() < 5_000_000 {
        bytes.extend_from_slice(format!("line {} of many\r\n", bytes.len()).as_bytes());
    }
    bytes.extend_from_slice(b"the very end\r\n");
    let mut body = upload(&mut it, &bytes).expect("staged");
    let mut summarizer = pillarbox::mime::summary::Summarizer::new();
    summarizer.feed(&bytes);
    if let NewBody::Staged { summary, .. } = &mut body {
        *summary = summarizer.finish();
    }
    let write = to_inbox(&it, body);
    it.put(write).expect("delivered");
    it.deliver("a small one behind it");
    let program = Arc::new(Program { keys: vec![Key::Body("the very end".into())] });
    let (mut found, mut from, mut questions) = (UidSet::new(), Uid(1), 0);
    loop {
        let (mailbox, account, program) = (it.inbox, it.account, program.clone());
        let question = Question::Search { mailbox, account, program, from, up_to: Uid(9) };
        let Ok(Reply::Found { uids, next }) = it.reader.answer(&question) else { panic!("searched") };
        it.reader.end_turn();
        questions += 1;
        uids.iter().for_each(|uid| found.insert(uid));
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(found, UidSet::range(1..=1));
    assert!(questions >= 4, "{questions} questions for 5 MB");
}
