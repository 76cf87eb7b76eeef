//! Encoded words (RFC 2047): read leniently, written strictly.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::charset;
use super::transfer::{self, Encoding};

/// A header value as text: encoded words decoded, raw 8-bit bytes guessed, line breaks of folding removed.
pub fn decode(value: &[u8]) -> String {
    let value = super::header::unfold(value);
    let mut out = Joined::default();
    // Behind the last `?=` no word can end: not looking there keeps this linear.
    let (mut rest, tail) = value.split_at(memmem::rfind(&value, b"?=").map_or(0, |last| last + 2));
    while let Some(start) = memmem::find(rest, b"=?") {
        let Some(word) = encoded_word(&rest[start..]) else {
            out.plain(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        };
        if !(out.after_word && rest[..start].iter().all(u8::is_ascii_whitespace)) {
            out.plain(&rest[..start]);
        }
        out.word(&word);
        rest = &rest[start + word.length..];
    }
    out.plain(rest);
    out.plain(tail);
    out.flush();
    out.text
}

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    length: usize,
}

// encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="      RFC 2047 section 2, RFC 2231
// Spaces inside the text are let through: senders write them.
fn encoded_word(bytes: &[u8]) -> Option<Word<'_>> {
    let charset_end = memchr(b'?', bytes.get(2..)?.get(..CHARSET_BYTES_MAX.min(bytes.len() - 2))?)? + 2;
    let charset = bytes[2..charset_end].split(|&byte| byte == b'*').next()?;
    let &[encoding, b'?', ref text @ ..] = bytes.get(charset_end + 1..)? else { return None };
    if charset.is_empty() || !matches!(encoding, b'q' | b'Q' | b'b' | b'B') {
        return None;
    }
    let end = memmem::find(text, b"?=")?;
    let text = &text[..end];
    let decoded = if encoding.eq_ignore_ascii_case(&b'b') {
        transfer::decode(Encoding::Base64, text)
    } else {
        let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
        transfer::decode(Encoding::QuotedPrintable, &spaced)
    };
    Some(Word { charset, bytes: decoded, length: charset_end + 3 + end + 2 })
}

/// No charset has a longer name.
const CHARSET_BYTES_MAX: usize = 80;

/// Text so far. Neighbouring words of one charset are decoded together, because senders cut characters in two.
#[derive(Default)]
struct Joined {
    text: String,
    charset: Vec<u8>,
    bytes: Vec<u8>,
    after_word: bool,
}

impl Joined {
    fn plain(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.flush();
        self.after_word = false;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text.push_str(text),
            Err(_) => self.text.push_str(&charset::decode("", bytes)),
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset.to_vec();
        }
        self.bytes.extend_from_slice(&word.bytes);
        self.after_word = true;
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            let label = String::from_utf8_lossy(&self.charset);
            self.text.push_str(&charset::decode(&label, &self.bytes));
        }
        self.charset.clear();
        self.bytes.clear();
    }
}

/// Text as it may stand in a header: itself where it is printable ASCII, else as encoded words of at most 75 bytes,
/// cut between characters (RFC 2047 section 2 and 5), one space between them.
pub fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let dense = text.chars().filter(|c| !c.is_ascii()).count() * 3 > text.chars().count();
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        rest = if dense { base64_word(rest, &mut out) } else { quoted_word(rest, &mut out) };
    }
    Cow::Owned(out)
}

/// Bytes between `=?utf-8?b?` and `?=`.
const WORD_TEXT_MAX: usize = 75 - 12;

fn base64_word<'a>(text: &'a str, out: &mut String) -> &'a str {
    let mut end = text.len().min(WORD_TEXT_MAX / 4 * 3);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.push_str("=?utf-8?b?");
    data_encoding::BASE64.encode_append(&text.as_bytes()[..end], out);
    out.push_str("?=");
    &text[end..]
}

fn quoted_word<'a>(text: &'a str, out: &mut String) -> &'a str {
    out.push_str("=?utf-8?q?");
    let mut used = 0;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        let plain = c.is_ascii_alphanumeric() || matches!(c, '!' | '*' | '+' | '-' | '/' | ' ');
        let cost = if plain { 1 } else { c.len_utf8() * 3 };
        if used + cost > WORD_TEXT_MAX {
            end = at;
            break;
        }
        used += cost;
        if plain {
            out.push(if c == ' ' { '_' } else { c });
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push('=');
            data_encoding::HEXUPPER.encode_append(&[byte], out);
        }
    }
    out.push_str("?=");
    &text[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        for (from, to) in [
            ("plain", "plain"),
            ("=?utf-8?q?K=C3=A4se?= x", "Käse x"),
            ("=?UTF-8?B?S8Okc2U=?=", "Käse"),
            ("=?utf-8*de?Q?a_b?= =?utf-8?q?c?=", "a bc"),
            ("=?utf-8?b?w6Q?=\r\n =?utf-8?b?w7Y?=", "äö"),
            ("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
            ("a =?iso-8859-1?q?=E4?= b", "a ä b"),
            ("=?utf-8?x?a?= =?", "=?utf-8?x?a?= =?"),
            ("=?utf-8?q??=", ""),
            ("=?utf-8?q?=41?=", "A"),
            ("=?utf-8?q?unended", "=?utf-8?q?unended"),
            ("=??q?a?=", "=??q?a?="),
        ] {
            assert_eq!(decode(from.as_bytes()), to, "{from}");
        }
        assert_eq!(decode(b"K\xe4se"), "Käse");
    }

    #[test]
    fn words_go_there_and_back() {
        for text in [
            "Grüße aus Köln",
            "こんにちは世界、これは長い件名です。とても長い件名です。",
            "a\u{0}b",
            "ä = b? _c_",
        ] {
            let encoded = encode(text);
            assert!(encoded.split(' ').all(|word| word.len() <= 75), "{encoded}");
            assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{encoded}");
            assert_eq!(decode(encoded.as_bytes()), text);
        }
        assert_eq!(encode("plain =?"), "plain =?");
    }
}
