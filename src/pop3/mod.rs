//! Floor 4: POP3. One conversation each (`server`): its grammar (`grammar`), every reply (`reply`), logging in (`login`),
//! what is in the maildrop and marked (`maildrop`), listings (`list`), messages on their way (`retrieve`, framed by
//! `stuff`) and the end of it (`update`).
//!
//! The maildrop is INBOX as it stood at login. What POP3 does not do: it changes no flags, it shows no other mailbox, and
//! it offers no APOP, which needs the password itself in the file (RFC 1939 section 7), while the file holds only hashes.
//!
//! **Octets.** A message is sent as it is stored: every CR, LF and NUL of it, whatever their order. LIST says the stored
//! size, and that many octets follow before stuffing. One that does not end in CR LF is followed by the CR LF of RFC 1939
//! section 3, which terminates a response with `CRLF.CRLF`: those two octets end the response and are counted nowhere.
//!
//! What each claims is shown by a file of `tests/transcripts/pop3`, others beside it:
//!
//! | document | state | remarks | transcript |
//! |---|---|---|---|
//! | RFC 1939 POP3, USER, TOP, UIDL | done | USER and PASS only under TLS; APOP is not offered (above); silence for 10 minutes ends a session | a_maildrop_is_read_and_emptied |
//! | RFC 2449 CAPA, RESP-CODES, PIPELINING, EXPIRE, IMPLEMENTATION | done | LOGIN-DELAY is not: nobody is kept from looking; lines longer than 255 octets are taken | capa_lists_what_works |
//! | RFC 2595 STLS, RFC 8314 | done | what came in the clear behind STLS is dropped | no_password_in_the_clear |
//! | RFC 3206 AUTH-RESP-CODE | done | AUTH, SYS/TEMP and SYS/PERM | wrong_passwords_end_the_connection |
//! | RFC 5034 SASL, RFC 4616 PLAIN, and LOGIN that has no RFC | done | acting for another user is refused | auth_plain_and_login |
//! | RFC 6856 UTF8, LANG | done | names are compared as written; English only; without UTF8 a raw UTF-8 header is sent as stored too: `retrieve` says why | utf8_and_lang |

mod capability;
pub mod grammar;
mod list;
mod login;
mod maildrop;
mod reply;
mod retrieve;
pub mod server;
pub mod stuff;
mod update;
