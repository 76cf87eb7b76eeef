//! What the server counts about itself, for `status`.

/// Counters since the process started. Sessions and the engine add; nobody decides by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    pub connections: u64,
    pub messages_received: u64,
    pub messages_submitted: u64,
    pub messages_appended: u64,
    pub recipients_refused: u64,
    pub messages_refused: u64,
    pub logins: u64,
    pub logins_denied: u64,
    pub panics: u64,
}
