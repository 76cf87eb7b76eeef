//! The checkpointer thread: brings the log home into the file when the writer asks for it, beside the writer's commits.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::store::Checkpointer;

use super::inbox::{Inbox, spawn};
use super::writer::Told;

/// The handle the writer thread keeps.
pub struct CheckpointerThread {
    wanted: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CheckpointerThread {
    /// Tells `done` after each time, whatever has come of it: what is left is asked for again.
    pub fn start(
        store: Checkpointer,
        done: Sender<Told>,
        inbox: &Inbox,
    ) -> std::io::Result<CheckpointerThread> {
        let (wanted, waiting) = channel();
        let work = move || {
            while waiting.recv().is_ok() {
                if let Err(error) = store.run() {
                    log::warn!("the checkpoint did not work and is tried again later: {error}");
                }
                // A writer that is gone needs to hear nothing.
                let _ = done.send(Told::Checkpointed);
            }
        };
        Ok(CheckpointerThread { wanted: Some(wanted), thread: Some(spawn("checkpointer", inbox, work)?) })
    }

    pub fn ask(&self) {
        if let Some(wanted) = &self.wanted {
            // A thread that is gone has said so through the inbox: the process is about to end.
            let _ = wanted.send(());
        }
    }

    /// Waits for what it is doing, and ends it.
    pub fn stop(&mut self) {
        self.wanted = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
