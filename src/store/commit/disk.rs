//! The disk reserve: accepting stops while there is still room to expunge, checkpoint and vacuum in.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::base::limits::{DISK_RESERVE_BYTES, DISK_RESERVE_BYTES_MIN, DISK_RESERVE_PERCENT};

use super::super::StoreError;
use super::sweep;

pub const PAGE_BYTES: u64 = 4096;

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl Space {
    /// What must stay free: 2 % of the disk, but no more than 64 MiB, and enough to bring a full log home.
    fn reserve(self) -> u64 {
        let share = self.total_bytes / 100 * DISK_RESERVE_PERCENT;
        share.clamp(DISK_RESERVE_BYTES_MIN, DISK_RESERVE_BYTES)
    }
}

/// The disk that the file lies on.
pub struct Disk {
    pub probe: Box<dyn FnMut() -> Option<Space> + Send>,
}

impl Disk {
    pub fn of(file: &Path) -> Disk {
        let folder: PathBuf = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
            _ => ".".into(),
        };
        Disk { probe: Box::new(move || ask(&folder)) }
    }

    /// Whether more may be stored. What the file itself has free counts. If it is not enough, expunged messages that are
    /// still kept are let go early: new mail is worth more than undelete.
    pub fn make_room(&mut self, db: &Connection) -> Result<bool, StoreError> {
        let Some(space) = (self.probe)() else { return Ok(true) };
        let enough = |db: &Connection| -> Result<bool, StoreError> {
            Ok(space.free_bytes >= space.reserve()
                || space.free_bytes.saturating_add(unused(db)?) >= space.reserve())
        };
        if enough(db)? {
            return Ok(true);
        }
        sweep::release_early(db)?;
        enough(db)
    }
    /// Whether twice the reserve is free: what can be made again never takes the room that mail needs.
    pub fn has_spare(&mut self) -> bool {
        (self.probe)().is_none_or(|space| space.free_bytes >= space.reserve().saturating_mul(2))
    }
}

/// Bytes of pages in the file that hold nothing.
pub fn unused(db: &Connection) -> Result<u64, StoreError> {
    let pages: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    Ok(pages.max(0).unsigned_abs() * PAGE_BYTES)
}

fn ask(folder: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
