//! Address lists (RFC 5322 section 3.4, with groups and the obsolete forms of section 4.4). Every field gives what can
//! be read of it; one pass, no recursion, at most `ADDRESSES_MAX` entries.

use crate::base::limits::ADDRESSES_MAX;

use super::words;

/// One element of an address list, in the order of the field; a group is its start, its members and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Mailbox(Mailbox),
    GroupStart(Vec<u8>),
    GroupEnd,
}

/// Unquoted, unfolded, comments removed; encoded words and raw 8-bit bytes still as they stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, or else the comment behind the address (`a@example.org (Name)`).
    pub name: Option<Vec<u8>>,
    /// Obsolete source route with its `@`s, without the colon.
    pub route: Option<Vec<u8>>,
    pub local: Vec<u8>,
    /// Empty where the field has none.
    pub domain: Vec<u8>,
}

impl Mailbox {
    /// What a person is shown: the decoded name, or else the address (RFC 5957 section 3).
    pub fn display(&self) -> String {
        match &self.name {
            Some(name) if !name.is_empty() => words::decode(name),
            _ => self.address(),
        }
    }

    /// `local@domain`, or only the local part where there is no domain.
    pub fn address(&self) -> String {
        let local = String::from_utf8_lossy(&self.local);
        if self.domain.is_empty() {
            return local.into_owned();
        }
        format!("{local}@{}", String::from_utf8_lossy(&self.domain))
    }
}

/// The entries of a field's value.
pub fn parse(value: &[u8]) -> Vec<Entry> {
    let mut parser = Parser { rest: value, ..Parser::default() };
    while parser.entries.len() < ADDRESSES_MAX && parser.step() {}
    parser.finish_mailbox();
    if parser.in_group {
        parser.entries.push(Entry::GroupEnd);
    }
    parser.entries
}

/// The mailboxes of a field's value, groups opened.
pub fn mailboxes(value: &[u8]) -> Vec<Mailbox> {
    let only = |entry| if let Entry::Mailbox(mailbox) = entry { Some(mailbox) } else { None };
    parse(value).into_iter().filter_map(only).collect()
}

#[derive(Default)]
struct Parser<'a> {
    rest: &'a [u8],
    entries: Vec<Entry>,
    in_group: bool,
    current: Current,
}

/// The mailbox being read.
#[derive(Default)]
struct Current {
    /// Words with single spaces between them: a display name, if `<` follows.
    phrase: Vec<u8>,
    space_due: bool,
    /// The same without white space: an address, if no `<` follows; between `<` and `>`, the address.
    spec: Vec<u8>,
    /// Where the last unquoted `@` stands in `spec`.
    at: Option<usize>,
    route: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    angle: Angle,
    seen: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Angle {
    #[default]
    None,
    Open,
    Closed,
}

impl Parser<'_> {
    /// Deals with one token; false at the end.
    fn step(&mut self) -> bool {
        let Some((&byte, rest)) = self.rest.split_first() else { return false };
        self.rest = rest;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.current.space_due = !self.current.phrase.is_empty(),
            b'(' => self.comment(),
            b'"' => self.quoted(),
            b'[' => self.literal(),
            b'<' => self.open_angle(),
            b'>' => self.close_angle(),
            b',' if self.in_route() => self.current.spec.push(byte),
            b',' => self.finish_mailbox(),
            b';' => self.finish_group(),
            b':' => self.colon(),
            _ => self.atom(byte),
        }
        true
    }

    fn in_route(&self) -> bool {
        self.current.angle == Angle::Open && self.current.spec.first() == Some(&b'@')
    }

    fn atom(&mut self, byte: u8) {
        let current = &mut self.current;
        current.seen = true;
        if current.angle == Angle::Closed {
            return;
        }
        if byte == b'@' {
            current.at = Some(current.spec.len());
        }
        current.spec.push(byte);
        current.say(&[byte]);
    }

    /// Behind the opening quote.
    fn quoted(&mut self) {
        let text = self.enclosed(b'"', None);
        let current = &mut self.current;
        current.seen = true;
        if current.angle != Angle::Closed {
            current.spec.extend_from_slice(&text);
            current.say(&text);
        }
    }

    /// `[192.0.2.1]`: kept with its brackets.
    fn literal(&mut self) {
        let text = self.enclosed(b']', None);
        for byte in [b"[", text.as_slice(), b"]"].concat() {
            if byte != b'@' {
                self.atom(byte);
            }
        }
    }

    fn comment(&mut self) {
        let text = self.enclosed(b')', Some(b'('));
        self.current.space_due = !self.current.phrase.is_empty();
        if !text.is_empty() {
            self.current.comment = Some(text);
        }
    }

    /// What stands before `close`, backslashes resolved, line breaks left out; `open` nests.
    fn enclosed(&mut self, close: u8, open: Option<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut depth = 1;
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            if byte == b'\\' {
                if let Some((&escaped, rest)) = self.rest.split_first() {
                    out.push(escaped);
                    self.rest = rest;
                }
                continue;
            }
            if Some(byte) == open {
                depth += 1;
            } else if byte == close {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            if !matches!(byte, b'\r' | b'\n') {
                out.push(byte);
            }
        }
        out
    }

    fn open_angle(&mut self) {
        if self.current.angle != Angle::None {
            self.finish_mailbox();
        }
        let current = &mut self.current;
        current.seen = true;
        current.angle = Angle::Open;
        current.spec.clear();
        current.at = None;
    }

    fn close_angle(&mut self) {
        if self.current.angle == Angle::Open {
            self.current.angle = Angle::Closed;
        }
    }

    /// Ends a route inside `<…>`, a group's name outside; anywhere else it is a character like others.
    fn colon(&mut self) {
        if self.in_route() {
            self.current.route = Some(std::mem::take(&mut self.current.spec));
            self.current.at = None;
        } else if self.current.angle == Angle::None && self.current.at.is_none() && !self.in_group {
            let current = std::mem::take(&mut self.current);
            self.entries.push(Entry::GroupStart(current.phrase));
            self.in_group = true;
        } else {
            self.atom(b':');
        }
    }

    /// Ends a group; outside of one it separates, as some senders write it.
    fn finish_group(&mut self) {
        self.finish_mailbox();
        if self.in_group {
            self.in_group = false;
            self.entries.push(Entry::GroupEnd);
        }
    }

    fn finish_mailbox(&mut self) {
        let current = std::mem::take(&mut self.current);
        if !current.seen {
            return;
        }
        let (local, domain) = match current.at {
            Some(at) => (current.spec[..at].to_vec(), current.spec[at + 1..].to_vec()),
            None => (current.spec, Vec::new()),
        };
        let phrase = Some(current.phrase).filter(|phrase| current.angle != Angle::None && !phrase.is_empty());
        let name = phrase.or(current.comment);
        if !(local.is_empty() && domain.is_empty() && name.is_none()) {
            self.entries.push(Entry::Mailbox(Mailbox { name, route: current.route, local, domain }));
        }
    }
}

