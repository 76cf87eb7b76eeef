//! A model of mailboxes beside the store: what must be in the file after every commit, kept in maps. It learns each
//! batch with its outcome at the moment of the commit, checks that the outcome is one that the rules allow (uids and
//! modseqs only grow, nothing is given twice), and is compared with the file after every crash and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pillarbox::base::{AccountId, BodyId, MailboxId, ModSeq, Ticket, Uid, UidSet, UidValidity};
use pillarbox::store::{
    ChangeFlags, Columns, Delivered, Done, FlagNames, FlagOp, Flags, NewBody, Outcome, Question, Reader,
    Reply, Slice, Transfer, Usage, Write,
};

use super::{corpus, store};

#[derive(Default)]
pub struct Model {
    boxes: BTreeMap<MailboxId, Mailbox>,
    /// How many times the message with this token was committed as a new one.
    pub tokens: BTreeMap<String, u32>,
    /// Tokens of bodies that came in slices.
    staged: BTreeMap<BodyId, String>,
    /// What the writer was about to commit when it last began: after a crash it may be there or not, as a whole.
    in_flight: Vec<Write>,
    /// Uids for which a POP3 client has said QUIT: no others may be removed. `None` where nobody keeps count.
    pub quitting: Option<BTreeSet<u32>>,
    /// Mailboxes were renamed or deleted: what is in them is learned from the file instead of foretold.
    pub adopt: bool,
    /// Messages whose bytes have been compared with their hash since the last boot.
    verified: BTreeSet<(MailboxId, Uid)>,
}

#[derive(Clone, Default)]
struct Mailbox {
    owner: AccountId,
    validity: UidValidity,
    /// All uids ever told are below this.
    uid_next: u32,
    /// The highest modseq ever told.
    modseq: ModSeq,
    messages: BTreeMap<Uid, Message>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    token: Option<String>,
    system: u8,
    keywords: BTreeSet<String>,
    modseq: ModSeq,
}

type Check = Result<(), String>;

impl Model {
    /// The writer begins a batch.
    pub fn begin(&mut self, writes: &[Write]) {
        self.in_flight = writes.to_vec();
    }

