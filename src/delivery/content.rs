//! The bytes of one message on their way into the file: our trace fields in front, the peer's bytes counted and checked,
//! all of it into an `Intake`. Once something is wrong with a message its bytes are only counted past: nothing is kept,
//! and the peer is told when it has sent everything.

use crate::base::Wall;
use crate::base::limits::{HOPS_MAX, SUBMIT_HEADER_BYTES_MAX};
use crate::session::Budget;
use crate::store::{Done, NewBody, Refused, Write};

use super::intake::Intake;
use super::submit::{Completion, Rewrite};
use super::{Mailbox, Refusal, store};

/// A message while it is received.
pub struct Content {
    /// `None` once refused, and after `finish` has given the body out.
    intake: Option<Intake>,
    /// Bytes of ours, or rewritten ones, that go before the next byte of the peer's; `front_sent <= front.len()`.
    front: Vec<u8>,
    front_sent: usize,
    header: Header,
    /// The peer's bytes.
    size: u64,
    size_max: u64,
    refusal: Option<Refusal>,
    /// Staged slices of a refused message.
    discard: Option<Write>,
}

/// The header section passes by: what we do about it.
enum Header {
    /// From another server: never changed, only its Received fields are counted.
    Watch(Hops),
    /// A submission: completed.
    Rewrite(Box<Rewrite>),
    Past,
}

/// Whether more of the peer's bytes can be taken.
pub enum Room {
    Bytes(usize),
    /// Commit this and tell `committed` first.
    Stage(Write),
    /// The memory of the server is in use: leave the bytes in the socket.
    Wait,
}

/// What the end of data leads to.
pub enum Finish {
    /// Commit this, tell `committed`, and finish again.
    Commit(Write),
    Wait,
    Body(NewBody),
    Refused(Refusal),
}

/// Where a peer's line is judged while its header is rewritten.
const REWRITE_BYTES_PER_FEED: usize = 16 * 1024;

impl Content {
    /// From another server. `trace` goes in front.
    pub fn arriving(trace: String, size_max: u64, now: Wall) -> Content {
        Content::new(trace, Header::Watch(Hops::default()), size_max, now)
    }

    /// From one of our own accounts: its header is completed with `completion` where it needs to be.
    pub fn submitted(trace: String, completion: Completion, size_max: u64, now: Wall) -> Content {
        Content::new(trace, Header::Rewrite(Box::new(Rewrite::new(completion))), size_max, now)
    }

    fn new(trace: String, header: Header, size_max: u64, now: Wall) -> Content {
        Content {
            intake: Some(Intake::new(now)),
            front: trace.into_bytes(),
            front_sent: 0,
            header,
            size: 0,
            size_max,
            refusal: None,
            discard: None,
        }
    }

    /// How many of `wanted` bytes `feed` can take now.
    pub fn room(&mut self, wanted: usize, budget: &mut Budget) -> Room {
        if !self.send_front(budget) {
            return self.stuck();
        }
        let Some(intake) = &mut self.intake else { return Room::Bytes(wanted) };
        if matches!(self.header, Header::Rewrite(_)) {
            return Room::Bytes(wanted.min(REWRITE_BYTES_PER_FEED));
        }
        match intake.reserve(wanted, budget) {
            0 if wanted > 0 => self.stuck(),
            bytes => Room::Bytes(bytes),
        }
    }

    /// Takes all of `bytes`, which are no more than `room` has just allowed.
    pub fn feed(&mut self, bytes: &[u8], budget: &mut Budget) {
        self.size += bytes.len() as u64;
        if self.size > self.size_max {
            self.refuse(Refusal::TooLarge, budget);
        }
        if self.refusal.is_some() {
            return;
        }
        match &mut self.header {
            Header::Past => self.pass(bytes, budget),
            Header::Watch(hops) => {
                let watching = hops.feed(bytes);
                let count = hops.count;
                if !watching {
                    self.header = Header::Past;
                }
                self.pass(bytes, budget);
                self.check_hops(count, budget);
            }
            Header::Rewrite(_) => self.rewrite(bytes, budget),
        }
    }

