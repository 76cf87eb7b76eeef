//! What moved in a mailbox, and the shared cache of views that is brought up to date with it.
//!
//! A view is remembered weakly for as long as a session holds it, and strongly while all those remembered so stay within
//! `VIEW_CACHE_BYTES`. Only the newest view of a mailbox is remembered: older ones belong to sessions that have not told
//! their clients yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use rusqlite::Row;

use crate::base::limits::CHANGES_ON_LOOP_MAX;
use crate::base::{AccountId, MailboxId, ModSeq, Uid, UidSet};

use super::{AtOnce, Change, Flags, Question, Reader, StoreError, View, ViewAt};

/// Views kept although no session holds them.
const VIEW_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Remembered views past which the dead ones are forgotten.
const VIEWS_REMEMBERED: usize = 256;
/// A mailbox of at most this many messages is loaded on the loop: a handful of pages.
const VIEW_ON_LOOP_MAX: u32 = 256;
/// From this many changes on, walking the mailbox in order of uid beats sorting them.
const CHANGES_SORTED_MAX: usize = 4_096;

#[derive(Default)]
pub struct ViewCache {
    views: BTreeMap<(MailboxId, AccountId), Remembered>,
    /// Counts uses, for the order in which strong references are given up.
    clock: u64,
}

struct Remembered {
    view: Weak<View>,
    strong: Option<Arc<View>>,
    used: u64,
}

impl ViewCache {
    fn find(&mut self, mailbox: MailboxId, account: AccountId) -> Option<Arc<View>> {
        self.clock += 1;
        let remembered = self.views.get_mut(&(mailbox, account))?;
        remembered.used = self.clock;
        remembered.view.upgrade()
    }

    fn keep(&mut self, view: &Arc<View>) {
        self.clock += 1;
        let entry =
            Remembered { view: Arc::downgrade(view), strong: Some(Arc::clone(view)), used: self.clock };
        self.views.insert((view.mailbox, view.account), entry);
        self.shrink();
        if self.views.len() > VIEWS_REMEMBERED {
            self.views.retain(|_, remembered| remembered.view.strong_count() > 0);
        }
    }

    /// Keeps only the views that somebody holds.
    pub fn rest(&mut self) {
        self.views.values_mut().for_each(|remembered| remembered.strong = None);
        self.views.retain(|_, remembered| remembered.view.strong_count() > 0);
    }

    /// Lets the least recently used strong references go; the view just kept stays.
    fn shrink(&mut self) {
        let strong = |remembered: &Remembered| remembered.strong.as_ref().map_or(0, |view| view.bytes());
        let mut bytes: usize = self.views.values().map(strong).sum();
        while bytes > VIEW_CACHE_BYTES {
            let held = self.views.values_mut().filter(|held| held.strong.is_some() && held.used < self.clock);
            let Some(oldest) = held.min_by_key(|remembered| remembered.used) else { return };
            bytes -= strong(oldest);
            oldest.strong = None;
        }
    }
}

impl Reader {
    /// The view as of this turn's snapshot, from the shared cache brought up to date with a few rows, or the question
    /// to ask for it.
    pub fn view(&self, mailbox: MailboxId, account: AccountId) -> Result<ViewAt, StoreError> {
        let Some(now) = self.mailbox_state(mailbox)? else {
            return Ok(ViewAt::Ready(Arc::new(View::new(mailbox, account, ModSeq(0), Uid(1), &[]))));
        };
        let cached = self.views.borrow_mut().find(mailbox, account);
        let view = match cached {
            Some(view) if view.modseq >= now.modseq => return Ok(ViewAt::Ready(view)),
            Some(view) => self.advanced(&view, &now)?,
            None if now.messages <= VIEW_ON_LOOP_MAX => Some(self.load_view(mailbox, account)?),
            None => None,
        };
        match view {
            Some(view) => {
                let view = Arc::new(view);
                self.keep(&view);
                Ok(ViewAt::Ready(view))
            }
            None => Ok(ViewAt::Ask(Question::View { mailbox, account })),
        }
    }

    /// Puts a view that the reader thread loaded into the shared cache.
    pub fn keep(&self, view: &Arc<View>) {
        let mut views = self.views.borrow_mut();
        let newer = views.find(view.mailbox, view.account).is_some_and(|known| known.modseq > view.modseq);
        if !newer {
            views.keep(view);
        }
    }

