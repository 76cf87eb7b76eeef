//! Answers are built by an independent library and read by ours.

use simple_dns::rdata::{A, CNAME, MX, NULL, RData, SOA, TXT};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, ResourceRecord};

use super::*;

const ID: u16 = 4711;

fn query(name: &str, kind: Kind) -> Query {
    Query { name: name.into(), kind }
}

fn answer<'a>(name: &'a str, kind: simple_dns::TYPE, records: Vec<(&'a str, u32, RData<'a>)>) -> Packet<'a> {
    let mut packet = Packet::new_reply(ID);
    packet.questions.push(Question::new(Name::new_unchecked(name), kind.into(), CLASS::IN.into(), false));
    for (owner, ttl, data) in records {
        packet.answers.push(ResourceRecord::new(Name::new_unchecked(owner), CLASS::IN, ttl, data));
    }
    packet
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().expect("a packet")
}

fn found(records: Vec<Record>, keep: u64) -> Reply {
    Reply::Answer { outcome: Outcome::Found { records, secure: false }, keep: Duration::from_secs(keep) }
}

fn address(last: u8) -> RData<'static> {
    RData::A(A { address: Ipv4Addr::new(192, 0, 2, last).into() })
}

#[test]
fn a_question_is_read_by_another_library() {
    let packet = question(ID, &query("mail.example.org", Kind::Mx)).expect("a name");
    let parsed = Packet::parse(&packet).expect("well formed");
    assert_eq!(parsed.id(), ID);
    assert_eq!(parsed.questions[0].qname.to_string(), "mail.example.org");
    assert!(parsed.has_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::AUTHENTIC_DATA));
    assert_eq!(parsed.opt().map(|opt| opt.udp_packet_size), Some(DNS_UDP_BYTES));
    for bad in ["a..b", ".", "a b.example", &"x".repeat(64), &"x.".repeat(140)] {
        assert_eq!(question(ID, &query(bad, Kind::A)), None, "{bad}");
    }
}

#[test]
fn records_come_out_as_they_went_in() {
    let mx = answer(
        "example.org",
        simple_dns::TYPE::MX,
        vec![
            (
                "example.org",
                300,
                RData::MX(MX { preference: 10, exchange: Name::new_unchecked("mx.example.org") }),
            ),
            ("EXAMPLE.org", 200, RData::MX(MX { preference: 0, exchange: Name::new_unchecked("") })),
        ],
    );
    let expected = vec![
        Record::Mx { preference: 10, host: "mx.example.org".into() },
        Record::Mx { preference: 0, host: String::new() },
    ];
    let asked = query("Example.org", Kind::Mx);
    assert_eq!(reply(ID, &asked, &bytes(&mx), false), found(expected, 200));

    let txt = TXT::new().with_string("v=spf1 ").expect("text").with_string("=all").expect("text");
    let txt = answer("example.org", simple_dns::TYPE::TXT, vec![("example.org", 5, RData::TXT(txt))]);
    let expected = vec![Record::Txt(b"v=spf1 =all".to_vec())];
    assert_eq!(reply(ID, &query("example.org", Kind::Txt), &bytes(&txt), false), found(expected, 5));

    let tlsa = RData::NULL(52, NULL::new(&[3, 1, 1, 0xab]).expect("data"));
    let tlsa = answer("_25._tcp.mx.test", simple_dns::TYPE::Unknown(52), vec![("_25._tcp.mx.test", 9, tlsa)]);
    let expected = vec![Record::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0xab] }];
    assert_eq!(reply(ID, &query("_25._tcp.mx.test", Kind::Tlsa), &bytes(&tlsa), false), found(expected, 9));
}

#[test]
fn aliases_are_followed_but_not_in_circles() {
    let alias = |to| RData::CNAME(CNAME(Name::new_unchecked(to)));
    let packet = answer(
        "a.test",
        simple_dns::TYPE::A,
        vec![("b.test", 60, address(1)), ("a.test", 30, alias("b.test")), ("evil.test", 60, address(66))],
    );
    let asked = query("a.test", Kind::A);
    let expected = vec![Record::A(Ipv4Addr::new(192, 0, 2, 1))];
    assert_eq!(reply(ID, &asked, &bytes(&packet), false), found(expected, 30));
    let circle = vec![("a.test", 30, alias("b.test")), ("b.test", 30, alias("a.test"))];
    let packet = answer("a.test", simple_dns::TYPE::A, circle);
    assert_eq!(reply(ID, &asked, &bytes(&packet), false), Reply::Useless);
}

