//! TLS by rustls's unbuffered API, of which an idle connection costs about 4 KB. The only file that sees rustls.
//!
//! A `Stream` is a pure machine between two byte streams: what came from the socket goes in (`received`), decrypted
//! bytes come out (`receive_into`); what the conversation wrote goes in (`send_from`), records come out (`wire`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerConfig,
    UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::unbuffered::{ConnectionState, EncodeTlsData, UnbufferedStatus, WriteTraffic};

use crate::base::limits::{INPUT_BYTES_MAX, TLS_HANDSHAKE_BYTES_MAX, WIRE_BYTES_HIGH};
use crate::base::{Input, Output, Wall};
use crate::session::TlsInfo;

use super::{ServiceId, ServiceKind};

/// What a record adds to its plaintext at most: header, explicit nonce, content type, tag, rounded up.
const RECORD_OVERHEAD: usize = 64;
const RECORD_PLAIN_BYTES: usize = 16 * 1024;

/// What rustls is told of time: the engine's wall clock, for the age of tickets.
#[derive(Debug, Default)]
struct Clock(AtomicI64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Chooses the certificate: there is one. Notes the name that the client asked for, since the unbuffered API does not
/// tell it; the stream whose bytes are being processed takes it from there at once.
#[derive(Debug)]
struct Chooser {
    key: Arc<CertifiedKey>,
    asked: Arc<Asked>,
}

type Asked = Mutex<Option<String>>;

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Outlook for macOS asks with a trailing dot.
        let name = hello.server_name().map(|name| name.trim_end_matches('.').to_string());
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = name;
        Some(Arc::clone(&self.key))
    }
}

/// One configuration for each service, all with the same certificate.
#[derive(Default)]
pub(super) struct Configs {
    by_service: Vec<Arc<ServerConfig>>,
    clock: Arc<Clock>,
    /// Kept over reloads, so that tickets given before stay good.
    ticketer: Option<Arc<dyn ProducesTickets>>,
    asked: Arc<Asked>,
}

impl Configs {
    /// There is a certificate.
    pub fn is_ready(&self) -> bool {
        !self.by_service.is_empty()
    }

    pub fn tell_time(&self, wall: Wall) {
        self.clock.0.store(wall.unix(), Ordering::Relaxed);
    }

    /// Takes a certificate for all new connections; on an error the old one stays.
    pub fn load(&mut self, services: &[ServiceKind], chain: &str, key: &str) -> Result<(), String> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the chain is not PEM: {error:?}"))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| format!("the key is not PEM: {error:?}"))?;
        let provider = rustls::crypto::ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| error.to_string())?;
        let chooser = Arc::new(Chooser { key: Arc::new(key), asked: Arc::clone(&self.asked) });
        if self.ticketer.is_none() {
            self.ticketer = rustls::crypto::ring::Ticketer::new().ok();
        }
        let mut by_service = Vec::with_capacity(services.len());
        for service in services {
            let config = self.config(service, Arc::clone(&chooser)).map_err(|error| error.to_string())?;
            by_service.push(Arc::new(config));
        }
        self.by_service = by_service;
        Ok(())
    }

    fn config(&self, service: &ServiceKind, chooser: Arc<Chooser>) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_details(provider, Arc::clone(&self.clock) as _)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(chooser);
        config.alpn_protocols = service.alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if service.tickets
            && let Some(ticketer) = &self.ticketer
        {
            config.ticketer = Arc::clone(ticketer);
            config.send_tls13_tickets = 1;
        }
        Ok(config)
    }

    /// A stream that waits for a client's hello. `None`: there is no certificate.
    pub fn accept(&self, service: ServiceId) -> Option<Stream> {
        let config = Arc::clone(self.by_service.get(service.0)?);
        let conn = UnbufferedServerConnection::new(config).ok()?;
        Some(Stream {
            conn,
            asked: Arc::clone(&self.asked),
            sni: None,
            incoming: Vec::new(),
            wire: Output::new(WIRE_BYTES_HIGH),
            eof: false,
            broken: false,
            closed: false,
        })
    }
}

pub(super) struct Stream {
    conn: UnbufferedServerConnection,
    asked: Arc<Asked>,
    /// What the client asked for by name, until `info` takes it.
    sni: Option<String>,
    /// From the socket, not yet a whole record or handshake message.
    incoming: Vec<u8>,
    wire: Output,
    /// The peer has closed, politely or not: what is decrypted is all there will be.
    eof: bool,
    /// It did not speak TLS, or not as agreed; the alert is on the wire.
    broken: bool,
    /// Our close_notify is on the wire: nothing may follow.
    closed: bool,
}

impl Stream {
    pub fn wire(&self) -> &[u8] {
        self.wire.peek()
    }

    pub fn sent(&mut self, count: usize) {
        self.wire.consume(count);
    }

    /// Bytes that lie here, both ways.
    pub fn buffers(&self) -> usize {
        self.incoming.len() + self.wire.len()
    }

    /// Plaintext that goes before the first record: the reply to STARTTLS.
    pub fn send_first(&mut self, plain: &[u8]) {
        self.wire.push(plain);
    }

