//! A stream of bytes becomes a `NewBody`. Used by whatever takes a message in: SMTP DATA and BDAT, IMAP APPEND.
//!
//! At most one slice of a message is in memory. While a body fits into one slice it stays here and travels inside its
//! Deliver or Append: one commit. When more bytes come, the full slice is staged first, as a small write of its own.
//!
//! ```text
//! loop {
//!     taken = intake.feed(bytes, budget)          consume `taken` from the input
//!     if taken < bytes.len() {
//!         match intake.stage() {
//!             Some(write) => Want::Commit(write); intake.staged(answer)?
//!             None => wait: the memory of the server is all in use; the bytes stay in the socket
//!         }
//!     }
//! }
//! match intake.finish() {
//!     Ok(body) => Want::Commit(Deliver { body, .. }), then budget.give(budget.held())
//!     Err(last) => Want::Commit(last.write); last.intake.staged(answer)?; finish again
//! }
//! ```
//!
//! The budget is taken as the slice grows and never given back here: the bytes are in memory until the write that
//! carries them is answered. The session then gives all it holds back.

use std::cell::RefCell;

use ring::digest;

use crate::base::limits::{SLICE_BYTES, SLICE_BYTES_FIRST, ZSTD_LEVEL};
use crate::base::{BodyId, Wall};
use crate::mime::summary::Summarizer;
use crate::session::Budget;
use crate::store::{Done, NewBody, Refused, Slice, Write};

/// A body on its way in.
pub struct Intake {
    now: Wall,
    /// Bytes that are in no slice of the file yet; `slice.len() <= reserved <= SLICE_BYTES`.
    slice: Vec<u8>,
    /// What we hold of the budget.
    reserved: usize,
    /// Where full slices went; `None` while all bytes are in `slice`.
    body: Option<BodyId>,
    /// Slices that have been handed out by `stage` or `finish`.
    slices: u32,
    size: u64,
    sha256: digest::Context,
    summarizer: Summarizer,
}

/// The last slice of a staged body: commit `write`, tell `intake` the answer, and finish again.
pub struct Last {
    pub intake: Intake,
    pub write: Write,
}

