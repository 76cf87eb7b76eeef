//! What SEARCH asks for (RFC 9051 section 6.4.4 and the grammar of its section 9, with RFC 3501, 4731 and 7162): parsed
//! into values, with every limit checked, before anything is read.

use crate::base::{BodyId, ModSeq, ThreadId, UidSet, Wall, limits};
use crate::mime::charset;
use crate::store::search::{Key, Program};
use crate::store::{EnvelopeField, Flags};

use super::command::By;
use super::lex::{Bad, Parsed, Parser, Set};
use super::object;
use super::returns::{self, Returns};

#[derive(Clone, Debug, PartialEq)]
pub struct SearchArgs {
    /// `None`: no RETURN was said.
    pub returns: Option<Returns>,
    pub terms: Vec<Term>,
    /// A MODSEQ key is among them: the answer tells the highest one (RFC 7162 section 3.1.5).
    pub modseq: bool,
    /// CHARSET was said, which must not be after ENABLE UTF8=ACCEPT (RFC 9755 section 3).
    pub charset_said: bool,
}

/// Why a search cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsearchable {
    Bad(Bad),
    /// `NO [BADCHARSET]`; the saved result is emptied if it was to be replaced (RFC 9051 section 6.4.4.1).
    Charset {
        save: bool,
    },
}

impl From<Bad> for Unsearchable {
    fn from(bad: Bad) -> Unsearchable {
        Unsearchable::Bad(bad)
    }
}

/// A search key whose sets of messages are not resolved yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    Key(Key),
    Set(Set, By),
    /// INTERNALDATE is at least, or at most, so many seconds ago (RFC 5032).
    Older(u32),
    Younger(u32),
    Not(Box<Term>),
    /// Never empty.
    Any(Vec<Term>),
    And(Vec<Term>),
}

impl SearchArgs {
    /// The program, with each set resolved by `resolve`, and intervals ending `now`.
    pub fn program<E>(
        &self,
        now: Wall,
        resolve: &mut dyn FnMut(&Set, By) -> Result<UidSet, E>,
    ) -> Result<Program, E> {
        Ok(Program { keys: resolved(&self.terms, now, resolve)? })
    }
}

fn resolved<E>(
    terms: &[Term],
    now: Wall,
    resolve: &mut dyn FnMut(&Set, By) -> Result<UidSet, E>,
) -> Result<Vec<Key>, E> {
    terms.iter().map(|term| key(term, now, resolve)).collect()
}

fn key<E>(term: &Term, now: Wall, resolve: &mut dyn FnMut(&Set, By) -> Result<UidSet, E>) -> Result<Key, E> {
    Ok(match term {
        Term::Key(key) => key.clone(),
        Term::Set(set, by) => Key::Uids(resolve(set, *by)?),
        // "to the resolution of a second", and each includes that second (RFC 5032 section 2).
        Term::Older(interval) => Key::Received(None, Some(ago(now, i64::from(*interval) - 1))),
        Term::Younger(interval) => Key::Received(Some(ago(now, i64::from(*interval))), None),
        Term::Not(term) => Key::Not(Box::new(key(term, now, resolve)?)),
        Term::Any(terms) => {
            let mut keys = resolved(terms, now, resolve)?.into_iter().rev();
            let last = keys.next().unwrap_or(Key::All);
            keys.fold(last, |rest, key| Key::Or(Box::new(key), Box::new(rest)))
        }
        Term::And(terms) => Key::And(resolved(terms, now, resolve)?),
    })
}

fn ago(now: Wall, seconds: i64) -> Wall {
    Wall::from_unix(now.unix().saturating_sub(seconds))
}

