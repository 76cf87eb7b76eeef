//! The full-text index: which messages may contain a text. A search asks it first and reads only those; what it says is
//! a necessary condition, and the judge decides, so that results are exact whatever state the index is in.
//!
//! - A body is one row, whose rowid is the body's id: COPY and MOVE never touch the index.
//! - The words of a row are *trigrams*: every three characters that stand side by side in what the message says, folded
//!   by `mime::text::fold`, each once, with one letter for where they stand (`Place`). A text of three characters or more
//!   is in the message only if all its trigrams are. SQLite's FTS5 keeps them (contentless, `detail=none`): an inverted
//!   list for each trigram.
//! - `tokens` makes trigrams on the reader thread, so that the writer only inserts, and a huge body costs it no more than
//!   its distinct trigrams. `gather` does so for the next bodies, `commit::index` writes them, `plan` turns a search
//!   into trigrams, `lookup` asks for them, and the engine's `indexing` keeps all of that going in the background.
//! - A watermark says how far the index has come: every finished body up to it is a row, or is listed in `index_pending`
//!   (an upload that was finished late, or a body that is not worth its trigrams). Rows and watermark change in one
//!   transaction. What lies above the watermark, and what is pending, is the *tail*: always a candidate.
//! - A body that is removed takes its row along.

pub mod gather;
mod lookup;
pub mod plan;
pub mod tokens;

use rusqlite::Connection;

use crate::base::BodyId;

use super::{Reader, StoreError};

pub use gather::{IndexRow, IndexWork, Next};
pub use plan::Plan;

/// Where a trigram stands. The letter begins each word of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    From,
    To,
    Cc,
    Bcc,
    Subject,
    /// Any field of any header that SEARCH TEXT looks at and SEARCH BODY does not.
    Header,
    /// What SEARCH BODY looks at.
    Body,
}

impl Place {
    pub const ALL: [Place; 7] =
        [Place::From, Place::To, Place::Cc, Place::Bcc, Place::Subject, Place::Header, Place::Body];

    fn letter(self) -> char {
        match self {
            Place::From => 'f',
            Place::To => 't',
            Place::Cc => 'c',
            Place::Bcc => 'b',
            Place::Subject => 's',
            Place::Header => 'h',
            Place::Body => 'x',
        }
    }
}

/// What the index is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is indexed, nothing is asked.
    Off,
    On,
    /// The rows are being removed, a few at a time; afterwards it is off, or begins anew.
    Emptying,
}

/// The one row of `index_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub mode: Mode,
    /// Counts beginnings: what was gathered for an earlier one is dropped.
    pub epoch: i64,
    /// Every finished body up to this one is a row or pending.
    pub up_to: BodyId,
    /// Rows in all, and those added since all was last merged into one piece.
    pub rows: i64,
    pub fresh: i64,
    /// The last change left pieces over that may be merged.
    pub unmerged: bool,
}

impl State {
    /// Of the file as this connection sees it.
    pub fn load(db: &Connection) -> Result<State, StoreError> {
        let sql = "SELECT mode, epoch, up_to, rows, fresh, unmerged FROM index_state";
        Ok(db.prepare_cached(sql)?.query_row([], |row| {
            let mode = match row.get(0)? {
                0 => Mode::Off,
                1 => Mode::On,
                _ => Mode::Emptying,
            };
            Ok(State {
                mode,
                epoch: row.get(1)?,
                up_to: row.get(2)?,
                rows: row.get(3)?,
                fresh: row.get(4)?,
                unmerged: row.get(5)?,
            })
        })?)
    }
}

/// How far the index is, for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub mode: Mode,
    pub indexed: u64,
    /// Bodies that a search reads because the index does not know them yet.
    pub waiting: u64,
}

impl Reader {
    pub(super) fn index_state(&self) -> Result<State, StoreError> {
        State::load(self.snapshot()?)
    }

    /// Counts bodies, so not for the loop.
    pub fn index_progress(&self) -> Result<Progress, StoreError> {
        let state = self.index_state()?;
        let sql = "SELECT (SELECT count(*) FROM body WHERE id > ?1 AND refs > 0) + (SELECT count(*) FROM index_pending)";
        let waiting = self.one(sql, [state.up_to], |row| row.get(0))?.unwrap_or(0);
        let indexed = state.rows.max(0).unsigned_abs();
        Ok(Progress { mode: state.mode, indexed, waiting: if state.mode == Mode::Off { 0 } else { waiting } })
    }
}
