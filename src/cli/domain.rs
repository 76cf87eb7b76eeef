//! `pillarbox domain`: which domains mail is taken for.

use crate::io::lock::Lock;
use crate::store::{Admin, Reader, Writer};

use super::args::Call;
use super::json::Json;
use super::reach;
use super::report::{Report, Trouble};

/// The first step of a real box: makes the file where there is none.
pub fn add(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    let db = call.db();
    let mut text = String::new();
    if !reach::is_there(&db) {
        let _lock = Lock::take(&db)?;
        drop(Writer::create(super::quickstart::new_file(&db)?)?);
        text = format!("{} is made.\n", db.display());
    }
    reach::change(call, &format!("the domain {name}"), Admin::AddDomain { name: name.into() })?;
    text.push_str(&format!("Mail for {name} is taken.\n"));
    Ok(Report::new(text, Json::object([("domain", Json::text(name))])))
}

pub fn list(call: &Call) -> Result<Report, Trouble> {
    let store: Reader = reach::reader(call)?;
    let domains = store.domains()?;
    let json = Json::object([("domains", Json::list(domains.iter().map(Json::text)))]);
    Ok(Report::new(domains.join("\n"), json))
}

pub fn remove(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    reach::change(call, &format!("the domain {name}"), Admin::RemoveDomain { name: name.into() })?;
    Ok(Report::new(
        format!("Mail for {name} is no longer taken."),
        Json::object([("domain", Json::text(name))]),
    ))
}
