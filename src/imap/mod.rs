//! Floor 4: IMAP4rev1 and IMAP4rev2. One conversation with a client; it knows nothing of the other protocols.
//!
//! `server` runs one command after the other, `command` is their table, `cmd/` has a file for each. `gather` makes
//! commands of bytes, `lex` reads them as the ABNF says, `emit` and `reply` write. `view` is what a client has been told,
//! and `tell` alone tells it more.
//!
//! What each claims is shown by a file of `tests/transcripts/imap`, others beside it:
//!
//! | document | state | transcript |
//! |---|---|---|
//! | RFC 9051 IMAP4rev2 | done | rev2_says_list_and_no_recent |
//! | RFC 3501 IMAP4rev1, STARTTLS, LOGINDISABLED | done; `\Recent` is never set and RECENT is always 0, SELECT says no UNSEEN (both left to us) | select_says_what_is_there |
//! | RFC 7888 LITERAL+ | done; LITERAL- is not advertised beside it (section 5) | append_refused_is_never_run |
//! | RFC 4959 SASL-IR | done | authenticate_with_initial_response |
//! | RFC 4616 AUTH=PLAIN, and AUTH=LOGIN that has no RFC | done; acting for another user is refused | authenticate_plain_and_login |
//! | RFC 2971 ID | done | thunderbird_reads_the_uid_first |
//! | RFC 5161 ENABLE | done | outlook_cloud_enables_what_is_not_there |
//! | RFC 2342 NAMESPACE | done; one personal namespace | authenticate_with_initial_response |
//! | RFC 3348 CHILDREN | done | mailboxes_are_made_renamed_and_removed |
//! | RFC 3691 UNSELECT | done | close_expunges_in_silence |
//! | RFC 2177 IDLE | done | idle_hears_what_others_do |
//! | RFC 4315 UIDPLUS | done | expunge_and_uid_expunge |
//! | RFC 6851 MOVE | done | move_names_the_uids_before_it_expunges |
//! | RFC 6154 SPECIAL-USE, CREATE-SPECIAL-USE | done; one use for each mailbox | special_use_is_made_and_listed |
//! | XLIST, which has no RFC and is older than RFC 6154 | done, as Gmail had it | xlist_for_old_outlook |
//! | RFC 5258 LIST-EXTENDED | done; REMOTE changes nothing | list_patterns_and_options |
//! | RFC 5819 LIST-STATUS | done | list_returns_status_for_ios |
//! | RFC 8438 STATUS=SIZE | done; DELETED too (RFC 9051, RFC 9208) | status_tells_every_item |
//! | RFC 9208 QUOTA, QUOTASET | done; QUOTASET for limits of one's own, below the owner's | quota_is_told_and_set |
//! | RFC 7889 APPENDLIMIT | done; one number for all mailboxes | appendlimit_is_told |
//! | RFC 4731 ESEARCH | done | search_returns |
//! | RFC 5182 SEARCHRES | done | search_result_is_saved |
//! | RFC 9394 PARTIAL | done; FETCH by sequence number takes it too, as the grammar has it | partial_windows |
//! | RFC 5032 WITHIN | done | search_within |
//! | RFC 9585 INPROGRESS | done, for SEARCH, SORT and THREAD; a search that has begun to tell results says no more | search_takes_long |
//! | RFC 8474 OBJECTID | done; EMAILID names a body and its copies, THREADID goes by Message-ID and References within an account | objectid_names_mailboxes_messages_and_threads |
//! | RFC 8514 SAVEDATE | done; every mailbox knows it | savedate_is_when_a_message_came_here |
//! | RFC 5256 SORT | done | sort_keys |
//! | RFC 5957 SORT=DISPLAY | done | sort_keys |
//! | RFC 5267 ESORT | done; PARTIAL too, the rest of CONTEXT=SORT not | sort_returns |
//! | RFC 5256 THREAD=ORDEREDSUBJECT, THREAD=REFERENCES | done | thread_references |
//! | draft-ietf-morg-inthread THREAD=REFS (beside RFC 5256) | done; SEARCH=INTHREAD not | thread_refs |
//! | RFC 5255 I18NLEVEL=1 | done, but for compatibility forms of rare scripts, which compare only to themselves (`mime/fold.rs`); LANGUAGE not | sort_compares_without_case |
//! | RFC 8970 PREVIEW | done; made at delivery | preview_tells_the_first_words |
//! | RFC 3516 BINARY | done; APPEND of `literal8` is refused with `UNKNOWN-CTE`, which section 4.4 leaves to us | fetch_binary |
//! | RFC 7162 CONDSTORE, QRESYNC | done | qresync_tells_what_a_client_missed |
//! | RFC 5530 response codes | done | append_over_quota |
//! | RFC 4978 COMPRESS=DEFLATE | done; not before login, and not advertised once it is on or many others are compressed | compress_both_ways |
//! | RFC 9755 (and 6855) UTF8=ACCEPT | done; a message with 8-bit header fields is taken without it too (`cmd/append.rs` says why), and BODY shows every client the bytes that came | utf8_accept |
//! | RFC 3502 MULTIAPPEND | done; at most 5,000 messages in one APPEND | multiappend_all_or_nothing |

pub mod capability;
pub mod cmd;
pub mod command;
pub mod emit;
pub mod fetch_args;
pub mod gather;
pub mod lex;
pub mod names;
pub mod object;
pub mod pattern;
pub mod reply;
pub mod returns;
pub mod search_args;
pub mod server;
pub mod sort_args;
pub mod tell;
pub mod view;
