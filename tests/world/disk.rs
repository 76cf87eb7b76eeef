//! What a disk remembers. Every write of a watched folder goes to the real file at once (that is the page cache: reads
//! see it), while this book keeps what a power cut would leave: what was synced, plus any part of what was not.
//!
//! Not modelled: directory entries (creating and deleting a file is durable at once; SQLite syncs the folder after both).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::chance::Chance;

/// A torn write keeps whole sectors of this size (of the file, not of the write).
const SECTOR: u64 = 512;

/// All files of one folder.
pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Image>,
    counts: Counts,
    faults: Faults,
    chance: Option<Chance>,
    dead: bool,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub reads: u64,
    /// Writes and truncations: the places where a power cut can fall.
    pub writes: u64,
    pub syncs: u64,
}

/// What is to go wrong. Each `at` counts writes or syncs from the start of the disk's life, as in `Counts`.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Everything stops before this write.
    pub cut_at_write: Option<u64>,
    /// This write fails with an IO error.
    pub fail_write: Option<u64>,
    /// This write finds the disk full.
    pub full_at_write: Option<u64>,
    /// This sync fails, and what it should have synced is lost or not, as Linux does it.
    pub fail_sync: Option<u64>,
    /// Files together may not grow beyond this.
    pub capacity: Option<u64>,
    /// Every read sleeps this long: for real threads, never in the simulator.
    pub read_delay: Option<Duration>,
    /// A planted bug: sync says yes and does nothing.
    pub lying_sync: bool,
}

/// One file as the platter has it, and what is on its way there.
#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    pending: Vec<Change>,
    length: u64,
}

enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate(u64),
}

/// What the VFS is to do with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    Go,
    IoError,
    Full,
}

/// How a world ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is gone; what it wrote is with the kernel.
    Process,
    /// The power is gone: only what was synced stays for sure.
    Power,
}

static DISKS: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

impl Disk {
    /// Watches every SQLite file in `folder` from now on.
    pub fn watch(folder: &Path, seed: u64) -> Arc<Disk> {
        super::vfs::install();
        let state = State { chance: Some(Chance::new(seed)), ..State::default() };
        let disk = Arc::new(Disk { folder: folder.to_owned(), state: Mutex::new(state) });
        DISKS.lock().unwrap_or_else(|e| e.into_inner()).insert(folder.to_owned(), disk.clone());
        disk
    }

    pub fn unwatch(&self) {
        DISKS.lock().unwrap_or_else(|e| e.into_inner()).remove(&self.folder);
    }

