//! How a message is framed on the wire, as pure machines: DATA with its dots (RFC 5321 section 4.5.2) and the chunks of
//! BDAT (RFC 3030).
//!
//! The end of data is CR LF . CR LF and nothing else. Servers that also took `LF . LF` or `CR . CR` for it let one
//! message smuggle a second one in, with an envelope that nobody checked. So a bare CR, a bare LF or a NUL makes the
//! whole message refused, after its true end, and is never repaired (RFC 5321 section 2.3.8: "MUST NOT" be treated as a
//! line end).

use std::ops::Range;

/// Reads DATA: finds its end, takes the stuffed dots out, and notes what must not be there.
pub struct Dots {
    at: At,
    bare: bool,
}

/// What stands behind us.
#[derive(Clone, Copy)]
enum At {
    /// CR LF, or the CR LF of the DATA command: a dot here is special.
    LineStart,
    Text,
    /// A CR within a line.
    Cr,
    /// A dot at the start of a line, which is never content.
    Dot,
    /// The same and a CR.
    DotCr,
}

/// What one look at the input found.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes dealt with.
    pub consumed: usize,
    /// Which of them are content. Meaningless once `has_bare_line_end`.
    pub content: Range<usize>,
    /// The end of data was the last of them.
    pub end: bool,
}

impl Dots {
    pub fn new() -> Dots {
        Dots { at: At::LineStart, bare: false }
    }

    /// Whether a bare CR, a bare LF or a NUL has been seen.
    pub fn has_bare_line_end(&self) -> bool {
        self.bare
    }

    /// Looks at `input` up to the next stuffed dot or the end of data. Consumes at least one byte of a non-empty input.
    pub fn next(&mut self, input: &[u8]) -> Piece {
        let mut content = 0..0;
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if matches!(self.at, At::Text) {
                at = text_end(input, at);
                content.end = at;
                let Some(&byte) = input.get(at) else { break };
                self.special(byte);
                at += 1;
                content.end = at;
                continue;
            }
            match (self.at, byte) {
                (At::LineStart, b'.') if content.is_empty() => {
                    self.at = At::Dot;
                    content = at + 1..at + 1;
                    at += 1;
                    continue;
                }
                // What came before the dot is one piece, what follows it the next.
                (At::LineStart, b'.') => break,
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    at += 1;
                    continue;
                }
                (At::DotCr, b'\n') => return Piece { consumed: at + 1, content, end: true },
                (At::Cr, b'\n') => self.at = At::LineStart,
                (At::Cr | At::DotCr, byte) => {
                    self.bare = true;
                    self.special(byte);
                }
                (At::LineStart | At::Dot | At::Text, byte) => self.special(byte),
            }
            at += 1;
            content.end = at;
        }
        Piece { consumed: at, content, end: false }
    }

    /// Any byte that is neither a dot at the start of a line nor the second half of something.
    fn special(&mut self, byte: u8) {
        self.at = if byte == b'\r' { At::Cr } else { At::Text };
        self.bare |= matches!(byte, b'\n' | 0);
    }
}

/// Looks through the chunks of BDAT for what DATA would refuse. For messages that are not BODY=BINARYMIME: "text
/// messages sent with the BDAT command MUST be sent in the canonical MIME format with lines delimited with a <CR><LF>"
/// (RFC 3030 section 2). With BINARYMIME every octet is content, bare CR, LF and NUL too, and is kept.
#[derive(Default)]
pub struct Lines {
    cr: bool,
    bare: bool,
}

impl Lines {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(&first) = bytes.first() {
            if self.cr {
                self.cr = false;
                if first == b'\n' {
                    bytes = &bytes[1..];
                    continue;
                }
                self.bare = true;
            }
            let end = text_end(bytes, 0);
            match bytes.get(end) {
                Some(b'\r') => self.cr = true,
                Some(_) => self.bare = true,
                None => return,
            }
            bytes = &bytes[end + 1..];
        }
    }

    /// Something bare has been seen; a CR at the very end may still become a line end.
    pub fn has_bare(&self) -> bool {
        self.bare
    }

    /// At the end of the message.
    pub fn has_bare_line_end(&self) -> bool {
        self.bare || self.cr
    }
}

