//! Previews in the file: kept at delivery, made of the body where an older program has not kept them, and made again by
//! `rebuild`.

use std::sync::Arc;

use pillarbox::base::limits::PREVIEWS_PER_SLICE;
use pillarbox::base::{Uid, UidSet};
use pillarbox::mime::Summarizer;
use pillarbox::store::{
    Columns, Deliver, FlagNames, NewBody, Place, Preview, Question, Reply, Target, Write, Writer,
};

use crate::store::{Box_, NOW, body, one};

const MESSAGES: usize = 2 * PREVIEWS_PER_SLICE + 1;

/// As deliveries make them.
fn summarized(text: &str) -> NewBody {
    let mut made = body(text.as_bytes());
    let mut summarizer = Summarizer::new();
    summarizer.feed(text.as_bytes());
    if let NewBody::Inline { summary, .. } = &mut made {
        *summary = summarizer.finish();
    }
    made
}

fn filled() -> Box_ {
    let mut it = Box_::new();
    for number in 0..MESSAGES {
        let to = vec![Target { account: it.account, place: Place::Inbox, flags: FlagNames::default() }];
        let body = summarized(&format!("Subject: x\r\n\r\nWords of letter {number}\r\n"));
        one(&mut it.writer, Write::Deliver(Deliver { body, to, received: NOW })).expect("delivered");
    }
    it
}

/// The previews of all messages, and how many slices it took to read them.
fn previews(it: &Box_, preview: Preview) -> (Vec<Option<String>>, usize) {
    let (mut found, mut slices, mut next) = (Vec::new(), 0, Some(Uid(1)));
    while let Some(from) = next {
        let question = Question::Rows {
            mailbox: it.inbox,
            account: it.account,
            uids: Arc::new(UidSet::range(1..=1_000)),
            from,
            columns: Columns { preview, parts: true, ..Columns::default() },
        };
        let Ok(Reply::Rows(rows)) = it.reader.answer(&question) else { panic!("no rows") };
        it.reader.end_turn();
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&rows.arena[range]).into_owned();
        found.extend(rows.rows.iter().map(|row| row.preview.clone().map(text)));
        slices += 1;
        next = rows.next;
    }
    (found, slices)
}

fn forget_previews(it: &Box_) {
    let db = rusqlite::Connection::open(it.dir.path().join("box.db")).expect("opened");
    db.execute("UPDATE summary SET preview = NULL", []).expect("forgotten");
}

#[test]
fn a_preview_that_is_not_kept_is_made_when_asked_for_some_in_a_slice() {
    let it = filled();
    let all: Vec<_> = (0..MESSAGES).map(|number| Some(format!("Words of letter {number}"))).collect();
    assert_eq!(previews(&it, Preview::AtHand), (all.clone(), 1));
    assert_eq!(previews(&it, Preview::Always), (all.clone(), 1));
    forget_previews(&it);
    assert_eq!(previews(&it, Preview::AtHand), (vec![None; MESSAGES], 1));
    assert_eq!(previews(&it, Preview::Always), (all, 3));
}

#[test]
fn rebuild_makes_previews_again() {
    let mut it = filled();
    forget_previews(&it);
    it.writer = Writer::open(it.dir.path().join("box.db")).expect("opened");
    it.writer.rebuild(&mut |_| {}).expect("rebuilt");
    assert_eq!(previews(&it, Preview::AtHand).0[1].as_deref(), Some("Words of letter 1"));
}
