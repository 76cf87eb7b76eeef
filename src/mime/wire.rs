//! IMAP's strings (RFC 9051 section 4.3) as this server stores them: NIL or quoted, UTF-8 without control characters, never
//! a literal. A client that has not said that it takes UTF-8 is shown encoded words instead: `seven_bit`. (Files written
//! before that was so hold encoded words, which are good for both.)

use std::borrow::Cow;

use crate::base::text;

use super::{header, words};

/// Printable ASCII is quoted as it is; anything else is decoded as well as can be.
pub fn string(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return quoted(out, value);
    }
    out.push(b'"');
    for byte in decoded(value).bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A stored form for a client that takes only ASCII: strings that are not have their text in encoded words (RFC 2047).
pub fn seven_bit(stored: &[u8]) -> Cow<'_, [u8]> {
    if stored.is_ascii() {
        return Cow::Borrowed(stored);
    }
    let mut out = Vec::with_capacity(stored.len() * 2);
    let mut bytes = stored.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'"' {
            out.push(byte);
            continue;
        }
        let mut value = Vec::new();
        while let Some(&byte) = bytes.next().filter(|&&byte| byte != b'"') {
            value.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
        }
        quoted(&mut out, words::encode(&String::from_utf8_lossy(&value)).as_bytes());
    }
    Cow::Owned(out)
}

/// A field's value: unfolded, or NIL where the field is absent.
pub fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, &header::unfold(value)),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `string`, or NIL where it is empty.
pub fn string_or_nil(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() {
        out.extend_from_slice(b"NIL");
    } else {
        string(out, value);
    }
}

/// In capitals: types, encodings and parameter names, which clients compare without case but not all of them do.
pub fn upper(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    quoted(out, value);
    out[start..].make_ascii_uppercase();
}

/// Between quotes, with `"` and `\` escaped; bytes that may not stand there become `?`.
pub fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => out.push(b'?'),
        }
    }
    out.push(b'"');
}

pub fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(text::decimal(number, &mut [0; 20]));
}

/// As text without control characters: a tab is a space, any other is `?`. ISO-2022-JP is known by its escapes.
fn decoded(value: &[u8]) -> String {
    let label = if value.contains(&0x1b) { "iso-2022-jp" } else { "" };
    let clean = |c: char| match c {
        '\t' => ' ',
        _ if c.is_control() => '?',
        _ => c,
    };
    super::charset::decode(label, value).chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_and_shown_in_seven_bits_to_those_who_need_it() {
        for (value, seen) in [
            (&b"plain"[..], "\"plain\""),
            (b"say \"hi\\\"", "\"say \\\"hi\\\\\\\"\""),
            (b"", "\"\""),
            (b"a\tb\0c", "\"a b?c\""),
            ("Käse".as_bytes(), "\"=?utf-8?q?K=C3=A4se?=\""),
            (b"K\xe4se", "\"=?utf-8?q?K=C3=A4se?=\""),
            (b"\x1b$B$\"\x1b(B", "\"=?utf-8?b?44GC?=\""),
        ] {
            let mut out = Vec::new();
            string(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&seven_bit(&out)), seen);
            assert_eq!(String::from_utf8(out).map(|text| text.contains('=')), Ok(false), "stored as text");
        }
        let mut out = b"(NIL ".to_vec();
        string(&mut out, "K\"ä\\se".as_bytes());
        out.extend_from_slice(b" \"plain \\\" \")");
        assert_eq!(out, r#"(NIL "K\"ä\\se" "plain \" ")"#.as_bytes());
        let shown = String::from_utf8_lossy(&seven_bit(&out)).into_owned();
        assert_eq!(shown, r#"(NIL "=?utf-8?q?K=22=C3=A4=5Cse?=" "plain \" ")"#);
        let mut out = Vec::new();
        number(&mut out, 0);
        number(&mut out, u64::MAX);
        assert_eq!(out, format!("0{}", u64::MAX).into_bytes());
    }
}
