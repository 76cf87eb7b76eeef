//! SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 section 6.3.2, 6.3.3, 6.4.1, 6.4.2) with CONDSTORE and QRESYNC (RFC 7162).
//!
//! SELECT reads one row and does no work per message. There is no `[UNSEEN n]`: it would need that work, and RFC 9051
//! dropped it. `RECENT 0` is said to IMAP4rev1 clients, who must get it; no message is ever `\Recent`, which RFC 3501
//! section 2.3.2 leaves to us.

use crate::base::{ModSeq, UidSet, UidValidity};
use crate::imap::emit;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::object;
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running, room};
use crate::imap::view::{Selected, vanished_since};
use crate::session::{Cx, Want};
use crate::store::{MailboxRow, Scope, StoreError};

use super::expunge::Expunging;
use super::{list, once};

/// `select = "SELECT" SP mailbox [select-params]`
pub fn select(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    parse(p, false)
}

/// `examine = "EXAMINE" SP mailbox [select-params]`
pub fn examine(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    parse(p, true)
}

fn parse(p: &mut Parser<'_>, read_only: bool) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let mailbox = p.mailbox()?;
    let mut params = Params { condstore: false, resync: None };
    if p.eat(b' ') {
        p.list(|p| param(p, &mut params))?;
    }
    Ok(Box::new(Select { mailbox, read_only, params, stage: Stage::Open }))
}

struct Params {
    condstore: bool,
    resync: Option<Resync>,
}

/// What a client with QRESYNC remembers (RFC 7162 section 3.2.5).
struct Resync {
    validity: UidValidity,
    modseq: ModSeq,
    known: Option<UidSet>,
    /// Sequence numbers and the uids they had, in order: an agreement means that nothing below it is gone.
    matched: Vec<(u32, u32)>,
}

/// `select-param = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
/// [SP seq-match-data] ")"`
fn param(p: &mut Parser<'_>, params: &mut Params) -> Parsed<()> {
    if p.eat_word("CONDSTORE") {
        params.condstore = true;
        return Ok(());
    }
    if !p.eat_word("QRESYNC") {
        return Err(Bad("This parameter of SELECT does not exist"));
    }
    p.space()?;
    p.byte(b'(')?;
    let validity = UidValidity(p.nz_number()?);
    p.space()?;
    let modseq = ModSeq(p.number64()?);
    let known = p.maybe(|p| {
        p.space()?;
        p.sequence_set()?.plain()
    });
    let matched = p.maybe(seq_match_data).unwrap_or_default();
    p.byte(b')')?;
    params.resync = Some(Resync { validity, modseq, known, matched });
    Ok(())
}

/// `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`
fn seq_match_data(p: &mut Parser<'_>) -> Parsed<Vec<(u32, u32)>> {
    p.space()?;
    p.byte(b'(')?;
    let seqs = p.sequence_set()?;
    p.space()?;
    let uids = p.sequence_set()?;
    p.byte(b')')?;
    let (seqs, uids) = (seqs.plain()?, uids.plain()?);
    if seqs.count() != uids.count() {
        return Err(Bad("Both sets must have the same length"));
    }
    // A hint: what it says beyond this many pairs is not needed to be right.
    const PAIRS_MAX: usize = 1_000;
    Ok(seqs.iter().zip(uids.iter()).take(PAIRS_MAX).collect())
}

struct Select {
    mailbox: String,
    read_only: bool,
    params: Params,
    stage: Stage,
}

enum Stage {
    Open,
    /// What is gone since the client's modseq has to be found.
    Gone,
    /// … and told, from the range with this index on.
    TellGone(UidSet, usize),
    /// Flags that changed since, from this sequence number on.
    TellFlags(u32),
}

/// Rows looked at in one step.
const ROWS_PER_STEP: usize = 20_000;
/// Ranges in one VANISHED response.
const RANGES_PER_LINE: usize = 1_000;

impl Running for Select {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if matches!(self.stage, Stage::Open) {
            let goes_on = self.open(core, cx)?;
            if !goes_on {
                return done(core);
            }
            self.stage = Stage::Gone;
        }
        let result = self.resync(core, cx);
        if let Err(Pause::Refuse(_)) = result {
            core.selected = None;
        }
        result
    }
}

