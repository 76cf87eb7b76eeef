//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). One quota root, called "", holds all mailboxes of an account.
//!
//! What is told is the stricter of what the owner allows and what the account allows itself. STORAGE and MESSAGE are told
//! where they are limited, as section 4.2.1 has it. MAILBOX is told always: it has a limit of the server (section 3.2
//! wants those told), and the list, which may be empty by the text but not by the grammar, never is.
//!
//! SETQUOTA sets what the account allows itself (table 1 asks for the right to administer, which people have over their
//! own mailboxes), and no more than the owner allows: that is a system limit to them, which SETQUOTA cannot lift. What it
//! does not name goes back to the owner's limit.

use crate::base::limits::QUOTA_RESOURCES_MAX;
use crate::imap::emit;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::names::Names;
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::session::Cx;
use crate::store::{Account, Limits, Write};

use super::{commit, once};

/// `quota-root-name` of everything.
const ROOT: &[u8] = b"";
/// The unit of STORAGE, in bytes (RFC 9208 section 5.1).
const STORAGE_UNIT: u64 = 1024;

/// Bytes in units of STORAGE, rounded up: what is not empty is not told as nothing, and what is within its limit in bytes
/// is within it in units.
pub fn storage_units(bytes: u64) -> u64 {
    bytes.div_ceil(STORAGE_UNIT)
}

/// `getquota = "GETQUOTA" SP quota-root-name`
pub fn get_quota(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let root = p.astring()?.into_owned();
    Ok(once(move |core, cx| {
        let account = account(core, cx)?;
        known(&root)?;
        tell(&account, cx);
        Ok(reply::ok("That is the quota"))
    }))
}

/// `getquotaroot = "GETQUOTAROOT" SP mailbox`. The mailbox need not exist (section 4.1.2).
pub fn get_quota_root(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let mailbox = p.mailbox()?;
    Ok(once(move |core, cx| {
        let account = account(core, cx)?;
        tell_root(&mailbox, core.names(), cx);
        tell(&account, cx);
        Ok(reply::ok("That is the quota"))
    }))
}

/// `setquota = "SETQUOTA" SP quota-root-name SP setquota-list`
pub fn set_quota(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    let root = p.astring()?.into_owned();
    p.space()?;
    let asked = p.list(resource_limit)?;
    if asked.len() > QUOTA_RESOURCES_MAX {
        return Err(Bad("There are too many resources here"));
    }
    let own = own_limits(&asked)?;
    Ok(commit(
        move |core, cx| {
            core.may_write()?;
            let account = account(core, cx)?;
            known(&root)?;
            let own = own.map_err(Pause::Refuse)?;
            if !within(own, account.given.within_the_server()) {
                tell(&account, cx);
                return Err(Pause::Refuse(reply::quota_of_owner()));
            }
            Ok(Write::Restrain { account: account.id, limits: own })
        },
        |core, cx, _| match account(core, cx) {
            Ok(account) => {
                tell(&account, cx);
                reply::ok("These limits hold from now on")
            }
            Err(Pause::Refuse(reply)) => reply,
            Err(_) => reply::broken(),
        },
    ))
}

// setquota-resource = resource-name SP resource-limit
fn resource_limit(p: &mut Parser<'_>) -> Parsed<(String, u64)> {
    let name = p.atom()?.to_ascii_uppercase();
    p.space()?;
    Ok((name, p.number64()?))
}

/// What is asked for, in bytes; or the refusal of a resource that is not limited here.
fn own_limits(asked: &[(String, u64)]) -> Parsed<Result<Limits, Reply>> {
    let mut own = Limits::default();
    for (name, limit) in asked {
        let (place, limit) = match name.as_str() {
            "STORAGE" => (&mut own.bytes, limit.saturating_mul(STORAGE_UNIT)),
            "MESSAGE" => (&mut own.messages, *limit),
            "MAILBOX" => (&mut own.mailboxes, *limit),
            _ => return Ok(Err(reply::no_such_resource())),
        };
        if place.replace(limit).is_some() {
            return Err(Bad("A resource can have only one limit"));
        }
    }
    Ok(Ok(own))
}

/// Whether these limits, each in the units in which it is told, are not above the given ones.
fn within(own: Limits, given: Limits) -> bool {
    let not_above =
        |own: Option<u64>, given: Option<u64>| own.zip(given).is_none_or(|(own, given)| own <= given);
    not_above(own.bytes.map(storage_units), given.bytes.map(storage_units))
        && not_above(own.messages, given.messages)
        && not_above(own.mailboxes, given.mailboxes)
}

fn account(core: &Core, cx: &Cx<'_>) -> Result<Account, Pause> {
    let account = cx.store.account(core.login()?.account)?;
    account.ok_or_else(|| Pause::Refuse(reply::refused(&crate::store::Refused::NoAccount)))
}

fn known(root: &[u8]) -> Result<(), Pause> {
    if root == ROOT { Ok(()) } else { Err(Pause::Refuse(reply::no_quota_root())) }
}

/// `quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name)`
fn tell_root(mailbox: &str, names: Names, cx: &mut Cx<'_>) {
    cx.output.str("* QUOTAROOT ");
    emit::mailbox(cx.output, mailbox, names);
    cx.output.str(" ");
    emit::astring(cx.output, ROOT);
    cx.output.str("\r\n");
}

/// `quota-response = "QUOTA" SP quota-root-name SP "(" quota-resource *(SP quota-resource) ")"`
fn tell(account: &Account, cx: &mut Cx<'_>) {
    let (limits, used) = (account.limits().within_the_server(), account.used);
    let resources = [
        ("STORAGE", storage_units(used.bytes), limits.bytes.map(storage_units)),
        ("MESSAGE", used.messages, limits.messages),
        ("MAILBOX", used.mailboxes, limits.mailboxes),
    ];
    let told: Vec<String> = resources
        .into_iter()
        .filter_map(|(name, used, limit)| limit.map(|limit| format!("{name} {used} {limit}")))
        .collect();
    cx.output.str("* QUOTA ");
    emit::astring(cx.output, ROOT);
    cx.output.str(&format!(" ({})\r\n", told.join(" ")));
}
