//! Keywords: interned sets for messages, and for each mailbox the list of all that were ever used there.

use rusqlite::OptionalExtension;

use crate::base::MailboxId;
use crate::base::limits::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX, KEYWORDS_PER_MESSAGE_MAX};

use super::super::{FlagNames, FlagOp, KeywordSet, Refused};
use super::{Applied, Tx};

/// The keywords of a write as this mailbox spells them: the spelling that came first there holds (RFC 9051 section
/// 2.3.2: keywords are compared without case). New ones are added to the mailbox's list unless they are only removed.
pub fn settle(tx: &Tx<'_>, mailbox: MailboxId, names: &FlagNames, op: FlagOp) -> Applied<Vec<String>> {
    let mut settled: Vec<String> = Vec::new();
    for name in &names.keywords {
        check(name)?;
        let spelt = match op {
            FlagOp::Remove => known(tx, mailbox, name)?.unwrap_or_else(|| name.clone()),
            FlagOp::Set | FlagOp::Add => learn(tx, mailbox, name)?,
        };
        if !holds(&settled, &spelt) {
            settled.push(spelt);
        }
    }
    Ok(settled)
}

/// The set that a message has after `op` with `names`.
pub fn apply(tx: &Tx<'_>, old: KeywordSet, op: FlagOp, names: &[String]) -> Applied<KeywordSet> {
    let mut set = match op {
        FlagOp::Set => Vec::new(),
        FlagOp::Add | FlagOp::Remove => names_of(tx, old)?,
    };
    match op {
        FlagOp::Set | FlagOp::Add => {
            let new: Vec<&String> = names.iter().filter(|name| !holds(&set, name)).collect();
            set.extend(new.into_iter().cloned());
        }
        FlagOp::Remove => set.retain(|name| !holds(names, name)),
    }
    intern(tx, set)
}

/// A message with this set comes into a mailbox: its list learns the names.
pub fn learn_set(tx: &Tx<'_>, mailbox: MailboxId, set: KeywordSet) -> Applied<()> {
    for name in names_of(tx, set)? {
        learn(tx, mailbox, &name)?;
    }
    Ok(())
}

fn names_of(tx: &Tx<'_>, set: KeywordSet) -> Applied<Vec<String>> {
    if set == KeywordSet::default() {
        return Ok(Vec::new());
    }
    let names: Option<String> = tx
        .statement("SELECT names FROM keyword_set WHERE id = ?1")?
        .query_row([set], |row| row.get(0))
        .optional()?;
    Ok(names.map(|names| names.split(' ').map(String::from).collect()).unwrap_or_default())
}

fn intern(tx: &Tx<'_>, mut names: Vec<String>) -> Applied<KeywordSet> {
    if names.is_empty() {
        return Ok(KeywordSet::default());
    }
    if names.len() > KEYWORDS_PER_MESSAGE_MAX {
        return Err(
            Refused::Limit(format!("at most {KEYWORDS_PER_MESSAGE_MAX} keywords on a message")).into()
        );
    }
    names.sort_unstable();
    let names = names.join(" ");
    let found = tx
        .statement("SELECT id FROM keyword_set WHERE names = ?1")?
        .query_row([&names], |row| row.get(0))
        .optional()?;
    if let Some(set) = found {
        return Ok(set);
    }
    let sql = "INSERT INTO keyword_set (id, names)
        VALUES ((SELECT coalesce(max(id), 0) + 1 FROM keyword_set), ?1) RETURNING id";
    Ok(tx.statement(sql)?.query_row([&names], |row| row.get(0))?)
}

/// flag-keyword = atom (RFC 9051 section 9), perhaps with the `$` of a registered one.
fn check(name: &str) -> Applied<()> {
    let atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    if name.is_empty() || !name.bytes().all(atom) {
        return Err(Refused::BadName("a keyword is made of letters, digits and some signs".into()).into());
    }
    if name.len() > KEYWORD_BYTES_MAX {
        return Err(Refused::Limit(format!("a keyword has at most {KEYWORD_BYTES_MAX} bytes")).into());
    }
    Ok(())
}

fn known(tx: &Tx<'_>, mailbox: MailboxId, name: &str) -> Applied<Option<String>> {
    let found = tx
        .statement("SELECT name FROM mailbox_keyword WHERE mailbox = ?1 AND folded = ?2")?
        .query_row((mailbox, name.to_ascii_lowercase()), |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn learn(tx: &Tx<'_>, mailbox: MailboxId, name: &str) -> Applied<String> {
    if let Some(spelt) = known(tx, mailbox, name)? {
        return Ok(spelt);
    }
    let count: usize = tx
        .statement("SELECT count(*) FROM mailbox_keyword WHERE mailbox = ?1")?
        .query_row([mailbox], |row| row.get(0))?;
    if count >= KEYWORDS_PER_MAILBOX_MAX {
        let why = format!("at most {KEYWORDS_PER_MAILBOX_MAX} different keywords in a mailbox");
        return Err(Refused::Limit(why).into());
    }
    tx.execute(
        "INSERT INTO mailbox_keyword (mailbox, folded, name) VALUES (?1, ?2, ?3)",
        (mailbox, name.to_ascii_lowercase(), name),
    )?;
    Ok(name.into())
}

fn holds(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
