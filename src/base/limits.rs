//! Every number that bounds what the outside can make us do: its name, its unit and its reason. A limit that is
//! needed somewhere is added here, in the section of its room.

use std::time::Duration;

// --- connections (engine) ---

/// How long the loop and the reader thread look for each other's next word before they sleep. A wake-up costs about as
/// much on a small machine.
pub const ANSWER_SPIN: Duration = Duration::from_micros(60);

/// Connections open at once, in and out. 2,000 is more than a household's devices and a spam wave need together.
pub const CONNECTIONS_MAX: usize = 4_000;
/// Connections open at once from one address (/64 for IPv6). K-9 and friends open many; a flood opens more.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_500;
/// Bytes of a peer that we hold decrypted and unread before its socket is paused.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Bytes to a peer that we hold before its session must wait for room.
pub const OUTPUT_BYTES_HIGH: usize = 64 * 1024;
/// Bytes to and from all peers together that we hold. Past it, those who are not logged in and hold more than their share
/// are cut off: 4,000 strangers with full buffers would need 700 MB. 500 slow senders need half of it.
pub const BUFFERS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Sessions stepped in one turn before the outside is served again. Keeps a turn of 1,000 pushes in pieces.
pub const STEPS_PER_TURN: usize = 64;
/// Consecutive `Want::Turn` of one session without input, output or question: past it the session is stuck.
pub const IDLE_TURNS_MAX: u32 = 10_000;

/// What a step that does public-key work costs of `STEPS_PER_TURN`: a flood of handshakes must not hold the loop.
pub const HANDSHAKE_STEPS: usize = 8;
/// Time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a peer to read the last bytes before we close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// After `Stop`: time for conversations to come to an end.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Encrypted bytes that wait for the socket; what lies beyond stays in the session's output, where it counts.
pub const WIRE_BYTES_HIGH: usize = 32 * 1024;
/// How hard output is deflated, which is the loop's time: one of the fast levels, at which 500 envelopes already shrink to a
/// twelfth.
pub const DEFLATE_LEVEL: u32 = 3;
/// Connections compressed at once. Each keeps a window of 32 KiB and tables: 24 MiB in all.
pub const COMPRESSED_MAX: usize = 500;
/// What one compressed byte may become on average. Text becomes 3 to 10, a DEFLATE bomb 1,032.
pub const INFLATE_RATIO_MAX: u64 = 100;
/// Bytes that a connection may inflate whatever their ratio: the largest message, if it is all zeros.
pub const INFLATE_FREE_BYTES: u64 = MESSAGE_BYTES_MAX;
/// Bytes of one TLS handshake message with its records: more than the longest ClientHello with everything in it.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Commits in flight beyond which new messages are not taken on (451): some 2 s of a slow SD card.
pub const COMMITS_IN_FLIGHT_BUSY: usize = 256;
/// How often what is due is let go of: expunged rows, unfinished uploads.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// Until the next sweep where one has left something over: sweeps are small, so that mail is taken in between.
pub const SWEEP_AGAIN: Duration = Duration::from_secs(1);
/// The first sweep after the start: not before the first clients are served.
pub const SWEEP_AFTER_START: Duration = Duration::from_secs(5);
/// When new mail is taken into the search index: after it has been quiet this long.
pub const INDEX_AFTER: Duration = Duration::from_millis(1_000);
/// Messages that may wait for the index while others keep the writer busy. A search reads some thousand in a second.
pub const INDEX_BACKLOG: usize = 2_000;
/// Rest between two writes of the index while others have work for the writer: they get most of its time.
pub const INDEX_PAUSE: Duration = Duration::from_millis(60);
/// After the writer has answered others: they may go on before indexing does.
pub const INDEX_GIVE_WAY: Duration = Duration::from_millis(5);
/// How soon it is tried again after the disk was full or could not be read.
pub const INDEX_AGAIN: Duration = Duration::from_secs(600);
/// A wall clock before this (2026-11-01, before this source was written) is not set.
pub const CLOCK_FLOOR_UNIX: i64 = 1_793_491_200;

// --- store ---

