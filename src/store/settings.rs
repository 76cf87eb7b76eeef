//! The one table of settings: what each is called, what it means, what it is when nobody has said, and what it may be.

use std::net::{IpAddr, SocketAddr};

use crate::base::{Config, limits};

/// One setting of the file.
pub struct Setting {
    pub name: &'static str,
    /// One sentence for `config list`.
    pub meaning: &'static str,
    /// As text; empty where there is none.
    pub default: &'static str,
    /// What is wrong with a value, as a sentence.
    pub check: fn(&str) -> Result<(), String>,
}

pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "hostname",
        meaning: "The name the server greets with and writes into Received.",
        default: "localhost",
        check: check_host,
    },
    Setting {
        name: "dns-servers",
        meaning: "Resolvers to ask, as addresses with or without a port, separated by spaces; empty: as the system.",
        default: "",
        check: check_resolvers,
    },
    Setting {
        name: "message-bytes-max",
        meaning: "The largest message taken, in bytes.",
        default: "104857600",
        check: check_message_bytes,
    },
    Setting {
        name: "tag-separators",
        meaning: "Characters that split a tag from the user in user+tag; empty: no tags.",
        default: "+",
        check: check_separators,
    },
    Setting {
        name: "listen-smtp",
        meaning: "Where mail from other servers is taken: ports or addresses with ports, separated by spaces.",
        default: "25",
        check: check_listen,
    },
    Setting {
        name: "listen-submission",
        meaning: "Where users submit mail with STARTTLS.",
        default: "587 2525",
        check: check_listen,
    },
    Setting {
        name: "listen-submissions",
        meaning: "Where users submit mail with TLS from the first byte.",
        default: "465",
        check: check_listen,
    },
    Setting {
        name: "listen-imap",
        meaning: "Where IMAP clients connect with STARTTLS.",
        default: "143",
        check: check_listen,
    },
    Setting {
        name: "listen-imaps",
        meaning: "Where IMAP clients connect with TLS from the first byte.",
        default: "993",
        check: check_listen,
    },
    Setting {
        name: "listen-pop3",
        meaning: "Where POP3 clients connect with STLS.",
        default: "110",
        check: check_listen,
    },
    Setting {
        name: "listen-pop3s",
        meaning: "Where POP3 clients connect with TLS from the first byte.",
        default: "995",
        check: check_listen,
    },
    Setting {
        name: "tls-cert",
        meaning: "Path of the certificate chain in PEM; empty: the certificate in the file.",
        default: "",
        check: check_path,
    },
    Setting {
        name: "tls-key",
        meaning: "Path of the certificate's key in PEM; empty: the key in the file.",
        default: "",
        check: check_path,
    },
    Setting {
        name: "plaintext-login",
        meaning: "Whether a login without TLS is allowed: yes or no. Only for tests on loopback.",
        default: "no",
        check: check_yes_no,
    },
    Setting {
        name: "search-index",
        meaning: "Whether an index for searching is kept: on or off. Off saves a third of the file; searches read the mail.",
        default: "on",
        check: check_on_off,
    },
    Setting {
        name: "undelete-days",
        meaning: "For how many days an expunged message is kept; 0: for an hour.",
        default: "0",
        check: check_days,
    },
];

pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// What is wrong with setting `name` to `value`, as a sentence.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    let Some(setting) = setting(name) else { return Err(format!("there is no setting called {name}")) };
    (setting.check)(value).map_err(|why| format!("{name}: {why}"))
}

/// The running server's configuration from what the file says; what it does not say is at its default.
pub fn config(stored: &[(String, String)]) -> Config {
    let value = |name: &str| {
        let said = stored.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        said.or_else(|| setting(name).map(|setting| setting.default)).unwrap_or_default()
    };
    Config {
        hostname: value("hostname").into(),
        dns_servers: value("dns-servers").split_whitespace().filter_map(resolver).collect(),
        message_bytes_max: value("message-bytes-max").parse().unwrap_or(limits::MESSAGE_BYTES_MAX),
        tag_separators: value("tag-separators").into(),
        plaintext_login: value("plaintext-login") == "yes",
    }
}

/// `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`.
fn resolver(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
}

fn check_host(value: &str) -> Result<(), String> {
    let good = !value.is_empty()
        && value.len() <= 253
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if good { Ok(()) } else { Err("a host name has letters, digits, hyphens and dots".into()) }
}

fn check_resolvers(value: &str) -> Result<(), String> {
    match value.split_whitespace().find(|word| resolver(word).is_none()) {
        Some(word) => Err(format!("{word} is no address such as 192.0.2.1 or [2001:db8::1]:53")),
        None => Ok(()),
    }
}

fn check_message_bytes(value: &str) -> Result<(), String> {
    match value.parse::<u64>() {
        Ok(bytes) if (64 * 1024..=limits::MESSAGE_BYTES_MAX).contains(&bytes) => Ok(()),
        _ => Err(format!("a number from 65536 to {}", limits::MESSAGE_BYTES_MAX)),
    }
}

fn check_separators(value: &str) -> Result<(), String> {
    let good = value.bytes().all(|byte| b"+-_.=".contains(&byte));
    if good { Ok(()) } else { Err("any of + - _ . =".into()) }
}

fn check_listen(value: &str) -> Result<(), String> {
    let good = |word: &str| word.parse::<u16>().is_ok() || word.parse::<SocketAddr>().is_ok();
    match value.split_whitespace().find(|word| !good(word)) {
        Some(word) => {
            Err(format!("{word} is neither a port nor an address such as 192.0.2.1:25 or [::1]:25"))
        }
        None => Ok(()),
    }
}

fn check_path(value: &str) -> Result<(), String> {
    if value.contains('\0') { Err("a path has no NUL".into()) } else { Ok(()) }
}

fn check_yes_no(value: &str) -> Result<(), String> {
    if matches!(value, "yes" | "no") { Ok(()) } else { Err("yes or no".into()) }
}

fn check_on_off(value: &str) -> Result<(), String> {
    if matches!(value, "on" | "off") { Ok(()) } else { Err("on or off".into()) }
}

fn check_days(value: &str) -> Result<(), String> {
    match value.parse::<u32>() {
        Ok(0..=3650) => Ok(()),
        _ => Err("a number of days from 0 to 3650".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_good_value() {
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
            assert_eq!(check(setting.name, setting.default), Ok(()), "{}", setting.name);
        }
        assert_eq!(config(&[]), Config::default());
    }

    #[test]
    fn a_bad_value_is_told_what_is_wrong_with_it() {
        for (name, value) in [
            ("no-such", "1"),
            ("hostname", "a b"),
            ("dns-servers", "192.0.2.1 example.org"),
            ("message-bytes-max", "12"),
            ("tag-separators", "a"),
            ("listen-smtp", "25 everywhere"),
            ("plaintext-login", "maybe"),
            ("undelete-days", "-1"),
            ("search-index", "yes"),
        ] {
            assert!(check(name, value).is_err(), "{name} = {value}");
        }
        assert_eq!(check("dns-servers", "192.0.2.1 [2001:db8::1]:5353"), Ok(()));
    }
}
