//! The framing of a message in a multi-line response (RFC 1939 section 3), and what TOP leaves of it. Pure machines over
//! bytes in pieces of any length.
//!
//! A line of POP3 ends in CR LF, and only behind one is a dot doubled. Many clients (Python's poplib, fetchmail) take a
//! bare LF for a line end as well: to them a dot alone on such a line would end the message, and what follows would be
//! read as our next replies. So that one dot is doubled too, which those clients undo; all others get one dot more, on a
//! line that no mail program writes, instead of a sender's words in our mouth.

use crate::base::Output;

/// Writes a message with its dots doubled.
#[derive(Debug)]
pub struct Stuffer {
    at: At,
}

/// What came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The beginning, or CR LF.
    Start,
    /// CR.
    Cr,
    /// LF without a CR before it.
    BareLf,
    /// A dot behind a bare LF. It is held back until it is clear whether it stands alone.
    HeldDot,
    Inside,
}

impl Default for Stuffer {
    fn default() -> Stuffer {
        Stuffer { at: At::Start }
    }
}

impl Stuffer {
    /// Writes the next piece: at most a third more than it is long, and a held dot.
    pub fn feed(&mut self, piece: &[u8], out: &mut Output) {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.at == At::Inside {
                let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                out.push(&rest[..end]);
                rest = &rest[end..];
            }
            if let Some((&byte, more)) = rest.split_first() {
                self.one(byte, out);
                rest = more;
            }
        }
    }

    fn one(&mut self, byte: u8, out: &mut Output) {
        let before = self.at;
        self.at = match (before, byte) {
            (At::BareLf, b'.') => {
                self.at = At::HeldDot;
                return;
            }
            (At::Cr, b'\n') => At::Start,
            (_, b'\n') => At::BareLf,
            (_, b'\r') => At::Cr,
            _ => At::Inside,
        };
        match before {
            At::Start if byte == b'.' => out.push(b"."),
            At::HeldDot if matches!(byte, b'\r' | b'\n') => out.push(b".."),
            At::HeldDot => out.push(b"."),
            _ => {}
        }
        out.push(&[byte]);
    }

    /// Ends the last line if it is not ended.
    pub fn end_line(&mut self, out: &mut Output) {
        match self.at {
            At::Start => {}
            At::HeldDot => out.push(b"..\r\n"),
            At::Cr | At::BareLf | At::Inside => out.push(b"\r\n"),
        }
        self.at = At::Start;
    }

    /// Ends the response.
    pub fn finish(mut self, out: &mut Output) {
        self.end_line(out);
        out.push(b".\r\n");
    }
}

/// How much of a message TOP shows: its header, the empty line, and so many lines. A bare LF ends a line here.
#[derive(Debug)]
pub struct Top {
    lines: u64,
    in_header: bool,
    /// Nothing but perhaps a CR has come since the last LF.
    empty: bool,
}

impl Top {
    pub fn new(lines: u64) -> Top {
        Top { lines, in_header: true, empty: true }
    }

    /// How many bytes of the next piece are shown; all of them as long as `is_over` does not hold after it.
    pub fn take(&mut self, piece: &[u8]) -> usize {
        let mut taken = 0;
        while taken < piece.len() && !self.is_over() {
            let rest = &piece[taken..];
            let end = memchr::memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            self.empty &= matches!(line, [] | b"\r");
            taken += line.len() + usize::from(end.is_some());
            if end.is_some() {
                if self.in_header {
                    self.in_header = !self.empty;
                } else {
                    self.lines -= 1;
                }
                self.empty = true;
            }
        }
        taken
    }

    /// All that is asked for has been shown.
    pub fn is_over(&self) -> bool {
        !self.in_header && self.lines == 0
    }