/// Bytes of a body in one slice, before compression. COPY is metadata, memory does not grow with the message.
pub const SLICE_BYTES: usize = 256 * 1024;
/// Memory that the first byte of a body takes; doubled as it grows, up to a whole slice.
pub const SLICE_BYTES_FIRST: usize = 4 * 1024;
/// How hard slices are compressed: 1 already saves a third of mail; more costs twice the CPU for a few per cent.
pub const ZSTD_LEVEL: i32 = 1;
/// Writes the writer takes into one commit.
pub const BATCH_WRITES_MAX: usize = 64;
/// Bytes of payload the writer takes into one commit.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Slices of large uploads in one commit when nothing smaller waits: a small change waits for one of them at most.
pub const BATCH_SLICES_MAX: usize = 1;
/// WAL size at which a PASSIVE checkpoint follows a batch: what it has to bring home is what a commit may have to wait
/// for. Measured at 0.5, 1, 2 and 4 MiB, and on a thread of its own: at 1 MiB the slowest commits were the fastest, and
/// the log stays where the disk has it already.
pub const WAL_PASSIVE_BYTES: u64 = 1024 * 1024;
/// A log that has grown beyond this is cut back when it begins anew. More than a batch above `WAL_PASSIVE_BYTES`, so that
/// it is not cut and grown again all the time.
pub const WAL_KEPT_BYTES: u64 = 4 * 1024 * 1024;
/// WAL size at which a TRUNCATE checkpoint is forced.
pub const WAL_TRUNCATE_BYTES: u64 = 64 * 1024 * 1024;
/// Accepting mail stops while less than this, or than this share of a smaller disk, is free, so that expunging works.
pub const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
pub const DISK_RESERVE_PERCENT: u64 = 2;
/// The least reserve on a very small disk: a log of `WAL_KEPT_BYTES`, its home in the file, and as much again.
pub const DISK_RESERVE_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// An upload that has not been finished after this long is swept.
pub const STAGED_FOR: Duration = Duration::from_secs(3600);
/// An expunged message can still be read by a session that has it in view for this long.
pub const EXPUNGED_FOR: Duration = Duration::from_secs(3600);
/// How long QRESYNC can be told exactly which uids were expunged; after that a client compares all of them.
pub const TOMBSTONES_FOR: Duration = Duration::from_secs(90 * 24 * 3600);
/// Largest message, in bytes. SIZE and APPENDLIMIT say it.
pub const MESSAGE_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Different keywords that one mailbox may know, and bytes of one keyword.
pub const KEYWORDS_PER_MAILBOX_MAX: usize = 256;
pub const KEYWORD_BYTES_MAX: usize = 128;
/// Resources in one SETQUOTA: more than RFC 9208 knows.
pub const QUOTA_RESOURCES_MAX: usize = 16;
/// Keywords on one message.
pub const KEYWORDS_PER_MESSAGE_MAX: usize = 64;
/// Mailboxes of one account, levels of hierarchy, and bytes of a mailbox name in UTF-8.
pub const MAILBOXES_PER_ACCOUNT_MAX: usize = 10_000;
pub const MAILBOX_LEVELS_MAX: usize = 32;
pub const MAILBOX_NAME_BYTES_MAX: usize = 1_000;
/// Bytes of rows that one slice of a large read brings back.
pub const READ_BYTES_MAX: usize = 256 * 1024;
/// Rows that one slice of a large read brings back.
pub const READ_ROWS_MAX: usize = 512;
/// Messages whose sizes one slice of opening a POP3 maildrop brings back: a millisecond or two.
pub const SIZES_PER_SLICE: usize = 4_096;
/// Changes that a session takes from the loop's own connection before it asks the reader thread instead.
pub const CHANGES_ON_LOOP_MAX: usize = 1_000;
/// Messages that go at once with their mailbox or account; more of them go with the sweeps, some at a time.
pub const ROWS_REMOVED_AT_ONCE: usize = 5_000;
/// Memory of what is known of mailboxes for searching, sorting and threading; the mailbox in use may take more. Of 100,000
/// messages the bodies take 1.6 MB, and all that SORT and THREAD ask for some 20 MB.
pub const COLUMNS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Messages whose uid and body one slice reads: some milliseconds.
pub const COLUMN_ROWS_PER_SLICE: usize = 8_192;
/// Messages whose sort and thread fields one slice reads, from two tables: some milliseconds.
pub const COLUMN_FIELDS_PER_SLICE: usize = 1_024;
/// Bytes of a subject or name that SORT and THREAD look at; what differs only behind them is equal.
pub const SORT_STRING_BYTES_MAX: usize = 512;
/// Message-ids of one message that THREAD looks at: the first, and the last ones. Longer lists than this are seldom whole.
pub const THREAD_REFERENCES_MAX: usize = 100;
/// Different message-ids in one mailbox that THREAD keeps in memory, some 30 bytes each; past it THREAD says NO. A million
/// messages have about as many; lists of made-up ids would have more.
pub const THREAD_IDS_MAX: usize = 4_000_000;
/// Steps of sorting or threading in one slice, each some ten nanoseconds.
pub const WORK_PER_SLICE: usize = 200_000;
/// Sorts and threads in the making at once, some 20 bytes for each message; those that come later wait.
pub const WORKS_MAX: usize = 8;
/// Ancestors that THREAD looks at before it takes a link for a loop. Only messages whose references contradict those of
/// others need any looking at.
pub const THREAD_ANCESTORS_MAX: usize = 10_000;
/// Uids that one flag change or expunge commits at once; a longer one is several commits.
pub const UIDS_PER_WRITE_MAX: u64 = 5_000;

