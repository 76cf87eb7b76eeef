//! The store through its public door: writes as values in, reads out.

use pillarbox::base::{AccountId, MailboxId, ModSeq, Ticket, Uid, UidSet, Wall};
use pillarbox::mime::Summary;
use pillarbox::store::{
    Admin, Append, ChangeFlags, Columns, Deliver, Done, Expunge, FlagNames, FlagOp, Flags, NewBody, Place,
    Question, Reader, Refused, Reply, Slice, Target, Transfer, View, ViewAt, Write, Writer,
};
use std::sync::Arc;

const NOW: Wall = Wall(1_795_000_000_000_000);

pub struct Box_ {
    pub dir: tempfile::TempDir,
    pub writer: Writer,
    pub reader: Reader,
    pub account: AccountId,
    pub inbox: MailboxId,
}

impl Box_ {
    pub fn new() -> Box_ {
        let dir = tempfile::tempdir().expect("a temporary folder");
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
        columns: Columns { envelope: true, structure: true, parts: true, body: true },
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
