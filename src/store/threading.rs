//! THREAD on the reader thread (RFC 5256, draft-ietf-morg-inthread section 4): from the columns, without reading a message.

use std::sync::Arc;

use crate::base::{MailboxId, Uid, UidSet, limits};

use super::columns::{Columns, Field};
use super::sorting::Stage;
use super::threader::{Letter, Letters, Threader};
use super::work::Work;
use super::{Reader, StoreError};

/// What is to be threaded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threading {
    pub uids: UidSet,
    pub by: ThreadBy,
    /// A number that nobody outside knows.
    pub salt: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadBy {
    /// RFC 5256: messages with one base subject.
    OrderedSubject,
    /// RFC 5256: who answers whom, and what is left by subject.
    References,
    /// draft-ietf-morg-inthread: who answers whom, the thread with the newest message last.
    Refs,
}

/// Threads as they are written, a list for each thread and for each of several answers to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    Begin,
    Message(Uid),
    End,
}

/// What one slice has come to.
#[derive(Clone, Debug)]
pub enum Threads {
    /// Ask again.
    Later,
    All(Vec<Thread>),
    /// More message-ids than `THREAD_IDS_MAX`.
    TooMany,
}

impl Reader {
    /// One slice of a THREAD.
    pub(super) fn thread(
        &self,
        mailbox: MailboxId,
        threading: &Arc<Threading>,
    ) -> Result<Threads, StoreError> {
        let Some((begun, stage)) = self.works.borrow_mut().take_thread(threading) else {
            return Ok(Threads::Later);
        };
        let mut work = Work::slice();
        let fields: &[Field] = match threading.by {
            ThreadBy::OrderedSubject => &[Field::Sent, Field::Subject],
            ThreadBy::References => &[Field::Sent, Field::Subject, Field::Reply, Field::Ids],
            ThreadBy::Refs => &[Field::Sent, Field::Arrival, Field::Ids],
        };
        let columns = self.columns_with(mailbox, fields, &[], threading.salt, &mut work)?;
        let Some(mut columns) = columns else {
            self.works.borrow_mut().keep_thread(threading, begun, stage);
            return Ok(Threads::Later);
        };
        if columns.fields().last_id() > limits::THREAD_IDS_MAX {
            return Ok(Threads::TooMany);
        }
        let mut threader = match stage {
            Stage::Threading(threader) if columns.begun == begun => threader,
            _ => Box::new(begin(threading, &columns, &mut work)),
        };
        let letters = InColumns { by: threading.by, columns: &columns };
        if !threader.advance(&letters, &mut work) {
            let begun = columns.begun;
            columns.await_more();
            self.works.borrow_mut().keep_thread(threading, begun, Stage::Threading(threader));
            return Ok(Threads::Later);
        }
        Ok(Threads::All(threader.into_tokens()))
    }
}

fn begin(threading: &Threading, columns: &Columns, work: &mut Work) -> Threader {
    let places = columns.places(&threading.uids);
    work.spend(places.len());
    let (ids, subjects) = (columns.fields().last_id() + 1, columns.fields().numbers(Field::Subject));
    Threader::new(threading.by, places, ids, subjects, &InColumns { by: threading.by, columns })
}

struct InColumns<'c> {
    by: ThreadBy,
    columns: &'c Columns,
}

impl Letters for InColumns<'_> {
    fn uid(&self, place: u32) -> Uid {
        self.columns.uid(place)
    }

    fn sent(&self, place: u32) -> u64 {
        self.columns.fields().key(Field::Sent, place)
    }

    fn letter(&self, place: u32) -> Letter<'_> {
        let fields = self.columns.fields();
        Letter { id: fields.message_id(place), references: fields.references(place) }
    }

    fn arrival(&self, place: u32) -> u64 {
        self.columns.fields().key(Field::Arrival, place)
    }

    fn subject(&self, place: u32) -> u32 {
        self.columns.fields().number(Field::Subject, place)
    }

    fn is_reply(&self, place: u32) -> bool {
        self.by == ThreadBy::References && self.columns.fields().is_reply(place)
    }
}
