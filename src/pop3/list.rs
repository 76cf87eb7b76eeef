//! STAT, LIST and UIDL (RFC 1939 section 5 and 7). Long listings are written a window at a time, as fast as the client
//! reads them.
//!
//! A unique id is the mailbox's UIDVALIDITY and the message's UID, the same numbers that IMAP tells: neither is ever given
//! again, so an id never names two messages, also not after the file has been restored from a backup.

use crate::base::limits::VIEW_ROWS_PER_STEP;
use crate::base::text::decimal;
use crate::base::{Output, UidValidity};
use crate::session::{Cx, Want};

use super::grammar;
use super::maildrop::{Maildrop, Message};
use super::reply::{self, Reply};
use super::server::{Conversation, Flow, State, room};

/// A long listing in progress.
#[derive(Clone, Copy)]
pub struct Listing {
    of: Column,
    /// The number of the next message.
    next: u32,
}

#[derive(Clone, Copy)]
enum Column {
    Octets,
    Id,
}

pub fn stat(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    grammar::nothing(argument)?;
    let (messages, octets) = conversation.maildrop()?.stat();
    Ok(conversation.say(cx, &reply::stat(messages, octets)))
}

pub fn list(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    let (messages, octets) = conversation.maildrop()?.stat();
    conversation.listing(cx, argument, Column::Octets, &reply::listing(messages, octets))
}

pub fn uidl(conversation: &mut Conversation, cx: &mut Cx<'_>, argument: &[u8]) -> Result<Flow, Reply> {
    conversation.listing(cx, argument, Column::Id, &reply::ids())
}

impl Conversation {
    fn listing(
        &mut self,
        cx: &mut Cx<'_>,
        argument: &[u8],
        of: Column,
        first_line: &Reply,
    ) -> Result<Flow, Reply> {
        let Some(number) = grammar::maybe_message(argument)? else {
            first_line.send(cx.output);
            return Ok(Flow::On(State::Listing(Listing { of, next: 1 })));
        };
        let (message, _) = self.message(cx, number)?;
        let validity = self.maildrop()?.validity;
        let row = match of {
            Column::Octets => format!("{number} {}", message.octets),
            Column::Id => format!("{number} {validity}.{}", message.uid),
        };
        Ok(self.say(cx, &reply::one(&row)))
    }

    pub fn go_on_listing(&mut self, cx: &mut Cx<'_>, mut listing: Listing) -> Flow {
        let Some(maildrop) = self.maildrop.as_deref() else { return Flow::On(State::Closed) };
        for _ in 0..VIEW_ROWS_PER_STEP {
            if cx.output.full() {
                return Flow::Wait(State::Listing(listing), room(cx));
            }
            if listing.next > maildrop.len() {
                cx.output.str(".\r\n");
                return self.next_command(cx);
            }
            if let Ok(message) = maildrop.message(listing.next) {
                listing.row(maildrop, message, cx.output);
            }
            listing.next += 1;
        }
        Flow::Wait(State::Listing(listing), Want::Turn)
    }
}

impl Listing {
    fn row(&self, maildrop: &Maildrop, message: Message, out: &mut Output) {
        let UidValidity(validity) = maildrop.validity;
        push(out, message.number);
        out.push(b" ");
        match self.of {
            Column::Octets => push(out, message.octets),
            Column::Id => {
                push(out, validity);
                out.push(b".");
                push(out, message.uid.0);
            }
        }
        out.push(b"\r\n");
    }
}

fn push(out: &mut Output, number: u32) {
    out.push(decimal(u64::from(number), &mut [0; 20]));
}
