//! The trigrams of one message, and how they are written for FTS5.
//!
//! No trigram reaches over a line break: neither a field nor a part goes on behind one, and a text that is looked for is
//! taken apart at its line breaks too. Where letters carry marks (accents come apart when they are folded), the trigrams
//! of the bare letters are there as well, for a search that does not mind them.

use crate::base::limits;
use crate::mime::{header, text, words};

use super::super::envelope;
use super::super::texts::{HeaderOf, Listener};
use super::Place;

/// Three characters of 21 bits each.
type Trigram = u64;

/// Collects what one message says.
pub struct Tokens {
    /// In the order of `Place::ALL`.
    places: [Trigrams; Place::ALL.len()],
    /// There are too many of them: the body is not worth its row.
    overflow: bool,
}

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens { places: std::array::from_fn(|_| Trigrams::default()), overflow: false }
    }
}

impl Tokens {
    /// What the ENVELOPE shows of addresses and subject, which is searched beside the fields themselves.
    pub fn envelope(&mut self, envelope: &[u8]) {
        for (field, place) in envelope::FIELDS {
            let shown = text::fold(&envelope::shown(envelope, field));
            self.add(place, &shown);
            self.end_line(place);
        }
    }

    fn add(&mut self, place: Place, folded: &str) {
        if self.overflow {
            return;
        }
        let trigrams = &mut self.places[place as usize];
        trigrams.feed(folded);
        self.overflow = trigrams.many && trigrams.count() > limits::INDEX_TOKENS_PER_BODY_MAX;
    }

    fn end_line(&mut self, place: Place) {
        self.places[place as usize].feed("\n");
    }

    /// The words of the row, separated by spaces, and how many they are. `None`: there are too many.
    pub fn finish(mut self) -> Option<(String, usize)> {
        let count: usize = self.places.iter_mut().map(Trigrams::count).sum();
        if self.overflow || count > limits::INDEX_TOKENS_PER_BODY_MAX {
            return None;
        }
        let mut out = String::with_capacity(count * 6);
        for (place, trigrams) in Place::ALL.into_iter().zip(&self.places) {
            for trigram in &trigrams.found {
                push_word(&mut out, place, *trigram);
                out.push(' ');
            }
        }
        Some((out, count))
    }
}

impl Listener for Tokens {
    fn header(&mut self, section: &[u8], whose: HeaderOf) {
        let place = if whose == HeaderOf::Inside { Place::Body } else { Place::Header };
        for field in header::fields(section).take(limits::HEADER_FIELDS_MAX) {
            let name = String::from_utf8_lossy(field.name);
            let line = text::fold(&format!("{name}: {}\n", words::decode(field.value)));
            self.add(place, &line);
            let own = envelope::FIELDS.into_iter().find(|(known, _)| field.is(known.name()));
            if let Some((_, own)) = own.filter(|_| whose == HeaderOf::Message) {
                self.add(own, &line);
            }
        }
    }

    fn text(&mut self, folded: &str) {
        self.add(Place::Body, folded);
    }

    fn is_through(&self) -> bool {
        self.overflow
    }
}

/// Distinct trigrams of a text that comes in pieces.
#[derive(Default)]
struct Trigrams {
    /// Each once, as of the last `settle`; behind them those that came in since.
    found: Vec<Trigram>,
    settled: usize,
    window: Window,
    /// Without marks; told where it differs from `window`.
    bare: Window,
    /// It was worth settling at least once on the way.
    many: bool,
}

/// Trigrams that come in before they are sorted and doubles are let go.
const UNSORTED_MAX: usize = 64 * 1024;

impl Trigrams {
    fn feed(&mut self, folded: &str) {
        for c in folded.chars() {
            if is_break(c) {
                self.window = Window::default();
                self.bare = Window::default();
                continue;
            }
            let whole = self.window.push(c);
            self.found.extend(whole);
            if !is_mark(c) {
                let bare = self.bare.push(c);
                if bare != whole {
                    self.found.extend(bare);
                }
            }
        }
        if self.found.len() - self.settled > UNSORTED_MAX {
            self.settle();
            self.many = true;
        }
    }

