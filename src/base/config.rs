//! Settings as the running server sees them: read from the file once, immutable, replaced whole on reload.

use std::net::SocketAddr;

/// What a running server needs to know at every step. Accounts, domains and addresses are not here: they are rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name we greet with and write into Received.
    pub hostname: String,
    /// Resolvers to ask, from the setting `dns-servers`.
    pub dns_servers: Vec<SocketAddr>,
    /// Largest message taken, in bytes.
    pub message_bytes_max: u64,
    /// Characters that split `user+tag`, from `tag-separators`.
    pub tag_separators: String,
    /// Whether IMAP and submission may log in without TLS. Only ever true on loopback in tests.
    pub plaintext_login: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hostname: "localhost".into(),
            dns_servers: Vec::new(),
            message_bytes_max: crate::base::limits::MESSAGE_BYTES_MAX,
            tag_separators: "+".into(),
            plaintext_login: false,
        }
    }
}
