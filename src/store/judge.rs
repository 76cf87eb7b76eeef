//! How one message is judged by a search.
//!
//! A judge looks at what is cheap first: keys are ordered by what they cost, and a message is read no further than is
//! needed. All texts that a program looks for are looked for in one pass over a body, slice by slice, so that neither the
//! number of keys nor the size of a message costs memory. Texts are compared as `mime::text::fold` leaves them.

use memchr::memmem;

use crate::base::limits;
use crate::mime::parts::{Kind, PartMap};
use crate::mime::{date, header, text, words};

use super::StoreError;
use super::search::{Key, Message, Program};

/// A program made ready to judge many messages.
pub struct Judge {
    root: Node,
    needles: Needles,
}

/// Texts to be found, folded. A node names one by its place here.
#[derive(Default)]
struct Needles {
    /// Name of the field, and text.
    header: Vec<(String, String)>,
    body: Vec<String>,
    text: Vec<String>,
}

enum Node {
    Plain(Key),
    Header(usize),
    Body(usize),
    Text(usize),
    Not(Box<Node>),
    Any(Vec<Node>),
    /// The cheap ones first.
    All(Vec<Node>),
}

impl Judge {
    pub fn new(program: &Program) -> Judge {
        let mut needles = Needles::default();
        let root = needles.all(&program.keys);
        Judge { root, needles }
    }

    /// Whether the message matches, and how many bytes of its body were read for that.
    pub fn judge(&self, message: &mut dyn Message) -> Result<(bool, u64), StoreError> {
        let mut trial =
            Trial { needles: &self.needles, message, read: 0, header: None, first: None, bodies: None };
        let holds = trial.holds(&self.root)?;
        Ok((holds, trial.read))
    }
}

impl Needles {
    fn node(&mut self, key: &Key) -> Node {
        let place = |list: &mut Vec<String>, text: &str| {
            list.push(text::fold(text));
            list.len() - 1
        };
        match key {
            Key::Header(name, text) => {
                self.header.push((name.clone(), text::fold(text)));
                Node::Header(self.header.len() - 1)
            }
            Key::Body(text) => Node::Body(place(&mut self.body, text)),
            Key::Text(text) => Node::Text(place(&mut self.text, text)),
            Key::Not(key) => Node::Not(Box::new(self.node(key))),
            Key::Or(..) => {
                let mut either = Vec::new();
                let mut rest = key;
                while let Key::Or(a, b) = rest {
                    either.push(self.node(a));
                    rest = b;
                }
                either.push(self.node(rest));
                either.sort_by_key(Node::cost);
                Node::Any(either)
            }
            Key::And(keys) => self.all(keys),
            plain => Node::Plain(plain.clone()),
        }
    }

    fn all(&mut self, keys: &[Key]) -> Node {
        let mut nodes: Vec<Node> = keys.iter().map(|key| self.node(key)).collect();
        nodes.sort_by_key(Node::cost);
        Node::All(nodes)
    }
}

impl Node {
    /// What judging it means: 0 the row, 1 the keywords, 2 the envelope, 3 the header, 4 the body.
    fn cost(&self) -> u8 {
        match self {
            Node::Plain(Key::Keyword(..)) => 1,
            Node::Plain(Key::Sent(..)) => 2,
            Node::Plain(_) => 0,
            Node::Header(_) => 3,
            Node::Body(_) | Node::Text(_) => 4,
            Node::Not(node) => node.cost(),
            Node::Any(nodes) | Node::All(nodes) => nodes.iter().map(Node::cost).max().unwrap_or(0),
        }
    }
}

/// One message before the judge, with what has been learned of it so far.
struct Trial<'a> {
    needles: &'a Needles,
    message: &'a mut dyn Message,
    read: u64,
    /// For each header needle, whether it is there.
    header: Option<Vec<bool>>,
    /// The first slice of the body.
    first: Option<Vec<u8>>,
    bodies: Option<Bodies>,
}

/// For each needle, whether it is there.
struct Bodies {
    body: Vec<bool>,
    text: Vec<bool>,
}

