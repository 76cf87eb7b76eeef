//! Realistic mail from a number: the same number always gives the same message. Plain text, HTML alternatives,
//! attachments, threads and non-ASCII, with a mean near 8 KB.

use std::fmt::Write as _;

const WORDS: [&str; 48] = [
    "the",
    "meeting",
    "invoice",
    "tomorrow",
    "please",
    "find",
    "attached",
    "report",
    "garden",
    "school",
    "train",
    "ticket",
    "thanks",
    "regards",
    "project",
    "server",
    "holiday",
    "photos",
    "question",
    "answer",
    "contract",
    "window",
    "delivery",
    "update",
    "weekend",
    "doctor",
    "appointment",
    "budget",
    "review",
    "draft",
    "Zürich",
    "café",
    "größer",
    "naïve",
    "señor",
    "Ελλάδα",
    "привет",
    "music",
    "ticket",
    "number",
    "account",
    "summary",
    "quarter",
    "winter",
    "kitchen",
    "library",
    "address",
    "change",
];
const PEOPLE: [&str; 8] = [
    "Ada Byron",
    "Jürgen Groß",
    "Mei Lin",
    "Sam O'Neil",
    "Zoë Price",
    "Max Muster",
    "Ivan Petrov",
    "Ana Ruiz",
];

/// A small deterministic generator (splitmix64): good enough to shape mail, nothing else.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1))
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Message `number` of the corpus, with CR LF lines.
pub fn message(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let mut mail = header(number, &mut dice);
    match dice.roll(10) {
        0..=3 => plain(&mut mail, &mut dice),
        4..=7 => alternative(&mut mail, &mut dice),
        _ => attachment(&mut mail, &mut dice),
    }
    mail.into_bytes()
}

/// A message of almost exactly `size` bytes: 10 KiB deliveries and the like.
pub fn sized(number: u64, size: usize) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let mut mail = header(number, &mut dice);
    mail.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    while mail.len() < size - 80 {
        paragraph(&mut mail, &mut dice, 12);
    }
    mail.into_bytes()
}

fn header(number: u64, dice: &mut Dice) -> String {
    let mut mail = String::with_capacity(16 * 1024);
    let person = PEOPLE[dice.roll(8) as usize];
    let from = if person.is_ascii() {
        format!("\"{person}\" <p{}@example.org>", dice.roll(200))
    } else {
        format!(
            "=?utf-8?B?{}?= <p{}@example.org>",
            data_encoding::BASE64.encode(person.as_bytes()),
            dice.roll(200)
        )
    };
    let thread = number / 4;
    let subject = WORDS[(thread % 30) as usize];
    let reply = !number.is_multiple_of(4);
    let (day, hour, minute) = (1 + number % 28, number % 24, dice.roll(60));
    let _ = write!(
        mail,
        "Received: from mail.example.org (mail.example.org [192.0.2.7])\r\n\tby mx.example.net with ESMTPS id {number:x};\r\n\t\
         Mon, {day:02} Nov 2026 {hour:02}:{minute:02}:00 +0100\r\nFrom: {from}\r\nTo: me@box.test\r\n\
         Subject: {}{subject} {thread}\r\nDate: Mon, {day:02} Nov 2026 {hour:02}:{minute:02}:00 +0100\r\n\
         Message-ID: <{number}.corpus@example.org>\r\n",
        if reply { "Re: " } else { "" },
    );
    if reply {
        let _ = write!(
            mail,
            "In-Reply-To: <{}.corpus@example.org>\r\nReferences: <{}.corpus@example.org>\r\n",
            number - 1,
            thread * 4
        );
    }
    if dice.roll(3) == 0 {
        let _ = write!(mail, "List-Id: <list{}.example.org>\r\nX-Mailer: Corpus 1.0\r\n", dice.roll(9));
    }
    mail
}

fn paragraph(mail: &mut String, dice: &mut Dice, words: u64) {
    for _ in 0..words {
        mail.push_str(WORDS[dice.roll(48) as usize]);
        mail.push(' ');
    }
    mail.push_str("\r\n");
}

fn text(mail: &mut String, dice: &mut Dice) {
    for _ in 0..5 + dice.roll(60) {
        paragraph(mail, dice, 9);
    }
}

fn plain(mail: &mut String, dice: &mut Dice) {
    mail.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    text(mail, dice);
}

fn alternative(mail: &mut String, dice: &mut Dice) {
    mail.push_str(
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"alt-1\"\r\n\r\n--alt-1\r\n",
    );
    mail.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    text(mail, dice);
    mail.push_str("--alt-1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n");
    for _ in 0..5 + dice.roll(40) {
        mail.push_str("<p style=\"font-family: sans-serif; color: #333333\">");
        paragraph(mail, dice, 9);
        mail.push_str("</p>\r\n");
    }
    mail.push_str("</body></html>\r\n--alt-1--\r\n");
}

fn attachment(mail: &mut String, dice: &mut Dice) {
    mail.push_str(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"mix-1\"\r\n\r\n--mix-1\r\n",
    );
    mail.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    text(mail, dice);
    mail.push_str(
        "--mix-1\r\nContent-Type: image/jpeg; name=\"photo.jpg\"\r\nContent-Transfer-Encoding: base64\r\n",
    );
    mail.push_str("Content-Disposition: attachment; filename=\"photo.jpg\"\r\n\r\n");
    let lines = 60 + dice.roll(180);
    for _ in 0..lines {
        let bytes: Vec<u8> = (0..57).map(|_| dice.roll(256) as u8).collect();
        mail.push_str(&data_encoding::BASE64.encode(&bytes));
        mail.push_str("\r\n");
    }
    mail.push_str("--mix-1--\r\n");
}