/// The next CR, LF or NUL from `at` on, or the end.
fn text_end(input: &[u8], at: usize) -> usize {
    memchr::memchr3(b'\r', b'\n', 0, &input[at..]).map_or(input.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (content, consumed, refused) of a whole input that ends, cut into pieces at `cuts`.
    fn read(input: &[u8], cut: usize) -> Option<(Vec<u8>, usize, bool)> {
        let mut dots = Dots::new();
        let mut content = Vec::new();
        let mut at = 0;
        for limit in [cut.min(input.len()), input.len()] {
            while at < limit {
                let piece = dots.next(&input[at..limit]);
                assert!(piece.consumed > 0 && piece.content.end <= piece.consumed);
                content.extend_from_slice(&input[at..][piece.content]);
                at += piece.consumed;
                if piece.end {
                    return Some((content, at, dots.has_bare_line_end()));
                }
            }
        }
        None
    }

    #[test]
    fn dots_are_taken_out_and_the_end_is_found() {
        for (input, wanted) in [
            (".\r\n", ""),
            ("a\r\n.\r\n", "a\r\n"),
            ("..\r\n.\r\n", ".\r\n"),
            (".a\r\n..b\r\n...\r\n.\r\n", "a\r\n.b\r\n..\r\n"),
            ("\r\n\r\n.\r\n", "\r\n\r\n"),
            ("a.\r\nb.c\r\n.\r\n", "a.\r\nb.c\r\n"),
        ] {
            for cut in 0..input.len() {
                let (content, consumed, bare) = read(input.as_bytes(), cut).expect("an end");
                assert_eq!(content, wanted.as_bytes(), "{input:?} cut at {cut}");
                assert!(consumed == input.len() && !bare);
            }
        }
    }

    /// Every way to write a line end on either side of a lone dot, cut at every byte: the data ends at CR LF . CR LF
    /// and nowhere else, and everything but CR LF is refused.
    #[test]
    fn nothing_but_crlf_dot_crlf_ends_the_data() {
        const ENDS: [&str; 12] =
            ["", "\r", "\n", "\r\n", "\n\r", "\r\r\n", "\r\n\r", "\n\n", "\r\r", "\0", "\r\0\n", "\n\r\n"];
        for before in ENDS {
            for after in ENDS {
                let smuggled = format!("a{before}.{after}RCPT TO:<x@y.test>\r\n");
                let input = format!("{smuggled}\r\n.\r\n");
                let bare = |text: &str| text.replace("\r\n", "").contains(['\r', '\n', '\0']);
                for cut in 0..input.len() {
                    let (_, consumed, refused) = read(input.as_bytes(), cut).expect("an end");
                    let early = consumed < input.len();
                    let case = format!("{before:?} . {after:?} cut at {cut}");
                    assert_eq!(early, before.ends_with("\r\n") && after.starts_with("\r\n"), "{case}");
                    if early {
                        assert_eq!(consumed, 1 + before.len() + 1 + 2, "{case}");
                        assert_eq!(refused, bare(before), "{case}");
                    } else {
                        assert_eq!(refused, bare(&smuggled), "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn chunks_of_text_are_looked_through() {
        for (text, bare) in [
            ("a\r\nb\r\n", false),
            ("", false),
            ("a\r", true),
            ("a\nb", true),
            ("a\r\r\nb", true),
            ("a\0b", true),
            ("\n", true),
            ("a\r\n\r\n", false),
        ] {
            for cut in 1..=text.len().max(1) {
                let mut lines = Lines::default();
                text.as_bytes().chunks(cut).for_each(|piece| lines.feed(piece));
                assert_eq!(lines.has_bare_line_end(), bare, "{text:?} cut by {cut}");
            }
        }
    }
}
