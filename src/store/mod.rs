//! Floor 2: the one file. Reads, writes as values, group commit, backup. No SQL exists outside this room.
//!
//! Three handles, all on the same file: `Reader` on the loop (small indexed rows, one snapshot a turn), another `Reader`
//! on the reader thread (`Reader::answer`, large or cold reads in slices), and `Writer` on the writer thread
//! (`Writer::commit`, the only code that changes a row while the server runs).

mod account;
pub mod backup;
mod changes;
mod columns;
mod commit;
mod envelope;
mod fulltext;
mod judge;
mod mailbox;
mod maildrop;
mod message;
mod open;
mod quota;
mod reader;
mod rebuild;
mod scan;
pub mod search;
mod searching;
pub mod settings;
pub mod sorting;
mod sql;
mod texts;
mod threader;
pub mod threading;
pub mod verify;
mod view;
mod work;
mod write;
mod writer;

pub use commit::Space;
pub use envelope::EnvelopeField;
pub use fulltext::{
    IndexRow, IndexWork, Mode as IndexMode, Next as IndexNext, Plan, Progress as IndexProgress,
};
pub use open::OpenOptions;
pub use quota::{Limits, Resource, Usage};
pub use reader::{
    Account, Address, Columns, Credential, MailboxRow, Preview, Question, Reader, Reply, Row, Rows, Scope,
    SpecialUse, Status,
};
pub use view::{AtOnce, Change, Flags, KeywordSet, View, ViewAt};
pub use write::{
    Admin, Append, ChangeFlags, Deliver, Delivered, Done, Expunge, FlagNames, FlagOp, NewBody, Outcome,
    Place, Refused, Remove, Slice, Target, Transfer, Write,
};
pub use writer::Writer;

/// Something is wrong with the file or the disk: ours, not the peer's. Logged once where it is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The file cannot be opened: a sentence for the person at the terminal.
    Open(String),
    /// No space left, or the reserve is reached.
    Full,
    /// Anything else SQLite or the disk said.
    Broken(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Open(why) | StoreError::Broken(why) => f.write_str(why),
            StoreError::Full => f.write_str("the disk is full"),
        }
    }
}

impl std::error::Error for StoreError {}
