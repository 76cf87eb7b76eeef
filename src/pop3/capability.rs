//! What we say that we can do (RFC 2449 section 5): exactly what works, at the moment when it works.

use crate::session::Cx;
use crate::session::sasl::MECHANISMS;

use super::server::Conversation;

/// In both states alike, as RFC 2449 asks. EXPIRE NEVER: nothing is deleted but by the people themselves.
const ALWAYS: [&str; 10] = [
    "TOP",
    "UIDL",
    "RESP-CODES",
    "AUTH-RESP-CODE",
    "PIPELINING",
    "EXPIRE NEVER",
    "UTF8 USER",
    "LANG",
    "IMPLEMENTATION pillarbox",
    ".",
];

/// The lines of CAPA, the last one included.
pub fn list(conversation: &Conversation, cx: &Cx<'_>) -> String {
    let mut list = String::new();
    if may_log_in(cx) {
        let names: Vec<&str> = MECHANISMS.iter().map(|mechanism| mechanism.name()).collect();
        list.push_str(&format!("USER\r\nSASL {}\r\n", names.join(" ")));
    }
    // RFC 2595 section 4: announced where it is permitted.
    if cx.peer.tls.is_none() && cx.can_tls && conversation.login.is_none() {
        list.push_str("STLS\r\n");
    }
    for line in ALWAYS {
        list.push_str(line);
        list.push_str("\r\n");
    }
    list
}

/// Whether a password may be said on this connection.
pub fn may_log_in(cx: &Cx<'_>) -> bool {
    cx.peer.tls.is_some() || cx.config.plaintext_login
}
