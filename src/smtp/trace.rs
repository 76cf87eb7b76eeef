//! What our trace fields say about a message that came by SMTP.

use crate::delivery::trace::{self, Came, From, Stamp};
use crate::session::Cx;

use super::grammar;
use super::server::{Conversation, Mail, Role};

/// Letters of a trace id: 71 bits, so that no two messages of a box ever share one.
pub const ID_LETTERS: usize = 12;

/// Return-Path and Received, in the order they stand in front of the message.
pub fn fields(conversation: &Conversation, mail: &Mail, cx: &Cx<'_>, id: &str) -> String {
    let hello = conversation.hello.as_ref();
    let name = hello.map(|hello| hello.name.as_str()).filter(|name| grammar::is_host(name));
    let came = Came {
        esmtp: hello.is_some_and(|hello| hello.extended),
        tls: cx.peer.tls.is_some(),
        login: conversation.login.is_some(),
        utf8: mail.args.utf8,
    };
    let from = match conversation.role {
        Role::Exchanger => Some(From { name, address: cx.peer.addr.ip() }),
        Role::Submission => None,
    };
    let for_one = match mail.to.as_slice() {
        [one] => Some(&one.address),
        _ => None,
    };
    let received = trace::received(&Stamp {
        from,
        by: &cx.config.hostname,
        with: trace::protocol(came),
        id,
        tls: cx.peer.tls.as_ref(),
        for_one,
        at: cx.now.wall,
    });
    trace::return_path(mail.args.from.as_ref()) + &received
}
