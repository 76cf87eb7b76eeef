//! Floor 4: IMAP4rev1 and IMAP4rev2. One conversation with a client; it knows nothing of the other protocols.

pub mod capability;
pub mod cmd;
pub mod command;
pub mod emit;
pub mod fetch_args;
pub mod gather;
pub mod lex;
pub mod names;
pub mod pattern;
pub mod reply;
pub mod search_args;
pub mod server;
pub mod tell;
pub mod view;
