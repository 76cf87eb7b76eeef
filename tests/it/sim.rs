//! The simulated lives. `SIM_SEEDS=5000` runs more, `SIM_SEED=17 SIM_WORKLOAD=Sync` one, `SIM_TRACE=1` tells all.

use crate::world::life::{Report, WORKLOADS, Workload, run};

/// Seeds for each workload; `tests/run` asks for 300 of all.
fn seeds() -> u64 {
    let seeds: u64 = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    seeds.div_ceil(WORKLOADS.len() as u64)
}

fn one_seed() -> Option<u64> {
    std::env::var("SIM_SEED").ok().and_then(|n| n.parse().ok())
}

/// One line with which the failing life comes back.
fn command(workload: Workload, seed: u64) -> String {
    format!("SIM_SEED={seed} SIM_WORKLOAD={workload:?} cargo test --test it sim::one_life -- --nocapture")
}

fn live(workload: Workload, seed: u64) -> Result<Report, String> {
    let report = std::panic::catch_unwind(|| run(workload, seed));
    let report = report.map_err(|_| format!("{}\n    the world panicked", command(workload, seed)))?;
    if report.complaints.is_empty() {
        return Ok(report);
    }
    let first: Vec<String> = report.complaints.iter().take(4).map(|c| format!("    {c}")).collect();
    Err(format!("{}\n{}", command(workload, seed), first.join("\n")))
}

fn many(workload: Workload) {
    let mut failures = Vec::new();
    let (mut answered, mut acknowledged, mut crashes) = (0, 0, 0);
    for seed in 0..seeds() {
        match live(workload, seed) {
            Ok(report) => {
                answered += report.answered;
                acknowledged += report.acknowledged;
                crashes += u64::from(report.crashes);
            }
            Err(wrong) => failures.push(wrong),
        }
    }
    let passed = seeds() - failures.len() as u64;
    println!("seeds {workload:?}: {passed} passed, {} failed", failures.len());
    println!("  {answered} replies, {acknowledged} messages acknowledged, {crashes} crashes");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        answered > 10 * seeds() && acknowledged > seeds(),
        "something must happen: {answered} {acknowledged}"
    );
}

#[test]
fn clients_that_sync_while_mail_comes_in_end_equal_to_the_store() {
    many(Workload::Sync);
}

#[test]
fn what_was_submitted_and_acknowledged_is_there_once() {
    many(Workload::Submit);
}

#[test]
fn hostile_peers_are_not_noticed_by_others() {
    many(Workload::Hostile);
}

#[test]
fn what_pop3_fetches_was_delivered_and_what_it_deletes_stays_deleted() {
    many(Workload::Post);
}

#[test]
fn the_same_seed_is_the_same_life() {
    for workload in WORKLOADS {
        for seed in [3, 8] {
            assert_eq!(run(workload, seed).hash, run(workload, seed).hash, "{}", command(workload, seed));
        }
    }
}

/// For the command line that a failing seed prints; without `SIM_SEED` there is nothing to do.
#[test]
fn one_life() {
    let Some(seed) = one_seed() else { return };
    let wanted = std::env::var("SIM_WORKLOAD").unwrap_or_default();
    for workload in WORKLOADS.into_iter().filter(|w| wanted.is_empty() || format!("{w:?}") == wanted) {
        let report = run(workload, seed);
        println!("{workload:?} {report:#?}");
        assert!(report.complaints.is_empty(), "{} complaints", report.complaints.len());
    }
}
