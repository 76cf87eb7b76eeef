//! One test binary for everything that is not a unit test.

#[path = "../world/mod.rs"]
mod world;

mod binary;
mod disk;
mod interop;
mod sim;
mod smtp;
mod store;
mod tidy;
mod transcripts;
