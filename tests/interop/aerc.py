"""aerc in a terminal: shows what is there, hears of a delivery while it looks on, reads, flags, moves and deletes."""

from common import *
from screen import Screen

HOME = os.path.join(WORK, "aerc-home")
CONFIG = os.path.join(HOME, ".config", "aerc")
os.makedirs(CONFIG)
with open(os.open(os.path.join(CONFIG, "accounts.conf"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as accounts:
    accounts.write(f"""
[Box]
source = imaps://{USER.replace("@", "%40")}:{PASSWORD}@localhost:{port("IMAPS")}
from = A Person <{USER}>
default = INBOX
check-mail = 0
""")

client = imap("INBOX")
ok(client.create("Saved"))
for n in range(1, 6):
    ok(client.append("INBOX", None, None, message(f"aerc {n} here", f"text of {n}\n")))

screen = Screen(["aerc"], HOME, SSL_CERT_FILE=certificate_file(), XDG_CONFIG_HOME=os.path.join(HOME, ".config"),
                XDG_CACHE_HOME=os.path.join(HOME, ".cache"), XDG_DATA_HOME=os.path.join(HOME, ".local"))
screen.until("aerc 5 here")


def command(text):
    screen.type(f":{text}\r")
    screen.rest(0.5)


def uid_of(n):
    ok(client.noop())
    found = uids(client, "SUBJECT", f'"aerc {n} here"')
    return found[0] if found else None


# What is told in IDLE shows without a key.
ok(client.append("INBOX", None, None, message("aerc 6 here", "text of 6\n")))
screen.until("aerc 6 here")
# The newest is on top: it is read, the next is flagged, the third moved, the fourth deleted.
command("select 0")
command("view")
screen.until("text of 6")
command("close")
wait_for("6 is read", lambda: "\\Seen" in flags(client, uid_of(6)))
command("next")
command("flag")
wait_for("5 is flagged", lambda: "\\Flagged" in flags(client, uid_of(5)))
command("next")
command("mv Saved")
wait_for("4 is moved", lambda: uid_of(4) is None)
whole = arrived("aerc 4 here", "Saved")[1]
assert b"text of 4\r\n" in whole
command("delete")
wait_for("one more is gone", lambda: ok(client.noop()) and len(uids(client, "ALL")) == 4)
command("quit -f")
screen.end()
client.logout()
