//! Mail that the server itself writes. The only file that knows mail-builder.

use mail_builder::MessageBuilder;
use mail_builder::headers::date::Date;

use crate::base::Wall;

/// A message of the server to one of its people.
pub struct Note<'a> {
    pub from: (&'a str, &'a str),
    pub to: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
    /// Without brackets; must be unique.
    pub message_id: &'a str,
    pub at: Wall,
}

pub fn note(note: &Note<'_>) -> Vec<u8> {
    let built = MessageBuilder::new()
        .from(note.from)
        .to(note.to)
        .subject(note.subject)
        .date(Date::new(note.at.unix()))
        .message_id(note.message_id)
        .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
        .text_body(note.text);
    let mut bytes = Vec::with_capacity(note.text.len() + 512);
    // Writing into memory does not fail; if it did, half a message would still be a message.
    if built.write_to(&mut bytes).is_err() {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The first message in a new mailbox.
pub fn welcome(address: &str, hostname: &str, message_id: &str, at: Wall) -> Vec<u8> {
    let text = format!(
        "Welcome to your mailbox, {address}.\r\n\r\n\
         It lives on {hostname}, in one file that `pillarbox backup` copies while the server runs.\r\n\
         Every mail client that speaks IMAP can read it; send yourself a message to see it arrive.\r\n\r\n\
         `pillarbox --help` lists what else you can do: add accounts, addresses and app passwords,\r\n\
         look at the settings, make a backup.\r\n"
    );
    let (subject, from) = ("Welcome to pillarbox", format!("postmaster@{}", domain(address)));
    note(&Note { from: ("pillarbox", &from), to: address, subject, text: &text, message_id, at })
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_message_is_well_formed() {
        let message = welcome("me@box.test", "localhost", "1@box.test", Wall::from_unix(1_795_468_194));
        let text = String::from_utf8_lossy(&message).into_owned();
        for line in [
            "Date: Mon, 23 Nov 2026 21:09:54 +0000\r\n",
            "Message-ID: <1@box.test>\r\n",
            "To: <me@box.test>\r\n",
            "postmaster@box.test",
            "Auto-Submitted: auto-generated\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.replace("\r\n", "").bytes().all(|byte| byte != b'\r' && byte != b'\n'));
    }
}
