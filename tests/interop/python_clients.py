"""Python's smtplib and imaplib: submit, deliver, read, flag, copy, expunge, and two devices that see each other."""

import imaplib
import smtplib
import socket

from common import *

# --- another server delivers; with and without STARTTLS ---
for secure in (False, True):
    subject = f"from outside, {'TLS' if secure else 'clear'}"
    sent = message(subject, "Zwölf Boxkämpfer\n.leading dot\n", sender="friend@example.org")
    with smtplib.SMTP(HOST, port("SMTP")) as client:
        if secure:
            client.starttls(context=tls())
        refused = client.sendmail("friend@example.org", [USER, "postmaster@" + USER.split("@")[1]], sent)
        assert refused == {}, refused
    client = imap("INBOX")
    found = uids(client, "SUBJECT", f'"{subject}"')
    assert found, subject
    for uid in found:
        assert content(body(client, uid)) == sent, "bytes differ from what was sent"
        assert body(client, uid).startswith(b"Return-Path: <friend@example.org>\r\n")
    client.logout()

# --- never a relay, never an unknown recipient ---
with smtplib.SMTP(HOST, port("SMTP")) as client:
    client.helo("example.org")
    client.mail("friend@example.org")
    assert client.rcpt("nobody-here@" + USER.split("@")[1])[0] == 550
    assert client.rcpt("someone@example.net")[0] in (550, 551, 554)

# --- submission needs TLS, then AUTH ---
with smtplib.SMTP(HOST, port("SUBMISSION")) as client:
    client.ehlo()
    assert not client.has_extn("auth"), "AUTH offered in the clear"
    assert client.mail(USER)[0] == 530
for secure in ("SUBMISSION", "SUBMISSIONS"):
    subject = f"submitted on {secure}"
    sent = message(subject, "x" * 70 + "\n", attachment=bytes(range(256)) * 2000)
    if secure == "SUBMISSION":
        client = smtplib.SMTP(HOST, port(secure))
        client.starttls(context=tls())
    else:
        client = smtplib.SMTP_SSL(HOST, port(secure), context=tls())
    client.login(USER, PASSWORD)
    assert client.sendmail(USER, [USER], sent) == {}
    client.quit()
    assert content(arrived(subject)[1]) == sent
with smtplib.SMTP(HOST, port("SUBMISSION")) as client:
    client.starttls(context=tls())
    try:
        client.login(USER, PASSWORD + "x")
        raise AssertionError("a wrong password was accepted")
    except smtplib.SMTPAuthenticationError as refusal:
        assert refusal.smtp_code == 535

# --- Outlook on macOS names the server with a dot at its end ---
context = ssl._create_unverified_context()
with socket.create_connection((HOST, port("IMAPS"))) as raw:
    with context.wrap_socket(raw, server_hostname="localhost.") as talk:
        assert talk.recv(100).startswith(b"* OK [CAPABILITY ")

# --- IMAP: STARTTLS and TLS, append, flags, copy, move, expunge ---
plain = imaplib.IMAP4(HOST, port("IMAP"))
assert "LOGINDISABLED" in plain.capabilities, plain.capabilities
plain.starttls(ssl_context=tls())
plain.login(USER, PASSWORD)
plain.logout()

client = imap()
ok(client.create("Work"))
ok(client.create("Work/Deep"))
sent = message("appended", "in a box\n")
answer = ok(client.append("Work", r"(\Seen $Forwarded)", '"01-Feb-2003 04:05:06 +0000"', sent))
assert b"APPENDUID" in answer[0], answer
ok(client.select("Work"))
(uid,) = uids(client, "ALL")
assert body(client, uid) == sent
assert flags(client, uid) == {"\\Seen", "$Forwarded"}, flags(client, uid)
assert re.search(rb'"[ 0]1-Feb-2003 04:05:06 \+0000"', ok(client.uid("FETCH", str(uid), "(INTERNALDATE)"))[0])
ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Flagged)"))
assert flags(client, uid) == {"\\Seen", "\\Flagged", "$Forwarded"}
ok(client.uid("COPY", str(uid), "Work/Deep"))
ok(client.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)"))
assert ok(client.expunge()) == [b"1"]
assert uids(client, "ALL") == []
ok(client.select("Work/Deep"))
(copy,) = uids(client, "ALL")
assert body(client, copy) == sent and "\\Flagged" in flags(client, copy)

# --- quota: told for any mailbox, set for oneself, kept, and lifted again ---
roots, told = ok(client.getquotaroot("Work"))
assert roots == [b'Work ""'] and len(told) == 1, (roots, told)
(told,) = ok(client.getquota('""'))
used, limit = map(int, re.fullmatch(rb'"" \(MAILBOX (\d+) (\d+)\)', told).groups())
assert used == len(ok(client.list())) and limit == 10000, told
(told,) = ok(client.setquota('""', f"(STORAGE 100000 MAILBOX {used})"))
assert re.fullmatch(rb'"" \(STORAGE \d+ 100000 MAILBOX %d %d\)' % (used, used), told), told
status, why = client.create("OneMore")
assert status == "NO" and b"[OVERQUOTA]" in why[0], why
ok(client.setquota('""', "()"))
ok(client.create("OneMore"))
ok(client.delete("OneMore"))

# --- two devices: what one does, the other is told ---
other = imap("Work/Deep")
ok(client.uid("STORE", str(copy), "+FLAGS", r"(\Answered)"))
ok(other.noop())
told = other.response("FETCH")[1]
assert told and b"\\Answered" in told[-1], told
ok(client.append("Work/Deep", None, None, message("second", "two\n")))
ok(other.noop())
assert other.response("EXISTS")[1][-1] == b"2"
ok(client.uid("STORE", str(copy), "+FLAGS.SILENT", r"(\Deleted)"))
ok(client.expunge())
ok(other.noop())
assert other.response("EXPUNGE")[1] == [b"1"]

# --- IDLE by hand: a delivery is pushed ---
other.send(b"i IDLE\r\n")
assert other.readline().startswith(b"+ ")
ok(client.append("Work/Deep", None, None, message("third", "three\n")))
other.sock.settimeout(10)
line = other.readline()
assert line == b"* 2 EXISTS\r\n", line
other.send(b"DONE\r\n")
while not line.startswith(b"i OK"):
    line = other.readline()
other.logout()

# --- search and partial fetch ---
assert len(uids(client, "SUBJECT", '"third"')) == 1
assert len(uids(client, "TEXT", '"three"')) == 1
assert uids(client, "TEXT", '"nowhere"') == []
third = uids(client, "SUBJECT", '"third"')[0]
data = ok(client.uid("FETCH", str(third), "(BODY.PEEK[]<5.10>)"))
assert data[0][1] == message("third", "three\n")[5:15]
client.logout()
