//! What the index needs next, found on the reader thread: the words of the next bodies, or the next small piece of
//! upkeep. Bounded by what is read and by what the writer will have to insert; a large message is read on the next time.

use std::cell::RefCell;

use rusqlite::OptionalExtension;

use crate::base::{BodyId, limits};

use super::super::texts::Walk;
use super::super::{Reader, StoreError};
use super::tokens::Tokens;
use super::{Mode, State};

/// A change to the index. `Write::Index` carries it.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexWork {
    /// The watermark goes from `after` to `up_to`. Bodies between them that are not among the rows become pending.
    Rows { epoch: i64, after: BodyId, up_to: BodyId, rows: Vec<IndexRow> },
    /// Brings pieces of the index together, a few pages of them; `whole`: begins to make one piece of all.
    Merge { epoch: i64, whole: bool },
    /// Removes some of what is left of an index that was given up.
    Empty { epoch: i64 },
}

#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    pub body: BodyId,
    /// Separated by spaces. `None`: a search reads this body always.
    pub words: Option<String>,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Nothing,
    /// A large message is being read: ask again.
    Again,
    Work(IndexWork),
}

/// A large message of which a part has been read.
pub struct Reading {
    body: BodyId,
    walk: Walk,
    tokens: Tokens,
}

/// New rows, in hundredths of all, at which the index is made one piece again: a search looks into each piece.
const FRESH_PERCENT: i64 = 10;
/// Below this it is never worth it.
const FRESH_MIN: i64 = 500;

/// What one question may still take.
struct Budget {
    bytes: u64,
    tokens: usize,
}

/// What has become of a body.
enum Read {
    Whole(Option<String>, usize),
    Paused,
}

impl Reader {
    /// The next change that the index needs.
    pub fn index_next(&self) -> Result<Next, StoreError> {
        let state = self.index_state()?;
        let State { epoch, .. } = state;
        match state.mode {
            Mode::Off => return Ok(Next::Nothing),
            Mode::Emptying => return Ok(Next::Work(IndexWork::Empty { epoch })),
            Mode::On => {}
        }
        if state.unmerged {
            return Ok(Next::Work(IndexWork::Merge { epoch, whole: false }));
        }
        let bodies = self.bodies_to_index(&state)?;
        if bodies.is_empty() {
            let whole = state.fresh > FRESH_MIN.max(state.rows / 100 * FRESH_PERCENT);
            return Ok(if whole { Next::Work(IndexWork::Merge { epoch, whole }) } else { Next::Nothing });
        }
        self.gather(&state, &bodies)
    }

    /// Uploads that were finished late, then what lies above the watermark; ascending.
    fn bodies_to_index(&self, state: &State) -> Result<Vec<BodyId>, StoreError> {
        let sql = "SELECT body FROM index_pending WHERE skipped = 0 ORDER BY body LIMIT ?1";
        let most = limits::INDEX_BODIES_PER_WRITE as i64;
        let mut bodies: Vec<BodyId> = self.all(sql, [most], |row| row.get(0))?;
        // A staged body has no refs. When it is finished it is above the watermark, or becomes pending.
        let sql = "SELECT id FROM body WHERE id > ?1 AND refs > 0 ORDER BY id LIMIT ?2";
        bodies
            .extend(self.all(sql, (state.up_to, most - bodies.len() as i64), |row| row.get::<_, BodyId>(0))?);
        Ok(bodies)
    }

    fn gather(&self, state: &State, bodies: &[BodyId]) -> Result<Next, StoreError> {
        let mut budget =
            Budget { bytes: limits::INDEX_BYTES_PER_SLICE, tokens: limits::INDEX_TOKENS_PER_WRITE };
        let mut rows = Vec::new();
        let mut up_to = state.up_to;
        for body in bodies {
            let (words, tokens) = match self.words_of(*body, &mut budget) {
                Ok(Read::Whole(words, tokens)) => (words, tokens),
                Ok(Read::Paused) => break,
                Err(error) => {
                    log::warn!("body {body} cannot be indexed, searches read it: {error}");
                    (None, 0)
                }
            };
            up_to = up_to.max(*body);
            rows.push(IndexRow { body: *body, words });
            budget.tokens = budget.tokens.saturating_sub(tokens);
            if budget.tokens == 0 || budget.bytes == 0 {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(Next::Again);
        }
        Ok(Next::Work(IndexWork::Rows { epoch: state.epoch, after: state.up_to, up_to, rows }))
    }

    /// Reads on in a message, and to its end if the budget allows.
    fn words_of(&self, body: BodyId, budget: &mut Budget) -> Result<Read, StoreError> {
        let kept = self.reading.take().filter(|reading| reading.body == body);
        let Reading { mut walk, mut tokens, .. } = match kept {
            Some(reading) => reading,
            None => self.begin_reading(body)?,
        };
        let mut fetch = |at: u64| self.slice(body, at);
        let (through, read) = walk.run(&mut fetch, None, budget.bytes, &mut tokens)?;
        budget.bytes = budget.bytes.saturating_sub(read);
        if !through {
            *self.reading.borrow_mut() = Some(Reading { body, walk, tokens });
            return Ok(Read::Paused);
        }
        Ok(match tokens.finish() {
            Some((words, count)) => Read::Whole(Some(words), count),
            None => Read::Whole(None, 0),
        })
    }

    fn begin_reading(&self, body: BodyId) -> Result<Reading, StoreError> {
        let sql = "SELECT parts, envelope FROM summary WHERE body = ?1";
        let mut statement = self.statement(sql)?;
        let summary = statement.query_row([body], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        // Without one, a search reads the message as one part too.
        let (parts, envelope): (Vec<u8>, Vec<u8>) = summary.unwrap_or_default();
        let mut tokens = Tokens::default();
        tokens.envelope(&envelope);
        Ok(Reading { body, walk: Walk::new(&parts), tokens })
    }
}

/// The message that is being read for the index.
pub type Kept = RefCell<Option<Reading>>;
