//! Backup, restore, and kill -9.

use std::collections::BTreeMap;

use super::*;

#[test]
fn a_backup_is_taken_while_mail_comes_in_and_restored() {
    let (folder, db) = small_box();
    let server = Box::serve(&db);
    let copy = folder.path().join("copy.db");
    let mut talk = greeted(&server);
    assert!(deliver(&mut talk, "before-the-copy"));
    let backup = {
        let (db, line) = (db.clone(), format!("backup {}", copy.display()));
        std::thread::spawn(move || run(&db, &line))
    };
    let mut count = 0;
    while !backup.is_finished() {
        assert!(deliver(&mut talk, "during-the-copy"));
        count += 1;
    }
    let said = backup.join().expect("a thread").well();
    assert!(said.contains("checked"), "{said}");
    assert!(deliver(&mut talk, "after-the-copy"));
    run(&db, &format!("backup {}", copy.display())).badly(3, "exists already");
    let mut imap = server.imap("secret1");
    assert_eq!(messages(&mut imap), count + 2);
    drop(imap);
    assert!(server.stop().success());

    run(&db, &format!("restore {}", copy.display())).well();
    run(&db, "verify").well();
    let server = Box::serve(&db);
    let mut imap = server.imap("secret1");
    assert!((1..=count + 1).contains(&messages(&mut imap)));
    assert!(has(&mut imap, "before-the-copy") && !has(&mut imap, "after-the-copy"));
}

/// What a client that speaks QRESYNC (RFC 7162) remembers of INBOX.
#[derive(Default)]
struct Mirror {
    validity: String,
    modseq: String,
    subjects: BTreeMap<u32, String>,
    /// Every uid that was ever shown, and under which subject.
    ever: BTreeMap<u32, String>,
}

impl Mirror {
    /// Comes back after an absence and asks only for what has changed.
    fn sync(&mut self, talk: &mut Talk<Tls>) {
        let since = match self.validity.as_str() {
            "" => String::new(),
            validity => format!(" (QRESYNC ({validity} {}))", self.modseq),
        };
        talk.ask("ENABLE QRESYNC");
        let told = talk.ask(&format!("SELECT INBOX{since}"));
        let code = |name: &str| {
            let found = told.iter().find_map(|line| line.split_once(&format!("[{name} "))?.1.split_once(']'));
            found.expect("a response code").0.to_owned()
        };
        let validity = code("UIDVALIDITY");
        if validity != self.validity {
            self.subjects.clear();
        }
        self.modseq = code("HIGHESTMODSEQ");
        for gone in told.iter().filter_map(|line| line.strip_prefix("* VANISHED (EARLIER) ")) {
            self.subjects.retain(|uid, _| !covers(gone, *uid));
        }
        let changed: Vec<String> = match self.validity == validity {
            true => told.iter().filter_map(|line| uid_in(line)).map(|uid| uid.to_string()).collect(),
            false => vec!["1:*".into()],
        };
        self.validity = validity;
        if !changed.is_empty() {
            let fields = "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
            self.learn(&talk.ask(&format!("UID FETCH {} {fields}", changed.join(","))));
        }
        talk.ask("CLOSE");
    }

    fn learn(&mut self, told: &[String]) {
        let mut uid = None;
        for line in told {
            uid = uid_in(line).or(uid);
            if let (Some(uid), Some(subject)) = (uid, line.strip_prefix("Subject: ")) {
                self.subjects.insert(uid, subject.into());
                let before = self.ever.insert(uid, subject.into());
                assert!(before.is_none_or(|before| before == subject), "uid {uid} was another message once");
            }
        }
    }
}

/// The uid of a FETCH response.
fn uid_in(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(" FETCH (")?;
    let (_, rest) = rest.split_once("UID ")?;
    rest.split([' ', ')']).next()?.parse().ok()
}

/// Whether a uid is in a set such as `3,5:9`.
fn covers(set: &str, uid: u32) -> bool {
    set.split(',').any(|piece| {
        let (first, last) = piece.split_once(':').unwrap_or((piece, piece));
        let number = |text: &str| text.parse::<u32>().expect("a uid");
        (number(first)..=number(last)).contains(&uid)
    })
}

