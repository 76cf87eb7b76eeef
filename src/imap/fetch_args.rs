//! What FETCH asks for (RFC 9051 section 6.4.5 and the grammar of its section 9, with RFC 3501, 3516 and 7162): parsed
//! into values, with every limit checked, before anything is read.

use std::fmt::Write as _;

use crate::base::{ModSeq, limits};

use super::command::By;
use super::lex::{Bad, Parsed, Parser, Set, is_astring_char};
use super::returns::{self, Window};

#[derive(Clone, Debug, PartialEq)]
pub struct FetchArgs {
    pub set: Set,
    /// Each once, in the order of the answer.
    pub items: Vec<Item>,
    pub changed_since: Option<ModSeq>,
    /// Tell also what of the set is gone since then (RFC 7162 section 3.2.6).
    pub vanished: bool,
    /// Only these of the set's messages, before anything else is left out (RFC 9394 section 3.3).
    pub window: Option<Window>,
}

/// One data item, as it is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Uid,
    Flags,
    InternalDate,
    /// When it came into this mailbox (RFC 8514).
    SaveDate,
    /// Which message it is, and which thread it is in (RFC 8474).
    EmailId,
    ThreadId,
    Size,
    ModSeq,
    Envelope,
    Body,
    BodyStructure,
    /// `lazy`: only where it costs nothing (RFC 8970 section 4.1).
    Preview {
        lazy: bool,
    },
    Bytes(BytesItem),
}

/// An item that hands out bytes of the body, or says how many there are.
#[derive(Clone, Debug, PartialEq)]
pub struct BytesItem {
    /// What the answer calls it: `BODY[1.MIME]<20>`, `RFC822.TEXT`. Never the `.PEEK` that was asked for.
    pub label: Box<str>,
    pub section: Section,
    pub partial: Option<Partial>,
    pub form: Form,
    /// Leaves `\Seen` as it is.
    pub peek: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// BODY: as it lies in the message.
    AsIs,
    /// BINARY: without its transfer encoding.
    Decoded,
    /// BINARY.SIZE: only how long that is.
    DecodedSize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Part numbers; empty for the message itself.
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// No name: the whole message, or a part's content.
    Whole,
    Header,
    Fields {
        names: Vec<String>,
        /// False for HEADER.FIELDS.NOT.
        keep_named: bool,
    },
    Text,
    Mime,
}

/// `<first.count>`: offset and greatest number of bytes, the count at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    pub first: u64,
    pub count: u64,
}

impl Item {
    /// Whether answering it means that the message has been read (RFC 9051 section 6.4.5).
    pub fn sets_seen(&self) -> bool {
        matches!(self, Item::Bytes(BytesItem { peek: false, .. }))
    }
}

// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
//         [SP "(" fetch-modifier *(SP fetch-modifier) ")"]                 RFC 9051 section 9, RFC 4466 section 2.4
/// What follows the space behind `FETCH`.
pub fn fetch(p: &mut Parser<'_>, by: By) -> Parsed<FetchArgs> {
    let set = p.sequence_set()?;
    p.space()?;
    let mut items = items(p)?;
    let mut args = FetchArgs { set, items: Vec::new(), changed_since: None, vanished: false, window: None };
    if p.eat(b' ') {
        modifiers(p, by, &mut args)?;
    }
    p.end()?;
    if by == By::Uid {
        items.push(Item::Uid);
    }
    if args.changed_since.is_some() {
        items.push(Item::ModSeq);
    }
    args.items = in_order(items);
    Ok(args)
}

