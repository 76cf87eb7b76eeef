//! How the engine ends: what is in flight is finished, and nobody is waited for without end.

use super::*;

#[test]
fn stop_lets_a_commit_end_and_says_when_all_is_over() {
    let mut bench = Bench::new();
    let idle = bench.open(|cx| {
        if cx.closing {
            cx.output.str("bye");
            return Want::Close;
        }
        Want::Bytes { until: NEVER }
    });
    let busy = bench.open(|cx| match cx.answer {
        Some(_) => {
            cx.output.str("kept");
            Want::Close
        }
        None => Want::Commit { write: nothing() },
    });
    bench.on(Event::Stop);
    assert_eq!(bench.hear_text(idle), "bye");
    assert!(bench.connect_from(0, "192.0.2.1:9").is_none());
    let stopped = |effect: &Effect| matches!(effect, Effect::Stopped).then_some(());
    assert!(bench.take(stopped).is_none());
    bench.commit_as(outcome(&[]));
    assert_eq!(bench.hear_text(busy), "kept");
    assert!(bench.take(stopped).is_some());
    bench.wait(Duration::from_secs(60));
    assert!(bench.take(stopped).is_none(), "once");
}

#[test]
fn stop_does_not_wait_for_ever() {
    let mut bench = Bench::new();
    let stubborn = bench.open(|_| Want::Bytes { until: NEVER });
    bench.on(Event::Stop);
    assert!(!bench.closed(stubborn));
    bench.wait(limits::STOP_TIMEOUT);
    assert!(bench.closed(stubborn));
    assert!(bench.take(|effect| matches!(effect, Effect::Stopped).then_some(())).is_some());
}

#[test]
fn a_peer_that_does_not_read_its_last_bytes_is_cut_off() {
    let mut bench = Bench::new();
    let conn = bench.open(|cx| {
        cx.output.str("goodbye");
        if cx.input.is_empty() { Want::Bytes { until: NEVER } } else { Want::Close }
    });
    bench.deaf.push(conn);
    bench.send(conn, b"quit");
    let close = |effect: &Effect| matches!(effect, Effect::Close(_)).then_some(());
    assert!(bench.take(close).is_some());
    assert!(!bench.engine.wire(conn).is_empty());
    bench.wait(limits::CLOSE_TIMEOUT);
    assert!(bench.take(close).is_some());
    assert!(bench.engine.wire(conn).is_empty());
}
