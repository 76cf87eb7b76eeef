//! pillarbox: a personal mail server. `src/ARCHITECTURE.md` is the map; modules are listed from the ground up, and a
//! module may use only those above it in this list.

pub mod base;

pub mod dns;
pub mod mime;

pub mod store;

pub mod session;

pub mod delivery;

pub mod imap;
pub mod pop3;
pub mod smtp;

pub mod engine;

pub mod io;

pub mod cli;
