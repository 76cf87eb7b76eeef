//! The engine's rules, one by one, with conversations of a few lines and every effect in the test's hand.

mod bench;
mod deflate;
mod dns;
mod ends;
mod logins;
mod memory;
mod tls;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillarbox::base::limits;
use pillarbox::base::{Config, ConnId, MailboxId, Wall};
use pillarbox::engine::{Effect, Event, ServiceKind};
use pillarbox::session::{Answer, Ask, Opening, Session, Want, Watch};
use pillarbox::store::{Admin, Done, Outcome, Question, Refused, Reply, StoreError, Write};

use bench::{Bench, NEVER, echo, open_echo, service, talk};

fn nothing() -> Write {
    Write::Discard { body: pillarbox::base::BodyId(1) }
}

fn outcome(mailboxes: &[i64]) -> Outcome {
    Outcome {
        result: Ok(Done::Nothing),
        mailboxes: mailboxes.iter().map(|id| MailboxId(*id)).collect(),
        accounts: Vec::new(),
        revoked: Vec::new(),
        settings: false,
    }
}

fn read() -> Ask {
    Ask::Read(Question::Body { body: pillarbox::base::BodyId(1), at: 0, length: 1 })
}

/// What a conversation notes for the test to see.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().expect("one thread").push(note.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("one thread"))
    }
}

#[test]
fn bytes_go_in_and_come_out() {
    let mut bench = Bench::new();
    let conn = bench.connect(0);
    bench.send(conn, b"hello");
    assert_eq!(bench.hear_text(conn), "hello");
    bench.on(Event::Eof { conn });
    assert!(bench.closed(conn));
}

#[test]
fn a_conversation_is_stepped_for_new_bytes_and_not_for_old_ones() {
    let mut bench = Bench::new();
    let steps = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&steps);
    let conn = bench.open(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Want::Bytes { until: NEVER }
    });
    bench.send(conn, b"half a li");
    bench.wait(Duration::from_secs(9));
    assert_eq!(steps.load(Ordering::Relaxed), 2);
    bench.send(conn, b"ne\r\n");
    assert_eq!(steps.load(Ordering::Relaxed), 3);
}

#[test]
fn a_peer_that_hung_up_is_not_waited_for() {
    let mut bench = Bench::new();
    let conn = bench.open(|_| Want::Bytes { until: NEVER });
    bench.on(Event::Eof { conn });
    assert!(bench.closed(conn));
    assert_eq!(bench.engine.status().body_bytes, 0);
}

#[test]
fn a_deadline_that_passes_is_told() {
    let mut bench = Bench::new();
    let until = bench.now.mono.after(Duration::from_secs(5));
    let conn = bench.open(move |cx| {
        if cx.expired {
            cx.output.str("too late");
            return Want::Close;
        }
        Want::Bytes { until }
    });
    assert_eq!(bench.next, Some(until));
    bench.wait(Duration::from_secs(4));
    assert!(!bench.closed(conn));
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.hear_text(conn), "too late");
    assert!(bench.closed(conn));
}

#[test]
fn answer_reaches_the_one_who_asked_and_nobody_else() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    let mut conns = Vec::new();
    for name in ["first", "second"] {
        let notes = notes.clone();
        conns.push(bench.open(move |cx| match cx.answer.take() {
            Some(Answer::Read(Ok(Reply::Bytes(bytes)))) => {
                notes.add(format!("{name} got {bytes:?}"));
                Want::Bytes { until: NEVER }
            }
            _ => Want::Answer { to: read(), until: NEVER },
        }));
    }
    let ticket = |effect: &Effect| match effect {
        Effect::Read { ticket, .. } => Some(*ticket),
        _ => None,
    };
    let (one, two) = (bench.take(ticket).expect("asked"), bench.take(ticket).expect("asked"));
    bench.on(Event::Read { ticket: two, result: Ok(Reply::Bytes(vec![2])) });
    bench.on(Event::Read { ticket: one, result: Ok(Reply::Bytes(vec![1])) });
    bench.on(Event::Read { ticket: one, result: Ok(Reply::Bytes(vec![1])) });
    assert_eq!(notes.take(), ["second got [2]", "first got [1]"]);
}

