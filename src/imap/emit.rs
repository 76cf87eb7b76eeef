//! Pieces of responses in wire form (RFC 9051 section 9), written straight into the output. Nothing here decides what
//! to say.

use crate::base::text;
use crate::base::time::{Civil, MONTHS};
use crate::base::{ModSeq, Output, Uid, Wall};
use crate::mime::wire;
use crate::store::{Flags, Reader, StoreError};

use super::lex::{SYSTEM_FLAGS, is_atom_char};
use super::names::{self, Names};

/// A decimal number.
pub fn number(out: &mut Output, number: u64) {
    out.push(text::decimal(number, &mut [0; 20]));
}

/// `string`: quoted where that is possible, else a literal. Never changes a byte.
pub fn string(out: &mut Output, bytes: &[u8]) {
    let quotable = |&byte: &u8| (b' '..0x7f).contains(&byte);
    if bytes.len() > QUOTED_BYTES_MAX || !bytes.iter().all(quotable) {
        literal_head(out, bytes.len() as u64);
        out.push(bytes);
        return;
    }
    quoted(out, bytes);
}

/// Longer strings become literals: some clients keep short line buffers.
const QUOTED_BYTES_MAX: usize = 1_000;

/// `quoted`. The caller has seen to it that no CR, LF or NUL is in it.
pub fn quoted(out: &mut Output, bytes: &[u8]) {
    out.push(b"\"");
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        out.push(&rest[..at]);
        out.push(b"\\");
        out.push(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    out.push(rest);
    out.push(b"\"");
}

/// ENVELOPE or BODYSTRUCTURE as the store keeps it. Bare UTF-8 is only for a client that takes it (RFC 9755 section 3).
pub fn stored(out: &mut Output, stored: &[u8], names: Names) {
    match names {
        Names::Utf8 => out.push(stored),
        Names::Utf7 => out.push(&wire::seven_bit(stored)),
    }
}

/// `nstring`.
pub fn nstring(out: &mut Output, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => string(out, bytes),
        None => out.str("NIL"),
    }
}

/// `{size}` CR LF; the bytes must follow, exactly that many.
pub fn literal_head(out: &mut Output, size: u64) {
    out.push(b"{");
    number(out, size);
    out.push(b"}\r\n");
}

/// `astring`: bare where that is possible.
pub fn astring(out: &mut Output, bytes: &[u8]) {
    let bare = !bytes.is_empty()
        && bytes.iter().all(|&byte| is_atom_char(byte))
        && !bytes.eq_ignore_ascii_case(b"NIL");
    if bare { out.push(bytes) } else { string(out, bytes) }
}

/// A mailbox name as this client spells it; quoted UTF-8 after ENABLE UTF8=ACCEPT or IMAP4rev2.
pub fn mailbox(out: &mut Output, name: &str, names: Names) {
    let wire = names::encode(name, names);
    let bytes = wire.as_bytes();
    let control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
    if !bytes.is_ascii() && !bytes.iter().any(control) {
        return quoted(out, bytes);
    }
    astring(out, bytes);
}

/// `"(" [flag *(SP flag)] ")"`
pub fn flags(out: &mut Output, store: &Reader, flags: Flags) -> Result<(), StoreError> {
    out.push(b"(");
    let mut first = true;
    let mut word = |out: &mut Output, text: &str| {
        if !first {
            out.push(b" ");
        }
        first = false;
        out.str(text);
    };
    for (bit, name) in SYSTEM_FLAGS {
        if flags.has(bit) {
            word(out, name);
        }
    }
    if flags.keywords.0 != 0 {
        for name in store.keywords(flags.keywords)?.iter() {
            word(out, name);
        }
    }
    out.push(b")");
    Ok(())
}

/// `* n FETCH (UID u`: the UID comes first, as some clients want it. More items follow, each behind a space.
pub fn fetch_begin(out: &mut Output, seq: u32, uid: Uid) {
    out.push(b"* ");
    number(out, u64::from(seq));
    out.push(b" FETCH (UID ");
    number(out, u64::from(uid.0));
}