    /// The addresses in From of a submission, once its header is complete: who may send in their name is the caller's
    /// to say.
    pub fn take_authors(&mut self) -> Option<Vec<Mailbox>> {
        match &mut self.header {
            Header::Rewrite(rewrite) if rewrite.is_complete() => {
                let authors = rewrite.take_authors();
                self.header = Header::Past;
                Some(authors)
            }
            _ => None,
        }
    }

    /// Bytes of the peer's so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// From here on bytes are only counted past. The first reason is the one that is told, but for a bare line end: it
    /// is seen before or after another fault as the bytes happen to arrive, and the reply must not depend on that.
    pub fn refuse(&mut self, why: Refusal, budget: &mut Budget) {
        if self.refusal.is_some() {
            if why == Refusal::BareLineEnd {
                self.refusal = Some(why);
            }
            return;
        }
        self.refusal = Some(why);
        self.discard = self.intake.take().and_then(Intake::abandon);
        self.front = Vec::new();
        self.front_sent = 0;
        budget.give(budget.held());
    }

    /// The answer to a commit that `room` or `finish` asked for.
    pub fn committed(&mut self, result: Result<Done, Refused>, budget: &mut Budget) {
        let Some(intake) = &mut self.intake else { return };
        if let Err(refused) = intake.staged(result) {
            self.refuse(store::refusal(&refused, 1), budget);
        }
    }

    /// There are no more bytes of the peer's. Before `take_authors` for the last time, and before `finish`.
    pub fn close(&mut self) {
        if let Header::Rewrite(rewrite) = &mut self.header {
            rewrite.close(&mut self.front);
        }
    }

    /// After `close`.
    pub fn finish(&mut self, budget: &mut Budget) -> Finish {
        if let Some(discard) = self.discard.take() {
            return Finish::Commit(discard);
        }
        if let Some(why) = self.refusal.take() {
            return Finish::Refused(why);
        }
        if !self.send_front(budget) {
            return match self.stuck() {
                Room::Stage(write) => Finish::Commit(write),
                _ => Finish::Wait,
            };
        }
        let Some(intake) = self.intake.take() else { return Finish::Refused(Refusal::Broken) };
        match intake.finish() {
            Ok(body) => Finish::Body(body),
            Err(last) => {
                self.intake = Some(last.intake);
                Finish::Commit(last.write)
            }
        }
    }

    /// The peer has gone: what is staged is to be discarded.
    pub fn abandon(self, budget: &mut Budget) -> Option<Write> {
        budget.give(budget.held());
        self.discard.or_else(|| self.intake.and_then(Intake::abandon))
    }

    /// True when nothing of ours waits any more.
    fn send_front(&mut self, budget: &mut Budget) -> bool {
        let Some(intake) = &mut self.intake else { return true };
        let rest = self.front.get(self.front_sent..).unwrap_or_default();
        self.front_sent += intake.feed(rest, budget);
        if self.front_sent < self.front.len() {
            return false;
        }
        self.front = Vec::new();
        self.front_sent = 0;
        true
    }

    fn stuck(&mut self) -> Room {
        match self.intake.as_mut().and_then(Intake::stage) {
            Some(write) => Room::Stage(write),
            None => Room::Wait,
        }
    }

    /// Straight through; `room` made sure that all of it fits.
    fn pass(&mut self, bytes: &[u8], budget: &mut Budget) {
        if let Some(intake) = &mut self.intake {
            let taken = intake.feed(bytes, budget);
            debug_assert_eq!(taken, bytes.len(), "fed more than there was room for");
        }
    }

    fn rewrite(&mut self, bytes: &[u8], budget: &mut Budget) {
        let Header::Rewrite(rewrite) = &mut self.header else { return };
        let used = rewrite.feed(bytes, &mut self.front);
        // The body behind the header goes the same way until the authors are checked.
        self.front.extend_from_slice(&bytes[used..]);
        let (hops, too_large) = (rewrite.hops(), rewrite.size() > SUBMIT_HEADER_BYTES_MAX);
        if too_large || rewrite.has_overlong_field() {
            return self.refuse(Refusal::HeaderTooLarge, budget);
        }
        self.check_hops(hops, budget);
    }

