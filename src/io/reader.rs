//! The reader thread: large or cold reads, one slice at a time, so that a slow disk is never the loop's wait.
//!
//! A bulk FETCH asks for slice after slice. While the loop writes one out, the thread reads the next, unless somebody else
//! has asked meanwhile: both work at once, and at most one slice is read in vain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::base::{Ticket, limits};
use crate::store::{Question, Reader, Reply, StoreError};

use super::inbox::{Inbox, Note, spawn};

/// The handle the loop keeps. Dropping the sender ends the thread after what it is doing.
pub struct ReaderThread {
    questions: Option<Sender<(Ticket, Question)>>,
    thread: Option<JoinHandle<()>>,
}

impl ReaderThread {
    pub fn start(store: Reader, inbox: &Inbox) -> std::io::Result<ReaderThread> {
        let (questions, waiting) = channel();
        let answers = inbox.clone();
        let thread = spawn("reader", inbox, move || work(&store, &waiting, &answers))?;
        Ok(ReaderThread { questions: Some(questions), thread: Some(thread) })
    }

    pub fn ask(&self, ticket: Ticket, question: Question) {
        if let Some(questions) = &self.questions {
            // A thread that is gone has said so through the inbox: the process is about to end.
            let _ = questions.send((ticket, question));
        }
    }

    pub fn stop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Asked = (Ticket, Question);
type Answered = Result<Reply, StoreError>;

fn work(store: &Reader, questions: &Receiver<Asked>, inbox: &Inbox) {
    let mut ahead: Option<(Question, Answered)> = None;
    let mut waiting = None;
    while let Some((ticket, question)) = waiting.take().or_else(|| next(store, questions)) {
        let result = match ahead.take() {
            Some((expected, result)) if is_same(&expected, &question) => result,
            _ => answer(store, &question),
        };
        let following = following(&question, &result);
        inbox.put(Note::Read(ticket, result));
        waiting = questions.try_recv().ok();
        if let Some(question) = following.filter(|_| waiting.is_none()) {
            let result = answer(store, &question);
            ahead = Some((question, result));
        }
    }
}

/// A question that makes the store panic gets an error for an answer, and the next one is heard.
fn answer(store: &Reader, question: &Question) -> Answered {
    let result = catch_unwind(AssertUnwindSafe(|| store.answer(question))).unwrap_or_else(|_| {
        log::error!("a read panicked: {question:?}");
        Err(StoreError::Broken("this read failed inside the server".into()))
    });
    store.end_turn();
    result
}

/// What a FETCH that has got these rows will ask next. Other reads are not guessed.
fn following(question: &Question, result: &Answered) -> Option<Question> {
    let (Question::Rows { mailbox, account, uids, columns, .. }, Ok(Reply::Rows(rows))) = (question, result)
    else {
        return None;
    };
    let (mailbox, account, columns, uids) = (*mailbox, *account, *columns, uids.clone());
    rows.next.map(|from| Question::Rows { mailbox, account, uids, from, columns })
}

/// The same question of the same command: one that comes later has a set of its own, and is read afresh.
fn is_same(expected: &Question, asked: &Question) -> bool {
    match (expected, asked) {
        (
            Question::Rows { mailbox, account, uids, from, columns },
            Question::Rows { mailbox: m, account: a, uids: u, from: f, columns: c },
        ) => (mailbox, account, from, columns) == (m, a, f, c) && Arc::ptr_eq(uids, u),
        _ => false,
    }
}

/// The next question. One that continues the last comes at once, so we look for it a short while before we sleep.
/// When none has come for a while, the thread rests.
fn next(store: &Reader, questions: &Receiver<Asked>) -> Option<Asked> {
    let begun = Instant::now();
    while begun.elapsed() < limits::ANSWER_SPIN {
        match questions.try_recv() {
            Ok(question) => return Some(question),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
        }
    }
    match questions.recv_timeout(limits::REST_AFTER) {
        Err(RecvTimeoutError::Timeout) => store.rest(),
        asked => return asked.ok(),
    }
    questions.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AccountId, MailboxId, Uid, UidSet};
    use crate::store::{Columns, Rows};

    fn rows(uids: &Arc<UidSet>, from: u32) -> Question {
        let (mailbox, account, columns) = (MailboxId(1), AccountId(1), Columns::default());
        Question::Rows { mailbox, account, uids: uids.clone(), from: Uid(from), columns }
    }

    #[test]
    fn what_was_read_ahead_answers_that_command_and_no_other() {
        let uids = Arc::new(UidSet::range(1..=9));
        let reply = Rows { next: Some(Uid(5)), ..Rows::default() };
        let expected = following(&rows(&uids, 1), &Ok(Reply::Rows(reply))).expect("there is more");
        assert!(is_same(&expected, &rows(&uids, 5)));
        assert!(!is_same(&expected, &rows(&uids, 6)), "another place");
        assert!(!is_same(&expected, &rows(&Arc::new(UidSet::range(1..=9)), 5)), "another command");
        assert!(following(&rows(&uids, 5), &Ok(Reply::Rows(Rows::default()))).is_none(), "the end");
    }
}