#[test]
fn stale_answer_is_never_accepted() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    let log = notes.clone();
    bench.open(move |cx| {
        match (&cx.answer, cx.expired) {
            (Some(Answer::Read(Ok(Reply::Bytes(bytes)))), _) => log.add(format!("{bytes:?}")),
            (None, true) => log.add("expired"),
            _ => {}
        }
        Want::Answer { to: read(), until: cx.now.mono.after(Duration::from_secs(1)) }
    });
    let ticket = |effect: &Effect| match effect {
        Effect::Read { ticket, .. } => Some(*ticket),
        _ => None,
    };
    let stale = bench.take(ticket).expect("asked");
    bench.wait(Duration::from_secs(1));
    let fresh = bench.take(ticket).expect("asked again");
    bench.on(Event::Read { ticket: stale, result: Ok(Reply::Bytes(vec![1])) });
    bench.on(Event::Read { ticket: fresh, result: Ok(Reply::Bytes(vec![2])) });
    assert_eq!(notes.take(), ["expired", "[2]"]);
}

#[test]
fn commit_is_answered_after_it_is_durable_and_not_before() {
    let mut bench = Bench::new();
    let mut asked = false;
    let conn = bench.open(move |cx| {
        if let Some(Answer::Commit(Ok(_))) = cx.answer {
            cx.output.str("done");
            return Want::Bytes { until: NEVER };
        }
        assert!(!std::mem::replace(&mut asked, true), "parked until answered");
        Want::Commit { write: nothing() }
    });
    bench.send(conn, b"are you there?");
    bench.wait(Duration::from_secs(86_400));
    assert_eq!(bench.hear_text(conn), "");
    bench.commit_as(outcome(&[]));
    assert_eq!(bench.hear_text(conn), "done");
}

#[test]
fn commits_asked_together_are_answered_together_in_their_order() {
    let mut bench = Bench::new();
    let conn = bench.open(|cx| match cx.answer.take() {
        Some(Answer::CommitEach(results)) => {
            cx.output.str(&format!("{results:?}"));
            Want::Bytes { until: NEVER }
        }
        _ => Want::CommitEach { writes: vec![nothing(), nothing(), nothing()] },
    });
    let tickets: Vec<_> = bench.commits().into_iter().map(|(ticket, _)| ticket).collect();
    // The writer tried them one by one, and the last was answered first.
    bench.on(Event::Committed { results: vec![(tickets[2], outcome(&[]))] });
    bench.on(Event::CommitFailed { tickets: vec![tickets[1]], error: StoreError::Full });
    assert_eq!(bench.hear_text(conn), "", "one is still out");
    bench.on(Event::Committed { results: vec![(tickets[0], outcome(&[]))] });
    assert_eq!(bench.hear_text(conn), "[Ok(Nothing), Err(DiskFull), Ok(Nothing)]");
}

#[test]
fn a_batch_that_failed_is_success_for_nobody() {
    let mut bench = Bench::new();
    let conns: Vec<ConnId> = (0..2)
        .map(|_| {
            bench.open(|cx| match cx.answer.take() {
                Some(Answer::Commit(result)) => {
                    cx.output.str(&format!("{result:?}"));
                    Want::Close
                }
                _ => Want::Commit { write: nothing() },
            })
        })
        .collect();
    let mut tickets: Vec<_> = bench.commits().into_iter().map(|(ticket, _)| ticket).collect();
    for (conn, error, expected) in [
        (conns[0], StoreError::Broken("torn".into()), r#"Err(Broken("torn"))"#),
        (conns[1], StoreError::Full, "Err(DiskFull)"),
    ] {
        let tickets = vec![tickets.remove(0)];
        bench.on(Event::CommitFailed { tickets, error });
        assert_eq!(bench.hear_text(conn), expected);
    }
}

#[test]
fn commit_of_a_lost_connection_still_gives_its_hints() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    let log = notes.clone();
    bench.open(move |_| {
        log.add("looked");
        Want::News { of: Watch::Mailbox(MailboxId(3)), until: NEVER }
    });
    let writer = bench.open(|_| Want::Commit { write: nothing() });
    bench.on(Event::Lost { conn: writer });
    notes.take();
    bench.commit_as(outcome(&[3]));
    assert_eq!(notes.take(), ["looked"]);
    bench.on(Event::Lost { conn: writer });
}

