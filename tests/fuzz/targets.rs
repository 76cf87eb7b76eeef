//! The bodies of the fuzz targets as plain functions: `tests/it/fuzz.rs` runs them over a corpus and seeded mutations,
//! and the cargo-fuzz package beside this file wraps them. Each takes any bytes; a panic is a finding.

use std::ops::Range;

use pillarbox::dns;
use pillarbox::mime::{self, PartMap, Section, Summarizer, Summary};
use pillarbox::session::sasl;
use pillarbox::smtp::grammar;

pub mod imap;
pub mod pop3;
pub mod smtp;

/// All targets with their names and what a corpus for them looks like.
pub const TARGETS: &[(&str, Target, Corpus)] = &[
    ("mime", mime, Corpus::Messages),
    ("mime_text", mime_text, Corpus::Messages),
    ("mime_fields", mime_fields, Corpus::Messages),
    ("mime_structure", mime_structure, Corpus::Lines(STRUCTURES)),
    ("mime_parts", mime_parts, Corpus::Bytes),
    ("dns_packet", dns_packet, Corpus::Bytes),
    ("sasl", sasl, Corpus::Lines(SASL_LINES)),
    ("imap_command", imap::command, Corpus::Lines(imap::COMMANDS)),
    ("imap_names", imap::names, Corpus::Lines(imap::NAMES)),
    ("imap_session", imap::session, Corpus::Lines(imap::TALKS)),
    ("pop3_session", pop3::session, Corpus::Lines(pop3::TALKS)),
    ("pop3_stuff", pop3::stuff, Corpus::Messages),
    ("smtp_grammar", smtp_grammar, Corpus::Lines(SMTP_LINES)),
    ("smtp_exchanger", smtp::exchanger, Corpus::Lines(smtp::DIALOGS)),
    ("smtp_submission", smtp::submission, Corpus::Lines(smtp::DIALOGS)),
];

pub type Target = fn(&[u8]);

#[derive(Clone, Copy)]
pub enum Corpus {
    /// The messages of `tests/data`.
    Messages,
    /// These, each an input.
    Lines(&'static [&'static str]),
    /// Nothing but chance.
    Bytes,
}

const SMTP_LINES: &[&str] = &[
    "EHLO mx.example.org",
    "MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8 AUTH=<>",
    "MAIL FROM: <@r.test,@s.test:\"q \\\"\"@[192.0.2.1]> BODY=BINARYMIME",
    "RCPT TO:<Postmaster>",
    "RCPT TO:<user+tag@[IPv6:2001:db8::1]>",
    "BDAT 18446744073709551616 LAST",
    "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
];

const SASL_LINES: &[&str] = &["AGFsaWNlAHNlY3JldA==", "YWxpY2U=", "=", "*", "YQBiAGM="];

const STRUCTURES: &[&str] = &[
    r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)"#,
    r#"(("A" "B" NIL NIL NIL "X" 1 NIL ("D" ("E" "F")) NIL NIL)("TEXT" "C" NIL NIL NIL "X" 1 2 NIL) "MIXED" NIL)"#,
    r#"("MESSAGE" "RFC822" NIL NIL NIL "X" 9 (NIL "\"\\") ("TEXT" "X" NIL NIL NIL "X" 1 2 NIL) 4 NIL NIL)"#,
];

fn summarize(message: &[u8], cut: usize) -> Summary {
    let mut summarizer = Summarizer::new();
    message.chunks(cut).for_each(|piece| summarizer.feed(piece));
    summarizer.finish()
}

/// However a message is cut, its summary is the same; the wire forms are 7-bit and balanced; parts lie within it.
pub fn mime(data: &[u8]) {
    let whole = summarize(data, usize::MAX);
    let cut = 1 + data.len() % 7;
    assert_eq!(whole, summarize(data, cut), "cut by {cut}");
    well_formed(&whole.envelope);
    well_formed(&whole.structure);
    well_formed(&mime::structure::basic(&whole.structure));
    let map = PartMap::decode(&whole.parts);
    assert_eq!(map.root().content.end, data.len() as u64, "the message is as long as it is");
    let mut ends: Vec<u64> = Vec::new();
    for part in map.parts() {
        ends.truncate(usize::from(part.depth));
        let end = ends.last().copied().unwrap_or(data.len() as u64);
        inside(&part.header, end);
        inside(&part.content, end);
        ends.push(part.content.end);
    }
    for path in [&[][..], &[1], &[2], &[1, 1], &[2, 1], &[2, 1, 1]] {
        for section in [Section::Whole, Section::Header, Section::Text, Section::Mime] {
            map.section(path, section).inspect(|range| inside(range, data.len() as u64));
        }
    }
}