// search = "SEARCH" [search-return-opts] SP search-program                                      RFC 9051 section 9
// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
/// What follows the space behind `SEARCH`.
pub fn search(p: &mut Parser<'_>) -> Result<SearchArgs, Unsearchable> {
    let returns = returns::returns(p)?;
    let charset = if p.eat_word("CHARSET") {
        p.space()?;
        let label = p.astring_text()?;
        p.space()?;
        Some(label)
    } else {
        None
    };
    let charset_said = charset.is_some();
    Ok(SearchArgs { charset_said, ..criteria(p, returns, charset.unwrap_or_default())? })
}

// search-key *(SP search-key)
/// The keys, up to the end of the command. Without a charset texts are UTF-8.
pub fn criteria(
    p: &mut Parser<'_>,
    returns: Option<Returns>,
    charset: String,
) -> Result<SearchArgs, Unsearchable> {
    let mut grammar = Grammar { charset, keys: 0, modseq: false };
    let mut terms = vec![grammar.key(p)?];
    while p.eat(b' ') {
        terms.push(grammar.key(p)?);
    }
    p.end()?;
    if !grammar.charset.is_empty() && !charset::known(&grammar.charset) {
        return Err(Unsearchable::Charset { save: returns.is_some_and(|returns| returns.save) });
    }
    Ok(SearchArgs { returns, terms, modseq: grammar.modseq, charset_said: false })
}

/// What holds for all keys of one command.
struct Grammar {
    charset: String,
    keys: usize,
    modseq: bool,
}

const DAY: i64 = 86_400;

impl Grammar {
    fn key(&mut self, p: &mut Parser<'_>) -> Parsed<Term> {
        self.keys += 1;
        if self.keys > limits::SEARCH_KEYS_MAX {
            return Err(Bad("This search has too many keys"));
        }
        match p.peek() {
            Some(b'(') => {
                let terms = p.nested(|p| p.list(|p| self.key(p)))?;
                if terms.is_empty() {
                    Err(Bad("A list of search keys is empty"))
                } else {
                    Ok(Term::And(terms))
                }
            }
            Some(b'0'..=b'9' | b'*' | b'$') => Ok(Term::Set(p.sequence_set()?, By::Seq)),
            _ => self.named(p),
        }
    }

    fn named(&mut self, p: &mut Parser<'_>) -> Parsed<Term> {
        let word = p.atom().map_err(|_| Bad("A search key is missing here"))?.to_ascii_uppercase();
        if let Some(key) = plain(&word) {
            return Ok(Term::Key(key));
        }
        if !OPERANDS.contains(&word.as_str()) {
            return Err(Bad("This is no search key"));
        }
        p.space()?;
        match word.as_str() {
            "NOT" => Ok(Term::Not(Box::new(p.nested(|p| self.key(p))?))),
            "OR" => p.nested(|p| self.alternatives(p)),
            "UID" => Ok(Term::Set(p.sequence_set()?, By::Uid)),
            // search-key =/ ("OLDER" / "YOUNGER") SP nz-number                                   RFC 5032 section 3
            "OLDER" => Ok(Term::Older(p.nz_number()?)),
            "YOUNGER" => Ok(Term::Younger(p.nz_number()?)),
            _ => self.operand(&word, p).map(Term::Key),
        }
    }

    /// `OR a OR b OR c d` is one list: clients that look for many addresses nest no other way, and far.
    fn alternatives(&mut self, p: &mut Parser<'_>) -> Parsed<Term> {
        let mut terms = Vec::new();
        loop {
            terms.push(self.key(p)?);
            p.space()?;
            if !p.eat_word("OR") {
                terms.push(self.key(p)?);
                return Ok(Term::Any(terms));
            }
            p.space()?;
        }
    }

