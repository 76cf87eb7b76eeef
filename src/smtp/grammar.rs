//! What an SMTP client may say, as pure functions over one line without its CR LF (RFC 5321 section 4.1.2). Nothing
//! here knows which recipients exist or what state a conversation is in.
//!
//! Looser than the RFC where the world is: a space after the colon of FROM: and TO: (Outlook 365 and an airline's MTA
//! send it), dots anywhere in a local part (Japanese phone carriers gave such addresses out), underscores in domains.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::base::limits::{DOMAIN_BYTES_MAX, LOCAL_PART_BYTES_MAX};
use crate::delivery::Mailbox;

/// What is wrong with an argument: a sentence for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The command is not built as it must be.
    Form(&'static str),
    /// The address in it cannot be one.
    Address(&'static str),
    /// A parameter that was not offered, or with a value it cannot have.
    Parameter(&'static str),
}

/// BODY= of RFC 6152 and RFC 3030.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    #[default]
    SevenBit,
    EightBitMime,
    BinaryMime,
}

/// The argument of MAIL. `from` is `None` for the null reverse-path `<>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailArgs {
    pub from: Option<Mailbox>,
    pub size: Option<u64>,
    pub body: BodyType,
    pub utf8: bool,
}

/// The argument of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, which every server takes (RFC 5321 section 4.5.1).
    Postmaster,
    Mailbox(Mailbox),
}

/// The argument of BDAT (RFC 3030 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkArgs {
    pub size: u64,
    pub last: bool,
}

// command = verb [SP argument]
/// Splits a line; the verb is as the client wrote it. Spaces at the end are nobody's fault and dropped.
pub fn command(line: &str) -> (&str, &str) {
    let line = line.trim_end_matches([' ', '\t']);
    line.split_once(' ').unwrap_or((line, ""))
}

// ehlo = "EHLO" SP ( Domain / address-literal )      RFC 5321 section 4.1.1.1
/// The name as given. Section 4.1.4 forbids refusing mail because it does not verify, and clients on home machines send
/// whatever the machine is called: any printable word passes, and `is_host` says whether it is well formed.
pub fn hello(argument: &str) -> Result<&str, Bad> {
    let name = argument.trim();
    if name.is_empty() {
        return Err(Bad::Form("Say your name after EHLO or HELO"));
    }
    if name.len() > DOMAIN_BYTES_MAX || name.contains(char::is_control) {
        return Err(Bad::Form("That is not a host name"));
    }
    Ok(name)
}

/// Whether a name given in EHLO is a Domain or an address-literal.
pub fn is_host(name: &str) -> bool {
    let mut p = Parser { rest: name };
    p.domain().is_ok() && p.rest.is_empty()
}

// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]      RFC 5321 section 4.1.1.2
pub fn mail(argument: &str) -> Result<MailArgs, Bad> {
    let mut p = Parser { rest: argument };
    p.prefix("FROM:", "Write MAIL FROM:<address>")?;
    let from = p.reverse_path()?;
    let mut args = MailArgs { from, size: None, body: BodyType::SevenBit, utf8: false };
    while let Some((keyword, value)) = p.parameter()? {
        mail_parameter(&mut args, keyword, value)?;
    }
    Ok(args)
}

fn mail_parameter(args: &mut MailArgs, keyword: &str, value: Option<&str>) -> Result<(), Bad> {
    match (keyword.to_ascii_uppercase().as_str(), value) {
        // size-value = 1*20DIGIT      RFC 1870 section 5; what does not fit into 64 bits is too large anyway.
        ("SIZE", Some(value)) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            args.size = Some(value.parse().unwrap_or(u64::MAX));
        }
        // body-value = "7BIT" / "8BITMIME" / "BINARYMIME"      RFC 3030 section 3
        ("BODY", Some(value)) => args.body = body_type(value)?,
        ("SMTPUTF8", None) => args.utf8 = true,
        // RFC 4954 section 5: who first submitted it. A server that does not trust its client ignores it.
        ("AUTH", Some(_)) => {}
        ("SIZE" | "BODY" | "SMTPUTF8" | "AUTH", _) => {
            return Err(Bad::Parameter("That parameter of MAIL has no such value"));
        }
        _ => return Err(Bad::Parameter("That parameter of MAIL is not offered here")),
    }
    Ok(())
}

