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
    /// Whether one more may come in; if so it is counted.
    pub fn admit(&mut self, from: IpAddr) -> bool {
        let count = self.by_net.entry(Net::of(from)).or_default();
        if self.total >= CONNECTIONS_MAX || *count >= CONNECTIONS_PER_ADDRESS_MAX {
            return false;
        }
        *count += 1;
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