    fn settle(&mut self) {
        self.found.sort_unstable();
        self.found.dedup();
        self.settled = self.found.len();
    }

    fn count(&mut self) -> usize {
        self.settle();
        self.settled
    }
}

/// The last characters of a line.
#[derive(Clone, Copy, Default)]
struct Window {
    last: Trigram,
    length: u8,
}

const CHAR_BITS: u32 = 21;
const CHAR_MASK: Trigram = (1 << CHAR_BITS) - 1;

impl Window {
    fn push(&mut self, c: char) -> Option<Trigram> {
        self.last = (self.last << CHAR_BITS | Trigram::from(u32::from(c))) & ((1 << (3 * CHAR_BITS)) - 1);
        self.length = (self.length + 1).min(3);
        (self.length == 3).then_some(self.last)
    }
}

/// A line ends here.
pub fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

/// Combining diacritical marks, which folding takes off their letters.
pub fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// The trigrams of a folded text without line breaks, in order, each once; none if it is shorter than three characters.
pub fn trigrams(text: &str) -> Vec<Trigram> {
    let mut window = Window::default();
    let mut found = Vec::new();
    for trigram in text.chars().filter_map(|c| window.push(c)) {
        if !found.contains(&trigram) {
            found.push(trigram);
        }
    }
    found
}

/// One word of the index: the place's letter and three characters. The `ascii` tokenizer splits at whatever is neither a
/// letter nor a digit of ASCII, so those stand behind it by 128; that they may meet other characters there costs a false
/// candidate at most.
pub fn push_word(out: &mut String, place: Place, trigram: Trigram) {
    out.push(place.letter());
    for shift in [2 * CHAR_BITS, CHAR_BITS, 0] {
        let code = (trigram >> shift & CHAR_MASK) as u32;
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let plain = !c.is_ascii() || c.is_ascii_alphanumeric();
        out.push(if plain { c } else { char::from_u32(code + 128).unwrap_or(c) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(place: Place, text: &str) -> Vec<String> {
        let mut tokens = Tokens::default();
        tokens.add(place, &text::fold(text));
        let (words, count) = tokens.finish().expect("few");
        let words: Vec<String> =
            words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        assert_eq!(words.len(), count);
        words
    }

    #[test]
    fn every_three_characters_of_a_line_are_a_word_once() {
        assert_eq!(words(Place::Body, "abcabc"), ["xABC", "xBCA", "xCAB"]);
        assert_eq!(words(Place::Subject, "ab\ncde\r\nf"), ["sCDE"]);
        assert_eq!(words(Place::Body, "a b"), ["xA\u{a0}B"]);
        assert!(words(Place::Body, "ab").is_empty());
    }

    #[test]
    fn marked_letters_are_there_with_and_without_their_marks() {
        let words = words(Place::Body, "Müll");
        assert_eq!(words, ["xMUL", "xMU\u{308}", "xULL", "xU\u{308}L", "x\u{308}LL"]);
    }

    #[test]
    fn a_field_stands_in_its_own_place_and_among_all_headers() {
        let mut tokens = Tokens::default();
        tokens.header(b"Subject: abc\r\nX-Y: pqr\r\n\r\n", HeaderOf::Message);
        tokens.header(b"Subject: def\r\n\r\n", HeaderOf::Inside);
        tokens.header(b"Content-Type: ghi\r\n\r\n", HeaderOf::Part);
        let (words, _) = tokens.finish().expect("few");
        let has = |word: &str| words.split(' ').any(|known| known == word);
        assert!(has("sABC") && has("hABC") && has("hPQR") && has("xDEF") && has("hGHI"));
        assert!(!has("sDEF") && !has("sPQR") && !has("xABC") && !has("hDEF"));
    }

    #[test]
    fn a_body_with_too_many_trigrams_is_not_worth_a_row() {
        let mut tokens = Tokens::default();
        let mut state = 1_u32;
        while !tokens.is_through() {
            let mut text = String::new();
            for _ in 0..10_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.extend(char::from_u32(0x4e00 + (state >> 16) % 20_000));
            }
            tokens.text(&text);
        }
        assert!(tokens.finish().is_none());
    }
}
