//! Messages for tests, the same on every machine.

use std::sync::OnceLock;

use super::chance::Chance;

/// The n-th plain message that `have` makes: 7-bit, small, each with its own subject, date and Message-ID.
pub fn plain(n: u32) -> Vec<u8> {
    let (day, minute) = (1 + n % 28, n % 60);
    format!(
        "From: Sender {n} <sender{n}@example.org>\r\n\
         To: Alice <alice@box.test>\r\n\
         Subject: Message {n}\r\n\
         Date: {day} Nov 2026 10:{minute:02}:00 +0000\r\n\
         Message-ID: <{n}@example.org>\r\n\
         \r\n\
         This is message {n}.\r\n"
    )
    .into_bytes()
}

/// A message that carries a token by which it is known again, padded to about `bytes`.
pub fn token(token: &str, bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Sender <sender@example.org>\r\nTo: <alice@box.test>\r\nSubject: {token}\r\nX-Token: {token};\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{token}@example.org>\r\n\r\n"
    )
    .into_bytes();
    let mut block = 0;
    while text.len() < bytes {
        let length = (bytes - text.len()).min(BLOCK);
        text.extend(format!("{token} block {block}\r\n").bytes());
        text.extend(filler(block, length));
        if length < BLOCK {
            break;
        }
        block += 1;
    }
    text
}

/// Every so many bytes the body says where it is.
const BLOCK: usize = 4_096;
const LINE: usize = 72;

/// Whole lines that zstd does not shrink much, other ones for each block, at most `length` bytes.
fn filler(block: usize, length: usize) -> &'static [u8] {
    static POOL: OnceLock<Vec<u8>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let mut chance = Chance::new(72);
        let mut line = || data_encoding::BASE64.encode(&chance.bytes(LINE / 4 * 3 - 3)) + "xx\r\n";
        (0..1_000).flat_map(|_| line().into_bytes()).collect()
    });
    let lines = length / LINE;
    let first = block * 57 % (pool.len() / LINE - BLOCK / LINE - 1);
    &pool[first * LINE..(first + lines) * LINE]
}

/// The token of a message, if it has one.
pub fn token_of(message: &[u8]) -> Option<String> {
    let at = message.windows(9).position(|window| window == b"X-Token: ")? + 9;
    let end = at + message[at..].iter().position(|&byte| byte == b';')?;
    Some(String::from_utf8_lossy(&message[at..end]).into_owned())
}

/// Whether all lines below the header are those that were sent, in order; headers may have been added or completed.
pub fn is_intact(message: &[u8]) -> bool {
    let Some(name) = token_of(message) else { return true };
    let Some(text) = below_header(message) else { return false };
    // What was sent is this, up to where it ended: the last block may be shorter, at the end of a line.
    let sent = token(&name, text.len() + 2 * BLOCK);
    let sent = below_header(&sent).unwrap_or_default();
    sent.starts_with(text) && (text.is_empty() || text.ends_with(b"\r\n"))
}

fn below_header(message: &[u8]) -> Option<&[u8]> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &message[at + 4..])
}
