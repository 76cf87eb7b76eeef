//! DEFLATE (RFC 1951) between a conversation and TLS or the socket, asked for with `Want::Compress`. The only file that
//! sees flate2.
//!
//! Out: whatever a turn has to say ends in a full flush, which forgets all that came before. So one `Deflater` serves
//! every connection of the engine: an idle one keeps no state for sending, and no secret of one response shows in the
//! length of another.
//!
//! In: the peer may refer back to 32 KiB of what it said, so that each connection keeps a window. Bytes are inflated as
//! they come, whichever flush ends them, and only as far as the conversation has room to take them: what a few bytes
//! claim to be is never in memory as a whole. A peer whose bytes become too many is cut off.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::base::limits::{
    DEFLATE_LEVEL, INFLATE_FREE_BYTES, INFLATE_RATIO_MAX, INPUT_BYTES_MAX, WIRE_BYTES_HIGH,
};
use crate::base::{Input, Output};

/// Inflated at once, on the stack.
const PIECE_BYTES: usize = 8 * 1024;

/// The compressed side of one connection.
pub(super) struct Layer {
    /// `None` once the peer has ended its stream, or spoilt it, or is not listened to any more.
    inflater: Option<Decompress>,
    /// What came from the peer and is not inflated yet.
    pub arriving: Input,
    /// What goes to the peer.
    pub leaving: Output,
    /// The inflater may hold more than it could give away.
    more: bool,
    /// It is among those that the engine counts.
    counted: bool,
}

impl Layer {
    /// From here on both ways are compressed. What was written before goes out as it is; what came behind the command
    /// is the beginning of the peer's stream (RFC 4978 section 3: it must compress whatever follows).
    pub fn begin(input: &mut Input, output: &mut Output) -> Layer {
        let mut leaving = Output::new(WIRE_BYTES_HIGH);
        leaving.push(output.peek());
        output.consume(output.len());
        let arriving = std::mem::take(input);
        let inflater = Some(Decompress::new(false));
        Layer { inflater, arriving, leaving, more: false, counted: true }
    }

    /// Bytes that lie here, both ways, the window excepted.
    pub fn buffers(&self) -> usize {
        self.arriving.len() + self.leaving.len()
    }

    /// Much lies here compressed: the socket has delivered faster than the conversation reads.
    pub fn is_stuffed(&self) -> bool {
        self.arriving.len() >= INPUT_BYTES_MAX
    }

    /// There is more to inflate than the conversation had room for.
    pub fn has_more(&self) -> bool {
        self.inflater.is_some() && (self.more || !self.arriving.is_empty())
    }

    /// Nothing more is read, and the window is given back. True the first time.
    pub fn stop(&mut self) -> bool {
        self.arriving.clear();
        self.inflater = None;
        std::mem::take(&mut self.counted)
    }

    /// Inflates as much as the conversation may hold. True if bytes, or the end of them, came out.
    pub fn inflate_into(&mut self, input: &mut Input) -> bool {
        let (unread, eof) = (input.len(), input.eof());
        if let Some(inflater) = &mut self.inflater {
            let mut state = Inflated::More;
            while state == Inflated::More && input.len() < INPUT_BYTES_MAX {
                state = inflate_piece(inflater, &mut self.arriving, input);
            }
            self.more = state == Inflated::More;
            match state {
                Inflated::Ended => self.inflater = None,
                Inflated::Spoilt => {
                    self.inflater = None;
                    input.spoil();
                }
                Inflated::More | Inflated::Dry => {}
            }
        }
        let over = self.inflater.is_none() || (self.arriving.eof() && !self.has_more());
        if over {
            self.arriving.clear();
            input.hang_up();
        }
        input.len() != unread || input.eof() != eof
    }

    /// Deflates what the conversation wrote, as much as may wait here; `all` is for its end.
    pub fn deflate_from(&mut self, output: &mut Output, all: bool, deflater: &mut Deflater) {
        while !output.is_empty() && (all || !self.leaving.full()) {
            let count = output.len().min(WIRE_BYTES_HIGH);
            deflater.deflate(&output.peek()[..count], &mut self.leaving);
            output.consume(count);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inflated {
    /// There may be more.
    More,
    /// All that has come is inflated.
    Dry,
    /// The peer has ended its stream.
    Ended,
    /// These bytes are no DEFLATE, or more than is reasonable.
    Spoilt,
}

fn inflate_piece(inflater: &mut Decompress, arriving: &mut Input, input: &mut Input) -> Inflated {
    let mut piece = [0; PIECE_BYTES];
    let (in_before, out_before) = (inflater.total_in(), inflater.total_out());
    let status = inflater.decompress(arriving.peek(), &mut piece, FlushDecompress::Sync);
    let taken = (inflater.total_in() - in_before) as usize;
    let given = (inflater.total_out() - out_before) as usize;
    arriving.consume(taken);
    input.append(&piece[..given]);
    if inflater.total_out() > INFLATE_FREE_BYTES + INFLATE_RATIO_MAX * inflater.total_in() {
        log::info!("a compressed stream claims to be {} bytes and was cut off", inflater.total_out());
        return Inflated::Spoilt;
    }
    match status {
        Ok(Status::StreamEnd) => Inflated::Ended,
        Ok(_) if given == PIECE_BYTES => Inflated::More,
        Ok(_) if arriving.is_empty() => Inflated::Dry,
        Ok(_) if taken > 0 || given > 0 => Inflated::More,
        Ok(_) | Err(_) => Inflated::Spoilt,
    }
}

/// Deflates for all connections. Its tables, some 300 KB, are made when the first one compresses.
#[derive(Default)]
pub(super) struct Deflater(Option<Compress>);

impl Deflater {
    /// Appends `plain`, deflated and fully flushed, so that the peer can read all of it and nothing later refers to it.
    fn deflate(&mut self, plain: &[u8], out: &mut Output) {
        let deflate = self.0.get_or_insert_with(|| Compress::new(Compression::new(DEFLATE_LEVEL), false));
        deflate.reset();
        loop {
            let rest = &plain[deflate.total_in() as usize..];
            let (mark, before) = (out.mark(), deflate.total_out());
            let room = out.extend(rest.len() / 2 + FLUSH_ROOM);
            let length = room.len();
            let status = deflate.compress(rest, room, FlushCompress::Full);
            let given = (deflate.total_out() - before) as usize;
            out.truncate(mark + given);
            let through = deflate.total_in() as usize == plain.len() && given < length;
            if through || status.is_err() {
                return;
            }
        }
    }
}

/// More than the marks of a flush take, so that one is never cut in two.
const FLUSH_ROOM: usize = 256;