    /// `None` where too much has changed, or not all changes are known any more.
    fn advanced(&self, view: &View, now: &MailboxState) -> Result<Option<View>, StoreError> {
        if view.modseq < now.complete_from {
            return Ok(None);
        }
        let limit = CHANGES_ON_LOOP_MAX + 1;
        let gone = self.expunged_between(view.mailbox, view.modseq, now.modseq, limit)?;
        if gone.len() >= limit {
            return Ok(None);
        }
        let changed = self.changes(view.mailbox, view.account, view.modseq, Uid(1), limit)?;
        if changed.len() >= limit {
            return Ok(None);
        }
        let gone = gone.iter().map(|row| row.uid.0).collect();
        Ok(Some(view.advance(&gone, &changed, now.modseq, now.uid_next)))
    }

    /// `current` as it stood at `modseq` with `uid_next`: expunged uids put back, later ones taken out. Flags are the
    /// current ones. `None` where the expunged rows of that time are no longer kept.
    pub fn view_as_of(
        &self,
        current: &Arc<View>,
        modseq: ModSeq,
        uid_next: Uid,
    ) -> Result<Option<Arc<View>>, StoreError> {
        if current.modseq == modseq {
            return Ok(Some(Arc::clone(current)));
        }
        match self.mailbox_state(current.mailbox)? {
            Some(now) if now.complete_from <= modseq => {}
            _ => return Ok(None),
        }
        let mut back = self.expunged_between(current.mailbox, modseq, current.modseq, usize::MAX)?;
        back.retain(|row| row.uid < uid_next);
        back.sort_unstable_by_key(|row| row.uid);
        for row in &mut back {
            row.modseq = modseq;
        }
        let later = current.iter_from(current.seq_from(uid_next)).map(|(_, row)| row.uid.0).collect();
        Ok(Some(Arc::new(current.advance(&later, &back, modseq, uid_next))))
    }

    /// `view_as_of` where little was expunged since then; else the question, which is answered by `Reply::ViewAsOf`.
    pub fn view_then(
        &self,
        current: &Arc<View>,
        modseq: ModSeq,
        uid_next: Uid,
    ) -> Result<AtOnce<Option<Arc<View>>>, StoreError> {
        if self.expunged_much(current.mailbox, modseq, current.modseq)? {
            let (mailbox, account) = (current.mailbox, current.account);
            return Ok(AtOnce::Ask(Question::ViewAsOf { mailbox, account, modseq, uid_next }));
        }
        Ok(AtOnce::Ready(self.view_as_of(current, modseq, uid_next)?))
    }

    /// Uids expunged after `since` and up to `until` (RFC 7162 VANISHED EARLIER), and whether the record reaches back
    /// that far: if not, the caller must treat every uid it does not see as vanished. Many of them are the reader
    /// thread's to read, which answers `Reply::Expunged`.
    pub fn expunged(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        until: ModSeq,
    ) -> Result<AtOnce<(UidSet, bool)>, StoreError> {
        if self.expunged_much(mailbox, since, until)? {
            return Ok(AtOnce::Ask(Question::Expunged { mailbox, since, until }));
        }
        Ok(AtOnce::Ready(self.expunged_until(mailbox, since, until)?))
    }

