"""2,000 connections, 500 of them slow, and an honest client beside them that is served within a second."""

import resource
import socket

from common import *

CROWD, SLOW = 2000, 500
resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)


def honest():
    """One delivery and one look by IMAP; returns the longest wait for any single answer, in seconds."""
    import smtplib
    longest = 0.0

    def timed(act):
        nonlocal longest
        begun = time.monotonic()
        result = act()
        longest = max(longest, time.monotonic() - begun)
        return result

    subject = f"through the crowd {time.monotonic_ns()}"
    client = timed(lambda: smtplib.SMTP(HOST, port("SMTP"), timeout=10))
    timed(lambda: client.sendmail("friend@example.org", [USER], message(subject, sender="friend@example.org")))
    client.quit()
    reader = timed(lambda: imap("INBOX"))
    found = timed(lambda: uids(reader, "SUBJECT", f'"{subject}"'))
    assert len(found) == 1, found
    assert subject.encode() in timed(lambda: body(reader, found[0]))
    reader.logout()
    return longest


# A hundred addresses of the loopback range, so that the limit per address is not what is tested.
crowd = []
for number in range(CROWD):
    peer = socket.socket()
    peer.bind((f"127.0.1.{number % 100 + 1}", 0))
    peer.settimeout(30)
    peer.connect((HOST, port("SMTP" if number % 2 else "IMAP")))
    crowd.append(peer)
for peer in crowd[:SLOW]:
    peer.sendall(b"a")
for number, peer in enumerate(crowd[SLOW:1000]):
    peer.sendall(b"EHLO crowd.example.org\r\n" if (SLOW + number) % 2 else b"a NOOP\r\n")
waits = []
for round_number in range(5):
    for peer in crowd[:SLOW]:
        peer.sendall(b"a")
    waits.append(honest())
assert max(waits) < 1.0, f"an honest client waited {max(waits):.2f} s"
for peer in crowd:
    peer.close()
honest()
