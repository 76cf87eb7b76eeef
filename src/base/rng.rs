//! Chance comes in by the door. One generator per process, seeded by io from the system or by the simulator from
//! its seed; good enough for secrets, and the same seed gives the same stream.

use ring::hmac;

/// HMAC-SHA-256 in counter mode: every block is the keyed hash of the next number.
pub struct Rng {
    key: hmac::Key,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

const LETTERS_AND_DIGITS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

impl Rng {
    pub fn new(seed: &[u8; 32]) -> Rng {
        Rng { key: hmac::Key::new(hmac::HMAC_SHA256, seed), counter: 0, block: [0; 32], used: 32 }
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                self.refill();
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    pub fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number in `0..bound`, without bias. `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let fair = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.u64();
            if drawn < fair {
                return drawn % bound;
            }
        }
    }

    /// A secret of letters and digits only: odd characters in passwords break some clients.
    pub fn letters_and_digits(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(LETTERS_AND_DIGITS[self.below(62) as usize])).collect()
    }

    fn refill(&mut self) {
        let tag = hmac::sign(&self.key, &self.counter.to_le_bytes());
        self.block.copy_from_slice(tag.as_ref());
        self.counter += 1;
        self.used = 0;
    }
}
