//! What messages are sorted and threaded by, taken from their rows and from what was made of them at delivery. Each field
//! is read when it is first asked for, some thousand messages a slice, and later only of what has come since.

use std::borrow::Cow;

use crate::base::{MailboxId, Uid, Wall, limits};
use crate::mime::{text, thread, words};
use crate::store::work::Work;
use crate::store::{Reader, StoreError};

use super::strings::{Ids, Strings};
use super::{Columns, KEPT_THERE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// INTERNALDATE, to the second, as clients see it.
    Arrival,
    Size,
    /// The Date field, or else INTERNALDATE (RFC 5256 section 2.2).
    Sent,
    Subject,
    From,
    To,
    Cc,
    DisplayFrom,
    DisplayTo,
    /// The subject says that it is a reply or forward (RFC 5256, REFERENCES).
    Reply,
    /// Message-ID and references.
    Ids,
}

/// What is read along with any other field that lies in the summary: reading the row is what costs.
const ALONG: [Field; 3] = [Field::Sent, Field::Subject, Field::From];

const STRINGS: [Field; 6] =
    [Field::Subject, Field::From, Field::To, Field::Cc, Field::DisplayFrom, Field::DisplayTo];

/// One entry for each place, as far as they have been read.
#[derive(Default)]
pub struct Fields {
    /// As numbers that compare like what they stand for.
    arrival: Vec<u64>,
    size: Vec<u64>,
    sent: Vec<u64>,
    /// In the order of `STRINGS`.
    strings: [(Vec<u32>, Strings); STRINGS.len()],
    reply: Vec<bool>,
    ids: Threads,
}

#[derive(Default)]
struct Threads {
    message: Vec<u32>,
    references: Vec<u32>,
    /// Where the references of each message end.
    ends: Vec<u32>,
    known: Ids,
}

/// One row, as far as it was asked for.
#[derive(Default)]
struct Values<'r> {
    received: Wall,
    size: u64,
    sent: Option<i64>,
    /// In the order of `STRINGS`.
    strings: [&'r str; STRINGS.len()],
    message_id: &'r str,
    references: &'r str,
    envelope: &'r [u8],
}

impl Fields {
    fn filled(&self, field: Field) -> usize {
        match field {
            Field::Arrival => self.arrival.len(),
            Field::Size => self.size.len(),
            Field::Sent => self.sent.len(),
            Field::Reply => self.reply.len(),
            Field::Ids => self.ids.message.len(),
            string => self.string(string).0.len(),
        }
    }

    fn string(&self, field: Field) -> &(Vec<u32>, Strings) {
        &self.strings[place_of(field)]
    }

    /// A number that compares like the field; its strings must be ranked.
    pub fn key(&self, field: Field, place: u32) -> u64 {
        let place = place as usize;
        match field {
            Field::Arrival => self.arrival[place],
            Field::Size => self.size[place],
            Field::Sent => self.sent[place],
            Field::Reply => u64::from(self.reply[place]),
            Field::Ids => u64::from(self.ids.message[place]),
            string => {
                let (numbers, strings) = self.string(string);
                u64::from(strings.rank(numbers[place]))
            }
        }
    }

    /// The number of a string: equal where they are equal, 0 where it is empty.
    pub fn number(&self, field: Field, place: u32) -> u32 {
        self.string(field).0[place as usize]
    }

    /// How many numbers a field's strings have.
    pub fn numbers(&self, field: Field) -> usize {
        self.string(field).1.len()
    }

    pub fn is_reply(&self, place: u32) -> bool {
        self.reply[place as usize]
    }

    /// The number of the Message-ID, 0 where there is none.
    pub fn message_id(&self, place: u32) -> u32 {
        self.ids.message[place as usize]
    }

    /// The numbers of the references, the oldest first.
    pub fn references(&self, place: u32) -> &[u32] {
        let end = self.ids.ends[place as usize] as usize;
        let begin = place.checked_sub(1).map_or(0, |before| self.ids.ends[before as usize] as usize);
        &self.ids.references[begin..end]
    }

    /// The highest number of a message-id.
    pub fn last_id(&self) -> usize {
        self.ids.known.last()
    }