impl Trial<'_> {
    fn holds(&mut self, node: &Node) -> Result<bool, StoreError> {
        Ok(match node {
            Node::Plain(key) => self.plain(key)?,
            Node::Header(place) => self.headers()?.get(*place).copied().unwrap_or(false),
            Node::Body(place) => self.bodies()?.body.get(*place).copied().unwrap_or(false),
            Node::Text(place) => self.bodies()?.text.get(*place).copied().unwrap_or(false),
            Node::Not(node) => !self.holds(node)?,
            Node::Any(nodes) => {
                for node in nodes {
                    if self.holds(node)? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::All(nodes) => {
                for node in nodes {
                    if !self.holds(node)? {
                        return Ok(false);
                    }
                }
                true
            }
        })
    }

    fn plain(&mut self, key: &Key) -> Result<bool, StoreError> {
        let message = &mut *self.message;
        Ok(match key {
            Key::All => true,
            Key::Uids(uids) => uids.contains(message.uid().0),
            Key::Flag(bit, set) => message.flags().has(*bit) == *set,
            Key::Keyword(name, set) => {
                let none = message.flags().keywords.0 == 0;
                let has = !none && message.keywords()?.iter().any(|known| known.eq_ignore_ascii_case(name));
                has == *set
            }
            Key::Larger(size) => message.size() > *size,
            Key::Smaller(size) => message.size() < *size,
            Key::Received(from, to) => within(message.received(), *from, *to),
            Key::Saved(from, to) => within(message.saved(), *from, *to),
            Key::Sent(from, to) => {
                let day = date_of(&message.envelope()?).and_then(|value| date::day(&value));
                day.is_some_and(|day| within(day, *from, *to))
            }
            Key::ModSeq(least) => message.modseq() >= *least,
            // Made into nodes of their own.
            Key::Header(..) | Key::Body(_) | Key::Text(_) | Key::Not(_) | Key::Or(..) | Key::And(_) => false,
        })
    }

    fn first(&mut self) -> Result<&[u8], StoreError> {
        if self.first.is_none() {
            let slice = self.message.slice(0)?;
            self.read += slice.len() as u64;
            self.first = Some(slice);
        }
        Ok(self.first.as_deref().unwrap_or_default())
    }

    fn headers(&mut self) -> Result<&[bool], StoreError> {
        if self.header.is_none() {
            let needles = &self.needles.header;
            let mut found = vec![false; needles.len()];
            let first = self.first()?;
            let section = &first[..header::section_end(first)];
            for field in header::fields(section).take(limits::HEADER_FIELDS_MAX) {
                let mut value: Option<String> = None;
                for ((name, needle), found) in needles.iter().zip(&mut found) {
                    if *found || !field.is(name) {
                        continue;
                    }
                    let value = value.get_or_insert_with(|| text::fold(&words::decode(field.value)));
                    *found = needle.is_empty() || contains(value, needle);
                }
            }
            self.header = Some(found);
        }
        Ok(self.header.as_deref().unwrap_or_default())
    }

    fn bodies(&mut self) -> Result<&Bodies, StoreError> {
        let bodies = match self.bodies.take() {
            Some(bodies) => bodies,
            None => self.scan()?,
        };
        Ok(self.bodies.insert(bodies))
    }

    /// One pass over the message. BODY looks at text parts and the headers of messages inside; TEXT also at all other
    /// headers (RFC 9051 section 6.4.4).
    fn scan(&mut self) -> Result<Bodies, StoreError> {
        let map = PartMap::decode(&self.message.parts()?);
        let first = match self.first.take() {
            Some(first) => first,
            None => {
                self.read += limits::SLICE_BYTES as u64;
                self.message.slice(0)?
            }
        };
        let mut body = Finder::new(&self.needles.body);
        let mut text = Finder::new(&self.needles.text);
        let mut slices = Slices { message: &mut *self.message, at: 0, bytes: first, read: 0 };
        let mut inside_message = false;
        for part in map.parts() {
            if body.is_through() && text.is_through() {
                break;
            }
            let section = slices.some(part.header.start, part.header.end)?;
            let said = text::fold(&text::of_header(&section));
            text.feed(&said);
            if inside_message {
                body.feed(&said);
            }
            inside_message = part.kind == Kind::Message;
            if part.is_text() {
                let mut extractor = text::Extractor::new(part);
                let mut at = part.content.start;
                let mut said = String::new();
                while at < part.content.end && !(body.is_through() && text.is_through()) {
                    let bytes = slices.next(at, part.content.end)?;
                    if bytes.is_empty() {
                        break;
                    }
                    at += bytes.len() as u64;
                    said.clear();
                    extractor.feed(bytes, &mut said);
                    let folded = text::fold(&said);
                    body.feed(&folded);
                    text.feed(&folded);
                }
                said.clear();
                extractor.finish(&mut said);
                let folded = text::fold(&said);
                body.feed(&folded);
                text.feed(&folded);
            }
            // No text goes on across the border of a part.
            body.feed("\n");
            text.feed("\n");
        }
        self.read += slices.read;
        Ok(Bodies { body: body.found, text: text.found })
    }
}

fn within<T: PartialOrd>(value: T, from: Option<T>, to: Option<T>) -> bool {
    from.is_none_or(|from| value >= from) && to.is_none_or(|to| value < to)
}

fn contains(text: &str, needle: &str) -> bool {
    memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// The Date field out of an ENVELOPE, whose first element it is, as a quoted string.
fn date_of(envelope: &[u8]) -> Option<Vec<u8>> {
    let mut rest = envelope.strip_prefix(b"(\"")?.iter();
    let mut value = Vec::new();
    loop {
        match rest.next()? {
            b'"' => return Some(value),
            b'\\' => value.push(*rest.next()?),
            byte => value.push(*byte),
        }
    }
}

/// The body, one slice of it in memory.
struct Slices<'a> {
    message: &'a mut dyn Message,
    /// Where `bytes` begins.
    at: u64,
    bytes: Vec<u8>,
    read: u64,
}

impl Slices<'_> {
    /// The bytes from `at` on, as many as one slice gives, none at or behind `end`.
    fn next(&mut self, at: u64, end: u64) -> Result<&[u8], StoreError> {
        let slice = at / limits::SLICE_BYTES as u64 * limits::SLICE_BYTES as u64;
        if slice != self.at {
            self.bytes = self.message.slice(slice)?;
            self.at = slice;
            self.read += self.bytes.len() as u64;
        }
        let from = usize::try_from(at - slice).unwrap_or(usize::MAX).min(self.bytes.len());
        let to =
            usize::try_from(end.saturating_sub(slice)).unwrap_or(usize::MAX).clamp(from, self.bytes.len());
        Ok(&self.bytes[from..to])
    }

    /// The bytes of a header section, as many of them as are looked at.
    fn some(&mut self, start: u64, end: u64) -> Result<Vec<u8>, StoreError> {
        let end = end.min(start.saturating_add(limits::HEADER_BYTES_MAX as u64));
        let mut section = Vec::new();
        let mut at = start;
        while at < end {
            let bytes = self.next(at, end)?;
            if bytes.is_empty() {
                break;
            }
            section.extend_from_slice(bytes);
            at += bytes.len() as u64;
        }
        Ok(section)
    }
}

