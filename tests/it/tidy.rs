//! The rules of the house that a compiler does not know: who may use whom, how long a file may grow, what is not done
//! anywhere, and that what is advertised stands in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::world::{World, store};

/// Which floor a room is on; a room uses lower floors only.
const FLOORS: [(&str, u32); 12] = [
    ("base", 0),
    ("dns", 1),
    ("mime", 1),
    ("store", 2),
    ("session", 3),
    ("delivery", 4),
    ("smtp", 5),
    ("imap", 5),
    ("pop3", 5),
    ("engine", 6),
    ("io", 7),
    ("cli", 8),
];
const LINES_MAX: usize = 600;

/// Each library is known to one room, or to one or two files.
const LIBRARIES: [(&str, &[&str]); 12] = [
    ("mio", &["src/io/"]),
    ("rustls", &["src/engine/tls.rs"]),
    ("rusqlite", &["src/store/"]),
    ("argon2", &["src/io/hasher.rs"]),
    ("mail_builder", &["src/mime/compose.rs"]),
    ("env_logger", &["src/cli/serve.rs"]),
    ("rcgen", &["src/cli/certificate.rs"]),
    ("simple_dns", &["src/dns/"]),
    ("encoding_rs", &["src/mime/charset.rs"]),
    ("zstd", &["src/delivery/intake.rs", "src/store/message.rs"]),
    ("lexopt", &["src/cli/args.rs"]),
    ("rpassword", &["src/cli/password.rs"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every Rust file below a folder, by its path from the top, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the top").display().to_string();
                found.push((name, std::fs::read_to_string(&path).expect("a source file is text")));
            }
        }
    }
    found.sort();
    found
}

/// A line without its comment, and nothing of a doc comment.
fn code(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Lines of `folder` that contain one of the words, outside the places where that is allowed.
fn lines_with(folder: &str, words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources(folder) {
        if allowed.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if words.iter().any(|word| code(line).contains(word)) {
                found.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn imports_only_go_down() {
    let floors: BTreeMap<&str, u32> = FLOORS.into();
    let mut found = Vec::new();
    for (name, text) in sources("src") {
        let Some((room, _)) = name.trim_start_matches("src/").split_once('/') else { continue };
        let own = floors.get(room).unwrap_or_else(|| panic!("{room} stands on no floor"));
        for (index, line) in text.lines().enumerate() {
            for used in code(line).split("crate::").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let Some(floor) = floors.get(used) else { continue };
                if used != room && floor >= own {
                    found.push(format!("{name}:{}: {room} uses {used}", index + 1));
                }
            }
        }
    }
    none("a room uses a higher floor or a neighbour", found);
}

#[test]
fn files_stay_readable_in_one_sitting() {
    let long = sources("src").into_iter().chain(sources("tests")).filter_map(|(name, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{name}: {lines} lines"))
    });
    none("too long", long.collect());
}

#[test]
fn what_is_not_done_here_is_not_done() {
    none("unwrap", lines_with("src", &[".unwrap()"], &[]));
    none("unsafe", lines_with("src", &["unsafe "], &["src/io/sys.rs"]));
    none(
        "unsafe",
        lines_with(
            "tests",
            &["unsafe {", "unsafe fn", "unsafe extern"],
            &["tests/world/vfs.rs", "tests/it/tidy.rs"],
        ),
    );
    let clocks = ["Instant::now", "SystemTime::now", "thread::spawn", "thread::Builder", "thread::sleep"];
    none("a clock or a thread", lines_with("src", &clocks, &["src/io/", "src/cli/"]));
    none(
        "a hash map, whose order is chance",
        lines_with("src", &["HashMap", "HashSet"], &["src/io/", "src/cli/"]),
    );
    none(
        "random or time in SQL",
        lines_with("src/store", &["CURRENT_TIMESTAMP", "random()", "strftime"], &[]),
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    for folder in ["src", "tests"] {
        for (name, text) in sources(folder) {
            for word in &words {
                assert!(!text.contains(word.as_str()), "{name} contains {word}");
            }
        }
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    for file in ["src/io/sys.rs", "tests/world/vfs.rs"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| code(line).contains("unsafe {")) {
            let reason = lines[index.saturating_sub(6)..index].iter().any(|line| line.contains("SAFETY:"));
            assert!(reason, "{file}:{}: {line}", index + 1);
        }
    }
}

#[test]
fn a_library_is_known_to_one_place() {
    let mut found = Vec::new();
    for (library, places) in LIBRARIES {
        let words = [format!("{library}::"), format!("use {library};")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let own = |line: &String| {
            // `signal_hook_mio::` is not `mio::`.
            let text = line.split_once(": ").map_or("", |(_, text)| text);
            text.match_indices(library).any(|(at, _)| {
                let before = text[..at].chars().next_back().unwrap_or(' ');
                !before.is_alphanumeric()
                    && before != '_'
                    && text[at + library.len()..].starts_with([':', ';'])
            })
        };
        found.extend(lines_with("src", &words, places).into_iter().filter(own));
    }
    none("a library outside its place", found);
}

#[test]
fn no_async_runtime_and_no_openssl_is_in_the_tree() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is kept");
    for name in ["tokio", "async-std", "smol", "hyper", "openssl-sys", "native-tls", "aws-lc-sys"] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name} is in Cargo.lock");
    }
}

#[test]
fn the_top_level_is_what_it_is_meant_to_be() {
    let meant: BTreeSet<&str> =
        ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "src", "migrations", "packaging", "tests"]
            .into();
    for entry in std::fs::read_dir(root()).expect("the top").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let made = name == "target" || name.starts_with("pillarbox.db");
        assert!(made || name.starts_with('.') || meant.contains(name.as_str()), "{name} is at the top");
    }
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let mut names: Vec<String> = std::fs::read_dir(root().join("migrations"))
        .expect("migrations")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}-", index + 1)) && name.ends_with(".sql"), "{name}");
    }
}