#[test]
fn a_client_that_saw_the_lost_timeline_ends_equal_to_the_restored_box() {
    let (folder, db) = small_box();
    let copy = folder.path().join("copy.db");
    let server = Box::serve(&db);
    let mut mail = greeted(&server);
    let mut client = Mirror::default();
    for subject in ["one", "two", "three", "four", "five"] {
        assert!(deliver(&mut mail, subject));
    }
    client.sync(&mut server.imap("secret1"));
    assert_eq!(client.subjects.len(), 5);
    run(&db, &format!("backup {}", copy.display())).well();

    for subject in ["lost six", "lost seven", "lost eight"] {
        assert!(deliver(&mut mail, subject));
    }
    let mut imap = server.imap("secret1");
    imap.ask("SELECT INBOX");
    imap.ask("UID STORE 2,7 +FLAGS.SILENT (\\Deleted)");
    imap.ask("UID STORE 1 +FLAGS.SILENT (\\Flagged)");
    imap.ask("EXPUNGE");
    client.sync(&mut server.imap("secret1"));
    assert_eq!(client.subjects.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 5, 6, 8]);
    drop((imap, mail));
    assert!(server.stop().success());

    run(&db, &format!("restore {}", copy.display())).well();
    let server = Box::serve(&db);
    let mut mail = greeted(&server);
    for subject in ["new six", "new seven"] {
        assert!(deliver(&mut mail, subject));
    }
    client.sync(&mut server.imap("secret1"));
    let mut fresh = Mirror::default();
    fresh.sync(&mut server.imap("secret1"));
    assert_eq!(client.subjects, fresh.subjects);
    assert_eq!(client.validity, fresh.validity);
    let subjects: Vec<&str> = fresh.subjects.values().map(String::as_str).collect();
    assert_eq!(subjects, ["one", "two", "three", "four", "five", "new six", "new seven"]);
    for (uid, subject) in &fresh.subjects {
        assert!(client.ever.get(uid).is_none_or(|before| before == subject), "uid {uid} changed its meaning");
    }
}

#[test]
fn a_restore_from_something_else_changes_nothing() {
    let (folder, db) = small_box();
    let other = folder.path().join("letter.txt");
    std::fs::write(&other, "Dear friend,\n".repeat(100)).expect("a file");
    run(&db, &format!("restore {}", other.display())).badly(3, "is not a pillarbox file");
    run(&db, "restore /no/such/file").badly(3, "/no/such/file");
    assert_eq!(run(&db, "domain list").well(), "box.test\n");
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let (_folder, db) = small_box();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let server = Box::serve(&db);
        let mut talk = greeted(&server);
        for number in 0..20 + round * 7 {
            let subject = format!("mail-{round}-{number}-end");
            assert!(deliver(&mut talk, &subject));
            acknowledged.push(subject);
        }
        // The last one is in the midst of its way.
        send(&mut talk, &format!("mail-{round}-last-end"));
        server.kill();
    }
    let server = Box::serve(&db);
    let mut imap = server.imap("secret1");
    imap.ask("EXAMINE INBOX");
    for subject in &acknowledged {
        assert!(has(&mut imap, subject), "{subject} was acknowledged and is gone");
    }
    drop(imap);
    assert!(server.stop().success());
    run(&db, "verify").well();
}

#[test]
fn a_backup_says_where_it_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, db) = small_box();
    let target = tempfile::tempdir().expect("a folder");
    let copy = target.path().join("copy.db");
    if rustix::process::geteuid().is_root() {
        // Root's own folder, and a box of somebody else's.
        std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).expect("given away");
        std::os::unix::fs::chown(&db, Some(65_534), Some(65_534)).expect("given away");
    } else {
        std::fs::set_permissions(target.path(), std::fs::Permissions::from_mode(0o500)).expect("closed");
    }
    run(&db, &format!("backup {}", copy.display())).badly(3, "name a folder of theirs");
    assert!(!copy.exists());
    run(&db, &format!("backup {}", folder.path().join("copy.db").display())).well();
}
