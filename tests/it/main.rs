//! One test binary for everything that is not a unit test.

#[path = "../world/mod.rs"]
mod world;

mod disk;

mod engine;

mod fuzz;

mod interop;

mod mime;

mod store;
