//! `pillarbox backup` and `verify`. A backup is taken by the command itself: reading needs no server.

use std::path::Path;

use crate::store::{OpenOptions, backup};

use super::args::Call;
use super::json::Json;
use super::reach;
use super::report::{Exit, Report, Trouble};

pub fn backup(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let to = Path::new(call.arg(0));
    if to.exists() {
        return Err(Trouble::new(
            Exit::File,
            format!("{} exists already; a backup overwrites nothing", to.display()),
        ));
    }
    backup::backup(&OpenOptions::new(&db), to)?;
    let bytes = std::fs::metadata(to).map_or(0, |meta| meta.len());
    let text =
        format!("{} is a whole copy of {}, {bytes} bytes, opened and checked.", to.display(), db.display());
    let file = Json::text(to.display().to_string());
    Ok(Report::new(text, Json::object([("backup", file), ("bytes", Json::number(bytes))])))
}

pub fn verify(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    backup::check(&OpenOptions::new(&db))?;
    Ok(Report::new(format!("{} is whole.", db.display()), Json::object([("whole", Json::Bool(true))])))
}