/// Each item once, UID first: clients and proxies read it before what belongs to it.
fn in_order(asked: Vec<Item>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::with_capacity(asked.len());
    if asked.contains(&Item::Uid) {
        items.push(Item::Uid);
    }
    // Asked for in both ways it is told once, in any case.
    let preview = Item::Preview { lazy: !asked.contains(&Item::Preview { lazy: false }) };
    for item in asked {
        let item = if matches!(item, Item::Preview { .. }) { preview.clone() } else { item };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items
}

fn items(p: &mut Parser<'_>) -> Parsed<Vec<Item>> {
    if p.peek() == Some(b'(') {
        let items = p.list(fetch_att)?;
        return match items.len() {
            0 => Err(Bad("FETCH must ask for something")),
            1..=limits::FETCH_ITEMS_MAX => Ok(items),
            _ => Err(Bad("This FETCH asks for too many items")),
        };
    }
    let fast = [Item::Flags, Item::InternalDate, Item::Size];
    if p.eat_word("FAST") {
        return Ok(fast.to_vec());
    }
    if p.eat_word("ALL") {
        return Ok([&fast[..], &[Item::Envelope]].concat());
    }
    if p.eat_word("FULL") {
        return Ok([&fast[..], &[Item::Envelope, Item::Body]].concat());
    }
    Ok(vec![fetch_att(p)?])
}

fn fetch_att(p: &mut Parser<'_>) -> Parsed<Item> {
    const WORDS: [(&str, Item); 11] = [
        ("UID", Item::Uid),
        ("FLAGS", Item::Flags),
        ("INTERNALDATE", Item::InternalDate),
        ("SAVEDATE", Item::SaveDate),
        ("EMAILID", Item::EmailId),
        ("THREADID", Item::ThreadId),
        ("RFC822.SIZE", Item::Size),
        ("MODSEQ", Item::ModSeq),
        ("ENVELOPE", Item::Envelope),
        ("BODYSTRUCTURE", Item::BodyStructure),
        ("BODY", Item::Body),
    ];
    for (word, item) in WORDS {
        if p.eat_word(word) {
            return Ok(item);
        }
    }
    // fetch-att =/ "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"] ; preview-mod = "LAZY"        RFC 8970 section 6
    if p.eat_word("PREVIEW") {
        let lazy = p.maybe(|p| {
            p.space()?;
            let lazy =
                |p: &mut Parser<'_>| if p.eat_word("LAZY") { Ok(()) } else { Err(Bad("LAZY is meant")) };
            p.list(lazy).and_then(|all| if all.is_empty() { Err(Bad("LAZY is meant")) } else { Ok(()) })
        });
        return Ok(Item::Preview { lazy: lazy.is_some() });
    }
    // RFC 3501 section 6.4.5: each is another way to write a section.
    for (word, text, peek) in [
        ("RFC822", SectionText::Whole, false),
        ("RFC822.HEADER", SectionText::Header, true),
        ("RFC822.TEXT", SectionText::Text, false),
    ] {
        if p.eat_word(word) {
            let section = Section { part: Vec::new(), text };
            return Ok(Item::Bytes(BytesItem {
                label: word.into(),
                section,
                partial: None,
                form: Form::AsIs,
                peek,
            }));
        }
    }
    for (word, form, peek) in [
        ("BODY[", Form::AsIs, false),
        ("BODY.PEEK[", Form::AsIs, true),
        ("BINARY[", Form::Decoded, false),
        ("BINARY.PEEK[", Form::Decoded, true),
        ("BINARY.SIZE[", Form::DecodedSize, true),
    ] {
        if p.eat_text(word) {
            return bytes_item(p, form, peek);
        }
    }
    Err(Bad("This is no FETCH item"))
}

// "BODY" section [partial] / "BINARY" section-binary [partial] / "BINARY.SIZE" section-binary
fn bytes_item(p: &mut Parser<'_>, form: Form, peek: bool) -> Parsed<Item> {
    let section = match form {
        Form::AsIs => section(p)?,
        Form::Decoded | Form::DecodedSize => Section { part: section_part(p)?, text: SectionText::Whole },
    };
    p.byte(b']').map_err(|_| Bad("This section does not exist, or its ] is missing"))?;
    let partial = if form != Form::DecodedSize && p.eat(b'<') { Some(partial(p)?) } else { None };
    let label = label(form, &section, partial);
    Ok(Item::Bytes(BytesItem { label, section, partial, form, peek }))
}

// section = "[" [section-msgtext / (section-part ["." section-text])] "]"
fn section(p: &mut Parser<'_>) -> Parsed<Section> {
    let part = section_part(p)?;
    let dotted = !part.is_empty() && p.eat(b'.');
    if part.is_empty() && p.peek() != Some(b']') || dotted {
        let text = section_text(p)?;
        if text == SectionText::Mime && part.is_empty() {
            return Err(Bad("MIME needs a part number before it"));
        }
        return Ok(Section { part, text });
    }
    Ok(Section { part, text: SectionText::Whole })
}

// section-part = nz-number *("." nz-number)
/// Takes no dot that a name follows; empty if no number comes first.
fn section_part(p: &mut Parser<'_>) -> Parsed<Vec<u32>> {
    let mut part = Vec::new();
    while let Some(number) = p.maybe(|p| {
        if !part.is_empty() {
            p.byte(b'.')?;
        }
        p.nz_number()
    }) {
        if part.len() == limits::PART_DEPTH_MAX {
            return Err(Bad("This part number is too deep"));
        }
        part.push(number);
    }
    Ok(part)
}

// section-text = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT" / "MIME"
fn section_text(p: &mut Parser<'_>) -> Parsed<SectionText> {
    if p.eat_word("HEADER.FIELDS.NOT") {
        return Ok(SectionText::Fields { names: header_list(p)?, keep_named: false });
    }
    if p.eat_word("HEADER.FIELDS") {
        return Ok(SectionText::Fields { names: header_list(p)?, keep_named: true });
    }
    for (word, text) in
        [("HEADER", SectionText::Header), ("TEXT", SectionText::Text), ("MIME", SectionText::Mime)]
    {
        if p.eat_word(word) {
            return Ok(text);
        }
    }
    Err(Bad("This section does not exist"))
}

// header-list = "(" header-fld-name *(SP header-fld-name) ")"
fn header_list(p: &mut Parser<'_>) -> Parsed<Vec<String>> {
    p.space()?;
    let names = p.list(|p| {
        let name = p.astring()?;
        let fits = !name.is_empty() && name.len() <= limits::HEADER_FIELD_NAME_BYTES_MAX;
        if !fits || !name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':') {
            return Err(Bad("This is no name of a header field"));
        }
        Ok(name.iter().map(|byte| char::from(byte.to_ascii_uppercase())).collect())
    })?;
    match names.len() {
        0 => Err(Bad("The list of header fields is empty")),
        1..=limits::FETCH_FIELD_NAMES_MAX => Ok(names),
        _ => Err(Bad("There are too many header fields in this list")),
    }
}

