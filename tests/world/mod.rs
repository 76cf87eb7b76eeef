//! The simulated world: everything outside the engine, from a seed. Same engine, same store, same SQLite as the real
//! server; only sockets, threads, clocks and the disk are played.
//!
//! One `step` is one moment: what is due on the agenda happens, the engine turns once, its effects are carried out or
//! put on the agenda. Nothing here looks at a clock, a thread or the order of a hash map, so that a seed is a life.
#![allow(dead_code)]

pub mod chance;
pub mod client;
pub mod corpus;
pub mod disk;
pub mod finding;
pub mod habits;
pub mod hostile;
pub mod life;
pub mod model;
pub mod net;
pub mod picture;
pub mod play;
pub mod popper;
mod run;
pub mod script;
pub mod sender;
pub mod squeeze;
pub mod store;
pub mod trace;
pub mod vfs;
pub mod wire;
pub mod wrap;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pillarbox::base::{ConnId, MailboxId, Mono, Now, Ticket, Wall};
use pillarbox::engine::{Engine, ServiceId, Setup};
use pillarbox::store::{Reader, Write, Writer};

use chance::Chance;
use disk::{Crash, Disk};
use habits::Habits;
use model::Model;
use net::{Link, PeerId};
use run::Item;
use trace::Trace;

/// When a world begins unless it begins in 1970: Mon, 23 Nov 2026 12:00:00 UTC.
pub const BEGIN: Wall = Wall(1_795_435_200_000_000);

/// The engine of one life of the server, and the handles that its threads would have.
struct Life {
    engine: Engine,
    writer: Writer,
    cold: Reader,
}

pub struct World {
    pub mono: Mono,
    pub wall: Wall,
    pub habits: Habits,
    pub model: Model,
    pub trace: Trace,
    pub disk: Arc<Disk>,
    /// How often the server died and came back.
    pub crashes: u32,
    folder: tempfile::TempDir,
    life: Option<Life>,
    chance: Chance,
    links: BTreeMap<PeerId, Link>,
    peers: BTreeMap<ConnId, PeerId>,
    next_peer: u64,
    agenda: BTreeMap<(Mono, u64), Item>,
    next_item: u64,
    queue: VecDeque<(Ticket, Write)>,
    writing: bool,
    /// When the engine wants to be called again.
    alarm: Option<Mono>,
    /// Conversations were made to panic or stall once: they may end for that reason still.
    was_rough: bool,
    /// What went wrong with the server itself.
    pub complaints: Vec<String>,
    /// For a planted bug: the last answer to a read.
    stale: Option<pillarbox::store::Reply>,
    /// For a planted bug: an answer that waits for somebody else's ticket.
    crossed: Option<Ticket>,
}

impl World {
    /// A world with a new file. `setup` are the first writes, before anything can fail.
    pub fn new(seed: u64, habits: Habits, setup: Vec<Write>) -> World {
        World::begin(seed, habits, setup, BEGIN)
    }

    /// As `new`, at another time: 1970 is what a machine without a clock says.
    pub fn begin(seed: u64, habits: Habits, setup: Vec<Write>, wall: Wall) -> World {
        let folder = store::folder();
        let disk = Disk::watch(folder.path(), seed);
        let mut chance = Chance::new(seed);
        store::create(&folder.path().join("box.db"), setup);
        let mut world = World {
            mono: Mono(1_000_000),
            wall,
            habits,
            model: Model::default(),
            trace: Trace::new(),
            disk,
            crashes: 0,
            life: None,
            chance: chance.fork(),
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            next_peer: 1,
            agenda: BTreeMap::new(),
            next_item: 0,
            queue: VecDeque::new(),
            writing: false,
            alarm: None,
            was_rough: false,
            complaints: Vec::new(),
            stale: None,
            crossed: None,
            folder,
        };
        world.boot();
        world
    }

    pub fn calm(setup: Vec<Write>) -> World {
        World::new(1, Habits::calm(), setup)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("box.db")
    }

    pub fn now(&self) -> Now {
        Now { mono: self.mono, wall: self.wall }
    }

    /// The reader thread's own handle, for checks.
    pub fn reader(&self) -> &Reader {
        &self.life.as_ref().expect("the server lives").cold
    }

