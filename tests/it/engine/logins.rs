//! Password checks: who is hashed, who waits, who is spared.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillarbox::base::limits;
use pillarbox::base::{ConnId, Wall};
use pillarbox::engine::{Effect, Event};
use pillarbox::session::{Answer, Ask, PasswordCheck, Service, Verdict, Want};
use pillarbox::store::{Admin, Scope, Write};

use super::bench::{Bench, NEVER, WALL};

pub const ALICE: &str = "alice@box.test";

fn phc(of: &str) -> String {
    format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${of}")
}

/// A box with one account, whose password is whatever the test's hash says.
pub fn with_alice() -> Bench {
    let mut bench = Bench::new();
    bench.prepare(Write::Admin(Admin::AddDomain { name: "box.test".into() }));
    let now = Wall::from_unix(WALL);
    bench.prepare(Write::Admin(Admin::AddAccount { name: ALICE.into(), hash: phc("main"), now }));
    bench
}

type Heard = Arc<Mutex<Option<Verdict>>>;

/// Opens a conversation that asks for one check.
fn ask(bench: &mut Bench, login: &str, secret: &str, from: &str, service: Service) -> (ConnId, Heard) {
    let heard = Heard::default();
    let note = Arc::clone(&heard);
    let check = PasswordCheck {
        login: login.into(),
        secret: secret.into(),
        from: from.parse().expect("an address"),
        service,
    };
    let conn = bench.open(move |cx| {
        if let Some(Answer::Password(verdict)) = cx.answer.take() {
            *note.lock().expect("one thread") = Some(verdict);
            return Want::Bytes { until: NEVER };
        }
        Want::Answer { to: Ask::Password(check.clone()), until: NEVER }
    });
    (conn, heard)
}

fn verdict(heard: &Heard) -> Option<Verdict> {
    heard.lock().expect("one thread").clone()
}

/// Computes the hashes that wait: `secret` matches `main`, `app-secret` matches `app`. Returns how many there were.
fn hash(bench: &mut Bench) -> usize {
    let mut count = 0;
    while let Some((ticket, secret, hashes)) = bench.take(|effect| match effect {
        Effect::Hash { ticket, secret, hashes } => Some((*ticket, secret.clone(), hashes.clone())),
        _ => None,
    }) {
        let wanted = match &secret[..] {
            b"secret" => phc("main"),
            b"app-secret" => phc("app"),
            _ => phc("none"),
        };
        count += 1;
        bench.on(Event::Hashed { ticket, matched: hashes.iter().position(|hash| *hash == wanted) });
    }
    count
}

/// One whole login for IMAP.
pub fn login(bench: &mut Bench, login: &str, secret: &str, from: &str) -> (ConnId, Option<Verdict>) {
    let (conn, heard) = ask(bench, login, secret, from, Service::Mail);
    hash(bench);
    (conn, verdict(&heard))
}

fn granted(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Granted(_)))
}

#[test]
fn the_right_password_is_granted_and_the_wrong_one_is_not() {
    let mut bench = with_alice();
    assert_eq!(login(&mut bench, ALICE, "wrong", "192.0.2.1").1, Some(Verdict::Denied));
    let Some(Verdict::Granted(who)) = login(&mut bench, "Alice@Box.test", "secret", "192.0.2.1").1 else {
        panic!("granted");
    };
    assert_eq!((&*who.name, who.scope), (ALICE, Scope::All));
    let gauges = bench.engine.status().gauges;
    assert_eq!((gauges.logins, gauges.logins_denied), (1, 1));
}

#[test]
fn an_unknown_user_is_hashed_all_the_same() {
    let mut bench = with_alice();
    let (_, heard) = ask(&mut bench, "nobody@box.test", "secret", "192.0.2.1", Service::Mail);
    assert_eq!(verdict(&heard), None, "not before the hash");
    assert_eq!(hash(&mut bench), 1);
    assert_eq!(verdict(&heard), Some(Verdict::Denied), "although somebody has that password");
    let (_, heard) = ask(&mut bench, ALICE, "", "192.0.2.1", Service::Mail);
    assert_eq!(hash(&mut bench), 1, "and so is an empty password");
    assert_eq!(verdict(&heard), Some(Verdict::Denied));
}