/// Bodies and words of the full-text index in one write, and bytes of messages that are read for it at once: the writer
/// is held for some ten milliseconds, and the reader thread for less.
pub const INDEX_BODIES_PER_WRITE: usize = 64;
pub const INDEX_TOKENS_PER_WRITE: usize = 12_000;
pub const INDEX_BYTES_PER_SLICE: u64 = 256 * 1024;
/// Different trigrams of one message past which it is not indexed but read by every search. Letters and digits alone
/// have 46,656; a message with more than this is no prose in any script.
pub const INDEX_TOKENS_PER_BODY_MAX: usize = 64 * 1024;
/// Words that one search asks the index for; what a longer program says beyond is left to the judge.
pub const INDEX_WORDS_PER_SEARCH_MAX: usize = 64;
/// Messages whose words one slice of a search looks up: some milliseconds even for common ones.
pub const INDEX_LOOKUP_BODIES: usize = 32_768;

// --- mime ---

/// MIME parts seen in one message; what lies beyond stays in the last part as bytes.
pub const PARTS_MAX: usize = 1_000;
/// Depth of nested multiparts and messages.
pub const PART_DEPTH_MAX: usize = 50;
/// Bytes of one header section that are looked at.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Header fields looked at in one section.
pub const HEADER_FIELDS_MAX: usize = 2_000;
/// Addresses kept in ENVELOPE for one field.
pub const ADDRESSES_MAX: usize = 1_000;
/// Bytes of a multipart boundary. RFC 2046 section 5.1.1 allows 70; a longer one than this is no boundary.
pub const BOUNDARY_BYTES_MAX: usize = 256;
/// Spaces that transport may have added behind a boundary (RFC 2046 section 5.1.1).
pub const BOUNDARY_PADDING_MAX: usize = 64;
/// Parameters of one Content-Type or Content-Disposition field, and bytes of one value.
pub const PARAMS_MAX: usize = 100;
pub const PARAM_BYTES_MAX: usize = 16 * 1024;
/// Bytes described so far in BODYSTRUCTURE past which no further part is opened.
pub const STRUCTURE_BYTES_MAX: usize = 512 * 1024;
/// Bytes of message-ids kept for threading: about 200 of them.
pub const REFERENCES_BYTES_MAX: usize = 16 * 1024;

/// Characters of a preview (RFC 8970 section 3.3), and bytes of a text part that are looked at for it. HTML has its style
/// sheets in front.
pub const PREVIEW_CHARS_MAX: usize = 200;
pub const PREVIEW_PLAIN_BYTES_MAX: usize = 16 * 1024;
pub const PREVIEW_HTML_BYTES_MAX: usize = 64 * 1024;
/// Previews that one slice of rows makes of bodies, for messages that came before there were previews: a millisecond each.
pub const PREVIEWS_PER_SLICE: usize = 4;

// --- SMTP ---

