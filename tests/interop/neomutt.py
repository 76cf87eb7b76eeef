"""neomutt (or mutt) in a terminal of its own: sends through submission, reads by IMAP over a compressed connection with
QRESYNC, searches on the server, flags and saves a message."""

import pty
import select
import subprocess

from common import *

MUTT = os.environ.get("BOX_MUTT", "neomutt")
RC = os.path.join(WORK, "neomuttrc")
HOME = os.path.join(WORK, "mutt-home")
os.makedirs(HOME, exist_ok=True)
with open(RC, "w") as rc:
    rc.write(f"""
set imap_user = "{USER}"
set imap_pass = "{PASSWORD}"
set smtp_url = "smtp://{USER.replace('@', '%40')}@{HOST}:{port('SUBMISSION')}/"
set smtp_pass = "{PASSWORD}"
set smtp_authenticators = "plain"
set ssl_starttls = yes
set ssl_force_tls = yes
set ssl_verify_host = no
set certificate_file = "{certificate_file()}"
set from = "{USER}"
set realname = "A Person"
set use_from = yes
set folder = "imaps://{HOST}:{port('IMAPS')}/"
set spoolfile = "imaps://{HOST}:{port('IMAPS')}/INBOX"
set record = ""
set copy = no
set confirmappend = no
set confirmcreate = no
set delete = yes
set move = no
set header_cache = "{HOME}/cache"
set wait_key = no
set beep = no
set mark_old = no
set imap_deflate = yes
set imap_condstore = yes
set imap_qresync = yes
set imap_check_subscribed = no
""")


def run(arguments, feed=None, seconds=60):
    """Runs neomutt on a terminal and returns what it drew; it must end by itself."""
    leader, follower = pty.openpty()
    environment = dict(os.environ, HOME=HOME, TERM="xterm", LC_ALL="C.UTF-8")
    child = subprocess.Popen(
        [MUTT, "-n", "-F", RC, *arguments],
        stdin=subprocess.PIPE if feed is not None else follower, stdout=follower, stderr=follower,
        env=environment, cwd=WORK, start_new_session=True)
    os.close(follower)
    if feed is not None:
        child.stdin.write(feed)
        child.stdin.close()
    drawn, end = b"", time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < end:
        ready, _, _ = select.select([leader], [], [], 0.2)
        if ready:
            try:
                drawn += os.read(leader, 65536)
            except OSError:
                break
    try:
        child.wait(timeout=max(1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        raise AssertionError(f"{MUTT} did not end; it drew {drawn[-2000:]!r}")
    assert child.returncode == 0, (child.returncode, drawn[-2000:])
    return drawn


attachment = os.path.join(WORK, "note.txt")
with open(attachment, "w") as out:
    out.write("an attachment\n" * 100)
run(["-s", f"sent by {MUTT}", "-a", attachment, "--", USER], feed="Grüße von Mutt\n".encode())
uid, whole = arrived(f"sent by {MUTT}")
assert b"an attachment" in whole or b"YW4gYXR0YWNobWVudA" in whole, whole[:2000]

# Reads the message, flags it, saves a copy to another mailbox, and leaves: all by keys.
client = imap()
ok(client.create("Saved"))
client.logout()
keys = (f"<limit>~s'sent by {MUTT}' =b'von Mutt'<enter><display-message><exit><flag-message>"
        "<copy-message>=Saved<enter><sync-mailbox><quit>")
run(["-f", f"imaps://{HOST}:{port('IMAPS')}/INBOX", "-e", f'push "{keys}"'])
copy, saved = arrived(f"sent by {MUTT}", "Saved")
assert saved == whole, "the saved copy differs"
client = imap("INBOX")
assert flags(client, uid) >= {"\\Seen", "\\Flagged"}, flags(client, uid)
client.logout()
