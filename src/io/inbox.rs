//! What the other threads tell the loop. One wake-up for however many notes lie there, and none for a loop that is awake
//! or is just about to look.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// There are notes. Set after they lie there, cleared before they are taken.
    any: AtomicBool,
    /// The loop sleeps, or has decided to: whoever brings a note must wake it.
    asleep: AtomicBool,
    waker: Waker,
}

impl Inbox {
    pub fn new(waker: Waker) -> Inbox {
        Inbox {
            shared: Arc::new(Shared {
                notes: Mutex::new(Vec::new()),
                any: AtomicBool::new(false),
                asleep: AtomicBool::new(false),
                waker,
            }),
        }
    }

    pub fn put(&self, note: Note) {
        self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        self.shared.any.store(true, Ordering::SeqCst);
        if self.shared.asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.shared.waker.wake()
        {
            log::error!("the loop cannot be woken: {error}");
        }
    }

    /// The loop is going to sleep. False if there is a note already: then it must not.
    ///
    /// Either this sees the note, or who brings it sees `asleep`: both store before they look.
    pub fn may_sleep(&self) -> bool {
        self.shared.asleep.store(true, Ordering::SeqCst);
        !self.shared.any.load(Ordering::SeqCst)
    }

    pub fn awake(&self) {
        self.shared.asleep.store(false, Ordering::SeqCst);
    }

    /// Looks again and again for a short while: an answer that is nearly there comes without the cost of falling asleep
    /// and being woken.
    pub fn watch(&self, longest: Duration) {
        let begun = Instant::now();
        while !self.shared.any.load(Ordering::Acquire) && begun.elapsed() < longest {
            std::hint::spin_loop();
        }
    }

    pub fn take(&self) -> Vec<Note> {
        self.shared.any.store(false, Ordering::SeqCst);
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
        assert!(inbox.may_sleep());
        let thread = spawn("reader", &inbox, || panic!("on purpose")).expect("a thread");
        thread.join().expect("the fence holds");
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(std::time::Duration::from_secs(10))).expect("events");
        assert_eq!(events.iter().count(), 1);
        assert!(matches!(inbox.take().as_slice(), [Note::Died("reader")]));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn a_note_that_came_before_going_to_sleep_is_not_slept_through() {
        let mut poll = mio::Poll::new().expect("a poll");
        let inbox = Inbox::new(Waker::new(poll.registry(), mio::Token(0)).expect("a waker"));
        inbox.put(Note::Died("reader"));
        assert!(!inbox.may_sleep(), "there is something to read");
        inbox.awake();
        assert_eq!(inbox.take().len(), 1);
        inbox.put(Note::Died("reader"));
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(std::time::Duration::ZERO)).expect("no events");
        assert_eq!(events.iter().count(), 0, "a loop that is awake is not woken");
    }
}