#[test]
fn hints_wake_those_who_watch_and_only_those() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    for mailbox in [1, 2] {
        let log = notes.clone();
        bench.open(move |_| {
            log.add(format!("{mailbox}"));
            Want::News { of: Watch::Mailbox(MailboxId(mailbox)), until: NEVER }
        });
    }
    notes.take();
    bench.engine.admin(nothing());
    bench.run();
    bench.commit_as(outcome(&[2, 7]));
    assert_eq!(notes.take(), ["2"]);
}

#[test]
fn hint_that_comes_while_a_watcher_is_busy_is_not_lost() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    let log = notes.clone();
    let mut asking = false;
    let conn = bench.open(move |cx| {
        log.add("looked");
        asking = !cx.input.is_empty() && !asking;
        cx.input.clear();
        if asking {
            return Want::Answer { to: read(), until: NEVER };
        }
        Want::News { of: Watch::Mailbox(MailboxId(1)), until: NEVER }
    });
    bench.send(conn, b"a question");
    let ticket = bench
        .take(|effect| match effect {
            Effect::Read { ticket, .. } => Some(*ticket),
            _ => None,
        })
        .expect("asked");
    bench.engine.admin(nothing());
    bench.run();
    bench.commit_as(outcome(&[1]));
    assert_eq!(notes.take().len(), 2);
    bench.on(Event::Read { ticket, result: Ok(Reply::Bytes(Vec::new())) });
    assert_eq!(notes.take().len(), 2, "once for the answer, once for the hint");
}

#[test]
fn a_peer_that_sends_faster_than_it_is_read_is_paused() {
    let mut bench = Bench::new();
    let conn = bench.open(|cx| match cx.answer.take() {
        Some(_) => echo(cx),
        None => Want::Answer { to: read(), until: NEVER },
    });
    bench.send(conn, &vec![b'x'; limits::INPUT_BYTES_MAX]);
    assert!(bench.take(|effect| matches!(effect, Effect::Pause(_)).then_some(())).is_some());
    let ticket = bench.take(|effect| match effect {
        Effect::Read { ticket, .. } => Some(*ticket),
        _ => None,
    });
    bench.on(Event::Read { ticket: ticket.expect("asked"), result: Err(StoreError::Full) });
    assert!(bench.take(|effect| matches!(effect, Effect::Resume(_)).then_some(())).is_some());
    assert_eq!(bench.hear(conn).len(), limits::INPUT_BYTES_MAX);
}

#[test]
fn room_is_given_when_the_peer_has_read_half() {
    let mut bench = Bench::new();
    let notes = Notes::default();
    let log = notes.clone();
    let conn = bench.open(move |cx| {
        log.add(format!("{}", cx.output.len()));
        if cx.input.is_empty() {
            return Want::Bytes { until: NEVER };
        }
        while !cx.output.full() {
            cx.output.push(&[b'x'; 1024]);
        }
        Want::Room { until: NEVER }
    });
    bench.deaf.push(conn);
    bench.send(conn, b"go");
    notes.take();
    let half = limits::OUTPUT_BYTES_HIGH / 2;
    bench.on(Event::Sent { conn, count: half });
    assert!(notes.take().is_empty(), "half is not below half");
    bench.on(Event::Sent { conn, count: 1 });
    assert_eq!(notes.take(), [format!("{}", half - 1)]);
}

#[test]
fn panic_ends_one_conversation_and_nothing_of_that_step_is_sent() {
    let mut bench = Bench::new();
    let other = bench.connect(0);
    let conn = bench.open(|cx| {
        cx.output.str("greeting");
        if !cx.input.is_empty() {
            assert!(cx.budget.take(1000));
            panic!("planted");
        }
        Want::Bytes { until: NEVER }
    });
    assert_eq!(bench.hear_text(conn), "greeting");
    bench.send(conn, b"x");
    assert!(bench.closed(conn));
    assert_eq!(bench.hear_text(conn), "");
    let status = bench.engine.status();
    assert_eq!((status.gauges.panics, status.body_bytes), (1, 0));
    bench.send(other, b"still here");
    assert_eq!(bench.hear_text(other), "still here");
}

