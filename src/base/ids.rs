//! Newtypes for every number that names something, so that a uid can never be passed for a mailbox.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A person with a login. From the file's counter; never used again after removal.
    AccountId(i64)
}
id! {
    /// One mailbox (folder) of an account. Survives renaming; never used again after deletion.
    MailboxId(i64)
}
id! {
    /// The bytes of one message, stored once however many mailboxes show it.
    BodyId(i64)
}
id! {
    /// Messages of one account that belong together (RFC 8474 section 5.2): the body of the one that began it.
    ThreadId(i64)
}
id! {
    /// One password of an account: the main one or an app password.
    CredentialId(i64)
}
id! {
    /// RFC 9051 section 2.3.1.1: ascending within a mailbox and never used twice. Never 0.
    Uid(u32)
}
id! {
    /// RFC 9051 section 2.3.1.1: drawn from a counter in the file, not from the clock. Never 0.
    UidValidity(u32)
}
id! {
    /// RFC 7162 section 3.1: grows with every change of a mailbox; at most 63 bits. 0 is before everything.
    ModSeq(u64)
}
id! {
    /// One connection, in or out; ascending, never used again while the process lives.
    ConnId(u64)
}
id! {
    /// Names one question put to another thread, so that its answer finds the asker or nobody.
    Ticket(u64)
}

impl Uid {
    /// The largest uid that the protocol can express; also what `*` stands for in an empty mailbox.
    pub const MAX: Uid = Uid(u32::MAX);

    pub fn next(self) -> Uid {
        Uid(self.0.saturating_add(1))
    }
}

impl ModSeq {
    pub fn next(self) -> ModSeq {
        ModSeq(self.0 + 1)
    }
}
