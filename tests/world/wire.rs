//! What an IMAP server says, read strictly: anything that is not the grammar of RFC 9051 section 9 is an error, because
//! a short literal or a reply in the wrong place shows as just that.

/// A value in a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    List(Vec<Item>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// `tag OK [CODE] text`.
    Tagged { tag: String, status: String, code: Option<String> },
    /// `* OK [CODE] text`, NO, BAD, BYE, PREAUTH.
    Status { status: String, code: Option<String> },
    /// `+ text`.
    Continue,
    /// `* 4 EXISTS`, `* LIST (…) …`.
    Data { number: Option<u32>, name: String, items: Vec<Item> },
}

impl Item {
    pub fn number(&self) -> Option<u64> {
        if let Item::Atom(text) = self { text.parse().ok() } else { None }
    }

    pub fn list(&self) -> &[Item] {
        if let Item::List(items) = self { items } else { &[] }
    }

    pub fn text(&self) -> String {
        match self {
            Item::Atom(text) => text.clone(),
            Item::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Item::List(_) => String::new(),
        }
    }
}

/// Takes one whole response from the front; `None` until it is there whole.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Response>, String> {
    let Some(end) = whole(buffer)? else { return Ok(None) };
    let bytes: Vec<u8> = buffer.drain(..end).collect();
    read(&bytes[..end - 2]).map(Some).map_err(|why| {
        let shown = String::from_utf8_lossy(&bytes[..end.min(300)]).into_owned();
        format!("{why}: {shown:?}")
    })
}

/// Where the response ends, its literals included.
fn whole(buffer: &[u8]) -> Result<Option<usize>, String> {
    let mut from = 0;
    loop {
        let Some(at) = buffer[from..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = &buffer[from..from + at];
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            let shown = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
            return Err(format!("a bare CR, LF or NUL in a line: {shown:?}"));
        }
        let next = from + at + 2;
        match literal(line) {
            None => return Ok(Some(next)),
            Some(length) if buffer.len() < next + length => return Ok(None),
            Some(length) => from = next + length,
        }
    }
}

/// `…{12}` at the end of a line announces a literal.
fn literal(line: &[u8]) -> Option<usize> {
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let digits = line[open + 1..].strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn read(line: &[u8]) -> Result<Response, String> {
    let mut parser = Parser { rest: line };
    if line == b"+" || line.starts_with(b"+ ") {
        return Ok(Response::Continue);
    }
    let tag = parser.word()?;
    parser.space()?;
    let word = parser.word()?;
    let status = matches!(word.as_str(), "OK" | "NO" | "BAD" | "BYE" | "PREAUTH");
    if status {
        let code = parser.code()?;
        return Ok(match tag.as_str() {
            "*" => Response::Status { status: word, code },
            _ => Response::Tagged { tag, status: word, code },
        });
    }
    if tag != "*" {
        return Err("a tagged line that is no status".into());
    }
    let number = word.parse().ok();
    let name = match number {
        Some(_) => {
            parser.space()?;
            parser.word()?
        }
        None => word,
    };
    let mut items = Vec::new();
    while !parser.rest.is_empty() {
        // Threads follow each other without a space (RFC 5256 section 5, thread-data).
        if !(name == "THREAD" && !items.is_empty() && parser.rest.starts_with(b"(")) {
            parser.space()?;
        }
        if parser.rest.is_empty() && name == "SEARCH" {
            break;
        }
        items.push(parser.item(0)?);
    }
    Ok(Response::Data { number, name: name.to_ascii_uppercase(), items })
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn space(&mut self) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(b" ").ok_or("no space where one must be")?;
        Ok(())
    }

    fn word(&mut self) -> Result<String, String> {
        let end =
            self.rest.iter().position(|byte| matches!(byte, b' ' | b'(' | b')')).unwrap_or(self.rest.len());
        if end == 0 {
            return Err("no word where one must be".into());
        }
        Ok(self.cut(end))
    }

    fn cut(&mut self, end: usize) -> String {
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        String::from_utf8_lossy(word).into_owned()
    }

    /// ` [CODE …] text`.
    fn code(&mut self) -> Result<Option<String>, String> {
        self.space()?;
        if !self.rest.starts_with(b"[") {
            return Ok(None);
        }
        let end = self.rest.iter().position(|&byte| byte == b']').ok_or("a response code without end")?;
        let code = self.cut(end + 1);
        Ok(Some(code[1..code.len() - 1].to_owned()))
    }

    fn item(&mut self, depth: u32) -> Result<Item, String> {
        if depth > 60 {
            return Err("nested too deep".into());
        }
        match self.rest.first() {
            Some(b'(') => self.list(depth),
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            Some(b'~') if self.rest.get(1) == Some(&b'{') => {
                self.rest = &self.rest[1..];
                self.literal()
            }
            Some(_) => self.atom(),
            None => Err("nothing where a value must be".into()),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Item, String> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(b")") {
                self.rest = rest;
                return Ok(Item::List(items));
            }
            // Bodies of a multipart follow each other without a space (RFC 9051 section 9, body-type-mpart).
            if !items.is_empty() && !self.rest.starts_with(b"(") {
                self.space()?;
            }
            items.push(self.item(depth + 1)?);
        }
    }

    fn quoted(&mut self) -> Result<Item, String> {
        let mut text = Vec::new();
        let mut bytes = self.rest[1..].iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &self.rest[at + 2..];
                    return Ok(Item::Text(text));
                }
                b'\\' => text.extend(bytes.next().map(|(_, byte)| *byte)),
                byte => text.push(*byte),
            }
        }
        Err("a quoted string without end".into())
    }

    fn literal(&mut self) -> Result<Item, String> {
        let end =
            self.rest.windows(3).position(|three| three == b"}\r\n").ok_or("a literal without length")?;
        let digits = std::str::from_utf8(&self.rest[1..end]).map_err(|_| "a literal's length")?;
        let length: usize = digits.parse().map_err(|_| "a literal's length")?;
        let text = self.rest.get(end + 3..end + 3 + length).ok_or("a short literal")?.to_vec();
        self.rest = &self.rest[end + 3 + length..];
        Ok(Item::Text(text))
    }

    /// An atom, with `BODY[HEADER.FIELDS (TO)]<0>` as one.
    fn atom(&mut self) -> Result<Item, String> {
        let mut depth = 0;
        let stop = |byte: &u8| {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                b' ' | b'(' | b')' | b'"' if depth <= 0 => return true,
                _ => {}
            }
            false
        };
        let end = self.rest.iter().position(stop).unwrap_or(self.rest.len());
        if end == 0 {
            return Err("no atom where one must be".into());
        }
        Ok(Item::Atom(self.cut(end)))
    }
}

/// `1:3,7` as numbers; a range may go either way.
pub fn numbers(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        all.extend(first.min(last)..=first.max(last));
    }
    Some(all)
}
