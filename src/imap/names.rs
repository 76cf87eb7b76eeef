//! Mailbox names on the wire: modified UTF-7 for IMAP4rev1 (RFC 3501 section 5.1.3), UTF-8 once the client has enabled
//! IMAP4rev2 (RFC 9051 section 5.1) or UTF8=ACCEPT (RFC 9755 section 3), where `&` is a letter like any other. Inside they
//! are always UTF-8.

use data_encoding::BASE64_NOPAD;

/// How this client spells mailbox names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Utf7,
    Utf8,
}

/// A name as it came, in UTF-8; `INBOX` in capitals. `None` if it is not well-formed. A separator at the end is no part
/// of the name: CREATE may have one (RFC 9051 section 6.3.4), and Thunderbird sometimes adds one elsewhere too.
pub fn decode(bytes: &[u8], names: Names) -> Option<String> {
    let mut name = decode_pattern(bytes, names)?;
    if name.len() > 1 && name.ends_with('/') {
        name.pop();
    }
    Some(if name.eq_ignore_ascii_case("INBOX") { "INBOX".into() } else { name })
}

/// As `decode`, for patterns, where `inbox` stays as it is. Names with eight-bit bytes are taken as UTF-8 even from
/// an IMAP4rev1 client: no modified UTF-7 looks like that, and Android's clients send it.
pub fn decode_pattern(bytes: &[u8], names: Names) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains('\0') {
        return None;
    }
    if names == Names::Utf8 || !text.is_ascii() {
        return Some(text.to_string());
    }
    decode_utf7(text)
}

fn decode_utf7(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        let (encoded, after) = shifted.split_once('-')?;
        name.push_str(plain);
        rest = after;
        if encoded.is_empty() {
            name.push('&');
            continue;
        }
        let bytes = BASE64_NOPAD.decode(encoded.replace(',', "/").as_bytes()).ok()?;
        if encoded.contains('/') || bytes.len() % 2 != 0 {
            return None;
        }
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let decoded = String::from_utf16(&units).ok()?;
        if decoded.contains(|c: char| (' '..='~').contains(&c) || c == '\0') {
            return None;
        }
        name.push_str(&decoded);
    }
    name.push_str(rest);
    Some(name)
}

/// A name as this client expects it.
pub fn encode(name: &str, names: Names) -> std::borrow::Cow<'_, str> {
    let plain = |c: char| (' '..='~').contains(&c) && c != '&';
    if names == Names::Utf8 || name.chars().all(plain) {
        return name.into();
    }
    let mut wire = String::with_capacity(name.len() + 16);
    let mut rest = name;
    while !rest.is_empty() {
        let until = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        wire.push_str(&rest[..until]);
        rest = &rest[until..];
        if let Some(after) = rest.strip_prefix('&') {
            wire.push_str("&-");
            rest = after;
            continue;
        }
        let until = rest.find(|c: char| (' '..='~').contains(&c)).unwrap_or(rest.len());
        if until > 0 {
            let bytes: Vec<u8> = rest[..until].encode_utf16().flat_map(u16::to_be_bytes).collect();
            wire.push('&');
            wire.push_str(&BASE64_NOPAD.encode(&bytes).replace('/', ","));
            wire.push('-');
            rest = &rest[until..];
        }
    }
    wire.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (name, wire) in [
            ("Entwürfe", "Entw&APw-rfe"),
            ("A&B", "A&-B"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("😀 party", "&2D3eAA- party"),
            ("é&è", "&AOk-&-&AOg-"),
            ("plain", "plain"),
        ] {
            assert_eq!(encode(name, Names::Utf7), wire);
            assert_eq!(decode(wire.as_bytes(), Names::Utf7).as_deref(), Some(name));
            assert_eq!(encode(name, Names::Utf8), name);
            assert_eq!(decode(name.as_bytes(), Names::Utf8).as_deref(), Some(name));
        }
    }

    #[test]
    fn malformed_names_are_not_guessed_at() {
        for wire in ["a&b", "&AOk", "&AO-", "&2D0-", "&AGEAYg-", "&U/BT-", "&!!-"] {
            assert_eq!(decode(wire.as_bytes(), Names::Utf7), None, "{wire}");
        }
        assert_eq!(decode(b"a\xff", Names::Utf8), None);
        assert_eq!(decode("é & b".as_bytes(), Names::Utf7).as_deref(), Some("é & b"));
        assert_eq!(decode(b"inBox", Names::Utf7).as_deref(), Some("INBOX"));
    }
}
