//! Every transcript and scenario, each run whole, byte by byte, cut at random and pipelined (scenarios: whole only).
//! `ONE=name cargo test transcripts` runs those whose path contains the name; `UPDATE=1` rewrites what the server says.

use std::path::{Path, PathBuf};

use crate::world::play::{Mode, Play, play};
use crate::world::script::{self, Line};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let wanted = std::env::var("ONE").unwrap_or_default();
    let mut all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    all.retain(|path| {
        path.extension().is_some_and(|e| e == "txt") && path.display().to_string().contains(&wanted)
    });
    all.retain(|path| path.file_name().is_some_and(|name| name != "README.txt"));
    all.sort();
    all
}

/// Runs each file in each mode and fails with the list of what went wrong. The line it prints is counted by `tests/run`.
fn run(folder: &str, service: &str, modes: &[Mode]) {
    let (mut passed, mut failures) = (0, Vec::new());
    for path in files(folder) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match one(&path, service, modes) {
            Ok(()) => passed += 1,
            Err(wrong) => failures.push(format!("{folder}/{name}: {wrong}")),
        }
    }
    println!("transcripts {folder}: {passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0 || std::env::var_os("ONE").is_some(), "no transcript in {folder}");
}

fn one(path: &Path, service: &str, modes: &[Mode]) -> Result<(), String> {
    let lines = script::load(path)?;
    let result = modes.iter().try_for_each(|mode| caught(&lines, service, *mode));
    if result.is_err() && std::env::var_os("UPDATE").is_some() {
        let text = Play::new(&lines, service, Mode::Whole).rewrite().join("\n");
        std::fs::write(path, text + "\n").map_err(|error| error.to_string())?;
    }
    result
}

fn caught(lines: &[Line], service: &str, mode: Mode) -> Result<(), String> {
    let played = std::panic::catch_unwind(|| play(lines, service, mode));
    played.unwrap_or_else(|_| Err(format!("panicked ({mode:?})")))
}

const ALL: [Mode; 5] =
    [Mode::Whole, Mode::ByteByByte, Mode::CutAtRandom(1), Mode::CutAtRandom(2), Mode::Pipelined];

#[test]
fn smtp() {
    run("transcripts/smtp", "smtp", &ALL);
}

#[test]
fn imap() {
    run("transcripts/imap", "imap", &ALL);
}

#[test]
fn pop3() {
    run("transcripts/pop3", "pop3", &ALL);
}

#[test]
fn scenarios() {
    run("scenarios", "imap", &[Mode::Whole]);
}

#[test]
fn patterns_match_what_they_say() {
    let mut names = script::Names::new();
    for (pattern, said, fits) in [
        ("a OK ~", "a OK done", true),
        ("a OK~", "a OK", true),
        ("* 1 FETCH (UID … MODSEQ (…))", "* 1 FETCH (UID 3 MODSEQ (9))", true),
        ("* 1 FETCH (UID … MODSEQ (…))", "* 1 FETCH (UID 3)", false),
        ("* OK [UIDVALIDITY ${v}] ~", "* OK [UIDVALIDITY 17] x", true),
        ("* OK [UIDVALIDITY ${v}] y", "* OK [UIDVALIDITY 18] y", false),
    ] {
        assert_eq!(script::matches(pattern, said, &mut names), fits, "{pattern} / {said}");
    }
    assert_eq!(names["v"], "17");
    assert_eq!(script::unescape("a\\r\\n\\x00\\\\"), Some(b"a\r\n\0\\".to_vec()));
}
