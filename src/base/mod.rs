//! Floor 0: what everything else is said in. Ids, time, chance, bytes, sets of numbers, limits.
//! Nothing here knows mail, SQL or sockets.

pub mod bytes;
pub mod config;
pub mod ids;
pub mod limits;
pub mod rng;
pub mod text;
pub mod time;
pub mod uidset;

pub use bytes::{Input, Output};
pub use config::Config;
pub use ids::{
    AccountId, BodyId, ConnId, CredentialId, MailboxId, ModSeq, ThreadId, Ticket, Uid, UidValidity,
};
pub use rng::Rng;
pub use time::{Mono, Now, Wall};
pub use uidset::UidSet;
