//! IMAP STORE: flags of some messages, with UNCHANGEDSINCE (RFC 7162 section 3.1.3).

use std::collections::BTreeMap;

use crate::base::{ModSeq, Uid, UidSet};

use super::super::message::SHARED_FLAGS;
use super::super::{ChangeFlags, Done, FlagOp, Flags, KeywordSet};
use super::state::State;
use super::{Applied, Tx, keywords};

/// A message as the asking account sees it before the change.
struct Before {
    uid: Uid,
    size: u64,
    shared: u8,
    keywords: KeywordSet,
    seen: bool,
    modseq: ModSeq,
}

pub fn change(tx: &mut Tx<'_>, change: &ChangeFlags) -> Applied {
    let mut mailbox = State::load_for(tx, change.mailbox, change.account)?;
    let names = keywords::settle(tx, mailbox.id, &change.flags, change.op)?;
    let mut sets: BTreeMap<KeywordSet, KeywordSet> = BTreeMap::new();
    let (mut changed, mut modified) = (UidSet::new(), UidSet::new());
    for range in change.uids.ranges() {
        for before in read(tx, change, *range.start(), *range.end())? {
            if change.unchanged_since.is_some_and(|since| before.modseq > since) {
                modified.insert(before.uid.0);
                continue;
            }
            let keywords = match sets.get(&before.keywords) {
                Some(known) => *known,
                None => {
                    let new = keywords::apply(tx, before.keywords, change.op, &names)?;
                    sets.insert(before.keywords, new);
                    new
                }
            };
            if apply(tx, change, &mut mailbox, &before, keywords)? {
                changed.insert(before.uid.0);
            }
        }
    }
    let modseq = mailbox.modseq;
    mailbox.save(tx, change.account)?;
    Ok(Done::Flags { modseq, changed, modified })
}

fn read(tx: &Tx<'_>, change: &ChangeFlags, first: u32, last: u32) -> Applied<Vec<Before>> {
    let sql = "SELECT m.uid, m.flags, m.keywords, coalesce(s.seen, 0), max(m.modseq, coalesce(s.modseq, 0)),
        m.size FROM message AS m LEFT JOIN seen AS s ON s.mailbox = m.mailbox AND s.account = ?2 AND s.uid = m.uid
        WHERE m.mailbox = ?1 AND m.uid BETWEEN ?3 AND ?4 ORDER BY m.uid";
    let mut statement = tx.statement(sql)?;
    let rows = statement.query_map((change.mailbox, change.account, first, last), |row| {
        Ok(Before {
            uid: row.get(0)?,
            shared: row.get(1)?,
            keywords: row.get(2)?,
            seen: row.get(3)?,
            modseq: row.get(4)?,
            size: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether anything is other than before. `\Seen` lies in its own table, so either may change without the other.
fn apply(
    tx: &Tx<'_>,
    change: &ChangeFlags,
    mailbox: &mut State,
    before: &Before,
    keywords: KeywordSet,
) -> Applied<bool> {
    let old = before.shared | if before.seen { Flags::SEEN } else { 0 };
    let said = change.flags.system & (SHARED_FLAGS | Flags::SEEN);
    let new = match change.op {
        FlagOp::Set => said,
        FlagOp::Add => old | said,
        FlagOp::Remove => old & !said,
    };
    let (seen, shared) = (new & Flags::SEEN != 0, new & SHARED_FLAGS);
    let rows_differ = shared != before.shared || keywords != before.keywords;
    if rows_differ {
        let modseq = mailbox.step();
        tx.execute(
            "UPDATE message SET flags = ?3, keywords = ?4, modseq = ?5 WHERE mailbox = ?1 AND uid = ?2",
            (mailbox.id, before.uid, shared, keywords, modseq),
        )?;
        let deleted = |flags: u8| i64::from(flags & Flags::DELETED != 0);
        mailbox.count_deleted(before.size, deleted(shared) - deleted(before.shared));
    }
    if seen != before.seen {
        mailbox.say_seen(tx, change.account, before.uid, seen)?;
        mailbox.count_seen(i64::from(seen) - i64::from(before.seen));
    }
    Ok(rows_differ || seen != before.seen)
}
