//! LIST with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154) and CHILDREN (RFC 3348), all of them
//! in RFC 9051 section 6.3.9; LSUB (RFC 3501 section 6.3.9); and XLIST, which Gmail had before RFC 6154, for Outlook 2013 and
//! its like: LIST with attributes that say what a mailbox is for in Gmail's words, INBOX among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::limits;
use crate::imap::emit;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::pattern;
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running, room};
use crate::session::{Cx, Want};
use crate::store::{MailboxRow, SpecialUse, StoreError};

use super::mailbox::SPECIAL_USES;
use super::once;
use super::status::{self, Item};

#[derive(Default)]
struct Options {
    verb: Verb,
    select_subscribed: bool,
    select_special: bool,
    recursive: bool,
    return_subscribed: bool,
    status: Vec<Item>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verb {
    #[default]
    List,
    Lsub,
    Xlist,
}

impl Verb {
    /// How its responses begin.
    fn response(self) -> &'static str {
        match self {
            Verb::List => "* LIST (",
            Verb::Lsub => "* LSUB (",
            Verb::Xlist => "* XLIST (",
        }
    }
}

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`
pub fn list(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    let mut options = Options::default();
    p.space()?;
    let mut bases = 0;
    if p.peek() == Some(b'(') {
        p.list(|p| select_option(p, &mut options, &mut bases))?;
        if options.recursive && bases == 0 {
            return Err(Bad("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE beside it"));
        }
        p.space()?;
    }
    let reference = p.list_mailbox()?;
    p.space()?;
    let patterns = match p.peek() {
        Some(b'(') => p.list(Parser::list_mailbox)?,
        _ => vec![p.list_mailbox()?],
    };
    if p.eat(b' ') {
        if !p.eat_word("RETURN") {
            return Err(Bad("RETURN is missing here"));
        }
        p.space()?;
        p.list(|p| return_option(p, &mut options))?;
    }
    listing(reference, patterns, options)
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox`
pub fn lsub(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    plain(p, Options { verb: Verb::Lsub, select_subscribed: true, ..Options::default() })
}

/// `xlist = "XLIST" SP mailbox SP list-mailbox`
pub fn xlist(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    plain(p, Options { verb: Verb::Xlist, ..Options::default() })
}

fn plain(p: &mut Parser<'_>, options: Options) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let reference = p.list_mailbox()?;
    p.space()?;
    let pattern = p.list_mailbox()?;
    listing(reference, vec![pattern], options)
}

/// `list-select-opt`: REMOTE changes nothing where all mailboxes are here.
fn select_option(p: &mut Parser<'_>, options: &mut Options, bases: &mut u32) -> Parsed<()> {
    match p.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => options.select_subscribed = true,
        "SPECIAL-USE" => options.select_special = true,
        "RECURSIVEMATCH" => {
            options.recursive = true;
            return Ok(());
        }
        "REMOTE" => return Ok(()),
        _ => return Err(Bad("This LIST selection option does not exist")),
    }
    *bases += 1;
    Ok(())
}

/// `return-option`: CHILDREN and SPECIAL-USE are told in any case, since macOS looks for them in a plain LIST.
fn return_option(p: &mut Parser<'_>, options: &mut Options) -> Parsed<()> {
    match p.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => options.return_subscribed = true,
        "CHILDREN" | "SPECIAL-USE" => {}
        "STATUS" => {
            p.space()?;
            options.status = status::items(p)?;
        }
        _ => return Err(Bad("This LIST return option does not exist")),
    }
    Ok(())
}

fn listing(reference: String, patterns: Vec<String>, options: Options) -> Parsed<Box<dyn Running>> {
    if !options.select_subscribed && patterns.iter().all(String::is_empty) {
        return Ok(once(move |_, cx| {
            cx.output.str(options.verb.response());
            cx.output.str("\\Noselect) \"/\" \"\"\r\n");
            Ok(reply::ok("That is the separator"))
        }));
    }
    let whole =
        |pattern: String| if pattern.starts_with('/') { pattern } else { format!("{reference}{pattern}") };
    let patterns: Vec<String> =
        patterns.into_iter().filter(|pattern| !pattern.is_empty()).map(whole).collect();
    let long = |pattern: &String| pattern.len() > limits::MAILBOX_NAME_BYTES_MAX;
    if patterns.len() > PATTERNS_MAX || patterns.iter().any(long) {
        return Err(Bad("There are too many patterns, or one is too long"));
    }
    Ok(Box::new(Listing { patterns, options, names: None }))
}

