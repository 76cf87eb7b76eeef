//! The plain model: mailboxes as maps in memory, and every write in the fewest words.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox::base::{AccountId, MailboxId, UidSet};
use pillarbox::store::{
    Admin, Append, ChangeFlags, Deliver, FlagNames, FlagOp, Flags, Limits, Place, Reader, Refused, Resource,
    Transfer, Usage, Write,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub text: String,
    pub system: u8,
    pub keywords: BTreeSet<String>,
    pub modseq: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    pub id: i64,
    pub uid_next: u32,
    pub modseq: u64,
    pub no_select: bool,
    pub messages: BTreeMap<u32, Message>,
    pub expunged: Vec<(u32, u64)>,
}

impl Mailbox {
    pub fn bytes(&self) -> u64 {
        self.messages.values().map(|message| message.text.len() as u64).sum()
    }

    fn show(&mut self, mut message: Message, modseq: u64) -> u32 {
        let uid = self.uid_next;
        message.modseq = modseq;
        self.messages.insert(uid, message);
        self.uid_next += 1;
        self.modseq = modseq;
        uid
    }

    fn take_out(&mut self, uids: &[u32]) {
        self.modseq += u64::from(!uids.is_empty());
        for uid in uids {
            self.messages.remove(uid);
            self.expunged.push((*uid, self.modseq));
        }
    }
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub given: Limits,
    pub own: Limits,
}

impl Model {
    pub fn used(&self) -> Usage {
        Usage {
            bytes: self.mailboxes.values().map(Mailbox::bytes).sum(),
            messages: self.mailboxes.values().map(|mailbox| mailbox.messages.len() as u64).sum(),
            mailboxes: self.mailboxes.len() as u64,
        }
    }

    /// In words of its own: what comes may pass neither the owner's limits nor the account's.
    fn fits(&self, messages: u64, bytes: u64) -> Result<(), Refused> {
        let used = self.used();
        let over = |limit: fn(&Limits) -> Option<u64>, after: u64| {
            [&self.given, &self.own].into_iter().filter_map(limit).any(|limit| after > limit)
        };
        if bytes > 0 && over(|limits| limits.bytes, used.bytes + bytes) {
            return Err(Refused::OverQuota(Resource::Storage));
        }
        if messages > 0 && over(|limits| limits.messages, used.messages + messages) {
            return Err(Refused::OverQuota(Resource::Message));
        }
        Ok(())
    }

    pub fn by_id(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.mailboxes.values_mut().find(|mailbox| id.0 > 0 && mailbox.id == id.0 && !mailbox.no_select)
    }

    fn has_children(&self, name: &str) -> bool {
        self.mailboxes.keys().any(|other| other.starts_with(&format!("{name}/")))
    }

    pub fn make(&mut self, name: &str) -> Result<(), Refused> {
        let parents = name.match_indices('/').map(|(at, _)| &name[..at]);
        for name in parents.chain([name]) {
            if self.mailboxes.contains_key(name) {
                continue;
            }
            let mut most = [self.given.mailboxes, self.own.mailboxes].into_iter().flatten();
            if most.any(|most| self.mailboxes.len() as u64 >= most) {
                return Err(Refused::OverQuota(Resource::Mailbox));
            }
            let new = Mailbox { uid_next: 1, modseq: 1, ..Mailbox::default() };
            self.mailboxes.insert(name.into(), new);
        }
        Ok(())
    }

    /// Ids are the store's to choose; it must keep them.
    pub fn learn_ids(&mut self, reader: &Reader, account: AccountId) {
        for row in reader.mailboxes(account).expect("read") {
            if let Some(mailbox) = self.mailboxes.get_mut(&row.name)
                && mailbox.id == 0
            {
                mailbox.id = row.id.0;
            }
        }
    }

