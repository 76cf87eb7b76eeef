//! What a command and a running server say to each other through `FILE.sock`: frames of text fields.
//!
//! ```text
//! frame = length field*      length: u32, big-endian, of what follows
//! field = length bytes       UTF-8
//! ```
//!
//! Only administration goes through here; mail never does. The socket is the owner's alone (0600), and still every frame
//! is bounded and anything that is not exactly a request is refused.

use crate::base::{AccountId, Wall, limits};
use crate::store::{Admin, Done, Limits, Refused, Resource, Scope};

/// What a command asks of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Change(Admin),
    Status,
    Reload,
}

/// What it hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done(Done),
    Refused(Refused),
    /// Names and values, in the order they are shown.
    Status(Vec<(String, String)>),
    Reloading,
    /// The request was not understood: the two are of different versions.
    Unknown,
}

/// One frame around these fields.
fn seal(fields: &[&str]) -> Vec<u8> {
    let length: usize = fields.iter().map(|field| field.len() + 4).sum();
    let mut frame = Vec::with_capacity(length + 4);
    let put = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    frame.extend_from_slice(&put(length));
    for field in fields {
        frame.extend_from_slice(&put(field.len()));
        frame.extend_from_slice(field.as_bytes());
    }
    frame
}

/// A frame says that it is longer than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// How long the first frame of `bytes` is, once its length is at hand.
pub fn frame_length(bytes: &[u8]) -> Result<Option<usize>, TooLong> {
    let Some((head, _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*head)).map_err(|_| TooLong)?;
    if length > limits::CONTROL_FRAME_BYTES_MAX { Err(TooLong) } else { Ok(Some(length + 4)) }
}

/// The fields of one whole frame.
fn unseal(frame: &[u8]) -> Option<Vec<&str>> {
    let (_, mut rest) = frame.split_first_chunk::<4>()?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*head)).ok()?;
        let (field, tail) = tail.split_at_checked(length)?;
        fields.push(std::str::from_utf8(field).ok()?);
        rest = tail;
    }
    Some(fields)
}

impl Request {
    pub fn seal(&self) -> Vec<u8> {
        match self {
            Request::Status => seal(&["status"]),
            Request::Reload => seal(&["reload"]),
            Request::Change(admin) => seal_change(admin),
        }
    }

    pub fn unseal(frame: &[u8]) -> Option<Request> {
        match unseal(frame)?.as_slice() {
            ["status"] => Some(Request::Status),
            ["reload"] => Some(Request::Reload),
            change => unseal_change(change).map(Request::Change),
        }
    }
}

fn seal_change(admin: &Admin) -> Vec<u8> {
    let time = |now: &Wall| now.0.to_string();
    match admin {
        Admin::AddDomain { name } => seal(&["add-domain", name]),
        Admin::RemoveDomain { name } => seal(&["remove-domain", name]),
        Admin::AddAccount { name, hash, now } => seal(&["add-account", name, hash, &time(now)]),
        Admin::RemoveAccount { name, now } => seal(&["remove-account", name, &time(now)]),
        Admin::SetPassword { account, hash, now } => seal(&["set-password", account, hash, &time(now)]),
        Admin::AddCredential { account, name, scope, hash, now } => {
            seal(&["add-credential", account, name, scope_name(*scope), hash, &time(now)])
        }
        Admin::RevokeCredential { account, name } => seal(&["revoke-credential", account, name]),
        Admin::AddAddress { local, domain, account } => seal(&["add-address", local, domain, account]),
        Admin::RemoveAddress { local, domain } => seal(&["remove-address", local, domain]),
        Admin::SetQuota { account, limits } => {
            let [bytes, messages, mailboxes] = [limits.bytes, limits.messages, limits.mailboxes]
                .map(|limit| limit.map_or(String::new(), |limit| limit.to_string()));
            seal(&["set-quota", account, &bytes, &messages, &mailboxes])
        }
        Admin::SetSetting { name, value: None } => seal(&["set-setting", name]),
        Admin::SetSetting { name, value: Some(value) } => seal(&["set-setting", name, value]),
        Admin::SetCertificate { name, chain_pem, key_pem, now } => {
            seal(&["set-certificate", name, chain_pem, key_pem, &time(now)])
        }
        Admin::Sweep { now, clock_trusted } => {
            seal(&["sweep", &time(now), if *clock_trusted { "trusted" } else { "untrusted" }])
        }
    }
}