/// Bytes of one SMTP command line with its CR LF (RFC 5321 section 4.5.3.1.4 says 512; extensions add to it).
pub const SMTP_LINE_BYTES_MAX: usize = 4_096;
/// A peer may send this many unknown commands. Three stops HTTP talkers and spares typing humans.
pub const BAD_COMMANDS_MAX: u32 = 3;
/// Recipients of one mail transaction; RFC 5321 section 4.5.3.1.8 asks for at least 100.
pub const RECIPIENTS_MAX: usize = 200;
/// Recipients that one connection may name in vain. An old mailing list has some; a hundred is a dictionary.
pub const RECIPIENTS_REFUSED_MAX: u32 = 100;
/// Mail transactions in one SMTP connection.
pub const TRANSACTIONS_MAX: u32 = 10_000;
/// Received fields before a message is taken to be looping (RFC 5321 section 6.3).
pub const HOPS_MAX: usize = 100;
/// Bytes of a local part. RFC 5321 section 4.5.3.1.1 says 64, but senders that encode the recipient into it (VERP) take
/// more, and their mail is wanted.
pub const LOCAL_PART_BYTES_MAX: usize = 255;
/// Bytes of a domain (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Commands of one SMTP conversation in one step. A pipelined RCPT costs a few indexed reads.
pub const SMTP_COMMANDS_PER_STEP: u32 = 32;
/// Passwords that one SMTP connection may get wrong before it must connect again.
pub const AUTH_FAILURES_MAX: u32 = 3;
/// How long a password check may take before the client is told to try again.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one message may take to arrive, however steadily it drips. Below `STAGED_FOR`, so that the sweep never takes
/// the slices of a message that is still coming.
pub const SMTP_MESSAGE_TIMEOUT: Duration = Duration::from_secs(3_300);
/// A message that has come more slowly than this for so long gives way when memory is scarce: a few hundred stalled
/// senders must not keep everybody else's mail out. Our slowest honest line brings 16 KiB a second.
pub const SMTP_SLOW_BYTES_PER_SECOND: u64 = 1_024;
pub const SMTP_SLOW_AFTER: Duration = Duration::from_secs(20);
/// Memory is scarce when less than this is left of `BODY_BUDGET_BYTES`.
pub const BODY_BUDGET_SCARCE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of a BDAT chunk that is refused but still read past, so that pipelined commands behind it are found.
pub const CHUNK_DISCARD_BYTES_MAX: u64 = 2 * MESSAGE_BYTES_MAX;
/// Bytes of one header field of a submitted message, and of its whole header section: they are rewritten in memory.
pub const SUBMIT_FIELD_BYTES_MAX: usize = 64 * 1024;
pub const SUBMIT_HEADER_BYTES_MAX: usize = 256 * 1024;
/// How long a server waits for the next command (RFC 5321 section 4.5.3.2.7).
pub const SMTP_COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a server waits for the next bytes of a message.
pub const SMTP_DATA_TIMEOUT: Duration = Duration::from_secs(300);

/// How long the steps of an arrival wait for all answers of a DNS question together.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(20);

// --- IMAP ---

