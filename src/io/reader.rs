//! The reader thread: large or cold reads, one slice at a time, so that a slow disk is never the loop's wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::base::{Ticket, limits};
use crate::store::{Question, Reader, StoreError};

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

/// A question that makes the store panic gets an error for an answer, and the next one is heard.
fn work(store: &Reader, questions: &Receiver<(Ticket, Question)>, inbox: &Inbox) {
    while let Some((ticket, question)) = next(questions) {
        let result = catch_unwind(AssertUnwindSafe(|| store.answer(&question))).unwrap_or_else(|_| {
            log::error!("a read panicked: {question:?}");
            Err(StoreError::Broken("this read failed inside the server".into()))
        });
        store.end_turn();
        inbox.put(Note::Read(ticket, result));
    }
}

/// The next question. One that continues the last comes at once, so we look for it a short while before we sleep.
fn next(questions: &Receiver<(Ticket, Question)>) -> Option<(Ticket, Question)> {
    let begun = Instant::now();
    while begun.elapsed() < limits::ANSWER_SPIN {
        match questions.try_recv() {
            Ok(question) => return Some(question),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => std::hint::spin_loop(),
        }
    }
    questions.recv().ok()
}
