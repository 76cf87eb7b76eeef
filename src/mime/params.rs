//! Fields of the form `value; name=value; …` (RFC 2045 section 5.1, RFC 2183), with the continuations and charsets of
//! RFC 2231. Lenient: unquoted values may hold spaces, quotes may be missing their end.

use crate::base::limits::{PARAM_BYTES_MAX, PARAMS_MAX};

use super::charset;
use super::transfer::hex;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structured {
    /// What stands before the first semicolon, without comments and white space.
    pub value: Vec<u8>,
    pub params: Vec<Param>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// In lower case, without the marks of RFC 2231.
    pub name: Vec<u8>,
    /// Quotes removed, continuations joined; decoded to UTF-8 where RFC 2231 named a charset, else as it stood.
    pub value: Vec<u8>,
}

impl Structured {
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        self.params.iter().find(|param| param.name == name.as_bytes()).map(|param| param.value.as_slice())
    }
}

/// One `name*N*=value` as it stands.
struct Piece {
    name: Vec<u8>,
    number: u32,
    extended: bool,
    value: Vec<u8>,
}

pub fn parse(field: &[u8]) -> Structured {
    let mut cursor = Cursor { rest: field };
    let value = cursor.until(b";");
    let mut pieces = Vec::new();
    while !cursor.rest.is_empty() && pieces.len() < PARAMS_MAX {
        cursor.skip(b';');
        let name = cursor.until(b";=");
        if cursor.skip(b'=') && !name.is_empty() {
            let value = cursor.until(b";");
            pieces.push(piece(name, value));
        }
    }
    Structured { value, params: join(pieces) }
}

// regular-parameter-name [section] ["*"]                                                       RFC 2231 section 7
fn piece(mut name: Vec<u8>, mut value: Vec<u8>) -> Piece {
    name.make_ascii_lowercase();
    value.truncate(PARAM_BYTES_MAX);
    let extended = name.last() == Some(&b'*');
    if extended {
        name.pop();
    }
    let mut number = 0;
    if let Some(star) = name.iter().rposition(|&byte| byte == b'*')
        && let Some(parsed) = std::str::from_utf8(&name[star + 1..]).ok().and_then(|text| text.parse().ok())
    {
        number = parsed;
        name.truncate(star);
    }
    Piece { name, number, extended, value }
}

fn join(mut pieces: Vec<Piece>) -> Vec<Param> {
    let mut params = Vec::new();
    while !pieces.is_empty() {
        let name = pieces[0].name.clone();
        let (mut same, others): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.name == name);
        pieces = others;
        // The extended form wins over a plain one that is there for old readers (RFC 6266 section 4.3 has the reason).
        if same.iter().any(|piece| piece.extended) {
            let extended_starts = same.iter().any(|piece| piece.extended && piece.number == 0);
            same.retain(|piece| piece.extended || piece.number > 0 || !extended_starts);
        }
        same.sort_by_key(|piece| piece.number);
        same.dedup_by_key(|piece| piece.number);
        params.push(Param { name, value: value(&same) });
    }
    params
}

/// The pieces of one parameter put together.
fn value(pieces: &[Piece]) -> Vec<u8> {
    let Some(first) = pieces.first().filter(|_| pieces.iter().any(|piece| piece.extended)) else {
        return bounded(pieces.iter().flat_map(|piece| piece.value.iter().copied()).collect());
    };
    let mut quotes = first.value.splitn(3, |&byte| byte == b'\'');
    let (charset, start) = match (first.extended, quotes.next(), quotes.next(), quotes.next()) {
        (true, Some(charset), Some(_), Some(text)) => (charset, text),
        _ => (&b""[..], first.value.as_slice()),
    };
    let mut bytes = if first.extended { percent(start) } else { start.to_vec() };
    for piece in &pieces[1..] {
        if piece.extended {
            bytes.extend(percent(&piece.value));
        } else {
            bytes.extend_from_slice(&piece.value);
        }
    }
    bounded(charset::decode(&String::from_utf8_lossy(charset), &bytes).into_bytes())
}

fn bounded(mut value: Vec<u8>) -> Vec<u8> {
    value.truncate(PARAM_BYTES_MAX);
    value
}

fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digits = (text.get(at + 1).copied().and_then(hex), text.get(at + 2).copied().and_then(hex));
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            out.push(high << 4 | low);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip(&mut self, byte: u8) -> bool {
        let there = self.rest.first() == Some(&byte);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    /// What stands before one of `stops`: quoted strings unquoted, comments and outer white space left out.
    fn until(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut blanks = 0;
        while let Some((&byte, rest)) = self.rest.split_first() {
            if stops.contains(&byte) {
                break;
            }
            self.rest = rest;
            match byte {
                b'"' => {
                    self.quoted(&mut out);
                    blanks = 0;
                }
                b'(' => self.comment(),
                b'\r' | b'\n' => {}
                b' ' | b'\t' if out.is_empty() => {}
                b' ' | b'\t' => {
                    out.push(b' ');
                    blanks += 1;
                }
                _ => {
                    out.push(byte);
                    blanks = 0;
                }
            }
        }
        out.truncate(out.len() - blanks);
        out
    }

    /// Behind the opening quote; up to the closing one or the end.
    fn quoted(&mut self, out: &mut Vec<u8>) {
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'"' => return,
                b'\r' | b'\n' => {}
                b'\\' => {
                    if let Some((&escaped, rest)) = self.rest.split_first() {
                        out.push(escaped);
                        self.rest = rest;
                    }
                }
                _ => out.push(byte),
            }
        }
    }

    /// Behind the opening parenthesis; comments nest (RFC 5322 section 3.2.2).
    fn comment(&mut self) {
        let mut depth = 1;
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'\\' => self.rest = self.rest.get(1..).unwrap_or_default(),
                b'(' => depth += 1,
                b')' if depth == 1 => return,
                b')' => depth -= 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str) -> String {
        let parsed = parse(field.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let params =
            parsed.params.iter().map(|param| format!("; {}={}", text(&param.name), text(&param.value)));
        text(&parsed.value) + &params.collect::<String>()
    }

    #[test]
    fn parameters_in_every_dress() {
        for (field, seen) in [
            (" text/plain", "text/plain"),
            ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
            ("text/plain (x); Charset = \"us-ascii\" (Plain)", "text/plain; charset=us-ascii"),
            ("a/b; name=\"q\\\"uo;te\"; x", "a/b; name=q\"uo;te"),
            ("a/b; name=two words.pdf ;y=1", "a/b; name=two words.pdf; y=1"),
            ("a/b; name=\"open", "a/b; name=open"),
            (";;;=;a=", "; a="),
            ("a; f*=utf-8'de'%e2%82%ac%20x", "a; f=€ x"),
            ("a; f*1*=%20b; f*0*=iso-8859-1''%E4; f*2=c", "a; f=ä bc"),
            ("a; f*0=one; f*1=\" two\"", "a; f=one two"),
            ("a; f=plain.txt; f*=utf-8''better.txt", "a; f=better.txt"),
            ("a; f*=noquotes%41", "a; f=noquotesA"),
            ("a; f*x=1", "a; f*x=1"),
        ] {
            assert_eq!(shown(field), seen, "{field}");
        }
    }
}
