//! `pillarbox status` and `pillarbox reload`: what the box holds, and what its server does.

use std::fmt::Write;

use crate::io::ask::Asking;
use crate::io::frame::{Answer, Request};
use crate::io::lock::beside;
use crate::store::{IndexMode, Reader};

use super::args::Call;
use super::json::Json;
use super::reach;
use super::report::{Exit, Report, Trouble};

pub fn run(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let store = Reader::open(&db)?;
    let accounts = store.accounts()?;
    let length = |suffix: &str| std::fs::metadata(beside(&db, suffix)).map_or(0, |meta| meta.len());
    let counts = [
        ("domains", store.domains()?.len() as u64),
        ("accounts", accounts.len() as u64),
        ("messages", accounts.iter().map(|account| account.used.messages).sum()),
        ("message-bytes", accounts.iter().map(|account| account.used.bytes).sum()),
        ("file-bytes", length("")),
        ("log-bytes", length("-wal")),
    ];
    let index = store.index_progress()?;
    let state = match index.mode {
        IndexMode::Off => "off",
        IndexMode::On => "on",
        IndexMode::Emptying => "being removed",
    };
    let server = match Asking::connect(&db) {
        Some(mut server) => match server.ask(&Request::Status)? {
            Answer::Status(rows) => Some(rows),
            _ => return Err(Trouble::new(Exit::Failed, "the server gave an answer to another question")),
        },
        None => None,
    };
    let mut text = format!("file: {}\n", db.display());
    for (name, count) in counts {
        let _ = writeln!(text, "{name}: {count}");
    }
    let _ = writeln!(text, "search-index: {state} ({} indexed, {} waiting)", index.indexed, index.waiting);
    let _ = writeln!(text, "server: {}", if server.is_some() { "running" } else { "not running" });
    for (name, value) in server.iter().flatten() {
        let _ = writeln!(text, "  {name}: {value}");
    }
    let mut fields = vec![("file", Json::text(db.display().to_string()))];
    fields.extend(counts.map(|(name, count)| (name, Json::number(count))));
    fields.push(("search-index", Json::text(state)));
    fields.push(("indexed", Json::number(index.indexed)));
    fields.push(("waiting-for-index", Json::number(index.waiting)));
    fields.push(("running", Json::Bool(server.is_some())));
    fields.push(("server", Json::maybe(server.as_deref().map(rows_as_json))));
    Ok(Report::new(text, Json::object(fields)))
}

/// Several rows of one name (addresses listened on) become a list.
fn rows_as_json(rows: &[(String, String)]) -> Json {
    let value = |text: &String| text.parse::<u64>().map_or_else(|_| Json::text(text), Json::number);
    let mut fields: Vec<(String, Json)> = Vec::new();
    for (name, text) in rows {
        if name.starts_with("listening-") {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, Json::List(list))) => list.push(value(text)),
                _ => fields.push((name.clone(), Json::List(vec![value(text)]))),
            }
        } else {
            fields.push((name.clone(), value(text)));
        }
    }
    Json::Object(fields)
}

pub fn reload(call: &Call) -> Result<Report, Trouble> {
    let db = reach::existing(call)?;
    let Some(mut server) = Asking::connect(&db) else {
        return Err(Trouble::new(Exit::Refused, format!("no server runs on {}", db.display())));
    };
    match server.ask(&Request::Reload)? {
        Answer::Reloading => Ok(Report::new(
            "The server reads its settings again.",
            Json::object([("reloading", Json::Bool(true))]),
        )),
        _ => Err(Trouble::new(Exit::Failed, "the server gave an answer to another question")),
    }
}