    pub fn of(path: &Path) -> Option<Arc<Disk>> {
        DISKS.lock().unwrap_or_else(|e| e.into_inner()).get(path.parent()?).cloned()
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn set_faults(&self, change: impl FnOnce(&mut Faults, Counts)) {
        let mut state = self.lock();
        let counts = state.counts;
        change(&mut state.faults, counts);
    }

    /// Everything has stopped: nothing reaches a file any more until `crash`.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Stops everything now; then all handles are to be dropped, then `crash` decides what is left.
    pub fn kill(&self) {
        self.lock().dead = true;
    }

    /// Leaves in the folder what such an end leaves, and lets the disk live again. No handle may be open.
    pub fn crash(&self, how: Crash) {
        let state = &mut *self.lock();
        let chance = state.chance.get_or_insert_with(|| Chance::new(0));
        for (path, image) in &mut state.files {
            match how {
                Crash::Process => image.settle(),
                Crash::Power => image.cut(chance),
            }
            if path.exists() {
                std::fs::write(path, &image.durable).expect("the folder of the test is writable");
            }
            image.length = image.durable.len() as u64;
        }
        if how == Crash::Power {
            remove_shared_memory(&self.folder);
        }
        state.files.clear();
        state.dead = false;
        let lying_sync = state.faults.lying_sync;
        state.faults = Faults { lying_sync, ..Faults::default() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    // What the VFS asks.

    pub fn opened(&self, path: &Path) -> bool {
        let mut state = self.lock();
        if state.dead {
            return false;
        }
        state.files.entry(path.to_owned()).or_insert_with(|| Image::load(path));
        true
    }

    pub fn deleted(&self, path: &Path) -> bool {
        let mut state = self.lock();
        if !state.dead {
            state.files.remove(path);
        }
        !state.dead
    }

    pub fn read(&self) -> Ruling {
        let mut state = self.lock();
        state.counts.reads += 1;
        let (dead, delay) = (state.dead, state.faults.read_delay);
        drop(state);
        if let Some(delay) = delay {
            std::thread::sleep(delay);
        }
        if dead { Ruling::IoError } else { Ruling::Go }
    }

    pub fn write(&self, path: &Path, at: u64, bytes: &[u8]) -> Ruling {
        let mut state = self.lock();
        let ruling = state.next_write(path, at + bytes.len() as u64);
        if ruling == Ruling::Go {
            let image = state.files.entry(path.to_owned()).or_default();
            image.length = image.length.max(at + bytes.len() as u64);
            image.pending.push(Change::Write { at, bytes: bytes.to_vec() });
        }
        ruling
    }

    pub fn truncate(&self, path: &Path, length: u64) -> Ruling {
        let mut state = self.lock();
        let ruling = state.next_write(path, 0);
        if ruling == Ruling::Go {
            let image = state.files.entry(path.to_owned()).or_default();
            image.length = length;
            image.pending.push(Change::Truncate(length));
        }
        ruling
    }

    pub fn sync(&self, path: &Path) -> Ruling {
        let state = &mut *self.lock();
        if state.dead {
            return Ruling::IoError;
        }
        let failing = state.faults.fail_sync == Some(state.counts.syncs);
        state.counts.syncs += 1;
        if state.faults.lying_sync {
            return Ruling::Go;
        }
        let Some(image) = state.files.get_mut(path) else { return Ruling::Go };
        if failing {
            image.cut(state.chance.get_or_insert_with(|| Chance::new(0)));
            return Ruling::IoError;
        }
        image.settle();
        Ruling::Go
    }
}

impl State {
    fn next_write(&mut self, path: &Path, end: u64) -> Ruling {
        if self.dead {
            return Ruling::IoError;
        }
        let this = Some(self.counts.writes);
        self.counts.writes += 1;
        if self.faults.cut_at_write.is_some_and(|cut| Some(cut) <= this) {
            self.dead = true;
            return Ruling::IoError;
        }
        if self.faults.fail_write == this {
            return Ruling::IoError;
        }
        if self.faults.full_at_write == this || self.too_large(path, end) {
            return Ruling::Full;
        }
        Ruling::Go
    }

    fn too_large(&self, path: &Path, end: u64) -> bool {
        let Some(capacity) = self.faults.capacity else { return false };
        let own = self.files.get(path).map_or(0, |image| image.length);
        let all: u64 = self.files.values().map(|image| image.length).sum();
        end > own && all - own + end > capacity
    }
}

impl Image {
    fn load(path: &Path) -> Image {
        let durable = std::fs::read(path).unwrap_or_default();
        Image { length: durable.len() as u64, durable, pending: Vec::new() }
    }

    /// Everything pending reaches the platter.
    fn settle(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// Some of what is pending reaches the platter: all, nothing, a prefix, or any subset with torn writes.
    fn cut(&mut self, chance: &mut Chance) {
        let pending = std::mem::take(&mut self.pending);
        let keep = chance.index(pending.len() + 1);
        match chance.below(4) {
            0 => {}
            1 => pending.iter().for_each(|change| apply(&mut self.durable, change)),
            2 => {
                pending[..keep].iter().for_each(|change| apply(&mut self.durable, change));
                if let Some(torn) = pending.get(keep) {
                    self.tear(torn, chance);
                }
            }
            _ => pending.iter().for_each(|change| match chance.below(3) {
                0 => {}
                1 => apply(&mut self.durable, change),
                _ => self.tear(change, chance),
            }),
        }
    }

    fn tear(&mut self, change: &Change, chance: &mut Chance) {
        let Change::Write { at, bytes } = change else { return };
        let mut from = 0;
        while from < bytes.len() {
            let to_boundary = (SECTOR - (at + from as u64) % SECTOR) as usize;
            let to = bytes.len().min(from + to_boundary);
            if chance.one_in(2) {
                apply(
                    &mut self.durable,
                    &Change::Write { at: at + from as u64, bytes: bytes[from..to].to_vec() },
                );
            }
            from = to;
        }
    }
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => file.resize(*length as usize, 0),
        Change::Write { at, bytes } => {
            let (at, end) = (*at as usize, *at as usize + bytes.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[at..end].copy_from_slice(bytes);
        }
    }
}

/// The -shm files are rebuilt by whoever opens first; after a power cut they are not there.
fn remove_shared_memory(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with("-shm")) {
        let _ = std::fs::remove_file(entry.path());
    }
}
