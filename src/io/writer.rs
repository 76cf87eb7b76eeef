//! The writer thread: the one place from which a row changes while the server runs. It drains what is waiting, up to
//! the limits of a batch, commits once, answers all of it, and only then looks after the WAL. What comes in while one
//! batch is being synced is the next batch: that is how ten senders share one fsync.
//!
//! Slices of large uploads stand in a queue of their own, and small changes go before them: who delivers 10 KiB does not
//! wait behind 50 MB of somebody else's. Slices that were passed over once send one of them with the next batch. A
//! conversation waits for each slice before it says more of its upload, so nothing that belongs together changes order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use crate::base::{Ticket, limits};
use crate::store::{NewBody, Write, Writer};

use super::inbox::{Inbox, Note, spawn};

type Batch = Vec<(Ticket, Write)>;

/// The handle the loop keeps. Dropping the sender lets the thread commit what is waiting and end.
pub struct WriterThread {
    writes: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub fn start(store: Writer, inbox: &Inbox) -> std::io::Result<WriterThread> {
        let (writes, waiting) = channel();
        let answers = inbox.clone();
        let thread = spawn("writer", inbox, move || Work::new(store, waiting, answers).run())?;
        Ok(WriterThread { writes: Some(writes), thread: Some(thread) })
    }

    /// In this order, after everything handed over before.
    pub fn commit(&self, writes: Batch) {
        if let Some(sender) = &self.writes {
            // A thread that is gone has said so through the inbox: the process is about to end.
            let _ = sender.send(writes);
        }
    }

    /// Commits what is waiting, checkpoints, and ends.
    pub fn stop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    store: Writer,
    arriving: Receiver<Batch>,
    waiting: VecDeque<(Ticket, Write)>,
    slices: VecDeque<(Ticket, Write)>,
    /// The last batch went before slices that were waiting.
    passed_over: bool,
    inbox: Inbox,
    /// Something was committed since the last checkpoint in a quiet moment.
    dirty: bool,
}

impl Work {
    fn new(store: Writer, arriving: Receiver<Batch>, inbox: Inbox) -> Work {
        let (waiting, slices) = (VecDeque::new(), VecDeque::new());
        Work { store, arriving, waiting, slices, passed_over: false, inbox, dirty: false }
    }

    fn run(mut self) {
        while self.fetch() {
            let batch = self.next_batch();
            self.commit(batch);
            self.checkpoint(false);
            self.dirty = true;
        }
        self.checkpoint(true);
    }

    /// Waits until there is something to commit. `false`: nothing will come any more. After the last batch it waits
    /// once with a timeout, to checkpoint in the quiet; then without, so that an idle server never wakes.
    fn fetch(&mut self) -> bool {
        while self.waiting.is_empty() && self.slices.is_empty() {
            let arrived = if self.dirty {
                self.arriving.recv_timeout(limits::CHECKPOINT_AFTER)
            } else {
                self.arriving.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match arrived {
                Ok(writes) => self.sort(writes),
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint(true);
                    self.dirty = false;
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.waiting.len() < limits::BATCH_WRITES_MAX {
            let Ok(more) = self.arriving.try_recv() else { break };
            self.sort(more);
        }
        true
    }

    fn sort(&mut self, writes: Batch) {
        for (ticket, write) in writes {
            match write {
                Write::Stage { .. } => self.slices.push_back((ticket, write)),
                _ => self.waiting.push_back((ticket, write)),
            }
        }
    }

    fn next_batch(&mut self) -> Batch {
        let mut batch = self.small();
        let slices = match (batch.is_empty(), self.passed_over) {
            (true, _) => limits::BATCH_SLICES_MAX,
            (false, true) => 1,
            (false, false) => 0,
        };
        batch.extend(self.slices.drain(..slices.min(self.slices.len())));
        self.passed_over = slices == 0 && !self.slices.is_empty();
        batch
    }

    /// From the front of the small changes: as many as fit the limits, and at least one if there is any.
    fn small(&mut self) -> Batch {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((_, write)) = self.waiting.front() {
            bytes += payload_bytes(write);
            let full = batch.len() >= limits::BATCH_WRITES_MAX || bytes > limits::BATCH_BYTES_MAX;
            if full && !batch.is_empty() {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        batch
    }

    fn commit(&mut self, batch: Batch) {
        let tickets: Vec<Ticket> = batch.iter().map(|(ticket, _)| *ticket).collect();
        match self.store.commit(batch) {
            Ok(results) => self.inbox.put(Note::Committed(results)),
            Err(error) => {
                log::error!("a commit of {} changes failed: {error}", tickets.len());
                self.inbox.put(Note::CommitFailed(tickets, error));
            }
        }
    }

    fn checkpoint(&mut self, idle: bool) {
        if let Err(error) = self.store.checkpoint(idle) {
            log::warn!("the checkpoint did not work and is tried again later: {error}");
        }
    }
}

/// What a small change weighs in a batch: the bytes of the body it carries.
fn payload_bytes(write: &Write) -> usize {
    let inline = |body: &NewBody| match body {
        NewBody::Inline { slice, .. } => slice.stored.len(),
        NewBody::Staged { .. } | NewBody::Parked { .. } => 0,
    };
    write.bodies().map(inline).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{BodyId, Wall};
    use crate::store::{OpenOptions, Slice};

    fn work(writes: Batch) -> Work {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Writer::create(OpenOptions::new(dir.path().join("w.db"))).expect("a file");
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let (_, arriving) = channel();
        let mut work = Work::new(store, arriving, Inbox::new(waker));
        work.sort(writes);
        work
    }

    fn slice(ticket: u64) -> (Ticket, Write) {
        let slice = Slice { stored: vec![0; 100], compressed: false, length: 100 };
        (Ticket(ticket), Write::Stage { body: Some(BodyId(1)), seq: 0, slice, now: Wall(0) })
    }

    fn small(ticket: u64) -> (Ticket, Write) {
        (Ticket(ticket), Write::Discard { body: BodyId(1) })
    }

    fn batch(work: &mut Work) -> Vec<u64> {
        work.next_batch().into_iter().map(|(ticket, _)| ticket.0).collect()
    }

    #[test]
    fn small_changes_go_before_slices_but_never_twice() {
        let mut work = work(vec![slice(1), slice(2), slice(3), small(4), small(5)]);
        assert_eq!(batch(&mut work), [4, 5]);
        work.sort(vec![small(6)]);
        assert_eq!(batch(&mut work), [6, 1], "a slice that was passed over goes with the next");
        work.sort(vec![small(7)]);
        assert_eq!(batch(&mut work), [7]);
        assert_eq!(batch(&mut work), [2]);
        assert_eq!(batch(&mut work), [3]);
        assert_eq!(batch(&mut work), [0u64; 0]);
    }
}
