//! Floor 6: the real world around the engine. The only code that touches sockets, threads, signals and clocks; it
//! decides nothing about mail. The simulator in `tests/` is another world around the same engine.

pub mod ask;
mod control;
mod datagrams;
pub mod frame;
pub mod hasher;
mod inbox;
mod listen;
pub mod lock;
mod reader;
mod run;
pub mod services;
pub mod setup;
mod signals;
mod socket;
mod start;
mod sys;
mod writer;

pub use start::Server;

/// Why the server could not start or had to end: what happened in one sentence, and which kind of trouble it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A port is taken, or may not be used by us.
    Port(String),
    /// Another process works on the file.
    Busy(String),
    /// The file or its folder cannot be used.
    File(String),
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Port(why) | Failure::Busy(why) | Failure::File(why) | Failure::Other(why) => {
                f.write_str(why)
            }
        }
    }
}

impl std::error::Error for Failure {}