impl Intake {
    /// `now` is when staging begins, for the sweep of what is never finished.
    pub fn new(now: Wall) -> Intake {
        Intake {
            now,
            slice: Vec::new(),
            reserved: 0,
            body: None,
            slices: 0,
            size: 0,
            sha256: digest::Context::new(&digest::SHA256),
            summarizer: Summarizer::new(),
        }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes what it can and says how much that was: less than all when a full slice must be staged first, or when
    /// the budget is used up.
    pub fn feed(&mut self, bytes: &[u8], budget: &mut Budget) -> usize {
        let taken = self.reserve(bytes.len(), budget);
        let bytes = &bytes[..taken];
        self.slice.extend_from_slice(bytes);
        self.sha256.update(bytes);
        self.summarizer.feed(bytes);
        self.size += taken as u64;
        taken
    }

    /// How many of `wanted` bytes `feed` will take now. For those who must know before they decode.
    pub fn reserve(&mut self, wanted: usize, budget: &mut Budget) -> usize {
        let needed = (self.slice.len() + wanted).min(SLICE_BYTES);
        if needed > self.reserved && !self.grow(needed, budget) {
            return self.reserved - self.slice.len();
        }
        needed - self.slice.len()
    }

    /// A full slice that must be committed before more is taken.
    pub fn stage(&mut self) -> Option<Write> {
        (self.slice.len() == SLICE_BYTES).then(|| self.take_slice())
    }

    /// What became of the slice that `stage` or `finish` gave out. After a refusal the body is lost: abandon it.
    pub fn staged(&mut self, result: Result<Done, Refused>) -> Result<(), Refused> {
        match result? {
            Done::Staged(body) => {
                self.body = Some(body);
                Ok(())
            }
            other => Err(Refused::Broken(format!("staging a slice was answered with {other:?}"))),
        }
    }

    /// The whole body, or one more slice to commit before it is whole.
    pub fn finish(mut self) -> Result<NewBody, Box<Last>> {
        if self.body.is_some() && !self.slice.is_empty() {
            let write = self.take_slice();
            return Err(Box::new(Last { intake: self, write }));
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        let summary = self.summarizer.finish();
        Ok(match self.body {
            None => NewBody::Inline { slice: pack(self.slice), sha256, summary },
            Some(body) => NewBody::Staged { body, size: self.size, sha256, summary },
        })
    }

    /// Gives the body up. What is staged already is discarded by the write.
    pub fn abandon(self) -> Option<Write> {
        self.body.map(|body| Write::Discard { body })
    }

    fn take_slice(&mut self) -> Write {
        let slice = pack(std::mem::take(&mut self.slice));
        let seq = self.slices;
        self.slices += 1;
        Write::Stage { body: self.body, seq, slice, now: self.now }
    }

    /// Doubles the room until `needed` bytes fit. Nobody grows who could not also fill a whole slice with what is free
    /// now: so whoever grew last can always go on, stage, finish and give back, and no crowd of half-filled slices
    /// waits for each other for ever.
    fn grow(&mut self, needed: usize, budget: &mut Budget) -> bool {
        if !budget.take(SLICE_BYTES - self.reserved) {
            return false;
        }
        self.reserved = needed.next_power_of_two().clamp(SLICE_BYTES_FIRST, SLICE_BYTES);
        budget.give(SLICE_BYTES - self.reserved);
        self.slice.reserve_exact(self.reserved - self.slice.len());
        true
    }
}

thread_local! {
    /// Making a compressor costs more than compressing 10 KiB with it. `None` if zstd could not allocate one.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
        RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok());
}

/// A slice as it will lie in the file: compressed if that saves a tenth.
fn pack(bytes: Vec<u8>) -> Slice {
    // A slice is at most SLICE_BYTES long, which fits.
    let length = bytes.len() as u32;
    match compress(&bytes) {
        Some(stored) => Slice { stored, compressed: true, length },
        None => Slice { stored: bytes, compressed: false, length },
    }
}

/// Fails when the result would not fit into nine tenths of the room: that is the test of whether it is worth it.
fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stored = Vec::with_capacity(bytes.len() - bytes.len().div_ceil(10));
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.as_mut().and_then(|compressor| compressor.compress_to_buffer(bytes, &mut stored).ok())
    })?;
    Some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::BODY_BUDGET_BYTES;

    /// Stages like a writer that never refuses, and gives the plain bytes of all slices back.
    fn take_in(bytes: &[u8], piece: usize) -> (NewBody, Vec<u8>) {
        let mut budget = Budget::lend(BODY_BUDGET_BYTES, 0);
        let mut intake = Intake::new(Wall(0));
        let mut stored = Vec::new();
        let mut keep = |intake: &mut Intake, write: Write| {
            let Write::Stage { body, seq, slice, .. } = write else { panic!("not a slice") };
            assert_eq!(body.is_none(), seq == 0);
            stored.extend(plain(&slice));
            intake.staged(Ok(Done::Staged(BodyId(7)))).expect("staged");
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = intake.feed(&rest[..piece.min(rest.len())], &mut budget);
            rest = &rest[taken..];
            if taken == 0 {
                let write = intake.stage().expect("full");
                keep(&mut intake, write);
            }
        }
        assert_eq!(intake.size(), bytes.len() as u64);
        let body = match intake.finish() {
            Ok(body) => body,
            Err(last) => {
                let mut intake = last.intake;
                keep(&mut intake, last.write);
                intake.finish().map_err(|_| "more").expect("whole")
            }
        };
        if let NewBody::Inline { slice, .. } = &body {
            stored.extend(plain(slice));
        }
        (body, stored)
    }

    fn plain(slice: &Slice) -> Vec<u8> {
        if !slice.compressed {
            return slice.stored.clone();
        }
        zstd::bulk::decompress(&slice.stored, slice.length as usize).expect("a frame")
    }

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_the_pieces() {
        let text: Vec<u8> = (0..3 * SLICE_BYTES + 5).map(|i| (i * i / 7 % 64) as u8 + 32).collect();
        for size in [0, 1, 10_000, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES, text.len()]
        {
            for piece in [1_000, 65_536, SLICE_BYTES * 2] {
                let (body, stored) = take_in(&text[..size], piece);
                assert_eq!(stored, &text[..size], "size {size} piece {piece}");
                assert_eq!(matches!(body, NewBody::Inline { .. }), size <= SLICE_BYTES, "size {size}");
                let (NewBody::Inline { sha256, .. } | NewBody::Staged { sha256, .. }) = body else {
                    panic!("an intake parks nothing")
                };
                assert_eq!(sha256, digest::digest(&digest::SHA256, &text[..size]).as_ref());
            }
        }
    }

    #[test]
    fn noise_is_stored_plain() {
        let mut rng = crate::base::Rng::new(&[1; 32]);
        let mut noise = vec![0; 10_000];
        rng.fill(&mut noise);
        assert!(!pack(noise).compressed);
        assert!(pack(b"text ".repeat(100)).compressed);
        assert!(!pack(Vec::new()).compressed);
    }

    #[test]
    fn an_empty_budget_takes_nothing_and_a_crowd_does_not_lock_itself_out() {
        let mut free = BODY_BUDGET_BYTES;
        let mut held = vec![0; 5_000];
        let mut crowd: Vec<Intake> = held.iter().map(|_| Intake::new(Wall(0))).collect();
        let mut sent = vec![0; held.len()];
        let chunk = vec![b'x'; SLICE_BYTES / 16];
        let mut done = 0;
        // Everybody wants to bring a whole slice, all in step.
        for _ in 0..100_000 {
            for index in 0..crowd.len() {
                let mut budget = Budget::lend(free, held[index]);
                sent[index] += crowd[index].feed(&chunk, &mut budget);
                (free, held[index]) = (budget.free(), budget.held());
                if crowd[index].stage().is_some() {
                    budget.give(held[index]);
                    (free, held[index]) = (budget.free(), 0);
                    crowd[index] = Intake::new(Wall(0));
                    done += 1;
                }
            }
            if done > 100 {
                return;
            }
        }
        panic!("only {done} went through");
    }

    #[test]
    fn a_refused_slice_ends_the_body() {
        let mut intake = Intake::new(Wall(0));
        let mut budget = Budget::lend(BODY_BUDGET_BYTES, 0);
        let bytes = vec![b'x'; SLICE_BYTES + 1];
        assert_eq!(intake.feed(&bytes, &mut budget), SLICE_BYTES);
        assert!(intake.stage().is_some());
        assert_eq!(intake.staged(Err(Refused::DiskFull)), Err(Refused::DiskFull));
        assert_eq!(intake.abandon(), None);
    }
}
