"""alpine in a terminal: saves thirty messages of a local folder at once (MULTIAPPEND), then reads, flags and deletes."""

from common import *
from screen import Screen

HOME = os.path.join(WORK, "alpine-home")
RC = os.path.join(WORK, "pinerc")
BOX = f"{{{HOST}:{port('IMAPS')}/ssl/novalidate-cert/user={USER}}}"
LOCAL = os.path.join(HOME, "mbox-of-old")
os.makedirs(HOME)
with open(RC, "w") as rc:
    rc.write(f"""
personal-name=A Person
user-domain=box.test
inbox-path={BOX}INBOX
folder-collections=Mail {BOX}[]
postponed-folder=
feature-list=enable-aggregate-command-set,enable-flag-cmd,quit-without-confirm,expunge-without-confirm,
    no-enable-newmail-sound,auto-move-read-msgs,enable-bounce-cmd,no-save-will-advance,quell-folder-internal-msg,
    no-expanded-view-of-folders,enable-unix-pipe-cmd
last-version-used=7.00
""")
with open(LOCAL, "wb") as mbox:
    for n in range(1, 31):
        mbox.write(b"From friend@example.org Mon Nov 23 12:00:00 2026\n")
        mbox.write(message(f"old {n}", f"text of {n}\n", sender="friend@example.org").replace(b"\r\n", b"\n") + b"\n")


def alpine(*arguments):
    return Screen(["alpine", "-p", RC, "-x", "/dev/null", *arguments], HOME)


def log_in(screen):
    screen.until("password:")
    screen.type(PASSWORD + "\r")
    screen.until("Preserve password")
    screen.type("n")


client = imap()
ok(client.create("Uploaded"))
client.logout()

# --- upload ---
screen = alpine("-f", LOCAL)
screen.until("opened with 30 messages")
screen.type("i")
screen.until("old 30")
screen.type(";")
screen.until("Select")
screen.type("a")
screen.until("selected")
screen.type("a")
screen.until("apply")
screen.type("s")
screen.until("save")
screen.type(f"{BOX}Uploaded\r")
log_in(screen)
screen.until("30 messages saved", "done]")
screen.type("q")
screen.until("Expunge the 30")
screen.type("n")
screen.end()
client = imap("Uploaded")
found = uids(client, "ALL")
assert len(found) == 30, found
for n, uid in enumerate(found, 1):
    whole = body(client, uid)
    assert f"Subject: old {n}\r\n".encode() in whole and f"text of {n}\r\n".encode() in whole, whole
client.logout()

# --- read, flag, delete ---
screen = alpine("-f", f"{BOX}Uploaded")
log_in(screen)
screen.until("opened with 30 messages")
screen.type("i")
screen.until("old 30")
screen.type("j1\r")
screen.until("1")
screen.type("\r")
screen.until("text of 1")
screen.type("i")
screen.until("old")
screen.type("j2\r*")
screen.until("Important ?")
screen.type("\r")
screen.rest(1)
screen.type("j3\rd")
screen.rest(1)
screen.type("x")
screen.until("Expunge 1 message")
screen.type("y")
screen.until("expunged")
screen.type("q")
screen.end()
client = imap("Uploaded")
assert not uids(client, "SUBJECT", '"old 3"')[1:] and len(uids(client, "ALL")) == 29, "the deleted one is gone"
first, second = uids(client, "ALL")[:2]
assert "\\Seen" in flags(client, first), flags(client, first)
assert "\\Flagged" in flags(client, second), flags(client, second)
client.logout()
