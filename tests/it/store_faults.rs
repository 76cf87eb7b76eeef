//! What was acknowledged is there after any failure of the disk: writes that fail, syncs that fail, no space, and power
//! cuts in the middle of anything. A failing seed is printed with the line that runs it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use pillarbox::base::limits::SLICE_BYTES;
use pillarbox::base::{Ticket, Uid, UidSet, Wall};
use pillarbox::mime::Summary;
use pillarbox::store::{
    Columns, Deliver, Done, NewBody, Place, Question, Reader, Reply, Slice, Target, Write, Writer,
};

use crate::store::{Box_, body, folder};
use crate::world::chance::Chance;
use crate::world::disk::{Crash, Disk};

const SEEDS: u64 = 20;
const ROUNDS: u64 = 25;
const NOW: Wall = Wall(1_795_000_000_000_000);

struct World {
    it: Option<Box_>,
    disk: Arc<Disk>,
    chance: Chance,
    /// What each acknowledged uid must show.
    acknowledged: BTreeMap<u32, Vec<u8>>,
    sent: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let dir = folder();
        let disk = Disk::watch(dir.path(), seed);
        let it = Some(Box_::within(dir));
        World { it, disk, chance: Chance::new(seed), acknowledged: BTreeMap::new(), sent: 0 }
    }

    fn text(&mut self) -> Vec<u8> {
        self.sent += 1;
        let length = if self.chance.one_in(5) { 30_000 } else { 300 };
        let mut text = format!("message {} ", self.sent).into_bytes();
        text.resize(length, b'.');
        text
    }

    fn fault(&mut self) {
        let ahead = self.chance.below(30);
        let kind = self.chance.below(6);
        self.disk.set_faults(|faults, counts| match kind {
            0 => faults.cut_at_write = Some(counts.writes + ahead),
            1 => faults.fail_write = Some(counts.writes + ahead),
            2 => faults.full_at_write = Some(counts.writes + ahead),
            3 => faults.fail_sync = Some(counts.syncs + ahead % 4),
            _ => (),
        });
    }

    fn round(&mut self) {
        self.fault();
        let texts: Vec<Vec<u8>> = (0..1 + self.chance.below(4)).map(|_| self.text()).collect();
        let Some(it) = self.it.as_mut() else { return };
        let account = it.account;
        let target = || Target { account, place: Place::Inbox, flags: Default::default() };
        let deliver = |text: &Vec<u8>| Deliver { body: body(text), to: vec![target()], received: NOW };
        let batch =
            texts.iter().zip(0..).map(|(text, n)| (Ticket(n), Write::Deliver(deliver(text)))).collect();
        if let Ok(outcomes) = it.writer.commit(batch) {
            for ((_, outcome), text) in outcomes.into_iter().zip(texts) {
                if let Ok(Done::Delivered(to)) = outcome.result {
                    assert_eq!(
                        self.acknowledged.insert(to[0].uid.0, text),
                        None,
                        "a uid was given out twice"
                    );
                }
            }
        }
        if self.chance.one_in(3) {
            let idle = self.chance.one_in(2);
            // Failing is allowed, losing is not.
            let _ = it.writer.checkpoint(idle);
        }
        if self.disk.is_dead() || self.chance.one_in(4) {
            self.crash();
        }
        self.check();
    }

    fn crash(&mut self) {
        let Some(it) = self.it.take() else { return };
        let Box_ { dir, writer, reader, account, inbox } = it;
        self.disk.kill();
        drop((writer, reader));
        self.disk.crash(Crash::Power);
        let path = dir.path().join("box.db");
        let writer = Writer::open(&path).expect("opened after a power cut");
        let reader = Reader::open(&path).expect("opened after a power cut");
        self.it = Some(Box_ { dir, writer, reader, account, inbox });
    }

    fn check(&mut self) {
        self.disk.set_faults(|faults, _| *faults = Default::default());
        let Some(it) = &self.it else { return };
        it.reader.end_turn();
        for (uid, text) in &self.acknowledged {
            let question = Question::Rows {
                mailbox: it.inbox,
                account: it.account,
                uids: Arc::new(UidSet::range(*uid..=*uid)),
                from: Uid(1),
                columns: Columns { body: true, ..Columns::default() },
            };
            let Ok(Reply::Rows(rows)) = it.reader.answer(&question) else {
                panic!("uid {uid} cannot be read")
            };
            assert_eq!(rows.rows.len(), 1, "uid {uid} was acknowledged and is gone");
            assert!(&rows.arena[rows.rows[0].first_slice.clone()] == text, "uid {uid} shows another message");
        }
        let faults = pillarbox::store::verify::verify(&it.reader, &mut |_| ()).expect("verified");
        assert_eq!(faults, Vec::<String>::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.it = None;
        self.disk.unwatch();
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..ROUNDS {
        world.round();
    }
    assert!(world.acknowledged.len() > 10, "the disk failed so often that nothing was tested");
}

#[test]
fn nothing_acknowledged_is_lost_to_a_failing_disk() {
    let wanted = std::env::var("SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in wanted.map_or(0..SEEDS, |seed| seed..seed + 1) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("run this seed alone: SEED={seed} cargo test --test it nothing_acknowledged_is_lost");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn an_upload_cut_short_by_a_crash_can_never_be_finished_wrong() {
    let mut world = World::new(7);
    let slice =
        |byte| Slice { stored: vec![byte; SLICE_BYTES], compressed: false, length: SLICE_BYTES as u32 };
    let stage = |body, seq, byte| Write::Stage { body, seq, slice: slice(byte), now: NOW };
    let it = world.it.as_mut().expect("open");
    let Ok(Done::Staged(body)) = it.put(stage(None, 0, 1)) else { panic!("not staged") };
    world.crash();
    let it = world.it.as_mut().expect("open");
    let staged =
        NewBody::Staged { body, size: SLICE_BYTES as u64, sha256: [0; 32], summary: Summary::default() };
    assert!(it.put(stage(Some(body), 1, 2)).is_err());
    let target = Target { account: it.account, place: Place::Inbox, flags: Default::default() };
    let deliver = Write::Deliver(Deliver { body: staged, to: vec![target], received: NOW });
    assert!(it.put(deliver).is_err());
    let Ok(Done::Staged(other)) = it.put(stage(None, 0, 3)) else { panic!("not staged") };
    assert!(other > body, "a body id is never given out twice");
}
