//! Floor 3a: what a conversation is, what it may touch, and what it may wait for. Nothing here performs IO, and no
//! session ever calls another part: it reads through `Cx`, and everything else it says by returning a `Want`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::base::{AccountId, Config, CredentialId, Input, MailboxId, Mono, Now, Output, Rng};
use crate::store::{Done, Question, Reader, Refused, Reply, StoreError, Write};

pub mod budget;
pub mod gauges;
pub mod sasl;
pub mod throttle;

pub use budget::Budget;
pub use gauges::Gauges;

/// One conversation with a peer.
pub trait Session: Send {
    /// Does one bounded slice of work with what is at hand and says what to wait for.
    fn step(&mut self, cx: &mut Cx<'_>) -> Want;
}

/// What a constructor of a conversation is given.
pub struct Opening<'a> {
    pub peer: &'a Peer,
    pub config: &'a Config,
    pub now: Now,
}

/// All that a session may touch during one step. There is no other way out.
pub struct Cx<'a> {
    /// Monotonic and wall clock, read once a turn.
    pub now: Now,
    /// Who is at the other end, and how safely.
    pub peer: &'a Peer,
    /// Decrypted bytes from the peer; `eof()` when it has hung up.
    pub input: &'a mut Input,
    /// Bytes to the peer; `full()` above the high-water mark.
    pub output: &'a mut Output,
    /// The answer to the question or commit we last waited on; `None` for any other reason to be stepped.
    pub answer: Option<Answer>,
    /// The deadline of the last `Want` has passed and what it waited for did not come.
    pub expired: bool,
    /// The server is shutting down: finish what is in flight, say goodbye at the next quiet moment.
    pub closing: bool,
    /// Many commits wait for the writer already: take no new message on (451), finish what was begun.
    pub busy: bool,
    /// There is a certificate: STARTTLS may be offered.
    pub can_tls: bool,
    /// Whether `Want::Compress` may be said.
    pub compression: Compression,
    /// One consistent snapshot for the whole turn; small indexed reads only.
    pub store: &'a Reader,
    pub config: &'a Config,
    /// Server-wide memory for bodies in flight, as lent to this connection.
    pub budget: &'a mut Budget,
    pub gauges: &'a mut Gauges,
    pub rng: &'a mut Rng,
}

/// Where a connection stands with compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Possible,
    Active,
    /// `limits::COMPRESSED_MAX` others are compressed already.
    Crowded,
}

/// The other end of a connection, as the engine knows it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub addr: SocketAddr,
    pub local: SocketAddr,
    /// `None` while the connection is in the clear.
    pub tls: Option<TlsInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// IANA name, for the Received field.
    pub cipher: String,
    pub sni: Option<String>,
}

/// What a session waits for. Asking *is* waiting, so it has at most one question open. After `Tls` the next step
/// comes when the handshake is done, with `peer.tls` set; a failed handshake ends the connection without a step.
#[must_use]
#[derive(Debug)]
pub enum Want {
    /// More from the peer than is at hand now (or its hang-up).
    Bytes { until: Mono },
    /// The peer to read what we wrote: output below half of the high-water mark.
    Room { until: Mono },
    /// Bytes, or a hint that something moved on.
    News { of: Watch, until: Mono },
    /// The answer to a question.
    Answer { to: Ask, until: Mono },
    /// For clients: the TCP connection to be there.
    Connect { to: SocketAddr, until: Mono },
    /// A durable change: always answered, never given up, no deadline.
    Commit { write: Write },
    /// Several durable changes of pipelined commands, each whole or not at all by itself, in this order: they share a
    /// commit where the writer can, and are answered together.
    CommitEach { writes: Vec<Write> },
    /// More to do at once, but others first.
    Turn,
    /// Flush, drop buffered plaintext, handshake (RFC 3207 section 4.2).
    Tls,
    /// Flush, then DEFLATE both ways: what the peer has sent behind its command is compressed already. Steps go on.
    Compress,
    /// Flush, then hang up.
    Close,
}

/// What a hint is about. Hints carry no data: look for yourself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    Mailbox(MailboxId),
    Account(AccountId),
}

/// A question that takes another thread, another host, or time.
#[derive(Debug)]
pub enum Ask {
    /// One slice of a large or cold read, by the reader thread.
    Read(Question),
    /// Is this the password of that account? Throttled, hashed elsewhere; an unknown user costs the same.
    Password(PasswordCheck),
    /// DNS look-ups, all at once.
    Dns(Vec<crate::dns::Query>),
    /// This account for this connection alone, among all that ask for it, until the connection ends. Answered at once.
    Alone(AccountId),
}

#[derive(Debug)]
pub enum Answer {
    Read(Result<Reply, StoreError>),
    Password(Verdict),
    /// In the order of the queries.
    Dns(Vec<crate::dns::Outcome>),
    Connected(Result<(), String>),
    /// False: another connection has it.
    Alone(bool),
    Commit(Result<Done, Refused>),
    /// In the order of the writes.
    CommitEach(Vec<Result<Done, Refused>>),
}

/// A login attempt. The secret is not printed by Debug.
#[derive(Clone)]
pub struct PasswordCheck {
    pub login: String,
    pub secret: Vec<u8>,
    pub from: IpAddr,
    pub service: Service,
}

impl std::fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordCheck({} from {} for {:?})", self.login, self.from, self.service)
    }
}

/// What a credential is asked for; its scope must allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Reading and changing mail: IMAP, POP3.
    Mail,
    /// Sending mail: submission.
    Send,
}

/// What became of a login attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Granted(Login),
    /// Wrong user, wrong password or wrong scope: the peer is not told which.
    Denied,
    /// Too many checks wait already; the peer should try again later.
    Busy,
}

/// Who is logged in. The engine ends connections whose credential is changed or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub account: AccountId,
    /// The account's name, which is its main address.
    pub name: Arc<str>,
    pub credential: CredentialId,
    pub scope: crate::store::Scope,
}
