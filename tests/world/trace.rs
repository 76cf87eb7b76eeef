//! What happened, as one number: the same seed must give the same number twice.

/// FNV-1a over everything that happened, and the last lines of it for people.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    /// Kept only when `SIM_TRACE` is set: the lines themselves.
    pub loud: bool,
}

impl Trace {
    pub fn new() -> Trace {
        Trace { hash: 0xCBF2_9CE4_8422_2325, loud: std::env::var_os("SIM_TRACE").is_some() }
    }

    pub fn note(&mut self, what: &str, numbers: &[u64], bytes: &[u8]) {
        self.add(what.as_bytes());
        for number in numbers {
            self.add(&number.to_le_bytes());
        }
        self.add(bytes);
        if self.loud {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            eprintln!("{what} {numbers:?} {text:?}");
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}