    /// Keys with one operand that is no key.
    fn operand(&mut self, word: &str, p: &mut Parser<'_>) -> Parsed<Key> {
        Ok(match word {
            "KEYWORD" => Key::Keyword(p.atom()?.to_string(), true),
            "UNKEYWORD" => Key::Keyword(p.atom()?.to_string(), false),
            "LARGER" => Key::Larger(p.number64()?),
            "SMALLER" => Key::Smaller(p.number64()?),
            "BEFORE" => Key::Received(None, Some(midnight(p.date()?))),
            "SINCE" => Key::Received(Some(midnight(p.date()?)), None),
            "ON" => {
                let day = p.date()?;
                Key::Received(Some(midnight(day)), Some(midnight(day + 1)))
            }
            // search-key =/ ("SAVEDBEFORE" / "SAVEDON" / "SAVEDSINCE") SP date                   RFC 8514 section 5
            "SAVEDBEFORE" => Key::Saved(None, Some(midnight(p.date()?))),
            "SAVEDSINCE" => Key::Saved(Some(midnight(p.date()?)), None),
            "SAVEDON" => {
                let day = p.date()?;
                Key::Saved(Some(midnight(day)), Some(midnight(day + 1)))
            }
            "SENTBEFORE" => Key::Sent(None, Some(p.date()?)),
            "SENTSINCE" => Key::Sent(Some(p.date()?), None),
            "SENTON" => {
                let day = p.date()?;
                Key::Sent(Some(day), Some(day + 1))
            }
            "HEADER" => {
                let name = p.astring_text()?;
                p.space()?;
                Key::Header(name, self.text(p)?)
            }
            "BODY" => Key::Body(self.text(p)?),
            "TEXT" => Key::Text(self.text(p)?),
            // search-key =/ "EMAILID" SP objectid / "THREADID" SP objectid                       RFC 8474 section 7
            "EMAILID" => of_object(object::number(p, 'M')?.map(|id| Key::Email(BodyId(id)))),
            "THREADID" => of_object(object::number(p, 'T')?.map(|id| Key::Thread(ThreadId(id)))),
            "MODSEQ" => {
                self.modseq = true;
                modseq(p)?
            }
            "FROM" => Key::Envelope(EnvelopeField::From, self.text(p)?),
            "TO" => Key::Envelope(EnvelopeField::To, self.text(p)?),
            "CC" => Key::Envelope(EnvelopeField::Cc, self.text(p)?),
            "BCC" => Key::Envelope(EnvelopeField::Bcc, self.text(p)?),
            _ => Key::Envelope(EnvelopeField::Subject, self.text(p)?),
        })
    }

    fn text(&self, p: &mut Parser<'_>) -> Parsed<String> {
        let bytes = p.astring()?;
        let charset = if self.charset.is_empty() { "utf-8" } else { &self.charset };
        Ok(charset::decode(charset, &bytes))
    }
}

/// Keys that something must follow.
const OPERANDS: [&str; 29] = [
    "NOT",
    "OR",
    "UID",
    "OLDER",
    "YOUNGER",
    "KEYWORD",
    "UNKEYWORD",
    "LARGER",
    "SMALLER",
    "BEFORE",
    "SINCE",
    "ON",
    "SAVEDBEFORE",
    "SAVEDSINCE",
    "SAVEDON",
    "SENTBEFORE",
    "SENTSINCE",
    "SENTON",
    "HEADER",
    "BODY",
    "TEXT",
    "MODSEQ",
    "EMAILID",
    "THREADID",
    "FROM",
    "TO",
    "CC",
    "BCC",
    "SUBJECT",
];

/// Keys that stand alone.
fn plain(word: &str) -> Option<Key> {
    Some(match word {
        "ALL" => Key::All,
        "ANSWERED" => Key::Flag(Flags::ANSWERED, true),
        "UNANSWERED" => Key::Flag(Flags::ANSWERED, false),
        "DELETED" => Key::Flag(Flags::DELETED, true),
        "UNDELETED" => Key::Flag(Flags::DELETED, false),
        "DRAFT" => Key::Flag(Flags::DRAFT, true),
        "UNDRAFT" => Key::Flag(Flags::DRAFT, false),
        "FLAGGED" => Key::Flag(Flags::FLAGGED, true),
        "UNFLAGGED" => Key::Flag(Flags::FLAGGED, false),
        "SEEN" => Key::Flag(Flags::SEEN, true),
        "UNSEEN" => Key::Flag(Flags::SEEN, false),
        // RFC 3501 section 6.4.4. No message is \Recent here, which RFC 9051 has dropped.
        "RECENT" | "NEW" => Key::Not(Box::new(Key::All)),
        "OLD" => Key::All,
        // RFC 8514 section 4.3: every mailbox here knows it.
        "SAVEDATESUPPORTED" => Key::All,
        _ => return None,
    })
}