/// Bytes of one IMAP command without its large literals. iPhones send search arguments of several KB.
pub const IMAP_LINE_BYTES_MAX: usize = 64 * 1024;
/// The same before login: room for the longest AUTHENTICATE and LOGIN.
pub const IMAP_LINE_BYTES_BEFORE_LOGIN_MAX: usize = 8 * 1024;
/// Depth of parentheses and nested search keys in one IMAP command.
pub const IMAP_DEPTH_MAX: u32 = 50;
/// Commands that are not understood, one after the other, before an IMAP client is sent away.
pub const IMAP_BAD_COMMANDS_MAX: u32 = 20;
/// Bytes of an unasked literal that we read away to be able to refuse it politely; past it the connection ends.
pub const LITERAL_DRAIN_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Moves (reading, running, telling) of one IMAP session in one step: about ten short commands.
pub const IMAP_MOVES_PER_STEP: usize = 32;
/// Pipelined APPENDs that are whole at hand and are committed together. The input holds no more than a few messages.
pub const APPENDS_AHEAD_MAX: usize = 32;
/// Messages in one APPEND (RFC 3502): one commit shows them all, which holds the writer for some tenths of a second.
pub const MULTIAPPEND_MESSAGES_MAX: usize = 5_000;
/// Bytes of its messages that one APPEND keeps in memory until the last one comes; past it they are stored on the way.
pub const MULTIAPPEND_HELD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of flags and date before a further message of one APPEND: `KEYWORDS_PER_MESSAGE_MAX` of the longest fit.
pub const APPEND_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long an IMAP client may take to read what we wrote.
pub const IMAP_ROOM_TIMEOUT: Duration = Duration::from_secs(600);
/// How long an IMAP session waits for the reader thread; an SD card under a checkpoint takes seconds, not minutes.
pub const IMAP_READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Items of one FETCH, names in one HEADER.FIELDS, and bytes of one such name that are looked at.
pub const FETCH_ITEMS_MAX: usize = 64;
pub const FETCH_FIELD_NAMES_MAX: usize = 256;
pub const HEADER_FIELD_NAME_BYTES_MAX: usize = 256;
/// Ranges of uids in one VANISHED (EARLIER) response.
pub const FETCH_VANISHED_RANGES_MAX: usize = 1_000;
/// How often a client is told that its search goes on; RFC 9585 section 4 recommends 10 to 15 seconds.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Keys of one SEARCH, lists and operands counted.
pub const SEARCH_KEYS_MAX: usize = 1_000;
/// Criteria of one SORT. Nine are known, and each can be reversed.
pub const SORT_KEYS_MAX: usize = 18;
/// Messages that one step judges or shows from the view alone: some milliseconds.
pub const VIEW_ROWS_PER_STEP: usize = 20_000;
/// Messages that one slice of a search looks at, and bytes of bodies that it reads (the message that passes it is
/// finished): some ten milliseconds, in which nobody else is served by the reader thread.
pub const SEARCH_ROWS_PER_SLICE: usize = 4_096;
pub const SEARCH_BYTES_PER_SLICE: u64 = 1024 * 1024;
/// Time to log in after the greeting.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle time after login; RFC 9051 section 5.4 asks for at least 30 minutes.
pub const IMAP_IDLE_TIMEOUT: Duration = Duration::from_secs(31 * 60);
/// The interval of `* OK Still here` in IDLE, on one grid for all connections so that they share a wake-up.
pub const KEEPALIVE: Duration = Duration::from_secs(120);

// --- POP3 ---

/// Bytes of one POP3 command with its line end. RFC 2449 section 4 says 255; AUTH with an initial response takes a whole
/// SASL line, and USER and PASS the longest names and passwords.
pub const POP3_LINE_BYTES_MAX: usize = SASL_LINE_BYTES_MAX + 256;
/// Commands that are not understood, one after the other, before a POP3 client is sent away.
pub const POP3_BAD_COMMANDS_MAX: u32 = 10;
/// Moves (a command, a slice of a message, a window of a listing) of one POP3 session in one step.
pub const POP3_MOVES_PER_STEP: u32 = 32;
/// Silence that ends a POP3 session, and the time it has for logging in: RFC 1939 section 3 asks for at least 10 minutes.
pub const POP3_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a POP3 client may take to read what we wrote.
pub const POP3_ROOM_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a POP3 session waits for the reader thread; an SD card under a checkpoint takes seconds, not minutes.
pub const POP3_READ_TIMEOUT: Duration = Duration::from_secs(120);

// --- passwords ---

/// Password checks waiting for a hash thread; past it a check is answered with "try again".
pub const HASH_QUEUE_MAX: usize = 64;
/// Login attempts remembered at once. Every connection has at most one, so that those beyond it are of peers that have
/// hung up while theirs was held back; they are let go then.
pub const ATTEMPTS_MAX: usize = 2 * CONNECTIONS_MAX;
/// Hashes of one network at a time, unless it is known to log in well; more wait, and look again after the hold.
pub const HASHES_PER_NET_MAX: usize = 8;
pub const HASH_HOLD: Duration = Duration::from_millis(250);
/// Bytes of a password that are looked at; longer ones are refused.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Wrong passwords from one network or for one account before the next attempt is delayed: people mistype.
pub const LOGIN_FAILURES_FREE: u32 = 3;
/// The delay doubles from one second up to this. Longer than a client waits serves nobody.
pub const LOGIN_DELAY_MAX: Duration = Duration::from_secs(30);
/// Wrong passwords are forgotten after this long without another.
pub const LOGIN_FAILURES_FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// A network that has logged in well within this time is never delayed for that account.
pub const LOGIN_GOOD_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Networks, accounts, and pairs of both that the throttle remembers.
pub const THROTTLE_ENTRIES_MAX: usize = 4_096;
/// When and from where a credential was used is written down at most this often.
pub const USED_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of a login name: an address of RFC 5321 section 4.5.3.1 and some more.
pub const LOGIN_NAME_BYTES_MAX: usize = 512;
/// Bytes of one base64 line in an AUTH exchange: a login name twice and a password, encoded.
pub const SASL_LINE_BYTES_MAX: usize = 4_096;