// partial = "<" number64 "." nz-number64 ">"
fn partial(p: &mut Parser<'_>) -> Parsed<Partial> {
    let first = p.number64()?;
    p.byte(b'.')?;
    let count = p.number64()?;
    p.byte(b'>')?;
    if count == 0 {
        return Err(Bad("A part of 0 bytes is not allowed"));
    }
    Ok(Partial { first, count })
}

// fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" / modifier-partial
//                                                                   RFC 7162 section 7, RFC 9394 section 4
fn modifiers(p: &mut Parser<'_>, by: By, args: &mut FetchArgs) -> Parsed<()> {
    p.list(|p| {
        if p.eat_word("CHANGEDSINCE") {
            p.space()?;
            // RFC 7162 section 7 wants at least 1; iOS 16 sends 0 for "all".
            args.changed_since = Some(ModSeq(p.number64()?));
            return Ok(());
        }
        if p.eat_word("VANISHED") && by == By::Uid {
            args.vanished = true;
            return Ok(());
        }
        if p.eat_word("PARTIAL") {
            return returns::partial(p, &mut args.window);
        }
        Err(Bad("This is no modifier of this FETCH"))
    })?;
    if args.vanished && args.changed_since.is_none() {
        return Err(Bad("VANISHED needs CHANGEDSINCE"));
    }
    Ok(())
}