/// No message has an identifier that is none of ours.
fn of_object(key: Option<Key>) -> Key {
    key.unwrap_or_else(|| Key::Not(Box::new(Key::All)))
}

/// Dates of arrival are ours, and we tell them in UTC.
fn midnight(day: i64) -> Wall {
    Wall::from_unix(day.saturating_mul(DAY))
}

// search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer        RFC 7162 section 7
/// All flags of a message share one modseq, so the entry must be well-formed and is then ignored (section 3.1.5).
fn modseq(p: &mut Parser<'_>) -> Parsed<Key> {
    if p.peek() == Some(b'"') {
        let entry = p.string()?;
        if !entry.to_ascii_lowercase().starts_with(b"/flags/") {
            return Err(Bad("The entry of MODSEQ must be \"/flags/NAME\""));
        }
        p.space()?;
        if !["priv", "shared", "all"].iter().any(|word| p.eat_word(word)) {
            return Err(Bad("The entry of MODSEQ needs priv, shared or all"));
        }
        p.space()?;
    }
    Ok(Key::ModSeq(ModSeq(p.number64()?)))
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    fn parse(text: &str) -> Result<SearchArgs, Unsearchable> {
        search(&mut Parser::new(text.as_bytes(), Names::Utf7))
    }

    fn keys(text: &str) -> Vec<Key> {
        let args = parse(text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        let program = args.program(NOW, &mut |set, by| {
            let base = if by == By::Uid { 100 } else { 0 };
            let set = if *set == Set::Saved { UidSet::range(7..=7) } else { set.plain()? };
            Ok::<UidSet, Bad>(set.iter().map(|number| number + base).collect())
        });
        program.expect("plain sets").keys
    }

    const DAY_OF_TEST: i64 = 20_780;
    /// Some way into a second.
    const NOW: Wall = Wall(1_000_000_500_000);

    #[test]
    fn every_key_is_understood_in_any_case() {
        let text = |text: &str| text.to_string();
        let wall = |day: i64| Some(Wall::from_unix(day * DAY));
        for (said, key) in [
            ("ALL", Key::All),
            ("old", Key::All),
            ("RECENT", Key::Not(Box::new(Key::All))),
            ("new", Key::Not(Box::new(Key::All))),
            ("ANSWERED", Key::Flag(Flags::ANSWERED, true)),
            ("UNANSWERED", Key::Flag(Flags::ANSWERED, false)),
            ("DELETED", Key::Flag(Flags::DELETED, true)),
            ("UNDELETED", Key::Flag(Flags::DELETED, false)),
            ("DRAFT", Key::Flag(Flags::DRAFT, true)),
            ("UNDRAFT", Key::Flag(Flags::DRAFT, false)),
            ("FLAGGED", Key::Flag(Flags::FLAGGED, true)),
            ("UNFLAGGED", Key::Flag(Flags::FLAGGED, false)),
            ("SEEN", Key::Flag(Flags::SEEN, true)),
            ("unseen", Key::Flag(Flags::SEEN, false)),
            ("KEYWORD $Junk", Key::Keyword(text("$Junk"), true)),
            ("UNKEYWORD $Junk", Key::Keyword(text("$Junk"), false)),
            ("LARGER 9223372036854775807", Key::Larger(i64::MAX as u64)),
            ("SMALLER 0", Key::Smaller(0)),
            ("BEFORE 23-Nov-2026", Key::Received(None, wall(DAY_OF_TEST))),
            ("ON \"23-nov-2026\"", Key::Received(wall(DAY_OF_TEST), wall(DAY_OF_TEST + 1))),
            ("SINCE 23-Nov-2026", Key::Received(wall(DAY_OF_TEST), None)),
            ("OLDER 10", Key::Received(None, Some(Wall::from_unix(999_991)))),
            ("younger 10", Key::Received(Some(Wall::from_unix(999_990)), None)),
            ("YOUNGER 4294967295", Key::Received(Some(Wall::from_unix(-4_293_967_295)), None)),
            ("SAVEDBEFORE 23-Nov-2026", Key::Saved(None, wall(DAY_OF_TEST))),
            ("savedon 23-Nov-2026", Key::Saved(wall(DAY_OF_TEST), wall(DAY_OF_TEST + 1))),
            ("SAVEDSINCE 23-Nov-2026", Key::Saved(wall(DAY_OF_TEST), None)),
            ("SaveDateSupported", Key::All),
            ("SENTBEFORE 23-Nov-2026", Key::Sent(None, Some(DAY_OF_TEST))),
            ("SENTON 23-Nov-2026", Key::Sent(Some(DAY_OF_TEST), Some(DAY_OF_TEST + 1))),
            ("SENTSINCE 23-Nov-2026", Key::Sent(Some(DAY_OF_TEST), None)),
            ("FROM smith", Key::Envelope(EnvelopeField::From, text("smith"))),
            ("TO \"a b\"", Key::Envelope(EnvelopeField::To, text("a b"))),
            ("CC {3}\r\nx\"y", Key::Envelope(EnvelopeField::Cc, text("x\"y"))),
            ("BCC x", Key::Envelope(EnvelopeField::Bcc, text("x"))),
            ("SUBJECT x", Key::Envelope(EnvelopeField::Subject, text("x"))),
            ("HEADER X-Spam \"\"", Key::Header(text("X-Spam"), text(""))),
            ("BODY отпуск", Key::Body(text("отпуск"))),
            ("TEXT x", Key::Text(text("x"))),
            ("MODSEQ 0", Key::ModSeq(ModSeq(0))),
            ("MODSEQ \"/flags/\\\\draft\" all 620162338", Key::ModSeq(ModSeq(620_162_338))),
            ("modseq \"/Flags/x\" Priv 5", Key::ModSeq(ModSeq(5))),
            ("3,1:2", Key::Uids(UidSet::range(1..=3))),
            ("UID 3,1:2", Key::Uids(UidSet::range(101..=103))),
            ("$", Key::Uids(UidSet::range(107..=107).iter().map(|number| number - 100).collect())),
            ("NOT SEEN", Key::Not(Box::new(Key::Flag(Flags::SEEN, true)))),
            (
                "OR ALL NOT SEEN",
                Key::Or(Box::new(Key::All), Box::new(Key::Not(Box::new(Key::Flag(Flags::SEEN, true))))),
            ),
            (
                "OR ALL OR SEEN SEEN",
                Key::Or(
                    Box::new(Key::All),
                    Box::new(Key::Or(
                        Box::new(Key::Flag(Flags::SEEN, true)),
                        Box::new(Key::Flag(Flags::SEEN, true)),
                    )),
                ),
            ),
            ("(ALL LARGER 5)", Key::And(vec![Key::All, Key::Larger(5)])),
        ] {
            assert_eq!(keys(said), [key], "{said}");
        }
        assert_eq!(keys("ALL ALL").len(), 2);
    }

    #[test]
    fn object_identifiers_are_ours_or_match_nothing() {
        let nothing = Key::Not(Box::new(Key::All));
        for (said, key) in [
            ("EMAILID M17", Key::Email(BodyId(17))),
            ("threadid T5", Key::Thread(ThreadId(5))),
            ("THREADID t5", nothing.clone()),
            ("EMAILID M017", nothing.clone()),
            ("EMAILID T17", nothing.clone()),
            ("EMAILID M99999999999999999999", nothing.clone()),
        ] {
            assert_eq!(keys(said), [key], "{said}");
        }
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for text in [
            "",
            " ",
            "ALL ",
            "NONSENSE",
            "NOT",
            "NOT ",
            "OR ALL",
            "OR ALL ",
            "()",
            "(ALL",
            "( ALL)",
            "ALL)",
            "KEYWORD",
            "KEYWORD \\Seen",
            "LARGER",
            "LARGER x",
            "LARGER 9223372036854775808",
            "ON 2026-11-23",
            "SAVEDON",
            "SAVEDSINCE 2026-11-23",
            "SAVEDBEFORE 32-Nov-2026",
            "ON 32-Nov-2026",
            "FROM",
            "HEADER a",
            "UID",
            "UID x",
            "OLDER",
            "OLDER 0",
            "YOUNGER -1",
            "YOUNGER 4294967296",
            "0",
            "1:",
            "EMAILID",
            "EMAILID M=1",
            "THREADID \"T1\"",
            "MODSEQ",
            "MODSEQ \"/flags/x\" 5",
            "MODSEQ \"x\" all 5",
            "RETURN",
            "RETURN ALL",
            "RETURN (NONSENSE) ALL",
            "RETURN (MIN MAX)",
            "CHARSET",
            "CHARSET UTF-8",
            "CHARSET UTF-8 ",
            "BODY \"x",
        ] {
            assert!(matches!(parse(text), Err(Unsearchable::Bad(_))), "{text}");
        }
    }

    #[test]
    fn charsets_are_decoded_or_refused() {
        let koi8 = b"CHARSET KOI8-R TEXT {6}\r\n\xcf\xd4\xd0\xd5\xd3\xcb";
        let args = search(&mut Parser::new(koi8, Names::Utf7)).expect("is known");
        assert_eq!(args.terms, [Term::Key(Key::Text("отпуск".into()))]);
        assert_eq!(parse("CHARSET X-NONE ALL"), Err(Unsearchable::Charset { save: false }));
        assert_eq!(parse("RETURN (SAVE) CHARSET X-NONE ALL"), Err(Unsearchable::Charset { save: true }));
        assert!(parse("CHARSET \"us-ascii\" TEXT x").is_ok());
    }

    #[test]
    fn return_options_come_before_the_charset() {
        let args = parse("RETURN (MIN SAVE) CHARSET UTF-8 ALL").expect("is one");
        assert_eq!(args.returns, Some(Returns { min: true, save: true, ..Returns::default() }));
        assert!(parse("OR ALL (NOT MODSEQ 5)").expect("is one").modseq);
    }

    #[test]
    fn numbers_and_depths_are_bounded() {
        let many = vec!["ALL"; limits::SEARCH_KEYS_MAX].join(" ");
        assert!(parse(&many).is_ok());
        assert!(parse(&format!("{many} ALL")).is_err());
        let depth = limits::IMAP_DEPTH_MAX as usize;
        assert!(parse(&format!("{}ALL", "NOT ".repeat(depth))).is_ok());
        assert!(parse(&format!("{}ALL", "NOT ".repeat(depth + 1))).is_err());
        assert!(parse(&format!("{}ALL{}", "(".repeat(depth + 1), ")".repeat(depth + 1))).is_err());
        assert!(parse(&format!("{}ALL", "OR ALL ".repeat(400))).is_ok());
        assert!(parse(&format!("{}ALL", "OR ALL ".repeat(limits::SEARCH_KEYS_MAX))).is_err());
        assert!(parse(&format!("{}ALL{}", "OR ".repeat(depth + 1), " ALL".repeat(depth + 1))).is_err());
    }
}
