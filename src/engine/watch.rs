//! Who wants to hear that something moved on. A hint carries no data and may come twice or for nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ConnId;
use crate::session::Watch;

#[derive(Default)]
pub(super) struct Watchers {
    of: BTreeMap<Watch, BTreeSet<ConnId>>,
}

impl Watchers {
    /// `conn` now watches `to` and no longer `from`.
    pub fn change(&mut self, conn: ConnId, from: Option<Watch>, to: Option<Watch>) {
        if from == to {
            return;
        }
        if let Some(from) = from
            && let Some(conns) = self.of.get_mut(&from)
        {
            conns.remove(&conn);
            if conns.is_empty() {
                self.of.remove(&from);
            }
        }
        if let Some(to) = to {
            self.of.entry(to).or_default().insert(conn);
        }
    }

    pub fn of(&self, watch: Watch) -> Vec<ConnId> {
        self.of.get(&watch).map(|conns| conns.iter().copied().collect()).unwrap_or_default()
    }
}