fn unseal_change(fields: &[&str]) -> Option<Admin> {
    let time = |text: &str| text.parse().ok().map(Wall);
    let owned = |text: &str| text.to_owned();
    Some(match *fields {
        ["add-domain", name] => Admin::AddDomain { name: owned(name) },
        ["remove-domain", name] => Admin::RemoveDomain { name: owned(name) },
        ["add-account", name, hash, now] => {
            Admin::AddAccount { name: owned(name), hash: owned(hash), now: time(now)? }
        }
        ["remove-account", name, now] => Admin::RemoveAccount { name: owned(name), now: time(now)? },
        ["set-password", account, hash, now] => {
            Admin::SetPassword { account: owned(account), hash: owned(hash), now: time(now)? }
        }
        ["add-credential", account, name, scope, hash, now] => Admin::AddCredential {
            account: owned(account),
            name: owned(name),
            scope: scope_named(scope)?,
            hash: owned(hash),
            now: time(now)?,
        },
        ["revoke-credential", account, name] => {
            Admin::RevokeCredential { account: owned(account), name: owned(name) }
        }
        ["add-address", local, domain, account] => {
            Admin::AddAddress { local: owned(local), domain: owned(domain), account: owned(account) }
        }
        ["remove-address", local, domain] => {
            Admin::RemoveAddress { local: owned(local), domain: owned(domain) }
        }
        ["set-quota", account, bytes, messages, mailboxes] => {
            let limits =
                Limits { bytes: limit(bytes)?, messages: limit(messages)?, mailboxes: limit(mailboxes)? };
            Admin::SetQuota { account: owned(account), limits }
        }
        ["set-setting", name] => Admin::SetSetting { name: owned(name), value: None },
        ["set-setting", name, value] => Admin::SetSetting { name: owned(name), value: Some(owned(value)) },
        ["set-certificate", name, chain, key, now] => Admin::SetCertificate {
            name: owned(name),
            chain_pem: owned(chain),
            key_pem: owned(key),
            now: time(now)?,
        },
        ["sweep", now, trust] => Admin::Sweep { now: time(now)?, clock_trusted: trust == "trusted" },
        _ => return None,
    })
}

/// A limit; none where nothing is said.
fn limit(text: &str) -> Option<Option<u64>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

/// The name of a scope, on the command line and here.
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::All => "all",
        Scope::ReadOnly => "read-only",
        Scope::SendOnly => "send-only",
    }
}

pub fn scope_named(name: &str) -> Option<Scope> {
    [Scope::All, Scope::ReadOnly, Scope::SendOnly].into_iter().find(|scope| scope_name(*scope) == name)
}

