//! One literal on its way out: bytes of a body, perhaps filtered or decoded, with their number told before the first of
//! them. What is not at hand is asked for slice by slice, so that neither 50 MB nor an offset of 20 MB costs more than
//! a slice. Where the length is not known beforehand the bytes are read twice: once to count, once to send.

use std::ops::Range;

use crate::base::{Output, limits};
use crate::mime::transfer::{Decoder, Encoding};

use super::filter::FieldFilter;
use crate::imap::emit;
use crate::imap::fetch_args::{Form, Partial};

/// Where the bytes of a section lie in the stored body, and what is done to them.
#[derive(Clone, Debug)]
pub struct Extent {
    pub bytes: Range<u64>,
    pub change: Change,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing: the length is known beforehand.
    Same,
    Fields(FieldFilter),
    Decode {
        encoding: Encoding,
        /// Bare line feeds become CR LF, as RFC 9051 section 7.5.2 asks for BINARY of text.
        text: bool,
    },
}

/// What is at hand of the body without asking.
#[derive(Clone, Copy)]
pub struct AtHand<'a> {
    /// The body from its first byte on.
    pub start: &'a [u8],
    /// What the last `Step::Read` brought, and where it begins.
    pub read: Option<(u64, &'a [u8])>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All of it is in the output.
    Done,
    /// The output is full.
    Room,
    /// These bytes of the body are needed: at most one slice, never across a slice's end.
    Read { at: u64, length: u32 },
    /// Bytes that were promised are not there. Before `Piece::begun` the caller may say so, afterwards only hang up.
    Lost,
}

pub struct Piece {
    label: Box<str>,
    form: Form,
    extent: Extent,
    window: Window,
    state: State,
    /// The next byte of the stored body to look at.
    at: u64,
}

enum State {
    Count {
        run: Run,
        count: u64,
        has_nul: bool,
        kept: Option<Vec<u8>>,
    },
    /// `left` are still to go into the output; `ready` comes first of them.
    Send {
        run: Run,
        window: Window,
        left: u64,
        ready: Vec<u8>,
        sent: usize,
    },
}

/// Changed bytes up to this many are kept from counting to sending.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are changed at once.
const CHANGED_AT_ONCE: usize = 32 * 1024;

impl Piece {
    pub fn new(label: Box<str>, form: Form, extent: Extent, partial: Option<Partial>) -> Piece {
        let window = Window::new(partial);
        let at = extent.bytes.start;
        let run = Run::new(&extent.change);
        let state = State::Count { run, count: 0, has_nul: false, kept: Some(Vec::new()) };
        let mut piece = Piece { label, form, extent, window, state, at };
        if matches!(piece.extent.change, Change::Same) && form == Form::AsIs {
            piece.cut_to_window();
        }
        piece
    }

