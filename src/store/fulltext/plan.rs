//! What a search program says about trigrams: a condition that every message which matches fulfils. Keys that say nothing
//! about them (flags, dates, NOT) are left out of a conjunction; an alternative counts only if each of its branches says
//! something.

use crate::base::limits;
use crate::mime::text;

use super::super::search::{Key, Program};
use super::Place;
use super::tokens::{is_break, push_word, trigrams};

/// What must be in the index for a message to be a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// A word of the index.
    Word(String),
    /// Never empty.
    All(Vec<Plan>),
    /// Never empty.
    Any(Vec<Plan>),
}

/// Trigrams of one text that are asked for. More make fewer false candidates, and each is a look-up of its own.
const WORDS_PER_TEXT: usize = 10;

impl Plan {
    /// `None`: the program says nothing that the index knows.
    pub fn of(program: &Program) -> Option<Plan> {
        all(program.keys.iter().filter_map(of_key).collect())
    }

    /// As FTS5 takes it behind MATCH.
    pub fn query(&self) -> String {
        let mut query = String::new();
        self.write(&mut query);
        query
    }

    /// How many look-ups it takes.
    fn words(&self) -> usize {
        match self {
            Plan::Word(_) => 1,
            Plan::All(parts) | Plan::Any(parts) => parts.iter().map(Plan::words).sum(),
        }
    }

    fn write(&self, out: &mut String) {
        let (parts, between) = match self {
            Plan::Word(word) => {
                out.push('"');
                out.push_str(word);
                return out.push('"');
            }
            Plan::All(parts) => (parts, " AND "),
            Plan::Any(parts) => (parts, " OR "),
        };
        out.push('(');
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                out.push_str(between);
            }
            part.write(out);
        }
        out.push(')');
    }
}

fn of_key(key: &Key) -> Option<Plan> {
    match key {
        Key::Envelope(field, wanted) if wanted.is_empty() => {
            of_key(&Key::Header(field.name().into(), String::new()))
        }
        Key::Envelope(field, wanted) => of_text(&[field.place()], wanted),
        Key::Header(name, wanted) => {
            // As `text::of_header` writes the field.
            let named = of_text(&[Place::Header], &format!("{name}: "));
            let said = of_text(&[Place::Header], wanted);
            all(named.into_iter().chain(said).collect())
        }
        Key::Body(wanted) => of_text(&[Place::Body], wanted),
        Key::Text(wanted) => of_text(&[Place::Header, Place::Body], wanted),
        Key::And(keys) => all(keys.iter().filter_map(of_key).collect()),
        Key::Or(..) => {
            let mut branches = Vec::new();
            let mut rest = key;
            while let Key::Or(a, b) = rest {
                branches.push(of_key(a)?);
                rest = b;
            }
            branches.push(of_key(rest)?);
            any(branches)
        }
        _ => None,
    }
}

/// A conjunction, of which as much is kept as a search may ask.
fn all(mut parts: Vec<Plan>) -> Option<Plan> {
    let mut words = 0;
    parts.retain(|part| {
        let fits = words + part.words() <= limits::INDEX_WORDS_PER_SEARCH_MAX;
        words += if fits { part.words() } else { 0 };
        fits
    });
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Plan::All(parts)),
    }
}

fn any(mut parts: Vec<Plan>) -> Option<Plan> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Plan::Any(parts)),
    }
}

/// The text lies in one of these places. No trigram reaches over a line break, so that each line of it is looked for by
/// itself.
fn of_text(places: &[Place], wanted: &str) -> Option<Plan> {
    let folded = text::fold(wanted);
    all(folded.split(is_break).filter_map(|line| of_line(places, line)).collect())
}

fn of_line(places: &[Place], line: &str) -> Option<Plan> {
    let found = trigrams(line);
    let count = found.len().min(WORDS_PER_TEXT);
    // From the first to the last, as far from each other as can be.
    let chosen: Vec<u64> = (0..count).map(|n| found[n * (found.len() - 1) / (count - 1).max(1)]).collect();
    let there = |place: &Place| {
        all(chosen
            .iter()
            .map(|trigram| {
                let mut word = String::new();
                push_word(&mut word, *place, *trigram);
                Plan::Word(word)
            })
            .collect())
    };
    any(places.iter().filter_map(there).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::envelope::EnvelopeField;
    use super::*;

    fn query(keys: Vec<Key>) -> Option<String> {
        Plan::of(&Program { keys }).map(|plan| plan.query())
    }

    fn body(text: &str) -> Key {
        Key::Body(text.into())
    }

    #[test]
    fn texts_become_their_trigrams() {
        for (key, expected) in [
            (body("abcd"), Some("(\"xABC\" AND \"xBCD\")")),
            (body("ab"), None),
            (body("abc\r\nde"), Some("\"xABC\"")),
            (Key::Text("abc".into()), Some("(\"hABC\" OR \"xABC\")")),
            (Key::Envelope(EnvelopeField::From, "abc".into()), Some("\"fABC\"")),
            (
                Key::Header("X-Y".into(), "abc".into()),
                Some("((\"hX\u{ad}Y\" AND \"h\u{ad}Y\u{ba}\" AND \"hY\u{ba}\u{a0}\") AND \"hABC\")"),
            ),
            (Key::Envelope(EnvelopeField::To, String::new()), Some("(\"hTO\u{ba}\" AND \"hO\u{ba}\u{a0}\")")),
            (Key::All, None),
            (Key::Not(Box::new(body("abc"))), None),
        ] {
            assert_eq!(query(vec![key.clone()]).as_deref(), expected, "{key:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_left_out_of_a_conjunction_and_spoils_an_alternative() {
        let or = |a: Key, b: Key| Key::Or(Box::new(a), Box::new(b));
        for (keys, expected) in [
            (vec![Key::All, body("abc"), Key::Larger(5)], Some("\"xABC\"")),
            (vec![body("abc"), body("def")], Some("(\"xABC\" AND \"xDEF\")")),
            (vec![Key::And(vec![body("abc"), Key::Not(Box::new(body("x")))])], Some("\"xABC\"")),
            (vec![or(body("abc"), or(body("def"), body("ghi")))], Some("(\"xABC\" OR \"xDEF\" OR \"xGHI\")")),
            (vec![or(body("abc"), or(Key::Larger(5), body("ghi")))], None),
            (vec![or(body("abc"), Key::And(vec![Key::All, body("def")]))], Some("(\"xABC\" OR \"xDEF\")")),
        ] {
            assert_eq!(query(keys.clone()).as_deref(), expected, "{keys:?}");
        }
    }

    #[test]
    fn long_texts_and_long_programs_ask_for_a_bounded_number_of_words() {
        let long: String = (0..5_000).filter_map(|n| char::from_u32(0x4e00 + n)).collect();
        let plan = Plan::of(&Program { keys: vec![body(&long)] }).expect("a plan");
        assert_eq!(plan.words(), WORDS_PER_TEXT);
        let keys: Vec<Key> = (0..1_000).map(|n| body(&format!("number {n}"))).collect();
        let plan = Plan::of(&Program { keys: keys.clone() }).expect("a plan");
        assert!(plan.words() <= limits::INDEX_WORDS_PER_SEARCH_MAX);
        let either =
            keys.into_iter().reduce(|rest, key| Key::Or(Box::new(key), Box::new(rest))).expect("some");
        assert_eq!(
            Plan::of(&Program { keys: vec![either] }),
            None,
            "an alternative is asked for whole or not at all"
        );
    }
}
