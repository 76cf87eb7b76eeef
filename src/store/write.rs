//! Changes as values: applied whole or not at all by `Writer::commit`; nobody else touches the tables.

use crate::base::{AccountId, BodyId, CredentialId, MailboxId, ModSeq, Uid, UidSet, UidValidity, Wall};
use crate::mime::Summary;

use super::{IndexWork, Limits, Resource, Scope, SpecialUse};

/// One change, applied whole or not at all. A value, so that it can be logged, replayed and modelled.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// One slice of a body too large for one write. The first (`body: None`) makes a staged body and answers its id.
    Stage {
        body: Option<BodyId>,
        seq: u32,
        slice: Slice,
        now: Wall,
    },
    /// Gives a staged body up at once, without waiting for the sweep.
    Discard {
        body: BodyId,
    },
    /// Stores a whole body with its summary that nothing shows yet: one of several that an `AppendAll` will show
    /// together. Answers its id. Swept like an upload that is not finished.
    Park {
        body: NewBody,
        now: Wall,
    },
    Deliver(Deliver),
    Append(Append),
    /// Several messages for one mailbox, which come in together or not at all (RFC 3502).
    AppendAll(Vec<Append>),
    Flags(ChangeFlags),
    Expunge(Expunge),
    Remove(Remove),
    Copy(Transfer),
    Move(Transfer),
    /// Creates missing parents too (RFC 9051 section 6.3.4). Refused::Exists if the name is taken.
    CreateMailbox {
        account: AccountId,
        name: String,
        special: Option<SpecialUse>,
        now: Wall,
    },
    /// A mailbox with children stays as a `\Noselect` name (RFC 9051 section 6.3.5); its messages go.
    DeleteMailbox {
        account: AccountId,
        name: String,
        now: Wall,
    },
    /// Renaming INBOX moves its messages into the new name and leaves INBOX empty (RFC 9051 section 6.3.6).
    RenameMailbox {
        account: AccountId,
        from: String,
        to: String,
        now: Wall,
    },
    Subscribe {
        account: AccountId,
        name: String,
        on: bool,
    },
    /// What an account allows itself, in place of what it did before. The owner's limits hold beside these.
    Restrain {
        account: AccountId,
        limits: Limits,
    },
    /// A credential has been used: when and from where. Lossy by design (at most once a minute per credential).
    Used {
        credential: CredentialId,
        at: Wall,
        from: String,
    },
    /// Upkeep of the full-text index. What was gathered for an index that has been given up since does nothing.
    Index(IndexWork),
    Admin(Admin),
}

/// Up to `limits::SLICE_BYTES` of a body, as they will lie in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// zstd where that saves a tenth, else plain.
    pub stored: Vec<u8>,
    pub compressed: bool,
    /// Length before compression. Every slice but the last of a body is exactly `SLICE_BYTES` long.
    pub length: u32,
}

/// The body that a Deliver or Append brings: inside it, or staged before.
#[derive(Clone, Debug, PartialEq)]
pub enum NewBody {
    /// A body of at most one slice travels with its write.
    Inline { slice: Slice, sha256: [u8; 32], summary: Summary },
    /// All slices are staged already; the last write names them. Refused::NoBody if they were swept.
    Staged { body: BodyId, size: u64, sha256: [u8; 32], summary: Summary },
    /// Stored whole by `Write::Park`. Refused::NoBody if it was swept.
    Parked { body: BodyId, size: u64 },
}

impl Write {
    /// The bodies that come in with it.
    pub fn bodies(&self) -> impl Iterator<Item = &NewBody> {
        let (one, more): (Option<&NewBody>, &[Append]) = match self {
            Write::Park { body, .. } => (Some(body), &[]),
            Write::Deliver(deliver) => (Some(&deliver.body), &[]),
            Write::Append(append) => (Some(&append.body), &[]),
            Write::AppendAll(appends) => (None, appends),
            _ => (None, &[]),
        };
        one.into_iter().chain(more.iter().map(|append| &append.body))
    }
}

/// A message that came in: one body, shown in one mailbox for each target. All or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Deliver {
    pub body: NewBody,
    pub to: Vec<Target>,
    /// INTERNALDATE.
    pub received: Wall,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub account: AccountId,
    pub place: Place,
    pub flags: FlagNames,
}

/// Where in an account a message goes. A missing `Special` or `Named` mailbox is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Inbox,
    Special(SpecialUse),
    Named(String),
}

/// IMAP APPEND. Refused::NoMailbox if it is not there (TRYCREATE).
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub body: NewBody,
    pub flags: FlagNames,
    /// INTERNALDATE: the client's, or now.
    pub received: Wall,
    pub now: Wall,
}

/// Flags by name, as a client says them. `system` holds the bits of `Flags::SEEN` and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagNames {
    pub system: u8,
    /// Keywords in the client's spelling; compared without case (RFC 9051 section 2.3.2).
    pub keywords: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagOp {
    Set,
    Add,
    Remove,
}

