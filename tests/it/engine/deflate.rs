//! COMPRESS=DEFLATE in the engine, against flate2's streaming client.

use flate2::FlushCompress;
use pillarbox::base::limits::{COMPRESSED_MAX, INFLATE_FREE_BYTES, INPUT_BYTES_MAX, WIRE_BYTES_HIGH};
use pillarbox::base::{Config, ConnId, Rng};
use pillarbox::engine::{Effect, Event};
use pillarbox::session::{Compression, Opening, Session, Want};

use crate::world::squeeze::Squeeze;

use super::bench::{Bench, NEVER, echo, service, talk};

/// Compresses at the first line, if it may; after that it is an echo, which says `spoilt` before it goes.
fn open_compressing(_: &Opening<'_>) -> Box<dyn Session> {
    talk(|cx| {
        if cx.input.spoilt() {
            cx.output.str("spoilt");
            return Want::Close;
        }
        if cx.compression == Compression::Active {
            // As every session does that is well-behaved, it takes no more while its peer does not read.
            return if cx.output.full() { Want::Room { until: NEVER } } else { echo(cx) };
        }
        let Some(end) = cx.input.peek().iter().position(|&byte| byte == b'\n') else {
            return Want::Bytes { until: NEVER };
        };
        cx.input.consume(end + 1);
        if cx.compression == Compression::Crowded {
            cx.output.str("no\n");
            return Want::Bytes { until: NEVER };
        }
        cx.output.str("yes\n");
        Want::Compress
    })
}

fn bench() -> Bench {
    Bench::with(vec![service("compressing", open_compressing)], None, Config::default())
}

fn begin(bench: &mut Bench, flush: FlushCompress) -> (ConnId, Squeeze) {
    let conn = bench.connect(0);
    bench.send(conn, b"compress\n");
    assert_eq!(bench.hear(conn), b"yes\n", "in the clear");
    (conn, Squeeze::new(flush))
}

fn heard(bench: &mut Bench, conn: ConnId, squeeze: &mut Squeeze) -> Vec<u8> {
    let packed = bench.hear(conn);
    squeeze.unpack(&packed).expect("DEFLATE")
}

#[test]
fn bytes_cut_anywhere_come_back_whichever_flush_ends_them() {
    let mut rng = Rng::new(&[3; 32]);
    for flush in [FlushCompress::Partial, FlushCompress::Sync, FlushCompress::Full] {
        let mut bench = bench();
        let (conn, mut squeeze) = begin(&mut bench, flush);
        for round in 0..200_usize {
            let mut text = format!("{round} FETCH 1:* (FLAGS UID)\r\n").repeat(1 + round % 7).into_bytes();
            if round % 50 == 0 {
                text.resize(200_000, 0);
                rng.fill(&mut text);
            }
            let packed = squeeze.pack(&text);
            let mut rest = &packed[..];
            while !rest.is_empty() {
                let length = 1 + rng.below(rest.len().min(9_000) as u64) as usize;
                bench.send(conn, &rest[..length]);
                rest = &rest[length..];
            }
            assert!(heard(&mut bench, conn, &mut squeeze) == text, "round {round} {flush:?}");
        }
        assert!(!bench.closed(conn));
    }
}

#[test]
fn each_response_stands_alone_so_that_nothing_is_kept_for_the_next() {
    let mut bench = bench();
    let (conn, mut squeeze) = begin(&mut bench, FlushCompress::Sync);
    let packed = squeeze.pack(b"* 1 FETCH (FLAGS (\\Seen))\r\n");
    bench.send(conn, &packed);
    let first = bench.hear(conn);
    assert!(first.ends_with(&[0, 0, 255, 255]), "flushed to a whole byte");
    let packed = squeeze.pack(b"* 1 FETCH (FLAGS (\\Seen))\r\n");
    bench.send(conn, &packed);
    let second = bench.hear(conn);
    assert_eq!(first, second, "a full flush forgets what was said before");
    // An inflater that knows nothing of the first reads the second.
    assert_eq!(
        Squeeze::new(FlushCompress::Sync).unpack(&second),
        Ok(b"* 1 FETCH (FLAGS (\\Seen))\r\n".to_vec())
    );
}

