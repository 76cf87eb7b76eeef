//! One FETCH response (RFC 9051 section 7.5.2), written piece by piece as the client reads it.

use crate::base::Output;
use crate::imap::emit;
use crate::imap::fetch_args::{BytesItem, Form, Item};
use crate::imap::names::Names;
use crate::imap::object;
use crate::imap::server::Pause;
use crate::mime::parts::PartMap;
use crate::mime::structure;
use crate::session::Cx;
use crate::store::{Change, Flags, Reader, Row, StoreError};

use super::piece::{AtHand, Piece, Step};
use super::section::{self, Found};

/// What each response holds.
pub struct Wanted {
    items: Vec<Item>,
    /// FLAGS come with MODSEQ though only FLAGS were asked for (RFC 7162 section 3.1).
    modseq_with_flags: bool,
    /// What this client takes besides ASCII.
    names: Names,
    /// The last flags written, in wire form: neighbours mostly have the same.
    flags: Option<(Flags, Box<[u8]>)>,
}

/// One message that is being written.
pub struct Message {
    seq: u32,
    flags: Flags,
    modseq: crate::base::ModSeq,
    /// This command has marked it `\Seen`, and says so.
    marked: bool,
    state: State,
    map: Option<PartMap>,
    piece: Option<Piece>,
    /// A slice of the body, and where it begins.
    read: Option<(u64, Vec<u8>)>,
    pub unknown_encoding: bool,
    pub lost: bool,
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing is written; items from `item` on are to come.
    Unopened {
        item: usize,
    },
    Open {
        item: usize,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    All,
    Room,
    /// These bytes of its body are needed.
    Read {
        at: u64,
        length: u32,
    },
}

impl Wanted {
    pub fn new(items: Vec<Item>, condstore: bool, names: Names) -> Wanted {
        let modseq_with_flags = condstore && !items.contains(&Item::ModSeq);
        Wanted { items, modseq_with_flags, names, flags: None }
    }

    /// A whole response of nothing but UID, FLAGS and MODSEQ.
    pub fn write_flags_only(
        &mut self,
        seq: u32,
        row: Change,
        out: &mut Output,
        store: &Reader,
    ) -> Result<(), StoreError> {
        begin(out, seq);
        for at in 0..self.items.len() {
            if at > 0 {
                out.push(b" ");
            }
            match self.items[at] {
                Item::Uid => uid(out, row.uid.0),
                Item::Flags => self.write_flags(row.flags, row.modseq, out, store)?,
                _ => modseq(out, row.modseq.0),
            }
        }
        emit::fetch_end(out);
        Ok(())
    }

    /// `FLAGS (…)`, and MODSEQ where this client wants it along.
    fn write_flags(
        &mut self,
        flags: Flags,
        at: crate::base::ModSeq,
        out: &mut Output,
        store: &Reader,
    ) -> Result<(), StoreError> {
        match &self.flags {
            Some((known, text)) if *known == flags => out.push(text),
            _ => {
                let mut text = Output::new(usize::MAX);
                text.push(b"FLAGS ");
                emit::flags(&mut text, store, flags)?;
                out.push(text.peek());
                self.flags = Some((flags, text.peek().into()));
            }
        }
        if self.modseq_with_flags {
            out.push(b" ");
            modseq(out, at.0);
        }
        Ok(())
    }
}

fn begin(out: &mut Output, seq: u32) {
    out.push(b"* ");
    emit::number(out, u64::from(seq));
    out.push(b" FETCH (");
}

fn uid(out: &mut Output, uid: u32) {
    out.push(b"UID ");
    emit::number(out, u64::from(uid));
}

fn modseq(out: &mut Output, modseq: u64) {
    out.push(b"MODSEQ (");
    emit::number(out, modseq);
    out.push(b")");
}

impl Message {
    /// `marked` is how the message stands after this command has marked it.
    pub fn new(seq: u32, row: &Row, marked: Option<Change>) -> Message {
        Message {
            seq,
            flags: marked.map_or(row.flags, |now| now.flags),
            modseq: marked.map_or(row.modseq, |now| now.modseq),
            marked: marked.is_some(),
            state: State::Unopened { item: 0 },
            map: None,
            piece: None,
            read: None,
            unknown_encoding: false,
            lost: false,
        }
    }

    /// Nothing but the bytes of a literal may be sent now.
    pub fn in_literal(&self) -> bool {
        self.piece.as_ref().is_some_and(Piece::begun)
    }

    pub fn asked(&mut self, at: u64) {
        self.read = Some((at, Vec::new()));
    }

    pub fn take_bytes(&mut self, bytes: Vec<u8>) {
        if let Some((_, read)) = &mut self.read {
            *read = bytes;
        }
    }

    /// Goes on where it stopped.
    pub fn write(
        &mut self,
        row: &Row,
        arena: &[u8],
        wanted: &mut Wanted,
        cx: &mut Cx<'_>,
    ) -> Result<Written, Pause> {
        loop {
            if let Some(written) = self.write_piece(row, arena, cx.output)? {
                return Ok(written);
            }
            let item = match self.state {
                State::Unopened { item } | State::Open { item } => item,
            };
            if item == wanted.items.len() {
                self.close(row, wanted, cx)?;
                return Ok(Written::All);
            }
            self.item(item, row, arena, wanted, cx)?;
            self.state = match self.state {
                State::Unopened { .. } => State::Unopened { item: item + 1 },
                State::Open { .. } => State::Open { item: item + 1 },
            };
        }
    }

