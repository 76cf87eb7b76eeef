//! The body of every fuzz target for two seconds (`PILLARBOX_FUZZ_SECONDS` for longer) over its corpus and seeded
//! mutations of it. A finding is printed as the seed that makes it again and the input's bytes.

use std::time::{Duration, Instant};

use crate::world::chance::Chance;

#[path = "../fuzz/targets.rs"]
mod targets;

use targets::{Corpus, TARGETS, Target};

/// Inputs grow to this; longer ones find little and cost much.
const INPUT_BYTES_MAX: usize = 16 * 1024;

#[test]
fn no_input_breaks_a_parser() {
    let seconds =
        std::env::var("PILLARBOX_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let seed = std::env::var("PILLARBOX_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    std::thread::scope(|scope| {
        let runs: Vec<_> = TARGETS
            .iter()
            .map(|&(name, target, corpus)| {
                scope
                    .spawn(move || fuzz(name, target, &corpus_of(corpus), seed, Duration::from_secs(seconds)))
            })
            .collect();
        let findings: Vec<_> =
            runs.into_iter().filter_map(|run| run.join().unwrap_or_else(|_| Some("?".into()))).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    });
}

/// What was found, if something was.
fn fuzz(name: &str, target: Target, corpus: &[Vec<u8>], seed: u64, time: Duration) -> Option<String> {
    let start = Instant::now();
    let mut chance = Chance::new(seed);
    let mut runs = 0_u64;
    while runs < corpus.len() as u64 || start.elapsed() < time {
        let input = match corpus.get(runs as usize) {
            Some(input) => input.clone(),
            None => mutant(&mut chance, corpus),
        };
        if std::panic::catch_unwind(|| target(&input)).is_err() {
            let shown = input.escape_ascii();
            return Some(format!("{name}: PILLARBOX_SEED={seed}, input {runs}: {shown}"));
        }
        runs += 1;
    }
    None
}

fn corpus_of(corpus: Corpus) -> Vec<Vec<u8>> {
    match corpus {
        Corpus::Messages => messages().into_iter().map(|(_, message)| message).collect(),
        Corpus::Lines(lines) => lines.iter().map(|line| line.as_bytes().to_vec()).collect(),
        Corpus::Bytes => vec![Vec::new()],
    }
}

/// The messages of `tests/data` with their names, in order.
pub fn messages() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut messages: Vec<_> = std::fs::read_dir(folder)
        .expect("tests/data is there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("it can be read"))
        })
        .collect();
    messages.sort();
    messages
}

/// Some changes to one input: what parsers trip over is cut, doubled, moved and mixed.
pub fn mutant(chance: &mut Chance, corpus: &[Vec<u8>]) -> Vec<u8> {
    const ODD: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"--",
        b"\r\n\r\n",
        b"=?",
        b"?=",
        b"\"",
        b"(",
        b")",
        b";",
        b"{9}\r\n",
        b"\xff",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"\r\n.\r\n",
    ];
    let mut input = chance.pick(corpus).clone();
    for _ in 0..=chance.below(8) {
        let at = chance.index(input.len() + 1);
        let length = chance.index(input.len() - at + 1).min(chance.index(200));
        match chance.below(6) {
            0 => drop(input.drain(at..at + length)),
            1 => {
                let piece = input[at..at + length].to_vec();
                let to = chance.index(input.len() + 1);
                input.splice(to..to, piece);
            }
            2 => {
                let odd = chance.pick(&ODD).iter().copied();
                input.splice(at..at, odd);
            }
            3 => {
                let other = chance.pick(corpus);
                let from = chance.index(other.len() + 1);
                let piece = other[from..].iter().copied().take(length);
                input.splice(at..at, piece);
            }
            4 if at < input.len() => input[at] = chance.u64() as u8,
            _ => {
                let count = chance.index(9);
                let bytes = chance.bytes(count);
                input.splice(at..at, bytes);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}
