//! COPY and MOVE: metadata only, however large the messages are.

use crate::base::{AccountId, BodyId, MailboxId, Uid, UidSet, Wall};

use super::super::{Done, Flags, KeywordSet, Transfer, Usage};
use super::state::{Shown, State, check_quota, count_refs};
use super::{Applied, Tx, expunge, keywords};

pub fn copy(tx: &mut Tx<'_>, transfer: &Transfer) -> Applied {
    tx.needs_room()?;
    let from = State::load_for(tx, transfer.from, transfer.account)?;
    let to = State::load_for(tx, transfer.to, transfer.account)?;
    let sources = read(tx, from.id, transfer.account, &transfer.uids)?;
    let bytes = sources.iter().map(|source| source.shown.size).sum();
    check_quota(tx, transfer.account, Usage::messages(sources.len() as u64, bytes))?;
    let validity = to.validity;
    let pairs = show_all(tx, to, transfer.account, &sources, transfer.now)?;
    Ok(Done::Copied { validity, pairs })
}

/// RFC 6851. Within one account, so that the quota stays as it is; not refused on a full disk, since many clients delete
/// by moving to Trash.
pub fn move_(tx: &mut Tx<'_>, transfer: &Transfer) -> Applied {
    let from = State::load_for(tx, transfer.from, transfer.account)?;
    let to = State::load_for(tx, transfer.to, transfer.account)?;
    let validity = to.validity;
    let sources = read(tx, from.id, transfer.account, &transfer.uids)?;
    let pairs = relocate(tx, from.id, to, transfer.account, &sources, transfer.now)?;
    Ok(Done::Copied { validity, pairs })
}

/// Moves every message of a mailbox: what renaming INBOX does.
pub fn move_all(
    tx: &mut Tx<'_>,
    from: MailboxId,
    to: MailboxId,
    account: AccountId,
    now: Wall,
) -> Applied<()> {
    let sources = read(tx, from, account, &UidSet::range(1..=u32::MAX))?;
    let to = State::load(tx, to)?;
    relocate(tx, from, to, account, &sources, now)?;
    Ok(())
}

fn relocate(
    tx: &mut Tx<'_>,
    from: MailboxId,
    to: State,
    account: AccountId,
    sources: &[Source],
    now: Wall,
) -> Applied<Vec<(Uid, Uid)>> {
    let pairs = show_all(tx, to, account, sources, now)?;
    // Read again only now: moving within one mailbox has just written its row.
    let mut from = State::load(tx, from)?;
    let uids = sources.iter().map(|source| source.uid.0).collect();
    expunge::take_out(tx, &mut from, &uids, now)?;
    from.save(tx, account)?;
    Ok(pairs)
}

struct Source {
    uid: Uid,
    shown: Shown,
}

fn read(tx: &Tx<'_>, mailbox: MailboxId, account: AccountId, uids: &UidSet) -> Applied<Vec<Source>> {
    let sql = "SELECT m.uid, m.body, m.size, m.flags | coalesce(s.seen, 0), m.keywords, m.received,
        iif(m.thread = 0, m.body, m.thread)
        FROM message AS m LEFT JOIN seen AS s ON s.mailbox = m.mailbox AND s.account = ?2 AND s.uid = m.uid
        WHERE m.mailbox = ?1 AND m.uid BETWEEN ?3 AND ?4 ORDER BY m.uid";
    let mut statement = tx.statement(sql)?;
    let mut sources = Vec::new();
    for range in uids.ranges() {
        let rows = statement.query_map((mailbox, account, *range.start(), *range.end()), |row| {
            let flags = Flags { system: row.get(3)?, keywords: row.get(4)? };
            Ok(Source {
                uid: row.get(0)?,
                shown: Shown {
                    body: row.get::<_, BodyId>(1)?,
                    size: row.get(2)?,
                    thread: row.get(6)?,
                    flags,
                    received: row.get(5)?,
                    saved: Wall(0),
                },
            })
        })?;
        for row in rows {
            sources.push(row?);
        }
    }
    Ok(sources)
}

fn show_all(
    tx: &mut Tx<'_>,
    mut to: State,
    account: AccountId,
    sources: &[Source],
    now: Wall,
) -> Applied<Vec<(Uid, Uid)>> {
    let mut learnt: Option<KeywordSet> = None;
    let mut pairs = Vec::with_capacity(sources.len());
    for source in sources {
        let set = source.shown.flags.keywords;
        if learnt != Some(set) {
            keywords::learn_set(tx, to.id, set)?;
            learnt = Some(set);
        }
        let shown = Shown { saved: now, ..source.shown };
        let delivered = to.show(tx, account, &shown)?;
        count_refs(tx, source.shown.body, 1)?;
        pairs.push((source.uid, delivered.uid));
    }
    to.save(tx, account)?;
    Ok(pairs)
}