    /// The space before an item, or the beginning of the response.
    fn before_item(&mut self, out: &mut Output) {
        match self.state {
            State::Unopened { item } => {
                begin(out, self.seq);
                self.state = State::Open { item };
            }
            State::Open { .. } => out.push(b" "),
        }
    }

    fn item(
        &mut self,
        at: usize,
        row: &Row,
        arena: &[u8],
        wanted: &mut Wanted,
        cx: &mut Cx<'_>,
    ) -> Result<(), StoreError> {
        if let Item::Bytes(item) = &wanted.items[at] {
            self.begin_bytes(item, row, arena, cx.output);
            return Ok(());
        }
        self.before_item(cx.output);
        let out = &mut *cx.output;
        match &wanted.items[at] {
            Item::Uid => uid(out, row.uid.0),
            Item::Flags => wanted.write_flags(self.flags, self.modseq, out, cx.store)?,
            Item::ModSeq => modseq(out, self.modseq.0),
            Item::Size => {
                out.push(b"RFC822.SIZE ");
                emit::number(out, row.size);
            }
            Item::InternalDate => {
                out.push(b"INTERNALDATE ");
                emit::date_time(out, row.received);
            }
            Item::EmailId => out.str(&format!("EMAILID ({})", object::email(row.body))),
            Item::ThreadId => out.str(&format!("THREADID ({})", object::thread(row.thread))),
            Item::SaveDate => {
                out.push(b"SAVEDATE ");
                emit::date_time(out, row.saved);
            }
            Item::Envelope => {
                out.push(b"ENVELOPE ");
                emit::stored(out, part_of(arena, &row.envelope), wanted.names);
            }
            Item::BodyStructure => {
                out.push(b"BODYSTRUCTURE ");
                emit::stored(out, part_of(arena, &row.structure), wanted.names);
            }
            Item::Body => {
                out.push(b"BODY ");
                let body = structure::basic(part_of(arena, &row.structure));
                emit::stored(out, &body, wanted.names);
            }
            Item::Preview { .. } => {
                out.push(b"PREVIEW ");
                emit::nstring(out, row.preview.as_ref().map(|preview| part_of(arena, preview)));
            }
            Item::Bytes(_) => {}
        }
        Ok(())
    }

    /// Finds the bytes and begins to write them. What cannot be decoded is left out of the response.
    fn begin_bytes(&mut self, item: &BytesItem, row: &Row, arena: &[u8], out: &mut Output) {
        let found = if section::is_whole(item) {
            section::whole(row.size)
        } else {
            let map = self.map.get_or_insert_with(|| PartMap::decode(part_of(arena, &row.parts)));
            section::find(item, map, row.size)
        };
        match found {
            Found::Here(extent) => {
                self.before_item(out);
                self.piece = Some(Piece::new(item.label.clone(), item.form, extent, item.partial));
            }
            Found::Nowhere => {
                self.before_item(out);
                nothing(&item.label, item.form, out);
            }
            Found::UnknownEncoding => self.unknown_encoding = true,
        }
    }

    /// Writes on at the literal, if one is being written. `None`: it is through.
    fn write_piece(&mut self, row: &Row, arena: &[u8], out: &mut Output) -> Result<Option<Written>, Pause> {
        let Some(piece) = &mut self.piece else { return Ok(None) };
        let start = part_of(arena, &row.first_slice);
        let read = self.read.as_ref().map(|(at, bytes)| (*at, &bytes[..]));
        match piece.step(AtHand { start, read }, out) {
            Step::Done => {}
            Step::Room => return Ok(Some(Written::Room)),
            Step::Read { at, length } => return Ok(Some(Written::Read { at, length })),
            // A literal is never cut short: the client must not take what it has for the message.
            Step::Lost if piece.begun() => return Err(Pause::Gone),
            Step::Lost => {
                self.lost = true;
                nothing(piece.label(), piece.form(), out);
            }
        }
        self.piece = None;
        self.read = None;
        Ok(None)
    }

    /// Flags that this command has changed are told in the same response (RFC 9051 section 6.4.5), to clients that know
    /// CONDSTORE with the UID, as all changes are (RFC 7162 section 3.2.4).
    fn close(&mut self, row: &Row, wanted: &mut Wanted, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.marked && !wanted.items.contains(&Item::Flags) {
            if wanted.modseq_with_flags && !wanted.items.contains(&Item::Uid) {
                self.before_item(cx.output);
                uid(cx.output, row.uid.0);
            }
            self.before_item(cx.output);
            wanted.write_flags(self.flags, self.modseq, cx.output, cx.store)?;
        }
        if let State::Open { .. } = self.state {
            emit::fetch_end(cx.output);
        }
        Ok(())
    }
}

/// What stands for bytes that are not there.
fn nothing(label: &str, form: Form, out: &mut Output) {
    out.str(label);
    out.str(if form == Form::DecodedSize { " 0" } else { " NIL" });
}

/// A range that the store made; of anything else nothing.
fn part_of<'a>(arena: &'a [u8], range: &std::ops::Range<usize>) -> &'a [u8] {
    arena.get(range.clone()).unwrap_or_default()
}
