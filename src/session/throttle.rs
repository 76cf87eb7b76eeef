//! How long a login attempt waits before it is looked at: longer with every wrong password from one network or for one
//! account, but never for a network from which that account has logged in well of late. Pure and bounded.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::base::limits::{
    LOGIN_DELAY_MAX, LOGIN_FAILURES_FORGOTTEN_AFTER, LOGIN_FAILURES_FREE, LOGIN_GOOD_FOR,
    THROTTLE_ENTRIES_MAX,
};
use crate::base::{AccountId, Mono};

/// Who is one for throttling: an IPv4 address, or the /64 of an IPv6 one, which one customer has whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Net(IpAddr);

impl Net {
    pub fn of(address: IpAddr) -> Net {
        match address.to_canonical() {
            IpAddr::V4(v4) => Net(IpAddr::V4(v4)),
            IpAddr::V6(v6) => Net(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
        }
    }
}

/// Whose password is tried. Logins that do not exist are counted too, or the delay would tell which do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Account(AccountId),
    /// A keyed hash of a login that does not exist.
    Nobody(u64),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Mono,
}

#[derive(Default)]
pub struct Throttle {
    nets: BTreeMap<Net, Failures>,
    targets: BTreeMap<Target, Failures>,
    good: BTreeMap<(AccountId, Net), Mono>,
}

impl Throttle {
    /// How long the next attempt must wait.
    pub fn delay(&self, now: Mono, from: IpAddr, target: Target) -> Duration {
        let net = Net::of(from);
        if self.trusts(now, net, target) {
            return Duration::ZERO;
        }
        let by_net = self.nets.get(&net).map_or(Duration::ZERO, |failures| failures.delay(now));
        let by_target = self.targets.get(&target).map_or(Duration::ZERO, |failures| failures.delay(now));
        by_net.max(by_target)
    }

    /// This network has lately logged in to this account.
    pub fn trusts(&self, now: Mono, net: Net, target: Target) -> bool {
        let Target::Account(account) = target else { return false };
        self.good.get(&(account, net)).is_some_and(|last| now.since(*last) < LOGIN_GOOD_FOR)
    }

    pub fn failed(&mut self, now: Mono, from: IpAddr, target: Target) {
        count(&mut self.nets, Net::of(from), now);
        count(&mut self.targets, target, now);
    }

    /// The network's own count is kept when it was for another account: a spammer's own login clears nothing.
    pub fn succeeded(&mut self, now: Mono, from: IpAddr, account: AccountId) {
        self.trust(now, from, account);
        self.targets.remove(&Target::Account(account));
    }

    /// What the file remembers of an earlier login, after a restart.
    pub fn trust(&mut self, now: Mono, from: IpAddr, account: AccountId) {
        let key = (account, Net::of(from));
        make_room(&mut self.good, &key, |last| *last);
        self.good.insert(key, now);
    }
}

impl Failures {
    fn delay(&self, now: Mono) -> Duration {
        if now.since(self.last) >= LOGIN_FAILURES_FORGOTTEN_AFTER || self.count <= LOGIN_FAILURES_FREE {
            return Duration::ZERO;
        }
        let doublings = (self.count - LOGIN_FAILURES_FREE - 1).min(16);
        Duration::from_secs(1 << doublings).min(LOGIN_DELAY_MAX)
    }
}

fn count<K: Ord + Copy>(table: &mut BTreeMap<K, Failures>, key: K, now: Mono) {
    make_room(table, &key, |failures| failures.last);
    let entry = table.entry(key).or_insert(Failures { count: 0, last: now });
    if now.since(entry.last) >= LOGIN_FAILURES_FORGOTTEN_AFTER {
        entry.count = 0;
    }
    *entry = Failures { count: entry.count.saturating_add(1), last: now };
}

/// A full table forgets the entry that was touched longest ago.
fn make_room<K: Ord + Copy, V>(table: &mut BTreeMap<K, V>, key: &K, last: impl Fn(&V) -> Mono) {
    if table.len() < THROTTLE_ENTRIES_MAX || table.contains_key(key) {
        return;
    }
    let oldest = table.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| *key);
    if let Some(oldest) = oldest {
        table.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Target = Target::Account(AccountId(1));
    const NOBODY: Target = Target::Nobody(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn at(seconds: u64) -> Mono {
        Mono::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn delay_doubles_up_to_its_limit_and_is_forgotten() {
        let mut throttle = Throttle::default();
        let from = ip("192.0.2.1");
        let mut seen = Vec::new();
        for _ in 0..12 {
            throttle.failed(at(0), from, NOBODY);
            seen.push(throttle.delay(at(0), from, NOBODY).as_secs());
        }
        let free = LOGIN_FAILURES_FREE as usize;
        assert_eq!(seen[..free], vec![0; free]);
        assert_eq!(seen[free..free + 3], [1, 2, 4]);
        assert_eq!(seen.last(), Some(&LOGIN_DELAY_MAX.as_secs()));
        let later = at(0).after(LOGIN_FAILURES_FORGOTTEN_AFTER);
        assert_eq!(throttle.delay(later, from, NOBODY), Duration::ZERO);
    }

    #[test]
    fn an_account_under_attack_stays_open_to_the_network_it_lately_used() {
        let mut throttle = Throttle::default();
        throttle.succeeded(at(0), ip("192.0.2.7"), AccountId(1));
        for host in 0..40 {
            throttle.failed(at(1), ip(&format!("198.51.100.{host}")), ALICE);
            throttle.failed(at(1), ip("192.0.2.7"), NOBODY);
        }
        assert_eq!(throttle.delay(at(1), ip("192.0.2.7"), ALICE), Duration::ZERO);
        assert_eq!(throttle.delay(at(1), ip("203.0.113.1"), ALICE), LOGIN_DELAY_MAX);
        assert_eq!(throttle.delay(at(1), ip("203.0.113.1"), Target::Account(AccountId(2))), Duration::ZERO);
        let much_later = at(1).after(LOGIN_GOOD_FOR);
        assert!(!throttle.trusts(much_later, Net::of(ip("192.0.2.7")), ALICE));
    }

    #[test]
    fn a_64_is_one_network_and_a_mapped_address_is_its_ipv4() {
        assert_eq!(Net::of(ip("2001:db8::1")), Net::of(ip("2001:db8::ffff:1")));
        assert_ne!(Net::of(ip("2001:db8::1")), Net::of(ip("2001:db8:0:1::1")));
        assert_eq!(Net::of(ip("::ffff:192.0.2.1")), Net::of(ip("192.0.2.1")));
    }

    #[test]
    fn a_flood_of_networks_does_not_grow_the_table() {
        let mut throttle = Throttle::default();
        for n in 0..(THROTTLE_ENTRIES_MAX as u32 + 100) {
            throttle.failed(at(u64::from(n)), IpAddr::V4(n.into()), Target::Nobody(u64::from(n)));
        }
        assert_eq!(throttle.nets.len(), THROTTLE_ENTRIES_MAX);
        assert_eq!(throttle.targets.len(), THROTTLE_ENTRIES_MAX);
    }
}
