//! How a world behaves: how long things take, and how often they go wrong. All zero is a calm world, in which
//! everything happens at once and nothing fails: the world of transcripts.

use std::cell::Cell;
use std::time::Duration;

use super::chance::Chance;

#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// One way through the network, usually.
    pub network: Duration,
    /// A commit with its fsync, usually.
    pub commit: Duration,
    /// One slice of a read, usually.
    pub read: Duration,
    /// Things take exactly as long as they usually do.
    pub steady: bool,
    /// One password hash, usually.
    pub hash: Duration,
    /// Sends are cut into pieces of at most this; 0 leaves them whole.
    pub piece_bytes: u64,
    /// A peer takes at most this many bytes at once; 0 takes all.
    pub window_bytes: u64,
    /// One in so many drains stalls for a minute: a phone in a tunnel.
    pub stalls: u64,
    /// One in so many pieces resets the connection instead.
    pub resets: u64,
    /// One in so many writes is refused for want of disk.
    pub refused: u64,
    /// One in so many batches meets a failing sync.
    pub failed_syncs: u64,
    /// One in so many batches meets a failing write, or a full disk in the middle of one.
    pub failed_writes: u64,
    /// One in so many steps of a session panics.
    pub panics: u64,
    /// One in so many writes panics inside the commit.
    pub write_panics: u64,
    /// One in so many writes of the disk is its last for now.
    pub cuts: u64,
}

impl Habits {
    pub fn calm() -> Habits {
        Habits::default()
    }

    /// Swarm testing: each seed draws which faults exist at all, and how rough they are.
    pub fn drawn(chance: &mut Chance) -> Habits {
        let mut maybe = |values: &[u64]| if chance.one_in(2) { 0 } else { *chance.pick(values) };
        let (network, commit) = (maybe(&[200, 5_000, 80_000]), maybe(&[500, 4_000, 60_000]));
        let (read, hash) = (maybe(&[100, 3_000, 50_000]), maybe(&[20_000, 100_000]));
        Habits {
            network: Duration::from_micros(network),
            commit: Duration::from_micros(commit),
            steady: false,
            read: Duration::from_micros(read),
            hash: Duration::from_micros(hash),
            piece_bytes: maybe(&[7, 100, 1500]),
            window_bytes: maybe(&[60, 1_000, 16_000]),
            stalls: maybe(&[400, 4_000]),
            resets: maybe(&[500, 3_000]),
            refused: maybe(&[20, 100]),
            failed_syncs: maybe(&[30, 150]),
            failed_writes: maybe(&[30, 150]),
            panics: maybe(&[300, 3_000]),
            write_panics: maybe(&[100, 400]),
            cuts: maybe(&[150, 900]),
        }
    }

    /// Nothing goes wrong any more, but time still passes: for the end of a run, when all must come right.
    pub fn healed(&self) -> Habits {
        Habits {
            stalls: 0,
            resets: 0,
            refused: 0,
            failed_syncs: 0,
            failed_writes: 0,
            panics: 0,
            write_panics: 0,
            cuts: 0,
            piece_bytes: self.piece_bytes.max(200) * u64::from(self.piece_bytes > 0),
            window_bytes: self.window_bytes.max(4_000) * u64::from(self.window_bytes > 0),
            ..self.clone()
        }
    }
}

/// Bugs that a test plants to see whether the checks catch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    AnswerBeforeFsync,
    UidReusedAfterCrash,
    HintLost,
    ExpungeDuringFetch,
    CommitAppliedTwice,
    FlagChangeWithoutModseq,
    LiteralCutShort,
    AnswerToTheWrongConversation,
    RoomNeverWoken,
    StaleAnswerAccepted,
    VanishedForgotten,
    BodySlicesSwapped,
    QuitForgets,
    QuitTakesMore,
    LastOfManyLost,
    CompressForgotten,
    WatermarkTooFar,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in all worlds of this thread, or none.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