#[test]
fn budget_of_a_lost_connection_comes_back_and_feeds_who_starved() {
    let mut bench = Bench::new();
    let hog = bench.open(|cx| {
        let free = cx.budget.free();
        assert!(cx.budget.take(free) || free == 0);
        Want::Bytes { until: NEVER }
    });
    assert_eq!(bench.engine.status().body_bytes, limits::BODY_BUDGET_BYTES);
    let fed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&fed);
    bench.open(move |cx| {
        seen.store(cx.budget.take(10), Ordering::Relaxed);
        Want::Bytes { until: NEVER }
    });
    assert!(!fed.load(Ordering::Relaxed));
    bench.on(Event::Lost { conn: hog });
    assert!(fed.load(Ordering::Relaxed));
    assert_eq!(bench.engine.status().body_bytes, 10);
}

#[test]
fn a_turn_steps_each_conversation_once_and_so_many_at_most() {
    let mut bench = Bench::new();
    let steps = Arc::new(AtomicUsize::new(0));
    for _ in 0..limits::STEPS_PER_TURN + 10 {
        let count = Arc::clone(&steps);
        bench.engine.open(talk(move |cx| {
            if count.fetch_add(1, Ordering::Relaxed) < 10_000 {
                cx.output.str(".");
                return Want::Turn;
            }
            Want::Close
        }));
    }
    let next = bench.engine.turn(bench.now);
    assert_eq!(steps.load(Ordering::Relaxed), limits::STEPS_PER_TURN);
    assert_eq!(next, Some(bench.now.mono));
    bench.engine.effects();
    bench.engine.turn(bench.now);
    assert_eq!(steps.load(Ordering::Relaxed), 2 * limits::STEPS_PER_TURN);
}

#[test]
#[should_panic(expected = "turns without end")]
fn a_conversation_that_turns_without_end_is_a_bug() {
    Bench::new().open(|_| Want::Turn);
}

#[test]
fn revoking_a_credential_ends_its_connections() {
    let mut bench = logins::with_alice();
    let (conn, verdict) = logins::login(&mut bench, logins::ALICE, "secret", "192.0.2.1");
    assert!(matches!(verdict, Some(pillarbox::session::Verdict::Granted(_))));
    let revoke = Admin::SetPassword { account: logins::ALICE.into(), hash: "other".into(), now: Wall(1) };
    bench.engine.admin(Write::Admin(revoke));
    bench.run();
    bench.commit();
    assert!(bench.closed(conn));
}

#[test]
fn one_network_cannot_take_all_connections() {
    let mut bench = Bench::new();
    let mut last = None;
    for port in 0..limits::CONNECTIONS_PER_ADDRESS_MAX {
        last = bench.connect_from(0, &format!("[2001:db8::{port:x}]:25"));
        assert!(last.is_some());
    }
    assert!(bench.connect_from(0, "[2001:db8::1:2:3:4]:25").is_none());
    assert_eq!(bench.engine.refusal(pillarbox::engine::ServiceId(0)), "busy\r\n");
    assert!(bench.connect_from(0, "192.0.2.9:25").is_some());
    for port in 0..limits::CONNECTIONS_PER_ADDRESS_MAX + 1 {
        assert!(bench.connect_from(0, &format!("127.0.0.1:{port}")).is_some(), "our own machine is no flood");
    }
    bench.on(Event::Lost { conn: last.expect("connected") });
    assert!(bench.connect_from(0, "[2001:db8::ffff]:25").is_some());
}

#[test]
fn a_change_from_the_command_line_takes_the_common_path() {
    let mut bench = Bench::new();
    let add = Write::Admin(Admin::AddDomain { name: "example.org".into() });
    let ticket = bench.engine.admin(add);
    bench.run();
    bench.commit();
    let done = bench.take(|effect| match effect {
        Effect::Admin { ticket, result } => Some((*ticket, result.clone())),
        _ => None,
    });
    assert!(matches!(done, Some((answered, Ok(_))) if answered == ticket));
    assert!(bench.take(|effect| matches!(effect, Effect::Reloaded).then_some(())).is_some());
    let again = Write::Admin(Admin::AddDomain { name: "example.org".into() });
    bench.engine.admin(again);
    bench.run();
    bench.commit();
    let refused = bench.take(|effect| match effect {
        Effect::Admin { result, .. } => Some(result.clone()),
        _ => None,
    });
    assert_eq!(refused, Some(Err(Refused::Exists)));
}