    #[cfg(test)]
    pub fn pretend_ids(&mut self, count: usize) {
        self.ids.known.pretend(count);
    }

    /// Works at the order of a field's strings; true when it is known.
    pub fn rank(&mut self, field: Field, work: &mut Work) -> bool {
        !STRINGS.contains(&field) || self.strings[place_of(field)].1.rank_all(work)
    }

    fn take(&mut self, field: Field, values: &Values<'_>, salt: u64) {
        match field {
            Field::Arrival => self.arrival.push(seconds(values.received.unix())),
            Field::Size => self.size.push(values.size),
            Field::Sent => self.sent.push(seconds(values.sent.unwrap_or(values.received.unix()))),
            Field::Reply => self.reply.push(is_reply(values.envelope)),
            Field::Ids => self.ids.take(values.message_id, values.references, salt),
            string => {
                let place = place_of(string);
                let said = values.strings[place];
                // What the others are sorted by is folded at delivery; names are kept as they are shown.
                let said = match string {
                    Field::DisplayFrom | Field::DisplayTo => Cow::Owned(text::fold(said)),
                    _ => Cow::Borrowed(said),
                };
                let (numbers, strings) = &mut self.strings[place];
                numbers.push(strings.number(&said, salt));
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let numbers = self.arrival.capacity() + self.size.capacity() + self.sent.capacity();
        let ids = self.ids.message.capacity() + self.ids.references.capacity() + self.ids.ends.capacity();
        let strings =
            self.strings.iter().map(|(of, strings)| of.capacity() * size_of::<u32>() + strings.bytes());
        numbers * size_of::<u64>()
            + ids * size_of::<u32>()
            + self.ids.known.bytes()
            + strings.sum::<usize>()
            + self.reply.capacity()
    }
}

impl Threads {
    /// Room for so many messages with an id each, so that growing does not take long later.
    fn reserve(&mut self, messages: usize) {
        self.message.reserve(messages.saturating_sub(self.message.len()));
        self.known.reserve(messages);
    }

    fn take(&mut self, message_id: &str, references: &str, salt: u64) {
        self.message.push(self.known.number(message_id.as_bytes(), salt));
        let begin = self.references.len();
        let ids = references.split(' ').filter(|id| !id.is_empty());
        self.references.extend(ids.map(|id| self.known.number(id.as_bytes(), salt)));
        let most = limits::THREAD_REFERENCES_MAX;
        let count = self.references.len() - begin;
        if count > most {
            // The first names the thread, the last ones the parents.
            self.references.drain(begin + 1..begin + 1 + count - most);
        }
        self.ends.push(u32::try_from(self.references.len()).unwrap_or(u32::MAX));
    }
}

/// Of a field of strings, its place in `STRINGS`.
fn place_of(field: Field) -> usize {
    STRINGS.iter().position(|string| *string == field).unwrap_or_default()
}

/// Compares like the signed number.
fn seconds(unix: i64) -> u64 {
    unix.cast_unsigned() ^ (1 << 63)
}

/// Whether the subject in this ENVELOPE, whose second element it is, is a reply's or a forward's.
fn is_reply(envelope: &[u8]) -> bool {
    let mut rest = envelope.strip_prefix(b"(").unwrap_or_default();
    let Some(subject) = element(&mut rest).and_then(|_| element(&mut rest)) else { return false };
    // Nothing is stripped where none of these stands.
    let may_be = subject.iter().any(|byte| matches!(byte, b':' | b'(' | b'[' | b'?'));
    may_be && thread::is_reply(&words::decode(&subject))
}

/// The next element of an ENVELOPE, a quoted string or NIL, and the space behind it.
fn element(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    if let Some(behind) = rest.strip_prefix(b"NIL ") {
        *rest = behind;
        return Some(value);
    }
    let mut bytes = rest.strip_prefix(b"\"")?.iter();
    loop {
        match bytes.next()? {
            b'"' => {
                *rest = bytes.as_slice().strip_prefix(b" ")?;
                return Some(value);
            }
            b'\\' => value.push(*bytes.next()?),
            byte => value.push(*byte),
        }
    }
}

impl Reader {
    /// Reads the next messages' fields, those that are not known yet; true when all are. The columns must be whole.
    pub(super) fn read_fields(
        &self,
        mailbox: MailboxId,
        columns: &mut Columns,
        wanted: &[Field],
        salt: u64,
    ) -> Result<bool, StoreError> {
        let Columns { uids, fields, .. } = columns;
        let summary = wanted.iter().any(|field| !matches!(field, Field::Arrival | Field::Size));
        let along = ALONG.iter().filter(|field| summary && !wanted.contains(field));
        if wanted.contains(&Field::Ids) {
            fields.ids.reserve(uids.len());
        }
        let begin = wanted.iter().map(|field| fields.filled(*field)).min().unwrap_or(uids.len());
        let end = uids.len().min(begin + limits::COLUMN_FIELDS_PER_SLICE);
        let Some((first, last)) = uids.get(begin).zip(uids[..end].last()) else { return Ok(true) };
        let kept = self.one(KEPT_THERE, (mailbox, first, last), |_| Ok(()))?.is_some();
        let envelope = wanted.contains(&Field::Reply);
        let mut statement = self.statement(sql(summary, envelope, kept))?;
        let mut rows = statement.query((mailbox, first, last))?;
        let mut row = rows.next()?;
        for (place, &uid) in uids.iter().enumerate().take(end).skip(begin) {
            while let Some(found) = row {
                if found.get::<_, Uid>(0)? >= uid {
                    break;
                }
                row = rows.next()?;
            }
            let values = match row {
                Some(found) if found.get::<_, Uid>(0)? == uid => values(found, summary, envelope)?,
                // It has gone since its place was read.
                _ => Values::default(),
            };
            for field in wanted.iter().chain(along.clone()) {
                if fields.filled(*field) == place {
                    fields.take(*field, &values, salt);
                }
            }
        }
        Ok(end == uids.len())
    }
}

fn values<'r>(
    row: &'r rusqlite::Row<'_>,
    summary: bool,
    envelope: bool,
) -> Result<Values<'r>, rusqlite::Error> {
    let mut values = Values { received: row.get(1)?, size: row.get(2)?, ..Values::default() };
    if !summary {
        return Ok(values);
    }
    values.sent = row.get(3)?;
    // NULL where the summary is missing: derived data that `rebuild` makes again.
    let text = |column| row.get_ref(column).map(|value| value.as_str().unwrap_or_default());
    for (column, string) in (4..).zip(&mut values.strings) {
        *string = text(column)?;
    }
    values.message_id = text(10)?;
    values.references = text(11)?;
    if envelope {
        values.envelope = row.get_ref(12)?.as_blob_or_null().ok().flatten().unwrap_or_default();
    }
    Ok(values)
}

