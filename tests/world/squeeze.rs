//! The client's side of COMPRESS=DEFLATE (RFC 4978), by flate2's streaming API: one window each way for as long as the
//! connection lives.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

pub struct Squeeze {
    deflate: Compress,
    inflate: Decompress,
    /// How a client ends what it says: phones with a partial flush, which does not end at a whole byte.
    flush: FlushCompress,
}

impl Squeeze {
    pub fn new(flush: FlushCompress) -> Squeeze {
        let (deflate, inflate) = (Compress::new(Compression::new(6), false), Decompress::new(false));
        Squeeze { deflate, inflate, flush }
    }

    /// What goes to the server.
    pub fn pack(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(plain.len() + 1024);
        let end = self.deflate.total_in() + plain.len() as u64;
        loop {
            let rest = &plain[plain.len() - (end - self.deflate.total_in()) as usize..];
            packed.reserve(1024);
            self.deflate.compress_vec(rest, &mut packed, self.flush).expect("deflate");
            if self.deflate.total_in() == end && packed.len() < packed.capacity() {
                return packed;
            }
        }
    }

    /// What the server said.
    pub fn unpack(&mut self, packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let mut rest = packed;
        loop {
            let (before, length) = (self.inflate.total_in(), plain.len());
            plain.reserve(64 * 1024);
            let status = self
                .inflate
                .decompress_vec(rest, &mut plain, FlushDecompress::Sync)
                .map_err(|error| format!("the server's DEFLATE is none: {error}"))?;
            rest = &rest[(self.inflate.total_in() - before) as usize..];
            if status == Status::StreamEnd {
                return Err("the server ended its stream".into());
            }
            if rest.is_empty() && plain.len() == length {
                return Ok(plain);
            }
        }
    }
}
