//! From bytes in some charset to text (WHATWG labels, through encoding_rs). Every input gives text: an unknown label
//! is tried as UTF-8, and bytes that are not UTF-8 are read as windows-1252, which is what senders without a label use.

use encoding_rs::{CoderResult, DecoderResult, Encoding, UTF_8, WINDOWS_1252};

/// Decodes all at once.
pub fn decode(label: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = Decoder::new(label);
    decoder.feed(bytes, &mut text);
    decoder.finish(&mut text);
    text
}

/// Whether text in a charset of that name can be decoded as what it says.
pub fn known(label: &str) -> bool {
    Encoding::for_label_no_replacement(label.trim().as_bytes()).is_some()
}

/// Decodes a stream, however it is cut into pieces.
pub struct Decoder {
    inner: encoding_rs::Decoder,
    /// No label that says otherwise: UTF-8 where it is that, windows-1252 where it is not.
    guess: bool,
    /// Up to three bytes that may be the start of a UTF-8 character; only while guessing.
    held: Vec<u8>,
}

impl Decoder {
    pub fn new(label: &str) -> Decoder {
        let known = Encoding::for_label(label.trim().as_bytes());
        let says_nothing = label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii");
        let encoding = known.filter(|_| !says_nothing);
        Decoder {
            inner: encoding.unwrap_or(UTF_8).new_decoder_without_bom_handling(),
            guess: encoding.is_none_or(|encoding| encoding == UTF_8),
            held: Vec::new(),
        }
    }

    pub fn feed(&mut self, bytes: &[u8], text: &mut String) {
        if !self.guess {
            self.run(bytes, text, false);
            return;
        }
        if self.held.is_empty() {
            self.guess_all(bytes, text, false);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(bytes);
            self.guess_all(&joined, text, false);
        }
    }

    pub fn finish(mut self, text: &mut String) {
        if self.guess {
            let held = std::mem::take(&mut self.held);
            self.guess_all(&held, text, true);
        } else {
            self.run(b"", text, true);
        }
    }

    fn run(&mut self, mut bytes: &[u8], text: &mut String, last: bool) {
        loop {
            let room = self.inner.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() + 16);
            text.reserve(room);
            let (result, read, _) = self.inner.decode_to_string(bytes, text, last);
            bytes = &bytes[read..];
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }

    fn guess_all(&mut self, mut bytes: &[u8], text: &mut String, last: bool) {
        loop {
            let wrong = match std::str::from_utf8(bytes) {
                Ok(good) => return text.push_str(good),
                Err(wrong) => wrong,
            };
            let (good, rest) = bytes.split_at(wrong.valid_up_to());
            text.push_str(&String::from_utf8_lossy(good));
            let bad = match wrong.error_len() {
                Some(length) => length,
                None if last => rest.len(),
                None => {
                    self.held = rest.to_vec();
                    return;
                }
            };
            let mut western = WINDOWS_1252.new_decoder_without_bom_handling();
            text.reserve(bad * 3);
            let (result, ..) = western.decode_to_string_without_replacement(&rest[..bad], text, true);
            debug_assert_eq!(
                result,
                DecoderResult::InputEmpty,
                "windows-1252 has a character for every byte"
            );
            bytes = &rest[bad..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_labels() {
        for (label, is) in
            [("utf-8", true), ("US-ASCII", true), ("koi8-r", true), ("utf-7", false), ("hz-gb-2312", false)]
        {
            assert_eq!(known(label), is, "{label}");
        }
    }

    #[test]
    fn labels_and_guesses() {
        for (label, bytes, text) in [
            ("utf-8", "käse".as_bytes(), "käse"),
            ("ISO-8859-1", b"k\xe4se", "käse"),
            ("us-ascii", b"k\xe4se", "käse"),
            ("x-unknown", "k\u{e4}se".as_bytes(), "käse"),
            ("utf-8", b"k\xe4se \xe2\x82", "käse â‚"),
            ("iso-2022-jp", b"\x1b$B$\"\x1b(B", "あ"),
            ("gb18030", b"\xc4\xe3", "你"),
            ("", b"plain", "plain"),
        ] {
            assert_eq!(decode(label, bytes), text, "{label}");
            let mut decoder = Decoder::new(label);
            let mut cut = String::new();
            bytes.iter().for_each(|&byte| decoder.feed(&[byte], &mut cut));
            decoder.finish(&mut cut);
            assert_eq!(cut, text, "{label} byte by byte");
        }
    }
}