#[test]
fn a_no_is_kept_as_long_as_the_zone_says() {
    let soa = SOA {
        mname: Name::new_unchecked("ns.test"),
        rname: Name::new_unchecked("root.test"),
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum: 120,
    };
    for (code, outcome) in [(RCODE::NameError, Outcome::NoName), (RCODE::NoError, Outcome::Empty)] {
        let mut packet = answer("no.test", simple_dns::TYPE::A, Vec::new());
        *packet.rcode_mut() = code;
        let record =
            ResourceRecord::new(Name::new_unchecked("test"), CLASS::IN, 900, RData::SOA(soa.clone()));
        packet.name_servers.push(record);
        let keep = Duration::from_secs(120);
        assert_eq!(
            reply(ID, &query("no.test", Kind::A), &bytes(&packet), true),
            Reply::Answer { outcome, keep }
        );
    }
}

#[test]
fn only_the_answer_to_our_question_counts() {
    let asked = query("a.test", Kind::A);
    let good = bytes(&answer("a.test", simple_dns::TYPE::A, vec![("a.test", 60, address(1))]));
    assert!(matches!(reply(ID, &asked, &good, false), Reply::Answer { .. }));
    assert_eq!(reply(ID + 1, &asked, &good, false), Reply::Stray);
    assert_eq!(reply(ID, &query("b.test", Kind::A), &good, false), Reply::Stray);
    assert_eq!(reply(ID, &query("a.test", Kind::Aaaa), &good, false), Reply::Stray);
    assert_eq!(reply(ID, &asked, &question(ID, &asked).expect("a name"), false), Reply::Stray);

    let mut failed = answer("a.test", simple_dns::TYPE::A, Vec::new());
    *failed.rcode_mut() = RCODE::ServerFailure;
    assert_eq!(reply(ID, &asked, &bytes(&failed), false), Reply::Useless);
    let mut cut = answer("a.test", simple_dns::TYPE::A, Vec::new());
    cut.set_flags(PacketFlag::TRUNCATION);
    assert_eq!(reply(ID, &asked, &bytes(&cut), false), Reply::Truncated);
}

#[test]
fn ad_counts_only_from_a_resolver_that_is_believed() {
    let mut packet = answer("a.test", simple_dns::TYPE::A, vec![("a.test", 60, address(1))]);
    packet.set_flags(PacketFlag::AUTHENTIC_DATA);
    for believed in [true, false] {
        let Reply::Answer { outcome: Outcome::Found { secure, .. }, .. } =
            reply(ID, &query("a.test", Kind::A), &bytes(&packet), believed)
        else {
            panic!("an answer")
        };
        assert_eq!(secure, believed);
    }
}

#[test]
fn hostile_packets_are_refused_and_never_panic() {
    let asked = query("a.test", Kind::A);
    let good = bytes(&answer("a.test", simple_dns::TYPE::A, vec![("a.test", 60, address(1))]));
    for length in 0..good.len() {
        let cut = reply(ID, &asked, &good[..length], false);
        assert!(matches!(cut, Reply::Stray | Reply::Useless), "cut at {length}: {cut:?}");
    }
    for position in 0..good.len() {
        for value in 0..=255 {
            let mut bent = good.clone();
            bent[position] = value;
            let _ = reply(ID, &asked, &bent, false);
        }
    }
    let mut many = good.clone();
    many[6..8].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(reply(ID, &asked, &many, false), Reply::Useless);
    // A name that points at itself, and two that point at each other.
    let mut at = 12;
    assert_eq!(read_name(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 12], &mut at), None);
    let mut at = 2;
    assert_eq!(read_name(&[0xc0, 2, 0xc0, 0], &mut at), None);
}
