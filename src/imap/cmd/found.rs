//! The answer to a SEARCH: `* SEARCH` for clients of RFC 3501, `* ESEARCH` for those that said RETURN or enabled
//! IMAP4rev2 (RFC 9051 sections 6.4.4 and 7.3.4), and what `$` stands for afterwards. Written as the client reads it:
//! a mailbox of 100,000 matches makes a line of half a megabyte.

use crate::base::{ModSeq, Uid, UidSet};
use crate::imap::command::By;
use crate::imap::emit;
use crate::imap::search_args::{Returns, SearchArgs};
use crate::imap::server::{Core, Pause, room};
use crate::session::Cx;
use crate::store::View;

/// What was found.
pub struct Outcome<'a> {
    uids: &'a UidSet,
    view: &'a View,
    by: By,
    /// The answer tells the highest modseq.
    modseq: bool,
}

/// The answer while it is being written.
pub struct Telling {
    head: String,
    /// Uids or message numbers, all of which are told.
    numbers: UidSet,
    form: Form,
    /// Everything below has been told.
    next: u32,
    tail: String,
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
    pub fn new(uids: &'a UidSet, view: &'a View, by: By, args: &SearchArgs) -> Outcome<'a> {
        Outcome { uids, view, by, modseq: args.modseq }
    }

    /// What `$` stands for now, if SAVE was said (RFC 9051 section 6.4.4.1, table 4).
    pub fn saved(&self, returns: Option<Returns>) -> Option<UidSet> {
        let returns = returns.filter(|returns| returns.save)?;
        Some(self.of_interest(returns))
    }

    /// All that was found; only the lowest and highest where nothing else is asked for.
    fn of_interest(&self, returns: Returns) -> UidSet {
        if returns.all || returns.count || !(returns.min || returns.max) {
            return self.uids.clone();
        }
        let min = self.uids.first().filter(|_| returns.min);
        let max = self.uids.last().filter(|_| returns.max);
        min.into_iter().chain(max).collect()
    }

    pub fn telling(&self, core: &Core, returns: Option<Returns>, by: By) -> Telling {
        let all = Returns { all: true, ..Returns::default() };
        match returns.or(core.rev2.then_some(all)) {
            None => Telling {
                head: "* SEARCH".into(),
                numbers: self.numbers(self.uids),
                form: Form::List,
                next: 1,
                tail: self
                    .highest(self.uids)
                    .map_or("\r\n".into(), |modseq| format!(" (MODSEQ {modseq})\r\n")),
            },
            Some(returns) => self.extended(&core.tag, returns, by),
        }
    }

    fn extended(&self, tag: &str, returns: Returns, by: By) -> Telling {
        let silent = Returns { save: true, ..Returns::default() };
        let mut telling = Telling {
            head: String::new(),
            numbers: UidSet::new(),
            form: Form::Set { begun: false },
            next: 1,
            tail: String::new(),
        };
        if returns == silent {
            return telling;
        }
        // The tag is quoted: Outlook reads no other form.
        let mut head = format!("* ESEARCH (TAG \"{tag}\")");
        if by == By::Uid {
            head.push_str(" UID");
        }
        let number = |uid: Option<u32>| uid.map(|uid| self.number(uid));
        if let Some(min) = number(self.uids.first()).filter(|_| returns.min) {
            head.push_str(&format!(" MIN {min}"));
        }
        if let Some(max) = number(self.uids.last()).filter(|_| returns.max) {
            head.push_str(&format!(" MAX {max}"));
        }
        if returns.count {
            head.push_str(&format!(" COUNT {}", self.uids.count()));
        }
        if returns.all && !self.uids.is_empty() {
            head.push_str(" ALL ");
            telling.numbers = self.numbers(self.uids);
        }
        let told = self.of_interest(returns);
        telling.tail = self.highest(&told).map_or("\r\n".into(), |modseq| format!(" MODSEQ {modseq}\r\n"));
        telling.head = head;
        telling
    }

    fn number(&self, uid: u32) -> u32 {
        match self.by {
            By::Uid => uid,
            By::Seq => self.view.seq_from(Uid(uid)),
        }
    }

    fn numbers(&self, uids: &UidSet) -> UidSet {
        if self.by == By::Uid {
            return uids.clone();
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

impl Telling {
    /// Writes on; pauses when the output is full.
    pub fn write(&mut self, cx: &mut Cx<'_>) -> Result<(), Pause> {
        cx.output.str(&std::mem::take(&mut self.head));
        for range in self.numbers.ranges_from(self.next) {
            let (first, last) = range.into_inner();
            if let Form::Set { begun } = &mut self.form {
                if cx.output.full() {
                    self.next = first;
                    return Err(room(cx));
                }
                if std::mem::replace(begun, true) {
                    cx.output.push(b",");
                }
                emit::number(cx.output, u64::from(first));
                if last > first {
                    cx.output.push(b":");
                    emit::number(cx.output, u64::from(last));
                }
                continue;
            }
            for number in first..=last {
                if cx.output.full() {
                    self.next = number;
                    return Err(room(cx));
                }
                cx.output.push(b" ");
                emit::number(cx.output, u64::from(number));
            }
        }
        self.next = u32::MAX;
        self.numbers = UidSet::new();
        cx.output.str(&std::mem::take(&mut self.tail));
        Ok(())
    }
}
