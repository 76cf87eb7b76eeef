//! What the other threads tell the loop. One wake-up for however many notes lie there.

use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;

use crate::base::Ticket;
use crate::store::{Outcome, Reply, StoreError};

/// One thing that a thread has finished.
pub enum Note {
    Committed(Vec<(Ticket, Outcome)>),
    CommitFailed(Vec<Ticket>, StoreError),
    Read(Ticket, Result<Reply, StoreError>),
    Hashed(Ticket, Option<usize>),
    /// A thread has ended by a panic: the process must not go on half alive.
    Died(&'static str),
}

/// Many writers, one reader: the loop takes everything at once.
#[derive(Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
}

struct Shared {
    notes: Mutex<Vec<Note>>,
    waker: Waker,
}

impl Inbox {
    pub fn new(waker: Waker) -> Inbox {
        Inbox { shared: Arc::new(Shared { notes: Mutex::new(Vec::new()), waker }) }
    }

    pub fn put(&self, note: Note) {
        let mut notes = self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let first = notes.is_empty();
        notes.push(note);
        drop(notes);
        if first && let Err(error) = self.shared.waker.wake() {
            log::error!("the loop cannot be woken: {error}");
        }
    }

    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts a thread with a small stack. If it panics the loop is told, so that nothing waits for it for ever.
pub fn spawn(
    name: &'static str,
    inbox: &Inbox,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let inbox = inbox.clone();
    std::thread::Builder::new().name(name.into()).stack_size(crate::base::limits::THREAD_STACK_BYTES).spawn(
        move || {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                inbox.put(Note::Died(name));
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_noted_and_wakes_the_loop() {
        let mut poll = mio::Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let inbox = Inbox::new(waker);
        let thread = spawn("reader", &inbox, || panic!("on purpose")).expect("a thread");
        thread.join().expect("the fence holds");
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(std::time::Duration::from_secs(10))).expect("events");
        assert_eq!(events.iter().count(), 1);
        assert!(matches!(inbox.take().as_slice(), [Note::Died("reader")]));
        assert!(inbox.take().is_empty());
    }
}
