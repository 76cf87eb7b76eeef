//! `pillarbox backup`, `restore`, `verify` and `rebuild`. Reading needs no server: the first and the third work beside
//! one; the other two need the file alone.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::io::setup::Owner;
use crate::store::verify::Progress;
use crate::store::{OpenOptions, Reader, StoreError, Writer, backup, verify};

use super::args::Call;
use super::json::Json;
use super::progress::{Bar, while_growing};
use super::reach;
use super::report::{Exit, Report, Trouble};

pub fn backup(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let to = Path::new(call.arg(0));
    if to.exists() {
        let sentence = format!("{} exists already; a backup overwrites nothing", to.display());
        return Err(Trouble::new(Exit::File, sentence));
    }
    may_write_beside(to)?;
    let from = OpenOptions::new(&db);
    while_growing("copying", to, length(&db), || backup::backup(&from, to)).inspect_err(|_| {
        // Half a copy is worse than none: somebody might believe in it.
        let _ = std::fs::remove_file(to);
    })?;
    let bytes = length(to);
    let text =
        format!("{} is a whole copy of {}, {bytes} bytes, opened and checked.", to.display(), db.display());
    Ok(Report::new(text, Json::object([("backup", shown(to)), ("bytes", Json::number(bytes))])))
}

/// Root has become the box's owner by now, who may not write where root may.
fn may_write_beside(file: &Path) -> Result<(), Trouble> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return Ok(());
    }
    let sentence = format!(
        "user {}, as whom the copy is made because the box is theirs, may not write into {}: name a folder of theirs and \
         move the copy from there",
        rustix::process::geteuid().as_raw(),
        folder.display()
    );
    Err(Trouble::new(Exit::File, sentence))
}

pub fn restore(call: &Call) -> Result<Report, Trouble> {
    let (db, from) = (call.db(), Path::new(call.arg(0)));
    Owner::of(&db).become_it()?;
    let _lock = reach::alone(&db, "restore")?;
    if !from.exists() {
        return Err(Trouble::new(Exit::File, format!("there is no backup {}", from.display())));
    }
    // What a killed server left in its log comes home, so that the file which is kept is whole. Where that does not
    // work the file is damaged, and that is why somebody restores.
    drop(Writer::open(&db));
    let into = OpenOptions::new(&db);
    let growing = PathBuf::from(format!("{}.restoring", db.display()));
    let kept = while_growing("restoring", &growing, length(from), || backup::restore(from, &into))?;
    let text = match &kept {
        Some(kept) => format!(
            "{} is what {} was; what was there before is kept as {}.",
            db.display(),
            from.display(),
            kept.display()
        ),
        None => format!("{} is what {} was.", db.display(), from.display()),
    };
    let kept = Json::maybe(kept.as_deref().map(shown));
    Ok(Report::new(text, Json::object([("restored", shown(from)), ("kept", kept)])))
}

/// The sentences of `verify` that are shown; a broken disk can have a thousand.
const FAULTS_SHOWN: usize = 20;

pub fn verify(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let mut bar = Bar::new("checking");
    let faults = verify::verify(&Reader::open(&db)?, &mut |at: Progress| bar.show(at.done, at.total))?;
    drop(bar);
    if faults.is_empty() {
        let json = Json::object([("whole", Json::Bool(true))]);
        return Ok(Report::new(format!("{} is whole.", db.display()), json));
    }
    let more = faults.len().saturating_sub(FAULTS_SHOWN);
    let mut sentence = faults.iter().take(FAULTS_SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more > 0 {
        sentence.push_str(&format!("; and {more} more"));
    }
    Err(Trouble::new(Exit::Failed, format!("{}: {sentence}", db.display())))
}

pub fn rebuild(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let _lock = reach::alone(&db, "rebuild")?;
    let mut bar = Bar::new("rebuilding");
    let mut count = 0;
    let mut writer = Writer::open(&db)?;
    writer.rebuild(&mut |at: Progress| {
        count = at.total;
        bar.show(at.done, at.total);
    })?;
    let reader = Reader::open(&db)?;
    writer.rebuild_index(&reader, &mut |at: Progress| bar.show(at.done, at.total))?;
    drop(reader);
    let brought_home: Result<(), StoreError> = writer.checkpoint(true);
    brought_home?;
    drop(bar);
    let text = format!("All that is derived from {count} messages is made anew.");
    Ok(Report::new(text, Json::object([("messages", Json::number(count))])))
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn shown(path: &Path) -> Json {
    Json::text(path.display().to_string())
}
