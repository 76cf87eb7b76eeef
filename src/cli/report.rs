//! What a command says at its end: a report as text or as JSON, or a trouble as one sentence and an exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::io::Failure;
use crate::store::{Refused, StoreError};

use super::json::Json;

/// What was done or found.
pub struct Report {
    /// Whole lines for a person; may be empty.
    pub text: String,
    pub json: Json,
}

impl Report {
    /// Text that ends without a line break gets one when it is shown.
    pub fn new(text: impl Into<String>, json: Json) -> Report {
        Report { text: text.into(), json }
    }

    /// For a command that has said everything already.
    pub fn silent() -> Report {
        Report { text: String::new(), json: Json::Null }
    }

    pub fn print(&self, as_json: bool) {
        if self.json == Json::Null {
            return;
        }
        let json = if as_json { self.json.to_string() } else { String::new() };
        let shown = if as_json { json.as_str() } else { self.text.trim_end() };
        if !shown.is_empty() {
            // Nobody reads on: the work is done all the same.
            let _ = writeln!(std::io::stdout(), "{shown}");
        }
    }
}

/// Exit codes, as `pillarbox --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Failed = 1,
    Usage = 2,
    File = 3,
    Refused = 4,
    Busy = 5,
    Port = 6,
}

pub const EXITS: &[(u8, &str)] = &[
    (0, "done"),
    (1, "failed for another reason: a disk error, a damaged file"),
    (2, "the command line is not right"),
    (
        3,
        "the pillarbox file cannot be used: missing, not one, of a newer version, in a folder that is not writable",
    ),
    (4, "refused: the thing exists already, does not exist, or is not allowed"),
    (5, "another pillarbox works on the file, and this command needs it alone"),
    (6, "a port is taken or may not be used"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do it, in one sentence that says what to do where something can be done.
#[derive(Debug)]
pub struct Trouble {
    pub exit: Exit,
    pub sentence: String,
}

impl Trouble {
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Trouble {
        Trouble { exit, sentence: sentence.into() }
    }

    pub fn print(&self, as_json: bool) {
        let _ = writeln!(std::io::stderr(), "pillarbox: {}", self.sentence);
        if as_json {
            let code = Json::number(self.exit as u64);
            let json = Json::object([("error", Json::text(&self.sentence)), ("exit", code)]);
            let _ = writeln!(std::io::stdout(), "{json}");
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        let exit = match &failure {
            Failure::Port(_) => Exit::Port,
            Failure::Busy(_) => Exit::Busy,
            Failure::File(_) => Exit::File,
            Failure::Other(_) => Exit::Failed,
        };
        Trouble::new(exit, failure.to_string())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        let exit = if matches!(error, StoreError::Open(_)) { Exit::File } else { Exit::Failed };
        Trouble::new(exit, error.to_string())
    }
}

/// A refusal by the store, said about `what`: `the account me@box.test`.
pub fn refused(what: &str, refusal: Refused) -> Trouble {
    let sentence = match refusal {
        Refused::Exists => format!("{what} exists already"),
        Refused::NoAccount => format!("{what}: there is no such account; `pillarbox account list` shows all"),
        Refused::NoDomain => {
            format!("{what}: its domain is not served here; add it with `pillarbox domain add`")
        }
        Refused::NoAddress => format!("{what}: there is no such address; `pillarbox address list` shows all"),
        Refused::NoCredential => {
            format!("{what}: there is no such password; `pillarbox account app list` shows all")
        }
        Refused::NoMailbox => format!("{what}: there is no such mailbox"),
        Refused::InUse => format!("{what} is still in use: remove what belongs to it first"),
        Refused::BadName(why) | Refused::Limit(why) => format!("{what}: {why}"),
        Refused::OverQuota(_) => format!("{what}: the account is over its quota"),
        Refused::DiskFull => format!("{what}: the disk is full"),
        Refused::NoBody => format!("{what}: the message is no longer there"),
        Refused::Broken(why) => return Trouble::new(Exit::Failed, format!("{what}: {why}")),
    };
    Trouble::new(Exit::Refused, sentence)
}
