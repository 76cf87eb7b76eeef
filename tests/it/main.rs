//! One test binary for everything that is not a unit test.

#[path = "../world/mod.rs"]
mod world;

mod binary;
mod disk;
mod engine;
mod fetch;
mod fulltext;
mod fuzz;
mod imap;
mod interop;
mod mime;
mod model;
mod mutants;
mod objects;
mod pop3;
mod preview;
mod search;
mod sim;
mod smtp;
mod store;
mod store_faults;
mod tidy;
mod transcripts;
mod trouble;
