//! How a command reaches the file: reading by itself, changing through the running server, or under the lock when there
//! is none.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::Ticket;
use crate::io::Failure;
use crate::io::ask::Asking;
use crate::io::frame::{Answer, Request};
use crate::io::lock::Lock;
use crate::io::setup::Owner;
use crate::store::{Admin, Done, Reader, Refused, StoreError, Write, Writer};

use super::args::Call;
use super::report::{Exit, Trouble, refused};

/// A server that is just starting or ending holds the lock for a moment without answering.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The file that exists already, and we are its owner from now on.
pub fn existing(call: &Call) -> Result<PathBuf, Trouble> {
    let db = call.db();
    if !is_there(&db) {
        return Err(missing(&db));
    }
    Owner::of(&db).become_it()?;
    Ok(db)
}

/// An empty file is what a crash right at the beginning leaves: as good as none.
pub fn is_there(db: &Path) -> bool {
    std::fs::metadata(db).is_ok_and(|meta| meta.len() > 0)
}

fn missing(db: &Path) -> Trouble {
    let sentence = format!(
        "there is no pillarbox file {}; `pillarbox quickstart` makes one to try, `pillarbox domain add` a real one",
        db.display()
    );
    Trouble::new(Exit::File, sentence)
}

/// For commands that only read.
pub fn reader(call: &Call) -> Result<Reader, Trouble> {
    Ok(Reader::open(existing(call)?)?)
}

/// Makes one change and says so about `what` if it is refused.
pub fn change(call: &Call, what: &str, admin: Admin) -> Result<Done, Trouble> {
    let db = existing(call)?;
    change_in(&db, admin)?.map_err(|refusal| refused(what, refusal))
}

/// Through the server if one runs, else with the same code under the lock.
pub fn change_in(db: &Path, admin: Admin) -> Result<Result<Done, Refused>, Trouble> {
    let patience = Instant::now();
    loop {
        if let Some(mut server) = Asking::connect(db) {
            return match server.ask(&Request::Change(admin))? {
                Answer::Done(done) => Ok(Ok(done)),
                Answer::Refused(refusal) => Ok(Err(refusal)),
                _ => Err(Trouble::new(Exit::Failed, "the server gave an answer to another question")),
            };
        }
        match Lock::take(db) {
            Ok(_lock) => return Ok(commit_one(&mut Writer::open(db)?, Write::Admin(admin))?),
            Err(Failure::Busy(_)) if patience.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// One write, committed and checkpointed, by the holder of the lock.
pub fn commit_one(writer: &mut Writer, write: Write) -> Result<Result<Done, Refused>, StoreError> {
    let outcome = writer.commit(vec![(Ticket(1), write)])?.pop();
    writer.checkpoint(true)?;
    let (_, outcome) = outcome.ok_or_else(|| StoreError::Broken("a change was not answered".into()))?;
    Ok(outcome.result)
}

/// The lock, for a command that needs the file alone.
pub fn alone(db: &Path, command: &str) -> Result<Lock, Trouble> {
    Lock::take(db).map_err(|failure| match failure {
        Failure::Busy(_) => Trouble::new(
            Exit::Busy,
            format!("a server runs on {}: stop it before `pillarbox {command}`", db.display()),
        ),
        other => other.into(),
    })
}