/// Patterns in one LIST.
const PATTERNS_MAX: usize = 64;
/// Comparisons of a pattern's character with a name's in one step: a few milliseconds.
const WORK_PER_STEP: usize = 1_000_000;
/// What a STATUS costs beside: it reads a row.
const WORK_OF_STATUS: usize = 10_000;

struct Listing {
    patterns: Vec<String>,
    options: Options,
    names: Option<Names>,
}

/// What there is to choose from, by name, INBOX first.
struct Names {
    entries: std::vec::IntoIter<Entry>,
    all: Tree,
    /// Those that fit the selection.
    selected: Tree,
    /// RECURSIVEMATCH: names that fit the selection and are still to be compared with the patterns, the last one first.
    unsorted: Vec<Arc<str>>,
    /// RECURSIVEMATCH: names that fit the selection and no pattern. Only above those is a name told that does not fit
    /// itself: where the one below is told too, CHILDINFO says nothing new (RFC 9051 section 6.3.9.6).
    unshown: Tree,
}

/// Names in order. Asked what lies below one, and not made into a set of all names above: the subscriptions of one
/// account can have 300,000 names above them, of up to a kilobyte.
struct Tree(Vec<Arc<str>>);

impl Tree {
    fn has_below(&self, name: &str) -> bool {
        let above = format!("{name}/");
        let place = self.0.partition_point(|known| known.as_ref() < above.as_str());
        self.0.get(place).is_some_and(|next| next.starts_with(&above))
    }
}

struct Entry {
    name: Arc<str>,
    row: Option<MailboxRow>,
    subscribed: bool,
}

impl Running for Listing {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if self.names.is_none() {
            status::asks_for_modseq(&self.options.status, core, cx);
            self.names = Some(collect(&self.options, core, cx)?);
        }
        let Some(names) = &mut self.names else { return Err(Pause::Gone) };
        let mut work = 0;
        while work < WORK_PER_STEP {
            if cx.output.full() {
                return Err(room(cx));
            }
            let patterns = &self.patterns;
            let work_of =
                |name: &str| patterns.iter().map(|pattern| pattern.len() * name.len()).sum::<usize>() + 100;
            let is_wanted = |name: &str| patterns.iter().any(|pattern| pattern::fits(pattern, name));
            if let Some(name) = names.unsorted.pop() {
                work += work_of(&name);
                if !is_wanted(&name) {
                    names.unshown.0.push(name);
                }
                continue;
            }
            let Some(entry) = names.entries.next() else { return Ok(reply::ok("That is all")) };
            work += work_of(&entry.name);
            if !is_wanted(&entry.name) {
                continue;
            }
            let told = tell(&entry, &self.options, names, core, cx);
            if told && !self.options.status.is_empty() {
                work += WORK_OF_STATUS;
                tell_status(&entry, &self.options.status, core, cx)?;
            }
        }
        Err(Pause::Wait(Want::Turn))
    }
}

fn collect(options: &Options, core: &Core, cx: &mut Cx<'_>) -> Result<Names, Pause> {
    let account = core.login()?.account;
    let mut entries = BTreeMap::new();
    for row in cx.store.mailboxes(account)? {
        let name: Arc<str> = row.name.as_str().into();
        entries.insert(name.clone(), Entry { name, subscribed: row.subscribed, row: Some(row) });
    }
    for name in if options.select_subscribed { cx.store.subscriptions(account)? } else { Vec::new() } {
        let name: Arc<str> = name.into();
        let missing = || Entry { name: name.clone(), row: None, subscribed: true };
        entries.entry(name.clone()).or_insert_with(missing).subscribed = true;
    }
    let all = Tree(entries.keys().cloned().collect());
    let chosen: Vec<Arc<str>> =
        entries.values().filter(|entry| options.selects(entry)).map(|entry| entry.name.clone()).collect();
    if options.verb == Verb::Lsub || options.recursive {
        // A name that is only a part of others can still be what a pattern with `%` is looking for.
        let most = entries.len() + limits::MAILBOXES_PER_ACCOUNT_MAX;
        for name in chosen.iter().flat_map(|name| ancestors(name)) {
            if entries.len() < most && !entries.contains_key(name) {
                let name: Arc<str> = name.into();
                entries.insert(name.clone(), Entry { name, row: None, subscribed: false });
            }
        }
    }
    let mut entries: Vec<Entry> = entries.into_values().collect();
    entries.sort_by_key(|entry| &*entry.name != "INBOX");
    let unsorted = if options.recursive { chosen.iter().rev().cloned().collect() } else { Vec::new() };
    let (selected, unshown) = (Tree(chosen), Tree(Vec::new()));
    Ok(Names { entries: entries.into_iter(), all, selected, unsorted, unshown })
}