    fn append(&mut self, appends: &[Append]) -> Result<(), Refused> {
        let new: Vec<Message> = appends.iter().map(|one| message(&one.body, &one.flags)).collect();
        let bytes = new.iter().map(|message| message.text.len() as u64).sum();
        let fits = self.fits(new.len() as u64, bytes);
        let mailbox = self.by_id(appends[0].mailbox).ok_or(Refused::NoMailbox)?;
        fits?;
        let modseq = mailbox.modseq + 1;
        new.into_iter().map(|message| mailbox.show(message, modseq)).for_each(drop);
        Ok(())
    }

    pub fn apply(&mut self, write: &Write) -> Result<(), Refused> {
        match write {
            Write::Deliver(deliver) => self.deliver(deliver),
            Write::Append(append) => self.append(std::slice::from_ref(append)),
            Write::AppendAll(appends) => self.append(appends),
            Write::Flags(change) => self.flags(change),
            Write::Expunge(one) => self.expunge(one.mailbox, one.uids.as_ref(), Flags::DELETED),
            Write::Remove(remove) => self.expunge(remove.mailbox, Some(&remove.uids), 0),
            Write::Copy(transfer) => self.transfer(transfer, false),
            Write::Move(transfer) => self.transfer(transfer, true),
            Write::CreateMailbox { name, .. } => self.create(name),
            Write::DeleteMailbox { name, .. } => self.delete(name),
            Write::RenameMailbox { from, to, .. } => self.rename(from, to),
            Write::Admin(Admin::SetQuota { limits, .. }) => {
                (self.given, self.own) = (*limits, Limits::default());
                Ok(())
            }
            Write::Restrain { limits, .. } => {
                self.own = *limits;
                Ok(())
            }
            other => panic!("not in the model: {other:?}"),
        }
    }

    /// Those of `uids` (or of all) that have these flags.
    fn expunge(&mut self, id: MailboxId, uids: Option<&UidSet>, flags: u8) -> Result<(), Refused> {
        let mailbox = self.by_id(id).ok_or(Refused::NoMailbox)?;
        let among = |uid: u32| uids.is_none_or(|uids| uids.contains(uid));
        let due = |(uid, m): (&u32, &Message)| (among(*uid) && m.system & flags == flags).then_some(*uid);
        mailbox.take_out(&mailbox.messages.iter().filter_map(due).collect::<Vec<u32>>());
        Ok(())
    }

    fn deliver(&mut self, deliver: &Deliver) -> Result<(), Refused> {
        for target in &deliver.to {
            let message = message(&deliver.body, &target.flags);
            self.fits(1, message.text.len() as u64)?;
            let name = match &target.place {
                Place::Inbox => "INBOX",
                Place::Named(name) => name,
                Place::Special(_) => "Junk",
            };
            self.make(name)?;
            let mailbox = self.mailboxes.get_mut(name).expect("made");
            mailbox.no_select = false;
            let modseq = mailbox.modseq + 1;
            mailbox.show(message, modseq);
        }
        Ok(())
    }

    fn flags(&mut self, change: &ChangeFlags) -> Result<(), Refused> {
        let mailbox = self.by_id(change.mailbox).ok_or(Refused::NoMailbox)?;
        let modseq = mailbox.modseq + 1;
        let said: BTreeSet<String> = change.flags.keywords.iter().cloned().collect();
        for (uid, message) in &mut mailbox.messages {
            let late = change.unchanged_since.is_some_and(|since| message.modseq > since.0);
            if !change.uids.contains(*uid) || late {
                continue;
            }
            let old = message.clone();
            match change.op {
                FlagOp::Set => {
                    message.system = change.flags.system;
                    message.keywords = said.clone();
                }
                FlagOp::Add => {
                    message.system |= change.flags.system;
                    message.keywords.extend(said.iter().cloned());
                }
                FlagOp::Remove => {
                    message.system &= !change.flags.system;
                    message.keywords.retain(|name| !said.contains(name));
                }
            }
            if *message != old {
                message.modseq = modseq;
                mailbox.modseq = modseq;
            }
        }
        Ok(())
    }

