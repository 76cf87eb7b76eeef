//! The commands, one file for each or for a few that belong together. `server.rs` says how they plug in.

use crate::session::{Answer, Cx, Want};
use crate::store::{Done, Refused, Write};

use crate::base::limits;

use super::lex::Bad;
use super::reply::{self, Reply};
use super::server::{Core, Pause, Running};

pub mod append;
mod appending;
pub mod basic;
pub mod compress;
pub mod copy;
mod early;
pub mod expunge;
pub mod fetch;
mod fetch_row;
mod filter;
mod finding;
mod found;
pub mod idle;
pub mod list;
pub mod login;
pub mod mailbox;
mod piece;
pub mod quota;
mod reading;
pub mod search;
mod section;
pub mod select;
pub mod sort;
pub mod status;
pub mod store;
pub mod thread;

/// A command that is done in one step.
pub fn once(
    work: impl FnOnce(&mut Core, &mut Cx<'_>) -> Result<Reply, Pause> + Send + 'static,
) -> Box<dyn Running> {
    Box::new(Once(Some(work)))
}

struct Once<F>(Option<F>);

impl<F> Running for Once<F>
where
    F: FnOnce(&mut Core, &mut Cx<'_>) -> Result<Reply, Pause> + Send,
{
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        match self.0.take() {
            Some(work) => work(core, cx),
            None => Err(Pause::Gone),
        }
    }
}

/// A command that checks, commits one change, and says what became of it.
pub fn commit(
    check: impl FnOnce(&mut Core, &mut Cx<'_>) -> Result<Write, Pause> + Send + 'static,
    proceed: impl FnOnce(&mut Core, &mut Cx<'_>, Done) -> Reply + Send + 'static,
) -> Box<dyn Running> {
    Box::new(Commit { check: Some(check), proceed: Some(proceed) })
}

struct Commit<C, P> {
    check: Option<C>,
    proceed: Option<P>,
}

impl<C, P> Running for Commit<C, P>
where
    C: FnOnce(&mut Core, &mut Cx<'_>) -> Result<Write, Pause> + Send,
    P: FnOnce(&mut Core, &mut Cx<'_>, Done) -> Reply + Send,
{
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if let Some(check) = self.check.take() {
            return Err(Pause::Wait(Want::Commit { write: check(core, cx)? }));
        }
        let done = committed(cx)?;
        self.proceed.take().map(|proceed| proceed(core, cx, done)).ok_or(Pause::Gone)
    }
}

/// The answer to the commit that this step was waiting for.
pub fn committed(cx: &mut Cx<'_>) -> Result<Done, Pause> {
    let result: Result<Done, Refused> = match cx.answer.take() {
        Some(Answer::Commit(result)) => result,
        _ => return Err(Pause::Refuse(reply::broken())),
    };
    result.map_err(|why| Pause::Refuse(reply::refused(&why)))
}

/// The next line that the client sends in the middle of a command, without its end. Pauses until it is there.
pub fn line(core: &Core, cx: &mut Cx<'_>) -> Result<Vec<u8>, Pause> {
    let waiting = cx.input.peek();
    let Some(at) = waiting.iter().position(|&byte| byte == b'\n') else {
        return Err(match cx.input.eof() {
            true => Pause::Gone,
            false if waiting.len() > limits::SASL_LINE_BYTES_MAX => Pause::Bye(reply::line_hopeless()),
            false => Pause::Wait(Want::Bytes { until: core.patience(cx) }),
        });
    };
    let line = waiting.get(..at).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    cx.input.consume(at + 1);
    if line.len() > limits::SASL_LINE_BYTES_MAX { Err(Bad("This line is too long").into()) } else { Ok(line) }
}
