//! What a POP3 client may say, as pure functions over one line without its line end (RFC 2449 section 3). Nothing here
//! knows which messages there are or what state a conversation is in.
//!
//! Looser than the RFC where people are: a line may end in LF alone, and spaces may follow the last argument.

/// What is wrong with an argument: a sentence for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

// command = keyword *(SP param) CRLF      RFC 2449 section 3
/// Splits a line at its first space. The argument is as the client wrote it, since PASS takes spaces as part of the
/// password (RFC 1939 section 7).
pub fn command(line: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}

/// For commands that take nothing.
pub fn nothing(argument: &[u8]) -> Result<(), Bad> {
    match trimmed(argument) {
        [] => Ok(()),
        _ => Err(Bad("This command takes no argument")),
    }
}

/// The message-number of RETR and DELE.
pub fn message(argument: &[u8]) -> Result<u32, Bad> {
    number(trimmed(argument)).ok_or(Bad("This command needs the number of a message"))
}

/// The message-number of LIST and UIDL, which may be left out.
pub fn maybe_message(argument: &[u8]) -> Result<Option<u32>, Bad> {
    if trimmed(argument).is_empty() { Ok(None) } else { message(argument).map(Some) }
}

// TOP msg n      RFC 1939 section 7
/// A message-number and how many lines of the body. More lines than can be counted are all lines.
pub fn top(argument: &[u8]) -> Result<(u32, u64), Bad> {
    const FORM: Bad = Bad("TOP needs the number of a message and a number of lines");
    let (first, second) = command(trimmed(argument));
    let lines = trimmed(second);
    if lines.is_empty() || !lines.iter().all(u8::is_ascii_digit) {
        return Err(FORM);
    }
    let digits = std::str::from_utf8(lines).map_err(|_| FORM)?;
    Ok((number(first).ok_or(FORM)?, digits.parse().unwrap_or(u64::MAX)))
}

// auth-command = "AUTH" SP sasl-mech [SP initial-response]      RFC 5034 section 5
pub fn auth(argument: &[u8]) -> Result<(&[u8], Option<&[u8]>), Bad> {
    let (mechanism, rest) = command(trimmed(argument));
    match (mechanism, trimmed(rest)) {
        ([], _) => Err(Bad("AUTH needs a mechanism")),
        (mechanism, []) => Ok((mechanism, None)),
        (mechanism, initial) => Ok((mechanism, Some(initial))),
    }
}

/// What LANG asks for (RFC 6856 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Which ones there are.
    List,
    English,
    Other,
}

/// A basic language range (RFC 4647 section 3.3.1): `en` is the only tag that it can match here.
pub fn language(argument: &[u8]) -> Language {
    match trimmed(argument) {
        [] => Language::List,
        b"*" => Language::English,
        range if range.eq_ignore_ascii_case(b"en") => Language::English,
        _ => Language::Other,
    }
}

/// Decimal and not 0; a number too large to be one of ours is as good as any that is not there.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u32::MAX);
    (number > 0).then_some(number)
}

fn trimmed(argument: &[u8]) -> &[u8] {
    argument.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_what_they_must_be() {
        assert_eq!(command(b"PASS  two words "), (&b"PASS"[..], &b" two words "[..]));
        assert_eq!(command(b"STAT"), (&b"STAT"[..], &b""[..]));
        for (text, number) in [("1", Some(1)), (" 07 ", Some(7)), ("99999999999", Some(u32::MAX))] {
            assert_eq!(message(text.as_bytes()).ok(), number, "{text}");
        }
        for text in ["", "0", "-1", "+1", "1 2", "x", "1\0", "\u{661}"] {
            assert!(message(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!((maybe_message(b" "), maybe_message(b"3")), (Ok(None), Ok(Some(3))));
        assert!(nothing(b" ").is_ok() && nothing(b"x").is_err());
    }

    #[test]
    fn top_takes_two_numbers_of_which_the_second_may_be_0() {
        assert_eq!(top(b"1 0"), Ok((1, 0)));
        assert_eq!(top(b"2  10 "), Ok((2, 10)));
        assert_eq!(top(b"2 99999999999999999999999"), Ok((2, u64::MAX)));
        for text in ["", "1", "1 ", "0 1", "1 -1", "1 1 1", "a b"] {
            assert!(top(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn auth_and_lang_are_split() {
        assert_eq!(auth(b"PLAIN"), Ok((&b"PLAIN"[..], None)));
        assert_eq!(auth(b"plain ="), Ok((&b"plain"[..], Some(&b"="[..]))));
        assert!(auth(b" ").is_err());
        for (text, is) in [
            ("", Language::List),
            ("*", Language::English),
            ("EN", Language::English),
            ("en-US", Language::Other),
            ("de", Language::Other),
        ] {
            assert_eq!(language(text.as_bytes()), is, "{text}");
        }
    }
}
