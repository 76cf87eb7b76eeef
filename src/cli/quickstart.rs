//! `pillarbox quickstart`: from nothing to a box that a mail client can use, in one command.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::base::{Rng, limits};
use crate::delivery::intake::Intake;
use crate::io::lock::{Lock, beside};
use crate::io::services::Ports;
use crate::io::setup::{Owner, random_seed, wall};
use crate::io::{Failure, Server};
use crate::mime::compose;
use crate::session::Budget;
use crate::store::{
    Admin, Deliver, Done, FlagNames, NewBody, OpenOptions, Place, Reader, Refused, StoreError, Target, Write,
    Writer,
};

use super::args::Call;
use super::json::Json;
use super::report::{Exit, Report, Trouble, refused};
use super::{address, certificate, password, reach, serve};

const DEFAULT_ADDRESS: &str = "me@box.test";
const DEFAULT_BASE: u16 = 2000;

pub fn run(call: &Call) -> Result<Report, Trouble> {
    serve::start_log(log::LevelFilter::Warn);
    let base = base_port(call)?;
    call.maybe_arg(0).map(address::split).transpose()?;
    let db = if call.names_db() { call.db() } else { PathBuf::from("pillarbox.db") };
    Owner::of(&db).become_it()?;
    let lock = Lock::take(&db).map_err(|failure| match failure {
        Failure::Busy(_) => {
            Trouble::new(Exit::Busy, format!("{} is served already by another pillarbox", db.display()))
        }
        other => other.into(),
    })?;
    let made = if reach::is_there(&db) {
        None
    } else {
        Some(make(&db, call.maybe_arg(0).unwrap_or(DEFAULT_ADDRESS))?)
    };
    let server = whose(&db, call.maybe_arg(0)).and_then(|address| {
        let server = Server::prepare(&db, Ports::Quickstart(base), lock)?;
        Ok((address, server))
    });
    let (address, server) = server.inspect_err(|_| {
        // A password that nobody has seen is of no use: the next try begins afresh.
        if made.is_some() {
            remove(&db);
        }
    })?;
    greet(call, &db, &address, made.as_deref(), server.addresses())?;
    server.run()?;
    Ok(Report::silent())
}

fn base_port(call: &Call) -> Result<u16, Trouble> {
    let Some(text) = call.value("ports-from") else { return Ok(DEFAULT_BASE) };
    let base = text.parse::<u16>().ok().filter(|base| *base <= u16::MAX - 1000);
    base.ok_or_else(|| Trouble::new(Exit::Usage, format!("`{text}` is not a port number to count from")))
}

fn remove(db: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(beside(db, suffix));
    }
}

/// A new file for `Writer::create`, with a first UIDVALIDITY that no earlier file of this name is likely to have had.
pub fn new_file(db: &Path) -> Result<OpenOptions, Trouble> {
    let number = Rng::new(&random_seed()?).below(u64::from(u32::MAX / 2));
    Ok(OpenOptions::new(db).first_validity(u32::try_from(number).unwrap_or(1)))
}

/// Makes the file with all that a first login needs, and returns the password. What fails half-way is removed.
fn make(db: &Path, address: &str) -> Result<String, Trouble> {
    let (_, domain) = address::split(address)?;
    let fill = || {
        let secret = password::generate()?;
        let hash = password::hash(&secret)?;
        let (chain_pem, key_pem) = certificate::self_signed(&[domain, &format!("mail.{domain}")])?;
        let mut writer = Writer::create(new_file(db)?)?;
        let now = wall();
        let name = address.to_owned();
        let account = Admin::AddAccount { name, hash, now };
        let steps = [
            Admin::AddDomain { name: domain.into() },
            Admin::SetSetting { name: "hostname".into(), value: Some(domain.into()) },
            Admin::SetCertificate { name: "default".into(), chain_pem, key_pem, now },
            account,
        ];
        for step in steps {
            if let Done::Account(account) = must(address, &mut writer, Write::Admin(step))? {
                must(address, &mut writer, welcome(account, address, domain)?)?;
            }
        }
        Ok(secret)
    };
    fill().inspect_err(|_| remove(db))
}

fn must(address: &str, writer: &mut Writer, write: Write) -> Result<Done, Trouble> {
    reach::commit_one(writer, write)?.map_err(|refusal: Refused| refused(address, refusal))
}