    fn transfer(&mut self, transfer: &Transfer, moving: bool) -> Result<(), Refused> {
        let from = self.by_id(transfer.from).ok_or(Refused::NoMailbox)?;
        let wanted = |uid: &u32| transfer.uids.contains(*uid);
        let sources: Vec<(u32, Message)> = from
            .messages
            .iter()
            .filter(|(uid, _)| wanted(uid))
            .map(|(uid, message)| (*uid, message.clone()))
            .collect();
        let bytes = sources.iter().map(|(_, message)| message.text.len() as u64).sum();
        self.by_id(transfer.to).ok_or(Refused::NoMailbox)?;
        if !moving {
            self.fits(sources.len() as u64, bytes)?;
        }
        let to = self.by_id(transfer.to).expect("there");
        let modseq = to.modseq + 1;
        for (_, message) in &sources {
            to.show(message.clone(), modseq);
        }
        if moving {
            let uids: Vec<u32> = sources.iter().map(|(uid, _)| *uid).collect();
            self.by_id(transfer.from).expect("there").take_out(&uids);
        }
        Ok(())
    }

    fn create(&mut self, name: &str) -> Result<(), Refused> {
        if let Some(mailbox) = self.mailboxes.get_mut(name) {
            if !mailbox.no_select {
                return Err(Refused::Exists);
            }
            mailbox.no_select = false;
            return Ok(());
        }
        self.make(name)
    }

    fn delete(&mut self, name: &str) -> Result<(), Refused> {
        let parent = self.has_children(name);
        let mailbox = self.mailboxes.get_mut(name).ok_or(Refused::NoMailbox)?;
        if name == "INBOX" || (parent && mailbox.no_select) {
            return Err(Refused::InUse);
        }
        if !parent {
            self.mailboxes.remove(name);
            return Ok(());
        }
        let all: Vec<u32> = mailbox.messages.keys().copied().collect();
        mailbox.modseq += u64::from(all.is_empty());
        mailbox.take_out(&all);
        mailbox.no_select = true;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Refused> {
        if !self.mailboxes.contains_key(from) {
            return Err(Refused::NoMailbox);
        }
        if self.mailboxes.contains_key(to) {
            return Err(Refused::Exists);
        }
        if from == "INBOX" {
            self.make(to)?;
            let inbox = self.mailboxes.get_mut("INBOX").expect("there");
            let all: Vec<u32> = inbox.messages.keys().copied().collect();
            let moved: Vec<Message> = inbox.messages.values().cloned().collect();
            inbox.take_out(&all);
            let to = self.mailboxes.get_mut(to).expect("made");
            let modseq = to.modseq + 1;
            for message in moved {
                to.show(message, modseq);
            }
            return Ok(());
        }
        if to.starts_with(&format!("{from}/")) {
            return Err(Refused::BadName("a mailbox cannot be moved below itself".into()));
        }
        to.match_indices('/').try_for_each(|(at, _)| self.make(&to[..at]))?;
        let moving: Vec<String> = self
            .mailboxes
            .keys()
            .filter(|name| *name == from || name.starts_with(&format!("{from}/")))
            .cloned()
            .collect();
        for name in moving {
            let mailbox = self.mailboxes.remove(&name).expect("there");
            self.mailboxes.insert(format!("{to}{}", &name[from.len()..]), mailbox);
        }
        Ok(())
    }
}

fn message(body: &pillarbox::store::NewBody, flags: &FlagNames) -> Message {
    let pillarbox::store::NewBody::Inline { slice, .. } = body else {
        panic!("the model sends small bodies")
    };
    let text = String::from_utf8(slice.stored.clone()).expect("text");
    Message { text, system: flags.system, keywords: flags.keywords.iter().cloned().collect(), modseq: 0 }
}