// --- what is advertised ---

/// What a fresh connection to a service answers to these lines.
fn said(service: &str, lines: &[&str]) -> String {
    let mut world = World::calm(store::usual());
    let peer = world.connect(service);
    world.settle();
    for line in lines {
        world.send(peer, format!("{line}\r\n").as_bytes());
        world.settle();
    }
    String::from_utf8_lossy(&world.take(peer)).into_owned()
}

/// Rows of the RFC table in a protocol's `mod.rs`.
fn rows(room: &str) -> Vec<String> {
    let text =
        std::fs::read_to_string(root().join("src").join(room).join("mod.rs")).expect("the room has a door");
    text.lines()
        .filter_map(|line| line.strip_prefix("//! | ").map(str::to_owned))
        .filter(|r| r.contains("RFC"))
        .collect()
}

fn all_have_rows(room: &str, keywords: BTreeSet<String>) {
    let rows = rows(room);
    let missing = keywords.iter().filter(|keyword| !rows.iter().any(|row| row.contains(keyword.as_str())));
    none(&format!("advertised, but without a row in src/{room}/mod.rs"), missing.cloned().collect());
    assert!(keywords.len() > 5, "{keywords:?}");
}

#[test]
fn every_imap_capability_has_a_row() {
    let text = said("imap", &["a CAPABILITY", "b LOGIN alice@box.test secret", "c CAPABILITY"]);
    let lists = text.lines().filter_map(|line| line.strip_prefix("* CAPABILITY "));
    let names =
        lists.flat_map(str::split_whitespace).map(|name| name.split('=').next().unwrap_or(name).to_owned());
    // In a world without TLS these two are not said.
    all_have_rows("imap", names.chain(["STARTTLS".into(), "LOGINDISABLED".into()]).collect());
}

#[test]
fn every_smtp_keyword_has_a_row() {
    let mut keywords = BTreeSet::new();
    for service in ["smtp", "submission"] {
        let text = said(service, &["EHLO client.example.org"]);
        let offered = text.lines().filter(|line| line.starts_with("250")).skip(1);
        keywords.extend(offered.filter_map(|line| line[4..].split_whitespace().next()).map(str::to_owned));
    }
    all_have_rows("smtp", keywords);
}

#[test]
fn every_pop3_capability_has_a_row() {
    let text = said("pop3", &["CAPA", "USER alice@box.test", "PASS secret", "CAPA"]);
    let lines = text.lines().filter(|line| !line.starts_with(['+', '.']));
    let names = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    // In a world without TLS this is not said.
    all_have_rows("pop3", names.chain(["STLS".into()]).collect());
}

#[test]
fn every_row_is_cited_in_the_code() {
    for room in ["smtp", "imap", "pop3"] {
        let door = format!("src/{room}/mod.rs");
        let code: String =
            sources("src").into_iter().filter(|(name, _)| *name != door).map(|(_, text)| text).collect();
        for row in rows(room).iter().filter(|row| row.contains("done") || row.contains("partly")) {
            let numbers = row
                .split("RFC ")
                .skip(1)
                .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_owned());
            let cited = numbers.into_iter().any(|number| code.contains(&format!("RFC {number}")));
            assert!(cited, "src/{room}/mod.rs: nothing in the code cites: {row}");
        }
    }
}

#[test]
fn every_row_is_shown_by_a_transcript() {
    for room in ["smtp", "imap", "pop3"] {
        let done = rows(room).into_iter().filter(|row| row.contains("done") || row.contains("partly"));
        for row in done {
            let name = row.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default().to_owned();
            let file = root().join("tests/transcripts").join(room).join(format!("{name}.txt"));
            assert!(file.exists(), "src/{room}/mod.rs: there is no transcript `{name}`: {row}");
        }
    }
}
