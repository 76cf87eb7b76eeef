//! The grammar of RFC 9051 section 9 as functions over the bytes of one command. Literals lie in those bytes as they
//! came (`{5}` CR LF `hello`). Nothing here knows a session; a function that fails says why in one sentence.

use std::borrow::Cow;

use crate::base::time::days_from_civil;
use crate::base::{UidSet, Wall, limits};
use crate::store::{FlagNames, Flags};

use super::names::{self, Names};

/// The command is not understood: the sentence goes behind `BAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

pub type Parsed<T> = Result<T, Bad>;

/// One command, read from left to right.
#[derive(Clone)]
pub struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    names: Names,
    /// How deep we are in lists and nested search keys.
    depth: u32,
}

/// `sequence-set`: numbers are messages or uids, as the command says. Not yet resolved against a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// `$`: what the last SEARCH saved (RFC 9051 section 6.4.4.1).
    Saved,
    /// Pairs as they came: either end may be the larger one.
    Ranges(Vec<(Point, Point)>),
}

/// `seq-number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Number(u32),
    /// `*`.
    Last,
}

impl Set {
    /// The numbers of a set without `*` and `$`, as `known-uids` of RFC 7162 must be.
    pub fn plain(&self) -> Parsed<UidSet> {
        let Set::Ranges(ranges) = self else { return Err(Bad("$ is not allowed here")) };
        let mut numbers = Vec::with_capacity(ranges.len());
        for pair in ranges {
            let (Point::Number(a), Point::Number(b)) = pair else { return Err(Bad("* is not allowed here")) };
            numbers.push((*a.min(b), *a.max(b)));
        }
        Ok(union(numbers))
    }
}

/// The set of all numbers in these ranges. Sorted first: what a hostile client sends from large to small would cost a
/// shift of the whole set each.
pub fn union(mut ranges: Vec<(u32, u32)>) -> UidSet {
    ranges.sort_unstable();
    let mut set = UidSet::new();
    for (first, last) in ranges {
        set.insert_range(first, last);
    }
    set
}

impl<'a> Parser<'a> {
    pub fn new(bytes: &'a [u8], names: Names) -> Parser<'a> {
        Parser { bytes, at: 0, names, depth: 0 }
    }

    pub fn names(&self) -> Names {
        self.names
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// All that is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Nothing may follow.
    pub fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() { Ok(()) } else { Err(Bad("Something follows that does not belong here")) }
    }

    pub fn space(&mut self) -> Parsed<()> {
        self.byte(b' ').map_err(|_| Bad("A space is missing here"))
    }

    /// Exactly this byte.
    pub fn byte(&mut self, byte: u8) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { Err(Bad("Something is missing or misplaced")) }
    }

    /// Takes this byte if it comes next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes these bytes in any case if they come next, whatever follows them.
    pub fn eat_text(&mut self, text: &str) -> bool {
        let there =
            self.rest().get(..text.len()).is_some_and(|next| next.eq_ignore_ascii_case(text.as_bytes()));
        self.at += if there { text.len() } else { 0 };
        there
    }

