//! Dates of header fields (RFC 5322 section 3.3 with the obsolete forms of 4.3), read liberally: comments anywhere,
//! no weekday, two-digit years, named zones, no seconds, no zone, and the order of C's `ctime`.

use crate::base::time::{Civil, MONTHS, days_from_civil};

/// Seconds since 1970 UTC, or `None` where no date can be made out.
pub fn parse(value: &[u8]) -> Option<i64> {
    let found = Found::of(value);
    Some(found.civil()?.unix() - found.zone.unwrap_or(0))
}

/// The day as it is written, disregarding time and zone, in days since 1970: what SEARCH SENTON compares.
pub fn day(value: &[u8]) -> Option<i64> {
    let civil = Found::of(value).civil()?;
    Some(days_from_civil(civil.year, civil.month, civil.day))
}

/// A date has eight words at most; what stands behind this many is not part of it.
const TOKENS_MAX: usize = 16;

#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<u8>,
    day: Option<u8>,
    time: Option<(u8, u8, u8)>,
    zone: Option<i64>,
}

impl Found {
    fn of(value: &[u8]) -> Found {
        let mut found = Found::default();
        for token in tokens(value).take(TOKENS_MAX) {
            found.take(token);
        }
        found
    }

    fn take(&mut self, token: &[u8]) {
        let Ok(text) = std::str::from_utf8(token) else { return };
        if self.time.is_none() && text.contains(':') {
            self.time = time(text);
        } else if let Some(month) = month(text).filter(|_| self.month.is_none()) {
            self.month = Some(month);
        } else if self.time.is_some() && self.zone.is_none() && zone(text).is_some() {
            self.zone = zone(text);
        } else if let Ok(number) = text.parse::<u16>() {
            self.number(text, number);
        }
    }

    // year = 4*DIGIT / obs-year; two digits are 1950-2049, three are counted from 1900           RFC 5322 section 4.3
    fn number(&mut self, text: &str, number: u16) {
        let year = i64::from(number);
        if self.day.is_none() && text.len() <= 2 {
            self.day = Some(number as u8);
        } else if self.year.is_none() {
            self.year = match text.len() {
                1 | 2 if year < 50 => Some(2000 + year),
                1..=3 => Some(1900 + year),
                _ => Some(year),
            };
        }
    }

    /// As written, without its zone.
    fn civil(&self) -> Option<Civil> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        let (hour, minute, second) = self.time.unwrap_or_default();
        if !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        Some(Civil { year, month, day, hour, minute, second, weekday: 0 })
    }
}

/// Words between white space, commas and dashes; comments left out.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut depth = 0_usize;
    let separates = move |byte: &u8| {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => {
                depth -= 1;
                return true;
            }
            _ => {}
        }
        depth > 0 || byte.is_ascii_whitespace() || *byte == b','
    };
    value.split(separates).filter(|token| !token.is_empty()).flat_map(dashes)
}

/// `23-Nov-2026` is three words; `-0500` is one.
fn dashes(token: &[u8]) -> impl Iterator<Item = &[u8]> {
    let splits = !token.starts_with(b"-");
    token.split(move |&byte| splits && byte == b'-').filter(|word| !word.is_empty())
}

fn time(text: &str) -> Option<(u8, u8, u8)> {
    let mut numbers = text.split(':').map(|word| word.split('.').next().unwrap_or("").parse::<u8>());
    let hour = numbers.next()?.ok()?;
    let minute = numbers.next()?.ok()?;
    let second = numbers.next().and_then(Result::ok).unwrap_or(0);
    Some((hour, minute, second))
}

fn month(text: &str) -> Option<u8> {
    let start = text.get(..3)?;
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    text.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(index as u8 + 1)
}

// zone = (FWS ( "+" / "-" ) 4DIGIT) / obs-zone                                               RFC 5322 section 4.3
fn zone(text: &str) -> Option<i64> {
    const HOUR: i64 = 3600;
    if let Some(digits) = text.strip_prefix(['+', '-']) {
        let number = digits.parse::<i64>().ok().filter(|_| digits.len() == 4)?;
        let seconds = number / 100 * HOUR + number % 100 * 60;
        return Some(if text.starts_with('-') { -seconds } else { seconds });
    }
    let hours = match text.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" | "MEZ" | "BST" => 1,
        "CEST" | "MESZ" => 2,
        _ if text.bytes().all(|byte| byte.is_ascii_alphabetic()) => 0,
        _ => return None,
    };
    Some(hours * HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_as_written() {
        assert_eq!(day(b"Mon, 23 Nov 2026 23:59:00 -0800"), Some(20_780));
        assert_eq!(day(b"23 Nov 2026 00:01 +1400"), Some(20_780));
        assert_eq!(day(b"no date"), None);
    }

    #[test]
    fn dates_in_every_dress() {
        let noon = Some(1_795_468_194);
        for (text, unix) in [
            ("Mon, 23 Nov 2026 21:09:54 +0000", noon),
            (" 23 Nov 2026 22:09:54 +0100 (CET)", noon),
            ("Mon (odd), 23 (day) Nov 26 16:09:54 EST", noon),
            ("Mon Nov 23 21:09:54 2026", noon),
            ("Monday, 23-Nov-26 21:09:54 GMT", noon),
            ("23 November 2026 21:09:54 Z", noon),
            ("23 Nov 2026 21:09:54", noon),
            ("23 Nov 2026 21:09:54.123 -0000", noon),
            ("23 Nov 126 21:09:54 UT", noon),
            ("1 Jan 70 00:00 GMT", Some(0)),
            ("1 Jan 1970", Some(0)),
            ("31 Dec 1999 23:59:60 +0000", Some(946_684_800)),
            ("", None),
            ("tomorrow", None),
            ("99 Nov 2026 10:00", None),
            ("23 Nov 2026 99:00", None),
        ] {
            assert_eq!(parse(text.as_bytes()), unix, "{text}");
        }
    }
}