    fn check_hops(&mut self, hops: usize, budget: &mut Budget) {
        if hops > HOPS_MAX {
            self.refuse(Refusal::Looping, budget);
        }
    }
}

/// Counts the Received fields of a header section that passes by in pieces.
#[derive(Default)]
struct Hops {
    count: usize,
    /// The first bytes of the line under way.
    prefix: [u8; RECEIVED.len()],
    /// Length of the line under way, as far as it matters: at most one more than the prefix.
    length: usize,
}

const RECEIVED: &[u8] = b"received:";

impl Hops {
    /// False once the header section has ended.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let kept = piece.len().min(RECEIVED.len().saturating_sub(self.length));
            self.prefix[self.length.min(RECEIVED.len())..][..kept].copy_from_slice(&piece[..kept]);
            self.length = (self.length + piece.len()).min(RECEIVED.len() + 1);
            if !piece.ends_with(b"\n") {
                return true;
            }
            if matches!(&self.prefix[..self.length.min(RECEIVED.len())], b"\r\n" | b"\n") {
                return false;
            }
            if self.length > RECEIVED.len() && self.prefix.eq_ignore_ascii_case(RECEIVED) {
                self.count += 1;
            }
            self.length = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::BODY_BUDGET_BYTES;

    #[test]
    fn received_fields_are_counted_however_the_header_is_cut() {
        let text =
            b"Received: a\r\n\tby b\r\nreceived:c\r\nX-Received: d\r\nReceived-SPF: e\r\n\r\nReceived: f\r\n";
        for cut in 1..text.len() {
            let mut hops = Hops::default();
            let watching = text.chunks(cut).all(|piece| hops.feed(piece));
            assert!(!watching);
            assert_eq!(hops.count, 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_submitted_header_without_end_is_refused_and_not_kept() {
        let mut budget = Budget::lend(BODY_BUDGET_BYTES, 0);
        let completion = Completion { date: String::new(), message_id: String::new() };
        let mut content = Content::submitted(String::new(), completion, u64::MAX, Wall(0));
        let line = b"X: some\r\n".repeat(1_000);
        for _ in 0..SUBMIT_HEADER_BYTES_MAX / line.len() + 1 {
            while let Room::Stage(_) = content.room(line.len(), &mut budget) {
                content.committed(Ok(Done::Staged(crate::base::BodyId(1))), &mut budget);
            }
            content.feed(&line, &mut budget);
        }
        assert!(content.is_refused() && budget.held() == 0);
        content.close();
        assert!(matches!(
            content.finish(&mut budget),
            Finish::Commit(Write::Discard { .. }) | Finish::Refused(Refusal::HeaderTooLarge)
        ));
    }

    #[test]
    fn a_refused_message_holds_no_memory_and_says_why_at_its_end() {
        let mut budget = Budget::lend(BODY_BUDGET_BYTES, 0);
        let mut content = Content::arriving("Return-Path: <>\r\n".into(), 10, Wall(0));
        assert!(matches!(content.room(8, &mut budget), Room::Bytes(8)));
        content.feed(b"12345678", &mut budget);
        assert!(budget.held() > 0);
        content.feed(b"12345678", &mut budget);
        assert_eq!(budget.held(), 0);
        content.refuse(Refusal::Looping, &mut budget);
        content.close();
        assert!(matches!(content.finish(&mut budget), Finish::Refused(Refusal::TooLarge)));
    }

    #[test]
    fn a_bare_line_end_is_the_reason_wherever_it_is_seen() {
        for reasons in [[Refusal::TooLarge, Refusal::BareLineEnd], [Refusal::BareLineEnd, Refusal::TooLarge]]
        {
            let mut budget = Budget::lend(BODY_BUDGET_BYTES, 0);
            let mut content = Content::arriving("Return-Path: <>\r\n".into(), 10, Wall(0));
            reasons.into_iter().for_each(|why| content.refuse(why, &mut budget));
            content.close();
            assert!(matches!(content.finish(&mut budget), Finish::Refused(Refusal::BareLineEnd)));
        }
    }
}
