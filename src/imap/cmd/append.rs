//! APPEND (RFC 9051 section 6.3.12): the message streams from the input into slices and is never held whole.

use crate::imap::gather::Head;
use crate::imap::lex::{Bad, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Running};
use crate::session::Cx;

/// Called when the line so far ends in a literal's head. `None`: the literal is not the message, but belongs to the
/// arguments before it, and is to be gathered.
pub fn begin(
    p: &mut Parser<'_>,
    head: Head,
    core: &Core,
    cx: &mut Cx<'_>,
) -> Option<Result<Box<dyn Running>, Reply>> {
    let _ = (p, head, core, cx);
    Some(Err(reply::bad(Bad("x"))))
}
