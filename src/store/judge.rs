//! How one message is judged by a search.
//!
//! A judge looks at what is cheap first: keys are ordered by what they cost, and a message is read no further than is
//! needed. All texts that a program looks for are looked for in one pass over a body, slice by slice, so that neither the
//! number of keys nor the size of a message costs memory. Texts are compared as `mime::text::fold` leaves them.

use crate::base::limits;
use crate::mime::{date, header, text, words};

use super::envelope;
use super::scan::{Scan, contains};
use super::search::{Key, Message, Program};
use super::{EnvelopeField, StoreError};

/// A program made ready to judge many messages.
pub struct Judge {
    root: Node,
    needles: Needles,
}

/// What one message has come to.
pub enum Judged {
    Holds(bool, u64),
    Paused(Box<Scan>, u64),
}

/// Why a judgement ends before its end.
enum Stop {
    Store(StoreError),
    Enough,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
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
    /// What ENVELOPE shows has this text, folded.
    Envelope(EnvelopeField, String),
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

    /// Whether the message matches, and what it has cost: bytes read, each as often as texts are looked for in it.
    pub fn judge(&self, message: &mut dyn Message) -> Result<(bool, u64), StoreError> {
        match self.judge_on(message, None, u64::MAX)? {
            Judged::Holds(holds, read) => Ok((holds, read)),
            Judged::Paused(..) => Err(StoreError::Broken("a search without a bound stopped".into())),
        }
    }

    /// The same for at most about `most` of it at a time. What is paused is taken up again by giving the scan back.
    pub fn judge_on(
        &self,
        message: &mut dyn Message,
        scan: Option<Scan>,
        most: u64,
    ) -> Result<Judged, StoreError> {
        let needles = &self.needles;
        let mut trial = Trial {
            needles,
            message,
            read: 0,
            most,
            envelope: None,
            header: None,
            first: None,
            scan,
            bodies: None,
        };
        let holds = trial.holds(&self.root);
        match (holds, trial.scan) {
            (Ok(holds), _) => Ok(Judged::Holds(holds, trial.read)),
            (Err(Stop::Enough), Some(scan)) => Ok(Judged::Paused(Box::new(scan), trial.read)),
            (Err(Stop::Enough), None) => Err(StoreError::Broken("a paused search got lost".into())),
            (Err(Stop::Store(error)), _) => Err(error),
        }
    }

    /// How many keys a message may be held against: what judging one costs at most, if nothing is read for it.
    pub fn keys(&self) -> usize {
        self.root.keys()
    }
}

