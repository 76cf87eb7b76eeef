//! Floor 4: SMTP. One conversation each (`server`), its grammar (`grammar`), the framing of messages (`data`) and every
//! reply (`reply`). What happens to a message is `delivery`'s.
//!
//! | document | state | remarks |
//! |---|---|---|
//! | RFC 5321 SMTP | done | as a server; VRFY answers 252, EXPN is not offered; local parts up to 255 bytes |
//! | RFC 6409 submission | done | remote recipients are refused: there is no outbound delivery |
//! | RFC 1870 SIZE | done | checked at MAIL and while receiving |
//! | RFC 6152 8BITMIME | done | content is kept as it comes, whatever BODY says |
//! | RFC 6531 SMTPUTF8 | done | domains are compared as written: no conversion between A-labels and U-labels |
//! | RFC 2920 PIPELINING | done | |
//! | RFC 3030 CHUNKING, BINARYMIME | done | |
//! | RFC 2034 ENHANCEDSTATUSCODES, RFC 3463 | done | |
//! | RFC 3207 STARTTLS | done | |
//! | RFC 4954 AUTH | done | PLAIN and LOGIN, on submission only; the AUTH parameter of MAIL is read and ignored |
//! | RFC 9422 LIMITS | done | MAILMAX, RCPTMAX |
//! | RFC 3848, RFC 8314 Received keywords | done | |

mod auth;
mod command;
mod data;
pub mod grammar;
mod receive;
mod reply;
pub mod server;
mod submission;
mod trace;