/// One statement for each choice, so that each is prepared once.
fn sql(summary: bool, envelope: bool, kept: bool) -> &'static str {
    static STATEMENTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let statements = STATEMENTS.get_or_init(|| {
        (0..8).map(|choice| make_sql(choice & 1 != 0, choice & 2 != 0, choice & 4 != 0)).collect()
    });
    let choice = usize::from(summary) | usize::from(envelope) << 1 | usize::from(kept) << 2;
    statements.get(choice).map_or("", String::as_str)
}

fn make_sql(summary: bool, envelope: bool, kept: bool) -> String {
    let of_summary = ", sent, subject, sort_from, sort_to, sort_cc, display_from, display_to, message_id,
        thread_refs";
    let columns = format!(
        "uid, received, size{}{}",
        if summary { of_summary } else { "" },
        if summary && envelope { ", envelope" } else { "" }
    );
    let join = if summary { "LEFT JOIN summary AS s ON s.body = m.body" } else { "" };
    let range = "mailbox = ?1 AND uid BETWEEN ?2 AND ?3";
    let mut sql = format!("SELECT {columns} FROM message AS m {join} WHERE {range}");
    if kept {
        sql.push_str(&format!(
            " UNION ALL SELECT {columns} FROM expunged AS m INDEXED BY expunged_kept {join}
            WHERE {range} AND m.body IS NOT NULL"
        ));
    }
    sql.push_str(" ORDER BY uid");
    sql
}
