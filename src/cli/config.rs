//! `pillarbox config`: the settings that the file keeps.

use crate::store::settings::{self, SETTINGS, Setting};
use crate::store::{Admin, Reader};

use super::args::Call;
use super::json::Json;
use super::reach;
use super::report::{Exit, Report, Trouble};

pub fn list(call: &Call) -> Result<Report, Trouble> {
    let store = reach::reader(call)?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for setting in SETTINGS {
        let (value, set) = value_of(&store, setting)?;
        let origin = if set { "" } else { "  (default)" };
        text.push_str(&format!("{} = {value}{origin}\n    {}\n", setting.name, setting.meaning));
        rows.push(Json::object([
            ("name", Json::text(setting.name)),
            ("value", Json::text(value)),
            ("default", Json::text(setting.default)),
            ("set", Json::Bool(set)),
            ("meaning", Json::text(setting.meaning)),
        ]));
    }
    Ok(Report::new(text, Json::object([("settings", Json::List(rows))])))
}

pub fn get(call: &Call) -> Result<Report, Trouble> {
    let setting = known(call.arg(0))?;
    let (value, set) = value_of(&reach::reader(call)?, setting)?;
    let json = Json::object([
        ("name", Json::text(setting.name)),
        ("value", Json::text(&value)),
        ("set", Json::Bool(set)),
    ]);
    Ok(Report::new(value, json))
}

pub fn set(call: &Call) -> Result<Report, Trouble> {
    let setting = known(call.arg(0))?;
    let value = call.maybe_arg(1);
    if let Some(value) = value {
        settings::check(setting.name, value).map_err(|why| Trouble::new(Exit::Usage, why))?;
    }
    let admin = Admin::SetSetting { name: setting.name.into(), value: value.map(Into::into) };
    reach::change(call, &format!("the setting {}", setting.name), admin)?;
    let now = value.unwrap_or(setting.default);
    let json = Json::object([("name", Json::text(setting.name)), ("value", Json::text(now))]);
    Ok(Report::new(format!("{} = {now}", setting.name), json))
}

fn known(name: &str) -> Result<&'static Setting, Trouble> {
    settings::setting(name).ok_or_else(|| {
        Trouble::new(Exit::Usage, format!("there is no setting {name}; `pillarbox config list` shows all"))
    })
}

/// What it is, and whether somebody has said so.
fn value_of(store: &Reader, setting: &Setting) -> Result<(String, bool), Trouble> {
    let stored = store.setting(setting.name)?;
    let set = stored.is_some();
    Ok((stored.unwrap_or_else(|| setting.default.into()), set))
}
