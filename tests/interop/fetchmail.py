"""fetchmail, over POP3 with STLS, POP3 over TLS, and IMAP: every message once, its text unchanged; kept with `keep`, gone
without."""

import subprocess

from common import *

WAYS = {
    "POP3 with STLS": ("POP3", "POP3", "sslproto TLS1.2+"),
    "POP3 over TLS": ("POP3S", "POP3", "ssl"),
    "IMAP over TLS": ("IMAPS", "IMAP", "ssl"),
}
home = os.path.join(WORK, "fetchmail")
os.makedirs(home)
with open(os.path.join(home, "deliver"), "w") as file:
    file.write(f'#!/bin/sh\nexec cat >"$(mktemp {home}/mail.XXXXXXXX)"\n')
os.chmod(os.path.join(home, "deliver"), 0o755)


def fetch(way, keep):
    service, protocol, encryption = WAYS[way]
    uidl = "uidl" if protocol == "POP3" else ""
    settings = f"""
poll {HOST} service {port(service)} protocol {protocol} {uidl}
  user "{USER}" password "{PASSWORD}" {encryption} no sslcertck
  {"keep" if keep else "nokeep"} no rewrite mda "{home}/deliver"
"""
    path = os.path.join(home, "fetchmailrc")
    with open(path, "w") as file:
        file.write(settings)
    os.chmod(path, 0o600)
    words = ["fetchmail", "--fetchmailrc", path, "--idfile", os.path.join(home, "ids"), "--pidfile"]
    words += [os.path.join(home, "pid"), "--nodetach", "--nosyslog", "--invisible", "-v"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "FETCHMAILHOME": home})
    # 1: there was nothing new.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def received():
    """What came since the last look, by subject."""
    found = {}
    for name in [name for name in os.listdir(home) if name.startswith("mail.")]:
        path = os.path.join(home, name)
        with open(path, "rb") as file:
            whole = content(file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        os.remove(path)
        subject = re.search(rb"^Subject: ([^\r\n]*)", whole, re.M)[1].decode()
        assert subject not in found, f"{subject} came twice"
        found[subject] = whole
    return found


box = imap("INBOX")
for way in WAYS:
    sent = {f"{way} {n}": message(f"{way} {n}", f"line {n}\n.dot\n..\n" * n) for n in range(1, 16)}
    for one in sent.values():
        ok(box.append("INBOX", None, None, one))
    assert fetch(way, keep=True), way
    assert received() == sent, f"{way}: not what was sent"
    ok(box.noop())
    assert len(uids(box, "ALL")) == len(sent), f"{way}: it was told to keep them"

    # Nothing is new, and what is comes alone.
    assert not fetch(way, keep=True) and received() == {}, way
    one = message(f"{way} later")
    ok(box.append("INBOX", None, None, one))
    assert fetch(way, keep=True) and received() == {f"{way} later": one}, way

    # A new message goes with `nokeep`; the others were seen before and stay, and go by hand.
    ok(box.append("INBOX", None, None, message(f"{way} last")))
    assert fetch(way, keep=False) and list(received()) == [f"{way} last"], way
    ok(box.noop())
    assert uids(box, "SUBJECT", f'"{way} last"') == [], f"{way}: it is still there"
    ok(box.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(box.expunge())
