//! The answer to a SEARCH or SORT: `* SEARCH` and `* SORT` for clients of RFC 3501, `* ESEARCH` for those that said RETURN
//! or enabled IMAP4rev2 (RFC 9051 sections 6.4.4 and 7.3.4, RFC 5267 section 3, RFC 9394), and what `$` stands for
//! afterwards. Written as the client reads it: a mailbox of 100,000 matches makes a line of half a megabyte.

use std::sync::Arc;

use crate::base::{ModSeq, Output, Uid, UidSet};
use crate::imap::command::By;
use crate::imap::emit;
use crate::imap::returns::{Returns, Window};
use crate::imap::server::{Pause, room};
use crate::session::Cx;
use crate::store::View;

/// What was found.
pub struct Outcome<'a> {
    /// `SEARCH` or `SORT`.
    word: &'static str,
    /// All of it.
    uids: &'a UidSet,
    /// In the order that SORT was asked for; `None`: in order of uid.
    order: Option<&'a [u32]>,
    view: &'a Arc<View>,
    by: By,
    /// The answer tells the highest modseq.
    modseq: bool,
}

/// The answer while it is being written.
pub struct Telling {
    head: String,
    numbers: Numbers,
    form: Form,
    tail: String,
}

/// What is left to tell between head and tail.
enum Numbers {
    /// Uids or message numbers from `next` on.
    Set { set: UidSet, next: u32 },
    /// Uids from place `at` on, told as message numbers of the view if there is one.
    Order { uids: Vec<u32>, at: usize, view: Option<Arc<View>> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each number behind a space.
    List,
    /// A sequence-set. `begun`: a comma is due.
    Set { begun: bool },
}

impl<'a> Outcome<'a> {
    /// `uids` are all in the view.
    pub fn of_search(uids: &'a UidSet, view: &'a Arc<View>, by: By, modseq: bool) -> Outcome<'a> {
        Outcome { word: "SEARCH", uids, order: None, view, by, modseq }
    }

    /// `order` has the same uids, sorted as asked for.
    pub fn of_sort(
        uids: &'a UidSet,
        order: &'a [u32],
        view: &'a Arc<View>,
        by: By,
        modseq: bool,
    ) -> Outcome<'a> {
        Outcome { word: "SORT", uids, order: Some(order), view, by, modseq }
    }

    /// What `$` stands for now, if SAVE was said (RFC 9051 section 6.4.4.1, table 4; RFC 9394 section 3.2, table 1).
    pub fn saved(&self, returns: Option<Returns>) -> Option<UidSet> {
        let returns = returns.filter(|returns| returns.save)?;
        Some(self.of_interest(returns))
    }

    /// All that was found; only the lowest, the highest and the window where nothing else is asked for.
    fn of_interest(&self, returns: Returns) -> UidSet {
        let some = returns.min || returns.max || returns.partial.is_some();
        if returns.all || returns.count || !some {
            return self.uids.clone();
        }
        let mut uids = returns.partial.map_or_else(UidSet::new, |window| self.within(window).uids());
        let min = self.first().filter(|_| returns.min);
        let max = self.last().filter(|_| returns.max);
        min.into_iter().chain(max).for_each(|uid| uids.insert(uid));
        uids
    }

    /// The answer; without `returns` in the old form.
    pub fn telling(&self, tag: &str, returns: Option<Returns>) -> Telling {
        let Some(returns) = returns else {
            let highest = self.highest(self.uids);
            return Telling {
                head: format!("* {}", self.word),
                numbers: self.numbers(None),
                form: Form::List,
                tail: highest.map_or("\r\n".into(), |modseq| format!(" (MODSEQ {modseq})\r\n")),
            };
        };
        let silent = Returns { save: true, ..Returns::default() };
        if returns == silent {
            let (head, numbers, tail) = (String::new(), Numbers::none(), String::new());
            return Telling { head, numbers, form: Form::List, tail };
        }
        self.extended(tag, returns)
    }

    fn extended(&self, tag: &str, returns: Returns) -> Telling {
        // The tag is quoted: Outlook reads no other form.
        let mut head = format!("* ESEARCH (TAG \"{tag}\")");
        let (mut numbers, mut tail) = (Numbers::none(), String::new());
        if self.by == By::Uid {
            head.push_str(" UID");
        }
        let number = |uid: Option<u32>| uid.map(|uid| self.number(uid));
        if let Some(min) = number(self.first()).filter(|_| returns.min) {
            head.push_str(&format!(" MIN {min}"));
        }
        if let Some(max) = number(self.last()).filter(|_| returns.max) {
            head.push_str(&format!(" MAX {max}"));
        }
        if returns.count {
            head.push_str(&format!(" COUNT {}", self.uids.count()));
        }
        if returns.all && !self.uids.is_empty() {
            head.push_str(" ALL ");
            numbers = self.numbers(None);
        }
        if let Some(window) = returns.partial {
            head.push_str(&format!(" PARTIAL ({window} "));
            numbers = self.numbers(Some(window));
            tail.push_str(if numbers.is_empty() { "NIL)" } else { ")" });
        }
        if let Some(modseq) = self.highest(&self.of_interest(returns)) {
            tail.push_str(&format!(" MODSEQ {modseq}"));
        }
        tail.push_str("\r\n");
        Telling { head, numbers, form: Form::Set { begun: false }, tail }
    }

    /// What is left of an answer whose beginning has been told: the numbers of `uids`, then all but ALL.
    pub fn rest(&self, uids: UidSet, returns: Option<Returns>) -> Telling {
        let mut tail = String::new();
        if let Some(returns) = returns {
            for (word, number, asked) in [
                ("MIN", self.first().map(|uid| u64::from(self.number(uid))), returns.min),
                ("MAX", self.last().map(|uid| u64::from(self.number(uid))), returns.max),
                ("COUNT", Some(self.uids.count()), returns.count),
                ("MODSEQ", self.highest(self.uids).map(|modseq| modseq.0), true),
            ] {
                if let Some(number) = number.filter(|_| asked) {
                    tail.push_str(&format!(" {word} {number}"));
                }
            }
        } else if let Some(modseq) = self.highest(self.uids) {
            tail.push_str(&format!(" (MODSEQ {modseq})"));
        }
        tail.push_str("\r\n");
        let form = if returns.is_some() { Form::Set { begun: true } } else { Form::List };
        let numbers = Numbers::Set { set: self.numbered(uids), next: 1 };
        Telling { head: String::new(), numbers, form, tail }
    }

    fn first(&self) -> Option<u32> {
        self.order.map_or(self.uids.first(), |order| order.first().copied())
    }

    fn last(&self) -> Option<u32> {
        self.order.map_or(self.uids.last(), |order| order.last().copied())
    }

    fn number(&self, uid: u32) -> u32 {
        match self.by {
            By::Uid => uid,
            By::Seq => self.view.seq_from(Uid(uid)),
        }
    }

    /// The uids in the window.
    fn within(&self, window: Window) -> Within<'_> {
        match self.order {
            Some(order) => Within::Order(&order[window.places(order.len())]),
            None => {
                let places = window.places(usize::try_from(self.uids.count()).unwrap_or(usize::MAX));
                Within::Set(self.uids.nth(places.start as u64..places.end as u64))
            }
        }
    }

    fn numbers(&self, window: Option<Window>) -> Numbers {
        let within = match (window, self.order) {
            (Some(window), _) => self.within(window),
            (None, Some(order)) => Within::Order(order),
            (None, None) => Within::Set(self.uids.clone()),
        };
        match within {
            Within::Order(uids) => {
                let view = (self.by == By::Seq).then(|| self.view.clone());
                Numbers::Order { uids: uids.to_vec(), at: 0, view }
            }
            Within::Set(uids) => Numbers::Set { set: self.numbered(uids), next: 1 },
        }
    }

    fn numbered(&self, uids: UidSet) -> UidSet {
        if self.by == By::Uid {
            return uids;
        }
        let mut seqs = UidSet::new();
        for range in uids.ranges() {
            // All of the range is in the view, so the numbers have no gap either.
            let first = self.number(*range.start());
            seqs.insert_range(first, first + (range.end() - range.start()));
        }
        seqs
    }

    /// The highest modseq of these, if it is to be told.
    fn highest(&self, uids: &UidSet) -> Option<ModSeq> {
        if !self.modseq {
            return None;
        }
        let of_range = |range: std::ops::RangeInclusive<u32>| {
            let rows = self.view.iter_from(self.view.seq_from(Uid(*range.start())));
            rows.map(|(_, row)| row).take_while(move |row| row.uid.0 <= *range.end())
        };
        uids.ranges().flat_map(of_range).map(|row| row.modseq).max()
    }
}

