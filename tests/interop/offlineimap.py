"""offlineimap keeps a Maildir in step both ways, over a compressed connection; a second run changes nothing."""

import glob
import hashlib
import subprocess

from common import *

NEAR = os.path.join(WORK, "near")
RC = os.path.join(WORK, "offlineimaprc")
os.makedirs(NEAR)
fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(certificate_file()).read())).hexdigest()
with open(RC, "w") as rc:
    rc.write(f"""
[general]
accounts = box
ui = basic
metadata = {WORK}/offlineimap
[Account box]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {NEAR}
[Repository far]
type = IMAP
remotehost = {HOST}
remoteport = {port("IMAPS")}
remoteuser = {USER}
remotepass = {PASSWORD}
ssl = yes
cert_fingerprint = {fingerprint}
usecompression = yes
""")


def sync():
    ran = subprocess.run(["/usr/bin/offlineimap", "-c", RC, "-o"], capture_output=True, text=True, timeout=120,
                         env=dict(os.environ, PATH="/usr/bin:/bin", PYTHONPATH=""))
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0 and "ERROR" not in said, said


def near(subject, mailbox="INBOX"):
    found = []
    for path in glob.glob(os.path.join(NEAR, mailbox, "???", "*")):
        with open(path, "rb") as file:
            if f"Subject: {subject}".encode() in file.read().splitlines():
                found.append(path)
    return found


def one(subject, mailbox="INBOX"):
    found = near(subject, mailbox)
    assert len(found) == 1, (subject, found)
    return found[0]


def near_flags(path):
    return set(path.rpartition(":2,")[2])


def picture():
    client = imap("INBOX", readonly=True)
    there = ok(client.uid("FETCH", "1:*", "(FLAGS)"))
    client.logout()
    return there, sorted(glob.glob(os.path.join(NEAR, "*", "???", "*")))


client = imap("INBOX")
for n in range(1, 21):
    ok(client.append("INBOX", None, None, message(f"offline {n}", "line\n" * n)))
ok(client.create("Lists"))
ok(client.append("Lists", r"(\Flagged)", None, message("listed")))
sync()
assert len(glob.glob(os.path.join(NEAR, "INBOX", "???", "*"))) == 20
assert "F" in near_flags(one("listed", "Lists"))

# near: a new message, a flag, a deletion
with open(os.path.join(NEAR, "INBOX", "new", "1.near.box"), "wb") as made:
    made.write(b"From: <%s>\nSubject: made near\nMessage-ID: <near@box.test>\n\nmade here\n" % USER.encode())
path = one("offline 3")
os.rename(path, os.path.join(NEAR, "INBOX", "cur", os.path.basename(path).rpartition(":")[0] + ":2,FS"))
os.remove(one("offline 4"))
# far: a flag, a deletion, a new message
(seven,), (eight,) = uids(client, "SUBJECT", '"offline 7"'), uids(client, "SUBJECT", '"offline 8"')
ok(client.uid("STORE", str(seven), "+FLAGS", r"(\Answered)"))
ok(client.uid("STORE", str(eight), "+FLAGS", r"(\Deleted)"))
ok(client.expunge())
ok(client.append("INBOX", None, None, message("made far")))
sync()
ok(client.noop())
(made,) = uids(client, "SUBJECT", '"made near"')
assert b"made here" in body(client, made)
(three,) = uids(client, "SUBJECT", '"offline 3"')
assert flags(client, three) >= {"\\Seen", "\\Flagged"}, flags(client, three)
assert not [uid for uid in uids(client, "SUBJECT", '"offline 4"')]
one("made far")
assert near("offline 8") == []
assert "R" in near_flags(one("offline 7"))

before = picture()
sync()
assert picture() == before, "a quiet run changed something"
