//! The simulated world: everything outside the engine, from a seed. Same engine, same store, same SQLite as the real
//! server; only sockets, threads, clocks and the disk are played.
#![allow(dead_code)]

pub mod chance;
pub mod disk;
pub mod vfs;