    /// The message has ended within its header, or with it: the empty line that TOP shows is missing.
    pub fn lacks_empty_line(&self) -> bool {
        self.in_header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn framed(message: &[u8], cut: usize) -> Vec<u8> {
        let mut out = Output::new(1 << 20);
        let mut stuffer = Stuffer::default();
        message.chunks(cut).for_each(|piece| stuffer.feed(piece, &mut out));
        stuffer.finish(&mut out);
        out.peek().to_vec()
    }

    /// A client that goes by CR LF alone; what it makes of a response, and what is left behind it.
    fn strict(mut wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let mut message = Vec::new();
        loop {
            let end = crate::base::text::find(wire, b"\r\n")?;
            let line = &wire[..end];
            wire = &wire[end + 2..];
            if line == b"." {
                return Some((message, wire));
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            message.extend_from_slice(b"\r\n");
        }
    }

    /// How many bytes of a response a client reads that takes every LF for a line end, as poplib does.
    fn loose(wire: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let end = at + memchr::memchr(b'\n', &wire[at..]).expect("a response ends");
            let line = &wire[at..end];
            at = end + 1;
            if line == b"." || line == b".\r" {
                return at;
            }
        }
    }

    #[test]
    fn dots_are_doubled_where_lines_begin() {
        for (message, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n..\r\n.a\r\n", b"..\r\n...\r\n..a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
            (b"a\n", b"a\n\r\n.\r\n"),
            (b"a\r.b\r\n", b"a\r.b\r\n.\r\n"),
            (b"a\n.b\n..\r\n", b"a\n.b\n..\r\n.\r\n"),
            (b"a\n.\r\nb\r\n", b"a\n..\r\nb\r\n.\r\n"),
            (b"a\n.\nb\r\n", b"a\n..\nb\r\n.\r\n"),
            (b"a\n.", b"a\n..\r\n.\r\n"),
            (b"\0\r\n.\0\r\n", b"\0\r\n..\0\r\n.\r\n"),
            (b"\r\r\n.\r\n", b"\r\r\n..\r\n.\r\n"),
        ] {
            for cut in 1..=message.len().max(1) {
                assert_eq!(framed(message, cut).escape_ascii().to_string(), wire.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn any_message_comes_back_and_no_client_reads_past_its_end() {
        let mut rng = Rng::new(&[9; 32]);
        for round in 0..20_000 {
            let length = rng.below(24) as usize;
            let message: Vec<u8> = (0..length).map(|_| b"\r\n.a\r\n."[rng.below(7) as usize]).collect();
            let wire = framed(&message, 1 + rng.below(9) as usize);
            let (back, rest) = strict(&wire).expect("it ends");
            assert!(rest.is_empty() && loose(&wire) == wire.len(), "{round}: {}", wire.escape_ascii());
            let mut sent = message.clone();
            if !sent.is_empty() && !sent.ends_with(b"\r\n") {
                sent.extend_from_slice(b"\r\n");
            }
            let alone = |at: usize| {
                let bare = at >= 1 && sent[at - 1] == b'\n' && (at < 2 || sent[at - 2] != b'\r');
                sent[at] == b'.' && bare && matches!(sent.get(at + 1), Some(b'\r' | b'\n'))
            };
            let expected: Vec<u8> = (0..sent.len())
                .flat_map(|at| if alone(at) { vec![b'.', b'.'] } else { vec![sent[at]] })
                .collect();
            assert_eq!(back.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{round}");
        }
    }

    #[test]
    fn top_ends_behind_its_last_line() {
        let message = b"A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n";
        for (lines, shown) in [(0, 14), (1, 19), (2, 21), (3, 28), (9, 28), (u64::MAX, 28)] {
            for cut in 1..=message.len() {
                let mut top = Top::new(lines);
                let taken: usize = message.chunks(cut).map(|piece| top.take(piece)).sum();
                assert_eq!((taken, top.lacks_empty_line()), (shown, false), "{lines} lines cut by {cut}");
            }
        }
        let mut bare = Top::new(1);
        assert_eq!((bare.take(b"A: b\n\none\ntwo\n"), bare.is_over()), (10, true));
        let mut header = Top::new(5);
        assert_eq!((header.take(b"A: b\r\n"), header.lacks_empty_line()), (6, true));
        let mut none = Top::new(1);
        assert_eq!((none.take(b"\r\nx\r\ny"), none.lacks_empty_line()), (5, false));
    }
}