    /// Takes this word in any case if it comes next and ends there.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let there = ahead.eat_text(word) && !ahead.peek().is_some_and(is_atom_char);
        if there {
            self.at = ahead.at;
        }
        there
    }

    /// What `rule` reads, or nothing, and then nothing is taken.
    pub fn maybe<T>(&mut self, rule: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Option<T> {
        let (at, depth) = (self.at, self.depth);
        let read = rule(self).ok();
        if read.is_none() {
            (self.at, self.depth) = (at, depth);
        }
        read
    }

    /// Guards a rule that contains itself.
    pub fn nested<T>(&mut self, rule: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= limits::IMAP_DEPTH_MAX {
            return Err(Bad("This is nested too deeply"));
        }
        self.depth += 1;
        let read = rule(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !fits(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// `atom`, as text: atoms are ASCII.
    pub fn atom(&mut self) -> Parsed<&'a str> {
        text(self.take_while(is_atom_char), "A word is missing here")
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">`
    pub fn tag(&mut self) -> Parsed<&'a str> {
        text(self.take_while(|byte| is_astring_char(byte) && byte != b'+'), "A tag is missing")
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.take_while(is_astring_char) {
                [] => Err(Bad("A word or string is missing here")),
                bytes => Ok(Cow::Borrowed(bytes)),
            },
        }
    }

    /// An astring that must be UTF-8 without NUL.
    pub fn astring_text(&mut self) -> Parsed<String> {
        utf8(self.astring()?)
    }

    /// `string = quoted / literal`
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Bad("A string is missing here")),
        }
    }

    /// `nstring = string / nil`
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.byte(b'"')?;
        let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\'));
        if self.eat(b'"') {
            return self.agreed(Cow::Borrowed(plain));
        }
        let mut bytes = plain.to_vec();
        while !self.eat(b'"') {
            self.eat(b'\\');
            let next = self.peek().ok_or(Bad("A quoted string does not end"))?;
            self.at += 1;
            bytes.push(next);
        }
        self.agreed(Cow::Owned(bytes))
    }

    /// A client that has enabled UTF-8 says nothing else in quotes (RFC 9755 section 3). Others may mean any charset.
    fn agreed(&self, quoted: Cow<'a, [u8]>) -> Parsed<Cow<'a, [u8]>> {
        match self.names {
            Names::Utf8 if std::str::from_utf8(&quoted).is_err() => Err(Bad("This string is not UTF-8")),
            _ => Ok(quoted),
        }
    }

    /// `literal = "{" number64 ["+"] "}" CRLF *CHAR8`
    pub fn literal(&mut self) -> Parsed<&'a [u8]> {
        let (size, _) = self.literal_head()?;
        let size = usize::try_from(size).map_err(|_| Bad("This literal is too long"))?;
        let bytes = self.rest().get(..size).ok_or(Bad("A literal is cut short"))?;
        self.at += size;
        Ok(bytes)
    }

    /// The size of a literal and whether the client waits for our go-ahead; its bytes come next.
    pub fn literal_head(&mut self) -> Parsed<(u64, bool)> {
        self.byte(b'{')?;
        let size = self.number64()?;
        let waits = !self.eat(b'+');
        self.byte(b'}')?;
        self.eat(b'\r');
        self.byte(b'\n')?;
        Ok((size, waits))
    }

    pub fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| Bad("This number is too large"))
    }

    pub fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(Bad("0 is not allowed here")),
            number => Ok(number),
        }
    }

    /// `number64`, `mod-sequence-value`: at most 63 bits.
    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = text(self.take_while(|byte| byte.is_ascii_digit()), "A number is missing here")?;
        digits.parse::<u64>().ok().filter(|&number| number < 1 << 63).ok_or(Bad("This number is too large"))
    }

    /// `sequence-set = (seq-number / seq-range) ["," sequence-set] / "$"`
    pub fn sequence_set(&mut self) -> Parsed<Set> {
        if self.eat(b'$') {
            return Ok(Set::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.seq_number()?;
            let last = if self.eat(b':') { self.seq_number()? } else { first };
            ranges.push((first, last));
            if !self.eat(b',') {
                return Ok(Set::Ranges(ranges));
            }
        }
    }

    /// `seq-number = nz-number / "*"`
    fn seq_number(&mut self) -> Parsed<Point> {
        if self.eat(b'*') {
            return Ok(Point::Last);
        }
        self.nz_number().map(Point::Number).map_err(|_| Bad("A set of messages is missing here"))
    }

    /// `"(" [item *(SP item)] ")"`
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Parser<'a>) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.byte(b'(').map_err(|_| Bad("A list is missing here"))?;
        let mut items = Vec::new();
        if self.eat(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(b')') {
                return Ok(items);
            }
            self.space()?;
        }
    }

    /// `mailbox = "INBOX" / astring`: the name in UTF-8, `INBOX` in capitals.
    pub fn mailbox(&mut self) -> Parsed<String> {
        let bytes = self.astring()?;
        names::decode(&bytes, self.names).ok_or(Bad("This is no mailbox name in the agreed encoding"))
    }

    /// `list-mailbox = 1*list-char / string`: a pattern in UTF-8.
    pub fn list_mailbox(&mut self) -> Parsed<String> {
        let bytes = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => match self.take_while(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*')) {
                [] => return Err(Bad("A pattern is missing here")),
                bytes => Cow::Borrowed(bytes),
            },
        };
        names::decode_pattern(&bytes, self.names).ok_or(Bad("This is no pattern in the agreed encoding"))
    }

    /// `flag-list = "(" [flag *(SP flag)] ")"`
    pub fn flag_list(&mut self) -> Parsed<FlagNames> {
        let mut flags = FlagNames::default();
        self.list(|p| p.flag(&mut flags))?;
        Ok(flags)
    }

    /// `flag-list / (flag *(SP flag))`, as STORE allows.
    pub fn store_flags(&mut self) -> Parsed<FlagNames> {
        if self.peek() == Some(b'(') {
            return self.flag_list();
        }
        let mut flags = FlagNames::default();
        self.flag(&mut flags)?;
        while self.eat(b' ') {
            self.flag(&mut flags)?;
        }
        Ok(flags)
    }

    /// `flag = "\Answered" / … / flag-keyword / flag-extension`. `\Recent` is only ours to set: it is read and dropped,
    /// because old clients copy it from FETCH into APPEND.
    fn flag(&mut self, flags: &mut FlagNames) -> Parsed<()> {
        let system = self.eat(b'\\');
        let name = self.atom().map_err(|_| Bad("A flag is missing here"))?;
        if !system {
            if name.len() > limits::KEYWORD_BYTES_MAX
                || flags.keywords.len() >= limits::KEYWORDS_PER_MESSAGE_MAX
            {
                return Err(Bad("There are too many keywords, or one is too long"));
            }
            if !flags.keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                flags.keywords.push(name.to_string());
            }
            return Ok(());
        }
        flags.system |= match system_flag(name) {
            Some(bit) => bit,
            None if name.eq_ignore_ascii_case("Recent") => 0,
            None => return Err(Bad("This system flag does not exist")),
        };
        Ok(())
    }

    /// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
    pub fn date_time(&mut self) -> Parsed<Wall> {
        self.byte(b'"')?;
        self.eat(b' ');
        let days = self.date_text()?;
        self.space()?;
        let mut seconds = 0;
        for (index, (unit, bound)) in [(3600, 24), (60, 60), (1, 61)].into_iter().enumerate() {
            if index > 0 {
                self.byte(b':')?;
            }
            seconds += i64::from(self.two_digits(bound)?) * unit;
        }
        self.space()?;
        let sign = if self.eat(b'-') { -1 } else { i64::from(self.eat(b'+')) };
        let zone = i64::from(self.two_digits(24)?) * 3600 + i64::from(self.two_digits(60)?) * 60;
        self.byte(b'"')?;
        match sign {
            0 => Err(Bad("The zone of this date has no sign")),
            _ => Ok(Wall::from_unix(days * 86_400 + seconds - sign * zone)),
        }
    }

    /// `date = date-text / DQUOTE date-text DQUOTE`, as days since 1970.
    pub fn date(&mut self) -> Parsed<i64> {
        if !self.eat(b'"') {
            return self.date_text();
        }
        let days = self.date_text()?;
        self.byte(b'"')?;
        Ok(days)
    }

    /// `date-text = date-day "-" date-month "-" date-year`, as days since 1970.
    fn date_text(&mut self) -> Parsed<i64> {
        const NO_DATE: Bad = Bad("This is no date like 23-Nov-2026");
        let day = self.take_while(|byte| byte.is_ascii_digit());
        self.byte(b'-').map_err(|_| NO_DATE)?;
        let month = self.take_while(|byte| byte.is_ascii_alphabetic());
        self.byte(b'-').map_err(|_| NO_DATE)?;
        let year = self.take_while(|byte| byte.is_ascii_digit());
        let month =
            MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(month)).ok_or(NO_DATE)?;
        let day = text(day, "")?.parse::<u8>().map_err(|_| NO_DATE)?;
        let year = text(year, "")?.parse::<i64>().map_err(|_| NO_DATE)?;
        if !(1..=31).contains(&day) || year > 9999 {
            return Err(NO_DATE);
        }
        Ok(days_from_civil(year, month as u8 + 1, day))
    }

    fn two_digits(&mut self, bound: u8) -> Parsed<u8> {
        const NO_TIME: Bad = Bad("This is no time like 21:09:54 +0000");
        let digits = self.rest().get(..2).ok_or(NO_TIME)?;
        let number =
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u8>().ok()).ok_or(NO_TIME)?;
        self.at += 2;
        if number < bound { Ok(number) } else { Err(NO_TIME) }
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The bit of a system flag named without its backslash.
pub fn system_flag(name: &str) -> Option<u8> {
    SYSTEM_FLAGS.iter().find(|(_, known)| known[1..].eq_ignore_ascii_case(name)).map(|(bit, _)| *bit)
}

