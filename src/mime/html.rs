//! HTML reduced to the text a person reads, as a stream: tags, comments, scripts and styles go, character references
//! are resolved, blocks become lines. Not a parser: it never fails, and what it gives is for search only.

/// Takes HTML in pieces of any size and gives text.
#[derive(Default)]
pub struct Reducer {
    state: State,
    /// Name of a tag or of a character reference so far, bounded by the longest that matters.
    name: String,
    closing: bool,
    /// Inside `<script>` or `<style>`, until its end tag.
    skipping: Option<&'static str>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind `&`.
    Reference,
    /// Behind `<`.
    TagStart,
    TagName,
    /// Among the attributes.
    Tag,
    /// Inside an attribute's value, between quotes of this kind.
    Quoted(char),
    /// Behind `<!`, with how many `-` of the opening.
    Bang(u8),
    /// With how many `-` just seen.
    Comment(u8),
}

const NAME_CHARS_MAX: usize = 10;
const SKIPPED: [&str; 2] = ["script", "style"];
/// Elements that do not end a word; all others do.
const INLINE: [&str; 22] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "dfn", "em", "font", "i", "ins", "kbd", "mark",
    "s", "small", "span", "strong", "sub", "sup", "u",
];

impl Reducer {
    pub fn feed(&mut self, html: &str, out: &mut String) {
        for c in html.chars() {
            self.take(c, out);
        }
    }

    pub fn finish(mut self, out: &mut String) {
        if self.state == State::Reference {
            self.end_reference(None, out);
        }
    }

    fn take(&mut self, c: char, out: &mut String) {
        match (self.state, c) {
            (State::Text, '<') => self.state = State::TagStart,
            (State::Text, '&') => self.begin(State::Reference),
            (State::Text, _) => self.say(c, out),
            (State::Reference, _) => self.reference(c, out),
            (State::TagStart, '!') => self.state = State::Bang(0),
            (State::TagStart, '/') => {
                self.begin(State::TagName);
                self.closing = true;
            }
            (State::TagStart, _) if c.is_ascii_alphabetic() => {
                self.begin(State::TagName);
                self.closing = false;
                self.name.push(c.to_ascii_lowercase());
            }
            (State::TagStart, '?') => self.begin(State::Tag),
            (State::TagStart, _) => {
                self.state = State::Text;
                self.say('<', out);
                self.take(c, out);
            }
            (State::TagName | State::Tag | State::Bang(_), '>') => self.end_tag(out),
            (State::TagName, _) if c.is_ascii_alphanumeric() => {
                if self.name.len() < NAME_CHARS_MAX {
                    self.name.push(c.to_ascii_lowercase());
                }
            }
            (State::TagName, _) => self.state = State::Tag,
            (State::Tag, '"' | '\'') if self.skipping.is_none() => self.state = State::Quoted(c),
            (State::Quoted(quote), _) if c == quote => self.state = State::Tag,
            (State::Bang(0), '-') => self.state = State::Bang(1),
            (State::Bang(1), '-') => self.state = State::Comment(0),
            (State::Bang(_), _) => self.begin(State::Tag),
            (State::Comment(2..), '>') => self.state = State::Text,
            (State::Comment(dashes), '-') => self.state = State::Comment((dashes + 1).min(2)),
            (State::Comment(_), _) => self.state = State::Comment(0),
            (State::Tag | State::Quoted(_), _) => {}
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.name.clear();
    }

    fn say(&self, c: char, out: &mut String) {
        if self.skipping.is_none() {
            out.push(c);
        }
    }

    fn end_tag(&mut self, out: &mut String) {
        self.state = State::Text;
        if let Some(skipped) = self.skipping {
            if self.closing && self.name == skipped {
                self.skipping = None;
            }
            return;
        }
        if !self.closing {
            self.skipping = SKIPPED.into_iter().find(|&skipped| skipped == self.name);
        }
        if INLINE.binary_search(&self.name.as_str()).is_err() {
            out.push('\n');
        }
    }

    fn reference(&mut self, c: char, out: &mut String) {
        if (c.is_ascii_alphanumeric() || (c == '#' && self.name.is_empty()))
            && self.name.len() < NAME_CHARS_MAX
        {
            self.name.push(c);
            return;
        }
        self.state = State::Text;
        self.end_reference(Some(c), out);
    }

    fn end_reference(&mut self, next: Option<char>, out: &mut String) {
        match resolve(&self.name) {
            Some(c) => self.say(c, out),
            None => {
                self.say('&', out);
                self.name.chars().for_each(|c| self.say(c, out));
                if next == Some(';') {
                    self.say(';', out);
                }
            }
        }
        if let Some(next) = next.filter(|&next| next != ';') {
            self.take(next, out);
        }
    }
}

fn resolve(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
        let code = hex.unwrap_or_else(|| number.parse()).ok()?;
        return char::from_u32(code).filter(|&c| c != '\0');
    }
    if let Some(at) = LATIN_1.split(' ').position(|latin| latin == name) {
        return char::from_u32(0xa0 + at as u32);
    }
    NAMED.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
}

/// U+00A0 to U+00FF in order (HTML 4.01 section 24.2).
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn \
    sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde \
    Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde \
    Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil \
    egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave \
    uacute ucirc uuml yacute thorn yuml";

const NAMED: [(&str, char); 24] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("euro", '€'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("bull", '•'),
    ("trade", '™'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("zwnj", '\u{200c}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>One</p><p>Two</p>", "\nOne\n\nTwo\n"),
            ("w<b>or</b>d", "word"),
            ("a<br>b<img alt='x>y'>c", "a\nb\nc"),
            ("K&auml;se &amp; Brot &#8364;&#x41; &bogus; &amp", "Käse & Brot €A &bogus; &"),
            ("&amp&lt", "&<"),
            ("1 < 2 <3", "1 < 2 <3"),
            (
                "<style>p { x }</style><script>if (a < b) \"'\" </script>x",
                "\n\n\n\nx".trim_start_matches('\n'),
            ),
            ("<!-- a > b -->x<!doctype html>y<?xml?>z", "x\ny\nz"),
            ("<title>T</title>", "\nT\n"),
            ("cut <a href=\"", "cut "),
        ] {
            let mut out = String::new();
            let mut reducer = Reducer::default();
            html.chars().for_each(|c| reducer.feed(&c.to_string(), &mut out));
            reducer.finish(&mut out);
            if html.starts_with("<style>") {
                assert_eq!(out.trim(), text, "{html}");
            } else {
                assert_eq!(out, text, "{html}");
            }
        }
        assert!(INLINE.is_sorted());
    }
}
