//! Whether every message can be found: at any moment, however far the search index is, what it names for a search for a
//! message's own token must have that message among it.

use std::sync::Arc;

use pillarbox::base::{AccountId, BodyId, MailboxId, Uid, UidSet};
use pillarbox::store::search::{Key, Program};
use pillarbox::store::{Columns, EnvelopeField, Plan, Question, Reader, Reply};

use super::corpus;

/// Messages that the index would hide, among the newest `most` of each mailbox.
pub fn hidden(reader: &Reader, account: AccountId, most: u32) -> Vec<String> {
    let mut hidden = Vec::new();
    for mailbox in reader.mailboxes(account).unwrap_or_default() {
        for (uid, token) in
            tokens(reader, account, mailbox.id, mailbox.uid_next.0.saturating_sub(most).max(1))
        {
            for key in [Key::Text(token.clone()), Key::Envelope(EnvelopeField::Subject, token.clone())] {
                if !named(reader, mailbox.id, key).contains(uid) {
                    hidden.push(format!("{token}, uid {uid} of {}, cannot be found", mailbox.name));
                }
            }
        }
    }
    reader.end_turn();
    hidden
}

fn tokens(reader: &Reader, account: AccountId, mailbox: MailboxId, from: u32) -> Vec<(u32, String)> {
    let (uids, columns) =
        (Arc::new(UidSet::range(from..=u32::MAX)), Columns { body: true, ..Columns::default() });
    let (mut tokens, mut from) = (Vec::new(), Some(Uid(from)));
    while let Some(at) = from {
        let question = Question::Rows { mailbox, account, uids: uids.clone(), from: at, columns };
        let Ok(Reply::Rows(rows)) = reader.answer(&question) else { return tokens };
        for row in &rows.rows {
            let token = corpus::token_of(&rows.arena[row.first_slice.clone()]);
            tokens.extend(token.map(|token| (row.uid.0, token)));
        }
        from = rows.next;
    }
    tokens
}

fn named(reader: &Reader, mailbox: MailboxId, key: Key) -> UidSet {
    let plan = Plan::of(&Program { keys: vec![key] }).expect("a token is long enough");
    let query: Arc<str> = plan.query().into();
    let (mut all, mut after) = (UidSet::new(), Some(BodyId(0)));
    while let Some(at) = after {
        let question = Question::Candidates { mailbox, query: query.clone(), after: at };
        let Ok(Reply::Candidates { uids, next }) = reader.answer(&question) else { break };
        all = all.union(&uids);
        after = next;
    }
    all
}
