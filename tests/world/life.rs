//! Whole runs: a workload in a world from one seed, from the first connection to the last check.

use std::collections::BTreeMap;
use std::time::Duration;

use pillarbox::base::{MailboxId, Mono, Wall};
use pillarbox::store::{Deliver, FlagNames, Place, Target, Write};

use super::chance::Chance;
use super::client::{Client, ROUGH_PATIENCE};
use super::disk::Crash;
use super::habits::Habits;
use super::hostile::Hostile;
use super::popper::{Popper, Seen};
use super::sender::Sender;
use super::{BEGIN, World, corpus, store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Several clients on the same mailboxes while mail comes in.
    Sync,
    /// People who submit, with several recipients and large bodies.
    Submit,
    /// Peers that do not behave, beside one client and one sender that must be served.
    Hostile,
    /// Two programs that fetch and delete by POP3, beside IMAP and incoming mail.
    Post,
}

pub const WORKLOADS: [Workload; 4] = [Workload::Sync, Workload::Submit, Workload::Hostile, Workload::Post];

/// What became of a run.
#[derive(Debug)]
pub struct Report {
    pub complaints: Vec<String>,
    /// Everything that happened, as one number.
    pub hash: u64,
    /// Replies to clients, and messages acknowledged: a run in which nothing happens proves nothing.
    pub answered: u64,
    pub acknowledged: u64,
    pub crashes: u32,
}

/// What others do wrong may not cost an honest peer more than this.
const CALM_PATIENCE: Duration = Duration::from_secs(15);

struct Life {
    world: World,
    clients: Vec<Client>,
    senders: Vec<Sender>,
    hostile: Vec<Hostile>,
    poppers: Vec<Popper>,
    seen: Seen,
    chance: Chance,
    planned_panics: bool,
    /// Output may stand still for minutes.
    rough: bool,
    told_late: bool,
    mailboxes: BTreeMap<String, MailboxId>,
    complaints: Vec<String>,
}

pub fn run(workload: Workload, seed: u64) -> Report {
    quiet_panics();
    let mut life = Life::new(workload, seed);
    life.work();
    life.come_to_rest();
    life.report()
}

/// Planned panics are part of the run; only others are worth a line.
fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let planned =
                info.payload().downcast_ref::<String>().is_some_and(|s| s.contains(super::wrap::PLANNED));
            let planned = planned
                || info.payload().downcast_ref::<&str>().is_some_and(|s| s.contains(super::wrap::PLANNED));
            if !planned {
                loud(info);
            }
        }));
    });
}

impl Life {
    fn new(workload: Workload, seed: u64) -> Life {
        let mut chance = Chance::new(seed ^ 0xA5A5);
        let mut habits = Habits::drawn(&mut chance);
        if workload == Workload::Hostile {
            // What others do is the only fault here, so that every late reply is theirs.
            habits = Habits {
                network: Duration::from_millis(1),
                window_bytes: habits.window_bytes,
                ..Habits::calm()
            };
        }
        let planned_panics = habits.panics > 0;
        let rough =
            habits.stalls > 0 || habits.window_bytes > 0 || habits.network > Duration::from_millis(10);
        let begin = if chance.one_in(6) { Wall(0) } else { BEGIN };
        let world = World::begin(seed, habits, store::usual(), begin);
        let mailboxes = world.mailboxes_of("alice@box.test");
        let think = Duration::from_millis(*chance.pick(&[20, 400, 3_000]));
        let (clients, senders, hostile) = match workload {
            Workload::Sync => (2 + chance.index(3), 1 + chance.index(2), 0),
            Workload::Submit => (1, 2 + chance.index(3), 0),
            Workload::Hostile => (1, 1, 2 + chance.index(4)),
            Workload::Post => (1, 2, 0),
        };
        let mail = if workload == Workload::Submit { 12 } else { 8 };
        let sender = |n: usize, chance: &mut Chance| {
            let submits = workload == Workload::Submit || n % 2 == 1;
            Sender::new(&format!("mail-{n}"), submits, mail, chance.fork(), think)
        };
        let patience = if workload == Workload::Hostile { CALM_PATIENCE } else { ROUGH_PATIENCE };
        let client = |n: usize, chance: &mut Chance| {
            let mut client = Client::new(n, chance.fork(), think);
            client.set_patience(patience);
            client
        };
        let sender = |n: usize, chance: &mut Chance| {
            let mut sender = sender(n, chance);
            sender.set_patience(patience);
            sender
        };
        let poppers = if workload == Workload::Post { 2 } else { 0 };
        Life {
            poppers: (0..poppers).map(|n| Popper::new(n, chance.fork(), think)).collect(),
            seen: Seen::default(),
            clients: (0..clients).map(|n| client(n, &mut chance)).collect(),
            senders: (0..senders).map(|n| sender(n, &mut chance)).collect(),
            hostile: (0..hostile).map(|_| Hostile::new(chance.fork())).collect(),
            world,
            planned_panics,
            rough,
            told_late: false,
            mailboxes,
            complaints: Vec::new(),
            chance,
        }
    }