/// Looks for several needles in one folded text that comes in pieces.
struct Finder<'a> {
    needles: &'a [String],
    found: Vec<bool>,
    left: usize,
    /// The end of the text so far, in which the beginning of a needle may lie.
    held: String,
    longest: usize,
}

impl<'a> Finder<'a> {
    fn new(needles: &'a [String]) -> Finder<'a> {
        let found: Vec<bool> = needles.iter().map(String::is_empty).collect();
        let left = found.iter().filter(|found| !**found).count();
        let longest = needles.iter().map(String::len).max().unwrap_or(0);
        Finder { needles, found, left, held: String::new(), longest }
    }

    fn is_through(&self) -> bool {
        self.left == 0
    }

    fn feed(&mut self, folded: &str) {
        if self.left == 0 || folded.is_empty() {
            return;
        }
        self.held.push_str(folded);
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            if !*found && contains(&self.held, needle) {
                *found = true;
                self.left -= 1;
            }
        }
        let mut from = self.held.len().saturating_sub(self.longest);
        while !self.held.is_char_boundary(from) {
            from -= 1;
        }
        self.held.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Flags, KeywordSet};
    use super::*;
    use crate::base::{ModSeq, Uid, UidSet, Wall};
    use crate::mime::summary::Summarizer;

    /// A message at hand, which counts what is asked of it.
    struct Letter {
        body: Vec<u8>,
        envelope: Vec<u8>,
        parts: Vec<u8>,
        slices_read: u32,
    }