    /// Whether the length has been told already.
    pub fn begun(&self) -> bool {
        matches!(self.state, State::Send { .. })
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Unchanged bytes: the window is a smaller extent, and what lies before it is never read.
    fn cut_to_window(&mut self) {
        let Range { start, end } = self.extent.bytes;
        let first = start.saturating_add(self.window.skip).min(end);
        let last = first.saturating_add(self.window.take).min(end);
        self.extent.bytes = first..last;
        self.window = Window::new(None);
        self.at = first;
    }

    /// Writes what can be written now.
    pub fn step(&mut self, at_hand: AtHand<'_>, out: &mut Output) -> Step {
        loop {
            let done = match &mut self.state {
                State::Count { .. }
                    if self.form == Form::AsIs && matches!(self.extent.change, Change::Same) =>
                {
                    // The length is known; the first byte must be at hand before it is promised.
                    let length = self.extent.bytes.end - self.extent.bytes.start;
                    match at_hand.from(self.at, self.extent.bytes.end) {
                        None => Some(self.read()),
                        Some([]) if length > 0 => Some(Step::Lost),
                        Some(_) => {
                            self.begin(length, false, None, out);
                            None
                        }
                    }
                }
                State::Count { .. } => self.count(at_hand, out),
                State::Send { .. } => self.send(at_hand, out),
            };
            if let Some(step) = done {
                return step;
            }
        }
    }

    fn read(&self) -> Step {
        let slice = limits::SLICE_BYTES as u64;
        let slice_end = (self.at / slice + 1) * slice;
        let end = self.extent.bytes.end.min(slice_end);
        Step::Read { at: self.at, length: u32::try_from(end - self.at).unwrap_or(u32::MAX) }
    }

    /// One look at what is at hand, counting what it comes to.
    fn count(&mut self, at_hand: AtHand<'_>, out: &mut Output) -> Option<Step> {
        let State::Count { run, count, has_nul, kept } = &mut self.state else { return None };
        let finished = self.at == self.extent.bytes.end;
        let mut changed = Vec::new();
        if finished {
            run.finish(&mut changed);
        } else {
            let bytes = match at_hand.from(self.at, self.extent.bytes.end) {
                None => return Some(self.read()),
                Some([]) => return Some(Step::Lost),
                Some(bytes) => &bytes[..bytes.len().min(CHANGED_AT_ONCE)],
            };
            self.at += bytes.len() as u64;
            run.feed(bytes, &mut changed);
        }
        self.window.clip(&mut changed);
        *count += changed.len() as u64;
        *has_nul |= memchr::memchr(0, &changed).is_some();
        if let Some(all) = kept {
            all.append(&mut changed);
        }
        if kept.as_ref().is_some_and(|all| all.len() > KEPT_BYTES_MAX) {
            *kept = None;
        }
        if finished || self.window.take == 0 {
            let (count, has_nul, kept) = (*count, *has_nul, kept.take());
            self.begin(count, has_nul, kept, out);
        }
        None
    }

    /// Tells the length; what has been kept needs no second reading.
    fn begin(&mut self, length: u64, has_nul: bool, kept: Option<Vec<u8>>, out: &mut Output) {
        out.str(&self.label);
        out.push(b" ");
        let left = if self.form == Form::DecodedSize { 0 } else { length };
        match self.form {
            Form::DecodedSize => emit::number(out, length),
            Form::Decoded if has_nul => {
                out.push(b"~");
                emit::literal_head(out, length);
            }
            Form::Decoded | Form::AsIs => emit::literal_head(out, length),
        }
        self.at = if kept.is_some() { self.extent.bytes.end } else { self.extent.bytes.start };
        let run = Run::new(&self.extent.change);
        let window = self.window.restarted();
        self.state = State::Send { run, window, left, ready: kept.unwrap_or_default(), sent: 0 };
    }

    /// One push to the output, or the next changed bytes made ready.
    fn send(&mut self, at_hand: AtHand<'_>, out: &mut Output) -> Option<Step> {
        let State::Send { run, window, left, ready, sent } = &mut self.state else { return None };
        if *left == 0 {
            return Some(Step::Done);
        }
        if out.full() {
            return Some(Step::Room);
        }
        if *sent < ready.len() {
            let count =
                (ready.len() - *sent).min(out.room()).min(usize::try_from(*left).unwrap_or(usize::MAX));
            out.push(&ready[*sent..*sent + count]);
            *sent += count;
            *left -= count as u64;
            return None;
        }
        ready.clear();
        *sent = 0;
        if self.at == self.extent.bytes.end {
            run.finish(ready);
            window.clip(ready);
            return ready.is_empty().then_some(Step::Lost);
        }
        let bytes = match at_hand.from(self.at, self.extent.bytes.end) {
            None => return Some(self.read()),
            Some([]) => return Some(Step::Lost),
            Some(bytes) => bytes,
        };
        if matches!(run, Run::Same) && self.form == Form::AsIs {
            let count = bytes.len().min(out.room());
            out.push(&bytes[..count]);
            self.at += count as u64;
            *left -= count as u64;
            return None;
        }
        let bytes = &bytes[..bytes.len().min(CHANGED_AT_ONCE)];
        self.at += bytes.len() as u64;
        run.feed(bytes, ready);
        window.clip(ready);
        None
    }
}

impl<'a> AtHand<'a> {
    /// The bytes from `at` on that are here, but none at or behind `end`. `None`: they must be asked for. Empty: they were
    /// asked for and there are none.
    fn from(&self, at: u64, end: u64) -> Option<&'a [u8]> {
        if at >= end {
            return Some(&[]);
        }
        let cut = |bytes: &'a [u8], from: u64| {
            let skip = usize::try_from(at.checked_sub(from)?).ok()?;
            let rest = bytes.get(skip..)?;
            let most = usize::try_from(end - at).unwrap_or(usize::MAX);
            Some(&rest[..rest.len().min(most)])
        };
        if let Some(bytes) = cut(self.start, 0).filter(|bytes| !bytes.is_empty()) {
            return Some(bytes);
        }
        let (from, bytes) = self.read?;
        let asked_here = from == at;
        cut(bytes, from).filter(|bytes| asked_here || !bytes.is_empty())
    }
}

/// A change while it is being made.
enum Run {
    Same,
    Fields(FieldFilter),
    Decode { decoder: Option<Decoder>, lines: Option<Lines> },
}

