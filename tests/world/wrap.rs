//! The sessions under test, each in a wrapping session that can panic at a chosen step and that carries those planted
//! bugs which a protocol would have: the engine and the clients see a server with that bug.

use std::cell::RefCell;

use pillarbox::base::ModSeq;
use pillarbox::engine::ServiceKind;
use pillarbox::session::{Answer, Cx, Opening, Session, Want};
use pillarbox::store::{Done, Write, Writer};

use super::chance::Chance;
use super::habits::{Bug, planted};

/// The services of a world in the clear; a transcript or client names them by name.
pub fn services() -> Vec<ServiceKind> {
    let kind = |name, open| ServiceKind {
        name,
        implicit_tls: false,
        alpn: &[],
        tickets: false,
        busy: "busy\r\n",
        open,
    };
    vec![
        kind("smtp", open_mx),
        kind("submission", open_submission),
        kind("imap", open_imap),
        kind("pop3", open_pop3),
    ]
}

fn open_mx(opening: &Opening<'_>) -> Box<dyn Session> {
    wrap(pillarbox::smtp::server::open_mx(opening))
}

fn open_submission(opening: &Opening<'_>) -> Box<dyn Session> {
    wrap(pillarbox::smtp::server::open_submission(opening))
}

fn open_imap(opening: &Opening<'_>) -> Box<dyn Session> {
    wrap(pillarbox::imap::server::open(opening))
}

fn open_pop3(opening: &Opening<'_>) -> Box<dyn Session> {
    wrap(pillarbox::pop3::server::open(opening))
}

thread_local! {
    /// Constructors are plain functions, so the world leaves its dice here.
    static DICE: RefCell<(Chance, u64)> = RefCell::new((Chance::new(0), 0));
}

/// One in `panics` steps panics from now on, on this thread.
pub fn set_panics(chance: Chance, panics: u64) {
    DICE.set((chance, panics));
}

/// One in `panics` writes panics while it is applied.
pub fn panic_in_writes(writer: &mut Writer, mut chance: Chance, panics: u64) {
    writer.before_each(Box::new(move |_| assert!(!chance.one_in(panics), "{PLANNED}")));
}

/// What a planned panic says, so that the test's panic hook can keep quiet about it.
pub const PLANNED: &str = "planned panic of the simulator";

struct Wrapped {
    inner: Box<dyn Session>,
    /// A planted bug keeps a line here for later.
    kept: Vec<u8>,
    /// A planted bug answers a commit that was never made.
    made_up: Option<Done>,
}

fn wrap(inner: Box<dyn Session>) -> Box<dyn Session> {
    Box::new(Wrapped { inner, kept: Vec::new(), made_up: None })
}

impl Session for Wrapped {
    fn step(&mut self, cx: &mut Cx<'_>) -> Want {
        let before = cx.output.mark();
        if let Some(done) = self.made_up.take() {
            cx.answer = Some(Answer::Commit(Ok(done)));
        }
        let want = self.inner.step(cx);
        self.spoil(cx, before);
        let panics = DICE.with_borrow_mut(|(chance, panics)| chance.one_in(*panics));
        assert!(!panics, "{PLANNED}");
        match want {
            Want::Compress if planted(Bug::CompressForgotten) => Want::Turn,
            Want::Commit { write: Write::Remove(remove) } if planted(Bug::QuitForgets) => {
                self.made_up = Some(Done::Expunged { modseq: ModSeq(1), uids: remove.uids });
                Want::Turn
            }
            Want::Commit { write: Write::Remove(mut remove) } if planted(Bug::QuitTakesMore) => {
                let next = remove.uids.last().map_or(1, |last| last + 1);
                remove.uids.insert(next);
                Want::Commit { write: Write::Remove(remove) }
            }
            Want::Room { until } if planted(Bug::RoomNeverWoken) => Want::Bytes { until },
            want => want,
        }
    }
}

impl Wrapped {
    /// Planted bugs that change what this step wrote.
    fn spoil(&mut self, cx: &mut Cx<'_>, before: usize) {
        let length = cx.output.mark().saturating_sub(before);
        let all = cx.output.peek();
        let written = all[all.len().saturating_sub(length)..].to_vec();
        let Some(spoiled) = self.spoiled(&written) else { return };
        cx.output.truncate(before);
        cx.output.push(&spoiled);
    }

    fn spoiled(&mut self, written: &[u8]) -> Option<Vec<u8>> {
        if planted(Bug::ExpungeDuringFetch) {
            return self.expunge_later(written);
        }
        if planted(Bug::LiteralCutShort) {
            let at = find(written, b"}\r\n")? + 3;
            (written.len() > at + 2).then_some(())?;
            return Some([&written[..at], &written[at + 1..]].concat());
        }
        if planted(Bug::VanishedForgotten) {
            return without_line(written, b"* VANISHED (EARLIER)").map(|(rest, _)| rest);
        }
        None
    }

    /// Holds an EXPUNGE back and tells it in the middle of the next FETCH.
    fn expunge_later(&mut self, written: &[u8]) -> Option<Vec<u8>> {
        if !self.kept.is_empty() && find(written, b" FETCH (").is_some() {
            return Some([std::mem::take(&mut self.kept), written.to_vec()].concat());
        }
        let (rest, line) =
            without_line(written, b" EXPUNGE\r\n").or_else(|| without_line(written, b"* VANISHED "))?;
        self.kept.extend(line);
        Some(rest)
    }
}

/// The text without the first line that contains `needle`, and that line.
fn without_line(text: &[u8], needle: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = find(text, needle)?;
    let start = text[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let end = at + find(&text[at..], b"\r\n")? + 2;
    Some(([&text[..start], &text[end..]].concat(), text[start..end].to_vec()))
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}
