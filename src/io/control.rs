//! The server's end of `FILE.sock`, through which commands change and ask a running server. Changes take the same path
//! as everybody's: a value, to the engine, to the writer, answered after the fsync. A client has one request open at a
//! time, and waits for its answer before the next.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::base::{Mono, Now, Ticket, limits};
use crate::engine::{Engine, Event};
use crate::store::{Done, Refused, Write as Change};

use super::Failure;
use super::ask::reachable;
use super::frame::{Answer, Request, frame_length};
use super::lock::beside;

pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: BTreeMap<u64, Client>,
    /// Who waits for which change.
    asked: BTreeMap<Ticket, u64>,
    next: u64,
    /// More clients may be waiting than one turn took.
    ready: bool,
}

struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    until: Mono,
}

impl Control {
    /// The lock on the file is held, so that a socket that lies there is a dead one's.
    pub fn listen(db: &Path, registry: &Registry, token: Token) -> Result<Control, Failure> {
        let path = beside(db, ".sock");
        let open = || {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut listener = UnixListener::bind(reachable(&path).path())?;
            // The umask has kept others out already; this is for the eye.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            registry.register(&mut listener, token, Interest::READABLE)?;
            Ok(listener)
        };
        let listener =
            open().map_err(|error| Failure::File(format!("cannot make {}: {error}", path.display())))?;
        Ok(Control {
            listener,
            path,
            clients: BTreeMap::new(),
            asked: BTreeMap::new(),
            next: 0,
            ready: false,
        })
    }

    pub fn edge(&mut self) {
        self.ready = true;
    }

    pub fn busy(&self) -> bool {
        self.ready
    }

    pub fn deadline(&self) -> Option<Mono> {
        self.clients.values().map(|client| client.until).min()
    }

    pub fn expire(&mut self, now: Now) {
        self.clients.retain(|_, client| client.until > now.mono);
    }

    pub fn accept(&mut self, registry: &Registry, now: Now, token: impl Fn(u64) -> Token) {
        if !std::mem::take(&mut self.ready) {
            return;
        }
        for _ in 0..limits::CONTROL_CLIENTS_MAX {
            let Ok((mut stream, _)) = self.listener.accept() else { return };
            let both = Interest::READABLE | Interest::WRITABLE;
            self.next += 1;
            if self.clients.len() >= limits::CONTROL_CLIENTS_MAX
                || registry.register(&mut stream, token(self.next), both).is_err()
            {
                continue;
            }
            let until = now.mono.after(limits::CONTROL_TIMEOUT);
            self.clients.insert(self.next, Client { stream, input: Vec::new(), output: Vec::new(), until });
        }
        self.ready = true;
    }

    /// Something happened on the socket of one client. `about` is what io itself knows for `status`.
    pub fn client(
        &mut self,
        engine: &mut Engine,
        now: Now,
        id: u64,
        about: impl Fn() -> Vec<(String, String)>,
    ) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.receive() {
            Ok(None) => {}
            Ok(Some(request)) => {
                client.until = now.mono.after(limits::CONTROL_TIMEOUT);
                match request {
                    Some(Request::Change(admin)) => {
                        self.asked.insert(engine.admin(Change::Admin(admin)), id);
                    }
                    Some(Request::Status) => {
                        let mut rows = about();
                        rows.extend(status_rows(&engine.status()));
                        client.answer(&Answer::Status(rows));
                    }
                    Some(Request::Reload) => {
                        engine.on(now, Event::Reload);
                        client.answer(&Answer::Reloading);
                    }
                    None => client.answer(&Answer::Unknown),
                }
            }
            Err(_) => {
                self.clients.remove(&id);
                return;
            }
        }
        if client.send().is_err() {
            self.clients.remove(&id);
        }
    }

    /// A change is done or refused. The one who asked may be gone; the change stands all the same.
    pub fn changed(&mut self, ticket: Ticket, result: Result<Done, Refused>) {
        let Some(id) = self.asked.remove(&ticket) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.answer(&result.map_or_else(Answer::Refused, Answer::Done));
        if client.send().is_err() {
            self.clients.remove(&id);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Left behind it would only be a dead socket, which nobody minds.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    /// The next whole request, `Some(None)` for one that is not understood; `Err` when the client is gone or talks
    /// too much.
    #[allow(clippy::option_option)]
    fn receive(&mut self) -> std::io::Result<Option<Option<Request>>> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(length) = frame_length(&self.input).map_err(|_| ErrorKind::InvalidData)?
                && self.input.len() >= length
            {
                let rest = self.input.split_off(length);
                let frame = std::mem::replace(&mut self.input, rest);
                return Ok(Some(Request::unseal(&frame)));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.input.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.output.extend(answer.seal());
    }

    fn send(&mut self) -> std::io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn status_rows(status: &crate::engine::Status) -> Vec<(String, String)> {
    let row = |name: &str, value: u64| (name.to_owned(), value.to_string());
    let yes_no = |name: &str, yes: bool| (name.to_owned(), if yes { "yes" } else { "no" }.to_owned());
    let gauges = &status.gauges;
    let mut rows: Vec<(String, String)> =
        status.connections.iter().map(|(name, open)| (format!("open-{name}"), open.to_string())).collect();
    rows.extend([
        row("connections", gauges.connections),
        row("messages-received", gauges.messages_received),
        row("messages-submitted", gauges.messages_submitted),
        row("messages-appended", gauges.messages_appended),
        row("messages-refused", gauges.messages_refused),
        row("recipients-refused", gauges.recipients_refused),
        row("logins", gauges.logins),
        row("logins-denied", gauges.logins_denied),
        row("panics", gauges.panics),
        row("commits-waiting", status.commits_waiting as u64),
        row("hashes-waiting", status.hashes_waiting as u64),
        row("body-bytes-in-flight", status.body_bytes as u64),
        yes_no("certificate", status.has_certificate),
        yes_no("clock-trusted", status.clock_trusted),
    ]);
    rows
}
