//! What a strict IMAP client believes about the selected mailbox, from nothing but what the server told it, and what it
//! does not put up with: RFC 9051 section 7.5.1 (when EXPUNGE may come), section 2.3.1 (uids and sequence numbers),
//! RFC 7162 (modseqs and VANISHED).

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{self, Item};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub uid: Option<u32>,
    pub flags: Option<BTreeSet<String>>,
    pub modseq: u64,
}

/// What the client is in the middle of, as far as it decides what may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum During {
    /// No command is in progress.
    #[default]
    Nothing,
    /// FETCH, STORE, SEARCH with sequence numbers: no message may go.
    Numbers,
    /// SELECT with QRESYNC.
    Resync,
    Other,
}

/// What is remembered between connections.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub validity: u64,
    pub modseq: u64,
    pub messages: BTreeMap<u32, (BTreeSet<String>, u64)>,
}

#[derive(Default)]
pub struct Picture {
    pub entries: Vec<Entry>,
    pub validity: u64,
    /// The highest modseq up to which everything has surely been told.
    pub modseq: u64,
    pub condstore: bool,
    pub qresync: bool,
    pub during: During,
    /// The highest modseq seen anywhere.
    seen_modseq: u64,
    /// During a resync: what is known by uid before the numbers are.
    resync: BTreeMap<u32, (BTreeSet<String>, u64)>,
    resync_numbers: Vec<(u32, u32)>,
    exists: u32,
}

type Check = Result<(), String>;

impl Picture {
    pub fn clear(&mut self) {
        let (condstore, qresync, during) = (self.condstore, self.qresync, self.during);
        *self = Picture { condstore, qresync, during, ..Picture::default() };
    }

    /// A SELECT with these remembered messages begins.
    pub fn begin_resync(&mut self, cache: &Cache) {
        self.resync = cache.messages.clone();
        self.resync_numbers.clear();
    }

    pub fn exists(&mut self, count: u32) -> Check {
        if self.during == During::Resync {
            self.exists = count;
            return Ok(());
        }
        if (count as usize) < self.entries.len() {
            return Err(format!("EXISTS {count} after {}", self.entries.len()));
        }
        self.entries.resize(count as usize, Entry::default());
        Ok(())
    }

    pub fn expunge(&mut self, number: u32) -> Check {
        self.may_go("EXPUNGE")?;
        if self.qresync {
            return Err("EXPUNGE after QRESYNC was enabled: VANISHED is due".into());
        }
        if number == 0 || number as usize > self.entries.len() {
            return Err(format!("EXPUNGE {number} of {}", self.entries.len()));
        }
        self.entries.remove(number as usize - 1);
        Ok(())
    }

    fn may_go(&self, what: &str) -> Check {
        match self.during {
            During::Nothing => Err(format!("{what} while no command is in progress")),
            During::Numbers => Err(format!("{what} while a command with sequence numbers is in progress")),
            During::Resync | During::Other => Ok(()),
        }
    }

    /// `* SORT …` and `* THREAD …` by number: nothing twice, and nothing that the client does not count.
    pub fn arranged(&mut self, items: &[Item]) -> Check {
        let mut told = std::collections::BTreeSet::new();
        let mut rest: Vec<&Item> = items.iter().collect();
        while let Some(item) = rest.pop() {
            let Some(number) = item.number() else {
                rest.extend(item.list());
                continue;
            };
            if number == 0 || number > self.entries.len() as u64 || !told.insert(number) {
                return Err(format!("{number} of {} was arranged once too often", self.entries.len()));
            }
        }
        Ok(())
    }

    /// `* VANISHED [(EARLIER)] set`.
    pub fn vanished(&mut self, items: &[Item]) -> Check {
        let earlier = matches!(items.first(), Some(Item::List(_)));
        let set = items.last().map(Item::text).unwrap_or_default();
        let uids = wire::numbers(&set).ok_or_else(|| format!("VANISHED {set}"))?;
        if !self.qresync {
            return Err("VANISHED before QRESYNC was enabled".into());
        }
        if earlier {
            uids.iter().for_each(|uid| {
                self.resync.remove(uid);
            });
            return Ok(());
        }
        self.may_go("VANISHED")?;
        for uid in uids {
            // A message whose uid was not told yet is one of those between its neighbours, and they are all alike.
            let known = self.entries.iter().position(|entry| entry.uid == Some(uid));
            let end = self.entries.iter().position(|entry| entry.uid.is_some_and(|u| u > uid));
            let end = end.unwrap_or(self.entries.len());
            let unknown = || end.checked_sub(1).filter(|&at| self.entries[at].uid.is_none());
            let at = known.or_else(unknown);
            let at = at.ok_or_else(|| format!("VANISHED {uid}, which is not there"))?;
            self.entries.remove(at);
        }
        Ok(())
    }

