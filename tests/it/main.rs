//! One test binary for everything that is not a unit test.

#[path = "../world/mod.rs"]
mod world;

mod disk;

mod interop;
mod store;
mod fuzz;

mod mime;
