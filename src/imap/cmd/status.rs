//! STATUS (RFC 9051 section 6.3.11, SIZE of RFC 8438, APPENDLIMIT of RFC 7889, DELETED-STORAGE of RFC 9208): counters that are kept at each commit, so it costs two rows.

use crate::base::Output;
use crate::imap::emit;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::names::Names;
use crate::imap::object;
use crate::imap::reply;
use crate::imap::server::{Core, Running};
use crate::session::Cx;
use crate::store::{MailboxRow, StoreError};

use super::{once, quota};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Size,
    Deleted,
    HighestModseq,
    AppendLimit,
    DeletedStorage,
    MailboxId,
}

const ITEMS: [(Item, &str); 11] = [
    (Item::Messages, "MESSAGES"),
    (Item::Recent, "RECENT"),
    (Item::UidNext, "UIDNEXT"),
    (Item::UidValidity, "UIDVALIDITY"),
    (Item::Unseen, "UNSEEN"),
    (Item::Size, "SIZE"),
    (Item::Deleted, "DELETED"),
    (Item::HighestModseq, "HIGHESTMODSEQ"),
    (Item::AppendLimit, "APPENDLIMIT"),
    (Item::DeletedStorage, "DELETED-STORAGE"),
    (Item::MailboxId, "MAILBOXID"),
];

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
pub fn status(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let mailbox = p.mailbox()?;
    p.space()?;
    let items = items(p)?;
    Ok(once(move |core, cx| {
        let row = cx.store.mailbox_named(core.login()?.account, &mailbox)?.filter(|row| !row.no_select);
        let Some(row) = row else { return Ok(reply::no_mailbox()) };
        asks_for_modseq(&items, core, cx);
        tell(&row, &items, core, cx)?;
        Ok(reply::ok("That is all"))
    }))
}

/// The list may not be empty: JavaMail cannot read `STATUS x ()`.
pub fn items(p: &mut Parser<'_>) -> Parsed<Vec<Item>> {
    let items = p.list(|p| {
        let name = p.atom()?;
        let known = ITEMS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        known.map(|(item, _)| *item).ok_or(Bad("This STATUS item does not exist"))
    })?;
    if items.is_empty() || items.len() > 4 * ITEMS.len() {
        return Err(Bad("STATUS needs a list of items"));
    }
    Ok(items)
}

/// STATUS (HIGHESTMODSEQ) is a CONDSTORE enabling command (RFC 7162 section 3.1.2).
pub fn asks_for_modseq(items: &[Item], core: &mut Core, cx: &mut Cx<'_>) {
    if items.contains(&Item::HighestModseq) {
        core.enable_condstore(cx);
    }
}

/// `* STATUS mailbox (…)`
pub fn tell(row: &MailboxRow, items: &[Item], core: &Core, cx: &mut Cx<'_>) -> Result<(), StoreError> {
    let account = core.login.as_ref().map_or(row.account, |login| login.account);
    let unseen = match items.contains(&Item::Unseen) {
        true => cx.store.status(row.id, account)?.unseen,
        false => 0,
    };
    let append_limit = cx.config.message_bytes_max;
    write(cx.output, row, (unseen, append_limit), items, core.names());
    Ok(())
}

fn write(
    out: &mut Output,
    row: &MailboxRow,
    (unseen, append_limit): (u32, u64),
    items: &[Item],
    names: Names,
) {
    out.str("* STATUS ");
    emit::mailbox(out, &row.name, names);
    for (index, item) in items.iter().enumerate() {
        out.str(if index == 0 { " (" } else { " " });
        out.str(ITEMS.iter().find(|(known, _)| known == item).map_or("", |(_, name)| name));
        out.str(" ");
        let number = match item {
            Item::Messages => u64::from(row.messages),
            Item::Recent => 0,
            Item::UidNext => u64::from(row.uid_next.0),
            Item::UidValidity => u64::from(row.validity.0),
            Item::Unseen => u64::from(unseen),
            Item::Size => row.bytes,
            Item::Deleted => u64::from(row.deleted),
            Item::HighestModseq => row.modseq.0,
            Item::AppendLimit => append_limit,
            Item::DeletedStorage => quota::storage_units(row.deleted_bytes),
            Item::MailboxId => {
                out.str(&format!("({})", object::mailbox(row.id, row.validity)));
                continue;
            }
        };
        emit::number(out, number);
    }
    out.str(")\r\n");
}
