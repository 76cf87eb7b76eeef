//! What SEARCH, SORT and THREAD begin with: finding the messages that match a search program.
//!
//! What the view alone can judge (uids, flags, modseqs) is judged first, without reading anything. Only what is left of
//! the mailbox then goes to the reader thread, in slices with bounded work, so that others are served in between and a
//! client that hangs up ends the search.

use std::sync::Arc;

use crate::base::{BodyId, ModSeq, Mono, ThreadId, Uid, UidSet, Wall, limits};
use crate::imap::lex::Parsed;
use crate::imap::reply::{self, Reply, Status};
use crate::imap::returns::Wanted;
use crate::imap::search_args::{SearchArgs, Unsearchable};
use crate::imap::server::{Core, Pause, Running};
use crate::session::{Cx, Want};
use crate::store::search::{Judge, Key, Message, Program};
use crate::store::{Change, Flags, Reader, StoreError, View};

use super::reading::Reading;

/// The command that these arguments make; one whose charset is unknown only says so.
pub fn command<A>(
    args: Result<A, Unsearchable>,
    make: impl FnOnce(A) -> Box<dyn Running>,
) -> Parsed<Box<dyn Running>> {
    match args {
        Ok(args) => Ok(make(args)),
        Err(Unsearchable::Charset { save }) => Ok(Box::new(NoCharset { save })),
        Err(Unsearchable::Bad(why)) => Err(why),
    }
}

/// A charset that we do not know: `NO`, never `BAD` (RFC 9051 section 6.4.4).
struct NoCharset {
    save: bool,
}

impl Running for NoCharset {
    fn step(&mut self, core: &mut Core, _: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.save {
            core.selected()?.saved = UidSet::new();
        }
        Err(Pause::Refuse(reply::no(
            "BADCHARSET (US-ASCII UTF-8)",
            "This charset is not known here; use UTF-8",
        )))
    }
}

/// What a step has come to. A tagged NO empties `$` if it was to be replaced, a tagged BAD leaves it as it was (RFC 9051
/// section 6.4.4.1).
pub fn came_to(done: Result<Reply, Pause>, args: &SearchArgs, core: &mut Core) -> Result<Reply, Pause> {
    if let Err(Pause::Refuse(reply)) = &done
        && reply.status == Status::No
        && args.returns.is_some_and(|returns| returns.save)
    {
        core.selected()?.saved = UidSet::new();
    }
    done
}

/// A search under way.
pub struct Finding {
    view: Arc<View>,
    /// The keys that the view can judge, and the rest.
    judge: Judge,
    rest: Vec<Key>,
    /// The next message of the view to judge, by number.
    seq: u32,
    wanted: Wanted,
    /// Uids that match as far as they were judged.
    found: UidSet,
    reading: Option<Reading>,
    /// When the client is told next how far it is.
    word_at: Option<Mono>,
}

impl Finding {
    /// Call it with `?` until the view is there.
    pub fn begin(
        args: &SearchArgs,
        wanted: Wanted,
        core: &mut Core,
        cx: &mut Cx<'_>,
    ) -> Result<Finding, Pause> {
        let selected = core.selected()?;
        let view = selected.view(cx)?;
        let program = args.program(cx.now.wall, &mut |set, by| selected.resolve(set, by, &view))?;
        if args.modseq {
            core.enable_condstore(cx);
        }
        let (of_view, rest) = program.keys.into_iter().partition(Key::is_of_view);
        Ok(Finding {
            view,
            judge: Judge::new(&Program { keys: of_view }),
            rest,
            seq: 1,
            wanted,
            found: UidSet::new(),
            reading: None,
            word_at: None,
        })
    }

    /// Goes on until all has been judged; then `found` says what matches. Not to be called again after that.
    pub fn advance(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        self.judge_view(cx)?;
        self.judge_rows(core, cx)
    }

    /// The same, with a word to the client now and then that it goes on: for commands that tell nothing before they are
    /// through.
    pub fn advance_with_word(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let done = self.advance(core, cx);
        if matches!(done, Err(Pause::Wait(_))) && !cx.output.full() {
            self.tell_progress(core, cx);
        }
        done
    }

    /// Tells the client that a search which takes long goes on (RFC 9585). Not in the middle of a response.
    pub fn tell_progress(&mut self, core: &Core, cx: &mut Cx<'_>) {
        let interval = limits::PROGRESS_INTERVAL;
        let word_at = *self.word_at.get_or_insert(cx.now.mono.after(interval));
        if cx.now.mono < word_at {
            return;
        }
        self.word_at = Some(cx.now.mono.after(interval));
        let (done, all) = self.reading.as_ref().map_or((0, None), Reading::progress);
        let goal = all.filter(|all| *all > 0).map_or("NIL".into(), |all| all.to_string());
        // A tag may have a bracket in it, which ends a response code for some readers.
        let tag = if core.tag.contains(']') { "NIL".into() } else { format!("\"{}\"", core.tag) };
        cx.output.str(&format!("* OK [INPROGRESS ({tag} {done} {goal})] Still searching\r\n"));
    }

    /// All of them are in the view.
    pub fn found(&self) -> &UidSet {
        &self.found
    }

    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Judges what needs no reading, some messages a step.
    fn judge_view(&mut self, cx: &Cx<'_>) -> Result<(), Pause> {
        if self.reading.is_some() {
            return Ok(());
        }
        let rows_per_step = (limits::VIEW_ROWS_PER_STEP / self.judge.keys().max(1)).max(1);
        for (looked, (seq, row)) in self.view.iter_from(self.seq).enumerate() {
            if looked == rows_per_step {
                self.seq = seq;
                return Err(Pause::Wait(Want::Turn));
            }
            if self.judge.judge(&mut Shown { row, store: cx.store })?.0 {
                self.found.insert(row.uid.0);
                let in_order = !matches!(self.wanted, Wanted::Highest(_));
                if self.rest.is_empty() && in_order && self.found.count() >= self.wanted.enough() {
                    break;
                }
            }
        }
        let (keys, among) = (std::mem::take(&mut self.rest), std::mem::take(&mut self.found));
        self.reading = Some(Reading::new(keys, among, self.wanted));
        Ok(())
    }

    /// Has the rest judged by the reader thread.
    fn judge_rows(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<(), Pause> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let done = reading.advance(core, cx);
        self.found.clone_from(reading.found());
        done
    }
}

/// One message as the view shows it.
struct Shown<'a> {
    row: Change,
    store: &'a Reader,
}

/// The judge asks for no more than `Key::is_of_view` allows.
impl Message for Shown<'_> {
    fn uid(&self) -> Uid {
        self.row.uid
    }

    fn flags(&self) -> Flags {
        self.row.flags
    }

    fn modseq(&self) -> ModSeq {
        self.row.modseq
    }

    fn keywords(&mut self) -> Result<Arc<[String]>, StoreError> {
        self.store.keywords(self.row.flags.keywords)
    }

    fn size(&self) -> u64 {
        0
    }

    fn received(&self) -> Wall {
        Wall::default()
    }

    fn saved(&self) -> Wall {
        Wall::default()
    }

    fn body(&self) -> BodyId {
        BodyId::default()
    }

    fn thread(&self) -> ThreadId {
        ThreadId::default()
    }

    fn envelope(&mut self) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn parts(&mut self) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn slice(&mut self, _: u64) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }
}
