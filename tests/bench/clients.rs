//! The bench's own small SMTP and IMAP clients: blocking, on std's sockets, with TLS by rustls. They read as fast as
//! they can and parse only what timing needs.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

/// A TCP connection, in the clear or in TLS.
pub enum Line {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Line {
    pub fn plain(port: u16) -> io::Result<Line> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Line::Plain(stream))
    }

    pub fn tls(port: u16) -> io::Result<Line> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let client = rustls::ClientConnection::new(trusting(), name).map_err(io::Error::other)?;
        Ok(Line::Tls(Box::new(rustls::StreamOwned::new(client, stream))))
    }

    pub fn socket(&self) -> &TcpStream {
        match self {
            Line::Plain(stream) => stream,
            Line::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.read(out),
            Line::Tls(stream) => stream.read(out),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.write(bytes),
            Line::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Line::Plain(stream) => stream.flush(),
            Line::Tls(stream) => stream.flush(),
        }
    }
}

/// Bytes read ahead, and the two ways to use them up: by line, and by tagged answer.
pub struct Wire {
    pub line: Line,
    buffer: Vec<u8>,
    head: usize,
    tail: usize,
}

impl Wire {
    pub fn new(line: Line) -> Wire {
        Wire { line, buffer: vec![0; 256 * 1024], head: 0, tail: 0 }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).and_then(|()| self.line.flush()).expect("the server reads");
    }

    fn fill(&mut self) {
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        }
        if self.tail == self.buffer.len() {
            self.buffer.copy_within(self.head..self.tail, 0);
            (self.head, self.tail) = (0, self.tail - self.head);
        }
        if self.tail == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let count = self.line.read(&mut self.buffer[self.tail..]).expect("the server answers");
        assert!(count > 0, "the server hung up");
        self.tail += count;
    }

    /// The next line without its CR LF.
    pub fn read_line(&mut self) -> String {
        let mut scanned = 0;
        loop {
            let at_hand = &self.buffer[self.head..self.tail];
            if let Some(end) = at_hand[scanned..].iter().position(|&byte| byte == b'\n') {
                let end = scanned + end;
                let line = String::from_utf8_lossy(&at_hand[..end]).trim_end_matches('\r').to_owned();
                self.head += end + 1;
                return line;
            }
            scanned = at_hand.len();
            self.fill();
        }
    }

    /// Reads and drops lines with their literals until one begins with `tag`, which is returned, with the bytes read.
    pub fn until(&mut self, tag: &str) -> (String, u64) {
        let mut total = 0;
        loop {
            let line = self.read_line();
            total += line.len() as u64 + 2;
            if line.starts_with(tag) && line.as_bytes().get(tag.len()) == Some(&b' ') {
                return (line, total);
            }
            if let Some(size) = literal(&line) {
                self.skip(size);
                total += size as u64;
            }
        }
    }

    fn skip(&mut self, mut count: usize) {
        loop {
            let at_hand = (self.tail - self.head).min(count);
            self.head += at_hand;
            count -= at_hand;
            if count == 0 {
                return;
            }
            self.fill();
        }
    }
}

fn literal(line: &str) -> Option<usize> {
    let inside = line.strip_suffix('}')?;
    inside[inside.rfind('{')? + 1..].parse().ok()
}

/// An IMAP connection that has logged in.
pub struct Imap {
    pub wire: Wire,
    next: u32,
}

impl Imap {
    pub fn login(line: Line, user: &str, password: &str) -> Imap {
        let mut client = Imap { wire: Wire::new(line), next: 0 };
        client.wire.read_line();
        client.run(&format!("LOGIN {user} {password}"));
        client
    }

    /// Sends a command, reads to its tagged answer, which must be OK; returns the bytes read.
    pub fn run(&mut self, command: &str) -> u64 {
        let tag = self.start(command);
        self.finish(&tag)
    }

    pub fn start(&mut self, command: &str) -> String {
        self.next += 1;
        let tag = format!("t{}", self.next);
        self.wire.send(format!("{tag} {command}\r\n").as_bytes());
        tag
    }

