//! Floor 1: DNS as a stub resolver sees it. Names, packets and the cache are pure; the engine owns the sockets.

pub mod cache;
pub mod packet;
pub mod stub;

/// One look-up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// Without the trailing dot.
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    A,
    Aaaa,
    Mx,
    Txt,
    Ptr,
    Cname,
    Tlsa,
}

/// What came of a look-up. `secure` is the AD bit of a resolver that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Found {
        records: Vec<Record>,
        secure: bool,
    },
    /// The name exists, but has no such record.
    Empty,
    /// NXDOMAIN.
    NoName,
    /// SERVFAIL, timeout, no resolver: try again later.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    A(std::net::Ipv4Addr),
    Aaaa(std::net::Ipv6Addr),
    Mx {
        preference: u16,
        host: String,
    },
    /// The character-strings of one TXT record, joined.
    Txt(Vec<u8>),
    Name(String),
    Tlsa {
        usage: u8,
        selector: u8,
        matching: u8,
        data: Vec<u8>,
    },
}
