//! Would the simulator notice? Each of these bugs is planted in the world around the engine (its disk, its writer, its
//! reader, or the session as its clients see it), and some life among the first few seeds must then complain. The same
//! seeds without a bug complain about nothing: that is what `sim` tests.

use std::collections::BTreeSet;

use crate::world::habits::{Bug, plant};
use crate::world::life::{Workload, run};

/// Seeds tried until one complains.
const SEEDS: u64 = 200;

/// Lives with the bug until a complaint contains one of the words; says which seed it was.
fn caught(bug: Bug, workload: Workload, words: &[&str]) {
    let mut others = BTreeSet::new();
    for seed in 0..SEEDS {
        plant(Some(bug));
        let report = std::panic::catch_unwind(|| run(workload, seed));
        plant(None);
        let Ok(report) = report else { continue };
        for complaint in report.complaints {
            if words.iter().any(|word| complaint.contains(word)) {
                println!("{bug:?} is caught by seed {seed}: {complaint}");
                return;
            }
            others.insert(complaint.chars().take(200).collect::<String>());
        }
    }
    panic!("{bug:?} was not caught in {SEEDS} lives; other complaints: {others:#?}");
}

#[test]
fn an_answer_before_the_fsync_is_caught() {
    caught(Bug::AnswerBeforeFsync, Workload::Submit, &["after boot"]);
}

#[test]
fn a_uid_used_again_after_a_crash_is_caught() {
    caught(Bug::UidReusedAfterCrash, Workload::Sync, &["went back: uid", "was given before"]);
}

#[test]
fn a_search_index_that_skips_a_body_is_caught() {
    caught(Bug::WatermarkTooFar, Workload::Sync, &["cannot be found"]);
}

#[test]
fn a_lost_hint_is_caught() {
    caught(Bug::HintLost, Workload::Sync, &["idles and was told"]);
}

#[test]
fn an_expunge_told_during_fetch_is_caught() {
    caught(
        Bug::ExpungeDuringFetch,
        Workload::Sync,
        &["while a command with sequence numbers is in progress"],
    );
}

#[test]
fn a_commit_applied_twice_is_caught() {
    caught(Bug::CommitAppliedTwice, Workload::Submit, &["that nobody put there", "was given before"]);
}

#[test]
fn a_flag_change_without_modseq_is_caught() {
    caught(Bug::FlagChangeWithoutModseq, Workload::Sync, &["modseq", "sees"]);
}

#[test]
fn a_literal_cut_short_is_caught() {
    caught(
        Bug::LiteralCutShort,
        Workload::Sync,
        &["bytes came with", "where one must be", "not what was sent"],
    );
}

#[test]
fn an_answer_given_to_the_wrong_conversation_is_caught() {
    let words =
        ["not all of it was told", "to a read", "hung up", "was uid", "not what was sent", "no reply"];
    caught(Bug::AnswerToTheWrongConversation, Workload::Sync, &words);
}

#[test]
fn room_that_is_never_woken_is_caught() {
    caught(Bug::RoomNeverWoken, Workload::Submit, &["no reply", "hung up"]);
}

#[test]
fn a_stale_answer_that_is_accepted_is_caught() {
    caught(
        Bug::StaleAnswerAccepted,
        Workload::Sync,
        &[
            "was uid",
            "is not between",
            "not what was sent",
            "no reply",
            "bytes came with",
            "FETCH of message",
        ],
    );
}

/// Of our own choice: a resync that does not say what has vanished.
#[test]
fn a_forgotten_vanished_is_caught() {
    caught(Bug::VanishedForgotten, Workload::Sync, &["after the resync"]);
}

/// Of our own choice: of several messages that came in one APPEND, one is not there.
#[test]
fn a_message_of_many_that_is_lost_is_caught() {
    caught(Bug::LastOfManyLost, Workload::Sync, &["counts", "sees"]);
}

/// Of our own choice: COMPRESS is answered with OK, and what follows is not compressed.
#[test]
fn a_compress_that_is_forgotten_is_caught() {
    caught(Bug::CompressForgotten, Workload::Sync, &["DEFLATE is none", "no reply", "hung up"]);
}

/// Of our own choice: two slices of a long body change places.
#[test]
fn swapped_slices_of_a_body_are_caught() {
    caught(Bug::BodySlicesSwapped, Workload::Submit, &["not what was sent"]);
}

/// QUIT is answered, and what was marked is still there.
#[test]
fn a_quit_that_deletes_nothing_is_caught() {
    caught(Bug::QuitForgets, Workload::Post, &["was deleted at QUIT and is there again"]);
}

/// QUIT deletes a message that was not marked as well.
#[test]
fn a_quit_that_deletes_too_much_is_caught() {
    caught(Bug::QuitTakesMore, Workload::Post, &["nobody said QUIT for it"]);
}