/// What the answer calls an item: everything in capitals, the offset only, as RFC 9051 section 7.5.2 wants it.
fn label(form: Form, section: &Section, partial: Option<Partial>) -> Box<str> {
    let mut label = String::from(match form {
        Form::AsIs => "BODY[",
        Form::Decoded => "BINARY[",
        Form::DecodedSize => "BINARY.SIZE[",
    });
    let numbers: Vec<String> = section.part.iter().map(u32::to_string).collect();
    label.push_str(&numbers.join("."));
    if section.text != SectionText::Whole && !numbers.is_empty() {
        label.push('.');
    }
    match &section.text {
        SectionText::Whole => {}
        SectionText::Header => label.push_str("HEADER"),
        SectionText::Text => label.push_str("TEXT"),
        SectionText::Mime => label.push_str("MIME"),
        SectionText::Fields { names, keep_named } => {
            label.push_str(if *keep_named { "HEADER.FIELDS (" } else { "HEADER.FIELDS.NOT (" });
            let names: Vec<String> = names.iter().map(|name| astring(name)).collect();
            label.push_str(&names.join(" "));
            label.push(')');
        }
    }
    label.push(']');
    if let Some(partial) = partial {
        let _ = write!(label, "<{}>", partial.first);
    }
    label.into()
}

