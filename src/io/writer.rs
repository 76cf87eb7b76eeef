//! The writer thread: the one place from which a row changes while the server runs. It drains what is waiting, up to
//! the limits of a batch, commits once, and answers all of it. What comes in while one batch is being synced is the next
//! batch: that is how ten senders share one fsync. The log is brought home by a thread beside it (`checkpointer`), so that
//! nobody's commit waits for that.
//!
//! Slices of large uploads stand in a queue of their own, and small changes go before them: who delivers 10 KiB does not
//! wait behind 50 MB of somebody else's. Slices that were passed over once send one of them with the next batch. A
//! conversation waits for each slice before it says more of its upload, so nothing that belongs together changes order.
//! When the log is far ahead of the file, slices wait until it has been brought home: an upload is slowed down to what the
//! disk can take, and a small change is not.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use crate::base::{Ticket, limits};
use crate::store::{Checkpointer, NewBody, Write, Writer};

use super::checkpointer::CheckpointerThread;
use super::inbox::{Inbox, Note, spawn};

type Batch = Vec<(Ticket, Write)>;

/// When the writer looks how long the log is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Committed,
    Checkpointed,
    Quiet,
}

/// What the writer thread is told.
pub enum Told {
    Writes(Batch),
    /// The loop will send no more.
    End,
    /// The checkpointer has done what it could.
    Checkpointed,
}

/// The handle the loop keeps.
pub struct WriterThread {
    told: Sender<Told>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub fn start(store: Writer, beside: Checkpointer, inbox: &Inbox) -> std::io::Result<WriterThread> {
        let (told, arriving) = channel();
        let checkpointer = CheckpointerThread::start(beside, told.clone(), inbox)?;
        let answers = inbox.clone();
        let thread = spawn("writer", inbox, move || Work::new(store, checkpointer, arriving, answers).run())?;
        Ok(WriterThread { told, thread: Some(thread) })
    }

    /// In this order, after everything handed over before.
    pub fn commit(&self, writes: Batch) {
        // A thread that is gone has said so through the inbox: the process is about to end.
        let _ = self.told.send(Told::Writes(writes));
    }

    /// Commits what is waiting, checkpoints, and ends.
    pub fn stop(&mut self) {
        let _ = self.told.send(Told::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    store: Writer,
    checkpointer: CheckpointerThread,
    /// The checkpointer is at work.
    checkpointing: bool,
    /// Bytes of the log that were not in the file after the last batch.
    log_waiting: u64,
    arriving: Receiver<Told>,
    waiting: VecDeque<(Ticket, Write)>,
    slices: VecDeque<(Ticket, Write)>,
    /// The last batch went before slices that were waiting.
    passed_over: bool,
    inbox: Inbox,
    /// Something was committed since the last checkpoint in a quiet moment.
    dirty: bool,
    ending: bool,
}

impl Work {
    fn new(store: Writer, checkpointer: CheckpointerThread, arriving: Receiver<Told>, inbox: Inbox) -> Work {
        Work {
            store,
            checkpointer,
            checkpointing: false,
            log_waiting: 0,
            arriving,
            waiting: VecDeque::new(),
            slices: VecDeque::new(),
            passed_over: false,
            inbox,
            dirty: false,
            ending: false,
        }
    }

    fn run(mut self) {
        while self.fetch() {
            let batch = self.next_batch();
            self.commit(batch);
            self.look_after_log(Moment::Committed);
            self.dirty = true;
        }
        // The writer's connection is the last to close, which leaves a single file behind.
        self.checkpointer.stop();
        if let Err(error) = self.store.checkpoint(true) {
            log::warn!("the last checkpoint did not work: the log stays beside the file: {error}");
        }
    }

    /// Waits until there is something to commit. `false`: nothing will come any more. After the last batch it waits
    /// once with a timeout, to checkpoint in the quiet; then without, so that an idle server never wakes.
    fn fetch(&mut self) -> bool {
        while self.waiting.is_empty() && (self.slices.is_empty() || self.slices_must_wait()) {
            if self.ending && self.slices.is_empty() {
                return false;
            }
            let told = if self.dirty && !self.checkpointing {
                self.arriving.recv_timeout(limits::CHECKPOINT_AFTER)
            } else {
                self.arriving.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match told {
                Ok(told) => self.hear(told),
                Err(RecvTimeoutError::Timeout) => {
                    self.look_after_log(Moment::Quiet);
                    self.dirty = false;
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.waiting.len() < limits::BATCH_WRITES_MAX {
            let Ok(told) = self.arriving.try_recv() else { break };
            self.hear(told);
        }
        true
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Writes(writes) => self.sort(writes),
            Told::End => self.ending = true,
            Told::Checkpointed => {
                self.checkpointing = false;
                self.look_after_log(Moment::Checkpointed);
            }
        }
    }

    /// The log is far ahead of the file, and somebody is doing something about it.
    fn slices_must_wait(&self) -> bool {
        self.checkpointing && self.log_waiting >= limits::WAL_SLICES_WAIT_BYTES
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
            _ if self.slices_must_wait() => 0,
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

    fn look_after_log(&mut self, moment: Moment) {
        match self.store.checkpoint_beside(self.checkpointing, moment == Moment::Quiet) {
            Ok(home) => {
                self.log_waiting = home.waiting;
                // Where it has just failed it is asked again after the next commit, not at once.
                if home.wanted && moment != Moment::Checkpointed {
                    self.checkpointing = true;
                    self.checkpointer.ask();
                }
            }
            Err(error) => log::warn!("the checkpoint did not work and is tried again later: {error}"),
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
        let file = OpenOptions::new(dir.path().join("w.db"));
        let store = Writer::create(file.clone()).expect("a file");
        let beside = Checkpointer::open(file).expect("the same file");
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let inbox = Inbox::new(waker);
        let (told, arriving) = channel();
        let checkpointer = CheckpointerThread::start(beside, told, &inbox).expect("a thread");
        let mut work = Work::new(store, checkpointer, arriving, inbox);
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
        assert_eq!(batch(&mut work), [2, 3]);
        assert_eq!(batch(&mut work), [0u64; 0]);
    }

    #[test]
    fn slices_wait_for_the_log_and_small_changes_do_not() {
        let mut work = work(vec![slice(1), small(2)]);
        (work.checkpointing, work.log_waiting) = (true, limits::WAL_SLICES_WAIT_BYTES);
        assert_eq!(batch(&mut work), [2]);
        work.sort(vec![small(3)]);
        assert_eq!(batch(&mut work), [3], "also where it was passed over before");
        assert!(work.slices_must_wait());
        work.hear(Told::Checkpointed);
        assert_eq!(batch(&mut work), [1]);
    }
}
