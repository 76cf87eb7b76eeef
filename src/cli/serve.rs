//! `pillarbox serve`: the real thing. Also the one place that knows the logger.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use crate::base::time::Civil;
use crate::io::Server;
use crate::io::lock::Lock;
use crate::io::services::Ports;
use crate::io::setup::{Owner, wall};
use crate::store::{Admin, Reader, Writer};

use super::args::Call;
use super::report::{Report, Trouble, refused};
use super::{certificate, quickstart, reach};

pub fn run(call: &Call) -> Result<Report, Trouble> {
    let quiet = std::io::stderr().is_terminal();
    start_log(if quiet { log::LevelFilter::Warn } else { log::LevelFilter::Info });
    let db = call.db();
    let owner = Owner::of(&db);
    owner.borrow()?;
    let lock = Lock::take(&db)?;
    if !reach::is_there(&db) {
        drop(Writer::create(quickstart::new_file(&db)?)?);
        log::info!("{} is made; it is empty until `pillarbox domain add` and `account add`", db.display());
    }
    ensure_certificate(&db)?;
    owner.give_back()?;
    let server = Server::prepare(&db, Ports::Settings, lock)?;
    for (name, addr) in server.addresses() {
        log::info!("listening on {addr} for {name}");
    }
    if quiet {
        let _ = writeln!(std::io::stdout(), "{}", on_terminal(&db, server.addresses()));
    }
    server.run()?;
    log::info!("stopped");
    Ok(Report::silent())
}

/// The log is quiet on a terminal, but nobody likes to look at nothing.
fn on_terminal(db: &Path, addresses: &[(&'static str, SocketAddr)]) -> String {
    let ports: Vec<String> = addresses.iter().map(|(name, addr)| format!("{name} {addr}")).collect();
    format!("Serving {}: {}. Ctrl-C ends it.", db.display(), ports.join(", "))
}

/// Without any certificate nobody could log in: a self-signed one serves until there is a better one.
fn ensure_certificate(db: &Path) -> Result<(), Trouble> {
    let store = match Reader::open(db) {
        Ok(store) => store,
        // An older file, perhaps: the writer brings it up to date, or says what is wrong with it.
        Err(_) => {
            drop(Writer::open(db)?);
            Reader::open(db)?
        }
    };
    let named = store.setting("tls-cert")?.is_some_and(|path| !path.is_empty());
    if named || store.certificate("default")?.is_some() {
        return Ok(());
    }
    let hostname = store.config()?.hostname;
    drop(store);
    let (chain_pem, key_pem) = certificate::self_signed(&[&hostname])?;
    let admin = Admin::SetCertificate { name: "default".into(), chain_pem, key_pem, now: wall() };
    let done = reach::commit_one(&mut Writer::open(db)?, crate::store::Write::Admin(admin))?;
    done.map_err(|refusal| refused("the certificate", refusal))?;
    log::info!("a self-signed certificate for {hostname} is made; tls-cert and tls-key name a better one");
    Ok(())
}

/// One line for each message on standard error; `PILLARBOX_LOG` (such as `debug`) says how much.
pub fn start_log(usual: log::LevelFilter) {
    // The journal puts its own time before each line.
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    let env = env_logger::Env::new().filter_or("PILLARBOX_LOG", usual.as_str());
    let logger = env_logger::Builder::from_env(env)
        .format(move |out, record| {
            let level = record.level().as_str().to_ascii_lowercase();
            let message = record.args().to_string().replace(['\r', '\n'], " ");
            if timed {
                writeln!(out, "{} {level}: {message}", stamp())
            } else {
                writeln!(out, "{level}: {message}")
            }
        })
        .try_init();
    if logger.is_err() {
        log::debug!("there is a logger already");
    }
}

/// `2026-11-23T21:09:54Z`
fn stamp() -> String {
    let c = Civil::from_unix(wall().unix());
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
}
