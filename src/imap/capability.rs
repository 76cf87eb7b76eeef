//! What we say that we can do: exactly what works, at the moment when it works.

use crate::session::{Compression, Cx};

use super::server::Core;

/// Before and after login alike. LITERAL+ rather than LITERAL-: uploads from phones save a round trip each, and what
/// is too large is read away (RFC 7888 section 4). IMAP4rev2 comes with its predecessors' names, since older clients
/// look for those.
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE";

const AFTER_LOGIN: &str = "NAMESPACE CHILDREN UNSELECT IDLE UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE \
                           LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES CONDSTORE QRESYNC BINARY \
                           MULTIAPPEND UTF8=ACCEPT PARTIAL WITHIN INPROGRESS OBJECTID SAVEDATE PREVIEW SORT \
                           SORT=DISPLAY \
                           ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS I18NLEVEL=1 XLIST \
                           QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX QUOTASET";

/// The words behind CAPABILITY, that word included.
pub fn list(core: &Core, cx: &Cx<'_>) -> String {
    let mut list = format!("CAPABILITY {ALWAYS}");
    let more = match (&core.login, cx.peer.tls.is_some(), cx.config.plaintext_login) {
        (Some(_), _, _) => AFTER_LOGIN,
        (None, true, _) => "AUTH=PLAIN AUTH=LOGIN",
        (None, false, true) => "AUTH=PLAIN AUTH=LOGIN",
        (None, false, false) => "LOGINDISABLED",
    };
    list.push(' ');
    list.push_str(more);
    if core.login.is_some() {
        // The same for all mailboxes (RFC 7889 section 2).
        list.push_str(&format!(" APPENDLIMIT={}", cx.config.message_bytes_max));
    }
    if core.login.is_some() && cx.compression == Compression::Possible {
        list.push_str(" COMPRESS=DEFLATE");
    }
    if cx.peer.tls.is_none() && cx.can_tls && core.login.is_none() {
        list.push_str(" STARTTLS");
    }
    list
}

/// Whether a password may be said on this connection.
pub fn may_log_in(cx: &Cx<'_>) -> bool {
    cx.peer.tls.is_some() || cx.config.plaintext_login
}
