//! COPY and MOVE (RFC 9051 section 6.4.7, 6.4.8; UIDPLUS in RFC 4315). All or nothing, in one commit: only rows are written.

use crate::base::{Uid, UidSet, UidValidity};
use crate::imap::command::By;
use crate::imap::lex::{Parsed, Parser, Set};
use crate::imap::reply::{self, Code, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::{Answer, Cx, Want};
use crate::store::{Done, Refused, Transfer, Write};

use super::committed;

/// `copy = "COPY" SP sequence-set SP mailbox`
pub fn copy(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    parse(p, by, Kind::Copy)
}

/// `move = "MOVE" SP sequence-set SP mailbox`
pub fn moving(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    parse(p, by, Kind::Move)
}

fn parse(p: &mut Parser<'_>, by: By, kind: Kind) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let set = p.sequence_set()?;
    p.space()?;
    let to = p.mailbox()?;
    Ok(Box::new(Copy { set, by, kind, to, waiting: false }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Copy,
    Move,
}

struct Copy {
    set: Set,
    by: By,
    kind: Kind,
    to: String,
    waiting: bool,
}

impl Running for Copy {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.waiting {
            return self.done(core, cx);
        }
        core.may_write()?;
        let selected = if self.kind == Kind::Move { core.writable()? } else { core.selected()? };
        let view = selected.view(cx)?;
        let uids = selected.resolve(&self.set, self.by, &view)?;
        let (account, from) = (selected.account, selected.mailbox);
        let to = cx.store.mailbox_named(account, &self.to)?.filter(|row| !row.no_select);
        let to = to.ok_or_else(|| Pause::Refuse(reply::try_create()))?.id;
        if uids.is_empty() {
            return Ok(nothing());
        }
        self.waiting = true;
        let transfer = Transfer { account, from, uids, to, now: cx.now.wall };
        let write = if self.kind == Kind::Move { Write::Move(transfer) } else { Write::Copy(transfer) };
        Err(Pause::Wait(Want::Commit { write }))
    }
}

impl Copy {
    fn done(&self, core: &Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if let Some(Answer::Commit(Err(Refused::NoMailbox))) = &cx.answer {
            return Ok(reply::try_create());
        }
        let Done::Copied { validity, pairs } = committed(cx)? else { return Ok(reply::broken()) };
        if pairs.is_empty() {
            return Ok(nothing());
        }
        let code = copy_uid(validity, &pairs);
        if self.kind == Kind::Copy {
            return Ok(reply::ok("Copied").with_code(code));
        }
        // RFC 6851 section 4.3: before the EXPUNGE responses, so that the client can follow its messages.
        reply::ok("Moved").write(cx.output, "*", Some(&code));
        let code = if core.condstore { Code::HighestModseq } else { Code::None };
        Ok(Reply { code, ..reply::ok("Moved") })
    }
}

/// Nothing of the set is there any more. A NO would make Apple Mail try again for ever.
fn nothing() -> Reply {
    reply::ok("There was nothing left to do")
}

/// `COPYUID` with both sets in the same order, which is ascending in both.
fn copy_uid(validity: UidValidity, pairs: &[(Uid, Uid)]) -> String {
    let from: UidSet = pairs.iter().map(|(from, _)| from.0).collect();
    let to: UidSet = pairs.iter().map(|(_, to)| to.0).collect();
    format!("COPYUID {validity} {from} {to}")
}
