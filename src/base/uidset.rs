//! Sets of uids (or sequence numbers) as ascending ranges: `1:5,9,12:20` costs three entries, however wide it is.

use std::ops::RangeInclusive;

/// Sorted, disjoint, non-adjacent ranges of non-zero numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    pub fn new() -> UidSet {
        UidSet::default()
    }

    pub fn range(range: RangeInclusive<u32>) -> UidSet {
        let mut set = UidSet::new();
        set.insert_range(*range.start(), *range.end());
        set
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// How many ranges the set is made of: what it costs.
    pub fn pieces(&self) -> usize {
        self.ranges.len()
    }

    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|range| range.0)
    }

    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|range| range.1)
    }

    pub fn contains(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.1 < number);
        self.ranges.get(after).is_some_and(|range| range.0 <= number)
    }

    pub fn insert(&mut self, number: u32) {
        self.insert_range(number, number);
    }

    /// Adds `first..=last`, merging what it touches. Cheap at the end, linear in pieces elsewhere.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        assert!(first >= 1 && first <= last, "range {first}:{last}");
        let from = self.ranges.partition_point(|range| range.1 < first - 1);
        let to = self.ranges.partition_point(|range| u64::from(range.0) <= u64::from(last) + 1);
        if from == to {
            self.ranges.insert(from, (first, last));
            return;
        }
        let merged = (first.min(self.ranges[from].0), last.max(self.ranges[to - 1].1));
        self.ranges.splice(from..to, [merged]);
    }

    pub fn remove(&mut self, number: u32) {
        let at = self.ranges.partition_point(|range| range.1 < number);
        let Some(&(first, last)) = self.ranges.get(at) else { return };
        if first > number {
            return;
        }
        let left = (first < number).then(|| (first, number - 1));
        let right = (number < last).then(|| (number + 1, last));
        self.ranges.splice(at..=at, left.into_iter().chain(right));
    }

    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.ranges.iter().map(|&(first, last)| first..=last)
    }

    /// The ranges from `number` on; one that `number` lies in is cut there.
    pub fn ranges_from(&self, number: u32) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        let after = self.ranges.partition_point(|range| range.1 < number);
        self.ranges[after..].iter().map(move |&(first, last)| first.max(number)..=last)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().flatten()
    }

    /// The numbers at these places, the lowest being at place 0.
    pub fn nth(&self, places: std::ops::Range<u64>) -> UidSet {
        let mut some = UidSet::new();
        let mut before = 0;
        for &(first, last) in &self.ranges {
            let count = u64::from(last - first) + 1;
            let from = places.start.clamp(before, before + count) - before;
            let to = places.end.clamp(before, before + count) - before;
            if from < to {
                // Both are within the range, whose ends are 32 bits wide.
                some.insert_range(first + from as u32, first + (to - 1) as u32);
            }
            before += count;
        }
        some
    }

    /// The numbers in both sets.
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut both = UidSet::new();
        let (mut a, mut b) = (0, 0);
        while let (Some(x), Some(y)) = (self.ranges.get(a), other.ranges.get(b)) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                both.insert_range(first, last);
            }
            if x.1 < y.1 {
                a += 1;
            } else {
                b += 1;
            }
        }
        both
    }
}

impl UidSet {
    /// The numbers in either set, in one pass over both.
    #[must_use]
    pub fn union(&self, other: &UidSet) -> UidSet {
        let mut all = UidSet::new();
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) => x <= y,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return all,
            };
            if let Some(&(first, last)) = if from_a { a.next() } else { b.next() } {
                all.insert_range(first, last);
            }
        }
    }

    /// The numbers of this set that are not in `other`, in one pass over both.
    #[must_use]
    pub fn without(&self, other: &UidSet) -> UidSet {
        let mut left = UidSet::new();
        let mut holes = other.ranges.iter().peekable();
        for &(first, last) in &self.ranges {
            let mut from = Some(first);
            while let Some(&&(gap, end)) = holes.peek().filter(|hole| hole.0 <= last) {
                if let Some(from) = from.filter(|from| *from < gap) {
                    left.ranges.push((from, gap - 1));
                }
                from = from.and_then(|from| if end >= last { None } else { Some(from.max(end + 1)) });
                if end > last {
                    break;
                }
                holes.next();
            }
            left.ranges.extend(from.map(|from| (from, last)));
        }
        left
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> UidSet {
        let mut set = UidSet::new();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

/// The `sequence-set` form of RFC 9051: `1:5,9`. Empty for the empty set, which the grammar cannot express.
impl std::fmt::Display for UidSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_split() {
        let mut set: UidSet = [5, 1, 2, 9, 3].into_iter().collect();
        assert_eq!(set.to_string(), "1:3,5,9");
        set.insert(4);
        assert_eq!(set.to_string(), "1:5,9");
        set.remove(3);
        assert_eq!(set.to_string(), "1:2,4:5,9");
        set.insert_range(2, u32::MAX);
        assert_eq!(set.to_string(), format!("1:{}", u32::MAX));
        let odd: UidSet = [1, 3, 5, 7].into_iter().collect();
        assert_eq!(odd.intersection(&UidSet::range(3..=6)).to_string(), "3,5");
        assert!(odd.contains(7) && !odd.contains(6));
        let rest: Vec<_> = set.ranges_from(5).collect();
        assert_eq!(rest, [5..=u32::MAX]);
        assert_eq!(odd.ranges_from(4).count(), 2);
        assert_eq!(odd.ranges_from(8).count(), 0);
        set.remove(9);
        assert_eq!(set.nth(0..3).to_string(), "1:3");
        assert_eq!(set.nth(6..9).to_string(), "7:8,10");
        assert_eq!(odd.nth(3..9).to_string(), "7");
        assert!(odd.nth(2..2).is_empty() && odd.nth(4..9).is_empty());
    }

    #[test]
    fn what_is_left_of_a_set_is_what_taking_out_one_by_one_leaves() {
        let mut rng = crate::base::Rng::new(&[7; 32]);
        for _ in 0..2_000 {
            let mut numbers = |count: u64| (0..count).map(|_| rng.below(24) as u32 + 1).collect::<UidSet>();
            let (set, gone) = (numbers(12), numbers(9));
            let mut expected = set.clone();
            gone.iter().for_each(|number| expected.remove(number));
            assert_eq!(set.without(&gone), expected, "{set} without {gone}");
        }
        let all = UidSet::range(1..=u32::MAX);
        assert!(all.without(&all).is_empty());
        assert_eq!(all.without(&UidSet::range(1..=2)), UidSet::range(3..=u32::MAX));
    }
}