    /// One moment of everybody.
    fn step(&mut self, until: Mono) {
        let mut next = until;
        for client in &mut self.clients {
            client.poll(&mut self.world);
            next = next.min(client.next_at);
        }
        for sender in &mut self.senders {
            sender.poll(&mut self.world);
            if !sender.done() {
                next = next.min(sender.next_at);
            }
        }
        for popper in &mut self.poppers {
            popper.poll(&mut self.world, &mut self.seen);
            if !popper.done() {
                next = next.min(popper.next_at);
            }
        }
        for hostile in &mut self.hostile {
            hostile.poll(&mut self.world);
            next = next.min(hostile.next_at);
        }
        self.check_the_idle();
        let next = next.max(Mono(self.world.mono.0 + 1));
        if self.world.due(next) {
            self.world.step(next);
        } else {
            self.world.rest_until(next);
        }
    }

    /// Whoever idles is told soon. The keepalive, every two minutes, is no excuse to look only then.
    fn check_the_idle(&mut self) {
        let bound = Duration::from_secs(if self.rough { 600 } else { 60 });
        for client in &mut self.clients {
            let id = client.selected.as_ref().and_then(|name| self.mailboxes.get(name));
            let there = id.map_or(client.picture.entries.len(), |id| self.world.model.messages(*id));
            if client.lags(there, self.world.mono) > bound && !self.told_late {
                let (name, shown) = (client.name, client.picture.entries.len());
                self.complaints
                    .push(format!("client {name} idles, shows {shown} of {there} and is not told"));
                self.told_late = true;
            }
        }
    }

    fn work(&mut self) {
        let end = self.world.mono.after(Duration::from_secs(900));
        let mut steps = 0;
        while self.world.mono < end && steps < 6_000 {
            self.step(end);
            steps += 1;
            if steps % 200 == 0 {
                self.check_finding(6);
            }
            if self.chance.one_in(3_000) && self.world.habits.cuts > 0 {
                let how = if self.chance.one_in(2) { Crash::Process } else { Crash::Power };
                self.world.crash(how);
            }
            if self.chance.one_in(4_000) && self.hostile.is_empty() {
                let year = 365 * 86_400 * 1_000_000;
                let jump = if self.chance.one_in(3) { -year } else { year };
                self.world.jump_wall(Wall(self.world.wall.0 + jump));
            }
        }
    }

    /// Faults end, work ends, everybody goes into IDLE, one more message comes in, and then all pictures are the same.
    fn come_to_rest(&mut self) {
        self.hostile.clear();
        let healed = self.world.habits.healed();
        self.world.change_habits(healed);
        self.senders.iter_mut().for_each(|sender| sender.left = 0);
        self.poppers.iter_mut().for_each(|popper| popper.calm = true);
        self.clients.iter_mut().for_each(|client| {
            client.calm = true;
            client.stop_idling();
        });
        if !self.wait(Duration::from_secs(3 * 3600), |life| life.all_rest()) {
            let who = self.restless();
            return self.complain(&format!("they never come to rest: {who}"));
        }
        if self.clients.is_empty() {
            return;
        }
        self.tell_the_idle();
        self.clients.iter_mut().for_each(Client::stop_idling);
        if !self.wait(Duration::from_secs(3600), |life| life.all_rest() && life.all_known()) {
            let who = self.restless();
            return self.complain(&format!("they never learn the last message: {who}"));
        }
        self.compare_pictures();
    }

    /// Who still has something to do, and what, and how long the world has lived.
    fn restless(&self) -> String {
        let clients = self.clients.iter().filter(|c| !c.is_idle()).map(Client::state);
        let senders = self.senders.iter().filter(|s| !s.done()).map(Sender::state);
        let poppers = self.poppers.iter().filter(|p| !p.done()).map(Popper::state);
        let all: Vec<String> = clients.chain(senders).chain(poppers).collect();
        format!("{} at {}", all.join("; "), self.world.mono.0)
    }

    fn complain(&mut self, what: &str) {
        self.complaints.push(what.to_owned());
    }

    fn all_rest(&self) -> bool {
        let gone = self.senders.iter().all(Sender::done) && self.poppers.iter().all(Popper::done);
        gone && self.clients.iter().all(Client::is_idle)
    }