    /// Starts the server on the file as it lies there.
    fn boot(&mut self) {
        let (hot, cold, mut writer) = store::open(&self.path());
        wrap::panic_in_writes(&mut writer, self.chance.fork(), self.habits.write_panics);
        let config = Arc::new(hot.config().expect("settings"));
        hot.end_turn();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.chance.u64().to_le_bytes());
        let newest = store::newest(&cold);
        let services = wrap::services();
        let engine = Engine::new(Setup { services, store: hot, config, seed, pem: None, newest });
        self.life = Some(Life { engine, writer, cold });
        wrap::set_panics(self.chance.fork(), self.habits.panics);
        self.alarm = Some(self.mono);
        self.draw_cut();
        if let Err(differs) = self.model.meet(&self.life.as_ref().expect("just made").cold) {
            self.complain(format!("after boot {}: {differs}", self.crashes));
        }
    }

    /// Decides where the next power cut falls, if cuts happen here.
    fn draw_cut(&mut self) {
        let cuts = self.habits.cuts;
        let at = (cuts > 0).then(|| self.chance.below(2 * cuts));
        let lying = habits::planted(habits::Bug::AnswerBeforeFsync);
        self.disk.set_faults(|faults, counts| {
            faults.cut_at_write = at.map(|after| counts.writes + after);
            faults.lying_sync = lying;
        });
    }

    /// From now on other habits; faults that are already on their way are called back.
    pub fn change_habits(&mut self, habits: Habits) {
        self.was_rough |= self.habits.panics > 0 || self.habits.stalls > 0;
        self.habits = habits;
        if let Some(life) = &mut self.life {
            wrap::panic_in_writes(&mut life.writer, self.chance.fork(), self.habits.write_panics);
        }
        self.draw_cut();
        wrap::set_panics(self.chance.fork(), self.habits.panics);
    }

    /// The process ends here, whatever it was doing, and starts again on what is left.
    pub fn crash(&mut self, how: Crash) {
        self.trace.note("crash", &[self.mono.0], format!("{how:?}").as_bytes());
        self.disk.kill();
        self.life = None;
        self.disk.crash(how);
        self.crashes += 1;
        self.queue.clear();
        self.writing = false;
        self.crossed = None;
        self.stale = None;
        self.peers.clear();
        self.agenda.retain(|_, item| matches!(item, Item::ToPeer { .. } | Item::PeerEof { .. }));
        let open: Vec<PeerId> = self.links.iter().filter(|(_, l)| !l.forgotten).map(|(id, _)| *id).collect();
        for peer in open {
            if let Some(link) = self.links.get_mut(&peer) {
                link.broken = true;
            }
            self.end_link(peer);
        }
        if habits::planted(habits::Bug::UidReusedAfterCrash) {
            store::reuse_uids(&self.path());
        }
        self.boot();
    }

    /// Time passes at once: a machine without a clock gets one, or the other way round.
    pub fn jump_wall(&mut self, to: Wall) {
        self.wall = to;
    }

    // --- what peers do ---

    /// A peer connects. It may find itself refused, which it sees as a closed connection.
    pub fn connect(&mut self, service: &str) -> PeerId {
        let index = wrap::services().iter().position(|kind| kind.name == service);
        let service = ServiceId(index.unwrap_or_else(|| panic!("no service is called {service}")));
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        let last = u8::try_from(1 + peer.0 % 200).unwrap_or(1);
        let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 40_000);
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 25);
        let now = self.now();
        let conn = self.life.as_mut().and_then(|life| life.engine.accept(now, service, addr, local));
        let mut link = Link::new(conn.unwrap_or(ConnId(u64::MAX)));
        match conn {
            Some(conn) => {
                self.peers.insert(conn, peer);
            }
            None => (link.closed, link.forgotten) = (true, true),
        }
        self.links.insert(peer, link);
        self.wake_engine();
        peer
    }

    /// A peer sends bytes; they arrive in order, perhaps in pieces, perhaps late.
    pub fn send(&mut self, peer: PeerId, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let limit = match self.habits.piece_bytes {
                0 => 16 * 1024,
                most => 1 + self.chance.below(most) as usize,
            };
            let (piece, more) = rest.split_at(limit.min(rest.len()));
            rest = more;
            if self.chance.one_in(self.habits.resets) {
                self.reset(peer);
                return;
            }
            let at = self.arrival(peer, true);
            self.plan(at, Item::ToServer { peer, bytes: piece.to_vec() });
        }
    }

    /// The peer will send no more.
    pub fn hang_up(&mut self, peer: PeerId) {
        let at = self.arrival(peer, true);
        self.plan(at, Item::ServerEof { peer });
    }

    /// The connection is gone for both ends, with everything on its way.
    pub fn reset(&mut self, peer: PeerId) {
        let at = self.arrival(peer, true);
        self.plan(at, Item::Reset { peer });
        if let Some(link) = self.links.get_mut(&peer) {
            (link.closed, link.broken) = (true, true);
        }
    }

    /// What has arrived at the peer since it last asked.
    pub fn take(&mut self, peer: PeerId) -> Vec<u8> {
        self.links.get_mut(&peer).map(|link| std::mem::take(&mut link.inbox)).unwrap_or_default()
    }

    /// The peer has seen the end of the stream (after what `take` gives).
    pub fn closed(&self, peer: PeerId) -> bool {
        self.links.get(&peer).is_none_or(|link| link.closed)
    }

    /// Neither the network nor a crash nor a planned panic nor the peer's own slowness has ended this connection.
    pub fn is_blameless(&self, peer: PeerId) -> bool {
        let rough = self.was_rough || self.habits.panics > 0 || self.habits.stalls > 0;
        !rough && self.links.get(&peer).is_some_and(|link| !link.broken)
    }

    /// The peer stops or starts reading.
    pub fn set_deaf(&mut self, peer: PeerId, deaf: bool) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.deaf = deaf;
        }
        if !deaf {
            self.start_drain(peer);
        }
    }

    /// A person asks for something on the command line.
    pub fn admin(&mut self, write: Write) {
        if let Some(life) = &mut self.life {
            let _ = life.engine.admin(write);
        }
        self.wake_engine();
        self.settle();
    }

    // --- how time passes ---

    /// Runs until nothing is left to do at this very moment (in a calm world: until all is answered).
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let until = self.mono.after(Duration::from_millis(1));
            if !self.due(until) {
                return;
            }
            self.step(until);
        }
        self.complain("the world does not come to rest".into());
    }

    /// Runs for so long, doing all that falls due.
    pub fn pass(&mut self, time: Duration) {
        let until = self.mono.after(time);
        while self.due(until) {
            self.step(until);
        }
        self.move_to(until);
    }

    /// Nothing happens until then.
    pub fn rest_until(&mut self, until: Mono) {
        self.move_to(until);
    }

    /// Ids by name of an account's mailboxes.
    pub fn mailboxes_of(&self, account: &str) -> BTreeMap<String, MailboxId> {
        let reader = self.reader();
        let account = reader.account_by_login(account).ok().flatten();
        let rows = account.and_then(|account| reader.mailboxes(account.id).ok()).unwrap_or_default();
        reader.end_turn();
        rows.into_iter().map(|row| (row.name, row.id)).collect()
    }

    /// The file is what the model says.
    pub fn check_model(&mut self) {
        let Some(life) = &self.life else { return };
        if let Err(differs) = self.model.meet(&life.cold) {
            self.complain(format!("at the end: {differs}"));
        }
    }

    /// Bytes that the server holds for a peer to read.
    pub fn held_for(&self, peer: PeerId) -> usize {
        let conn = self.links.get(&peer).map(|link| link.conn);
        conn.zip(self.life.as_ref()).map_or(0, |(conn, life)| life.engine.wire(conn).len())
    }

    /// Conversations that ended in a panic, since the last boot.
    pub fn panics(&self) -> u64 {
        self.life.as_ref().map_or(0, |life| life.engine.status().gauges.panics)
    }

    pub fn complain(&mut self, what: String) {
        if self.trace.loud {
            eprintln!("COMPLAINT {what}");
        }
        self.complaints.push(what);
    }

    pub(crate) fn wake_engine(&mut self) {
        self.alarm = Some(self.mono);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.life = None;
        self.disk.unwatch();
    }
}