#[test]
fn the_last_good_password_needs_no_hash() {
    let mut bench = with_alice();
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
    let (_, heard) = ask(&mut bench, ALICE, "secret", "198.51.100.1", Service::Send);
    assert!(granted(verdict(&heard)));
    let (_, heard) = ask(&mut bench, ALICE, "secret2", "192.0.2.1", Service::Mail);
    assert_eq!(verdict(&heard), None);
}

#[test]
fn a_changed_password_ends_cached_proofs() {
    let mut bench = with_alice();
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
    bench.commit();
    let now = Wall::from_unix(WALL);
    bench.prepare(Write::Admin(Admin::SetPassword { account: ALICE.into(), hash: phc("new"), now }));
    assert_eq!(login(&mut bench, ALICE, "secret", "192.0.2.1").1, Some(Verdict::Denied));
}

#[test]
fn a_password_changed_while_it_was_hashed_grants_nothing() {
    let mut bench = with_alice();
    let (_, heard) = ask(&mut bench, ALICE, "secret", "192.0.2.1", Service::Mail);
    let now = Wall::from_unix(WALL);
    bench.prepare(Write::Admin(Admin::SetPassword { account: ALICE.into(), hash: phc("new"), now }));
    hash(&mut bench);
    assert_eq!(verdict(&heard), Some(Verdict::Denied));
}

#[test]
fn an_app_password_serves_only_what_it_is_for() {
    let mut bench = with_alice();
    let add = Admin::AddCredential {
        account: ALICE.into(),
        name: "phone".into(),
        scope: Scope::SendOnly,
        hash: phc("app"),
        now: Wall::from_unix(WALL),
    };
    bench.prepare(Write::Admin(add));
    assert_eq!(login(&mut bench, ALICE, "app-secret", "192.0.2.1").1, Some(Verdict::Denied));
    let (_, heard) = ask(&mut bench, ALICE, "app-secret", "192.0.2.1", Service::Send);
    hash(&mut bench);
    assert!(granted(verdict(&heard)));
}

#[test]
fn the_same_attempt_on_many_connections_is_hashed_once() {
    let mut bench = with_alice();
    let all: Vec<Heard> =
        (0..200).map(|_| ask(&mut bench, ALICE, "secret", "192.0.2.1", Service::Mail).1).collect();
    assert_eq!(hash(&mut bench), 1);
    assert!(all.iter().all(|heard| granted(verdict(heard))));
}

#[test]
fn too_many_checks_at_once_are_told_to_come_back() {
    let mut bench = with_alice();
    let mut busy = 0;
    for n in 0..limits::HASH_QUEUE_MAX {
        let from = format!("198.51.100.{n}");
        let (_, heard) = ask(&mut bench, "nobody", "x", &from, Service::Mail);
        busy += usize::from(verdict(&heard) == Some(Verdict::Busy));
    }
    assert_eq!(busy, limits::HASH_QUEUE_MAX / 4);
    assert_eq!(bench.engine.status().hashes_waiting, limits::HASH_QUEUE_MAX - busy);
    hash(&mut bench);
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
}

#[test]
fn one_network_cannot_fill_the_queue_with_guesses() {
    let mut bench = with_alice();
    let guesses: Vec<Heard> = (0..100)
        .map(|n| ask(&mut bench, ALICE, &format!("guess {n}"), "198.51.100.1", Service::Mail).1)
        .collect();
    let hashes =
        |bench: &Bench| bench.effects.iter().filter(|effect| matches!(effect, Effect::Hash { .. })).count();
    assert_eq!(hashes(&bench), limits::HASHES_PER_NET_MAX);
    let (_, heard) = ask(&mut bench, ALICE, "secret", "192.0.2.1", Service::Mail);
    assert_eq!(hashes(&bench), limits::HASHES_PER_NET_MAX + 1);
    hash(&mut bench);
    assert!(granted(verdict(&heard)));
    for _ in 0..100 {
        bench.wait(limits::HASH_HOLD);
        hash(&mut bench);
    }
    assert!(guesses.iter().all(|heard| verdict(heard) == Some(Verdict::Denied)));
    assert_eq!(bench.engine.status().hashes_waiting, 0);
}

