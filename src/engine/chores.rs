//! What the engine does of its own accord: reading the configuration again, sweeping, stopping.

use std::sync::Arc;

use crate::base::limits::{CLOCK_FLOOR_UNIX, STOP_TIMEOUT, SWEEP_AFTER_START, SWEEP_INTERVAL};
use crate::base::{ConnId, Mono, Now, Wall};
use crate::store::{Admin, Write};

use super::answers::Author;
use super::conn::Wait;
use super::deadlines::Due;
use super::{Effect, Engine};

impl Engine {
    /// Everything whose time has come.
    pub(super) fn fire_deadlines(&mut self, now: Now) {
        while let Some(due) = self.deadlines.pop(now.mono) {
            match due {
                Due::Conn(id) => self.expire(now, id),
                Due::Password(ticket) => self.hash_held(now, ticket),
                Due::Dns(ticket) => self.dns_timed_out(now, ticket),
                Due::Start => {
                    self.deadlines.add(now.mono.after(SWEEP_AFTER_START), Due::Sweep);
                    self.begin_indexing(now);
                }
                Due::Index => self.index_on(now),
                Due::Sweep => {
                    self.deadlines.add(now.mono.after(SWEEP_INTERVAL), Due::Sweep);
                    self.sweep(now);
                }
                Due::SweepOn => self.sweep(now),
                Due::Stop => self.cut_off(now),
            }
        }
    }

    /// It has been quiet for a while: memory that only makes answers faster is given up.
    pub fn rest(&self) {
        self.store.rest();
    }

    /// New connections see the new configuration and certificate; a broken one leaves the old in place.
    pub(super) fn reload_if_asked(&mut self) {
        if std::mem::take(&mut self.reload_certificate) && !self.reload {
            self.load_certificate();
        }
        if !std::mem::take(&mut self.reload) {
            return;
        }
        match self.store.config() {
            Ok(config) => self.config = Arc::new(config),
            Err(error) => log::error!("the settings cannot be read, the old ones stay: {error}"),
        }
        self.load_certificate();
        self.effects.push(Effect::Reloaded);
    }

    pub(super) fn load_certificate(&mut self) {
        let pem = match &self.pem {
            Some(pem) => Some((pem.chain.clone(), pem.key.clone())),
            None => self.store.certificate("default").unwrap_or_else(|error| {
                log::error!("the certificate cannot be read from the file: {error}");
                None
            }),
        };
        if let Some((chain, key)) = pem
            && let Err(why) = self.tls.load(&self.services, &chain, &key)
        {
            log::error!("the certificate cannot be used: {why}");
        }
    }

    /// A machine without a clock wakes up in 1970: nothing may expire by such a clock.
    pub(super) fn clock_trusted(&self, wall: Wall) -> bool {
        wall >= Wall::from_unix(CLOCK_FLOOR_UNIX) && wall >= self.newest
    }

    fn sweep(&mut self, now: Now) {
        if self.stopping.is_none() {
            let clock_trusted = self.clock_trusted(now.wall);
            let sweep = Admin::Sweep { now: now.wall, clock_trusted };
            self.commit(Author::Engine, Write::Admin(sweep));
        }
    }

    pub(super) fn stop(&mut self, now: Now) {
        if self.stopping.is_some() {
            return;
        }
        let grace = now.mono.after(STOP_TIMEOUT);
        self.stopping = Some(grace);
        self.deadlines.add(grace, Due::Stop);
        let all: Vec<(ConnId, Wait)> = self.conns.iter().map(|(id, conn)| (*id, conn.wait)).collect();
        for (id, wait) in all {
            match wait {
                // Nothing has been said yet that could be finished.
                Wait::Open | Wait::Tls => self.hang_up(now, id),
                _ => self.wake(id),
            }
        }
    }

    /// The grace period is over. What was asked of the writer still lands: `Stopped` waits for that.
    fn cut_off(&mut self, now: Now) {
        let all: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in all {
            self.hang_up(now, id);
        }
    }

    /// Nobody is left after `Stop`, and this has not been said yet.
    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_some() && self.conns.is_empty() && self.in_flight == 0 && !self.stopped
    }

    pub(super) fn say_stopped(&mut self) {
        if self.is_over() {
            self.stopped = true;
            self.effects.push(Effect::Stopped);
        }
    }

    /// When to call `turn` again if nothing happens.
    pub(super) fn next_turn(&self, now: Now) -> Option<Mono> {
        if !self.ready.is_empty() || !self.hinted.is_empty() {
            return Some(now.mono);
        }
        self.deadlines.next()
    }
}
