//! The first words of a message, for the list in which a client shows it (RFC 8970): made while the message passes by,
//! from the start of its first text part that says something. White space is one space; lines quoted from another
//! message, what announces them, and signatures are left out, unless there is nothing else.

use crate::base::limits::{PREVIEW_CHARS_MAX, PREVIEW_HTML_BYTES_MAX, PREVIEW_PLAIN_BYTES_MAX};

use super::parts::Part;
use super::text::Extractor;

/// Takes the contents of leaf parts one after the other.
#[derive(Default)]
pub struct Maker {
    taking: Option<Taking>,
    /// What is told if nothing better follows, and how good it is.
    found: String,
    rank: Rank,
}

/// How good a text is: what a person wrote as plain text comes before what a program made of HTML.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    #[default]
    Nothing,
    Html,
    Plain,
}

/// A part whose content is being read.
struct Taking {
    rank: Rank,
    extractor: Extractor,
    text: String,
    /// Bytes of the content that will still be looked at.
    left: usize,
}

/// Text beyond this says nothing more: quotes and signatures may stand before what is told.
const TEXT_BYTES_MAX: usize = 4 * 1024;

impl Maker {
    /// The header of a leaf is complete and its content follows. `attached`: it is to be saved, not shown.
    pub fn begin(&mut self, part: &Part, attached: bool) {
        let (rank, left) = match part.media.as_str() {
            "text/plain" => (Rank::Plain, PREVIEW_PLAIN_BYTES_MAX),
            "text/html" => (Rank::Html, PREVIEW_HTML_BYTES_MAX),
            _ => return,
        };
        if !attached && rank > self.rank && part.is_text() {
            let text = String::new();
            self.taking = Some(Taking { rank, extractor: Extractor::new(part), text, left });
        }
    }

    /// The next bytes of that content.
    pub fn take(&mut self, bytes: &[u8]) {
        let Some(taking) = &mut self.taking else { return };
        // In pieces, so that no more is decoded than is needed.
        for piece in bytes[..bytes.len().min(taking.left)].chunks(TEXT_BYTES_MAX) {
            taking.extractor.feed(piece, &mut taking.text);
            taking.left -= piece.len();
            if taking.text.len() >= TEXT_BYTES_MAX {
                taking.left = 0;
                break;
            }
        }
        if taking.left == 0 {
            self.end();
        }
    }

    /// That content is over, or enough of it is known.
    pub fn end(&mut self) {
        let Some(mut taking) = self.taking.take() else { return };
        taking.extractor.finish(&mut taking.text);
        let found = of_text(&taking.text);
        if !found.is_empty() {
            (self.found, self.rank) = (found, taking.rank);
        }
    }

    /// At most `PREVIEW_CHARS_MAX` characters; empty where the message says nothing in words.
    pub fn finish(mut self) -> String {
        self.end();
        self.found
    }
}

/// The first words of a text.
fn of_text(text: &str) -> String {
    let own = joined(own_lines(text));
    if own.is_empty() { joined(text.lines()) } else { own }
}

/// The lines that the writer has written, as far as can be seen.
fn own_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut over = false;
    std::iter::from_fn(move || {
        loop {
            let line = lines.next().filter(|_| !over)?;
            let quote_follows = lines.peek().is_some_and(|next| next.starts_with('>'));
            if line == "--" || is_divider(line) {
                over = true;
            } else if !(line.starts_with('>') || (quote_follows && line.ends_with(':'))) {
                return Some(line);
            }
        }
    })
}

/// `-----Original Message-----`, in whatever language: what follows is somebody else's.
fn is_divider(line: &str) -> bool {
    line.starts_with("-----") && line.ends_with("-----") && line.contains(|c: char| c.is_alphabetic())
}

/// With one space between words, cut where it is long enough.
fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let mut left = PREVIEW_CHARS_MAX;
    // A line without a letter or digit is an ornament.
    for word in lines.filter(|line| line.contains(char::is_alphanumeric)).flat_map(str::split_whitespace) {
        let space = usize::from(!out.is_empty());
        let mut letters = word.chars().filter(|c| is_shown(*c)).peekable();
        if letters.peek().is_none() {
            continue;
        }
        if left <= space {
            break;
        }
        out.extend((space > 0).then_some(' '));
        left -= space;
        for letter in letters.take(left) {
            out.push(letter);
            left -= 1;
        }
    }
    out
}