    fn expunged_much(&self, mailbox: MailboxId, since: ModSeq, until: ModSeq) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM expunged INDEXED BY expunged_modseq
            WHERE mailbox = ?1 AND modseq > ?2 AND modseq <= ?3 LIMIT ?4)";
        let most = CHANGES_ON_LOOP_MAX as i64 + 1;
        Ok(self.one(sql, (mailbox, since, until, most), |row| row.get::<_, i64>(0))? == Some(most))
    }

    pub(super) fn expunged_until(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        until: ModSeq,
    ) -> Result<(UidSet, bool), StoreError> {
        let Some(now) = self.mailbox_state(mailbox)? else { return Ok((UidSet::new(), true)) };
        let rows = self.expunged_between(mailbox, since, until, usize::MAX)?;
        let mut uids: Vec<u32> = rows.iter().map(|row| row.uid.0).collect();
        uids.sort_unstable();
        Ok((uids.into_iter().collect(), now.complete_from <= since))
    }

    /// All of them at once, however many: never on the loop.
    pub fn expunged_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<(UidSet, bool), StoreError> {
        self.expunged_until(mailbox, since, ModSeq(i64::MAX as u64))
    }

    /// Present messages with a modseq above `since`, ascending by uid, from uid `from` on, at most `limit`.
    pub fn changes(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        since: ModSeq,
        from: Uid,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        if self.many_changes(mailbox, since)? {
            return self.scan_changes(mailbox, account, since, from, limit);
        }
        let sql = "SELECT m.uid, m.flags, m.keywords, m.modseq, s.seen, s.modseq
            FROM (SELECT uid FROM message INDEXED BY message_modseq
                      WHERE mailbox = ?1 AND modseq > ?3 AND uid >= ?4
                  UNION SELECT uid FROM seen INDEXED BY seen_modseq
                      WHERE mailbox = ?1 AND account = ?2 AND modseq > ?3 AND uid >= ?4) AS c
            CROSS JOIN message AS m ON m.mailbox = ?1 AND m.uid = c.uid
            LEFT JOIN seen AS s ON s.mailbox = ?1 AND s.account = ?2 AND s.uid = c.uid
            ORDER BY c.uid LIMIT ?5";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, (mailbox, account, since, from, limit), |row| {
            let mut change = change_row(row)?;
            if let Some(seen) = row.get::<_, Option<bool>>(4)? {
                change = with_seen(change, seen, row.get(5)?);
            }
            Ok(change)
        })
    }

    fn many_changes(&self, mailbox: MailboxId, since: ModSeq) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM message WHERE mailbox = ?1 AND modseq > ?2 LIMIT ?3)";
        let most = CHANGES_SORTED_MAX as i64;
        Ok(self.one(sql, (mailbox, since, most), |row| row.get::<_, i64>(0))? == Some(most))
    }

    fn scan_changes(
        &self,
        mailbox: MailboxId,
        account: AccountId,
        since: ModSeq,
        from: Uid,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        self.scan(mailbox, account, from, |change| {
            if change.modseq > since {
                changes.push(change);
            }
            changes.len() < limit
        })?;
        changes.truncate(limit);
        Ok(changes)
    }

    /// What was expunged after `since` and not after `until`, in order of modseq.
    fn expunged_between(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        until: ModSeq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let sql = "SELECT uid, flags, keywords, modseq FROM expunged
            WHERE mailbox = ?1 AND modseq > ?2 AND modseq <= ?3 ORDER BY modseq LIMIT ?4";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, (mailbox, since, until, limit), change_row)
    }

    pub(super) fn mailbox_state(&self, mailbox: MailboxId) -> Result<Option<MailboxState>, StoreError> {
        if let Some((_, state)) = self.state_of_turn.get().filter(|(of, _)| *of == mailbox) {
            return Ok(Some(state));
        }
        let sql = "SELECT modseq, uid_next, complete_from, messages FROM mailbox WHERE id = ?1";
        let state = self.one(sql, [mailbox], |row| {
            Ok(MailboxState {
                modseq: row.get(0)?,
                uid_next: row.get(1)?,
                complete_from: row.get(2)?,
                messages: row.get(3)?,
            })
        })?;
        self.state_of_turn.set(state.map(|state| (mailbox, state)));
        Ok(state)
    }
}

/// Where a mailbox stands in this snapshot.
#[derive(Clone, Copy)]
pub struct MailboxState {
    pub modseq: ModSeq,
    pub uid_next: Uid,
    /// Expunges after this modseq are all on record.
    pub complete_from: ModSeq,
    pub messages: u32,
}

/// `uid, flags, keywords, modseq`, as the first columns of a row.
pub fn change_row(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        uid: row.get(0)?,
        flags: Flags { system: row.get(1)?, keywords: row.get(2)? },
        modseq: row.get(3)?,
    })
}

/// The row as the account sees it that said this about `\Seen`.
pub fn with_seen(mut change: Change, seen: bool, modseq: ModSeq) -> Change {
    if seen {
        change.flags.system |= Flags::SEEN;
    }
    change.modseq = change.modseq.max(modseq);
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_rest_only_views_that_are_held_are_kept() {
        let view = |number| Arc::new(View::new(MailboxId(number), AccountId(1), ModSeq(0), Uid(1), &[]));
        let mut cache = ViewCache::default();
        let held = view(1);
        cache.keep(&held);
        cache.keep(&view(2));
        assert!(cache.find(MailboxId(2), AccountId(1)).is_some(), "kept although nobody holds it");
        cache.rest();
        assert!(cache.find(MailboxId(2), AccountId(1)).is_none());
        assert!(cache.find(MailboxId(1), AccountId(1)).is_some_and(|found| Arc::ptr_eq(&found, &held)));
    }
}