fn body_type(value: &str) -> Result<BodyType, Bad> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(BodyType::SevenBit),
        "8BITMIME" => Ok(BodyType::EightBitMime),
        "BINARYMIME" => Ok(BodyType::BinaryMime),
        _ => Err(Bad::Parameter("BODY is 7BIT, 8BITMIME or BINARYMIME")),
    }
}

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]
//                                                              RFC 5321 section 4.1.1.3
pub fn rcpt(argument: &str) -> Result<ForwardPath, Bad> {
    let mut p = Parser { rest: argument };
    p.prefix("TO:", "Write RCPT TO:<address>")?;
    let path = p.forward_path()?;
    match p.parameter()? {
        None => Ok(path),
        Some(_) => Err(Bad::Parameter("That parameter of RCPT is not offered here")),
    }
}

// bdat = "BDAT" SP chunk-size [SP "LAST"]      RFC 3030 section 2
pub fn bdat(argument: &str) -> Result<ChunkArgs, Bad> {
    const FORM: Bad = Bad::Form("Write BDAT size, or BDAT size LAST");
    let (size, marker) = argument.split_once(' ').unwrap_or((argument, ""));
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    let last = marker.trim();
    if !last.is_empty() && !last.eq_ignore_ascii_case("LAST") {
        return Err(FORM);
    }
    Ok(ChunkArgs { size: size.parse().unwrap_or(u64::MAX), last: !last.is_empty() })
}

// auth = "AUTH" SP sasl-mech [SP initial-response]      RFC 4954 section 4
/// Mechanism and initial response.
pub fn auth(argument: &str) -> Result<(&str, Option<&str>), Bad> {
    let mut words = argument.split_ascii_whitespace();
    let mechanism = words.next().ok_or(Bad::Form("Write AUTH and the name of a mechanism"))?;
    let initial = words.next();
    match words.next() {
        None => Ok((mechanism, initial)),
        Some(_) => Err(Bad::Form("AUTH takes a mechanism and at most one response")),
    }
}

