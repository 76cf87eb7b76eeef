//! Work on many messages that is done some at a time, so that the reader thread answers others in between.

use std::cmp::Ordering;

use crate::base::limits;

/// What may still be done in this slice, in steps of some nanoseconds each.
pub struct Work {
    left: usize,
}

impl Work {
    /// What one slice may do.
    pub fn slice() -> Work {
        Work { left: limits::WORK_PER_SLICE }
    }

    #[cfg(test)]
    pub fn of(steps: usize) -> Work {
        Work { left: steps }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    pub fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
    }
}

/// A merge sort that can be put down and taken up again.
pub struct Sorting<T> {
    items: Vec<T>,
    /// Runs of this many items are in order. 0: no run is yet.
    run: usize,
    /// The runs of this pass as far as they are merged, and where it goes on in the left and the right one.
    merged: Vec<T>,
    left: usize,
    right: usize,
}

/// Items that are sorted in one go: some 100 microseconds.
const CHUNK: usize = 2_048;
/// What comparing costs there for each item, in steps.
const CHUNK_COST: usize = 4;

impl<T: Copy> Sorting<T> {
    pub fn new(items: Vec<T>) -> Sorting<T> {
        Sorting { items, run: 0, merged: Vec::new(), left: 0, right: 0 }
    }

    /// Goes on while there is work to be spent; true when all is in order. `compare` must be the same each time and tell
    /// any two items apart.
    pub fn advance(&mut self, work: &mut Work, compare: impl Fn(&T, &T) -> Ordering) -> bool {
        while self.run == 0 {
            let Some(rest) = self.items.get_mut(self.left..).filter(|rest| !rest.is_empty()) else {
                (self.run, self.left) = (CHUNK, 0);
                break;
            };
            if work.is_done() {
                return false;
            }
            let count = rest.len().min(CHUNK);
            rest[..count].sort_unstable_by(&compare);
            self.left += count;
            work.spend(count * CHUNK_COST);
        }
        while self.run < self.items.len() {
            if self.merged.is_empty() {
                self.merged.reserve_exact(self.items.len());
                (self.left, self.right) = (0, self.run);
            }
            if !self.merge(work, &compare) {
                return false;
            }
            std::mem::swap(&mut self.items, &mut self.merged);
            self.merged.clear();
            self.run *= 2;
        }
        true
    }

    /// One pass: every two runs become one. False when the work is spent before its end.
    fn merge(&mut self, work: &mut Work, compare: &impl Fn(&T, &T) -> Ordering) -> bool {
        let count = self.items.len();
        while self.merged.len() < count {
            if work.is_done() {
                return false;
            }
            let begin = self.merged.len() / (2 * self.run) * (2 * self.run);
            let (middle, end) = ((begin + self.run).min(count), (begin + 2 * self.run).min(count));
            let before = self.merged.len();
            let until = end.min(before + CHUNK);
            while self.merged.len() < until {
                let from_left = match (self.left < middle, self.right < end) {
                    (true, true) => compare(&self.items[self.left], &self.items[self.right]).is_le(),
                    (left, _) => left,
                };
                let place = if from_left { &mut self.left } else { &mut self.right };
                self.merged.push(self.items[*place]);
                *place += 1;
            }
            work.spend(until - before);
            if until == end {
                (self.left, self.right) = (end, end + self.run);
            }
        }
        true
    }

    /// The items, in order once `advance` has said so.
    pub fn into_items(self) -> Vec<T> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn any_number_of_items_is_sorted_in_slices() {
        let mut rng = Rng::new(&[2; 32]);
        let sizes = [0, 1, 2, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK - 1, 40_000];
        for size in sizes {
            let items: Vec<(u64, u32)> = (0..size as u32).map(|place| (rng.below(500), place)).collect();
            let mut expected = items.clone();
            expected.sort();
            let mut sorting = Sorting::new(items);
            let mut slices = 1;
            while !sorting.advance(&mut Work { left: 3_000 }, Ord::cmp) {
                slices += 1;
            }
            assert!(slices >= size / 2_000, "{slices} slices for {size}");
            assert_eq!(sorting.into_items(), expected, "{size}");
        }
    }
}