/// `a/b/c` has `a/b` and `a` above it.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

impl Options {
    /// Whether the selection options take this name, its children aside.
    fn selects(&self, entry: &Entry) -> bool {
        let special = entry.row.as_ref().is_some_and(|row| row.special.is_some());
        (!self.select_subscribed || entry.subscribed) && (!self.select_special || special)
    }
}

/// One LIST or LSUB response, if the selection wants it.
fn tell(entry: &Entry, options: &Options, names: &Names, core: &Core, cx: &mut Cx<'_>) -> bool {
    let selected = options.selects(entry);
    let lsub = options.verb == Verb::Lsub;
    let above = names.selected.has_below(&entry.name);
    let leads = options.recursive && names.unshown.has_below(&entry.name);
    let wanted = selected || leads || (above && lsub);
    if !wanted {
        return false;
    }
    let mut attributes: Vec<&str> = Vec::new();
    match &entry.row {
        // RFC 3501 section 6.3.9: a name that only leads to subscribed ones is `\Noselect` in LSUB.
        _ if lsub && !selected => attributes.push("\\Noselect"),
        None if lsub => attributes.push("\\Noselect"),
        None => attributes.push("\\NonExistent"),
        Some(row) if row.no_select => attributes.push("\\Noselect"),
        Some(_) => {}
    }
    attributes.push(if names.all.has_below(&entry.name) { "\\HasChildren" } else { "\\HasNoChildren" });
    if entry.subscribed && !lsub && (options.select_subscribed || options.return_subscribed) {
        attributes.push("\\Subscribed");
    }
    attributes.extend(entry.row.as_ref().and_then(|row| match options.verb {
        Verb::Xlist => xlist_name(row),
        Verb::List | Verb::Lsub => special_name(row),
    }));
    cx.output.str(options.verb.response());
    cx.output.str(&attributes.join(" "));
    cx.output.str(") \"/\" ");
    emit::mailbox(cx.output, &entry.name, core.names());
    if options.recursive && above {
        cx.output.str(match (options.select_subscribed, options.select_special) {
            (true, true) => " (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))",
            (true, false) => " (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            _ => " (\"CHILDINFO\" (\"SPECIAL-USE\"))",
        });
    }
    cx.output.str("\r\n");
    true
}

/// `\Sent` and its like.
fn special_name(row: &MailboxRow) -> Option<&'static str> {
    SPECIAL_USES.iter().find(|(known, _)| Some(*known) == row.special).map(|(_, name)| *name)
}

/// What Gmail calls it in XLIST; a use that Gmail has no word for keeps its own.
fn xlist_name(row: &MailboxRow) -> Option<&'static str> {
    match row.special {
        None if row.name == "INBOX" => Some("\\Inbox"),
        Some(SpecialUse::All) => Some("\\AllMail"),
        Some(SpecialUse::Flagged) => Some("\\Starred"),
        Some(SpecialUse::Junk) => Some("\\Spam"),
        _ => special_name(row),
    }
}

/// The LIST response of SELECT and EXAMINE, whose attributes "MUST be accurate" (RFC 9051 section 6.3.2).
pub fn tell_selected(row: &MailboxRow, core: &Core, cx: &mut Cx<'_>) -> Result<(), StoreError> {
    let parent = cx.store.has_children(row.account, &row.name)?;
    cx.output.str("* LIST (");
    cx.output.str(if parent { "\\HasChildren" } else { "\\HasNoChildren" });
    if let Some(special) = special_name(row) {
        cx.output.str(" ");
        cx.output.str(special);
    }
    cx.output.str(") \"/\" ");
    emit::mailbox(cx.output, &row.name, core.names());
    cx.output.str("\r\n");
    Ok(())
}

fn tell_status(entry: &Entry, items: &[Item], core: &Core, cx: &mut Cx<'_>) -> Result<(), StoreError> {
    match &entry.row {
        Some(row) if !row.no_select => status::tell(row, items, core, cx),
        _ => Ok(()),
    }
}
