//! Questions and changes on their way, and the way back. An answer finds the conversation that still waits for it, or
//! nobody: one that comes after its deadline is dropped.

use crate::base::limits::SWEEP_AGAIN;
use crate::base::{ConnId, Mono, Now, Ticket};
use crate::session::{Answer, Ask, Verdict, Watch};
use crate::store::{Done, Outcome, Refused, StoreError, Write};

use super::conn::Wait;
use super::deadlines::Due;
use super::{Effect, Engine};

/// Who is told what became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Conn(ConnId),
    /// A command line on the control socket.
    Admin,
    /// The engine's own chores: nobody waits.
    Engine,
    Indexer,
}

impl Engine {
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    pub(super) fn ask(&mut self, now: Now, id: ConnId, ask: Ask) -> Ticket {
        let ticket = self.ticket();
        self.asked.insert(ticket, id);
        match ask {
            Ask::Read(question) => self.effects.push(Effect::Read { ticket, question }),
            Ask::Password(check) => self.check_password(now, ticket, check),
            Ask::Dns(queries) => self.look_up(now, ticket, queries),
            Ask::Alone(account) => {
                let granted = self.alone.claim(account, id);
                self.answer(ticket, Answer::Alone(granted));
            }
        }
        ticket
    }

    /// Gives an answer to the conversation that asked, if it still waits for it.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        let Some(id) = self.asked.remove(&ticket) else { return };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.wait == Wait::Closing {
            return;
        }
        if let Answer::Password(Verdict::Granted(login)) = &answer {
            conn.login = Some(login.credential);
        }
        conn.answer = Some(answer);
        self.wake(id);
    }

    pub(super) fn commit(&mut self, author: Author, write: Write) -> Ticket {
        let ticket = self.ticket();
        self.authors.insert(ticket, author);
        self.commits.push((ticket, write));
        self.in_flight += 1;
        ticket
    }

    /// Consecutive tickets, so that the connection needs to remember only where they begin and end.
    pub(super) fn commit_each(&mut self, id: ConnId, writes: Vec<Write>) {
        let tickets: Vec<Ticket> =
            writes.into_iter().map(|write| self.commit(Author::Conn(id), write)).collect();
        let (Some(&first), Some(&last)) = (tickets.first(), tickets.last()) else {
            return self.wait(id, Wait::Turn, Mono::NEVER);
        };
        self.wait(id, Wait::CommitEach(first, Ticket(last.0 + 1)), Mono::NEVER);
    }

    pub(super) fn connected(&mut self, id: ConnId, result: Result<(), String>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.wait {
            Wait::Connect if !conn.marks.expired => conn.answer = Some(Answer::Connected(result)),
            Wait::Resolver if result.is_ok() => {}
            _ => return,
        }
        self.wake(id);
    }

    /// The author hears the result; everybody who watches gets a hint, whoever made the change and whether or not the
    /// author is still there.
    pub(super) fn committed(&mut self, now: Now, results: Vec<(Ticket, Outcome)>) {
        for (ticket, outcome) in results {
            if self.authors.get(&ticket) != Some(&Author::Indexer) {
                self.note_for_index(now, &outcome);
            }
            self.settled(ticket, outcome.result);
            for mailbox in outcome.mailboxes {
                self.hint(Watch::Mailbox(mailbox));
            }
            for account in outcome.accounts {
                self.hint(Watch::Account(account));
            }
            self.reload |= outcome.settings;
            if !outcome.revoked.is_empty() {
                self.revoke(now, &outcome.revoked);
            }
        }
    }

    /// Nothing of the batch is known to be durable, so nobody hears of success.
    pub(super) fn commit_failed(&mut self, tickets: Vec<Ticket>, error: &StoreError) {
        for ticket in tickets {
            let refused = match error {
                StoreError::Full => Refused::DiskFull,
                StoreError::Open(why) | StoreError::Broken(why) => Refused::Broken(why.clone()),
            };
            self.settled(ticket, Err(refused));
        }
    }

    fn settled(&mut self, ticket: Ticket, result: Result<Done, Refused>) {
        let Some(author) = self.authors.remove(&ticket) else { return };
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.writer_is_free();
        }
        match author {
            Author::Admin => self.effects.push(Effect::Admin { ticket, result }),
            Author::Engine => match result {
                Ok(Done::More) => self.deadlines.add(self.last_now.mono.after(SWEEP_AGAIN), Due::SweepOn),
                Ok(_) => {}
                Err(why) => log::warn!("a chore was refused: {why:?}"),
            },
            Author::Indexer => self.index_written(result),
            Author::Conn(id) => self.answer_commit(id, ticket, result),
        }
    }

    fn answer_commit(&mut self, id: ConnId, ticket: Ticket, result: Result<Done, Refused>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.wait {
            Wait::Commit(asked) if asked == ticket => conn.answer = Some(Answer::Commit(result)),
            Wait::CommitEach(first, end) if first <= ticket && ticket < end => {
                conn.settled.push((ticket, result));
                if (conn.settled.len() as u64) < end.0 - first.0 {
                    return;
                }
                // The writer may have answered a batch that it cut in two, or tried one by one.
                let mut settled = std::mem::take(&mut conn.settled);
                settled.sort_by_key(|(ticket, _)| *ticket);
                conn.answer =
                    Some(Answer::CommitEach(settled.into_iter().map(|(_, result)| result).collect()));
            }
            _ => return,
        }
        self.wake(id);
    }

    fn hint(&mut self, watch: Watch) {
        for id in self.watchers.of(watch) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.marks.hinted = true;
                if conn.wait == Wait::News && !conn.marks.queued {
                    conn.marks.queued = true;
                    self.hinted.push_back(id);
                }
            }
        }
    }

    /// Ends every conversation that stands on one of these credentials, and forgets their proofs.
    fn revoke(&mut self, now: Now, credentials: &[crate::base::CredentialId]) {
        self.passwords.forget(credentials);
        let gone: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.login.is_some_and(|credential| credentials.contains(&credential)))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.hang_up(now, id);
        }
    }
}