    /// A batch is durable: applies it, and says what its outcomes break.
    pub fn commit(&mut self, writes: &[Write], results: &[(Ticket, Outcome)]) -> Check {
        self.in_flight.clear();
        if writes.len() != results.len() {
            return Err(format!("{} writes have {} outcomes", writes.len(), results.len()));
        }
        let moves_mailboxes =
            |write: &Write| matches!(write, Write::DeleteMailbox { .. } | Write::RenameMailbox { .. });
        let moved = writes.iter().zip(results).any(|(w, (_, o))| moves_mailboxes(w) && o.result.is_ok());
        for (write, (_, outcome)) in writes.iter().zip(results) {
            if let Ok(done) = &outcome.result {
                if moved {
                    self.count(write);
                    self.adopt = true;
                    continue;
                }
                self.apply(write, done).map_err(|wrong| format!("{wrong} in {}", short(write)))?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write, done: &Done) -> Check {
        match (write, done) {
            (Write::Stage { body, seq, slice, .. }, Done::Staged(id)) => {
                if *seq == 0 && body.is_none() {
                    self.staged.extend(corpus::token_of(&plain(slice)).map(|token| (*id, token)));
                }
                Ok(())
            }
            (Write::Park { body, .. }, Done::Staged(id)) => {
                self.staged.extend(self.token(body).map(|token| (*id, token)));
                Ok(())
            }
            (Write::AppendAll(appends), Done::AppendedAll(places)) => {
                if appends.len() != places.len() {
                    return Err(format!("{} messages are at {} places", appends.len(), places.len()));
                }
                appends.iter().zip(places).try_for_each(|(append, at)| {
                    let token = self.count_body(&append.body);
                    self.arrive(at, token, &append.flags, true)
                })
            }
            (Write::Deliver(deliver), Done::Delivered(places)) => {
                let token = self.count_body(&deliver.body);
                places
                    .iter()
                    .zip(&deliver.to)
                    .try_for_each(|(at, to)| self.arrive(at, token.clone(), &to.flags, false))
            }
            (Write::Append(append), Done::Appended(at)) => {
                let token = self.count_body(&append.body);
                self.arrive(at, token, &append.flags, false)
            }
            (Write::Flags(change), Done::Flags { modseq, changed, modified }) => {
                self.flags(change, *modseq, changed, modified)
            }
            (Write::Expunge(expunge), Done::Expunged { modseq, uids }) => {
                let deleted = pillarbox::store::Flags::DELETED;
                self.expunge(expunge.mailbox, expunge.uids.as_ref(), deleted, *modseq, uids)
            }
            (Write::Remove(remove), Done::Expunged { modseq, uids }) => {
                let asked = |uid: &u32| self.quitting.as_ref().is_none_or(|asked| asked.contains(uid));
                if let Some(uid) = uids.iter().find(|uid| !asked(uid)) {
                    return Err(format!("uid {uid} was deleted and nobody said QUIT for it"));
                }
                self.expunge(remove.mailbox, Some(&remove.uids), 0, *modseq, uids)
            }
            (Write::Copy(transfer), Done::Copied { pairs, .. }) => self.transfer(transfer, pairs, false),
            (Write::Move(transfer), Done::Copied { pairs, .. }) => self.transfer(transfer, pairs, true),
            _ => Ok(()),
        }
    }

    /// Counts the new messages that a write brings; a parked one is not new before it is shown.
    fn count(&mut self, write: &Write) {
        if matches!(write, Write::Park { .. }) {
            return;
        }
        for body in write.bodies() {
            self.count_body(body);
        }
    }

    fn count_body(&mut self, body: &NewBody) -> Option<String> {
        let token = self.token(body)?;
        *self.tokens.entry(token.clone()).or_default() += 1;
        Some(token)
    }

    fn token(&self, body: &NewBody) -> Option<String> {
        match body {
            NewBody::Inline { slice, .. } => corpus::token_of(&plain(slice)),
            NewBody::Staged { body, .. } | NewBody::Parked { body, .. } => self.staged.get(body).cloned(),
        }
    }

    /// `beside`: it may be one of several of the same write.
    fn arrive(&mut self, at: &Delivered, token: Option<String>, flags: &FlagNames, beside: bool) -> Check {
        let mailbox = self.boxes.entry(at.mailbox).or_default();
        (mailbox.owner, mailbox.validity) = (at.account, at.validity);
        mailbox.take_uid(at.uid)?;
        // Messages that came in together have one modseq.
        let together = mailbox.messages.get(&Uid(at.uid.0 - 1)).is_some_and(|last| last.modseq == at.modseq);
        if !(together && beside) {
            mailbox.take_modseq(at.modseq)?;
        }
        let keywords = folded(flags).collect();
        let message = Message { token, system: flags.system, keywords, modseq: at.modseq };
        mailbox.messages.insert(at.uid, message);
        Ok(())
    }

    fn flags(&mut self, change: &ChangeFlags, modseq: ModSeq, changed: &UidSet, modified: &UidSet) -> Check {
        let mailbox = self.boxes.entry(change.mailbox).or_default();
        let mut really = UidSet::new();
        let mut failed = UidSet::new();
        for (uid, message) in &mut mailbox.messages {
            if !change.uids.contains(uid.0) {
                continue;
            }
            // The modseq of a copy is not known before the file has been read: then the store's word is taken.
            let unknown = message.modseq == ModSeq(0) && modified.contains(uid.0);
            if change.unchanged_since.is_some_and(|since| message.modseq > since || unknown) {
                failed.insert(uid.0);
                continue;
            }
            let before = message.clone();
            message.change(change.op, &change.flags);
            if *message != before {
                really.insert(uid.0);
                message.modseq = modseq;
            }
        }
        if really != *changed || failed != *modified {
            return Err(format!("flags changed {really}, not {changed}; modified {failed}, not {modified}"));
        }
        if really.is_empty() { Ok(()) } else { mailbox.take_modseq(modseq) }
    }

    /// All of `only` (or of all) that have these flags are gone.
    fn expunge(
        &mut self,
        id: MailboxId,
        only: Option<&UidSet>,
        flags: u8,
        modseq: ModSeq,
        uids: &UidSet,
    ) -> Check {
        let mailbox = self.boxes.entry(id).or_default();
        let due = |uid: &Uid, message: &Message| {
            message.system & flags == flags && only.is_none_or(|only| only.contains(uid.0))
        };
        let gone: UidSet = mailbox.messages.iter().filter(|(u, m)| due(u, m)).map(|(u, _)| u.0).collect();
        mailbox.messages.retain(|uid, message| !due(uid, message));
        if gone != *uids {
            return Err(format!("expunged {uids}, not {gone}"));
        }
        if gone.is_empty() { Ok(()) } else { mailbox.take_modseq(modseq) }
    }

    fn transfer(&mut self, transfer: &Transfer, pairs: &[(Uid, Uid)], takes: bool) -> Check {
        let from = self.boxes.entry(transfer.from).or_default();
        let present: Vec<Uid> =
            from.messages.keys().copied().filter(|u| transfer.uids.contains(u.0)).collect();
        if present != pairs.iter().map(|pair| pair.0).collect::<Vec<_>>() {
            return Err(format!("transferred {pairs:?}, not {present:?}"));
        }
        let moved: Vec<Message> = present.iter().filter_map(|uid| from.messages.get(uid).cloned()).collect();
        if takes {
            from.messages.retain(|uid, _| !present.contains(uid));
        }
        let to = self.boxes.entry(transfer.to).or_default();
        for (&(_, uid), mut message) in pairs.iter().zip(moved) {
            to.take_uid(uid)?;
            // The outcome does not say it; `meet` learns it from the file.
            message.modseq = ModSeq(0);
            to.messages.insert(uid, message);
        }
        Ok(())
    }

    // --- against the file ---

    /// Compares the file with the model. What was in flight at a crash may be there or not; after that it is known.
    pub fn meet(&mut self, reader: &Reader) -> Check {
        let result = self.compare(reader);
        reader.end_turn();
        self.in_flight.clear();
        self.verified.clear();
        result
    }

    /// Takes the file's word for what is in the mailboxes; uids and modseqs may still not go back.
    pub fn learn(&mut self, reader: &Reader) -> Check {
        self.adopt = false;
        let stored = self.stored(reader);
        reader.end_turn();
        for (id, mut mailbox) in stored? {
            if let Some(known) = self.boxes.get(&id) {
                mailbox.uid_next = mailbox.uid_next.max(known.uid_next);
                mailbox.modseq = mailbox.modseq.max(known.modseq);
            }
            self.boxes.insert(id, mailbox);
        }
        Ok(())
    }

    fn stored(&mut self, reader: &Reader) -> Result<BTreeMap<MailboxId, Mailbox>, String> {
        let accounts = reader.accounts().map_err(|e| e.to_string())?;
        let mut stored = BTreeMap::new();
        for account in &accounts {
            let mut used = Usage::default();
            for row in reader.mailboxes(account.id).map_err(|e| e.to_string())? {
                let mailbox = self.load(reader, &row)?;
                if row.messages as usize != mailbox.messages.len() {
                    return Err(format!(
                        "{} counts {} of {}",
                        row.name,
                        row.messages,
                        mailbox.messages.len()
                    ));
                }
                used.messages += mailbox.messages.len() as u64;
                used.bytes += row.bytes;
                used.mailboxes += 1;
                stored.insert(row.id, mailbox);
            }
            if account.used != used {
                return Err(format!("{} is said to hold {:?}, not {used:?}", account.name, account.used));
            }
        }
        Ok(stored)
    }

    fn compare(&mut self, reader: &Reader) -> Check {
        let stored = self.stored(reader)?;
        let first = self.boxes.is_empty();
        let mut landed = !first && !self.in_flight.is_empty() && self.clone_boxes_differ(&stored);
        for (id, found) in &stored {
            let Some(known) = self.boxes.get(id) else { continue };
            landed |= self.differ(*id, known, found)?;
        }
        if landed {
            self.all_landed(&stored)?;
        }
        self.boxes = stored;
        Ok(())
    }

    /// Mailboxes that the model does not know and that hold messages.
    fn clone_boxes_differ(&self, stored: &BTreeMap<MailboxId, Mailbox>) -> bool {
        stored.iter().any(|(id, found)| !self.boxes.contains_key(id) && !found.messages.is_empty())
    }

    /// Whether one mailbox is not as the model has it, for a reason that the batch in flight explains.
    fn differ(&self, id: MailboxId, known: &Mailbox, found: &Mailbox) -> Result<bool, String> {
        if found.uid_next < known.uid_next || found.modseq < known.modseq {
            return Err(format!(
                "mailbox {id} went back: uid {} to {}, modseq {} to {}",
                known.uid_next, found.uid_next, known.modseq, found.modseq
            ));
        }
        let mut other = false;
        for (uid, message) in &known.messages {
            let there = found.messages.get(uid);
            let same = there.is_some_and(|there| {
                let modseq = if message.modseq == ModSeq(0) { there.modseq } else { message.modseq };
                *there == Message { modseq, ..message.clone() }
            });
            if !same && !self.explains(id, *uid) {
                return Err(format!("mailbox {id} uid {uid} is {there:?}, not {message:?}"));
            }
            other |= !same;
        }
        for (uid, message) in found.messages.iter().filter(|(uid, _)| !known.messages.contains_key(uid)) {
            if uid.0 < known.uid_next || self.in_flight.is_empty() {
                return Err(format!("mailbox {id} has uid {uid} ({message:?}) that nobody put there"));
            }
            other = true;
        }
        Ok(other)
    }

    /// The batch in flight may have changed or taken this message.
    fn explains(&self, id: MailboxId, uid: Uid) -> bool {
        self.in_flight.iter().any(|write| match write {
            Write::Flags(change) => change.mailbox == id && change.uids.contains(uid.0),
            Write::Expunge(expunge) => {
                expunge.mailbox == id && expunge.uids.as_ref().is_none_or(|uids| uids.contains(uid.0))
            }
            Write::Remove(remove) => remove.mailbox == id && remove.uids.contains(uid.0),
            Write::Move(transfer) => transfer.from == id && transfer.uids.contains(uid.0),
            Write::DeleteMailbox { .. } | Write::RenameMailbox { .. } => true,
            _ => false,
        })
    }

    /// Something of the batch in flight is there: then all its new messages are.
    fn all_landed(&mut self, stored: &BTreeMap<MailboxId, Mailbox>) -> Check {
        for write in std::mem::take(&mut self.in_flight) {
            if matches!(write, Write::Park { .. }) {
                continue;
            }
            for token in write.bodies().filter_map(|body| self.token(body)).collect::<Vec<_>>() {
                let there = |m: &&Message| m.token.as_ref() == Some(&token);
                if stored.values().flat_map(|mailbox| mailbox.messages.values()).find(there).is_none() {
                    return Err(format!("a batch landed in part: {token} is not there"));
                }
                *self.tokens.entry(token).or_default() += 1;
            }
        }
        Ok(())
    }

    fn load(&mut self, reader: &Reader, row: &pillarbox::store::MailboxRow) -> Result<Mailbox, String> {
        let mut messages = BTreeMap::new();
        let mut counted = (0, 0, 0);
        let uids = Arc::new(UidSet::range(1..=u32::MAX - 1));
        let columns = Columns { body: true, ..Columns::default() };
        let mut from = Some(Uid(1));
        let view = match reader.answer(&Question::View { mailbox: row.id, account: row.account }) {
            Ok(Reply::View(view)) => view,
            other => return Err(format!("no view of {}: {other:?}", row.name)),
        };
        while let Some(start) = from {
            let question = Question::Rows {
                mailbox: row.id,
                account: row.account,
                uids: uids.clone(),
                from: start,
                columns,
            };
            let Ok(Reply::Rows(rows)) = reader.answer(&question) else {
                return Err(format!("no rows of {}", row.name));
            };
            for found in &rows.rows {
                let Some((_, shown)) = view.find(found.uid) else { continue };
                if (shown.flags, shown.modseq) != (found.flags, found.modseq) {
                    return Err(format!("uid {} of {}: view {shown:?}, row {found:?}", found.uid, row.name));
                }
                let names = reader.keywords(found.flags.keywords).map_err(|e| e.to_string())?;
                let first = &rows.arena[found.first_slice.clone()];
                if found.size > first.len() as u64 && self.verified.insert((row.id, found.uid)) {
                    self.check_long_body(reader, found.body, found.size)?;
                }
                let message = Message {
                    token: corpus::token_of(first),
                    system: found.flags.system,
                    keywords: names.iter().map(|name| name.to_lowercase()).collect(),
                    modseq: found.modseq,
                };
                messages.insert(found.uid, message);
                let deleted = u64::from(found.flags.has(Flags::DELETED));
                counted.0 += found.size;
                counted.1 += deleted;
                counted.2 += deleted * found.size;
            }
            from = rows.next;
        }
        if view.len() != messages.len() {
            return Err(format!("{}: the view shows {}, rows are {}", row.name, view.len(), messages.len()));
        }
        let said = (row.bytes, u64::from(row.deleted), row.deleted_bytes);
        if said != counted {
            return Err(format!(
                "{}: (bytes, deleted, bytes of those) are {counted:?}, not {said:?}",
                row.name
            ));
        }
        let (owner, validity, modseq) = (row.account, row.validity, row.modseq);
        Ok(Mailbox { owner, validity, uid_next: row.uid_next.0, modseq, messages })
    }

    /// The corpus's lines are numbered: all are there, in order.
    fn check_long_body(&self, reader: &Reader, body: BodyId, size: u64) -> Check {
        let bytes = store::whole_body(reader, body, size)?;
        if corpus::is_intact(&bytes) {
            return Ok(());
        }
        Err(format!("body {body} of {:?} is not what was sent", corpus::token_of(&bytes)))
    }

    pub fn messages(&self, mailbox: MailboxId) -> usize {
        self.boxes.get(&mailbox).map_or(0, |mailbox| mailbox.messages.len())
    }

    /// For the clients' pictures: uid, flags by name, modseq, in order of uid.
    pub fn picture(&self, mailbox: MailboxId) -> Vec<(u32, BTreeSet<String>, u64)> {
        let Some(mailbox) = self.boxes.get(&mailbox) else { return Vec::new() };
        mailbox.messages.iter().map(|(uid, m)| (uid.0, m.names(), m.modseq.0)).collect()
    }
}

impl Mailbox {
    fn take_uid(&mut self, uid: Uid) -> Check {
        if uid.0 < self.uid_next {
            return Err(format!("uid {uid} was given before: {} is next", self.uid_next));
        }
        self.uid_next = uid.0 + 1;
        Ok(())
    }

    fn take_modseq(&mut self, modseq: ModSeq) -> Check {
        if modseq <= self.modseq {
            return Err(format!("modseq {modseq} is not above {}", self.modseq));
        }
        self.modseq = modseq;
        Ok(())
    }
}

impl Message {
    fn change(&mut self, op: FlagOp, flags: &FlagNames) {
        match op {
            FlagOp::Set => (self.system, self.keywords) = (flags.system, folded(flags).collect()),
            FlagOp::Add => {
                self.system |= flags.system;
                self.keywords.extend(folded(flags));
            }
            FlagOp::Remove => {
                self.system &= !flags.system;
                folded(flags).for_each(|keyword| {
                    self.keywords.remove(&keyword);
                });
            }
        }
    }

    fn names(&self) -> BTreeSet<String> {
        const NAMES: [&str; 5] = ["\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"];
        let system = NAMES.iter().enumerate().filter(|(bit, _)| self.system & (1 << bit) != 0);
        system.map(|(_, name)| (*name).to_owned()).chain(self.keywords.iter().cloned()).collect()
    }
}

fn folded(flags: &FlagNames) -> impl Iterator<Item = String> + '_ {
    flags.keywords.iter().map(|keyword| keyword.to_lowercase())
}

/// The bytes of a slice.
fn plain(slice: &Slice) -> Vec<u8> {
    if !slice.compressed {
        return slice.stored.clone();
    }
    zstd::bulk::decompress(&slice.stored, slice.length as usize).unwrap_or_default()
}

fn short(write: &Write) -> String {
    let text = format!("{write:?}");
    text.chars().take(160).collect()
}
