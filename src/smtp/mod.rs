//! Floor 4: SMTP. One conversation each (`server`), its grammar (`grammar`), the framing of messages (`data`) and every
//! reply (`reply`). What happens to a message is `delivery`'s.
//!
//! What each claims is shown by a file of `tests/transcripts/smtp`, others beside it:
//!
//! | document | state | remarks | transcript |
//! |---|---|---|---|
//! | RFC 5321 SMTP | done | as a server; VRFY answers 252, EXPN is not offered; local parts up to 255 bytes | syntax_is_checked |
//! | RFC 6409 submission | done | remote recipients are refused: there is no outbound delivery | submission_is_in_ones_own_name |
//! | RFC 1870 SIZE | done | checked at MAIL and while receiving | size_is_checked_before_and_while |
//! | RFC 6152 8BITMIME | done | content is kept as it comes, whatever BODY says | ehlo_lists_what_works |
//! | RFC 6531 SMTPUTF8 | done | domains are compared as written: no conversion between A-labels and U-labels | utf8_addresses_need_smtputf8 |
//! | RFC 2920 PIPELINING | done | | each_recipient_has_its_reply |
//! | RFC 3030 CHUNKING, BINARYMIME | done | | chunks |
//! | RFC 2034 ENHANCEDSTATUSCODES, RFC 3463 | done | | ehlo_lists_what_works |
//! | RFC 3207 STARTTLS | done | | submission_needs_tls_then_auth |
//! | RFC 4954 AUTH | done | PLAIN and LOGIN, on submission only; the AUTH parameter of MAIL is read and ignored | auth_plain |
//! | RFC 9422 LIMITS | done | MAILMAX, RCPTMAX | ehlo_lists_what_works |
//! | RFC 3848, RFC 8314 Received keywords | done | | deliver |

mod auth;
mod command;
mod data;
pub mod grammar;
mod receive;
mod reply;
pub mod server;
mod submission;
mod trace;