/// For commands that take none.
pub fn nothing(argument: &str) -> Result<(), Bad> {
    match argument.trim() {
        "" => Ok(()),
        _ => Err(Bad::Form("That command takes no argument")),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn prefix(&mut self, word: &str, form: &'static str) -> Result<(), Bad> {
        let (head, rest) = self.rest.trim_start().split_at_checked(word.len()).ok_or(Bad::Form(form))?;
        if !head.eq_ignore_ascii_case(word) {
            return Err(Bad::Form(form));
        }
        self.rest = rest.trim_start_matches(' ');
        Ok(())
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    // Reverse-path = Path / "<>"
    fn reverse_path(&mut self) -> Result<Option<Mailbox>, Bad> {
        if let Some(rest) = self.rest.strip_prefix("<>") {
            self.rest = rest;
            return Ok(None);
        }
        self.path().map(Some)
    }

    // Forward-path = Path, and "<Postmaster>" in any case
    fn forward_path(&mut self) -> Result<ForwardPath, Bad> {
        const POSTMASTER: &str = "<postmaster>";
        if let Some((head, rest)) = self.rest.split_at_checked(POSTMASTER.len())
            && head.eq_ignore_ascii_case(POSTMASTER)
        {
            self.rest = rest;
            return Ok(ForwardPath::Postmaster);
        }
        self.path().map(ForwardPath::Mailbox)
    }

    // Path = "<" [ A-d-l ":" ] Mailbox ">"
    fn path(&mut self) -> Result<Mailbox, Bad> {
        if !self.eat('<') {
            return Err(Bad::Form("Put the address in angle brackets"));
        }
        if self.rest.starts_with('@') {
            self.source_route()?;
        }
        let mailbox = self.mailbox()?;
        if !self.eat('>') {
            return Err(Bad::Address("The address does not end with a closing angle bracket"));
        }
        Ok(mailbox)
    }

    // A-d-l = At-domain *( "," At-domain );  At-domain = "@" Domain
    // "MUST BE accepted, SHOULD NOT be generated, and SHOULD be ignored."
    fn source_route(&mut self) -> Result<(), Bad> {
        loop {
            if !self.eat('@') {
                return Err(Bad::Address("The source route is not built as one"));
            }
            self.domain()?;
            if self.eat(':') {
                return Ok(());
            }
            if !self.eat(',') {
                return Err(Bad::Address("The source route is not built as one"));
            }
        }
    }

    // Mailbox = Local-part "@" ( Domain / address-literal )
    fn mailbox(&mut self) -> Result<Mailbox, Bad> {
        let local = match self.rest.starts_with('"') {
            true => self.quoted_string()?,
            false => self.dot_string()?.to_string(),
        };
        if local.len() > LOCAL_PART_BYTES_MAX {
            return Err(Bad::Address("The part before the @ is too long"));
        }
        if !self.eat('@') {
            return Err(Bad::Address("The address has no domain"));
        }
        let domain = self.domain()?.to_string();
        Ok(Mailbox { local, domain })
    }

    // Dot-string = Atom *("." Atom)
    fn dot_string(&mut self) -> Result<&'a str, Bad> {
        let local = self.take_while(|c| c == '.' || is_atext(c));
        if local.is_empty() {
            return Err(Bad::Address("The part before the @ is missing or has characters that need quotes"));
        }
        Ok(local)
    }

    // Quoted-string = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE
    /// The text without quotes and backslashes: `"a\ b"` and `"a b"` are the same mailbox.
    fn quoted_string(&mut self) -> Result<String, Bad> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if text.is_empty() => return Err(Bad::Address("The part before the @ is empty")),
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ' '..='~')) => text.push(escaped),
                    _ => break,
                },
                ' '..='~' => text.push(c),
                c if !c.is_ascii() && !c.is_control() => text.push(c),
                _ => break,
            }
        }
        Err(Bad::Address("The quoted part before the @ is not built as one"))
    }

    // Domain = sub-domain *("." sub-domain);  address-literal = "[" ( IPv4 / "IPv6:" IPv6 ) "]"
    /// A literal keeps its brackets.
    fn domain(&mut self) -> Result<&'a str, Bad> {
        let start = self.rest;
        if self.eat('[') {
            let inside = self.take_while(|c| c != ']');
            if !self.eat(']') || !is_address(inside) {
                return Err(Bad::Address("The address literal is not [192.0.2.1] or [IPv6:2001:db8::1]"));
            }
            return Ok(&start[..inside.len() + 2]);
        }
        let domain = self.take_while(is_domain_char);
        let empty_label = domain.split('.').any(str::is_empty);
        if empty_label || domain.len() > DOMAIN_BYTES_MAX || domain.starts_with('-') {
            return Err(Bad::Address("The domain is not built as one"));
        }
        Ok(domain)
    }

    // Mail-parameters = esmtp-param *(SP esmtp-param);  esmtp-param = esmtp-keyword ["=" esmtp-value]
    fn parameter(&mut self) -> Result<Option<(&'a str, Option<&'a str>)>, Bad> {
        const FORM: Bad = Bad::Form("Parameters follow the address as KEYWORD or KEYWORD=value");
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.eat(' ') {
            return Err(FORM);
        }
        self.rest = self.rest.trim_start_matches(' ');
        let keyword = self.take_while(|c| c.is_ascii_alphanumeric() || c == '-');
        if keyword.is_empty() || keyword.starts_with('-') {
            return Err(FORM);
        }
        let value = match self.eat('=') {
            true => Some(self.take_while(|c| c > ' ' && c != '=' && c != '\x7f')),
            false => None,
        };
        Ok(Some((keyword, value)))
    }
}

// atext      RFC 5322 section 3.2.3, and UTF-8 beyond ASCII (RFC 6531 section 3.3)
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

fn is_domain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._".contains(c) || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