/// System flags in the order in which we say them.
pub const SYSTEM_FLAGS: [(u8, &str); 5] = [
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::SEEN, "\\Seen"),
    (Flags::DRAFT, "\\Draft"),
];

/// `ATOM-CHAR`: any CHAR but `(`, `)`, `{`, SP, CTL, list-wildcards, quoted-specials, resp-specials.
pub fn is_atom_char(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`. Eight-bit bytes pass here: clients that enabled UTF-8 send bare names so.
pub fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']' || byte >= 0x80
}

fn text<'a>(bytes: &'a [u8], missing: &'static str) -> Parsed<&'a str> {
    match std::str::from_utf8(bytes) {
        Ok("") | Err(_) => Err(Bad(missing)),
        Ok(text) => Ok(text),
    }
}

fn utf8(bytes: Cow<'_, [u8]>) -> Parsed<String> {
    let text = String::from_utf8(bytes.into_owned()).map_err(|_| Bad("This text is not UTF-8"))?;
    if text.contains('\0') { Err(Bad("NUL is not allowed in a string")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser(text: &str) -> Parser<'_> {
        Parser::new(text.as_bytes(), Names::Utf7)
    }

    #[test]
    fn strings_come_in_three_forms() {
        for (text, expected) in [
            ("abc] d", Ok("abc]")),
            ("\"a \\\"b\\\\\" d", Ok("a \"b\\")),
            ("{3}\r\na\r\n", Ok("a\r\n")),
            ("{3+}\r\na\r\n", Ok("a\r\n")),
            ("\"\"", Ok("")),
            ("\"abc", Err(())),
            ("{9}\r\nabc", Err(())),
            ("(a)", Err(())),
        ] {
            let read = parser(text).astring_text().map_err(|_| ());
            assert_eq!(read.as_deref(), expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn sets_keep_their_order_until_resolved() {
        let set = parser("1,5:2,*:3").sequence_set();
        assert_eq!(
            set,
            Ok(Set::Ranges(vec![
                (Point::Number(1), Point::Number(1)),
                (Point::Number(5), Point::Number(2)),
                (Point::Last, Point::Number(3)),
            ]))
        );
        assert_eq!(parser("$").sequence_set(), Ok(Set::Saved));
        for wrong in ["0", "1:", ",1", "", "x", "4294967296"] {
            assert!(parser(wrong).sequence_set().is_err(), "{wrong}");
        }
        assert_eq!(
            parser("9:7,1").sequence_set().and_then(|set| set.plain()).map(|s| s.to_string()),
            Ok("1,7:9".into())
        );
    }

    #[test]
    fn dates_are_read_with_their_zone() {
        assert_eq!(parser("\"23-Nov-2026 21:09:54 +0000\"").date_time(), Ok(Wall::from_unix(1_795_468_194)));
        assert_eq!(parser("\" 1-Jan-1970 02:00:00 +0200\"").date_time(), Ok(Wall::from_unix(0)));
        assert_eq!(parser("2-jan-1970").date(), Ok(1));
        for wrong in
            ["\"23-Nov-2026 21:09:54 0000\"", "\"32-Nov-2026 21:09:54 +0000\"", "\"1-Foo-2026 1:1:1 +0000\""]
        {
            assert!(parser(wrong).date_time().is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_drop_recent_and_doubles() {
        let flags = parser("(\\Seen \\Recent $X-a.b $x-A.B \\deleted)").flag_list();
        let expected = FlagNames { system: Flags::SEEN | Flags::DELETED, keywords: vec!["$X-a.b".into()] };
        assert_eq!(flags, Ok(expected));
        assert!(parser("(\\Nonsense)").flag_list().is_err());
    }
}
