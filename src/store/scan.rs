//! Looking for texts in one message, in one pass over its body: neither the number of texts nor the size of the message
//! costs memory, and between two slices it can be put down and taken up again later.

use memchr::memmem;

use crate::mime::text;

use super::StoreError;
use super::texts::{Fetch, HeaderOf, Listener, Walk};

/// A pass over one message, as far as it has come.
pub struct Scan {
    walk: Walk,
    finders: Finders,
}

/// Texts that are looked for at the cost of reading the bytes.
const TEXTS_FREE: u64 = 8;

impl Scan {
    /// `parts` is the message's map of parts; the texts are folded.
    pub fn new(parts: &[u8], body: &[String], text: &[String]) -> Scan {
        Scan { walk: Walk::new(parts), finders: Finders { body: Finder::new(body), text: Finder::new(text) } }
    }

    /// For each text of BODY and of TEXT, whether it is there.
    pub fn found(self) -> (Vec<bool>, Vec<bool>) {
        (self.finders.body.found, self.finders.text.found)
    }

    /// Goes on for about `most` of work; true when it is through. Says what the work was. `first` is the first slice
    /// of the body, if it is at hand.
    pub fn run(
        &mut self,
        fetch: Fetch<'_>,
        first: Option<Vec<u8>>,
        most: u64,
    ) -> Result<(bool, u64), StoreError> {
        let finders = &mut self.finders;
        let weight = 1 + (finders.body.needles.len() + finders.text.needles.len()) as u64 / TEXTS_FREE;
        let (through, read) = self.walk.run(fetch, first, most / weight, finders)?;
        Ok((through, read.saturating_mul(weight)))
    }
}

/// BODY looks at text parts and the headers of messages inside; TEXT also at all other headers (RFC 9051 section 6.4.4).
struct Finders {
    body: Finder,
    text: Finder,
}

impl Listener for Finders {
    fn header(&mut self, section: &[u8], whose: HeaderOf) {
        let said = text::fold(&text::of_header(section));
        self.text.feed(&said);
        if whose == HeaderOf::Inside {
            self.body.feed(&said);
        }
    }

    fn text(&mut self, folded: &str) {
        self.body.feed(folded);
        self.text.feed(folded);
    }

    fn is_through(&self) -> bool {
        self.body.is_through() && self.text.is_through()
    }
}

pub fn contains(text: &str, needle: &str) -> bool {
    memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// Looks for several needles in one folded text that comes in pieces.
struct Finder {
    needles: Vec<String>,
    found: Vec<bool>,
    left: usize,
    /// The end of the text so far, in which the beginning of a needle may lie.
    held: String,
    longest: usize,
}

impl Finder {
    fn new(needles: &[String]) -> Finder {
        let found: Vec<bool> = needles.iter().map(String::is_empty).collect();
        let left = found.iter().filter(|found| !**found).count();
        let longest = needles.iter().map(String::len).max().unwrap_or(0);
        Finder { needles: needles.to_vec(), found, left, held: String::new(), longest }
    }

    fn is_through(&self) -> bool {
        self.left == 0
    }

    fn feed(&mut self, folded: &str) {
        if self.left == 0 || folded.is_empty() {
            return;
        }
        self.held.push_str(folded);
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            if !*found && contains(&self.held, needle) {
                *found = true;
                self.left -= 1;
            }
        }
        let mut from = self.held.len().saturating_sub(self.longest);
        while !self.held.is_char_boundary(from) {
            from -= 1;
        }
        self.held.drain(..from);
    }
}
