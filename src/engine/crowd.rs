//! How many connections are open, and from where: a flood from one network leaves room for the others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX};
use crate::session::throttle::Net;

#[derive(Default)]
pub(super) struct Crowd {
    total: usize,
    by_net: BTreeMap<Net, usize>,
}

impl Crowd {
    /// Whether one more may come in; if so it is counted. Our own machine, where a proxy may speak for everybody, is
    /// bounded by the total alone.
    pub fn admit(&mut self, from: IpAddr) -> bool {
        let count = self.by_net.get(&Net::of(from)).copied().unwrap_or_default();
        let crowded = count >= CONNECTIONS_PER_ADDRESS_MAX && !from.to_canonical().is_loopback();
        if self.total >= CONNECTIONS_MAX || crowded {
            return false;
        }
        self.by_net.insert(Net::of(from), count + 1);
        self.total += 1;
        true
    }

    pub fn leave(&mut self, from: IpAddr) {
        let net = Net::of(from);
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_net.get_mut(&net) {
            *count -= 1;
            if *count == 0 {
                self.by_net.remove(&net);
            }
        }
    }
}