/// Senders pad the preview with characters that have no width, or turn it round with others.
fn is_shown(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !(c.is_control() || invisible)
}

#[cfg(test)]
mod tests {
    use super::super::Summarizer;
    use super::*;

    fn preview(message: &str) -> String {
        let mut whole = Summarizer::new();
        whole.feed(message.as_bytes());
        let whole = whole.finish().preview;
        let mut cut = Summarizer::new();
        message.as_bytes().iter().for_each(|byte| cut.feed(&[*byte]));
        assert_eq!(cut.finish().preview, whole, "cut into bytes: {message}");
        whole
    }

    #[test]
    fn what_the_writer_wrote_is_told() {
        for (text, seen) in [
            ("Hello,\r\n\r\n  the   roses\tneed water.\r\n", "Hello, the roses need water."),
            (
                "On Monday Ann wrote:\r\n> The roses!\r\n>\r\n> Ann\r\n\r\nI will see to it.\r\n",
                "I will see to it.",
            ),
            ("Yes.\r\n-- \r\nBob\r\nGardens since 1990\r\n", "Yes."),
            ("Yes.\r\n-----Original Message-----\r\nFrom: Ann\r\n", "Yes."),
            ("==========\r\nNews\r\n==========\r\nOne\r\n", "News One"),
            ("> only\r\n> a quote\r\n", "> only > a quote"),
            ("-- \r\nBob\r\n", "-- Bob".trim_start_matches("-- ")),
            ("\u{200b}\u{34f} \u{feff}a\u{ad}b \u{202e}c\u{1}\r\n", "ab c"),
            ("", ""),
            (" \r\n\r\n", ""),
        ] {
            assert_eq!(preview(&format!("Subject: x\r\n\r\n{text}")), seen, "{text}");
        }
    }

    #[test]
    fn it_is_at_most_200_characters_of_any_width() {
        let long = "Ä ".repeat(10_000);
        let seen = preview(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{long}"));
        assert_eq!((seen.chars().count(), seen.len()), (199, 100 * 3 - 1));
        let seen =
            preview(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{}", "ü".repeat(100_000)));
        assert_eq!(seen, "ü".repeat(PREVIEW_CHARS_MAX));
    }

    #[test]
    fn the_first_useful_part_is_decoded() {
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n";
        let part = |head: &str, text: &str| format!("--b\r\n{head}\r\n\r\n{text}\r\n");
        let html = part(
            "Content-Type: text/html",
            "<style>p { color: red }</style><p>K&auml;se &amp;\r\n<b>Bro</b>t</p>",
        );
        let empty = part("Content-Type: text/plain", " ");
        let plain = part(
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
            "Gr=FC=\r\n=DFe",
        );
        let base64 =
            part("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64", "S8Okc2U=");
        let file = part("Content-Type: text/plain\r\nContent-Disposition: attachment; filename=x", "a file");
        let image = part("Content-Type: image/png", "binary");
        for (parts, seen) in [
            (vec![&html], "Käse & Brot"),
            (vec![&plain, &html], "Grüße"),
            (vec![&html, &plain], "Grüße"),
            (vec![&empty, &html], "Käse & Brot"),
            (vec![&plain, &base64], "Grüße"),
            (vec![&image, &file, &base64], "Käse"),
            (vec![&image, &file], ""),
        ] {
            let parts: String = parts.into_iter().map(String::as_str).collect();
            assert_eq!(preview(&format!("{head}{parts}--b--\r\nepilogue\r\n")), seen, "{parts}");
        }
    }

    #[test]
    fn no_more_is_looked_at_than_allowed() {
        let style = format!("<style>{}</style>", "x".repeat(PREVIEW_HTML_BYTES_MAX));
        assert_eq!(preview(&format!("Content-Type: text/html\r\n\r\n{style}words")), "");
        let blank = "\r\n".repeat(PREVIEW_PLAIN_BYTES_MAX);
        assert_eq!(preview(&format!("Subject: x\r\n\r\n{blank}words")), "");
    }
}
