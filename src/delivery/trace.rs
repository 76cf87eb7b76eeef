//! The fields that a server writes in front of a message: Return-Path and Received (RFC 5321 section 4.4).

use crate::base::{Wall, time};
use crate::session::TlsInfo;

use super::Mailbox;

/// What the Received field tells. What is `None` is left out.
pub struct Stamp<'a> {
    /// `None` in a submission: where the author sits and what the machine is called is told to nobody. RFC 5321 wants a
    /// FROM clause for diagnosis; our own log has what an owner needs for that.
    pub from: Option<From<'a>>,
    pub by: &'a str,
    /// One of the IANA "Mail Transmission Types": see `protocol`.
    pub with: &'static str,
    pub id: &'a str,
    pub tls: Option<&'a TlsInfo>,
    /// Only where there is one recipient: others must not be told of each other (RFC 5321 section 7.6).
    pub for_one: Option<&'a Mailbox>,
    pub at: Wall,
}

/// The other server: what it called itself, and where it called from.
pub struct From<'a> {
    /// A well-formed domain or address literal, else `None`.
    pub name: Option<&'a str>,
    pub address: std::net::IpAddr,
}

/// How a message came in, as RFC 3848 and RFC 6531 section 4.3 name it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Came {
    pub esmtp: bool,
    pub tls: bool,
    pub login: bool,
    pub utf8: bool,
}

// protocol = "SMTP" / "ESMTP" ["S"] ["A"] / "UTF8SMTP" ["S"] ["A"]
pub fn protocol(came: Came) -> &'static str {
    match (came.utf8, came.tls, came.login) {
        _ if !came.esmtp => "SMTP",
        (false, false, false) => "ESMTP",
        (false, true, false) => "ESMTPS",
        (false, false, true) => "ESMTPA",
        (false, true, true) => "ESMTPSA",
        (true, false, false) => "UTF8SMTP",
        (true, true, false) => "UTF8SMTPS",
        (true, false, true) => "UTF8SMTPA",
        (true, true, true) => "UTF8SMTPSA",
    }
}

// Return-path-line = "Return-Path:" FWS Reverse-path <CRLF>
pub fn return_path(from: Option<&Mailbox>) -> String {
    match from {
        Some(from) => format!("Return-Path: <{from}>\r\n"),
        None => "Return-Path: <>\r\n".into(),
    }
}

// Stamp = From-domain By-domain Opt-info [CFWS] ";" FWS date-time;  the tls clause is RFC 8314 section 4.3
pub fn received(stamp: &Stamp<'_>) -> String {
    let mut line = String::from("Received: ");
    if let Some(from) = &stamp.from {
        let literal = address_literal(from.address);
        line += &format!("from {} ({literal})\r\n\t", from.name.unwrap_or(&literal));
    }
    line += &format!("by {} with {} id {}", stamp.by, stamp.with, stamp.id);
    if let Some(to) = stamp.for_one {
        line += &format!("\r\n\tfor <{to}>");
    }
    if let Some(tls) = stamp.tls {
        line += &format!("\r\n\ttls {} ({})", tls.cipher, tls.version);
    }
    line + &format!(";\r\n\t{}\r\n", time::mail_date(stamp.at))
}

/// RFC 5321 section 4.1.3.
pub fn address_literal(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => format!("[{address}]"),
        std::net::IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_tells_what_it_may() {
        let to = Mailbox { local: "bob".into(), domain: "example.org".into() };
        let tls = TlsInfo { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256".into(), sni: None };
        let mut stamp = Stamp {
            from: Some(From { name: Some("mail.test"), address: "192.0.2.1".parse().expect("an address") }),
            by: "mx.example.org",
            with: protocol(Came { esmtp: true, tls: true, ..Came::default() }),
            id: "abc",
            tls: Some(&tls),
            for_one: Some(&to),
            at: Wall::from_unix(0),
        };
        assert_eq!(
            received(&stamp),
            "Received: from mail.test ([192.0.2.1])\r\n\tby mx.example.org with ESMTPS id abc\r\n\
             \tfor <bob@example.org>\r\n\ttls TLS_AES_128_GCM_SHA256 (TLSv1.3);\r\n\
             \tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        (stamp.from, stamp.tls, stamp.for_one) = (None, None, None);
        assert_eq!(
            received(&stamp),
            "Received: by mx.example.org with ESMTPS id abc;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        let odd = Mailbox { local: "a \"b\"".into(), domain: "example.org".into() };
        assert_eq!(return_path(Some(&odd)), "Return-Path: <\"a \\\"b\\\"\"@example.org>\r\n");
        assert_eq!(return_path(None), "Return-Path: <>\r\n");
        assert_eq!(address_literal("2001:db8::1".parse().expect("an address")), "[IPv6:2001:db8::1]");
    }
}