#[test]
fn settings_are_read_again_when_they_change() {
    let mut bench = Bench::new();
    let conn = bench.open(|cx| {
        cx.output.str(&cx.config.hostname.clone());
        Want::Bytes { until: NEVER }
    });
    let before = bench.hear_text(conn);
    let set = Admin::SetSetting { name: "hostname".into(), value: Some("mail.example.org".into()) };
    bench.engine.admin(Write::Admin(set));
    bench.run();
    bench.commit();
    bench.send(conn, b"x");
    assert_ne!(before, "mail.example.org");
    assert_eq!(bench.hear_text(conn), "mail.example.org");
}

#[test]
fn sweeping_comes_now_and_then_and_knows_whether_the_clock_is_right() {
    let mut bench = Bench::new();
    let sweeps = |bench: &mut Bench| -> Vec<bool> {
        let trusted = |(_, write): &(_, Write)| match write {
            Write::Admin(Admin::Sweep { clock_trusted, .. }) => Some(*clock_trusted),
            _ => None,
        };
        bench.commits().iter().filter_map(trusted).collect()
    };
    bench.run();
    assert!(sweeps(&mut bench).is_empty());
    bench.wait(limits::SWEEP_AFTER_START);
    assert_eq!(sweeps(&mut bench), [true]);
    bench.now.wall = Wall(0);
    bench.wait(limits::SWEEP_INTERVAL);
    assert_eq!(sweeps(&mut bench), [false]);
}

#[test]
fn a_writer_far_behind_is_visible() {
    let mut bench = Bench::new();
    let conn = bench.open(|cx| {
        cx.output.str(if cx.busy { "busy" } else { "free" });
        Want::Bytes { until: NEVER }
    });
    assert_eq!(bench.hear_text(conn), "free");
    for _ in 0..=limits::COMMITS_IN_FLIGHT_BUSY {
        bench.engine.admin(nothing());
    }
    bench.run();
    bench.send(conn, b"x");
    assert_eq!(bench.hear_text(conn), "busy");
    bench.commit_as(outcome(&[]));
    bench.send(conn, b"x");
    assert_eq!(bench.hear_text(conn), "free");
}

#[test]
fn a_client_is_told_when_its_connection_is_there() {
    let mut bench = Bench::new();
    let to = "192.0.2.99:25".parse().expect("an address");
    let conn = bench.open(move |cx| match cx.answer.take() {
        Some(Answer::Connected(Ok(()))) => {
            cx.output.str("EHLO");
            Want::Bytes { until: NEVER }
        }
        Some(_) => Want::Close,
        None => Want::Connect { to, until: NEVER },
    });
    let dialled = bench.take(|effect| match effect {
        Effect::Connect { conn, to } => Some((*conn, *to)),
        _ => None,
    });
    assert_eq!(dialled, Some((conn, to)));
    bench.on(Event::Connected { conn, result: Ok(()) });
    assert_eq!(bench.hear_text(conn), "EHLO");
}

#[test]
fn a_constructor_that_panics_costs_one_connection() {
    fn falls(_: &Opening<'_>) -> Box<dyn Session> {
        panic!("planted")
    }
    let kinds = vec![service("falls", falls), service("echo", open_echo)];
    let mut bench = Bench::with(kinds, None, Config::default());
    let conn = bench.connect(0);
    assert!(bench.closed(conn));
    let conn = bench.connect(1);
    bench.send(conn, b"x");
    assert_eq!(bench.hear_text(conn), "x");
}

#[test]
fn idle_connections_cost_no_wake_up() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.connect(0);
    }
    bench.wait(limits::SWEEP_AFTER_START);
    bench.commits();
    assert_eq!(bench.next, Some(bench.now.mono.after(limits::SWEEP_INTERVAL)));
}

/// For tests of TLS: the same conversation on a port that begins with TLS.
fn implicit(kind: ServiceKind) -> ServiceKind {
    ServiceKind { implicit_tls: true, ..kind }
}
