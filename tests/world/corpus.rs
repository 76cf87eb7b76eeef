//! Messages for tests, the same on every machine.

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
    let mut line = 0_u64;
    while text.len() < bytes {
        text.extend(
            format!("{token} line {line}: {:x}\r\n", line.wrapping_mul(0x9E37_79B9_7F4A_7C15)).bytes(),
        );
        line += 1;
    }
    text
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
    // The header of what was sent is at most this long; a little more is made and cut to what came.
    let sent = token(&name, text.len() + 400);
    let sent = below_header(&sent).unwrap_or_default();
    text.len() <= sent.len() && sent.starts_with(text) && (text.is_empty() || text.ends_with(b"\r\n"))
}

fn below_header(message: &[u8]) -> Option<&[u8]> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &message[at + 4..])
}
