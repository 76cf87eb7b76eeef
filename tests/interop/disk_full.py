"""A disk that fills up: 452 and NO, reading and expunging go on, nothing acknowledged is lost, and mail comes in again.

The box's file lies on a 100 MB file system that tests/it/interop.rs mounted.
"""

import smtplib

from common import *

accepted = []


def deliver(number, size):
    subject = f"filling {number} ."
    sent = message(subject, sender="friend@example.org", attachment=os.urandom(size))
    with smtplib.SMTP(HOST, port("SMTP"), timeout=60) as client:
        try:
            client.sendmail("friend@example.org", [USER], sent)
        except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused) as refusal:
            code = getattr(refusal, "smtp_code", None)
            if code is None:
                code = next(iter(refusal.recipients.values()))[0]
            assert code == 452, refusal
            return False
    accepted.append((subject, sent))
    return True


for number in range(200):
    if not deliver(number, 1_000_000):
        break
else:
    raise AssertionError("200 MB went into a 100 MB disk")
assert len(accepted) >= 5, f"only {len(accepted)} messages before the disk was full"
client = imap("INBOX")
status, data = client.append("INBOX", None, None, message("one more", attachment=os.urandom(1_000_000)))
assert status == "NO", (status, data)

# Reading goes on, and all that was acknowledged is there to the byte.
for subject, sent in accepted:
    (uid,) = uids(client, "SUBJECT", f'"{subject}"')
    assert content(body(client, uid)) == sent, subject

# Expunging goes on, and makes room; what stayed is whole.
for subject, _ in accepted[: len(accepted) * 2 // 3]:
    (uid,) = uids(client, "SUBJECT", f'"{subject}"')
    ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"))
ok(client.expunge())
kept = accepted[len(accepted) * 2 // 3:]
wait_for("room after expunging", lambda: deliver(1000, 500_000), seconds=90)
ok(client.noop())
for subject, sent in kept + accepted[-1:]:
    (uid,) = uids(client, "SUBJECT", f'"{subject}"')
    assert content(body(client, uid)) == sent, subject
client.logout()