impl Run {
    fn new(change: &Change) -> Run {
        match change {
            Change::Same => Run::Same,
            Change::Fields(filter) => Run::Fields(filter.clone()),
            Change::Decode { encoding, text } => {
                let lines = text.then(Lines::default);
                Run::Decode { decoder: Some(Decoder::new(*encoding)), lines }
            }
        }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Run::Same => out.extend_from_slice(bytes),
            Run::Fields(filter) => filter.feed(bytes, out),
            Run::Decode { decoder: Some(decoder), lines: None } => decoder.feed(bytes, out),
            Run::Decode { decoder: Some(decoder), lines: Some(lines) } => {
                let mut decoded = Vec::with_capacity(bytes.len());
                decoder.feed(bytes, &mut decoded);
                lines.feed(&decoded, out);
            }
            Run::Decode { decoder: None, .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Run::Same => {}
            Run::Fields(filter) => filter.finish(out),
            Run::Decode { decoder, lines } => {
                let mut decoded = Vec::new();
                if let Some(decoder) = decoder.take() {
                    decoder.finish(&mut decoded);
                }
                match lines {
                    Some(lines) => lines.feed(&decoded, out),
                    None => out.append(&mut decoded),
                }
            }
        }
    }
}

/// Gives every line feed its carriage return.
#[derive(Default)]
struct Lines {
    after_cr: bool,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if byte == b'\n' && !self.after_cr {
                out.push(b'\r');
            }
            out.push(byte);
            self.after_cr = byte == b'\r';
        }
    }
}

/// What a partial leaves of a stream.
#[derive(Clone, Copy, Debug)]
struct Window {
    whole: (u64, u64),
    skip: u64,
    take: u64,
}

impl Window {
    fn new(partial: Option<Partial>) -> Window {
        let (skip, take) = partial.map_or((0, u64::MAX), |partial| (partial.first, partial.count));
        Window { whole: (skip, take), skip, take }
    }

    fn restarted(&self) -> Window {
        Window { skip: self.whole.0, take: self.whole.1, ..*self }
    }