    fn all_known(&self) -> bool {
        self.clients.iter().flat_map(|client| &client.picture.entries).all(|entry| entry.uid.is_some())
    }

    fn wait(&mut self, longest: Duration, done: impl Fn(&Life) -> bool) -> bool {
        let end = self.world.mono.after(longest);
        let mut steps = 0;
        while self.world.mono < end && steps < 60_000 {
            if done(self) {
                return true;
            }
            self.step(end);
            steps += 1;
        }
        done(self)
    }

    /// A message comes in while everybody idles: each client on that mailbox hears of it soon.
    fn tell_the_idle(&mut self) {
        let Some(alice) = self.alice() else { return self.complain("alice is gone") };
        // What a POP3 client deleted with its last word is still on its way to those who idle.
        self.wait(Duration::from_secs(10), |_| false);
        let before = self.counts();
        let target = Target { account: alice, place: Place::Inbox, flags: FlagNames::default() };
        let body = store::body(&corpus::token("last", 500));
        let received = self.world.wall;
        self.world.admin(Write::Deliver(Deliver { body, to: vec![target], received }));
        self.wait(Duration::from_secs(100), |_| false);
        for ((client, before), after) in self.clients.iter().zip(before).zip(self.counts()) {
            let due = before + usize::from(client.selected.as_deref() == Some("INBOX"));
            if after != due && client.is_idle() {
                let name = client.name;
                self.complaints.push(format!("client {name} idles and was told {after} messages, not {due}"));
            }
        }
    }

    fn counts(&self) -> Vec<usize> {
        self.clients.iter().map(|client| client.picture.entries.len()).collect()
    }

    fn alice(&self) -> Option<pillarbox::base::AccountId> {
        let found = self.world.reader().account_by_login("alice@box.test");
        self.world.reader().end_turn();
        found.ok().flatten().map(|account| account.id)
    }

    fn compare_pictures(&mut self) {
        let Some(alice) = self.alice() else { return };
        for client in &self.clients {
            let Some(name) = &client.selected else { continue };
            let row = self.world.reader().mailbox_named(alice, name).ok().flatten();
            self.world.reader().end_turn();
            let Some(row) = row else { continue };
            let there = self.world.model.picture(row.id);
            let seen: Vec<_> =
                client.picture.entries.iter().map(|e| (e.uid.unwrap_or(0), e.flags.clone())).collect();
            let due: Vec<_> = there.iter().map(|(uid, flags, _)| (*uid, Some(flags.clone()))).collect();
            if seen != due {
                let first = seen.iter().zip(&due).find(|(a, b)| a != b);
                self.complaints.push(format!(
                    "client {} sees {} messages of {name}, there are {}; first difference {first:?}",
                    client.name,
                    seen.len(),
                    due.len()
                ));
            }
        }
    }

    /// Not where the disk is about to die under the question.
    fn check_finding(&mut self, most: u32) {
        if let Some(alice) = self.alice() {
            let hidden = super::finding::hidden(self.world.reader(), alice, most);
            self.complaints.extend(hidden.into_iter().take(3));
        }
    }

    fn check_tokens(&mut self) {
        let tokens = self.world.model.tokens.clone();
        let acknowledged = self.senders.iter().flat_map(|s| &s.acknowledged);
        let acknowledged = acknowledged.chain(self.clients.iter().flat_map(|c| &c.acknowledged));
        for token in acknowledged {
            if tokens.get(token) != Some(&1) {
                self.complaints
                    .push(format!("{token} was acknowledged and is there {:?} times", tokens.get(token)));
            }
        }
        for (token, times) in tokens.iter().filter(|(_, times)| **times > 1) {
            self.complaints.push(format!("{token} came in {times} times"));
        }
    }

    fn report(mut self) -> Report {
        self.check_tokens();
        self.check_finding(u32::MAX);
        self.world.check_model();
        let panics = self.world.panics();
        if panics > 0 && !self.planned_panics {
            self.complaints.push(format!("{panics} conversations panicked"));
        }
        self.complaints.append(&mut self.world.complaints);
        for client in &mut self.clients {
            self.complaints.append(&mut client.complaints);
        }
        for sender in &mut self.senders {
            self.complaints.append(&mut sender.complaints);
        }
        for popper in &mut self.poppers {
            self.complaints.append(&mut popper.complaints);
        }
        let by_pop: u64 = self.poppers.iter().map(|popper| popper.answered).sum();
        Report {
            hash: self.world.trace.hash(),
            answered: by_pop + self.clients.iter().map(|client| client.answered).sum::<u64>(),
            acknowledged: self.senders.iter().map(|sender| sender.acknowledged.len() as u64).sum(),
            crashes: self.world.crashes,
            complaints: self.complaints,
        }
    }
}
