//! Which conversations are served where: the table that joins ports to protocols. Nothing else knows both.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::engine::{Pem, ServiceId, ServiceKind};
use crate::store::{Reader, settings};
use crate::{imap, pop3, smtp};

use super::Failure;
use super::listen::{Wanted, lacks_ipv6};

/// One kind of port.
pub struct Service {
    pub kind: ServiceKind,
    /// The setting that says where it listens.
    pub setting: &'static str,
    /// Ports of `quickstart`, counted from its base (2000).
    pub quickstart: &'static [u16],
}

// ALPN names from the IANA registry; "smtp" and "esmtp" are what Exim offers. RFC 8314 makes none obligatory.
const SMTP_ALPN: &[&[u8]] = &[b"smtp", b"esmtp"];
const IMAP_ALPN: &[&[u8]] = &[b"imap"];
const POP3_ALPN: &[&[u8]] = &[b"pop3"];

// RFC 5321 section 3.8 and RFC 3463 (4.3.2: not accepting messages now); RFC 9051 section 7.1.5 and RFC 5530; RFC 3206.
const SMTP_BUSY: &str = "421 4.3.2 Too many connections just now, please try again later\r\n";
const IMAP_BUSY: &str = "* BYE [UNAVAILABLE] Too many connections just now, please try again later\r\n";
const POP3_BUSY: &str = "-ERR [SYS/TEMP] Too many connections just now, please try again later\r\n";

pub const TABLE: &[Service] = &[
    Service {
        kind: ServiceKind {
            name: "smtp",
            implicit_tls: false,
            alpn: SMTP_ALPN,
            tickets: false,
            busy: SMTP_BUSY,
            open: smtp::server::open_mx,
        },
        setting: "listen-smtp",
        quickstart: &[25],
    },
    Service {
        kind: ServiceKind {
            name: "submission",
            implicit_tls: false,
            alpn: SMTP_ALPN,
            tickets: true,
            busy: SMTP_BUSY,
            open: smtp::server::open_submission,
        },
        setting: "listen-submission",
        quickstart: &[587, 525],
    },
    Service {
        kind: ServiceKind {
            name: "submissions",
            implicit_tls: true,
            alpn: SMTP_ALPN,
            tickets: true,
            busy: SMTP_BUSY,
            open: smtp::server::open_submission,
        },
        setting: "listen-submissions",
        quickstart: &[465],
    },
    Service {
        kind: ServiceKind {
            name: "imap",
            implicit_tls: false,
            alpn: IMAP_ALPN,
            tickets: true,
            busy: IMAP_BUSY,
            open: imap::server::open,
        },
        setting: "listen-imap",
        quickstart: &[143],
    },
    Service {
        kind: ServiceKind {
            name: "imaps",
            implicit_tls: true,
            alpn: IMAP_ALPN,
            tickets: true,
            busy: IMAP_BUSY,
            open: imap::server::open,
        },
        setting: "listen-imaps",
        quickstart: &[993],
    },
    Service {
        kind: ServiceKind {
            name: "pop3",
            implicit_tls: false,
            alpn: POP3_ALPN,
            tickets: true,
            busy: POP3_BUSY,
            open: pop3::server::open,
        },
        setting: "listen-pop3",
        quickstart: &[110],
    },
    Service {
        kind: ServiceKind {
            name: "pop3s",
            implicit_tls: true,
            alpn: POP3_ALPN,
            tickets: true,
            busy: POP3_BUSY,
            open: pop3::server::open,
        },
        setting: "listen-pop3s",
        quickstart: &[995],
    },
];

pub fn kinds() -> Vec<ServiceKind> {
    TABLE.iter().map(|service| service.kind.clone()).collect()
}

/// Where the addresses to listen on come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// From the settings in the file.
    Settings,
    /// `quickstart`: on 127.0.0.1, the standard numbers counted from this base; 0 lets the system choose.
    Quickstart(u16),
}

/// What the outside must know of the settings: addresses to listen on, and the certificate's files.
pub struct Fresh {
    pub wanted: Vec<Wanted>,
    pub pem: Option<Pem>,
}

impl Fresh {
    /// With a connection of its own that is closed at once: it is needed at the start and at a reload only.
    pub fn read(db: &Path, ports: &Ports) -> Result<Fresh, Failure> {
        let store = Reader::open(db).map_err(|error| Failure::File(error.to_string()))?;
        Fresh::of(&store, ports)
    }

    pub fn of(store: &Reader, ports: &Ports) -> Result<Fresh, Failure> {
        let value = |name: &str| -> Result<String, Failure> {
            let stored = store.setting(name).map_err(|error| Failure::File(error.to_string()))?;
            Ok(stored.unwrap_or_else(|| settings::setting(name).map_or("", |row| row.default).into()))
        };
        let mut wanted = Vec::new();
        for (index, service) in TABLE.iter().enumerate() {
            let addresses = match ports {
                Ports::Settings => listen_addresses(&value(service.setting)?, !lacks_ipv6()),
                Ports::Quickstart(base) => quickstart_addresses(service, *base),
            };
            wanted.extend(addresses.into_iter().map(|addr| Wanted { service: ServiceId(index), addr }));
        }
        let (chain, key) = (value("tls-cert")?, value("tls-key")?);
        let pem = match (chain.is_empty(), key.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Pem { chain: read_pem(&chain)?, key: read_pem(&key)? }),
            _ => return Err(Failure::File("tls-cert and tls-key must both be set, or neither".into())),
        };
        Ok(Fresh { wanted, pem })
    }
}

fn read_pem(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::File(format!("cannot read {path}: {error}")))
}

fn quickstart_addresses(service: &Service, base: u16) -> Vec<SocketAddr> {
    let port = |offset: &u16| if base == 0 { 0 } else { base.saturating_add(*offset) };
    service.quickstart.iter().map(|offset| SocketAddr::from((Ipv4Addr::LOCALHOST, port(offset)))).collect()
}

/// `25 192.0.2.1:2525`: a port alone is every address of the machine.
fn listen_addresses(value: &str, ipv6: bool) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for word in value.split_whitespace() {
        if let Ok(port) = word.parse::<u16>() {
            addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
            addresses.extend(ipv6.then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))));
        } else if let Ok(addr) = word.parse() {
            addresses.push(addr);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_every_address() {
        let shown = |value, ipv6| {
            listen_addresses(value, ipv6).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("25 127.0.0.1:2525", true), "0.0.0.0:25 [::]:25 127.0.0.1:2525");
        assert_eq!(shown("25 [::1]:26", false), "0.0.0.0:25 [::1]:26");
        assert_eq!(shown("", true), "");
    }

    #[test]
    fn every_service_listens_where_a_setting_says() {
        for service in TABLE {
            assert!(settings::setting(service.setting).is_some(), "{}", service.setting);
        }
    }
}