/// IMAP STORE. Uids that are gone are left out; `UNCHANGEDSINCE` failures come back as `modified` (RFC 7162).
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeFlags {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub uids: UidSet,
    pub op: FlagOp,
    pub flags: FlagNames,
    pub unchanged_since: Option<ModSeq>,
}

/// IMAP EXPUNGE: of those in `uids` (or of all), the ones flagged `\Deleted`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expunge {
    pub mailbox: MailboxId,
    pub uids: Option<UidSet>,
    pub now: Wall,
}

/// POP3 DELE at QUIT: these messages go, whatever their flags. Uids that are gone are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Remove {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub uids: UidSet,
    pub now: Wall,
}

/// IMAP COPY and MOVE. Uids that are gone are left out; flags and INTERNALDATE go along.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    pub account: AccountId,
    pub from: MailboxId,
    pub uids: UidSet,
    pub to: MailboxId,
    pub now: Wall,
}

/// What the command line changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Admin {
    AddDomain {
        name: String,
    },
    /// Refused::InUse while addresses are in it.
    RemoveDomain {
        name: String,
    },
    /// Makes the account, its address, its special-use mailboxes and its main credential. `hash` is a PHC string.
    AddAccount {
        name: String,
        hash: String,
        now: Wall,
    },
    /// Removes the account with its mail.
    RemoveAccount {
        name: String,
        now: Wall,
    },
    /// `hash` is a PHC string; replaces the main credential.
    SetPassword {
        account: String,
        hash: String,
        now: Wall,
    },
    AddCredential {
        account: String,
        name: String,
        scope: Scope,
        hash: String,
        now: Wall,
    },
    RevokeCredential {
        account: String,
        name: String,
    },
    /// `local` is `*` for the catch-all of the domain.
    AddAddress {
        local: String,
        domain: String,
        account: String,
    },
    RemoveAddress {
        local: String,
        domain: String,
    },
    /// What the owner allows an account. What it allowed itself is over.
    SetQuota {
        account: String,
        limits: Limits,
    },
    SetSetting {
        name: String,
        value: Option<String>,
    },
    SetCertificate {
        name: String,
        chain_pem: String,
        key_pem: String,
        now: Wall,
    },
    /// Lets go of expunged rows, swept uploads and unreferenced bodies that are due. Sent by the engine now and then.
    Sweep {
        now: Wall,
        /// Wall time is believed: later than the build and the newest message.
        clock_trusted: bool,
    },
}

/// What a change did, for the one who asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    Nothing,
    /// A sweep left something over.
    More,
    Staged(BodyId),
    Delivered(Vec<Delivered>),
    Appended(Delivered),
    /// In the order of the messages.
    AppendedAll(Vec<Delivered>),
    /// `changed` are those whose flags are now other than before; `modseq` is the change's own (the mailbox's highest
    /// if nothing changed); `modified` failed UNCHANGEDSINCE.
    Flags {
        modseq: ModSeq,
        changed: UidSet,
        modified: UidSet,
    },
    Expunged {
        modseq: ModSeq,
        uids: UidSet,
    },
    /// Pairs in ascending order of `from`; empty where none of the uids is there any more.
    Copied {
        validity: UidValidity,
        pairs: Vec<(Uid, Uid)>,
    },
    Mailbox(MailboxId),
    Created {
        mailbox: MailboxId,
        validity: UidValidity,
    },
    Account(AccountId),
}

/// Where a new message lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub validity: UidValidity,
    pub uid: Uid,
    pub modseq: ModSeq,
}

/// Why a change was not made. Nothing of it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    NoMailbox,
    NoAccount,
    NoDomain,
    NoAddress,
    NoCredential,
    /// The name is taken.
    Exists,
    /// The thing has dependants, or may not be removed (INBOX).
    InUse,
    /// The name is not allowed; the sentence says why.
    BadName(String),
    /// The account would have more of this than it may.
    OverQuota(Resource),
    /// A limit of `base/limits.rs`; the sentence names it.
    Limit(String),
    /// The disk reserve is reached.
    DiskFull,
    /// The staged body is gone, or its size or hash is not what was said.
    NoBody,
    /// The store failed; logged there.
    Broken(String),
}

/// The result of one write of a batch, and whom to hint.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub result: Result<Done, Refused>,
    /// Mailboxes whose state moved on.
    pub mailboxes: Vec<MailboxId>,
    /// Accounts whose mailbox list, credentials or existence changed.
    pub accounts: Vec<AccountId>,
    /// Credentials that no longer hold: connections and cached proofs of these end.
    pub revoked: Vec<CredentialId>,
    /// Settings, domains or certificates changed: the configuration is to be read again.
    pub settings: bool,
}
