//! STORE and UID STORE (RFC 9051 section 6.4.6) with UNCHANGEDSINCE (RFC 7162 section 3.1.3). Many messages are changed in
//! several commits. The FETCH responses come from `tell`: without `.SILENT` for all that was addressed, with it only
//! for what others did.

use crate::base::{ModSeq, Uid, UidSet};
use crate::imap::command::By;
use crate::imap::lex::{Bad, Parsed, Parser, Set};
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::imap::view::{Own, Selected, next_part};
use crate::session::{Cx, Want};
use crate::store::{ChangeFlags, Done, FlagNames, FlagOp, View, Write};

use super::committed;

/// `store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"] SP store-att-flags`
pub fn store(p: &mut Parser<'_>, by: By) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let set = p.sequence_set()?;
    p.space()?;
    let unchanged_since = match p.peek() {
        Some(b'(') => Some(unchanged_since(p)?),
        _ => None,
    };
    let (op, silent) = att(p)?;
    p.space()?;
    let flags = p.store_flags()?;
    Ok(Box::new(Store {
        set,
        by,
        op,
        silent,
        flags,
        unchanged_since,
        uids: None,
        from: Uid(1),
        committing: UidSet::new(),
        modified: UidSet::new(),
    }))
}

fn unchanged_since(p: &mut Parser<'_>) -> Parsed<ModSeq> {
    p.byte(b'(')?;
    if !p.eat_word("UNCHANGEDSINCE") {
        return Err(Bad("This modifier of STORE does not exist"));
    }
    p.space()?;
    let modseq = ModSeq(p.number64()?);
    p.byte(b')')?;
    p.space()?;
    Ok(modseq)
}

/// `["+" / "-"] "FLAGS" [".SILENT"]`
fn att(p: &mut Parser<'_>) -> Parsed<(FlagOp, bool)> {
    let op = match (p.eat(b'+'), p.eat(b'-')) {
        (true, _) => FlagOp::Add,
        (_, true) => FlagOp::Remove,
        _ => FlagOp::Set,
    };
    match p.atom()? {
        loud if loud.eq_ignore_ascii_case("FLAGS") => Ok((op, false)),
        silent if silent.eq_ignore_ascii_case("FLAGS.SILENT") => Ok((op, true)),
        _ => Err(Bad("STORE changes FLAGS and nothing else")),
    }
}

struct Store {
    set: Set,
    by: By,
    op: FlagOp,
    silent: bool,
    flags: FlagNames,
    unchanged_since: Option<ModSeq>,
    /// The set as uids, once the view is there.
    uids: Option<UidSet>,
    /// Where the next commit starts.
    from: Uid,
    /// What the commit under way addresses; empty if none is.
    committing: UidSet,
    /// What failed UNCHANGEDSINCE so far.
    modified: UidSet,
}

impl Running for Store {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.unchanged_since.is_some() {
            core.enable_condstore(cx);
        }
        let selected = core.writable()?;
        let part = std::mem::take(&mut self.committing);
        if !part.is_empty() {
            self.committed(part, selected, cx)?;
        }
        let view = selected.view(cx)?;
        let uids = match self.uids.take() {
            Some(uids) => uids,
            None => selected.resolve(&self.set, self.by, &view)?,
        };
        let part = next_part(&view, self.from, |row| uids.contains(row.uid.0));
        let Some(last) = part.last() else { return self.done(&uids, &view, selected, cx) };
        self.uids = Some(uids);
        self.from = Uid(last).next();
        self.committing = part.clone();
        let write = Write::Flags(ChangeFlags {
            account: selected.account,
            mailbox: selected.mailbox,
            uids: part,
            op: self.op,
            flags: self.flags.clone(),
            unchanged_since: self.unchanged_since,
        });
        Err(Pause::Wait(Want::Commit { write }))
    }
}

impl Store {
    fn committed(&mut self, part: UidSet, selected: &mut Selected, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let Done::Flags { modseq, changed, modified } = committed(cx)? else {
            return Err(Pause::Refuse(reply::broken()));
        };
        for range in modified.ranges() {
            self.modified.insert_range(*range.start(), *range.end());
        }
        if self.silent {
            selected.own.push(Own {
                modseq,
                uids: changed,
                op: self.op,
                flags: self.flags.clone(),
                told: false,
            });
            return Ok(());
        }
        for range in part.without(&modified).ranges() {
            selected.loud.insert_range(*range.start(), *range.end());
        }
        Ok(())
    }

    fn done(
        &self,
        uids: &UidSet,
        view: &View,
        selected: &mut Selected,
        cx: &mut Cx<'_>,
    ) -> Result<Reply, Pause> {
        if !self.modified.is_empty() {
            let numbers = match self.by {
                By::Uid => self.modified.clone(),
                By::Seq => {
                    self.modified.iter().filter_map(|uid| view.find(Uid(uid))).map(|(seq, _)| seq).collect()
                }
            };
            return Ok(reply::ok("Some have changed meanwhile").with_code(format!("MODIFIED {numbers}")));
        }
        // By number a client means a message that it believes to be there; by uid, Apple Mail counts on an OK.
        if self.by == By::Uid {
            return Ok(reply::ok("Stored"));
        }
        let current = selected.current(cx)?;
        let gone: UidSet = view.gone_in(&current).into_iter().map(|(_, uid)| uid.0).collect();
        if gone.intersection(uids).is_empty() {
            return Ok(reply::ok("Stored"));
        }
        selected.loud = selected.loud.without(&gone);
        Ok(reply::expunge_issued())
    }
}
