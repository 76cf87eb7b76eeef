//! The language of transcripts and scenarios: one line, one thing. `tests/transcripts/README.txt` tells it to people.

use std::path::Path;

/// One line of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// As written, for `UPDATE=1`.
    pub text: String,
    pub number: usize,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Comments and empty lines.
    Nothing,
    /// `have INBOX 3` and its like: words, before the conversation or in it.
    Setup(Vec<String>),
    /// `C: text` sends the line and CR LF; `C! text` sends exactly the text, with `\r \n \0 \xHH \\` replaced.
    Client { conn: usize, bytes: Vec<u8> },
    /// `S: pattern`.
    Server { conn: usize, pattern: String },
    /// `@deliver INBOX file` and its like.
    Directive(Vec<String>),
}

pub fn load(path: &Path) -> Result<Vec<Line>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines().enumerate().map(|(index, text)| line(index + 1, text)).collect()
}

fn line(number: usize, text: &str) -> Result<Line, String> {
    let what = read(text).ok_or_else(|| format!("line {number} is no line of a transcript: {text}"))?;
    Ok(Line { text: text.to_owned(), number, what })
}

fn read(text: &str) -> Option<What> {
    if text.trim().is_empty() || text.starts_with('#') {
        return Some(What::Nothing);
    }
    if let Some(directive) = text.strip_prefix('@') {
        return Some(What::Directive(words(directive)));
    }
    if let Some((conn, mark, rest)) = speech(text, 'C') {
        let bytes = match mark {
            ':' => [rest.as_bytes(), b"\r\n"].concat(),
            _ => unescape(rest)?,
        };
        return Some(What::Client { conn, bytes });
    }
    if let Some((conn, ':', rest)) = speech(text, 'S') {
        return Some(What::Server { conn, pattern: rest.to_owned() });
    }
    const SETUP: [&str; 12] = [
        "have",
        "account",
        "alias",
        "domain",
        "setting",
        "quota",
        "mailbox",
        "service",
        "nopipeline",
        "app",
        "flags",
        "subscribe",
    ];
    let words = words(text);
    SETUP.contains(&words[0].as_str()).then_some(What::Setup(words))
}

/// `C: text`, `C2: text`, `C! text`: the connection, the mark, the text after one space.
fn speech(text: &str, who: char) -> Option<(usize, char, &str)> {
    let rest = text.strip_prefix(who)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let conn = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
    let mark = rest[digits..].chars().next().filter(|mark| matches!(mark, ':' | '!'))?;
    let said = &rest[digits + 1..];
    Some((conn, mark, said.strip_prefix(' ').unwrap_or(said)))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// Names that a transcript gives to what the server said: `${name}` on an S line stands for the text there, the first
/// time, and must be the same later; on a C line it is replaced.
pub type Names = std::collections::BTreeMap<String, String>;

pub fn replace(bytes: &[u8], names: &Names) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(bytes.to_vec()) else { return bytes.to_vec() };
    for (name, value) in names {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    text.into_bytes()
}

/// Whether a line of the server is what the pattern says. `…` stands for any text in a line, `~` at the end for the
/// rest of it.
pub fn matches(pattern: &str, said: &str, names: &mut Names) -> bool {
    if let Some(before) = pattern.strip_suffix('~') {
        let open = format!("{before}…");
        return glob(&open, said, names);
    }
    glob(pattern, said, names)
}

fn glob(pattern: &str, said: &str, names: &mut Names) -> bool {
    let next = ["…", "${"].iter().filter_map(|mark| pattern.find(mark)).min();
    let Some(at) = next else { return pattern == said };
    let Some(said) = said.strip_prefix(&pattern[..at]) else { return false };
    let rest = &pattern[at..];
    if let Some(after) = rest.strip_prefix('…') {
        return ends(said).any(|end| glob(after, &said[end..], names));
    }
    let Some((name, after)) = rest[2..].split_once('}') else { return false };
    if let Some(value) = names.get(name).cloned() {
        return said.strip_prefix(value.as_str()).is_some_and(|said| glob(after, said, names));
    }
    let stop = |c: char| matches!(c, ' ' | ')' | ']' | '>' | '"');
    let word = said.find(stop).unwrap_or(said.len());
    names.insert(name.to_owned(), said[..word].to_owned());
    let fits = glob(after, &said[word..], names);
    if !fits {
        names.remove(name);
    }
    fits
}

fn ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}
