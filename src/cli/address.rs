//! `pillarbox address`: further addresses of an account, and catch-alls.

use crate::base::text;
use crate::store::Admin;

use super::args::Call;
use super::json::Json;
use super::report::{Exit, Report, Trouble, refused};
use super::{account, reach};

pub fn add(call: &Call) -> Result<Report, Trouble> {
    let (address, account) = (call.arg(0), call.arg(1));
    let (local, domain) = split(address)?;
    let admin = Admin::AddAddress { local: local.into(), domain: domain.into(), account: account.into() };
    reach::change(call, &format!("the address {address} for {account}"), admin)?;
    let json = Json::object([("address", Json::text(address)), ("account", Json::text(account))]);
    Ok(Report::new(format!("Mail for {address} goes to {account}."), json))
}

pub fn list(call: &Call) -> Result<Report, Trouble> {
    let store = reach::reader(call)?;
    let whose = call.maybe_arg(0).map(|name| account::find(&store, name)).transpose()?;
    let addresses = store.addresses(whose.map(|account| account.id))?;
    let whole = |local: &str, domain: &str| format!("{local}@{domain}");
    let lines: Vec<String> = addresses
        .iter()
        .map(|row| format!("{}  {}", whole(&row.local, &row.domain), row.account_name))
        .collect();
    let rows = addresses.iter().map(|row| {
        let address = Json::text(whole(&row.local, &row.domain));
        Json::object([("address", address), ("account", Json::text(&row.account_name))])
    });
    Ok(Report::new(lines.join("\n"), Json::object([("addresses", Json::list(rows))])))
}

pub fn remove(call: &Call) -> Result<Report, Trouble> {
    let address = call.arg(0);
    let (local, domain) = split(address)?;
    let admin = Admin::RemoveAddress { local: local.into(), domain: domain.into() };
    let db = reach::existing(call)?;
    reach::change_in(&db, admin)?.map_err(|refusal| refused(&format!("the address {address}"), refusal))?;
    Ok(Report::new(format!("{address} is removed."), Json::object([("address", Json::text(address))])))
}

/// An address on the command line: something on both sides of the last `@`.
pub fn split(address: &str) -> Result<(&str, &str), Trouble> {
    text::split_address(address).ok_or_else(|| {
        Trouble::new(Exit::Usage, format!("`{address}` is not an address such as me@box.test"))
    })
}