fn inside(range: &Range<u64>, end: u64) {
    assert!(range.start <= range.end && range.end <= end, "{range:?} within {end}");
}

/// One list or string of IMAP: printable ASCII, quotes and parentheses closed.
fn well_formed(stored: &[u8]) {
    assert!(std::str::from_utf8(stored).is_ok(), "{:?}", String::from_utf8_lossy(stored));
    let wire = &mime::wire::seven_bit(stored)[..];
    let (mut depth, mut quoted, mut escaped) = (0_i64, false, false);
    for (at, &byte) in wire.iter().enumerate() {
        assert!(matches!(byte, b' '..=b'~'), "{:?}", String::from_utf8_lossy(wire));
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            _ => {}
        }
        assert!(depth > 0 || at + 1 == wire.len(), "closed early: {:?}", String::from_utf8_lossy(wire));
    }
    assert!(depth == 0 && !quoted, "left open: {:?}", String::from_utf8_lossy(wire));
}

/// The text of a message is the same however its parts are cut.
pub fn mime_text(data: &[u8]) {
    let map = PartMap::decode(&summarize(data, usize::MAX).parts);
    let whole = mime::text::of_message(data, &map, mime::text::Scope::Body);
    assert_eq!(mime::text::fold(&mime::text::fold(&whole)), mime::text::fold(&whole));
    for part in map.parts().iter().filter(|part| part.is_text()) {
        let content = &data[part.content.start as usize..part.content.end as usize];
        let text = |cut: usize| {
            let mut extractor = mime::text::Extractor::new(part);
            let mut text = String::new();
            content.chunks(cut).for_each(|piece| extractor.feed(piece, &mut text));
            extractor.finish(&mut text);
            text
        };
        assert_eq!(text(usize::MAX), text(1 + data.len() % 5));
    }
}

/// Fields, and what is read of their values.
pub fn mime_fields(data: &[u8]) {
    let end = mime::header::section_end(data);
    let mut bytes = 0;
    for field in mime::header::fields(&data[..end]) {
        bytes += field.raw.len();
        for entry in mime::address::parse(field.value) {
            if let mime::address::Entry::Mailbox(mailbox) = entry {
                mailbox.display();
            }
        }
        mime::params::parse(field.value);
        mime::date::parse(field.value);
        let text = mime::words::decode(field.value);
        let encoded = mime::words::encode(&text);
        if encoded.starts_with("=?utf-8?") && !text.is_ascii() {
            assert_eq!(mime::words::decode(encoded.as_bytes()), text);
        }
        mime::thread::base_subject(&text);
        mime::thread::references(field.value, field.value);
    }
    assert!(bytes <= end);
}

/// BODY from anything.
pub fn mime_structure(data: &[u8]) {
    mime::structure::basic(data);
}

/// A part map from anything, and what was read goes there and back.
pub fn mime_parts(data: &[u8]) {
    let map = PartMap::decode(data);
    for number in 0..4 {
        map.section(&[number, 1], Section::Whole);
    }
    let again = PartMap::decode(&map.encode());
    assert_eq!(again.parts().len(), map.parts().len());
}

/// A packet that claims to answer each kind of question, as UDP or TCP brought it.
pub fn dns_packet(data: &[u8]) {
    use dns::{Kind, Query, packet};
    for kind in [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Txt, Kind::Ptr, Kind::Cname, Kind::Tlsa] {
        let query = Query { name: "box.test".into(), kind };
        packet::reply(4711, &query, data, true);
        // The same bytes as the answer section of what would be a good reply.
        let mut bytes = packet::question(4711, &query).expect("a domain name");
        let end = bytes.len() - 11;
        bytes.truncate(end);
        bytes[2] |= 0x80;
        (bytes[6], bytes[7], bytes[10], bytes[11]) = (0, data.first().copied().unwrap_or(0) & 3, 0, 0);
        bytes.extend_from_slice(data);
        packet::reply(4711, &query, &bytes, true);
    }
}

/// Every rule of the SMTP grammar on one line.
pub fn smtp_grammar(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (_, argument) = grammar::command(&text);
    let _ = (grammar::hello(argument), grammar::is_host(argument), grammar::mail(argument));
    let _ = (
        grammar::rcpt(argument),
        grammar::bdat(argument),
        grammar::auth(argument),
        grammar::nothing(argument),
    );
}

/// An AUTH exchange whose lines are those of the input.
pub fn sasl(data: &[u8]) {
    for mechanism in [sasl::Mechanism::Plain, sasl::Mechanism::Login] {
        let mut lines = data.split(|&byte| byte == b'\n');
        let mut step = sasl::start(mechanism, lines.next());
        while let sasl::Step::Challenge { exchange, .. } = step {
            let Some(line) = lines.next() else { break };
            step = exchange.line(line);
        }
    }
}