impl Select {
    /// Opens the mailbox and says what it holds; true if a resynchronisation follows.
    fn open(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<bool, Pause> {
        if self.params.resync.is_some() && !core.qresync {
            return Err(Bad("ENABLE QRESYNC comes first").into());
        }
        let login = core.login()?;
        let (account, scope) = (login.account, login.scope);
        if core.selected.take().is_some() {
            cx.output.str("* OK [CLOSED] The mailbox before is closed\r\n");
        }
        let row = cx.store.mailbox_named(account, &self.mailbox)?.filter(|row| !row.no_select);
        let row = row.ok_or_else(|| Pause::Refuse(reply::no_mailbox()))?;
        core.condstore |= self.params.condstore || self.params.resync.is_some();
        let read_only = self.read_only || scope != Scope::All;
        let keywords = cx.store.mailbox_keywords(row.id)?;
        let mut selected = Selected::new(&row, account, read_only);
        selected.keywords_told = keywords.len();
        emit::flag_lists(cx.output, &keywords, !read_only);
        tell_row(&row, core, cx)?;
        core.selected = Some(Box::new(selected));
        let resync = self.params.resync.as_ref();
        Ok(resync.is_some_and(|resync| resync.validity == row.validity && resync.modseq < row.modseq))
    }

    fn resync(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        let Some(resync) = &self.params.resync else { return done(core) };
        let selected = core.selected()?;
        loop {
            match &mut self.stage {
                Stage::Open => return Err(Pause::Gone),
                Stage::Gone => {
                    let gone =
                        vanished_since(selected, cx, resync.modseq, resync.known.as_ref(), &resync.matched)?;
                    self.stage = Stage::TellGone(gone, 0);
                }
                Stage::TellGone(gone, from) => {
                    if cx.output.full() {
                        return Err(room(cx));
                    }
                    let part: Vec<_> = gone.ranges().skip(*from).take(RANGES_PER_LINE).collect();
                    *from += part.len();
                    if part.is_empty() {
                        self.stage = Stage::TellFlags(1);
                        continue;
                    }
                    let mut set = UidSet::new();
                    for range in part {
                        set.insert_range(*range.start(), *range.end());
                    }
                    cx.output.str(&format!("* VANISHED (EARLIER) {set}\r\n"));
                }
                Stage::TellFlags(from) => {
                    tell_flags(selected, cx, resync, from)?;
                    return done(core);
                }
            }
        }
    }
}

/// Untagged responses of SELECT that cost one row.
fn tell_row(row: &MailboxRow, core: &Core, cx: &mut Cx<'_>) -> Result<(), StoreError> {
    emit::count(cx.output, row.messages, "EXISTS");
    if !core.rev2 {
        emit::count(cx.output, 0, "RECENT");
    }
    cx.output.str(&format!("* OK [UIDVALIDITY {}] The uids are good\r\n", row.validity));
    cx.output.str(&format!("* OK [UIDNEXT {}] The next uid\r\n", row.uid_next));
    cx.output.str(&format!("* OK [HIGHESTMODSEQ {}] The last change\r\n", row.modseq));
    let id = object::mailbox(row.id, row.validity);
    cx.output.str(&format!("* OK [MAILBOXID ({id})] It keeps this id\r\n"));
    if core.rev2 {
        list::tell_selected(row, core, cx)?;
    }
    Ok(())
}

/// `FETCH (UID FLAGS MODSEQ)` of what changed, in bounded steps; `from` moves on.
fn tell_flags(
    selected: &mut Selected,
    cx: &mut Cx<'_>,
    resync: &Resync,
    from: &mut u32,
) -> Result<(), Pause> {
    let view = selected.view(cx)?;
    for (looked, (seq, row)) in view.iter_from(*from).enumerate() {
        *from = seq;
        if cx.output.full() {
            return Err(room(cx));
        }
        if looked == ROWS_PER_STEP {
            return Err(Pause::Wait(Want::Turn));
        }
        let known = resync.known.as_ref().is_none_or(|known| known.contains(row.uid.0));
        if known && row.modseq > resync.modseq {
            emit::fetch_begin(cx.output, seq, row.uid);
            cx.output.push(b" FLAGS ");
            emit::flags(cx.output, cx.store, row.flags)?;
            emit::modseq(cx.output, row.modseq);
            emit::fetch_end(cx.output);
        }
    }
    Ok(())
}

fn done(core: &mut Core) -> Result<Reply, Pause> {
    let code = if core.selected()?.read_only { "READ-ONLY" } else { "READ-WRITE" };
    Ok(reply::ok("The mailbox is open").with_code(code))
}

/// CLOSE expunges without telling, unless the mailbox was opened for reading only (RFC 9051 section 6.4.1).
pub fn close(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(Box::new(Close { expunging: Expunging::new(None) }))
}

struct Close {
    expunging: Expunging,
}

impl Running for Close {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if core.writable().is_ok() {
            match self.expunging.step(core, cx) {
                Ok(_) => {}
                // What cannot be expunged stays; the mailbox is closed all the same.
                Err(Pause::Refuse(_)) => {}
                Err(pause) => return Err(pause),
            }
        }
        core.selected = None;
        Ok(reply::ok("The mailbox is closed"))
    }
}

/// RFC 3691: as CLOSE, but nothing is expunged.
pub fn unselect(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|core, _| {
        core.selected = None;
        Ok(reply::ok("The mailbox is closed"))
    }))
}
