//! COMPRESS (RFC 4978). The layer itself is the engine's. Refused as RFC 4978 section 3 says: an unknown algorithm with BAD,
//! a second time with NO [COMPRESSIONACTIVE].

use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply;
use crate::imap::server::{Running, Then};
use crate::session::Compression;

use super::once;

/// `compress = "COMPRESS" SP algorithm`
pub fn compress(p: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    p.space()?;
    if !p.atom()?.eq_ignore_ascii_case("DEFLATE") {
        return Err(Bad("DEFLATE is the only algorithm that is known here"));
    }
    Ok(once(|core, cx| match cx.compression {
        Compression::Active => Ok(reply::no("COMPRESSIONACTIVE", "DEFLATE is active already, by COMPRESS")),
        Compression::Crowded => {
            Ok(reply::no("LIMIT", "Too many connections are compressed already; this one works without"))
        }
        Compression::Possible => {
            core.then = Then::Compress;
            Ok(reply::ok("DEFLATE begins"))
        }
    }))
}