    pub fn finish(&mut self, tag: &str) -> u64 {
        let (answer, total) = self.wire.until(tag);
        assert!(answer[tag.len()..].starts_with(" OK"), "{answer}");
        total
    }

    /// Runs a command and returns all lines before the tagged one.
    pub fn lines(&mut self, command: &str) -> Vec<String> {
        let tag = self.start(command);
        let mut lines = Vec::new();
        loop {
            let line = self.wire.read_line();
            if line.starts_with(&format!("{tag} ")) {
                assert!(line[tag.len()..].starts_with(" OK"), "{line}");
                return lines;
            }
            lines.push(line);
        }
    }

    /// How many messages a mailbox has, by STATUS.
    pub fn messages(&mut self, mailbox: &str) -> u64 {
        let lines = self.lines(&format!("STATUS {mailbox} (MESSAGES)"));
        let line = lines.iter().find(|line| line.starts_with("* STATUS")).expect("a STATUS answer");
        let digits: String = line
            .split("MESSAGES ")
            .nth(1)
            .expect("MESSAGES")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().expect("a number")
    }

    /// APPEND with a non-synchronizing literal where `plus`, else waiting for the continuation.
    pub fn append(&mut self, mailbox: &str, mail: &[u8], plus: bool) {
        let tag = self.start_append(mailbox, mail, plus);
        self.finish(&tag);
    }

    pub fn start_append(&mut self, mailbox: &str, mail: &[u8], plus: bool) -> String {
        self.next += 1;
        let tag = format!("t{}", self.next);
        let sign = if plus { "+" } else { "" };
        let command = format!("{tag} APPEND {mailbox} {{{}{sign}}}\r\n", mail.len());
        if plus {
            let mut whole = command.into_bytes();
            whole.extend_from_slice(mail);
            whole.extend_from_slice(b"\r\n");
            self.wire.send(&whole);
            return tag;
        }
        self.wire.send(command.as_bytes());
        while !self.wire.read_line().starts_with('+') {}
        let mut whole = mail.to_vec();
        whole.extend_from_slice(b"\r\n");
        self.wire.send(&whole);
        tag
    }
}

impl Imap {
    /// `count` copies of a message in one APPEND (RFC 3502), without waiting between them.
    pub fn start_multiappend(&mut self, mailbox: &str, mail: &[u8], count: usize) -> String {
        self.next += 1;
        let tag = format!("t{}", self.next);
        let mut whole = format!("{tag} APPEND {mailbox}").into_bytes();
        for _ in 0..count {
            whole.extend_from_slice(format!(" {{{}+}}\r\n", mail.len()).as_bytes());
            whole.extend_from_slice(mail);
        }
        whole.extend_from_slice(b"\r\n");
        self.wire.send(&whole);
        tag
    }
}

/// An SMTP connection after EHLO.
pub struct Smtp {
    wire: Wire,
}

impl Smtp {
    pub fn connect(port: u16) -> Smtp {
        let mut client = Smtp { wire: Wire::new(Line::plain(port).expect("a connection")) };
        client.reply("220");
        client.wire.send(b"EHLO bench.example.org\r\n");
        client.reply("250");
        client
    }

    fn reply(&mut self, code: &str) {
        loop {
            let line = self.wire.read_line();
            assert!(line.starts_with(code), "wanted {code}: {line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return;
            }
        }
    }

    /// One message, envelope pipelined; returns the time from the final dot to the final 250.
    pub fn deliver(&mut self, to: &str, stuffed: &[u8]) -> std::time::Duration {
        self.wire.send(format!("MAIL FROM:<a@example.org>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes());
        self.reply("250");
        self.reply("250");
        self.reply("354");
        self.wire.send(stuffed);
        let begun = std::time::Instant::now();
        self.reply("250");
        begun.elapsed()
    }
}

/// A message ready for DATA: dots stuffed, the final dot behind it.
pub fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 16);
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// A TLS client that takes any certificate: the servers here are our own children on loopback.
fn trusting() -> Arc<rustls::ClientConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .expect("versions");
            let verifier = Arc::new(AnyCertificate(provider));
            Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        })
        .clone()
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
