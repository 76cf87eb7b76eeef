//! Content-Transfer-Encoding (RFC 2045 section 6): streaming decoders with a few bytes of state. They take any
//! bytes: what does not belong to the encoding is left out (base64) or passed on (quoted-printable).

/// How a part's content is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, or none named: the content is what it is.
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
    /// A name that RFC 2045 does not know: FETCH BINARY must refuse it (RFC 9051 section 6.4.5.1).
    Unknown,
}

impl Encoding {
    pub fn named(name: &[u8]) -> Encoding {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if name.is_empty() || is("7bit") || is("8bit") || is("binary") || is("7-bit") || is("8-bit") {
            Encoding::Identity
        } else if is("base64") {
            Encoding::Base64
        } else if is("quoted-printable") {
            Encoding::QuotedPrintable
        } else {
            Encoding::Unknown
        }
    }
}

/// Decodes one part's content, however it is cut into pieces. Output never grows beyond input.
pub struct Decoder {
    state: State,
}

enum State {
    Identity,
    Base64 {
        bits: u32,
        count: u8,
    },
    /// `held` is what follows an `=` or may be trailing white space, not yet decided.
    Quoted {
        held: Held,
    },
}

enum Held {
    Nothing,
    Equals,
    Hex(u8),
    /// White space behind `=`: a soft line break that transport has padded.
    Padding,
    /// `=` CR: the LF is due.
    Return,
}

impl Decoder {
    pub fn new(encoding: Encoding) -> Decoder {
        let state = match encoding {
            Encoding::Identity | Encoding::Unknown => State::Identity,
            Encoding::Base64 => State::Base64 { bits: 0, count: 0 },
            Encoding::QuotedPrintable => State::Quoted { held: Held::Nothing },
        };
        Decoder { state }
    }

    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(bytes),
            State::Base64 { bits, count } => base64(bytes, bits, count, out),
            State::Quoted { held } => {
                for &byte in bytes {
                    quoted(byte, held, out);
                }
            }
        }
    }

    /// The last bytes that a cut-off encoding still gives.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.state {
            State::Identity => {}
            State::Base64 { bits, count } => base64_rest(bits, count, out),
            State::Quoted { held: Held::Equals } => out.push(b'='),
            State::Quoted { held: Held::Hex(first) } => out.extend_from_slice(&[b'=', first]),
            State::Quoted { .. } => {}
        }
    }
}

/// Everything at once.
pub fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut decoder = Decoder::new(encoding);
    decoder.feed(bytes, &mut out);
    decoder.finish(&mut out);
    out
}

const NOT: u8 = 0xff;
const PAD: u8 = 0xfe;

const VALUES: [u8; 256] = {
    let mut table = [NOT; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PAD;
    table
};

fn base64(bytes: &[u8], bits: &mut u32, count: &mut u8, out: &mut Vec<u8>) {
    for &byte in bytes {
        match VALUES[usize::from(byte)] {
            NOT => {}
            PAD => {
                base64_rest(*bits, *count, out);
                (*bits, *count) = (0, 0);
            }
            value => {
                *bits = *bits << 6 | u32::from(value);
                *count += 1;
                if *count == 4 {
                    out.extend_from_slice(&bits.to_be_bytes()[1..]);
                    (*bits, *count) = (0, 0);
                }
            }
        }
    }
}

fn base64_rest(bits: u32, count: u8, out: &mut Vec<u8>) {
    match count {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

fn quoted(byte: u8, held: &mut Held, out: &mut Vec<u8>) {
    match (std::mem::replace(held, Held::Nothing), byte) {
        (Held::Nothing, b'=') => *held = Held::Equals,
        (Held::Nothing, _) => out.push(byte),
        (Held::Equals, b'\n') | (Held::Padding, b'\n') | (Held::Return, b'\n') => {}
        (Held::Equals | Held::Padding, b'\r') => *held = Held::Return,
        (Held::Equals | Held::Padding, b' ' | b'\t') => *held = Held::Padding,
        (Held::Equals, _) if byte.is_ascii_hexdigit() => *held = Held::Hex(byte),
        (Held::Equals | Held::Padding, _) => {
            out.push(b'=');
            quoted(byte, held, out);
        }
        (Held::Return, _) => quoted(byte, held, out),
        (Held::Hex(first), _) => match (hex(first), hex(byte)) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => {
                out.extend_from_slice(&[b'=', first]);
                quoted(byte, held, out);
            }
        },
    }
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_forgive() {
        use Encoding::{Base64, Identity, QuotedPrintable};
        for (encoding, from, to) in [
            (Base64, &b"aGVs\r\nbG8="[..], &b"hello"[..]),
            (Base64, b"aGVsbG8", b"hello"),
            (Base64, b"aGVsbG8=aGVs\0!bG8=", b"hellohello"),
            (Base64, b"a", b""),
            (Identity, b"a=41", b"a=41"),
            (QuotedPrintable, b"a=41=\r\nb=3d=  \nc", b"aAb=c"),
            (QuotedPrintable, b"50=% =g1 =4", b"50=% =g1 =4"),
            (QuotedPrintable, b"end=", b"end="),
            (QuotedPrintable, b"a==41", b"a=A"),
        ] {
            assert_eq!(decode(encoding, from), to, "{from:?}");
            let mut out = Vec::new();
            let mut decoder = Decoder::new(encoding);
            from.iter().for_each(|&byte| decoder.feed(&[byte], &mut out));
            decoder.finish(&mut out);
            assert_eq!(out, to, "byte by byte {from:?}");
        }
    }
}
