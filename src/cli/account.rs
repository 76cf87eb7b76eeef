//! `pillarbox account`: people, their passwords and their programs' passwords.

use std::io::{BufRead, IsTerminal, Write};

use crate::base::time::mail_date;
use crate::io::frame::{scope_name, scope_named};
use crate::io::setup::wall;
use crate::store::{Account, Admin, Credential, Limits, Reader, Scope};

use super::args::Call;
use super::json::Json;
use super::report::{Exit, Report, Trouble};
use super::{address, password, reach};

pub fn add(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    address::split(name)?;
    reach::existing(call)?;
    let hash = password::hash(&password::read(call, name)?)?;
    let admin = Admin::AddAccount { name: name.into(), hash, now: wall() };
    reach::change(call, &format!("the account {name}"), admin)?;
    Ok(Report::new(format!("The account {name} is ready."), about(name)))
}

pub fn list(call: &Call) -> Result<Report, Trouble> {
    let accounts = reach::reader(call)?.accounts()?;
    let line = |account: &Account| {
        let (used, limits) = (account.used, account.limits());
        let most = |limit: Option<u64>| limit.map_or(String::new(), |limit| format!(" of at most {limit}"));
        format!(
            "{}  {} messages{}, {} bytes{}, {} mailboxes{}",
            account.name,
            used.messages,
            most(limits.messages),
            used.bytes,
            most(limits.bytes),
            used.mailboxes,
            most(limits.mailboxes),
        )
    };
    let row = |account: &Account| {
        Json::object([
            ("account", Json::text(&account.name)),
            ("messages", Json::number(account.used.messages)),
            ("bytes", Json::number(account.used.bytes)),
            ("mailboxes", Json::number(account.used.mailboxes)),
            ("quota-bytes", Json::maybe(account.given.bytes.map(Json::number))),
            ("quota-messages", Json::maybe(account.given.messages.map(Json::number))),
            ("quota-mailboxes", Json::maybe(account.given.mailboxes.map(Json::number))),
            ("own-quota-bytes", Json::maybe(account.own.bytes.map(Json::number))),
            ("own-quota-messages", Json::maybe(account.own.messages.map(Json::number))),
            ("own-quota-mailboxes", Json::maybe(account.own.mailboxes.map(Json::number))),
            ("made", Json::text(mail_date(account.made))),
        ])
    };
    let lines: Vec<String> = accounts.iter().map(line).collect();
    Ok(Report::new(lines.join("\n"), Json::object([("accounts", Json::list(accounts.iter().map(row)))])))
}

pub fn remove(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    find(&reach::reader(call)?, name)?;
    if !call.has("yes") {
        confirm(name)?;
    }
    let admin = Admin::RemoveAccount { name: name.into(), now: wall() };
    reach::change(call, &format!("the account {name}"), admin)?;
    Ok(Report::new(format!("The account {name} and its mail are removed."), about(name)))
}

fn confirm(name: &str) -> Result<(), Trouble> {
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::new(Exit::Usage, "add --yes to remove an account without being asked"));
    }
    let mut answer = String::new();
    let _ = write!(std::io::stderr(), "Remove {name} and all its mail? Type yes: ");
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(Trouble::new(Exit::Refused, "nothing was removed"))
}

pub fn password(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    find(&reach::reader(call)?, name)?;
    let hash = password::hash(&password::read(call, name)?)?;
    let admin = Admin::SetPassword { account: name.into(), hash, now: wall() };
    reach::change(call, &format!("the account {name}"), admin)?;
    Ok(Report::new(format!("{name} has a new password."), about(name)))
}

