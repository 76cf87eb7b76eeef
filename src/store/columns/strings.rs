//! The different strings of one field, each kept once: messages hold its number. Strings are compared by rank, which is
//! worked out when it is first asked for and brought up to date when strings have come since.

use std::hash::{DefaultHasher, Hasher};

use crate::base::limits;
use crate::store::work::{Sorting, Work};

/// Number 0 is the empty string.
#[derive(Default)]
pub struct Strings {
    text: Vec<u8>,
    /// Where each ends in `text`; the one before ends where it begins.
    ends: Vec<u32>,
    hashes: Vec<u32>,
    table: Table,
    /// Numbers in order of their strings, as far as they are ranked.
    sorted: Vec<u32>,
    /// Where each stands in `sorted`.
    ranks: Vec<u32>,
    sorting: Option<Sorting<(u64, u32)>>,
}

/// Few enough new strings to put each in its place, rather than sort all again.
const NEW_PLACED: usize = 1_024;

impl Strings {
    /// The number of a string, of which `SORT_STRING_BYTES_MAX` are looked at.
    pub fn number(&mut self, string: &str, salt: u64) -> u32 {
        if self.ends.is_empty() {
            self.ends.push(0);
            self.hashes.push(0);
        }
        let bytes = &string.as_bytes()[..string.floor_char_boundary(limits::SORT_STRING_BYTES_MAX)];
        let Ok(end) = u32::try_from(self.text.len() + bytes.len()) else { return 0 };
        if bytes.is_empty() {
            return 0;
        }
        let hash = hash(bytes, salt) as u32;
        let same = |number: u32| self.hashes[number as usize] == hash && self.get(number) == bytes;
        match self.table.find(u64::from(hash), same) {
            Ok(number) => number,
            Err(slot) => {
                let number = self.ends.len() as u32;
                self.text.extend_from_slice(bytes);
                self.ends.push(end);
                self.hashes.push(hash);
                self.table.put(slot, number);
                let hashes = &self.hashes;
                self.table.grow(|number| u64::from(hashes[number as usize]));
                number
            }
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.ends.len().max(1)
    }

    fn get(&self, number: u32) -> &[u8] {
        let end = self.ends.get(number as usize).map_or(0, |end| *end as usize);
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before as usize] as usize);
        &self.text[begin..end]
    }

    /// The beginning of a string as a number that compares like it.
    fn beginning(&self, number: u32) -> u64 {
        let mut eight = [0; 8];
        let bytes = self.get(number);
        let count = bytes.len().min(8);
        eight[..count].copy_from_slice(&bytes[..count]);
        u64::from_be_bytes(eight)
    }

    /// Works at the ranks; true when every number has one.
    pub fn rank_all(&mut self, work: &mut Work) -> bool {
        let new = self.len() - self.sorted.len();
        if new == 0 {
            return true;
        }
        if self.sorting.is_none() && new <= NEW_PLACED {
            self.place_new(work);
            return true;
        }
        let mut sorting = self.sorting.take().unwrap_or_else(|| {
            let all = 0..self.len() as u32;
            work.spend(self.len());
            Sorting::new(all.map(|number| (self.beginning(number), number)).collect())
        });
        let through = sorting.advance(work, |a, b| {
            a.0.cmp(&b.0).then_with(|| self.get(a.1).cmp(self.get(b.1))).then(a.1.cmp(&b.1))
        });
        if !through {
            self.sorting = Some(sorting);
            return false;
        }
        self.sorted = sorting.into_items().into_iter().map(|(_, number)| number).collect();
        self.set_ranks(work);
        // What has come since it began is placed now.
        self.rank_all(work)
    }

    fn place_new(&mut self, work: &mut Work) {
        let mut new: Vec<u32> = (self.sorted.len() as u32..self.len() as u32).collect();
        new.sort_unstable_by(|a, b| self.get(*a).cmp(self.get(*b)));
        let mut sorted = Vec::with_capacity(self.sorted.len() + new.len());
        let mut rest = self.sorted.as_slice();
        for number in new {
            let before = rest.partition_point(|known| self.get(*known) < self.get(number));
            sorted.extend_from_slice(&rest[..before]);
            sorted.push(number);
            rest = &rest[before..];
        }
        sorted.extend_from_slice(rest);
        self.sorted = sorted;
        self.set_ranks(work);
    }

    fn set_ranks(&mut self, work: &mut Work) {
        self.ranks.resize(self.sorted.len(), 0);
        for (rank, number) in (0..).zip(&self.sorted) {
            self.ranks[*number as usize] = rank;
        }
        work.spend(self.sorted.len());
    }

    /// Where a string stands among the others; all must be ranked.
    pub fn rank(&self, number: u32) -> u32 {
        self.ranks[number as usize]
    }

    pub fn bytes(&self) -> usize {
        let numbers = self.ends.len() + self.hashes.len() + self.sorted.len() + self.ranks.len();
        self.text.capacity() + numbers * size_of::<u32>() + self.table.bytes()
    }
}

