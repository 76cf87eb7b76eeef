//! DNS messages (RFC 1035 section 4) as a stub resolver writes and reads them. Written here rather than taken from a
//! library: what comes from the network may claim 65,535 records in 12 bytes, and TXT must come out byte for byte.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::base::limits::{
    DNS_CNAMES_MAX, DNS_NEGATIVE_TTL_MAX, DNS_RECORDS_MAX, DNS_TTL_MAX, DNS_UDP_BYTES,
};

use super::{Kind, Outcome, Query, Record};

/// What a packet says about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Not an answer to this question: a stray, or a forgery. Go on waiting.
    Stray,
    /// Too long for UDP: ask again over TCP (RFC 7766).
    Truncated,
    /// `SERVFAIL`, `REFUSED`, or not to be understood: ask another server.
    Useless,
    /// The outcome and how long it may be kept.
    Answer { outcome: Outcome, keep: Duration },
}

const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;
const FLAG_REPLY: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSE: u16 = 0x0100;
const FLAG_AUTHENTIC: u16 = 0x0020;
const MASK_OPCODE: u16 = 0x7800;
const MASK_RCODE: u16 = 0x000f;
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;

/// A question with RD and AD set (RFC 6840 section 5.7) and an OPT record (RFC 6891). `None`: not a domain name.
pub fn question(id: u16, query: &Query) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(64);
    for field in [id, FLAG_RECURSE | FLAG_AUTHENTIC, 1, 0, 0, 1] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    write_name(&mut packet, &query.name)?;
    for field in [query.kind.code(), CLASS_IN] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.push(0);
    for field in [TYPE_OPT, DNS_UDP_BYTES, 0, 0, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    Some(packet)
}

/// What `packet` says about the question that was sent with `id`. AD is believed only if the caller says so.
pub fn reply(id: u16, query: &Query, packet: &[u8], believed: bool) -> Reply {
    let Some(header) = Header::read(packet) else { return Reply::Stray };
    let mut at = Header::BYTES;
    if header.id != id || header.flags & (FLAG_REPLY | MASK_OPCODE) != FLAG_REPLY || header.questions != 1 {
        return Reply::Stray;
    }
    let ours = read_name(packet, &mut at).is_some_and(|name| name.eq_ignore_ascii_case(&query.name))
        && read_u16(packet, &mut at) == Some(query.kind.code())
        && read_u16(packet, &mut at) == Some(CLASS_IN);
    if !ours {
        return Reply::Stray;
    }
    if header.flags & FLAG_TRUNCATED != 0 {
        return Reply::Truncated;
    }
    let Some(answers) = records(packet, &mut at, header.answers) else { return Reply::Useless };
    let secure = believed && header.flags & FLAG_AUTHENTIC != 0;
    match header.flags & MASK_RCODE {
        0 => match chase(packet, query, &answers) {
            Some((found, ttl)) if !found.is_empty() => Reply::Answer {
                outcome: Outcome::Found { records: found, secure },
                keep: Duration::from_secs(u64::from(ttl)).min(DNS_TTL_MAX),
            },
            Some(_) => negative(packet, at, &header, Outcome::Empty),
            None => Reply::Useless,
        },
        3 => negative(packet, at, &header, Outcome::NoName),
        _ => Reply::Useless,
    }
}

struct Header {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
}

impl Header {
    const BYTES: usize = 12;

    fn read(packet: &[u8]) -> Option<Header> {
        let mut at = 0;
        let mut next = || read_u16(packet, &mut at);
        let header = Header {
            id: next()?,
            flags: next()?,
            questions: next()?,
            answers: next()?,
            authorities: next()?,
        };
        next()?;
        Some(header)
    }
}

/// A record whose data has not been looked into; `data` is a range of the packet, since names in it may point back.
struct Raw {
    owner: String,
    kind: u16,
    ttl: u32,
    data: std::ops::Range<usize>,
}

/// `count` records from `at` on. `None` if the packet ends before them, or there are more than anybody needs.
fn records(packet: &[u8], at: &mut usize, count: u16) -> Option<Vec<Raw>> {
    if usize::from(count) > DNS_RECORDS_MAX {
        return None;
    }
    let mut records = Vec::new();
    for _ in 0..count {
        let owner = read_name(packet, at)?;
        let kind = read_u16(packet, at)?;
        let class = read_u16(packet, at)?;
        let ttl = u32::from(read_u16(packet, at)?) << 16 | u32::from(read_u16(packet, at)?);
        let length = usize::from(read_u16(packet, at)?);
        let data = *at..at.checked_add(length).filter(|end| *end <= packet.len())?;
        *at = data.end;
        if class == CLASS_IN {
            // RFC 2181 section 8: a ttl with the top bit set is 0.
            records.push(Raw { owner, kind, ttl: if ttl >> 31 == 1 { 0 } else { ttl }, data });
        }
    }
    Some(records)
}