    impl Letter {
        fn new(body: &[u8]) -> Letter {
            let mut summarizer = Summarizer::new();
            summarizer.feed(body);
            let summary = summarizer.finish();
            Letter { body: body.to_vec(), envelope: summary.envelope, parts: summary.parts, slices_read: 0 }
        }
    }

    impl Message for Letter {
        fn uid(&self) -> Uid {
            Uid(5)
        }

        fn flags(&self) -> Flags {
            Flags { system: Flags::SEEN | Flags::DRAFT, keywords: KeywordSet(1) }
        }

        fn modseq(&self) -> ModSeq {
            ModSeq(9)
        }

        fn keywords(&mut self) -> Result<Arc<[String]>, StoreError> {
            Ok(Arc::new(["$Junk".to_string(), "Work".to_string()]))
        }

        fn size(&self) -> u64 {
            self.body.len() as u64
        }

        fn received(&self) -> Wall {
            Wall::from_unix(1_000)
        }

        fn saved(&self) -> Wall {
            Wall::from_unix(2_000)
        }

        fn envelope(&mut self) -> Result<Vec<u8>, StoreError> {
            Ok(self.envelope.clone())
        }

        fn parts(&mut self) -> Result<Vec<u8>, StoreError> {
            Ok(self.parts.clone())
        }

        fn slice(&mut self, at: u64) -> Result<Vec<u8>, StoreError> {
            assert_eq!(at % limits::SLICE_BYTES as u64, 0);
            self.slices_read += 1;
            let from = (at as usize).min(self.body.len());
            let to = (from + limits::SLICE_BYTES).min(self.body.len());
            Ok(self.body[from..to].to_vec())
        }
    }

    fn judge(keys: Vec<Key>, letter: &mut Letter) -> bool {
        Judge::new(&Program { keys }).judge(letter).expect("nothing fails").0
    }

    const LETTER: &str = "From: Alice <alice@example.org>\r\nTo: bob@box.test\r\n\
        Subject: =?utf-8?q?K=C3=A4se?=\r\n fair\r\nDate: Mon, 23 Nov 2026 23:59:00 -0800\r\nX-Empty:\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Gr=FC=DFe und Schlu=\r\nss\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>fet</b>t &amp; gut\r\n\
        --b\r\nContent-Type: image/png; name=hidden.png\r\n\r\nbinary\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner matter\r\n\r\ninside\r\n--b--\r\n";

