//! From nothing to a box, and what stands in the way of one.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use rustix::process::{Pid, Signal};

use super::*;

#[test]
fn quickstart_makes_a_box_that_a_client_can_use_and_serves_it_again() {
    let (folder, db) = folder();
    let server = Box::quickstart(&db);
    assert!(server.greeting.contains("\"made\":true"), "{}", server.greeting);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&db).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    for (service, greeting) in [("smtp", "220 "), ("submission", "220 "), ("imap", "* OK"), ("pop3", "+OK")] {
        server.plain(service).expect(greeting);
    }
    let pin = text_field(&server.greeting, "fingerprint");
    assert!(pin.is_some(), "{}", server.greeting);
    for (service, greeting) in [("submissions", "220 "), ("imaps", "* OK"), ("pop3s", "+OK")] {
        Talk::new(tls(connect(server.address(service)), pin.clone())).expect(greeting);
    }
    let password = server.password();
    let mut imap = server.imap(&password);
    assert_eq!(messages(&mut imap), 1, "the welcome message");
    assert!(has(&mut imap, "Welcome"));
    let mailboxes = imap.ask("LIST \"\" *").join("\n");
    for special in ["\\Sent", "\\Drafts", "\\Trash", "\\Junk"] {
        assert!(mailboxes.contains(special), "{mailboxes}");
    }
    assert!(server.stop().success());

    let again = Box::quickstart(&db);
    assert!(again.greeting.contains("\"made\":false"), "{}", again.greeting);
    assert!(again.greeting.contains("\"password\":null"), "{}", again.greeting);
    assert_eq!(messages(&mut again.imap(&password)), 1);
    run(&db, "quickstart --ports-from 0").badly(5, "served already");
    assert!(again.stop().success());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with("-wal")), "one file: {left:?}");
}

#[test]
fn quickstart_says_what_a_person_must_type() {
    let (_folder, db) = folder();
    let mut command = program();
    command.args(["quickstart", "ann@example.test", "--ports-from", "0", "--db"]).arg(&db);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut shown = String::new();
    while !shown.contains("Ctrl-C") {
        shown.push_str(&lines.next().expect("more").expect("a line"));
        shown.push('\n');
    }
    for part in [
        "ann@example.test",
        "password",
        "127.0.0.1",
        "STARTTLS",
        "POP3",
        "STLS",
        "fingerprint",
        "curl --insecure",
    ] {
        assert!(shown.contains(part), "no {part} in:\n{shown}");
    }
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn quickstart_for_somebody_else_is_refused() {
    let (_folder, db) = small_box();
    run(&db, "quickstart you@box.test --ports-from 0").badly(4, "no account for you@box.test");
}

#[test]
fn an_empty_file_is_no_box_yet() {
    let (_folder, db) = folder();
    std::fs::write(&db, "").expect("a file");
    run(&db, "status").badly(3, "there is no pillarbox file");
    run(&db, "quickstart somebody --ports-from 0").badly(2, "not an address");
    assert!(Box::quickstart(&db).stop().success());
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_behind() {
    let (_folder, db) = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    run(&db, &format!("quickstart --ports-from {}", port - 25))
        .badly(6, &format!("port {port} on 127.0.0.1 is taken"));
    assert!(!db.exists(), "a password that nobody saw is of no use");
}

#[test]
fn a_file_that_is_no_box_is_refused_and_left_alone() {
    let (_folder, db) = folder();
    let text = "This is somebody's letter, not a box.\n".repeat(300);
    std::fs::write(&db, &text).expect("a file");
    for line in
        ["quickstart --ports-from 0", "serve", "status", "domain add box.test", "account list", "verify"]
    {
        run(&db, line).badly(3, "is not a pillarbox file");
    }
    assert_eq!(std::fs::read_to_string(&db).expect("the file"), text);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_one_sentence() {
    let (folder, _) = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for line in ["quickstart --ports-from 0", "serve", "domain add box.test"] {
        run(&file.join("box.db"), line).badly(3, "cannot write to the folder");
    }
}

#[test]
fn a_missing_file_is_said_with_what_to_do() {
    let (_folder, db) = folder();
    for line in ["status", "account list", "config get hostname", "backup x.db", "verify", "rebuild"] {
        run(&db, line).badly(3, "there is no pillarbox file");
    }
}

#[test]
fn a_newer_file_is_refused() {
    let (_folder, db) = small_box();
    let file = rusqlite::Connection::open(&db).expect("the file");
    file.pragma_update(None, "user_version", 999).expect("a version");
    drop(file);
    for line in ["serve", "status", "domain add example.test"] {
        run(&db, line).badly(3, "newer pillarbox");
    }
}
