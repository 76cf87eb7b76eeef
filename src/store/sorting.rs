//! SORT on the reader thread (RFC 5256, RFC 5957): from the columns, without reading a message. What is under way between
//! two slices lies here, and goes when the command is gone that asked.

use std::cmp::Ordering;
use std::sync::{Arc, Weak};

use crate::base::{MailboxId, UidSet, limits};

use super::columns::{Columns, Field};
use super::threader::Threader;
use super::threading::Threading;
use super::work::{Sorting, Work};
use super::{Reader, StoreError};

#[cfg(test)]
mod tests;

/// What is to be sorted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    pub uids: UidSet,
    /// The most important first; never empty.
    pub keys: Vec<SortKey>,
    /// A number that nobody outside knows.
    pub salt: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    pub by: SortBy,
    pub reverse: bool,
}

/// RFC 5256 section 3 (BASE.6.4.SORT), RFC 5957 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
}

impl SortBy {
    fn field(self) -> Field {
        match self {
            SortBy::Arrival => Field::Arrival,
            SortBy::Cc => Field::Cc,
            SortBy::Date => Field::Sent,
            SortBy::From => Field::From,
            SortBy::Size => Field::Size,
            SortBy::Subject => Field::Subject,
            SortBy::To => Field::To,
            SortBy::DisplayFrom => Field::DisplayFrom,
            SortBy::DisplayTo => Field::DisplayTo,
        }
    }
}

/// Sorts and threads that are under way.
#[derive(Default)]
pub struct Works {
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    of: Of,
    /// Of which columns the places are.
    begun: u64,
    stage: Stage,
}

/// Who asked. Without them the work is given up.
enum Of {
    Sort(Weak<Sort>),
    Thread(Weak<Threading>),
}

pub(super) enum Stage {
    /// The columns are being read.
    Reading,
    /// First key and place.
    Sorting(Sorting<(u64, u32)>),
    Threading(Box<Threader>),
}

impl Of {
    fn is_wanted(&self) -> bool {
        match self {
            Of::Sort(of) => of.strong_count() > 0,
            Of::Thread(of) => of.strong_count() > 0,
        }
    }

    /// Where the command's value lies, which is what it is known by.
    fn place(&self) -> *const () {
        match self {
            Of::Sort(of) => of.as_ptr().cast(),
            Of::Thread(of) => of.as_ptr().cast(),
        }
    }
}

impl Works {
    /// The stage that this command's work has reached in columns that were begun then, out of the list; `None` while too
    /// many others are under way.
    fn take(&mut self, of: Of) -> Option<(Of, u64, Stage)> {
        self.under_way.retain(|work| work.of.is_wanted());
        if let Some(at) = self.under_way.iter().position(|work| work.of.place() == of.place()) {
            let work = self.under_way.swap_remove(at);
            return Some((work.of, work.begun, work.stage));
        }
        (self.under_way.len() < limits::WORKS_MAX).then_some((of, 0, Stage::Reading))
    }

    pub(super) fn take_thread(&mut self, of: &Arc<Threading>) -> Option<(u64, Stage)> {
        self.take(Of::Thread(Arc::downgrade(of))).map(|(_, begun, stage)| (begun, stage))
    }

    pub(super) fn keep_thread(&mut self, of: &Arc<Threading>, begun: u64, stage: Stage) {
        self.under_way.push(UnderWay { of: Of::Thread(Arc::downgrade(of)), begun, stage });
    }
}

impl Reader {
    /// One slice of a sort. `None` until it is through; the command asks again.
    pub(super) fn sort(&self, mailbox: MailboxId, sort: &Arc<Sort>) -> Result<Option<Vec<u32>>, StoreError> {
        let Some((of, begun, stage)) = self.works.borrow_mut().take(Of::Sort(Arc::downgrade(sort))) else {
            return Ok(None);
        };
        let mut work = Work::slice();
        let fields: Vec<Field> = sort.keys.iter().map(|key| key.by.field()).collect();
        let columns = self.columns_with(mailbox, &fields, &fields, sort.salt, &mut work)?;
        let keep = |begun, stage| self.works.borrow_mut().under_way.push(UnderWay { of, begun, stage });
        let Some(mut columns) = columns else {
            keep(begun, stage);
            return Ok(None);
        };
        let mut sorting = match stage {
            Stage::Sorting(sorting) if columns.begun == begun => sorting,
            _ => begin(sort, &columns, &mut work),
        };
        if !sorting.advance(&mut work, |a, b| compare(sort, &columns, *a, *b)) {
            columns.await_more();
            keep(columns.begun, Stage::Sorting(sorting));
            return Ok(None);
        }
        Ok(Some(sorting.into_items().into_iter().map(|(_, place)| columns.uid(place).0).collect()))
    }
}

fn begin(sort: &Sort, columns: &Columns, work: &mut Work) -> Sorting<(u64, u32)> {
    let places = columns.places(&sort.uids);
    work.spend(places.len());
    let first = |place| sort.keys.first().map_or(0, |key| value(*key, columns, place));
    Sorting::new(places.into_iter().map(|place| (first(place), place)).collect())
}

/// A number by which messages ascend.
fn value(key: SortKey, columns: &Columns, place: u32) -> u64 {
    let value = columns.fields().key(key.by.field(), place);
    if key.reverse { !value } else { value }
}

/// By the keys in turn, and what is equal in all of them by sequence number, which REVERSE does not turn round.
fn compare(sort: &Sort, columns: &Columns, a: (u64, u32), b: (u64, u32)) -> Ordering {
    a.0.cmp(&b.0)
        .then_with(|| {
            let rest = sort.keys.iter().skip(1);
            let mut orders = rest.map(|key| value(*key, columns, a.1).cmp(&value(*key, columns, b.1)));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        })
        .then(a.1.cmp(&b.1))
}
