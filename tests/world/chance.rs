//! Chance for the simulated world: fast, seeded, the same on every machine. Not for secrets.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): one add and three mixes a number.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D }
    }

    pub fn u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.u64() % bound }
    }

    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True once in `n` times; never for 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// A heavy-tailed delay: mostly around `usual`, one in ten ten times that, one in a hundred a hundred times.
    pub fn delay(&mut self, usual: Duration) -> Duration {
        let stretch = match self.below(100) {
            0 => 100,
            1..10 => 10,
            _ => 1,
        };
        let micros = usual.as_micros() as u64 * stretch;
        Duration::from_micros(micros / 2 + self.below(micros.max(1)))
    }

    /// Another stream, so that one part's draws do not shift another's.
    pub fn fork(&mut self) -> Chance {
        Chance::new(self.u64())
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.u64() as u8).collect()
    }
}