    pub fn received(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.incoming.extend_from_slice(bytes);
        }
    }

    pub fn hung_up(&mut self) {
        self.eof = true;
    }

    pub fn is_established(&self) -> bool {
        !self.broken && !self.conn.is_handshaking()
    }

    /// Nothing more can be read, because of a fault or of an end before the beginning.
    pub fn is_broken(&self) -> bool {
        self.broken || (self.eof && self.conn.is_handshaking())
    }

    /// Much lies here undecrypted: the socket has delivered faster than turns came.
    pub fn is_stuffed(&self) -> bool {
        self.incoming.len() >= INPUT_BYTES_MAX
    }

    pub fn info(&mut self) -> TlsInfo {
        let version = match self.conn.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let suite = self.conn.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let cipher = suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1);
        TlsInfo { version, cipher, sni: self.sni.take() }
    }

    /// Decrypts all that is whole. True if bytes, or the end of them, came out.
    pub fn receive_into(&mut self, input: &mut Input) -> bool {
        let (unread, eof) = (input.len(), input.eof());
        if !self.incoming.is_empty() && !self.broken {
            self.process(Some(input), |_, _| ());
        }
        if self.incoming.len() > TLS_HANDSHAKE_BYTES_MAX {
            self.broken = true;
        }
        if self.eof && !self.is_broken() {
            input.hang_up();
        }
        input.len() != unread || input.eof() != eof
    }

    /// Encrypts what the conversation wrote, in as few records as can be. What would make the wire too long stays in
    /// `output`, where the conversation feels it; `all` is for its end.
    pub fn send_from(&mut self, output: &mut Output, all: bool) {
        let room = if all { usize::MAX } else { WIRE_BYTES_HIGH.saturating_sub(self.wire.len()) };
        let count = output.len().min(room);
        if count == 0 || self.closed || !self.is_established() {
            return;
        }
        let plain = &output.peek()[..count];
        if self.process(None, |traffic, wire| encrypt(traffic, plain, wire)) {
            output.consume(count);
        }
    }

    /// Sends the rest and says goodbye, so that the peer knows that nothing was cut off (RFC 8446 section 6.1).
    pub fn close(&mut self, output: &mut Output) {
        self.send_from(output, true);
        if !self.closed && self.is_established() {
            self.process(None, |traffic, wire| {
                let mut record = [0; RECORD_OVERHEAD];
                if let Ok(length) = traffic.queue_close_notify(&mut record) {
                    wire.push(&record[..length]);
                }
            });
        }
        self.closed = true;
        self.incoming = Vec::new();
    }

    /// Runs rustls until it wants more from the peer. True if it came to where `write` may, and did.
    fn process(
        &mut self,
        input: Option<&mut Input>,
        write: impl FnOnce(&mut WriteTraffic<'_, rustls::server::ServerConnectionData>, &mut Output),
    ) -> bool {
        let handshaking = self.conn.is_handshaking();
        let stepped = catch_unwind(AssertUnwindSafe(|| self.process_records(input, write)));
        if handshaking {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.sni = asked.or(self.sni.take());
        }
        stepped.unwrap_or_else(|_| {
            log::error!("TLS failed and the connection was ended");
            self.broken = true;
            false
        })
    }

    fn process_records(
        &mut self,
        mut input: Option<&mut Input>,
        write: impl FnOnce(&mut WriteTraffic<'_, rustls::server::ServerConnectionData>, &mut Output),
    ) -> bool {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut head = 0;
        let wrote = loop {
            let UnbufferedStatus { mut discard, state, .. } =
                self.conn.process_tls_records(&mut incoming[head..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        if let Some(input) = &mut input {
                            input.append(record.payload);
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(chunk)) => encode(chunk, &mut self.wire),
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.eof = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    head += discard;
                    write(&mut traffic, &mut self.wire);
                    break true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    head += discard;
                    break false;
                }
                // Early data is never offered, and new states are not known.
                Ok(_) => {
                    self.broken = true;
                    break false;
                }
                Err(error) => {
                    log::debug!("TLS: {error}");
                    self.broken = true;
                    break false;
                }
            }
            head += discard;
        };
        if self.broken {
            self.send_alert();
            return false;
        }
        incoming.drain(..head);
        if !incoming.is_empty() {
            self.incoming = incoming;
        }
        wrote
    }

    /// After an error rustls still has an alert to send; it needs no more input for that.
    fn send_alert(&mut self) {
        while let Ok(ConnectionState::EncodeTlsData(chunk)) = self.conn.process_tls_records(&mut []).state {
            encode(chunk, &mut self.wire);
        }
    }
}

fn encode<Data>(mut chunk: EncodeTlsData<'_, Data>, wire: &mut Output) {
    let mut record = vec![0; RECORD_OVERHEAD];
    let length = match chunk.encode(&mut record) {
        Ok(length) => length,
        Err(rustls::unbuffered::EncodeError::InsufficientSize(needed)) => {
            record.resize(needed.required_size, 0);
            chunk.encode(&mut record).unwrap_or(0)
        }
        Err(_) => 0,
    };
    wire.push(&record[..length]);
}

fn encrypt<Data>(traffic: &mut WriteTraffic<'_, Data>, plain: &[u8], wire: &mut Output) {
    let records = plain.len() / RECORD_PLAIN_BYTES + 1;
    let mark = wire.mark();
    let sealed = wire.extend(plain.len() + records * RECORD_OVERHEAD);
    match traffic.encrypt(plain, sealed) {
        Ok(length) => wire.truncate(mark + length),
        Err(error) => {
            log::error!("TLS: {error}");
            wire.truncate(mark);
        }
    }
}