    /// `* n FETCH (…)`: what it says about uid, flags and modseq.
    pub fn fetch(&mut self, number: u32, items: &[Item]) -> Check {
        let uid = value(items, "UID").and_then(Item::number).map(|uid| uid as u32);
        let modseq = value(items, "MODSEQ").and_then(|item| item.list().first().and_then(Item::number));
        let flags = value(items, "FLAGS").map(|item| {
            item.list().iter().map(|flag| flag.text().to_lowercase()).filter(|f| f != "\\recent").collect()
        });
        self.seen_modseq = self.seen_modseq.max(modseq.unwrap_or(0));
        if self.during == During::Resync {
            return self.fetch_in_resync(number, uid, flags, modseq);
        }
        let length = self.entries.len();
        let qresync = self.qresync;
        let condstore = self.condstore;
        let during = self.during;
        let entry = number.checked_sub(1).and_then(|at| self.entries.get_mut(at as usize));
        let entry = entry.ok_or_else(|| format!("FETCH of message {number} of {length}"))?;
        if let (Some(known), Some(told)) = (entry.uid, uid)
            && known != told
        {
            return Err(format!("message {number} was uid {known} and is now {told}"));
        }
        if qresync && uid.is_none() && flags.is_some() && during != During::Numbers {
            return Err(format!(
                "FETCH {number} without UID after QRESYNC was enabled (RFC 7162 section 3.2.4)"
            ));
        }
        if condstore && flags.is_some() && modseq.is_none() {
            return Err(format!("FETCH {number} with FLAGS but no MODSEQ after CONDSTORE was enabled"));
        }
        if modseq.is_some_and(|told| told < entry.modseq) {
            return Err(format!("message {number}: modseq went back from {} to {modseq:?}", entry.modseq));
        }
        entry.uid = uid.or(entry.uid);
        entry.flags = flags.or(entry.flags.take());
        entry.modseq = modseq.unwrap_or(entry.modseq);
        self.ascending(number as usize - 1)
    }

    fn ascending(&self, at: usize) -> Check {
        let Some(uid) = self.entries[at].uid else { return Ok(()) };
        let before = self.entries[..at].iter().rev().find_map(|entry| entry.uid);
        let after = self.entries[at + 1..].iter().find_map(|entry| entry.uid);
        if before.is_some_and(|before| before >= uid) || after.is_some_and(|after| after <= uid) {
            return Err(format!("uid {uid} is not between {before:?} and {after:?}"));
        }
        Ok(())
    }

    fn fetch_in_resync(
        &mut self,
        number: u32,
        uid: Option<u32>,
        flags: Option<BTreeSet<String>>,
        modseq: Option<u64>,
    ) -> Check {
        let (Some(uid), Some(flags), Some(modseq)) = (uid, flags, modseq) else {
            return Err(format!("FETCH {number} in a resync lacks UID, FLAGS or MODSEQ"));
        };
        if self.resync.get(&uid).is_some_and(|known| known.1 > modseq) {
            return Err(format!("uid {uid}: modseq went back in a resync"));
        }
        self.resync.insert(uid, (flags, modseq));
        self.resync_numbers.push((number, uid));
        Ok(())
    }

    /// The tagged OK of a SELECT with QRESYNC: what is known by uid becomes the picture.
    pub fn end_resync(&mut self) -> Check {
        let resync = std::mem::take(&mut self.resync);
        if resync.len() != self.exists as usize {
            return Err(format!(
                "after the resync {} messages are known, {} exist",
                resync.len(),
                self.exists
            ));
        }
        let uids: Vec<u32> = resync.keys().copied().collect();
        for (number, uid) in std::mem::take(&mut self.resync_numbers) {
            if uids.get(number as usize - 1) != Some(&uid) {
                return Err(format!("in the resync uid {uid} had the number {number}"));
            }
        }
        let entry = |(uid, (flags, modseq))| Entry { uid: Some(uid), flags: Some(flags), modseq };
        self.entries = resync.into_iter().map(entry).collect();
        Ok(())
    }

    /// The server has just told everything there was to tell (the end of NOOP or IDLE): modseqs seen are now safe.
    pub fn up_to_date(&mut self) {
        self.modseq = self.modseq.max(self.seen_modseq);
    }

    /// `[HIGHESTMODSEQ n]`.
    pub fn highest(&mut self, modseq: u64) -> Check {
        if modseq < self.modseq {
            return Err(format!("HIGHESTMODSEQ went back from {} to {modseq}", self.modseq));
        }
        Ok(())
    }

    /// What can be taken to the next connection, if all of it is known.
    pub fn cache(&self) -> Option<Cache> {
        let mut messages = BTreeMap::new();
        for entry in &self.entries {
            messages.insert(entry.uid?, (entry.flags.clone()?, entry.modseq));
        }
        (self.validity > 0 && self.modseq > 0).then_some(Cache {
            validity: self.validity,
            modseq: self.modseq,
            messages,
        })
    }
}

/// The value after a name in a FETCH list.
pub fn value<'a>(items: &'a [Item], name: &str) -> Option<&'a Item> {
    let list = items.first()?.list();
    let at =
        list.iter().position(|item| matches!(item, Item::Atom(atom) if atom.eq_ignore_ascii_case(name)))?;
    list.get(at + 1)
}