impl Current {
    /// Adds to the display name; only what stands before `<` belongs to it.
    fn say(&mut self, text: &[u8]) {
        if self.angle != Angle::None {
            return;
        }
        if self.space_due {
            self.phrase.push(b' ');
            self.space_due = false;
        }
        self.phrase.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let one = |entry: &Entry| match entry {
            Entry::GroupStart(name) => format!("{{{}", text(name)),
            Entry::GroupEnd => "}".to_string(),
            Entry::Mailbox(mailbox) => {
                let name = mailbox.name.as_ref().map(|name| format!("{} ", text(name))).unwrap_or_default();
                let route =
                    mailbox.route.as_ref().map(|route| format!("{}:", text(route))).unwrap_or_default();
                format!("{name}<{route}{}|{}>", text(&mailbox.local), text(&mailbox.domain))
            }
        };
        parse(value.as_bytes()).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn addresses_in_every_dress() {
        for (value, seen) in [
            ("", ""),
            (" ann@example.org", "<ann|example.org>"),
            ("Ann Lee <ann@example.org>, bob@b.test", "Ann Lee <ann|example.org> <bob|b.test>"),
            ("\"Lee, Ann\" <ann@example.org>", "Lee, Ann <ann|example.org>"),
            ("\"q\\\"uote\"\r\n  more <a@b.test>", "q\"uote more <a|b.test>"),
            ("ann@example.org (Ann (the) Lee)", "Ann (the) Lee <ann|example.org>"),
            ("team: a@b.test, Bob <b@b.test>;, c@b.test", "{team <a|b.test> Bob <b|b.test> } <c|b.test>"),
            ("undisclosed-recipients:;", "{undisclosed-recipients }"),
            ("open: a@b.test", "{open <a|b.test> }"),
            ("<@r.test,@s.test:a@b.test>", "<@r.test,@s.test:a|b.test>"),
            ("john . doe @ example . org", "<john.doe|example.org>"),
            ("\"john doe\"@example.org", "<john doe|example.org>"),
            ("\"a@b\"@c.test", "<a@b|c.test>"),
            ("a@[192.0.2.1]", "<a|[192.0.2.1]>"),
            ("a@b.test; c@d.test", "<a|b.test> <c|d.test>"),
            ("<a@b.test> <c@d.test>", "<a|b.test> <c|d.test>"),
            ("a@b.test <c@d.test>", "a@b.test <c|d.test>"),
            ("root", "<root|>"),
            ("Nobody <>", "Nobody <|>"),
            ("<>, ,,", ""),
            ("John Q. Public <j@b.test", "John Q. Public <j|b.test>"),
            ("=?utf-8?q?K=C3=A4?= <k@b.test>", "=?utf-8?q?K=C3=A4?= <k|b.test>"),
        ] {
            assert_eq!(shown(value), seen, "{value}");
        }
    }

    #[test]
    fn a_hundred_thousand_addresses_stop_at_the_limit() {
        let many = "a@b.test, ".repeat(100_000);
        assert_eq!(parse(many.as_bytes()).len(), ADDRESSES_MAX);
        assert_eq!(parse("(".repeat(100_000).as_bytes()), []);
    }
}