    /// Takes out of the next bytes of the stream what lies outside.
    fn clip(&mut self, bytes: &mut Vec<u8>) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..skipped);
        self.skip -= skipped as u64;
        bytes.truncate(usize::try_from(self.take).unwrap_or(usize::MAX));
        self.take -= bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// The client's and the reader's side of one piece: a small window, slices on request, `short` bytes missing at the
    /// body's end.
    fn written(piece: &mut Piece, body: &[u8], start: usize, window: usize) -> Result<Vec<u8>, Vec<u8>> {
        let mut out = Output::new(window);
        let mut wire = Vec::new();
        let mut read: Option<(u64, Vec<u8>)> = None;
        loop {
            let at_hand =
                AtHand { start: &body[..start], read: read.as_ref().map(|(at, bytes)| (*at, &bytes[..])) };
            let step = piece.step(at_hand, &mut out);
            assert!(out.len() <= window + 100, "{} bytes held", out.len());
            wire.extend_from_slice(out.peek());
            out.consume(out.len());
            match step {
                Step::Done => return Ok(wire),
                Step::Lost => return Err(wire),
                Step::Room => {}
                Step::Read { at, length } => {
                    let slice = limits::SLICE_BYTES as u64;
                    assert!(length > 0 && at / slice == (at + u64::from(length) - 1) / slice);
                    let from = (at as usize).min(body.len());
                    let to = (from + length as usize).min(body.len());
                    read = Some((at, body[from..to].to_vec()));
                }
            }
        }
    }

    fn piece(form: Form, extent: Extent, partial: Option<Partial>) -> Piece {
        Piece::new("BODY[]".into(), form, extent, partial)
    }

    fn same(bytes: Range<u64>) -> Extent {
        Extent { bytes, change: Change::Same }
    }

    fn cut(bytes: &[u8], partial: Option<Partial>) -> &[u8] {
        let Some(partial) = partial else { return bytes };
        let first = (partial.first as usize).min(bytes.len());
        &bytes[first..first + (partial.count as usize).min(bytes.len() - first)]
    }

    fn expected(bytes: &[u8]) -> Vec<u8> {
        [format!("BODY[] {{{}}}\r\n", bytes.len()).as_bytes(), bytes].concat()
    }

    fn some_partial(rng: &mut Rng, length: usize) -> Option<Partial> {
        let first = rng.below(length as u64 + 10);
        match rng.below(4) {
            0 => None,
            1 => Some(Partial { first, count: u64::MAX >> 1 }),
            _ => Some(Partial { first, count: 1 + rng.below(length as u64 + 10) }),
        }
    }

    #[test]
    fn lengths_are_exact_whatever_the_cuts() {
        let mut rng = Rng::new(&[7; 32]);
        for round in 0..200 {
            let length = [0, 1, 300, 70_000, limits::SLICE_BYTES, limits::SLICE_BYTES + 1, 700_000]
                [rng.below(7) as usize];
            let body: Vec<u8> = (0..length).map(|at| b'a' + (at * 31 % 23) as u8).collect();
            let start = [0, length.min(limits::SLICE_BYTES)][rng.below(2) as usize];
            let from = rng.below(length as u64 + 1);
            let to = from + rng.below(length as u64 - from + 1);
            let partial = some_partial(&mut rng, length);
            let window = 1 + rng.below(100_000) as usize;
            let wire = written(&mut piece(Form::AsIs, same(from..to), partial), &body, start, window);
            let want = expected(cut(&body[from as usize..to as usize], partial));
            assert!(wire == Ok(want), "round {round}: {length} {start} {from}..{to} {partial:?} {window}");
        }
    }

    #[test]
    fn decoded_lengths_are_exact_too() {
        let mut rng = Rng::new(&[8; 32]);
        for round in 0..60 {
            let length = [0, 5, 3_000, 40_000, 300_000, 600_000][rng.below(6) as usize];
            let plain: Vec<u8> = (0..length).map(|at| b'a' + (at * 17 % 19) as u8).collect();
            let encoded = data_encoding::BASE64.encode(&plain);
            let lines: Vec<&str> =
                (0..encoded.len()).step_by(76).map(|at| &encoded[at..(at + 76).min(encoded.len())]).collect();
            let body = lines.join("\r\n").into_bytes();
            let partial = some_partial(&mut rng, length);
            let change = Change::Decode { encoding: Encoding::Base64, text: false };
            let start = [0, body.len().min(limits::SLICE_BYTES)][rng.below(2) as usize];
            let window = 1 + rng.below(100_000) as usize;
            let extent = Extent { bytes: 0..body.len() as u64, change };
            let mut size = piece(Form::DecodedSize, extent.clone(), None);
            let told = written(&mut size, &body, start, window);
            assert_eq!(told, Ok(format!("BODY[] {length}").into_bytes()), "round {round}");
            let wire = written(&mut piece(Form::Decoded, extent, partial), &body, start, window);
            assert!(
                wire == Ok(expected(cut(&plain, partial))),
                "round {round}: {length} {start} {partial:?} {window}"
            );
        }
    }

    #[test]
    fn nul_makes_a_literal8_and_text_gets_its_line_ends() {
        let body = b"YQBi";
        let change = Change::Decode { encoding: Encoding::Base64, text: false };
        let extent = Extent { bytes: 0..4, change };
        let wire = written(&mut piece(Form::Decoded, extent.clone(), None), body, 4, 99);
        assert_eq!(wire, Ok(b"BODY[] ~{3}\r\na\0b".to_vec()));
        let partial = Some(Partial { first: 2, count: 5 });
        let wire = written(&mut piece(Form::Decoded, extent, partial), body, 4, 99);
        assert_eq!(wire, Ok(b"BODY[] {1}\r\nb".to_vec()));
        let body = b"a=0Ab\r\nc\n";
        let change = Change::Decode { encoding: Encoding::QuotedPrintable, text: true };
        let extent = Extent { bytes: 0..body.len() as u64, change };
        let wire = written(&mut piece(Form::Decoded, extent, None), body, body.len(), 99);
        assert_eq!(wire, Ok(expected(b"a\r\nb\r\nc\r\n")));
    }

    #[test]
    fn what_is_missing_is_never_papered_over() {
        let body = vec![b'x'; 400_000];
        let mut lost_early = piece(Form::AsIs, same(500_000..600_000), None);
        assert_eq!(written(&mut lost_early, &body, 0, 1_000), Err(Vec::new()));
        assert!(!lost_early.begun());
        let mut lost_late = piece(Form::AsIs, same(0..500_000), None);
        assert!(written(&mut lost_late, &body, 0, 1_000).is_err());
        assert!(lost_late.begun());
        let change = Change::Decode { encoding: Encoding::Base64, text: false };
        let mut counted = piece(Form::Decoded, Extent { bytes: 0..500_000, change }, None);
        assert_eq!(written(&mut counted, &body, 0, 1_000), Err(Vec::new()));
    }

    #[test]
    fn an_offset_of_20_mb_reads_one_slice() {
        let partial = Some(Partial { first: 20_000_000, count: 64 });
        let mut piece = piece(Form::AsIs, same(0..50_000_000), partial);
        let mut out = Output::new(1_000);
        let step = piece.step(AtHand { start: b"x", read: None }, &mut out);
        assert_eq!(step, Step::Read { at: 20_000_000, length: 64 });
    }
}
