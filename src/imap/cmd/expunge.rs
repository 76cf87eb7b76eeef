//! EXPUNGE and UID EXPUNGE (RFC 9051 section 6.4.3, 6.4.9). Many messages go in several commits, so that none holds up
//! the other writers for long. What is gone is told by `tell`, together with what others expunged.

use crate::base::{Uid, UidSet};
use crate::imap::command::By;
use crate::imap::lex::{Parsed, Parser, Set};
use crate::imap::reply::{self, Code, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::imap::view::next_part;
use crate::session::{Cx, Want};
use crate::store::{Expunge, Flags, Write};

use super::committed;

/// `expunge = "EXPUNGE"`
pub fn expunge(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(Box::new(Expunging::new(None)))
}

/// `uid-expunge = "UID" SP "EXPUNGE" SP sequence-set`
pub fn uid_expunge(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let uids = p.sequence_set()?;
    Ok(Box::new(Expunging::new(Some(uids))))
}

/// Expunges what is flagged `\Deleted`, of a set or of all, until nothing is left. CLOSE uses it too.
pub struct Expunging {
    uids: Option<Set>,
    /// Where the next commit starts.
    from: Uid,
    waiting: bool,
    any: bool,
}

impl Expunging {
    pub fn new(uids: Option<Set>) -> Expunging {
        Expunging { uids, from: Uid(1), waiting: false, any: false }
    }
}

impl Running for Expunging {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if std::mem::take(&mut self.waiting) {
            committed(cx)?;
            self.any = true;
        }
        if let Some(uids) = self.next(core, cx)? {
            self.waiting = true;
            let mailbox = core.selected()?.mailbox;
            let write = Write::Expunge(Expunge { mailbox, uids: Some(uids), now: cx.now.wall });
            return Err(Pause::Wait(Want::Commit { write }));
        }
        // RFC 7162 section 3.2.7 asks for the code where something was expunged.
        let code = if core.condstore && self.any { Code::HighestModseq } else { Code::None };
        Ok(Reply { code, ..reply::ok("Expunged") })
    }
}

impl Expunging {
    /// The uids of the next commit, all of them flagged `\Deleted` and known to the client; `None` when all are done.
    fn next(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Option<UidSet>, Pause> {
        let selected = core.writable()?;
        let row = cx.store.mailbox(selected.mailbox)?;
        if row.is_none_or(|row| row.deleted == 0) {
            return Ok(None);
        }
        let wanted = match &self.uids {
            Some(set) => {
                let view = selected.view(cx)?;
                Some(selected.resolve(set, By::Uid, &view)?)
            }
            None => None,
        };
        let known = selected.uid_next;
        let current = selected.current(cx)?;
        let uids = next_part(&current, self.from, |row| {
            let meant = wanted.as_ref().is_none_or(|uids| uids.contains(row.uid.0));
            meant && row.uid < known && row.flags.has(Flags::DELETED)
        });
        self.from = uids.last().map_or(self.from, |uid| Uid(uid).next());
        Ok(if uids.is_empty() { None } else { Some(uids) })
    }
}