#[test]
fn what_lies_behind_the_command_is_taken_as_compressed() {
    let mut bench = bench();
    let conn = bench.connect(0);
    let mut squeeze = Squeeze::new(FlushCompress::Sync);
    let packed = [b"compress\n".to_vec(), squeeze.pack(b"early")].concat();
    bench.send(conn, &packed);
    let said = bench.hear(conn);
    assert_eq!(squeeze.unpack(said.strip_prefix(b"yes\n").expect("the reply")), Ok(b"early".to_vec()));

    let conn = bench.connect(0);
    bench.send(conn, b"compress\nand in the clear\n");
    let said = bench.hear(conn);
    let mut squeeze = Squeeze::new(FlushCompress::Sync);
    assert_eq!(squeeze.unpack(said.strip_prefix(b"yes\n").expect("the reply")), Ok(b"spoilt".to_vec()));
    assert!(bench.closed(conn));
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_input() {
    for ends_stream in [false, true] {
        let mut bench = bench();
        let (conn, mut squeeze) = begin(&mut bench, FlushCompress::Sync);
        let packed = if ends_stream {
            Squeeze::new(FlushCompress::Finish).pack(b"last words")
        } else {
            squeeze.pack(b"last words")
        };
        bench.send(conn, &packed);
        if !ends_stream {
            bench.on(Event::Eof { conn });
        }
        assert_eq!(heard(&mut bench, conn, &mut squeeze), b"last words");
        assert!(bench.closed(conn), "ends_stream {ends_stream}");
    }
}

#[test]
fn a_bomb_is_inflated_no_further_than_there_is_room_and_cut_off_in_the_end() {
    let mut bench = bench();
    let (conn, _) = begin(&mut bench, FlushCompress::Sync);
    bench.deaf.push(conn);
    // Nobody takes the echo: what is inflated is bounded by the buffers, whatever the bomb claims.
    let bomb = Squeeze::new(FlushCompress::Sync).pack(&vec![0; 30_000_000]);
    bench.send(conn, &bomb);
    assert!(bench.engine.wire(conn).len() < 2 * WIRE_BYTES_HIGH);
    assert!(!bench.closed(conn), "that little is no bomb yet");
    bench.on(Event::Lost { conn });

    let (conn, mut squeeze) = begin(&mut bench, FlushCompress::Sync);
    let mut client = Squeeze::new(FlushCompress::Sync);
    let piece = vec![0; 10_000_000];
    let mut echoed = 0;
    while !bench.closed(conn) {
        let packed = client.pack(&piece);
        bench.send(conn, &packed);
        echoed += heard(&mut bench, conn, &mut squeeze).len() as u64;
        assert!(echoed < 2 * INFLATE_FREE_BYTES, "it goes on for ever");
    }
    assert!(echoed >= INFLATE_FREE_BYTES, "a message of zeros may be that long");
}

/// Twice as many as may be, and none of them disturbs another.
#[test]
fn two_thousand_connections_and_no_more_windows_than_there_may_be() {
    let mut bench = bench();
    let mut open: Vec<(ConnId, Option<Squeeze>)> = Vec::new();
    for n in 0..2_000_usize {
        let conn = bench.connect_from(0, &format!("203.0.{}.{}:25", n / 250, n % 250)).expect("room");
        bench.send(conn, b"compress\n");
        let said = bench.hear(conn);
        assert_eq!(said == b"yes\n", n < COMPRESSED_MAX, "{n}");
        open.push((conn, (said == b"yes\n").then(|| Squeeze::new(FlushCompress::Partial))));
    }
    for (n, (conn, squeeze)) in open.iter_mut().enumerate() {
        let Some(squeeze) = squeeze else { continue };
        let text = format!("I am number {n}\r\n");
        let packed = squeeze.pack(text.as_bytes());
        bench.send(*conn, &packed);
        assert_eq!(heard(&mut bench, *conn, squeeze), text.as_bytes());
    }
    // Those that go make room: by their own end, by ours, and by spoiling it.
    let (one, two, three) = (open[0].0, open[1].0, open[2].0);
    bench.on(Event::Lost { conn: one });
    bench.on(Event::Eof { conn: two });
    bench.send(three, b"\xff\xff\xff\xff");
    assert!(bench.closed(three));
    for (conn, expected) in [(open[1_000].0, "yes\n"), (open[1_001].0, "yes\n"), (open[1_002].0, "yes\n")] {
        bench.send(conn, b"compress\n");
        assert_eq!(bench.hear(conn), expected.as_bytes());
    }
    bench.send(open[1_003].0, b"compress\n");
    assert_eq!(bench.hear(open[1_003].0), b"no\n");
}

#[test]
fn a_peer_that_sends_faster_than_it_is_read_is_paused_and_resumed() {
    let mut bench = bench();
    let (conn, mut squeeze) = begin(&mut bench, FlushCompress::Sync);
    bench.deaf.push(conn);
    let mut noise = vec![0; 10 * INPUT_BYTES_MAX];
    Rng::new(&[5; 32]).fill(&mut noise);
    let packed = squeeze.pack(&noise);
    bench.send(conn, &packed);
    let pause = |effect: &Effect| matches!(effect, Effect::Pause(_)).then_some(());
    let resume = |effect: &Effect| matches!(effect, Effect::Resume(_)).then_some(());
    assert!(bench.take(pause).is_some());
    assert!(bench.take(resume).is_none());
    bench.deaf.clear();
    let waiting = bench.engine.wire(conn).to_vec();
    bench.on(Event::Sent { conn, count: waiting.len() });
    let said = [waiting, bench.hear(conn)].concat();
    assert!(squeeze.unpack(&said) == Ok(noise), "all of it, in order");
    assert!(bench.take(resume).is_some());
}