/// Different message-ids, by a keyed hash of 128 bits: two ids with the same are not to be had, neither by chance nor on
/// purpose. Number 0 is no id.
#[derive(Default)]
pub struct Ids {
    hashes: Vec<u128>,
    table: Table,
}

impl Ids {
    /// Room for so many ids, if there are none yet.
    pub fn reserve(&mut self, count: usize) {
        if self.hashes.is_empty() {
            self.hashes.reserve(count);
            self.table.slots = vec![0; (2 * count).next_power_of_two().max(SLOTS_FIRST)];
        }
    }

    pub fn number(&mut self, id: &[u8], salt: u64) -> u32 {
        if id.is_empty() {
            return 0;
        }
        let (low, high) = (hash(id, salt), hash(id, salt ^ u64::MAX));
        let whole = u128::from(high) << 64 | u128::from(low);
        let same = |number: u32| self.hashes[number as usize - 1] == whole;
        match self.table.find(low, same) {
            Ok(number) => number,
            Err(slot) => {
                self.hashes.push(whole);
                let number = self.hashes.len() as u32;
                self.table.put(slot, number);
                let hashes = &self.hashes;
                self.table.grow(|number| hashes[number as usize - 1] as u64);
                number
            }
        }
    }

    #[cfg(test)]
    pub fn pretend(&mut self, count: usize) {
        self.hashes.resize(count, 0);
    }

    /// The highest number.
    pub fn last(&self) -> usize {
        self.hashes.len()
    }

    pub fn bytes(&self) -> usize {
        self.hashes.capacity() * size_of::<u128>() + self.table.bytes()
    }
}

/// The salt is not known outside, so that nobody can make strings whose hashes collide.
fn hash(bytes: &[u8], salt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(salt);
    hasher.write(bytes);
    hasher.finish()
}

/// Numbers (never 0) by hash, with open addressing; at most half full.
#[derive(Default)]
struct Table {
    /// 0 is free. The length is a power of two.
    slots: Vec<u32>,
    used: usize,
}

const SLOTS_FIRST: usize = 64;

impl Table {
    /// The number for which `same` holds, or the slot where it would go.
    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = hash as usize & mask;
        while let Some(&number) = self.slots.get(slot) {
            match number {
                0 => return Err(slot),
                number if same(number) => return Ok(number),
                _ => slot = (slot + 1) & mask,
            }
        }
        // Nothing has been put in yet.
        Err(hash as usize & (SLOTS_FIRST - 1))
    }

    fn put(&mut self, slot: usize, number: u32) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS_FIRST, 0);
        }
        self.slots[slot] = number;
        self.used += 1;
    }

    /// Makes room for as many again, once it is half full.
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        if self.used * 2 < self.slots.len() {
            return;
        }
        let old = std::mem::take(&mut self.slots);
        self.slots.resize(old.len() * 2, 0);
        self.used = 0;
        for number in old.into_iter().filter(|number| *number != 0) {
            if let Err(slot) = self.find(hash_of(number), |_| false) {
                self.put(slot, number);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn equal_strings_have_one_number_and_ranks_compare_like_strings() {
        let mut rng = Rng::new(&[9; 32]);
        let mut strings = Strings::default();
        let mut known: Vec<(u32, String)> = vec![(0, String::new())];
        for round in 0..6 {
            for _ in 0..if round % 2 == 0 { 30 } else { 3_000 } {
                let length = rng.below(14) as usize;
                let text: String =
                    (0..length).map(|_| ["A", "B", "ÄÖ", "\0"][rng.below(4) as usize]).collect();
                let number = strings.number(&text, 5);
                match known.iter().find(|(_, other)| *other == text) {
                    Some((before, _)) => assert_eq!(number, *before),
                    None => known.push((number, text)),
                }
            }
            while !strings.rank_all(&mut Work::slice()) {}
            known.sort_by(|a, b| a.1.cmp(&b.1));
            assert!(known.is_sorted_by_key(|(number, _)| strings.rank(*number)));
            let all: std::collections::BTreeSet<u32> = known.iter().map(|(number, _)| *number).collect();
            assert_eq!((all.len(), strings.len()), (known.len(), known.len()));
        }
    }

    #[test]
    fn of_a_long_string_the_beginning_counts() {
        let mut strings = Strings::default();
        let long = "é".repeat(limits::SORT_STRING_BYTES_MAX);
        let number = strings.number(&long, 1);
        assert_eq!(strings.number(&format!("{long}x"), 1), number);
        assert_ne!(strings.number("é", 1), number);
    }

    #[test]
    fn equal_ids_have_one_number() {
        let mut ids = Ids::default();
        let numbers: Vec<u32> =
            (0..5_000).map(|n| ids.number(format!("{}@x", n % 2_500).as_bytes(), 3)).collect();
        assert!((0..2_500).all(|n| numbers[n] == n as u32 + 1 && numbers[n + 2_500] == numbers[n]));
        assert_eq!((ids.number(b"", 3), ids.last()), (0, 2_500));
    }
}
