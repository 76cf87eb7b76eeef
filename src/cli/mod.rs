//! Floor 7: commands for people. Each is a row of one table (`commands`), from which the help is printed; each returns
//! a report, which is shown as text or as JSON; what goes wrong is one sentence and an exit code.

use std::process::ExitCode;

mod account;
mod address;
mod args;
mod backup;
mod certificate;
mod commands;
mod config;
mod domain;
mod json;
mod password;
mod progress;
mod quickstart;
mod reach;
mod report;
mod serve;
mod status;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    crate::io::setup::prepare_process();
    let given: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let as_json = given.iter().any(|word| word == "--json");
    match args::parse(given).and_then(|called| called.run()) {
        Ok(report) => {
            report.print(as_json);
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            trouble.print(as_json);
            trouble.exit.into()
        }
    }
}
