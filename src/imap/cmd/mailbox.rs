//! CREATE (with RFC 6154), DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 section 6.3.4 to 6.3.8): one write each. What a
//! name may be is the store's to say.

use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::object;
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::Cx;
use crate::store::{Done, MailboxRow, SpecialUse, Write};

use super::{commit, once};

/// `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`
pub fn create(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let name = p.mailbox()?;
    let mut uses = Vec::new();
    if p.eat(b' ') {
        p.byte(b'(')?;
        if !p.eat_word("USE") {
            return Err(Bad("This parameter of CREATE does not exist"));
        }
        p.space()?;
        uses = p.list(|p| {
            p.byte(b'\\')?;
            p.atom().map(special_use)
        })?;
        p.byte(b')')?;
    }
    let special = match uses.as_slice() {
        [] => None,
        [Some(special)] => Some(*special),
        _ => {
            return Ok(once(|_, _| {
                Ok(reply::no("USEATTR", "A mailbox can have one special use, of those in RFC 6154"))
            }));
        }
    };
    Ok(commit(
        move |core, cx| {
            core.may_write()?;
            let account = core.login()?.account;
            let taken = |row: &MailboxRow| special.is_some() && row.special == special && !row.no_select;
            if special.is_some() && cx.store.mailboxes(account)?.iter().any(taken) {
                return Err(Pause::Refuse(reply::no(
                    "USEATTR",
                    "Another mailbox has this special use already",
                )));
            }
            Ok(Write::CreateMailbox { account, name, special, now: cx.now.wall })
        },
        |_, _, done| match done {
            Done::Created { mailbox, validity } => {
                reply::ok("Created").with_code(format!("MAILBOXID ({})", object::mailbox(mailbox, validity)))
            }
            _ => reply::broken(),
        },
    ))
}

/// The attribute without its backslash.
fn special_use(name: &str) -> Option<SpecialUse> {
    SPECIAL_USES.iter().find(|(_, known)| known[1..].eq_ignore_ascii_case(name)).map(|(special, _)| *special)
}

/// RFC 6154 section 2, and `\Important` of RFC 8457.
pub const SPECIAL_USES: [(SpecialUse, &str); 8] = [
    (SpecialUse::All, "\\All"),
    (SpecialUse::Archive, "\\Archive"),
    (SpecialUse::Drafts, "\\Drafts"),
    (SpecialUse::Flagged, "\\Flagged"),
    (SpecialUse::Junk, "\\Junk"),
    (SpecialUse::Sent, "\\Sent"),
    (SpecialUse::Trash, "\\Trash"),
    (SpecialUse::Important, "\\Important"),
];

/// `delete = "DELETE" SP mailbox`
pub fn delete(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let name = p.mailbox()?;
    let named = name.clone();
    Ok(commit(
        move |core, cx| {
            core.may_write()?;
            let account = core.login()?.account;
            // RFC 9051 section 6.3.5: a \Noselect name goes only with the last name below it.
            let leads = cx.store.mailbox_named(account, &name)?.is_some_and(|row| row.no_select);
            if leads && cx.store.has_children(account, &name)? {
                return Err(Pause::Refuse(reply::no(
                    "HASCHILDREN",
                    "There are mailboxes below it, delete them first",
                )));
            }
            Ok(Write::DeleteMailbox { account, name, now: cx.now.wall })
        },
        move |core, cx, _| deleted(core, cx, &named),
    ))
}

/// A client that deletes the mailbox it has selected is not sent away: it knows what it did.
fn deleted(core: &mut Core, cx: &mut Cx<'_>, name: &str) -> Reply {
    let there = core.selected.as_ref().and_then(|selected| cx.store.mailbox(selected.mailbox).ok().flatten());
    let gone = there.is_none_or(|row| row.no_select || row.name == name);
    if core.selected.is_some() && gone {
        core.selected = None;
        cx.output.str("* OK [CLOSED] The mailbox was selected and is closed\r\n");
    }
    reply::ok("Deleted")
}

/// `rename = "RENAME" SP mailbox SP mailbox`
pub fn rename(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let from = p.mailbox()?;
    p.space()?;
    let to = p.mailbox()?;
    Ok(commit(
        move |core, cx| {
            core.may_write()?;
            Ok(Write::RenameMailbox { account: core.login()?.account, from, to, now: cx.now.wall })
        },
        |_, _, _| reply::ok("Renamed"),
    ))
}

pub fn subscribe(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    subscription(p, true)
}

pub fn unsubscribe(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    subscription(p, false)
}

/// Not with a reading password: every device shows what is subscribed.
fn subscription(p: &mut Parser<'_>, on: bool) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let name = p.mailbox()?;
    Ok(commit(
        move |core, _| {
            core.may_write()?;
            let account = core.login()?.account;
            Ok(Write::Subscribe { account, name, on })
        },
        |_, _, _| reply::ok("Done"),
    ))
}