fn is_address(inside: &str) -> bool {
    match inside.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => inside.parse::<Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(local: &str, domain: &str) -> Mailbox {
        Mailbox { local: local.into(), domain: domain.into() }
    }

    #[test]
    fn paths_of_every_kind_are_read() {
        for (argument, local, domain) in [
            ("TO:<bob@example.org>", "bob", "example.org"),
            ("to: <bob@example.org>", "bob", "example.org"),
            ("TO:<@a.test,@b.test:bob@example.org>", "bob", "example.org"),
            ("TO:<\"a b\"@example.org>", "a b", "example.org"),
            ("TO:<\"a\\\"b\\\\\"@example.org>", "a\"b\\", "example.org"),
            ("TO:<\"@\"@example.org>", "@", "example.org"),
            ("TO:<bob@[192.0.2.1]>", "bob", "[192.0.2.1]"),
            ("TO:<bob@[IPv6:2001:db8::1]>", "bob", "[IPv6:2001:db8::1]"),
            ("TO:<jörg@bücher.test>", "jörg", "bücher.test"),
            ("TO:<a..b.@example.org>", "a..b.", "example.org"),
            ("TO:<o'hara+tag=x@my_host.example.org>", "o'hara+tag=x", "my_host.example.org"),
        ] {
            assert_eq!(rcpt(argument), Ok(ForwardPath::Mailbox(mailbox(local, domain))), "{argument}");
        }
        assert_eq!(rcpt("TO:<PostMaster>"), Ok(ForwardPath::Postmaster));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for argument in [
            "",
            "TO",
            "TO:",
            "TO:bob@example.org",
            "TO:<bob@example.org",
            "TO:<bob>",
            "TO:<@example.org>",
            "TO:<bob@>",
            "TO:<bob@a..b>",
            "TO:<bob@.a>",
            "TO:<bob@a.>",
            "TO:<bob@-a>",
            "TO:<bo b@example.org>",
            "TO:<\"bob@example.org>",
            "TO:<\"\"@example.org>",
            "TO:<\"a\\",
            "TO:<bob@[1.2.3]>",
            "TO:<bob@[IPv6:x]>",
            "TO:<bob@[192.0.2.1>",
            "TO:<@a.test:bob@>",
            "TO:<@a.test bob@b.test>",
            "TO:<bob@example.org>x",
            "TO:<bob@example.org> X",
            "TO:<bob\u{1}@example.org>",
            "TO:<bob@example.org> NOTIFY=NEVER",
            "TO:<>",
            "FROM:<bob@example.org>",
            "TO:<é",
        ] {
            assert!(rcpt(argument).is_err(), "{argument}");
        }
        let long = format!("TO:<{}@example.org>", "x".repeat(LOCAL_PART_BYTES_MAX + 1));
        assert!(rcpt(&long).is_err());
        let long = format!("TO:<bob@{}.test>", "x".repeat(DOMAIN_BYTES_MAX));
        assert!(rcpt(&long).is_err());
    }

    #[test]
    fn parameters_of_mail_are_read() {
        let plain = MailArgs { from: None, size: None, body: BodyType::SevenBit, utf8: false };
        assert_eq!(mail("FROM:<>"), Ok(plain.clone()));
        let all = mail("from:<a@b.test>  SIZE=12 body=8bitmime SMTPUTF8 AUTH=<>").expect("parameters");
        assert_eq!(all.from, Some(mailbox("a", "b.test")));
        assert_eq!((all.size, all.body, all.utf8), (Some(12), BodyType::EightBitMime, true));
        let huge = mail("FROM:<> SIZE=99999999999999999999").expect("a number");
        assert_eq!(huge.size, Some(u64::MAX));
        for argument in [
            "FROM:<> SIZE",
            "FROM:<> SIZE=",
            "FROM:<> SIZE=x",
            "FROM:<> BODY=9BIT",
            "FROM:<> BODY",
            "FROM:<> RET=HDRS",
            "FROM:<> SMTPUTF8=1",
            "FROM:<> =1",
            "FROM:<>SIZE=1",
            "FROM:<> SIZE=1=2",
            "FROM:<> -A",
        ] {
            assert!(mail(argument).is_err(), "{argument}");
        }
    }

    #[test]
    fn the_small_commands_are_read() {
        assert_eq!(command("NOOP  "), ("NOOP", ""));
        assert_eq!(command("mail FROM:<>"), ("mail", "FROM:<>"));
        assert_eq!(bdat("12 last"), Ok(ChunkArgs { size: 12, last: true }));
        assert_eq!(bdat("0"), Ok(ChunkArgs { size: 0, last: false }));
        assert!(bdat("").is_err() && bdat("-1").is_err() && bdat("1 FIRST").is_err());
        assert_eq!(auth("PLAIN AGE="), Ok(("PLAIN", Some("AGE="))));
        assert!(auth("").is_err() && auth("PLAIN a b").is_err());
        assert_eq!(hello("my pc"), Ok("my pc"));
        assert!(hello(" ").is_err() && hello("a\u{7}b").is_err());
        assert!(
            is_host("mail.example.org") && is_host("[192.0.2.1]") && !is_host("my pc") && !is_host("[x]")
        );
    }
}
