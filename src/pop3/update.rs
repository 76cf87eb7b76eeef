//! QUIT (RFC 1939 section 6): what is marked goes, and only then is that said.
//!
//! Up to `UIDS_PER_WRITE_MAX` messages are one `Write::Remove`: all of them are gone after one fsync, or none is. More of
//! them are several, in order of uid and one after the other, since a commit of a hundred thousand would keep everybody
//! else's mail waiting for seconds. Each is durable by itself; `+OK` comes after the last. When the power fails in
//! between, some of the marked messages are gone and the others are not, which RFC 1939 allows; they have their numbers'
//! ids (UIDL) still, so that a client that logs in again sees which. No message that was not marked ever goes, and one
//! that another program has removed meanwhile is just not there.

use crate::base::UidSet;
use crate::base::limits::UIDS_PER_WRITE_MAX;
use crate::session::{Answer, Cx, Want};
use crate::store::{Done, Remove, Write};

use super::grammar;
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, State};

/// What is still marked, and how many are gone.
pub struct Update {
    left: UidSet,
    gone: u64,
}

pub fn quit(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    let left = conversation.maildrop.as_mut().map(|maildrop| std::mem::take(&mut maildrop.deleted));
    Ok(conversation.next_part(cx, Update { left: left.unwrap_or_default(), gone: 0 }))
}

impl Conversation {
    fn next_part(&mut self, cx: &mut Cx<'_>, mut update: Update) -> Flow {
        let part = update.take();
        let who = (self.login.as_ref().map(|login| login.account), self.maildrop.as_ref());
        let (Some(account), Some(maildrop)) = who else { return self.bye(cx, &reply::goodbye()) };
        if part.is_empty() {
            return self.bye(cx, &reply::removed(update.gone));
        }
        let remove = Remove { account, mailbox: maildrop.mailbox, uids: part, now: cx.now.wall };
        Flow::Wait(State::Updating(update), Want::Commit { write: Write::Remove(remove) })
    }

    pub fn updated(&mut self, cx: &mut Cx<'_>, mut update: Update) -> Flow {
        match cx.answer.take() {
            Some(Answer::Commit(Ok(Done::Expunged { uids, .. }))) => {
                update.gone += uids.count();
                self.next_part(cx, update)
            }
            Some(Answer::Commit(Err(refused))) => self.bye(cx, &reply::not_removed(&refused)),
            _ => self.bye(cx, &reply::unreadable()),
        }
    }
}

impl Update {
    /// The next messages that go together.
    fn take(&mut self) -> UidSet {
        let last = self.left.iter().nth(UIDS_PER_WRITE_MAX as usize - 1);
        let Some(last) = last else { return std::mem::take(&mut self.left) };
        let part = self.left.intersection(&UidSet::range(1..=last));
        self.left = self.left.without(&part);
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_messages_go_in_bounded_parts() {
        let most = UIDS_PER_WRITE_MAX;
        let odd: UidSet = (0..2 * most as u32 + 1).map(|n| 2 * n + 1).collect();
        let mut update = Update { left: odd.clone(), gone: 0 };
        let mut all = UidSet::new();
        for count in [most, most, 1, 0] {
            let part = update.take();
            assert_eq!(part.count(), count);
            part.iter().for_each(|uid| all.insert(uid));
        }
        assert_eq!(all, odd);
    }
}
