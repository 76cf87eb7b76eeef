//! Server-wide memory for message bodies in flight. The engine keeps the books per connection, so that a session
//! that panics or vanishes gives back what it held.

/// What one connection may still take, and has taken, of the shared pool.
#[derive(Debug)]
pub struct Budget {
    free: usize,
    held: usize,
    refused: bool,
}

impl Budget {
    /// The view of one connection for one step: `free` is what all share, `held` what this one has.
    pub fn lend(free: usize, held: usize) -> Budget {
        Budget { free, held, refused: false }
    }

    /// Takes `bytes` from the pool, or refuses: then leave the input where it is and try again later.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        if bytes > self.free {
            self.refused = true;
            return false;
        }
        self.free -= bytes;
        self.held += bytes;
        true
    }

    /// Gives back up to `bytes` of what this connection holds.
    pub fn give(&mut self, bytes: usize) {
        let given = bytes.min(self.held);
        self.held -= given;
        self.free += given;
    }

    /// A `take` was refused in this step. The engine then steps a session that waits for `Bytes` again as soon as
    /// others have given something back, without new bytes from the peer.
    pub fn refused(&self) -> bool {
        self.refused
    }

    pub fn held(&self) -> usize {
        self.held
    }

    pub fn free(&self) -> usize {
        self.free
    }
}
