//! Whole messages: against what Python's email module sees in them, cut in every way, and in sizes meant to hurt.

use std::time::{Duration, Instant};

use pillarbox::base::limits::PARTS_MAX;
use pillarbox::mime::{PartMap, Section, Summarizer, Summary, text};

use crate::fuzz::{messages, mutant};
use crate::world::chance::Chance;

fn summarize(pieces: &[&[u8]]) -> Summary {
    let mut summarizer = Summarizer::new();
    pieces.iter().for_each(|piece| summarizer.feed(piece));
    summarizer.finish()
}

/// Messages that we read otherwise than Python, on purpose: a message that is base64 cannot be looked into in place,
/// a multipart without a boundary is text, and a multipart without a part gets an empty one.
const OTHERWISE: &[(&str, &str)] = &[
    ("encoded_message.eml", "0 multipart/mixed,1 application/octet-stream"),
    ("no_boundary.eml", "0 text/plain"),
    ("no_parts.eml", "0 multipart/mixed,1 text/plain"),
];

#[test]
fn parts_are_those_that_pythons_email_module_sees() {
    let expected = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/structures.txt"))
        .expect("structures.txt is there");
    for (name, message) in messages() {
        let map = PartMap::decode(&summarize(&[&message]).parts);
        let depth_and_type = |part: &pillarbox::mime::Part| {
            let media =
                if part.kind == pillarbox::mime::Kind::Message { "message/rfc822" } else { &part.media };
            format!("{} {media}", part.depth)
        };
        let seen = map.parts().iter().map(depth_and_type).collect::<Vec<_>>().join(",");
        let ours = OTHERWISE.iter().find(|entry| entry.0 == name).map(|entry| entry.1.to_string());
        let theirs = || {
            let prefix = format!("{name} ");
            expected.lines().filter_map(|line| line.strip_prefix(&prefix)).collect::<Vec<_>>().join(",")
        };
        assert_eq!(seen, ours.unwrap_or_else(theirs), "{name}");
    }
}

#[test]
fn cutting_a_message_changes_nothing() {
    let corpus: Vec<Vec<u8>> = messages().into_iter().map(|(_, message)| message).collect();
    for seed in 0..400 {
        let mut chance = Chance::new(seed);
        let message = mutant(&mut chance, &corpus);
        let mut pieces = Vec::new();
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(1 + chance.index(rest.len().min(64)));
            pieces.push(piece);
            rest = tail;
        }
        assert_eq!(summarize(&pieces), summarize(&[&message]), "seed {seed}");
    }
}

#[test]
fn sections_are_the_bytes_they_name() {
    let (_, message) = messages().into_iter().find(|(name, _)| name == "nested.eml").expect("nested.eml");
    let map = PartMap::decode(&summarize(&[&message]).parts);
    let bytes = |path: &[u32], section| {
        let range = map.section(path, section)?;
        Some(String::from_utf8_lossy(&message[range.start as usize..range.end as usize]).into_owned())
    };
    for (path, section, seen) in [
        (&[1, 1][..], Section::Whole, Some("<img src=\"cid:x@y\">")),
        (&[1, 2], Section::Whole, Some("iVBORw0KGgo=")),
        (
            &[2],
            Section::Mime,
            Some("Content-Type: message/rfc822\r\nContent-Description: the first one\r\n\r\n"),
        ),
        (&[2, 1], Section::Mime, Some("Content-Type: text/plain\r\n\r\n")),
        (&[2, 1], Section::Whole, Some("inside")),
        (&[2, 2], Section::Whole, Some("JVBERi0=")),
        (&[2, 3], Section::Whole, None),
        (&[1], Section::Header, None),
        (&[3], Section::Whole, None),
    ] {
        assert_eq!(bytes(path, section).as_deref(), seen, "{path:?} {section:?}");
    }
    assert!(
        bytes(&[2], Section::Header).is_some_and(|header| header.starts_with("From: eve@example.org\r\n"))
    );
    assert!(bytes(&[2], Section::Text).is_some_and(|text| text.starts_with("--inner\r\n")));
    let found = text::of_message(&message, &map, text::Scope::Message);
    assert!(found.contains("Fwd: all of it") && found.contains("inside") && !found.contains("img"));
}

/// Each would take minutes if any step were quadratic.
#[test]
fn messages_meant_to_hurt_take_no_time() {
    let boundary = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let nested: String = (0..10_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"))
        .collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("300,000 parts", (boundary.to_string() + &"--b\r\n\r\nx\r\n".repeat(300_000)).into_bytes()),
        ("10,000 levels", nested.into_bytes()),
        ("10,000 messages", "Content-Type: message/rfc822\r\n\r\n".repeat(10_000).into_bytes()),
        ("1,000,000 header lines", ("X: y\r\n".repeat(1_000_000) + "\r\n").into_bytes()),
        ("100,000 addresses", format!("To: {}\r\n\r\n", "a@b.test, ".repeat(100_000)).into_bytes()),
        ("100,000 To fields", ("To: a@b.test\r\n".repeat(100_000) + "\r\n").into_bytes()),
        ("a header of words", format!("Subject: {}\r\n\r\n", "=?utf-8?q?".repeat(25_000)).into_bytes()),
        ("a header of comments", format!("From: {}\r\n\r\n", "(".repeat(250_000)).into_bytes()),
        (
            "a header of parameters",
            format!("Content-Type: a/b{}\r\n\r\n", "; x*1*=%".repeat(30_000)).into_bytes(),
        ),
        ("a header of references", format!("References: {}\r\n\r\n", "<".repeat(250_000)).into_bytes()),
        ("a subject of blobs", format!("Subject: {}\r\n\r\n", "[a] ".repeat(60_000)).into_bytes()),
        ("a subject of brackets", format!("Subject: {}\r\n\r\n", "[fwd:".repeat(50_000)).into_bytes()),
        ("almost boundaries", (boundary.to_string() + &"--\r\n--bb\r\n-".repeat(500_000)).into_bytes()),
        ("one line", vec![b'-'; 10_000_000]),
    ];
    for (name, message) in cases {
        let start = Instant::now();
        let summary = summarize(&[&message]);
        let map = PartMap::decode(&summary.parts);
        assert!(map.parts().len() <= PARTS_MAX, "{name}");
        assert_eq!(map.root().content.end, message.len() as u64, "{name}");
        assert!(summary.envelope.len() + summary.structure.len() < 4 << 20, "{name}");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    }
}