impl Answer {
    pub fn seal(&self) -> Vec<u8> {
        match self {
            Answer::Done(Done::Account(id)) => seal(&["done", "account", &id.to_string()]),
            // No other change of administration has more to say.
            Answer::Done(_) => seal(&["done"]),
            Answer::Refused(refused) => seal_refusal(refused),
            Answer::Status(rows) => {
                let mut fields = vec!["status"];
                fields.extend(rows.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
                seal(&fields)
            }
            Answer::Reloading => seal(&["reloading"]),
            Answer::Unknown => seal(&["unknown"]),
        }
    }

    pub fn unseal(frame: &[u8]) -> Option<Answer> {
        Some(match unseal(frame)?.as_slice() {
            ["done", "account", id] => Answer::Done(Done::Account(AccountId(id.parse().ok()?))),
            ["done"] => Answer::Done(Done::Nothing),
            ["refused", name, text] => Answer::Refused(refusal_named(name, text)?),
            ["status", rows @ ..] => {
                Answer::Status(rows.chunks_exact(2).map(|row| (row[0].into(), row[1].into())).collect())
            }
            ["reloading"] => Answer::Reloading,
            ["unknown"] => Answer::Unknown,
            _ => return None,
        })
    }
}

const PLAIN_REFUSALS: &[(&str, Refused)] = &[
    ("no-mailbox", Refused::NoMailbox),
    ("no-account", Refused::NoAccount),
    ("no-domain", Refused::NoDomain),
    ("no-address", Refused::NoAddress),
    ("no-credential", Refused::NoCredential),
    ("exists", Refused::Exists),
    ("in-use", Refused::InUse),
    ("over-quota", Refused::OverQuota(Resource::Storage)),
    ("over-quota-messages", Refused::OverQuota(Resource::Message)),
    ("over-quota-mailboxes", Refused::OverQuota(Resource::Mailbox)),
    ("disk-full", Refused::DiskFull),
    ("no-body", Refused::NoBody),
];

fn seal_refusal(refused: &Refused) -> Vec<u8> {
    let (name, text) = match refused {
        Refused::BadName(why) => ("bad-name", why.as_str()),
        Refused::Limit(why) => ("limit", why.as_str()),
        Refused::Broken(why) => ("broken", why.as_str()),
        plain => {
            let name = PLAIN_REFUSALS.iter().find(|row| row.1 == *plain).map(|row| row.0);
            (name.unwrap_or("broken"), "")
        }
    };
    seal(&["refused", name, text])
}

fn refusal_named(name: &str, text: &str) -> Option<Refused> {
    match name {
        "bad-name" => Some(Refused::BadName(text.into())),
        "limit" => Some(Refused::Limit(text.into())),
        "broken" => Some(Refused::Broken(text.into())),
        plain => PLAIN_REFUSALS.iter().find(|row| row.0 == plain).map(|row| row.1.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_there_and_back() {
        let text = |s: &str| s.to_owned();
        let now = Wall(1_795_468_194_000_001);
        let changes = [
            Admin::AddDomain { name: text("box.test") },
            Admin::AddAccount { name: text("ü@box.test"), hash: text("$argon2id$"), now },
            Admin::AddCredential {
                account: text("a@b.test"),
                name: text("my phone"),
                scope: Scope::ReadOnly,
                hash: String::new(),
                now,
            },
            Admin::SetQuota { account: text("a"), limits: Limits::default() },
            Admin::SetQuota {
                account: text("a"),
                limits: Limits { bytes: Some(u64::MAX), messages: None, mailboxes: Some(0) },
            },
            Admin::SetSetting { name: text("hostname"), value: Some(String::new()) },
            Admin::SetSetting { name: text("hostname"), value: None },
            Admin::SetCertificate { name: text("x"), chain_pem: text("-\n-"), key_pem: text("\n"), now },
        ];
        for request in changes.into_iter().map(Request::Change).chain([Request::Status, Request::Reload]) {
            let frame = request.seal();
            assert_eq!(frame_length(&frame), Ok(Some(frame.len())));
            assert_eq!(Request::unseal(&frame), Some(request));
        }
    }

    #[test]
    fn answers_go_there_and_back() {
        for answer in [
            Answer::Done(Done::Nothing),
            Answer::Done(Done::Account(AccountId(7))),
            Answer::Refused(Refused::InUse),
            Answer::Refused(Refused::BadName("no spaces".into())),
            Answer::Status(vec![("uptime".into(), "1 s".into())]),
            Answer::Reloading,
            Answer::Unknown,
        ] {
            assert_eq!(Answer::unseal(&answer.seal()), Some(answer));
        }
    }

    #[test]
    fn a_broken_frame_is_nothing() {
        for frame in [&b""[..], b"\0\0\0\x05\0\0\0\x09a", b"\0\0\0\x02\0\0", b"\0\0\0\x05\0\0\0\x01\xff"] {
            assert_eq!(Request::unseal(frame), None);
        }
        assert_eq!(frame_length(b"\xff\xff\xff\xff"), Err(TooLong));
        assert_eq!(frame_length(b"\0\0"), Ok(None));
    }
}
