//! The two buffers of a conversation. Both give their memory back when they run empty, so that an idle connection
//! costs a few words.

/// Decrypted bytes from the peer that the session has not consumed yet.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    head: usize,
    eof: bool,
    spoilt: bool,
}

impl Input {
    /// All that is at hand.
    pub fn peek(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The peer has hung up or sent its last byte; what is at hand may still be read.
    pub fn eof(&self) -> bool {
        self.eof
    }

    /// What came from the peer cannot be understood any more, though it has not hung up: say so, if it is polite to.
    /// `eof` holds too.
    pub fn spoilt(&self) -> bool {
        self.spoilt
    }

    /// Drops the first `count` bytes, which the session has dealt with.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consume {count} of {}", self.len());
        self.head += count;
        if self.head == self.bytes.len() {
            self.bytes = Vec::new();
            self.head = 0;
        }
    }

    /// Drops everything at hand: what a peer injected behind STARTTLS (RFC 3207 section 6).
    pub fn clear(&mut self) {
        self.consume(self.len());
    }

    pub fn append(&mut self, bytes: &[u8]) {
        if self.head > 0 && self.head >= self.len() {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub fn hang_up(&mut self) {
        self.eof = true;
    }

    pub fn spoil(&mut self) {
        (self.eof, self.spoilt) = (true, true);
    }
}

/// Bytes to the peer that have not left yet.
pub struct Output {
    bytes: Vec<u8>,
    head: usize,
    high_water: usize,
}

impl Output {
    /// `high_water` is where `full` begins; a reply may go past it, a loop over rows must not.
    pub fn new(high_water: usize) -> Output {
        Output { bytes: Vec::new(), head: 0, high_water }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn str(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    /// Room for `count` bytes at the end, to be written in place; what stays unused is given back by `truncate`.
    pub fn extend(&mut self, count: usize) -> &mut [u8] {
        let mark = self.bytes.len();
        self.bytes.resize(mark + count, 0);
        &mut self.bytes[mark..]
    }

    /// At or above the high-water mark: write no more, wait for `Room`.
    pub fn full(&self) -> bool {
        self.len() >= self.high_water
    }

    /// How many bytes may still be written before `full`.
    pub fn room(&self) -> usize {
        self.high_water.saturating_sub(self.len())
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn peek(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consume {count} of {}", self.len());
        self.head += count;
        if self.head == self.bytes.len() {
            self.bytes = Vec::new();
            self.head = 0;
        }
    }

    /// Where the end is now, for `truncate`.
    pub fn mark(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back what was written since `mark`: the output of a step that panicked is never sent.
    pub fn truncate(&mut self, mark: usize) {
        self.bytes.truncate(mark);
    }
}

impl std::fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_keeps_what_was_not_consumed() {
        let mut input = Input::default();
        input.append(b"abcdef");
        input.consume(4);
        input.append(b"gh");
        assert_eq!(input.peek(), b"efgh");
        input.clear();
        assert!(input.is_empty() && !input.eof());
    }
}
