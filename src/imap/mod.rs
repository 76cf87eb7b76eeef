//! Floor 4: IMAP4rev1 and IMAP4rev2. One conversation with a client; it knows nothing of the other protocols.
//!
//! `server` runs one command after the other, `command` is their table, `cmd/` has a file for each. `gather` makes
//! commands of bytes, `lex` reads them as the ABNF says, `emit` and `reply` write. `view` is what a client has been told,
//! and `tell` alone tells it more.
//!
//! | document | state |
//! |---|---|
//! | RFC 9051 IMAP4rev2 | done |
//! | RFC 3501 IMAP4rev1 | done; `\Recent` is never set and RECENT is always 0, SELECT says no UNSEEN (both left to us) |
//! | RFC 7888 LITERAL+ | done; LITERAL- is not advertised beside it (section 5) |
//! | RFC 4959 SASL-IR | done |
//! | RFC 4616 AUTH=PLAIN, and AUTH=LOGIN that has no RFC | done; acting for another user is refused |
//! | RFC 2971 ID | done |
//! | RFC 5161 ENABLE | done |
//! | RFC 2342 NAMESPACE | done; one personal namespace |
//! | RFC 3348 CHILDREN | done |
//! | RFC 3691 UNSELECT | done |
//! | RFC 2177 IDLE | done |
//! | RFC 4315 UIDPLUS | done |
//! | RFC 6851 MOVE | done |
//! | RFC 6154 SPECIAL-USE, CREATE-SPECIAL-USE | done; one use for each mailbox |
//! | RFC 5258 LIST-EXTENDED | done; REMOTE changes nothing |
//! | RFC 5819 LIST-STATUS | done |
//! | RFC 8438 STATUS=SIZE | done |
//! | RFC 4731 ESEARCH | done |
//! | RFC 5182 SEARCHRES | done |
//! | RFC 3516 BINARY | done; APPEND of `literal8` is refused with `UNKNOWN-CTE`, which section 4.4 leaves to us |
//! | RFC 7162 CONDSTORE, QRESYNC | done |
//! | RFC 5530 response codes | done |
//! | RFC 6855 UTF8=ACCEPT | not: names are UTF-8 after ENABLE IMAP4rev2 |
//! | RFC 3502 MULTIAPPEND | not: a second message in one APPEND is refused and read away |

pub mod capability;
pub mod cmd;
pub mod command;
pub mod emit;
pub mod fetch_args;
pub mod gather;
pub mod lex;
pub mod names;
pub mod pattern;
pub mod reply;
pub mod search_args;
pub mod server;
pub mod tell;
pub mod view;
