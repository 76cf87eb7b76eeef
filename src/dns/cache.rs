//! What was looked up and may still be believed. Bounded; the entry that ends first makes room.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Mono;
use crate::base::limits::DNS_CACHE_ENTRIES_MAX;

use super::{Outcome, Query};

#[derive(Default)]
pub struct Cache {
    entries: BTreeMap<Query, (Mono, Outcome)>,
}

impl Cache {
    pub fn find(&self, now: Mono, query: &Query) -> Option<Outcome> {
        self.entries.get(query).filter(|(until, _)| now < *until).map(|(_, outcome)| outcome.clone())
    }

    /// Failures are never kept: the next asker tries again.
    pub fn keep(&mut self, now: Mono, query: Query, outcome: Outcome, keep: Duration) {
        if keep.is_zero() || outcome == Outcome::Failed {
            return;
        }
        if self.entries.len() >= DNS_CACHE_ENTRIES_MAX && !self.entries.contains_key(&query) {
            self.make_room(now);
        }
        self.entries.insert(query, (now.after(keep), outcome));
    }

    fn make_room(&mut self, now: Mono) {
        self.entries.retain(|_, (until, _)| now < *until);
        if self.entries.len() < DNS_CACHE_ENTRIES_MAX {
            return;
        }
        let first = self.entries.iter().min_by_key(|(_, (until, _))| *until).map(|(query, _)| query.clone());
        if let Some(first) = first {
            self.entries.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Kind;

    fn query(name: String) -> Query {
        Query { name, kind: Kind::A }
    }

    #[test]
    fn an_entry_lives_as_long_as_its_ttl_and_failures_not_at_all() {
        let mut cache = Cache::default();
        let asked = query("a.test".into());
        cache.keep(Mono(0), asked.clone(), Outcome::NoName, Duration::from_secs(2));
        assert_eq!(cache.find(Mono(1_999_999), &asked), Some(Outcome::NoName));
        assert_eq!(cache.find(Mono(2_000_000), &asked), None);
        cache.keep(Mono(3_000_000), asked.clone(), Outcome::Failed, Duration::from_secs(9));
        assert_eq!(cache.find(Mono(3_000_000), &asked), None);
    }

    #[test]
    fn a_full_cache_lets_the_entry_go_that_ends_first() {
        let mut cache = Cache::default();
        for n in 0..=DNS_CACHE_ENTRIES_MAX as u64 {
            cache.keep(Mono(0), query(format!("{n}.test")), Outcome::Empty, Duration::from_secs(100 + n));
        }
        assert_eq!(cache.entries.len(), DNS_CACHE_ENTRIES_MAX);
        assert_eq!(cache.find(Mono(0), &query("0.test".into())), None);
        assert!(cache.find(Mono(0), &query("1.test".into())).is_some());
    }
}