/// The first message, in INBOX.
fn welcome(account: crate::base::AccountId, address: &str, domain: &str) -> Result<Write, Trouble> {
    let now = wall();
    let mut rng = Rng::new(&random_seed()?);
    let message_id = format!("{}@{domain}", rng.letters_and_digits(20));
    let bytes = compose::welcome(address, domain, &message_id, now);
    let mut intake = Intake::new(now);
    intake.feed(&bytes, &mut Budget::lend(limits::SLICE_BYTES, 0));
    let body: Result<NewBody, _> = intake.finish();
    let body = body.map_err(|_| StoreError::Broken("the welcome message does not fit".into()))?;
    let to = vec![Target { account, place: Place::Inbox, flags: FlagNames::default() }];
    Ok(Write::Deliver(Deliver { body, to, received: now }))
}

/// Whose box it is: the asked-for address, if it is there, or else the oldest account.
fn whose(db: &Path, wanted: Option<&str>) -> Result<String, Trouble> {
    let store = Reader::open(db)?;
    let found = match wanted {
        Some(address) => store.account_by_login(address)?,
        None => store.accounts()?.into_iter().next(),
    };
    found.map(|account| account.name).ok_or_else(|| {
        let who = wanted.unwrap_or("anybody");
        let sentence = format!(
            "{} is there already and has no account for {who}; `pillarbox account add` adds one",
            db.display()
        );
        Trouble::new(Exit::Refused, sentence)
    })
}

/// Says what a person must type into a mail client.
fn greet(
    call: &Call,
    db: &Path,
    address: &str,
    password: Option<&str>,
    ports: &[(&'static str, SocketAddr)],
) -> Result<(), Trouble> {
    let chain = Reader::open(db)?.certificate("default")?.map(|(chain, _)| chain);
    let fingerprint = chain.as_deref().and_then(certificate::fingerprint);
    let shown = if call.has("json") {
        as_json(db, address, password, ports, fingerprint).to_string()
    } else {
        as_text(db, address, password, ports, fingerprint.as_deref().unwrap_or("none"))
    };
    let mut out = std::io::stdout();
    // Whoever started us may not listen; the box is served all the same.
    let _ = writeln!(out, "{shown}").and_then(|()| out.flush());
    Ok(())
}

fn as_json(
    db: &Path,
    address: &str,
    password: Option<&str>,
    ports: &[(&'static str, SocketAddr)],
    fingerprint: Option<String>,
) -> Json {
    let port = |(name, addr): &(&'static str, SocketAddr)| {
        Json::object([("service", Json::text(*name)), ("address", Json::text(addr.to_string()))])
    };
    Json::object([
        ("file", Json::text(db.display().to_string())),
        ("made", Json::Bool(password.is_some())),
        ("user", Json::text(address)),
        ("password", Json::maybe(password.map(Json::text))),
        ("fingerprint", Json::maybe(fingerprint.map(Json::Text))),
        ("listening", Json::list(ports.iter().map(port))),
    ])
}

fn as_text(
    db: &Path,
    address: &str,
    password: Option<&str>,
    ports: &[(&'static str, SocketAddr)],
    fingerprint: &str,
) -> String {
    let of = |name: &str| -> String {
        let ports = ports.iter().filter(|row| row.0 == name).map(|row| row.1.port().to_string());
        ports.collect::<Vec<_>>().join(" or ")
    };
    let file = db.display();
    let mut text = match password {
        Some(_) => format!("Made {file}, a box for {address}.\n"),
        None => format!("{file} is there already: serving the same box again.\n"),
    };
    let secret = match password {
        Some(secret) => format!("{secret}   (shown this once)"),
        None => format!("as before; forgotten? `pillarbox account password {address}` sets a new one"),
    };
    let (imaps, imap) = (of("imaps"), of("imap"));
    let _ = write!(
        text,
        "\n  user name    {address}\n  password     {secret}\n\
         \n  reading      IMAP   127.0.0.1   port {imaps} with TLS, {imap} with STARTTLS\n\
         \x20 or           POP3   127.0.0.1   port {} with TLS, {} with STLS\n\
         \x20 sending      SMTP   127.0.0.1   port {} with TLS, {} with STARTTLS\n\
         \x20 from others  SMTP   127.0.0.1   port {}\n\
         \n  certificate  self-signed, SHA-256 fingerprint\n               {fingerprint}\n",
        of("pop3s"),
        of("pop3"),
        of("submissions"),
        of("submission"),
        of("smtp"),
    );
    let secret = password.unwrap_or("PASSWORD");
    let _ = write!(
        text,
        "\nTry it:\n\n  curl --insecure --user '{address}:{secret}' 'imaps://127.0.0.1:{imaps}/INBOX;MAILINDEX=1'\n\
         \nCtrl-C ends the server; the same command starts it again.\n"
    );
    text
}
