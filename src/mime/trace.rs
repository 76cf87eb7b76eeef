//! The trace fields a receiving server writes on top of a message (RFC 5321 section 4.4). What the peer said is
//! reduced to characters that cannot end the field.

use std::net::IpAddr;

use crate::base::Wall;
use crate::base::time::mail_date;

/// What a Received field says.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// As the peer introduced itself in HELO or EHLO; empty if it did not.
    pub helo: &'a str,
    pub from: IpAddr,
    /// Our name.
    pub by: &'a str,
    /// RFC 3848: `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `UTF8SMTPS` …
    pub with: &'a str,
    /// TLS version and cipher.
    pub tls: Option<(&'a str, &'a str)>,
    pub id: &'a str,
    /// Only where there is one recipient: others must not learn of each other.
    pub recipient: Option<&'a str>,
    pub at: Wall,
}

// Time-stamp-line = "Received:" FWS From-domain By-domain Opt-info [CFWS] ";" FWS date-time       RFC 5321 section 4.4.1
pub fn received(field: &Received<'_>) -> Vec<u8> {
    let helo = if field.helo.is_empty() { "unknown".to_string() } else { word(field.helo) };
    let address = match field.from.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPv6:{v6}"),
    };
    let mut out =
        format!("Received: from {helo} ([{address}])\r\n\tby {} with {}", word(field.by), field.with);
    if let Some((version, cipher)) = field.tls {
        out += &format!("\r\n\t(using {} with cipher {})", word(version), word(cipher));
    }
    out += &format!("\r\n\tid {}", word(field.id));
    if let Some(recipient) = field.recipient {
        out += &format!("\r\n\tfor <{}>", word(recipient));
    }
    out += &format!("; {}\r\n", mail_date(field.at));
    out.into_bytes()
}

// Return-path-line = "Return-Path:" FWS Reverse-path                                            RFC 5321 section 4.4.1
/// `path` is without brackets; empty for the null sender.
pub fn return_path(path: &str) -> Vec<u8> {
    let safe: String = path.chars().filter(|c| !c.is_control()).collect();
    format!("Return-Path: <{safe}>\r\n").into_bytes()
}

/// One word without what has a meaning in a structured field.
fn word(text: &str) -> String {
    let safe = |c: char| if c.is_control() || " ()<>;\\\"".contains(c) { '?' } else { c };
    text.chars().take(WORD_CHARS_MAX).map(safe).collect()
}

/// A domain name or an address is shorter (RFC 5321 section 4.5.3.1).
const WORD_CHARS_MAX: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_fields_cannot_be_broken_out_of() {
        let field = Received {
            helo: "mx.example.org",
            from: IpAddr::from([192, 0, 2, 1]),
            by: "box.test",
            with: "ESMTPS",
            tls: Some(("TLSv1.3", "TLS_AES_128_GCM_SHA256")),
            id: "17",
            recipient: Some("ann@box.test"),
            at: Wall::from_unix(1_795_468_194),
        };
        let text = String::from_utf8_lossy(&received(&field)).into_owned();
        assert_eq!(
            text,
            "Received: from mx.example.org ([192.0.2.1])\r\n\tby box.test with ESMTPS\r\n\t(using TLSv1.3 with cipher \
             TLS_AES_128_GCM_SHA256)\r\n\tid 17\r\n\tfor <ann@box.test>; Mon, 23 Nov 2026 21:09:54 +0000\r\n"
        );
        let hostile = Received { helo: "x)\r\n\r\nEvil: (", recipient: None, tls: None, ..field };
        let text = String::from_utf8_lossy(&received(&hostile)).into_owned();
        assert!(text.starts_with(
            "Received: from x?????Evil:?? ([192.0.2.1])\r\n\tby box.test with ESMTPS\r\n\tid 17;"
        ));
        assert_eq!(return_path("a@b.test\r\nX: y"), b"Return-Path: <a@b.testX: y>\r\n");
        assert_eq!(return_path(""), b"Return-Path: <>\r\n");
    }
}
