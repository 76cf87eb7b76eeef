//! One test binary for everything that is not a unit test.
