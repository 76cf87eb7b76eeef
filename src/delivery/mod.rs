//! Floor 3b: what happens to a message, whichever protocol brought it.

pub mod intake;