/// The records asked for, at the name asked for or where its aliases lead, and the least ttl on the way.
fn chase(packet: &[u8], query: &Query, answers: &[Raw]) -> Option<(Vec<Record>, u32)> {
    let mut name = query.name.clone();
    let mut least = u32::MAX;
    for _ in 0..DNS_CNAMES_MAX {
        let here = |raw: &&Raw| raw.owner.eq_ignore_ascii_case(&name);
        let wanted = answers.iter().filter(here).filter(|raw| raw.kind == query.kind.code());
        let mut found = Vec::new();
        for raw in wanted {
            found.extend(record(packet, query.kind, &raw.data));
            least = least.min(raw.ttl);
        }
        if !found.is_empty() {
            return Some((found, least));
        }
        let Some(alias) = answers.iter().filter(here).find(|raw| raw.kind == TYPE_CNAME) else {
            return Some((Vec::new(), 0));
        };
        least = least.min(alias.ttl);
        name = read_name(packet, &mut alias.data.start.clone())?;
    }
    None
}

/// One record's data; `None` for one that cannot be understood, which is as good as not there.
fn record(packet: &[u8], kind: Kind, range: &std::ops::Range<usize>) -> Option<Record> {
    let data = packet.get(range.clone())?;
    let mut at = range.start;
    Some(match kind {
        Kind::A => Record::A(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?)),
        Kind::Aaaa => Record::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?)),
        Kind::Mx => Record::Mx { preference: read_u16(packet, &mut at)?, host: read_name(packet, &mut at)? },
        Kind::Txt => Record::Txt(character_strings(data)?),
        Kind::Ptr | Kind::Cname => Record::Name(read_name(packet, &mut at)?),
        Kind::Tlsa => {
            let [usage, selector, matching, data @ ..] = data else { return None };
            Record::Tlsa { usage: *usage, selector: *selector, matching: *matching, data: data.to_vec() }
        }
    })
}

fn character_strings(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(data.len());
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        joined.extend_from_slice(string);
        data = rest;
    }
    Some(joined)
}

/// RFC 2308 section 5: a "no" is kept as long as the zone's SOA says, which lies among the authorities.
fn negative(packet: &[u8], mut at: usize, header: &Header, outcome: Outcome) -> Reply {
    let soa = records(packet, &mut at, header.authorities)
        .and_then(|authorities| authorities.into_iter().find(|raw| raw.kind == TYPE_SOA));
    let keep = soa.map_or(0, |soa| {
        let minimum = packet.get(soa.data).and_then(|data| data.last_chunk::<4>());
        minimum.map_or(0, |minimum| u32::from_be_bytes(*minimum)).min(soa.ttl)
    });
    Reply::Answer { outcome, keep: Duration::from_secs(u64::from(keep)).min(DNS_NEGATIVE_TTL_MAX) }
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Cname => TYPE_CNAME,
            Kind::Ptr => 12,
            Kind::Mx => 15,
            Kind::Txt => 16,
            Kind::Aaaa => 28,
            Kind::Tlsa => 52,
        }
    }
}

fn read_u16(packet: &[u8], at: &mut usize) -> Option<u16> {
    let bytes = packet.get(*at..)?.first_chunk::<2>()?;
    *at += 2;
    Some(u16::from_be_bytes(*bytes))
}

/// A name as text without the trailing dot, the root as nothing. Pointers (RFC 1035 section 4.1.4) may only lead
/// backwards, each further than the one before, so that there is no loop. Labels that text cannot show are refused.
fn read_name(packet: &[u8], at: &mut usize) -> Option<String> {
    let mut name = String::new();
    let mut here = *at;
    let mut lowest = here;
    let mut jumped = false;
    loop {
        let length = usize::from(*packet.get(here)?);
        match length {
            0 => {
                if !jumped {
                    *at = here + 1;
                }
                return Some(name);
            }
            1..=LABEL_BYTES_MAX => {
                let label = packet.get(here + 1..here + 1 + length)?;
                if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                name.extend(label.iter().map(|byte| char::from(*byte)));
                here += 1 + length;
            }
            0xc0.. => {
                let target = (length & 0x3f) << 8 | usize::from(*packet.get(here + 1)?);
                if !jumped {
                    *at = here + 2;
                }
                jumped = true;
                if target >= lowest {
                    return None;
                }
                (here, lowest) = (target, target);
            }
            _ => return None,
        }
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
    }
}

fn write_name(packet: &mut Vec<u8>, name: &str) -> Option<()> {
    if name.len() > NAME_BYTES_MAX - 2 {
        return None;
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let good = label.bytes().all(|byte| byte.is_ascii_graphic());
        if label.is_empty() || label.len() > LABEL_BYTES_MAX || !good {
            return None;
        }
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    Some(())
}

#[cfg(test)]
mod tests;
