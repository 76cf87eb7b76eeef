//! What is special about mail from our own people (RFC 6409): they log in over TLS, send in their own name, and get a
//! complete header.
//!
//! An unencrypted submission learns nothing but that it must encrypt. The client's address and the name of its machine
//! go into no header: everybody the mail reaches could read where its author sits. They are in our log.

use crate::base::time::mail_date;
use crate::delivery::submit::Completion;
use crate::delivery::{Mailbox, Refusal, route};
use crate::session::Cx;

use super::reply::{self, Reply};
use super::server::{Conversation, Mail, Role};

/// Letters of a Message-ID before its `@`: 119 bits.
const MESSAGE_ID_LETTERS: usize = 20;

/// Passwords never cross the wire in the clear.
pub fn check_tls(cx: &Cx<'_>) -> Result<(), Reply> {
    match cx.peer.tls.is_some() || cx.config.plaintext_login {
        true => Ok(()),
        false => Err(reply::tls_first()),
    }
}

/// Before MAIL. Other servers need not log in.
pub fn check_login(conversation: &Conversation, cx: &Cx<'_>) -> Result<(), Reply> {
    if conversation.role == Role::Exchanger {
        return Ok(());
    }
    check_tls(cx)?;
    match conversation.login {
        Some(_) => Ok(()),
        None => Err(reply::login_first()),
    }
}

/// The envelope's sender is an address of the account, or null: a client that sends a receipt does so without a sender
/// (RFC 8098 section 3).
pub fn check_sender(conversation: &Conversation, cx: &Cx<'_>, from: Option<&Mailbox>) -> Result<(), Reply> {
    let (Some(login), Some(from)) = (&conversation.login, from) else { return Ok(()) };
    match route::belongs(cx.store, cx.config, from, login.account) {
        Ok(true) => Ok(()),
        Ok(false) => Err(reply::sender_not_yours(&from.to_string())),
        Err(error) => Err(broken(&error)),
    }
}

/// Everybody named in From is the account.
pub fn check_authors(conversation: &Conversation, cx: &Cx<'_>, authors: &[Mailbox]) -> Result<(), Refusal> {
    let Some(login) = &conversation.login else { return Ok(()) };
    if authors.is_empty() {
        return Err(Refusal::NoAuthor);
    }
    for author in authors {
        match route::belongs(cx.store, cx.config, author, login.account) {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::NotYours(author.to_string())),
            Err(error) => {
                broken(&error);
                return Err(Refusal::Broken);
            }
        }
    }
    Ok(())
}

/// A Date of now and a Message-ID in the sender's domain, for a client that wrote none.
pub fn completion(mail: &Mail, cx: &mut Cx<'_>) -> Completion {
    let letters = cx.rng.letters_and_digits(MESSAGE_ID_LETTERS);
    let domain = mail.args.from.as_ref().map_or(cx.config.hostname.as_str(), |from| &from.domain);
    Completion { date: mail_date(cx.now.wall), message_id: format!("<{letters}@{domain}>") }
}

/// The store failed: logged here, once.
pub fn broken(error: &crate::store::StoreError) -> Reply {
    log::error!("SMTP cannot read the store: {error}");
    reply::broken()
}
