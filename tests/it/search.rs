//! SEARCH against a plain scan: random keys over random flags, asked as a client asks.

use std::fmt::Write as _;

use crate::world::chance::Chance;
use crate::world::play::{Mode, play};
use crate::world::script;

/// What there is to know of the n-th message of `have INBOX …` (`world::corpus::plain`).
struct Known {
    number: u32,
    flags: Vec<&'static str>,
}

const FLAGS: [(&str, &str); 6] = [
    ("\\Seen", "SEEN"),
    ("\\Answered", "ANSWERED"),
    ("\\Flagged", "FLAGGED"),
    ("\\Deleted", "DELETED"),
    ("\\Draft", "DRAFT"),
    ("$Junk", "KEYWORD $junk"),
];

impl Known {
    fn day(&self) -> u32 {
        1 + self.number % 28
    }

    fn text(&self) -> String {
        String::from_utf8(crate::world::corpus::plain(self.number)).expect("ASCII").to_lowercase()
    }
}

/// A key as it is said, and whether it holds.
type Key = (String, Box<dyn Fn(&Known) -> bool>);

fn key(chance: &mut Chance, depth: u32, last: u32) -> Key {
    let some = 1 + chance.below(u64::from(last)) as u32;
    match chance.below(if depth == 0 { 8 } else { 12 }) {
        0 | 1 => {
            let (flag, word) = *chance.pick(&FLAGS);
            let negated = chance.one_in(2);
            let said = if negated { format!("UN{word}") } else { word.to_string() };
            (said, Box::new(move |known| known.flags.contains(&flag) != negated))
        }
        2 => {
            let end = some + chance.below(5) as u32;
            (format!("UID {end}:{some}"), Box::new(move |known| (some..=end).contains(&known.number)))
        }
        3 => (format!("{some}"), Box::new(move |known| known.number == some)),
        4 => {
            let word = format!("Message {some}");
            (
                format!("SUBJECT \"{word}\""),
                Box::new(move |known| known.number.to_string().starts_with(&some.to_string())),
            )
        }
        5 => {
            let (name, body) = *chance.pick(&[("BODY", true), ("TEXT", false)]);
            let needle = *chance.pick(&["MESSAGE 1", "sender2", "is message", "nowhere", "3@example", "."]);
            let holds = move |known: &Known| {
                let text = known.text();
                let (head, tail) = text.split_once("\r\n\r\n").expect("a blank line");
                let needle = needle.to_lowercase();
                tail.contains(&needle) || !body && head.contains(&needle)
            };
            (format!("{name} \"{needle}\""), Box::new(holds))
        }
        6 => {
            let day = 1 + chance.below(28) as u32;
            let (word, kind) = *chance.pick(&[("SENTON", 0), ("SENTBEFORE", 1), ("SENTSINCE", 2)]);
            let holds = move |known: &Known| match kind {
                0 => known.day() == day,
                1 => known.day() < day,
                _ => known.day() >= day,
            };
            (format!("{word} {day}-Nov-2026"), Box::new(holds))
        }
        7 => {
            let size = 160 + chance.below(20) as usize;
            (format!("LARGER {size}"), Box::new(move |known| known.text().len() > size))
        }
        8 | 9 => {
            let (said, holds) = key(chance, depth - 1, last);
            (format!("NOT {said}"), Box::new(move |known| !holds(known)))
        }
        10 => {
            let (a, b) = (key(chance, depth - 1, last), key(chance, depth - 1, last));
            (format!("OR {} {}", a.0, b.0), Box::new(move |known| a.1(known) || b.1(known)))
        }
        _ => {
            let (a, b) = (key(chance, depth - 1, last), key(chance, depth - 1, last));
            (format!("({} {})", a.0, b.0), Box::new(move |known| a.1(known) && b.1(known)))
        }
    }
}

/// A conversation in which every answer is what a plain scan finds.
fn conversation(chance: &mut Chance) -> String {
    let count = 1 + chance.below(40) as u32;
    let mut script = format!("have INBOX {count}\n");
    let mut mail = Vec::new();
    for number in 1..=count {
        let flags: Vec<&str> = FLAGS.iter().map(|(flag, _)| *flag).filter(|_| chance.one_in(3)).collect();
        if !flags.is_empty() {
            let _ = writeln!(script, "flags INBOX {number} {}", flags.join(" "));
        }
        mail.push(Known { number, flags });
    }
    script.push_str(
        "S: * OK ~\nC: a LOGIN alice@box.test secret\nS: a OK ~\nC: b SELECT INBOX\nS: …\nS: b OK ~\n",
    );
    for ask in 0..12 {
        let keys: Vec<Key> = (0..=chance.below(2)).map(|_| key(chance, 3, count)).collect();
        let said = keys.iter().map(|key| key.0.as_str()).collect::<Vec<_>>().join(" ");
        let hits: Vec<u32> = mail
            .iter()
            .filter(|known| keys.iter().all(|key| key.1(known)))
            .map(|known| known.number)
            .collect();
        let found: String = hits.iter().map(|hit| format!(" {hit}")).collect();
        let uid = if chance.one_in(2) { "UID " } else { "" };
        let _ = writeln!(script, "C: s{ask} {uid}SEARCH {said}\nS: * SEARCH{found}\nS: s{ask} OK ~");
        let extremes = match (hits.first(), hits.last()) {
            (Some(min), Some(max)) => format!(" MIN {min} MAX {max}"),
            _ => String::new(),
        };
        let _ = writeln!(
            script,
            "C: r{ask} SEARCH RETURN (MIN MAX COUNT) {said}\nS: * ESEARCH (TAG \"r{ask}\"){extremes} COUNT {}\nS: r{ask} OK ~",
            hits.len()
        );
    }
    script
}

#[test]
fn search_finds_what_a_plain_scan_finds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("search.txt");
    for seed in 0..12 {
        let text = conversation(&mut Chance::new(seed));
        std::fs::write(&path, &text).expect("written");
        let lines = script::load(&path).expect("a script");
        let mode = if seed % 2 == 0 { Mode::Whole } else { Mode::Pipelined };
        if let Err(wrong) = play(&lines, "imap", mode) {
            panic!("seed {seed}: {wrong}\n{text}");
        }
    }
}
