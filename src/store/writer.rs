//! The one handle that changes the file: group commit and its own checkpoints.

use crate::base::Ticket;

use super::{Outcome, StoreError, Write};

/// The writing connection. `serve` has one on the writer thread; a command without a server has its own.
pub struct Writer {
    _private: (),
}

#[allow(unused_variables)]
impl Writer {
    /// Applies each write in its own savepoint, commits once, and returns after the one fsync. A write that panics or
    /// is refused leaves nothing behind and the others go through. `Err` means that nothing of the batch is known to
    /// be durable: the caller must answer nobody with success.
    pub fn commit(&mut self, batch: Vec<(Ticket, Write)>) -> Result<Vec<(Ticket, Outcome)>, StoreError> {
        todo!()
    }

    /// After a batch has been answered: PASSIVE above 4 MiB of WAL or when `idle`, TRUNCATE above 64 MiB.
    pub fn checkpoint(&mut self, idle: bool) -> Result<(), StoreError> {
        todo!()
    }
}