#[test]
fn a_guesser_who_hangs_up_while_held_back_is_not_hashed() {
    let mut bench = with_alice();
    for n in 0..=limits::LOGIN_FAILURES_FREE {
        login(&mut bench, ALICE, &format!("guess {n}"), "198.51.100.1");
    }
    let (conn, _) = ask(&mut bench, ALICE, "guess", "198.51.100.1", Service::Mail);
    bench.on(Event::Lost { conn });
    bench.wait(limits::LOGIN_DELAY_MAX);
    assert_eq!(hash(&mut bench), 0);
    assert_eq!(bench.engine.status().hashes_waiting, 0);
}

#[test]
fn guessers_who_hang_up_and_come_back_are_not_all_remembered() {
    let mut bench = with_alice();
    for n in 0..=limits::LOGIN_FAILURES_FREE + 5 {
        login(&mut bench, "nobody", &format!("guess {n}"), "198.51.100.1");
        bench.wait(limits::LOGIN_DELAY_MAX);
        hash(&mut bench);
    }
    for n in 0..2 * limits::ATTEMPTS_MAX {
        let (conn, _) = ask(&mut bench, "nobody", &format!("another {n}"), "198.51.100.1", Service::Mail);
        bench.on(Event::Lost { conn });
    }
    assert!(bench.engine.status().hashes_waiting <= limits::ATTEMPTS_MAX);
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
}

#[test]
fn wrong_passwords_are_delayed_but_not_where_the_owner_is() {
    let mut bench = with_alice();
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
    for n in 0..=limits::LOGIN_FAILURES_FREE {
        assert_eq!(login(&mut bench, ALICE, &format!("guess {n}"), "198.51.100.1").1, Some(Verdict::Denied));
    }
    let (_, heard) = ask(&mut bench, ALICE, "guess", "198.51.100.1", Service::Mail);
    assert_eq!(hash(&mut bench), 0, "held back");
    bench.wait(Duration::from_secs(1));
    assert_eq!(hash(&mut bench), 1);
    assert_eq!(verdict(&heard), Some(Verdict::Denied));
    assert_eq!(login(&mut bench, ALICE, "mistyped", "192.0.2.1").1, Some(Verdict::Denied));
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1));
}

#[test]
fn the_file_remembers_after_a_restart_where_the_owner_is() {
    let mut bench = with_alice();
    let account = bench.reader.account_by_login(ALICE).expect("readable").expect("there").id;
    let credential = bench.reader.credentials(account).expect("readable")[0].id;
    bench.reader.end_turn();
    let at = Wall::from_unix(WALL - 60);
    bench.prepare(Write::Used { credential, at, from: "192.0.2.1".into() });
    for n in 0..=limits::LOGIN_FAILURES_FREE {
        login(&mut bench, ALICE, &format!("guess {n}"), "198.51.100.1");
    }
    assert!(granted(login(&mut bench, ALICE, "secret", "192.0.2.1").1), "not delayed");
}

#[test]
fn use_is_written_down_at_most_once_a_minute() {
    let mut bench = with_alice();
    let used = |bench: &mut Bench| {
        bench.commits().iter().filter(|(_, write)| matches!(write, Write::Used { .. })).count()
    };
    login(&mut bench, ALICE, "secret", "192.0.2.1");
    assert_eq!(used(&mut bench), 1);
    login(&mut bench, ALICE, "secret", "192.0.2.1");
    assert_eq!(used(&mut bench), 0);
    bench.wait(limits::USED_INTERVAL);
    login(&mut bench, ALICE, "secret", "192.0.2.1");
    assert_eq!(used(&mut bench), 1);
}