/// Some of what was found.
enum Within<'a> {
    Set(UidSet),
    Order(&'a [u32]),
}

impl Within<'_> {
    fn uids(self) -> UidSet {
        match self {
            Within::Set(set) => set,
            Within::Order(uids) => {
                let mut uids = uids.to_vec();
                uids.sort_unstable();
                uids.into_iter().collect()
            }
        }
    }
}

impl Telling {
    /// Writes on; pauses when the output is full.
    pub fn write(&mut self, cx: &mut Cx<'_>) -> Result<(), Pause> {
        cx.output.str(&std::mem::take(&mut self.head));
        while let Some((first, last)) = self.numbers.next(self.form) {
            if cx.output.full() {
                return Err(room(cx));
            }
            self.form.write(cx.output, first, last);
            self.numbers.told(first, last);
        }
        self.numbers = Numbers::none();
        cx.output.str(&std::mem::take(&mut self.tail));
        Ok(())
    }
}

impl Numbers {
    fn none() -> Numbers {
        Numbers::Set { set: UidSet::new(), next: 1 }
    }

    fn is_empty(&self) -> bool {
        match self {
            Numbers::Set { set, .. } => set.is_empty(),
            Numbers::Order { uids, .. } => uids.is_empty(),
        }
    }

    /// The next number, or the next run of them where a set is written.
    fn next(&self, form: Form) -> Option<(u32, u32)> {
        let (first, last) = match self {
            Numbers::Set { set, next } => set.ranges_from(*next).next()?.into_inner(),
            Numbers::Order { uids, at, view } => {
                let rest = uids.get(*at..)?;
                let number = |uid: &u32| match view {
                    Some(view) => view.seq_from(Uid(*uid)),
                    None => *uid,
                };
                let first = number(rest.first()?);
                let run = rest.iter().zip(first..).take_while(|(uid, due)| number(uid) == *due);
                match form {
                    Form::List => (first, first),
                    Form::Set { .. } => (first, run.last()?.1),
                }
            }
        };
        Some(if form == Form::List { (first, first) } else { (first, last) })
    }

    fn told(&mut self, first: u32, last: u32) {
        match self {
            Numbers::Set { set, next } => match last.checked_add(1) {
                Some(number) => *next = number,
                None => *set = UidSet::new(),
            },
            Numbers::Order { at, .. } => *at += (last - first) as usize + 1,
        }
    }
}

impl Form {
    fn write(&mut self, out: &mut Output, first: u32, last: u32) {
        match self {
            Form::List => out.push(b" "),
            Form::Set { begun } => {
                if std::mem::replace(begun, true) {
                    out.push(b",");
                }
            }
        }
        emit::number(out, u64::from(first));
        if last > first {
            out.push(b":");
            emit::number(out, u64::from(last));
        }
    }
}