// --- DNS ---

/// Bytes of an answer that we take over UDP: what passes everywhere unfragmented (DNS flag day 2020).
pub const DNS_UDP_BYTES: u16 = 1_232;
/// Records looked at in one section of a packet.
pub const DNS_RECORDS_MAX: usize = 256;
/// Aliases followed within one answer.
pub const DNS_CNAMES_MAX: usize = 8;
/// Servers asked for one look-up, and how often each.
pub const DNS_SERVERS_MAX: usize = 3;
pub const DNS_ROUNDS: usize = 2;
/// How long one server has for its answer.
pub const DNS_TRY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer is believed, whatever its ttl says, and a "no" (RFC 2308 section 5 advises one to three hours).
pub const DNS_TTL_MAX: Duration = Duration::from_secs(86_400);
pub const DNS_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(3 * 3_600);
pub const DNS_CACHE_ENTRIES_MAX: usize = 2_048;
/// Look-ups under way at once; past it one fails at once and is tried again later.
pub const DNS_LOOK_UPS_MAX: usize = 256;

// --- object identifiers ---

/// RFC 8474 section 7: no object identifier is longer.
pub const OBJECT_ID_BYTES_MAX: usize = 255;

// --- memory ---

/// Bytes of message bodies in flight, all connections together. Past it bytes stay in the sockets.
pub const BODY_BUDGET_BYTES: usize = 8 * 1024 * 1024;

// --- the real world (io) ---

/// Bytes taken from one socket in one turn; what lies beyond waits until the others have been served.
pub const READ_PER_TURN_BYTES: usize = 64 * 1024;
/// Sockets read in one turn, so that a flood does not keep the engine from its deadlines.
pub const READS_PER_TURN: usize = 256;
/// Connections accepted from one listener in one turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections that the system keeps for us until we accept them.
pub const BACKLOG: i32 = 1_024;
/// Wait after the system has refused a connection for want of file descriptors or memory.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// File descriptors wanted: connections, and some for the file, listeners and DNS.
pub const DESCRIPTORS_WANTED: u64 = 2 * CONNECTIONS_MAX as u64;
/// Time for a peer to hang up after our last words: closing earlier could reset them away (RFC 1122 section 4.2.2.13).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that a lingering peer may still send before it is reset.
pub const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// The server ends this long after a stop signal, whatever still hangs: a little after `STOP_TIMEOUT`.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(15);
/// Quiet time after the last commit until the WAL is put into the file.
pub const CHECKPOINT_AFTER: Duration = Duration::from_secs(1);
/// Quiet time after work until freed memory is given back to the system.
pub const TRIM_AFTER: Duration = Duration::from_secs(3);
/// Quiet time until what is only kept to answer faster is let go too: views that no session holds, pages of the file.
pub const REST_AFTER: Duration = Duration::from_secs(30);
/// Stack of every thread but the main one. SQLite and argon2 keep their large things on the heap.
pub const THREAD_STACK_BYTES: usize = 512 * 1024;
/// Threads that hash passwords; each needs 19 MiB while it works.
pub const HASH_THREADS_MAX: usize = 2;
/// argon2id as OWASP's password storage cheat sheet gives it: 19 MiB, two passes, one lane.
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
pub const ARGON2_PASSES: u32 = 2;
pub const ARGON2_LANES: u32 = 1;
/// Commands of the CLI that talk to the server at once; each needs a moment.
pub const CONTROL_CLIENTS_MAX: usize = 32;
/// Bytes of one request or answer on the control socket. A certificate chain is the largest.
pub const CONTROL_FRAME_BYTES_MAX: usize = 256 * 1024;
/// Time for a command of the CLI to send its request and take its answer.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);
/// Datagrams taken from one socket in one turn.
pub const DATAGRAMS_PER_TURN: usize = 64;
/// Largest DNS answer by UDP that we ask for (EDNS) and a margin.
pub const DATAGRAM_BYTES_MAX: usize = 4_096;
