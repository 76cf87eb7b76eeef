//! One process writes. Whoever does holds a lock on `FILE.lock`, which the system lets go of when the process ends,
//! however it ends; the file itself stays, because removing it would let two processes lock two files of one name.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Failure;

/// The right to write to a pillarbox file, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(db: &Path) -> Result<Lock, Failure> {
        let path = beside(db, ".lock");
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(
            |error| Failure::File(format!("cannot write to the folder of {}: {error}", db.display())),
        )?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Failure::Busy(format!("another pillarbox works on {}", db.display())))
            }
            Err(error) => Err(Failure::File(format!("cannot lock {}: {error}", path.display()))),
        }
    }
}

/// `pillarbox.db` and `.lock` make `pillarbox.db.lock`.
pub fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_the_lock_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = folder.path().join("box.db");
        let first = Lock::take(&db).expect("free");
        assert!(matches!(Lock::take(&db), Err(Failure::Busy(_))));
        drop(first);
        Lock::take(&db).expect("free again");
    }
}