impl Needles {
    fn node(&mut self, key: &Key) -> Node {
        let place = |list: &mut Vec<String>, text: &str| {
            list.push(text::fold(text));
            list.len() - 1
        };
        match key {
            Key::Header(name, text) => self.header(name, text),
            // That there is such a field is all that is asked.
            Key::Envelope(field, text) if text.is_empty() => self.header(field.name(), text),
            // What ENVELOPE shows is at hand; only where it does not have the text, the header is read.
            Key::Envelope(field, text) => {
                Node::Any(vec![Node::Envelope(*field, text::fold(text)), self.header(field.name(), text)])
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

    fn header(&mut self, name: &str, text: &str) -> Node {
        self.header.push((name.to_owned(), text::fold(text)));
        Node::Header(self.header.len() - 1)
    }

    fn all(&mut self, keys: &[Key]) -> Node {
        let mut nodes: Vec<Node> = keys.iter().map(|key| self.node(key)).collect();
        nodes.sort_by_key(Node::cost);
        Node::All(nodes)
    }
}

impl Node {
    /// Keywords have names to be compared; a key that reads counts by what it reads.
    fn keys(&self) -> usize {
        match self {
            Node::Plain(Key::Keyword(..)) => 8,
            Node::Plain(_) | Node::Envelope(..) | Node::Header(_) | Node::Body(_) | Node::Text(_) => 1,
            Node::Not(node) => node.keys(),
            Node::Any(nodes) | Node::All(nodes) => nodes.iter().map(Node::keys).sum(),
        }
    }

    /// What judging it means: 0 the row, 1 the keywords, 2 the envelope, 3 the header, 4 the body.
    fn cost(&self) -> u8 {
        match self {
            Node::Plain(Key::Keyword(..)) => 1,
            Node::Plain(Key::Sent(..)) | Node::Envelope(..) => 2,
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
    /// Of the body is read no more than this.
    most: u64,
    envelope: Option<Vec<u8>>,
    /// For each header needle, whether it is there.
    header: Option<Vec<bool>>,
    /// The first slice of the body.
    first: Option<Vec<u8>>,
    scan: Option<Scan>,
    bodies: Option<Bodies>,
}

/// For each needle, whether it is there.
struct Bodies {
    body: Vec<bool>,
    text: Vec<bool>,
}

impl Trial<'_> {
    fn holds(&mut self, node: &Node) -> Result<bool, Stop> {
        Ok(match node {
            Node::Plain(key) => self.plain(key)?,
            Node::Envelope(field, needle) => {
                contains(&text::fold(&envelope::shown(self.envelope()?, *field)), needle)
            }
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

    fn plain(&mut self, key: &Key) -> Result<bool, Stop> {
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
                let day = date_of(self.envelope()?).and_then(|value| date::day(&value));
                day.is_some_and(|day| within(day, *from, *to))
            }
            Key::Email(body) => message.body() == *body,
            Key::Thread(thread) => message.thread() == *thread,
            Key::ModSeq(least) => message.modseq() >= *least,
            // Made into nodes of their own.
            Key::Envelope(..) | Key::Header(..) | Key::Body(_) | Key::Text(_) => false,
            Key::Not(_) | Key::Or(..) | Key::And(_) => false,
        })
    }

    fn envelope(&mut self) -> Result<&[u8], Stop> {
        let envelope = match self.envelope.take() {
            Some(envelope) => envelope,
            None => self.message.envelope()?,
        };
        Ok(self.envelope.insert(envelope))
    }

    fn first(&mut self) -> Result<&[u8], Stop> {
        if self.first.is_none() {
            let slice = self.message.slice(0)?;
            self.read += slice.len() as u64;
            self.first = Some(slice);
        }
        Ok(self.first.as_deref().unwrap_or_default())
    }

    fn headers(&mut self) -> Result<&[bool], Stop> {
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

    fn bodies(&mut self) -> Result<&Bodies, Stop> {
        let bodies = match self.bodies.take() {
            Some(bodies) => bodies,
            None => self.scan()?,
        };
        Ok(self.bodies.insert(bodies))
    }

    /// BODY looks at text parts and the headers of messages inside; TEXT also at all other headers (RFC 9051 section
    /// 6.4.4). Stops in the middle when this message has cost enough for now.
    fn scan(&mut self) -> Result<Bodies, Stop> {
        let mut scan = match self.scan.take() {
            Some(scan) => scan,
            None => Scan::new(&self.message.parts()?, &self.needles.body, &self.needles.text),
        };
        let (first, most) = (self.first.take(), self.most.saturating_sub(self.read));
        let message = &mut *self.message;
        let (through, read) = scan.run(&mut |at| message.slice(at), first, most)?;
        self.read += read;
        if through {
            let (body, text) = scan.found();
            return Ok(Bodies { body, text });
        }
        self.scan = Some(scan);
        Err(Stop::Enough)
    }
}

fn within<T: PartialOrd>(value: T, from: Option<T>, to: Option<T>) -> bool {
    from.is_none_or(|from| value >= from) && to.is_none_or(|to| value < to)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Flags, KeywordSet};
    use super::*;
    use crate::base::{BodyId, ModSeq, ThreadId, Uid, UidSet, Wall};
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

        fn body(&self) -> BodyId {
            BodyId(7)
        }

        fn thread(&self) -> ThreadId {
            ThreadId(6)
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
            (Key::Email(BodyId(7)), true),
            (Key::Email(BodyId(6)), false),
            (Key::Thread(ThreadId(6)), true),
            (Key::Thread(ThreadId(7)), false),
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
    fn a_large_body_is_judged_in_parts_and_no_other_way_than_in_one() {
        let mut body = LETTER.replace("--b--\r\n", "").into_bytes();
        body.extend_from_slice(b"--b\r\nContent-Type: text/plain\r\n\r\n");
        body.extend(std::iter::repeat_n(&b"tell me more and more of it\r\n"[..], 100_000).flatten());
        body.extend_from_slice(b"the very end\r\n--b--\r\n");
        for (key, expected) in [("THE VERY END", true), ("inner matter", true), ("nowhere", false)] {
            let judge = Judge::new(&Program { keys: vec![Key::Body(key.into())] });
            let mut letter = Letter::new(&body);
            assert_eq!(judge.judge(&mut letter).expect("judged").0, expected, "{key}");
            let (mut scan, mut parts) = (None, 0);
            let holds = loop {
                let before = letter.slices_read;
                let judged = judge.judge_on(&mut letter, scan.take(), limits::SEARCH_BYTES_PER_SLICE);
                assert!(letter.slices_read - before <= 6, "each part is bounded");
                match judged.expect("judged") {
                    Judged::Holds(holds, _) => break holds,
                    Judged::Paused(paused, _) => scan = Some(*paused),
                }
                parts += 1;
            };
            assert_eq!(holds, expected, "{key}");
            assert!(parts >= 2 || key == "inner matter", "{parts}");
        }
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
