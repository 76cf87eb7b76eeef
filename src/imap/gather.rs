//! Bytes from the peer become whole commands: lines, and the literals between them. Bounded: a command has at most
//! `IMAP_LINE_BYTES_MAX` bytes with all its literals, but for the message of APPEND, which never comes through here.

use crate::base::{Input, limits};

/// The command that is coming in. Empty, and without memory, between two commands.
#[derive(Default)]
pub struct Gather {
    bytes: Vec<u8>,
    /// Bytes of a literal that are still to come.
    literal_left: usize,
    /// Bytes of the input that have no line end in them: a line that comes byte by byte is looked at once.
    scanned: usize,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered {
    /// Not enough yet.
    More,
    /// A whole command: take it.
    Command,
    /// The line so far ends in a literal's head. Say what to do with the literal: `expect`, or take the line away.
    Literal(Head),
    /// The command is longer than we read; its line is not at its end yet.
    TooLong,
}

/// `{size}`, `{size+}` or `~{size}` at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    /// The client waits for our go-ahead (no `+`).
    pub waits: bool,
    /// `literal8` (RFC 3516).
    pub eight: bool,
}

impl Gather {
    /// At most `most` bytes make a command.
    pub fn read(&mut self, input: &mut Input, most: usize) -> Gathered {
        if self.literal_left > 0 {
            let count = self.literal_left.min(input.len());
            self.bytes.extend_from_slice(&input.peek()[..count]);
            input.consume(count);
            self.literal_left -= count;
            if self.literal_left > 0 {
                return Gathered::More;
            }
        }
        let Some(length) = line_length(input.peek(), self.scanned) else {
            self.scanned = input.len();
            let long = self.bytes.len() + input.len() >= most;
            return if long { Gathered::TooLong } else { Gathered::More };
        };
        self.scanned = 0;
        if self.bytes.len() + length > most {
            return Gathered::TooLong;
        }
        self.bytes.extend_from_slice(&input.peek()[..length]);
        input.consume(length);
        match literal_head(&self.bytes) {
            Some(head) => Gathered::Literal(head),
            None => Gathered::Command,
        }
    }

    /// The literal is part of the command; false if the command would grow too long with it.
    #[must_use]
    pub fn expect(&mut self, head: Head, most: usize) -> bool {
        let room = most.saturating_sub(self.bytes.len()) as u64;
        let fits = head.size < room;
        self.literal_left = if fits { head.size as usize } else { 0 };
        fits
    }

    /// What has been read so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The command; the next one begins.
    pub fn take(&mut self) -> Vec<u8> {
        self.literal_left = 0;
        self.scanned = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// Reads away what is left of a refused command, so that none of it is ever run: the literals that come without asking,
/// and the lines between them.
pub struct Drain {
    literal_left: u64,
    /// The last bytes of the line, enough to see a literal's head.
    tail: Vec<u8>,
}

/// How far the draining is.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    More,
    Done,
    /// Another literal, larger than we are willing to read away.
    Hopeless,
}

/// Longest literal head that we recognise: `~{` 20 digits `+}` CR LF.
const HEAD_BYTES_MAX: usize = 26;

impl Drain {
    /// After a literal's head whose bytes come without being asked for.
    pub fn literal(size: u64) -> Drain {
        Drain { literal_left: size, tail: Vec::new() }
    }

    /// Inside a line.
    pub fn line() -> Drain {
        Drain::literal(0)
    }

    pub fn read(&mut self, input: &mut Input) -> Drained {
        loop {
            let count = self.literal_left.min(input.len() as u64);
            input.consume(count as usize);
            self.literal_left -= count;
            if self.literal_left > 0 {
                return Drained::More;
            }
            let ended = line_length(input.peek(), 0);
            let length = ended.unwrap_or(input.len());
            let tail = &input.peek()[length.saturating_sub(HEAD_BYTES_MAX)..length];
            self.tail.extend_from_slice(tail);
            let excess = self.tail.len().saturating_sub(HEAD_BYTES_MAX);
            self.tail.drain(..excess);
            input.consume(length);
            if ended.is_none() {
                return Drained::More;
            }
            match literal_head(&self.tail) {
                Some(head) if !head.waits && head.size > limits::LITERAL_DRAIN_BYTES_MAX => {
                    return Drained::Hopeless;
                }
                Some(head) if !head.waits => *self = Drain::literal(head.size),
                _ => return Drained::Done,
            }
        }
    }
}

/// The length of the line at the start of `bytes` with its end, of which the first `scanned` bytes are known to have
/// none.
fn line_length(bytes: &[u8], scanned: usize) -> Option<usize> {
    let fresh = bytes.get(scanned..)?;
    fresh.iter().position(|&byte| byte == b'\n').map(|at| scanned + at + 1)
}

/// The literal's head at the end of a line.
pub fn literal_head(line: &[u8]) -> Option<Head> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let (line, waits) = match line.strip_suffix(b"+") {
        Some(line) => (line, false),
        None => (line, true),
    };
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    let before = before.strip_suffix(b"{")?;
    let size = match digits {
        [] => return None,
        digits => std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX),
    };
    Some(Head { size, waits, eight: before.ends_with(b"~") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = limits::IMAP_LINE_BYTES_MAX;

    fn input(bytes: &[u8]) -> Input {
        let mut input = Input::default();
        input.append(bytes);
        input
    }

    #[test]
    fn a_command_is_its_lines_and_literals() {
        let mut gather = Gather::default();
        let mut from = input(b"a LOGIN {5+}\r\nalice {2}\r\n");
        let head = Head { size: 5, waits: false, eight: false };
        assert_eq!(gather.read(&mut from, MOST), Gathered::Literal(head));
        assert!(gather.expect(head, MOST));
        let head = Head { size: 2, waits: true, eight: false };
        assert_eq!(gather.read(&mut from, MOST), Gathered::Literal(head));
        assert!(gather.expect(head, MOST));
        assert_eq!(gather.read(&mut from, MOST), Gathered::More);
        from.append(b"\r\n");
        assert_eq!(gather.read(&mut from, MOST), Gathered::More);
        from.append(b"\r\n");
        assert_eq!(gather.read(&mut from, MOST), Gathered::Command);
        assert_eq!(gather.take(), b"a LOGIN {5+}\r\nalice {2}\r\n\r\n\r\n");
    }

    #[test]
    fn what_is_refused_is_read_away_whole() {
        let mut drain = Drain::literal(4);
        let mut from = input(b"b NO x {3+}\r\nc N\r\nd NOOP\r\n");
        assert_eq!(drain.read(&mut from), Drained::Done);
        assert_eq!(from.peek(), b"d NOOP\r\n");
        let mut drain = Drain::line();
        for &byte in b"junk {3+}\r\nabc\r\n" {
            from.clear();
            from.append(&[byte]);
            let expected = drain.read(&mut from);
            assert!(expected == Drained::More || from.is_empty());
        }
        assert_eq!(Drain::line().read(&mut input(b"x {99999999999999999999+}\r\n")), Drained::Hopeless);
    }

    #[test]
    fn a_line_without_end_is_too_long() {
        let mut gather = Gather::default();
        let mut from = input(&vec![b'x'; limits::IMAP_LINE_BYTES_MAX]);
        assert_eq!(gather.read(&mut from, MOST), Gathered::TooLong);
    }
}
