"""What every interop script shares: where the box under test listens, and how to look into it with imaplib.

The box is described by environment variables that tests/it/interop.rs sets: BOX_HOST, BOX_SMTP, BOX_SUBMISSION,
BOX_SUBMISSIONS, BOX_IMAP, BOX_IMAPS (ports), BOX_USER, BOX_PASSWORD, BOX_PROGRAM, BOX_DB, BOX_WORK (a scratch folder).
"""

import email.message
import email.policy
import imaplib
import os
import re
import ssl
import time

HOST = os.environ["BOX_HOST"]
USER = os.environ["BOX_USER"]
PASSWORD = os.environ["BOX_PASSWORD"]
WORK = os.environ["BOX_WORK"]
PROGRAM = os.environ["BOX_PROGRAM"]
DB = os.environ["BOX_DB"]


def port(name):
    return int(os.environ["BOX_" + name])


def certificate_file():
    """The box's own certificate, fetched once and then trusted, as a careful person would pin it."""
    path = os.path.join(WORK, "box.pem")
    if not os.path.exists(path):
        with open(path, "w") as out:
            out.write(ssl.get_server_certificate((HOST, port("IMAPS"))))
    return path


def tls():
    context = ssl.create_default_context(cafile=certificate_file())
    context.check_hostname = False
    return context


def imap(mailbox=None, readonly=False):
    """A logged-in imaplib client over TLS."""
    client = imaplib.IMAP4_SSL(HOST, port("IMAPS"), ssl_context=tls())
    client.login(USER, PASSWORD)
    if mailbox is not None:
        ok(client.select(mailbox, readonly=readonly))
    return client


def ok(answer):
    status, data = answer
    assert status == "OK", f"expected OK, got {status} {data!r}"
    return data


def message(subject, text="Hello\n", sender=None, attachment=None):
    """A message with CR LF lines, exactly as it should come back."""
    made = email.message.EmailMessage(policy=email.policy.SMTP)
    made["From"] = sender or USER
    made["To"] = USER
    made["Subject"] = subject
    made["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    made["Message-ID"] = f"<{abs(hash(subject))}.{os.getpid()}@box.test>"
    made.set_content(text)
    if attachment is not None:
        made.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="data.bin")
    return made.as_bytes()


def uids(client, *criteria):
    return [int(uid) for uid in ok(client.uid("SEARCH", *criteria))[0].split()]


def body(client, uid):
    data = ok(client.uid("FETCH", str(uid), "(BODY.PEEK[])"))
    parts = [part for part in data if isinstance(part, tuple)]
    assert len(parts) == 1, f"uid {uid}: {data!r}"
    return parts[0][1]


def flags(client, uid):
    data = ok(client.uid("FETCH", str(uid), "(FLAGS)"))
    return {flag.decode() for flag in imaplib.ParseFlags(data[0])} - {"\\Recent"}


def wait_for(what, look, seconds=20):
    """Looks until `look` gives something true: for things that another program brings about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def arrived(subject, mailbox="INBOX", seconds=20):
    """The uid and bytes of the one message with this subject, as soon as it is there."""
    client = imap(mailbox)

    def look():
        ok(client.noop())
        return uids(client, "SUBJECT", f'"{subject}"')

    found = wait_for(f"a message with subject {subject!r} in {mailbox}", look, seconds)
    assert len(found) == 1, f"{subject!r} is there {len(found)} times"
    whole = body(client, found[0])
    client.logout()
    return found[0], whole


def content(whole):
    """A message without the fields that the way here put in front (Return-Path, Received)."""
    head, _, rest = whole.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    kept = [field for field in fields if not field.lower().startswith((b"return-path:", b"received:"))]
    return b"\r\n".join(kept) + b"\r\n\r\n" + rest
