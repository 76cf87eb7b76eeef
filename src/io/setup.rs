//! What the process is, before anything runs: whose it is, what it may open, which files it makes, its clocks.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Instant, SystemTime};

use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Uid};

use crate::base::{Mono, Now, Wall, limits};

use super::Failure;

/// Files that only the owner reads, and an allocator that gives memory back. Before any thread starts.
pub fn prepare_process() {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    super::sys::tune_allocator();
}

/// As many file descriptors as the connections need, if the system lets us.
pub fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(limits::DESCRIPTORS_WANTED, |max| max.min(limits::DESCRIPTORS_WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
            log::warn!("only {:?} files can be open at once: {error}", limit.current);
        }
    }
}

/// The calling thread is less urgent than the loop.
pub fn step_back() {
    // A wish only: where it is not granted the work is done all the same.
    let _ = rustix::process::setpriority_process(None, 5);
}

/// Root working on somebody else's file: becomes that user, so that no file of root's is left beside it.
/// Does nothing for anybody but root, for a file of root's, or where there is no file yet.
pub struct Owner {
    ids: Option<(Uid, Gid)>,
}

impl Owner {
    pub fn of(db: &Path) -> Owner {
        let owner = std::fs::metadata(db).ok().filter(|meta| meta.uid() != 0);
        let root = rustix::process::geteuid().is_root();
        let ids = owner.filter(|_| root).map(|meta| (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid())));
        Owner { ids }
    }

    /// For a while: `give_back` is needed before a privileged port can be bound.
    pub fn borrow(&self) -> Result<(), Failure> {
        self.change(|uid, gid| {
            rustix::thread::set_thread_res_gid(None, gid, None)?;
            rustix::thread::set_thread_res_uid(None, uid, None)
        })
    }

    pub fn give_back(&self) -> Result<(), Failure> {
        self.change(|_, _| {
            rustix::thread::set_thread_res_uid(None, Uid::ROOT, None)?;
            rustix::thread::set_thread_res_gid(None, Gid::ROOT, None)
        })
    }

    /// For good. Only while there is one thread: the others would stay root.
    pub fn become_it(&self) -> Result<(), Failure> {
        self.change(|uid, gid| {
            rustix::thread::set_thread_groups(&[])?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)
        })
    }

    fn change(&self, act: impl FnOnce(Uid, Gid) -> rustix::io::Result<()>) -> Result<(), Failure> {
        let Some((uid, gid)) = self.ids else { return Ok(()) };
        act(uid, gid).map_err(|error| {
            Failure::File(format!("cannot become the owner of the file (user {}): {error}", uid.as_raw()))
        })
    }
}

/// Both clocks. The monotonic one counts from the first reading.
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono: Mono(mono), wall: wall() }
    }
}

/// Microseconds since 1970; 0 for a clock that stands before it.
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Chance from the system.
pub fn random_seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed)
        .map_err(|_| Failure::Other("the system gives no random numbers".into()))?;
    Ok(seed)
}