    #[test]
    fn every_key_judges() {
        let text = |text: &str| text.to_string();
        let header = |name: &str, value: &str| Key::Header(name.into(), value.into());
        let wall = |seconds| Some(Wall::from_unix(seconds));
        let day = 20_780;
        for (key, holds) in [
            (Key::All, true),
            (Key::Uids(UidSet::range(5..=6)), true),
            (Key::Uids(UidSet::range(6..=7)), false),
            (Key::Flag(Flags::SEEN, true), true),
            (Key::Flag(Flags::SEEN, false), false),
            (Key::Flag(Flags::DELETED, false), true),
            (Key::Keyword(text("$JUNK"), true), true),
            (Key::Keyword(text("$Jun"), true), false),
            (Key::Keyword(text("work"), false), false),
            (Key::Keyword(text("other"), false), true),
            (Key::Larger(LETTER.len() as u64), false),
            (Key::Larger(LETTER.len() as u64 - 1), true),
            (Key::Smaller(LETTER.len() as u64), false),
            (Key::Smaller(LETTER.len() as u64 + 1), true),
            (Key::Received(wall(1_000), wall(1_001)), true),
            (Key::Received(wall(1_001), None), false),
            (Key::Received(None, wall(1_000)), false),
            (Key::Saved(wall(2_000), None), true),
            (Key::Saved(None, wall(2_000)), false),
            (Key::Sent(Some(day), Some(day + 1)), true),
            (Key::Sent(Some(day + 1), None), false),
            (Key::Sent(None, Some(day)), false),
            (header("From", "ALICE <alice@"), true),
            (header("to", "alice"), false),
            (header("subject", "käse FAIR"), true),
            (header("subject", "kase"), false),
            (header("x-empty", ""), true),
            (header("x-empty", "x"), false),
            (header("x-none", ""), false),
            (header("name", ""), false),
            (Key::Body(text("grüße und schluss")), true),
            (Key::Body(text("fett & gut")), true),
            (Key::Body(text("INNER MATTER")), true),
            (Key::Body(text("inside")), true),
            (Key::Body(text("alice")), false),
            (Key::Body(text("binary")), false),
            (Key::Body(text("hidden")), false),
            (Key::Body(text("schluss fett")), false),
            (Key::Text(text("alice")), true),
            (Key::Text(text("Käse fair")), true),
            (Key::Text(text("hidden")), true),
            (Key::Text(text("inside")), true),
            (Key::Text(text("nowhere")), false),
            (Key::Text(text("")), true),
            (Key::ModSeq(ModSeq(9)), true),
            (Key::ModSeq(ModSeq(10)), false),
            (Key::Not(Box::new(Key::All)), false),
            (Key::Or(Box::new(Key::Text(text("nowhere"))), Box::new(Key::All)), true),
            (Key::Or(Box::new(Key::Not(Box::new(Key::All))), Box::new(Key::Larger(1 << 40))), false),
            (Key::And(vec![Key::All, Key::Body(text("inside"))]), true),
            (Key::And(vec![Key::All, Key::Body(text("outside"))]), false),
        ] {
            assert_eq!(judge(vec![key.clone()], &mut Letter::new(LETTER.as_bytes())), holds, "{key:?}");
            let not = Key::Not(Box::new(key.clone()));
            assert_eq!(judge(vec![not], &mut Letter::new(LETTER.as_bytes())), !holds, "NOT {key:?}");
        }
    }

    #[test]
    fn a_message_without_a_date_was_sent_on_no_day() {
        let mut letter = Letter::new(b"Subject: x\r\n\r\ny");
        assert!(!judge(vec![Key::Sent(None, Some(1 << 40))], &mut letter));
        assert!(!judge(vec![Key::Sent(Some(0), None)], &mut letter));
    }

    #[test]
    fn nothing_is_read_that_is_not_needed() {
        let mut letter = Letter::new(LETTER.as_bytes());
        let text = Key::Text("nowhere".into());
        assert!(!judge(vec![text.clone(), Key::Flag(Flags::SEEN, false)], &mut letter));
        assert!(judge(vec![Key::Or(Box::new(text.clone()), Box::new(Key::All))], &mut letter));
        assert_eq!(letter.slices_read, 0);
        let many = vec![text.clone(), Key::Body("inside".into()), Key::Header("from".into(), "alice".into())];
        assert!(!judge(many, &mut letter));
        assert_eq!(letter.slices_read, 1);
    }

    #[test]
    fn needles_are_found_across_slices_and_encodings() {
        let mut body = b"Subject: big\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
        let head = body.len();
        let mut plain = vec![b'x'; 900_000];
        let needle = "Grüße über die Grenze".as_bytes();
        // Where the third slice begins in what is decoded.
        let border = (2 * limits::SLICE_BYTES - head) / 4 * 3;
        plain[border - 10..border - 10 + needle.len()].copy_from_slice(needle);
        data_encoding::BASE64.encode(&plain).bytes().for_each(|byte| body.push(byte));
        let mut letter = Letter::new(&body);
        assert!(judge(vec![Key::Body("GRÜSSE".into())], &mut Letter::new("\r\nGRÜSSE".as_bytes())));
        assert!(judge(vec![Key::Body("grüße ÜBER die grenze".into())], &mut letter));
        assert!(letter.slices_read >= 3 && letter.slices_read <= 5, "{}", letter.slices_read);
    }
}
