//! Commands that need no mailbox: CAPABILITY, NOOP, LOGOUT (RFC 9051 section 6.1), ID (RFC 2971), ENABLE (RFC 5161) and
//! NAMESPACE (RFC 2342).

use crate::imap::capability;
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply, Status};
use crate::imap::server::{Running, Then};

use super::once;

/// `capability = "CAPABILITY"`
pub fn capability(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|core, cx| {
        let list = capability::list(core, cx);
        cx.output.str(&format!("* {list}\r\n"));
        Ok(reply::ok("That is all"))
    }))
}

/// NOOP and CHECK: what has changed is told at the end of every command, so there is nothing else to do.
pub fn noop(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|_, _| Ok(reply::ok("Done"))))
}

/// BYE, the tagged OK, and the connection is closed at once: mbsync waits for that.
pub fn logout(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|core, cx| {
        core.selected = None;
        core.then = Then::Close;
        Reply::new(Status::Bye, "", "Goodbye").write(cx.output, "*", None);
        Ok(reply::ok("Logged out"))
    }))
}

/// `id = "ID" SP ("NIL" / "(" [string SP nstring *(SP string SP nstring)] ")")`. What the client says of itself is
/// read and not kept.
pub fn id(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    const PAIRS_MAX: usize = 30;
    p.space()?;
    if !p.eat_word("NIL") {
        let pairs = p.list(|p| {
            p.astring()?;
            p.space()?;
            p.nstring()
        })?;
        if pairs.len() > PAIRS_MAX {
            return Err(Bad("ID has at most 30 fields"));
        }
    }
    Ok(once(|_, cx| {
        cx.output
            .str(&format!("* ID (\"name\" \"pillarbox\" \"version\" \"{}\")\r\n", env!("CARGO_PKG_VERSION")));
        Ok(reply::ok("Pleased to meet you"))
    }))
}

/// `enable = "ENABLE" 1*(SP capability)`. What we do not know is ignored (RFC 5161 section 3.1). QRESYNC brings CONDSTORE
/// along (RFC 7162 section 3.2.3). There is no check that no mailbox is selected, which the RFC leaves to us.
pub fn enable(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    let mut words = Vec::new();
    p.space()?;
    loop {
        let word = p.atom()?.to_ascii_uppercase();
        if !words.contains(&word) {
            words.push(word);
        }
        if !p.eat(b' ') {
            break;
        }
    }
    Ok(once(move |core, cx| {
        let mut enabled = String::from("* ENABLED");
        for word in &words {
            match word.as_str() {
                "IMAP4REV2" => core.rev2 = true,
                // Never advertised as ONLY; a client that asks for it means the same (RFC 9755 section 6).
                "UTF8=ACCEPT" | "UTF8=ONLY" if core.utf8 => continue,
                "UTF8=ACCEPT" | "UTF8=ONLY" => core.utf8 = true,
                "CONDSTORE" => core.enable_condstore(cx),
                "QRESYNC" => {
                    core.qresync = true;
                    core.enable_condstore(cx);
                }
                _ => continue,
            }
            enabled.push(' ');
            enabled.push_str(match word.as_str() {
                "IMAP4REV2" => "IMAP4rev2",
                "UTF8=ONLY" => "UTF8=ACCEPT",
                word => word,
            });
        }
        cx.output.str(&enabled);
        cx.output.str("\r\n");
        Ok(reply::ok("Done"))
    }))
}

/// One personal namespace without prefix.
pub fn namespace(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(once(|_, cx| {
        cx.output.str("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
        Ok(reply::ok("That is all"))
    }))
}
