"""getmail6 over POP3: what is new comes once and only once, known by its unique id; then it empties the maildrop."""

import subprocess

from common import *

home = os.path.join(WORK, "getmail")
maildir = os.path.join(home, "Maildir")
for folder in ("new", "cur", "tmp"):
    os.makedirs(os.path.join(maildir, folder))


def fetch(delete):
    settings = f"""
[retriever]
type = SimplePOP3SSLRetriever
server = {HOST}
port = {port("POP3S")}
username = {USER}
password = {PASSWORD}
[destination]
type = Maildir
path = {maildir}/
[options]
read_all = false
delete = {delete}
delivered_to = false
received = false
"""
    path = os.path.join(home, "getmailrc")
    with open(path, "w") as file:
        file.write(settings)
    words = ["getmail", "--getmaildir", home, "--rcfile", path]
    if os.getuid() == 0:
        # getmail refuses to deliver as root, whatever for.
        subprocess.run(["chown", "-R", "nobody", home], check=True)
        os.chmod(WORK, 0o755)
        words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": home})
    assert done.returncode == 0, done.stdout + done.stderr


def received():
    """The messages by subject, with LF lines, as a Maildir has them."""
    found = {}
    for name in os.listdir(os.path.join(maildir, "new")):
        with open(os.path.join(maildir, "new", name), "rb") as file:
            whole = file.read()
        whole = re.sub(rb"\AReturn-Path: [^\n]*\n", b"", whole)
        subject = re.search(rb"^Subject: ([^\r\n]*)", whole, re.M)[1].decode()
        assert subject not in found, f"{subject} came twice"
        found[subject] = whole
    return found


box = imap("INBOX")
sent = {f"getmail {n}": message(f"getmail {n}", f"line {n}\n.dot\n..\n" * n) for n in range(1, 31)}
sent["getmail large"] = message("getmail large", "large\n", attachment=bytes(range(256)) * 20_000)
for one in sent.values():
    ok(box.append("INBOX", None, None, one))
fetch(delete="false")
assert received() == {subject: one.replace(b"\r\n", b"\n") for subject, one in sent.items()}, "not the bytes that were sent"
ok(box.noop())
assert len(uids(box, "ALL")) == len(sent), "it was told to leave them there"

# --- again: nothing is new; `received` complains of what comes twice ---
fetch(delete="false")
assert len(received()) == len(sent)
sent["getmail later"] = message("getmail later")
ok(box.append("INBOX", None, None, sent["getmail later"]))
fetch(delete="false")
assert len(received()) == len(sent)

# --- and then they go ---
fetch(delete="true")
assert len(received()) == len(sent)
ok(box.noop())
assert uids(box, "ALL") == [], "messages are left"