pub fn quota(call: &Call) -> Result<Report, Trouble> {
    let name = call.arg(0);
    let parse = |text: &str| {
        let number = text.parse::<u64>().ok();
        number.ok_or_else(|| Trouble::new(Exit::Usage, format!("`{text}` is not a number")))
    };
    let limits = Limits {
        bytes: call.maybe_arg(1).map(parse).transpose()?,
        messages: call.value("messages").map(parse).transpose()?,
        mailboxes: call.value("mailboxes").map(parse).transpose()?,
    };
    reach::change(call, &format!("the account {name}"), Admin::SetQuota { account: name.into(), limits })?;
    let parts = [(limits.bytes, "bytes"), (limits.messages, "messages"), (limits.mailboxes, "mailboxes")];
    let limited: Vec<String> = parts
        .into_iter()
        .filter_map(|(limit, what)| limit.map(|limit| format!("at most {limit} {what}")))
        .collect();
    let text = match limited.is_empty() {
        true => format!("{name} may hold as much as the disk does."),
        false => format!("{name} may hold {}.", limited.join(", ")),
    };
    Ok(Report::new(text, about(name)))
}

pub fn app_add(call: &Call) -> Result<Report, Trouble> {
    let (account, name) = (call.arg(0), call.arg(1));
    let scope = match call.value("scope") {
        None => Scope::All,
        Some(text) => scope_named(text).ok_or_else(|| {
            Trouble::new(Exit::Usage, format!("`{text}` is no scope: all, read-only or send-only"))
        })?,
    };
    reach::existing(call)?;
    let given = call.has("password-stdin").then(|| password::read(call, name)).transpose()?;
    let shown = given.is_none();
    let secret = given.map_or_else(password::generate, Ok)?;
    let admin = Admin::AddCredential {
        account: account.into(),
        name: name.into(),
        scope,
        hash: password::hash(&secret)?,
        now: wall(),
    };
    reach::change(call, &format!("the password {name} of {account}"), admin)?;
    let mut fields = vec![
        ("account", Json::text(account)),
        ("name", Json::text(name)),
        ("scope", Json::text(scope_name(scope))),
    ];
    if !shown {
        return Ok(Report::new(format!("{account} has a password for {name}."), Json::object(fields)));
    }
    fields.push(("password", Json::text(&secret)));
    Ok(Report::new(
        format!("The password of {account} for {name}, shown this once:\n\n    {secret}\n"),
        Json::object(fields),
    ))
}

pub fn app_list(call: &Call) -> Result<Report, Trouble> {
    let store = reach::reader(call)?;
    let account = find(&store, call.arg(0))?;
    let credentials = store.credentials(account.id)?;
    let line = |row: &Credential| {
        let used = row.last_used.map_or_else(
            || "never used".into(),
            |at| {
                format!("last used {} from {}", mail_date(at), row.last_from.as_deref().unwrap_or("unknown"))
            },
        );
        format!("{}  {}, made {}, {used}", row.name, scope_name(row.scope), mail_date(row.made))
    };
    let row = |row: &Credential| {
        Json::object([
            ("name", Json::text(&row.name)),
            ("scope", Json::text(scope_name(row.scope))),
            ("made", Json::text(mail_date(row.made))),
            ("last-used", Json::maybe(row.last_used.map(|at| Json::text(mail_date(at))))),
            ("last-from", Json::maybe(row.last_from.as_ref().map(Json::text))),
        ])
    };
    let lines: Vec<String> = credentials.iter().map(line).collect();
    let rows = Json::list(credentials.iter().map(row));
    let json = Json::object([("account", Json::text(&account.name)), ("passwords", rows)]);
    Ok(Report::new(lines.join("\n"), json))
}

pub fn app_revoke(call: &Call) -> Result<Report, Trouble> {
    let (account, name) = (call.arg(0), call.arg(1));
    let admin = Admin::RevokeCredential { account: account.into(), name: name.into() };
    reach::change(call, &format!("the password {name} of {account}"), admin)?;
    let json = Json::object([("account", Json::text(account)), ("name", Json::text(name))]);
    Ok(Report::new(format!("The password {name} of {account} is revoked."), json))
}

/// The account that is called so, or a sentence that says there is none.
pub fn find(store: &Reader, name: &str) -> Result<Account, Trouble> {
    store.account_by_login(name)?.ok_or_else(|| {
        super::report::refused(&format!("the account {name}"), crate::store::Refused::NoAccount)
    })
}

fn about(name: &str) -> Json {
    Json::object([("account", Json::text(name))])
}