fn astring(name: &str) -> String {
    if name.bytes().all(is_astring_char) {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    fn parse(text: &str, by: By) -> Parsed<FetchArgs> {
        fetch(&mut Parser::new(text.as_bytes(), Names::Utf7), by)
    }

    fn labels(text: &str) -> String {
        let args = parse(text, By::Seq).unwrap_or_else(|bad| panic!("{text}: {bad:?}"));
        let labels: Vec<String> = args
            .items
            .iter()
            .map(|item| match item {
                Item::Bytes(bytes) => format!("{}{}", bytes.label, if bytes.peek { "" } else { "!" }),
                other => format!("{other:?}"),
            })
            .collect();
        labels.join(" ")
    }

    #[test]
    fn every_item_is_understood_in_any_case() {
        for (text, want) in [
            ("1 FAST", "Flags InternalDate Size"),
            ("1 all", "Flags InternalDate Size Envelope"),
            ("1 FULL", "Flags InternalDate Size Envelope Body"),
            ("1 FLAGS", "Flags"),
            ("1 (emailid THREADID)", "EmailId ThreadId"),
            ("1 (SaveDate INTERNALDATE SAVEDATE)", "SaveDate InternalDate"),
            ("1 (FLAGS uid ModSeq)", "Uid Flags ModSeq"),
            ("1 (BODY BODYSTRUCTURE BODY)", "Body BodyStructure"),
            ("1 preview", "Preview { lazy: false }"),
            ("1 (PREVIEW (LAZY) FLAGS)", "Preview { lazy: true } Flags"),
            ("1 (PREVIEW (LAZY) PREVIEW)", "Preview { lazy: false }"),
            ("1 preview (lazy) (CHANGEDSINCE 5)", "Preview { lazy: true } ModSeq"),
            ("1 rfc822", "RFC822!"),
            ("1 (RFC822.HEADER RFC822.TEXT RFC822.SIZE)", "RFC822.HEADER RFC822.TEXT! Size"),
            ("1 BODY[]", "BODY[]!"),
            ("1 body.peek[]<0.2048>", "BODY[]<0>"),
            ("1 BODY[1.2.3]", "BODY[1.2.3]!"),
            ("1 BODY.PEEK[1.mime]", "BODY[1.MIME]"),
            ("1 BODY.PEEK[HEADER]", "BODY[HEADER]"),
            ("1 BODY.PEEK[4.2.HEADER]<5.6>", "BODY[4.2.HEADER]<5>"),
            ("1 BODY.PEEK[TEXT]", "BODY[TEXT]"),
            ("1 BODY.PEEK[HEADER.FIELDS (Date \"From\" {2}\r\nto)]", "BODY[HEADER.FIELDS (DATE FROM TO)]"),
            (
                "1 BODY.PEEK[2.header.fields.not (\"x\\\"y\")]<1.2>",
                "BODY[2.HEADER.FIELDS.NOT (\"X\\\"Y\")]<1>",
            ),
            ("1 BINARY[1]", "BINARY[1]!"),
            ("1 BINARY.PEEK[1.2]<7.9223372036854775807>", "BINARY[1.2]<7>"),
            ("1 BINARY.SIZE[]", "BINARY.SIZE[]"),
        ] {
            assert_eq!(labels(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_fetch_is_refused() {
        for text in [
            "",
            "1",
            "1 ",
            "1 ()",
            "1 (ALL)",
            "1 ALL FLAGS",
            "1 FLAGS UID",
            "1 NONSENSE",
            "1 (FLAGS",
            "0 FLAGS",
            "1 BODY[",
            "1 BODY[0]",
            "1 BODY[1.]",
            "1 BODY[MIME]",
            "1 BODY[HEADER.FIELDS]",
            "1 BODY[HEADER.FIELDS ()]",
            "1 BODY[HEADER.FIELDS (a:b)]",
            "1 BODY[HEADER.1]",
            "1 BODY[]<1>",
            "1 BODY[]<1.0>",
            "1 BODY[]<-1.5>",
            "1 BODY[]<0.9223372036854775808>",
            "1 BINARY[HEADER]",
            "1 BINARY[1.MIME]",
            "1 BINARY.SIZE[1]<0.5>",
            "1 (PREVIEW ())",
            "1 (PREVIEW (EAGER))",
            "1 PREVIEW (LAZY",
            "1 FLAGS (CHANGEDSINCE)",
            "1 FLAGS (CHANGEDSINCE -1)",
            "1 FLAGS (PARTIAL)",
            "1 FLAGS (PARTIAL 1:2 PARTIAL 1:2)",
            "1 FLAGS (PARTIAL 1:-2)",
            "1 FLAGS (CHANGEDSINCE 5 VANISHED)",
            "1 FLAGS (NONSENSE 5)",
        ] {
            assert!(parse(text, By::Seq).is_err(), "{text}");
        }
        assert!(parse("1 FLAGS (VANISHED)", By::Uid).is_err());
    }

    #[test]
    fn uid_fetch_and_changedsince_add_their_items() {
        let args = parse("5:1,* (FLAGS) (CHANGEDSINCE 0 VANISHED)", By::Uid).expect("is one");
        assert_eq!(args.items, [Item::Uid, Item::Flags, Item::ModSeq]);
        assert_eq!((args.changed_since, args.vanished), (Some(ModSeq(0)), true));
    }

    #[test]
    fn numbers_and_depths_are_bounded() {
        let deep = vec!["1"; limits::PART_DEPTH_MAX].join(".");
        assert!(parse(&format!("1 BODY[{deep}]"), By::Seq).is_ok());
        assert!(parse(&format!("1 BODY[{deep}.1]"), By::Seq).is_err());
        let names = vec!["a"; limits::FETCH_FIELD_NAMES_MAX].join(" ");
        assert!(parse(&format!("1 BODY[HEADER.FIELDS ({names})]"), By::Seq).is_ok());
        assert!(parse(&format!("1 BODY[HEADER.FIELDS ({names} a)]"), By::Seq).is_err());
        let items = vec!["FLAGS"; limits::FETCH_ITEMS_MAX].join(" ");
        assert!(parse(&format!("1 ({items})"), By::Seq).is_ok());
        assert!(parse(&format!("1 ({items} FLAGS)"), By::Seq).is_err());
    }
}