pub fn fetch_end(out: &mut Output) {
    out.push(b")\r\n");
}

/// ` MODSEQ (n)` inside a FETCH response (RFC 7162 section 3.1.4.2).
pub fn modseq(out: &mut Output, modseq: ModSeq) {
    out.push(b" MODSEQ (");
    number(out, modseq.0);
    out.push(b")");
}

/// `" 1-Jan-1970 00:00:00 +0000"`, always in UTC. By hand, because it is written once for each message of a FETCH.
pub fn date_time(out: &mut Output, at: Wall) {
    let c = Civil::from_unix(at.unix());
    let month = MONTHS.get(usize::from(c.month).wrapping_sub(1)).copied().unwrap_or("Jan");
    let year = c.year.clamp(0, 9999) as u32;
    let mut text = *b"\" 1-Jan-1970 00:00:00 +0000\"";
    two_digits(&mut text[1..3], u32::from(c.day));
    if c.day < 10 {
        text[1] = b' ';
    }
    text[4..7].copy_from_slice(month.as_bytes());
    two_digits(&mut text[8..10], year / 100);
    two_digits(&mut text[10..12], year % 100);
    two_digits(&mut text[13..15], u32::from(c.hour));
    two_digits(&mut text[16..18], u32::from(c.minute));
    two_digits(&mut text[19..21], u32::from(c.second));
    out.push(&text);
}

fn two_digits(into: &mut [u8], number: u32) {
    into.copy_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

/// `* n WORD`: EXISTS, RECENT, EXPUNGE.
pub fn count(out: &mut Output, count: u32, word: &str) {
    out.push(b"* ");
    number(out, u64::from(count));
    out.push(b" ");
    out.str(word);
    out.push(b"\r\n");
}

/// The `FLAGS` response and the `PERMANENTFLAGS` code of a mailbox with these keywords.
pub fn flag_lists(out: &mut Output, keywords: &[String], writable: bool) {
    let mut names = String::new();
    for (_, name) in SYSTEM_FLAGS {
        names.push_str(name);
        names.push(' ');
    }
    for keyword in keywords {
        names.push_str(keyword);
        names.push(' ');
    }
    let names = names.trim_end();
    out.str(&format!("* FLAGS ({names})\r\n"));
    match writable {
        true => out.str(&format!("* OK [PERMANENTFLAGS ({names} \\*)] These stay\r\n")),
        false => out.str("* OK [PERMANENTFLAGS ()] Nothing can be changed here\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Output)) -> String {
        let mut out = Output::new(1 << 20);
        write(&mut out);
        String::from_utf8_lossy(out.peek()).into_owned()
    }

    #[test]
    fn strings_are_quoted_where_they_can_be() {
        assert_eq!(written(|out| string(out, b"a \"b\\")), "\"a \\\"b\\\\\"");
        assert_eq!(written(|out| string(out, b"a\r\nb")), "{4}\r\na\r\nb");
        assert_eq!(written(|out| string(out, "é".as_bytes())), "{2}\r\né");
        assert_eq!(written(|out| astring(out, b"INBOX")), "INBOX");
        assert_eq!(written(|out| astring(out, b"nil")), "\"nil\"");
        assert_eq!(written(|out| astring(out, b"")), "\"\"");
        assert_eq!(written(|out| mailbox(out, "Entwürfe", Names::Utf7)), "Entw&APw-rfe");
        assert_eq!(written(|out| mailbox(out, "Entwürfe", Names::Utf8)), "\"Entwürfe\"");
    }

    #[test]
    fn numbers_and_dates_have_their_form() {
        assert_eq!(written(|out| number(out, 0)), "0");
        assert_eq!(written(|out| number(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| date_time(out, Wall::from_unix(0))), "\" 1-Jan-1970 00:00:00 +0000\"");
        let at = Wall::from_unix(1_795_468_194);
        assert_eq!(written(|out| date_time(out, at)), "\"23-Nov-2026 21:09:54 +0000\"");
    }
}
