//! Memory that strangers can make the engine hold, and getting rid of what is large.

use pillarbox::base::limits::{BUFFERS_BYTES_MAX, OUTPUT_BYTES_HIGH, SWEEP_AFTER_START, SWEEP_AGAIN};
use pillarbox::base::{Config, ConnId};
use pillarbox::engine::{Effect, Event};
use pillarbox::session::{Opening, Session, Want};
use pillarbox::store::{Done, Outcome};

use super::bench::{Bench, NEVER, open_echo, service, talk};

/// Talks without end to those who do not listen.
fn open_chatter(_: &Opening<'_>) -> Box<dyn Session> {
    talk(|cx| {
        cx.output.push(&vec![b'x'; OUTPUT_BYTES_HIGH - cx.output.len().min(OUTPUT_BYTES_HIGH)]);
        Want::Room { until: NEVER }
    })
}

#[test]
fn strangers_who_do_not_read_cannot_take_all_memory() {
    let services = vec![service("chatter", open_chatter), service("echo", open_echo)];
    let mut bench = Bench::with(services, None, Config::default());
    let honest = bench.connect(1);
    let count = 2 * BUFFERS_BYTES_MAX / OUTPUT_BYTES_HIGH;
    // The next one that comes in: none of them reads.
    bench.deaf = (2..count as u64 + 10).map(ConnId).collect();
    let strangers: Vec<ConnId> = (0..count)
        .map(|n| bench.connect_from(0, &format!("203.0.{}.{}:25", n / 250, n % 250)).expect("room"))
        .collect();
    let held: usize = strangers.iter().map(|conn| bench.engine.wire(*conn).len()).sum();
    assert!(held <= BUFFERS_BYTES_MAX, "{held} bytes are held for strangers");
    bench.send(honest, b"still there?");
    assert_eq!(bench.hear_text(honest), "still there?");
    for conn in strangers {
        bench.on(Event::Lost { conn });
    }
    let again = bench.connect_from(0, "192.0.2.200:25").expect("room");
    assert_eq!(bench.engine.wire(again).len(), OUTPUT_BYTES_HIGH, "and the memory is theirs who come later");
}

#[test]
fn a_sweep_that_left_something_over_comes_again_soon() {
    let mut bench = Bench::new();
    let outcome = |done| Outcome {
        result: Ok(done),
        mailboxes: Vec::new(),
        accounts: Vec::new(),
        revoked: Vec::new(),
        settings: false,
    };
    let sweeps = |bench: &Bench| bench.effects.iter().filter(|one| matches!(one, Effect::Commit(_))).count();
    bench.wait(SWEEP_AFTER_START);
    bench.wait(SWEEP_AFTER_START);
    assert_eq!(sweeps(&bench), 1);
    bench.commit_as(outcome(Done::More));
    bench.wait(SWEEP_AGAIN);
    assert_eq!(sweeps(&bench), 1, "at once, not in ten minutes");
    bench.commit_as(outcome(Done::Nothing));
    bench.wait(SWEEP_AGAIN);
    assert_eq!(sweeps(&bench), 0);
}
