"""Python's poplib: STLS, TLS, bytes and octets, unique ids that are IMAP's, one session at a time, DELE and QUIT.

Run a second time on the same box, started anew in between, it looks whether the unique ids are still the same."""

import json
import poplib
import socket

from common import *

# poplib gives up at 2,048 octets by itself.
poplib._MAXLINE = 1 << 20


def pop(user=USER, password=PASSWORD):
    client = poplib.POP3_SSL(HOST, port("POP3S"), context=tls())
    client.user(user)
    client.pass_(password)
    return client


def refused(call, *arguments):
    try:
        call(*arguments)
    except poplib.error_proto as refusal:
        return refusal.args[0].decode()
    raise AssertionError(f"{call.__name__}{arguments} was not refused")


def unique_ids(client):
    return dict(row.decode().split(" ") for row in client.uidl()[1])


def whole(client, number):
    return b"\r\n".join(client.retr(number)[1]) + b"\r\n"


kept = os.path.join(WORK, "unique-ids.json")
if os.path.exists(kept):
    with open(kept) as file:
        expected = json.load(file)
    client = pop()
    assert unique_ids(client) == expected, "the ids changed with a restart"
    client.quit()
    raise SystemExit

# --- in the clear: no password; STLS first ---
client = poplib.POP3(HOST, port("POP3"))
offered = client.capa()
assert "STLS" in offered and "USER" not in offered and "SASL" not in offered, offered
assert "STLS" in refused(client.user, USER)
client.stls(context=tls())
offered = client.capa()
assert "STLS" not in offered and offered["SASL"] == ["PLAIN", "LOGIN"] and offered["EXPIRE"] == ["NEVER"], offered
client.user(USER)
assert "[AUTH]" in refused(client.pass_, PASSWORD + "x")
client.user(USER)
client.pass_(PASSWORD)
assert client.stat() == (0, 0)
client.quit()

# --- what IMAP put there comes out, byte for byte, and as many as LIST says ---
sent = [
    message("pop one", "Zwölf Boxkämpfer\n.dot\n..\n.\n"),
    message("pop two", "short\n"),
    message("pop three", "large\n", attachment=bytes(range(256)) * 40_000),
    b"Subject: unfinished\r\n\r\nno line end",
    b"Subject: header only\r\n",
    message("pop last", "the end\n"),
]
box = imap("INBOX")
for one in sent:
    ok(box.append("INBOX", None, None, one))
ok(box.noop())
validity = int(ok(box.status("INBOX", "(UIDVALIDITY)"))[0].split()[-1].rstrip(b")"))

client = pop()
assert client.stat() == (len(sent), sum(map(len, sent)))
assert [int(row.split()[1]) for row in client.list()[1]] == [len(one) for one in sent]
for number, one in enumerate(sent, 1):
    expected = one if one.endswith(b"\r\n") else one + b"\r\n"
    assert whole(client, number) == expected, f"message {number} came back changed"
top = client.top(1, 1)[1]
assert top[-1] == "Zwölf Boxkämpfer".encode() or top[-1].startswith(b"Zw"), top[-1]
assert client.top(5, 0)[1] == [b"Subject: header only", b""]
ids = unique_ids(client)
assert list(ids.values()) == [f"{validity}.{uid}" for uid in uids(box, "ALL")], ids

# --- one session at a time; the other is told, and gets in when the first has gone ---
other = poplib.POP3_SSL(HOST, port("POP3S"), context=tls())
other.user(USER)
assert "[IN-USE]" in refused(other.pass_, PASSWORD)

# --- without QUIT nothing goes ---
client.dele(2)
assert client.stat()[0] == len(sent) - 1
client.sock.shutdown(socket.SHUT_RDWR)
client.close()


def free():
    try:
        other.user(USER)
        return other.pass_(PASSWORD)
    except poplib.error_proto:
        return None


wait_for("the maildrop to be free", free)
assert unique_ids(other) == ids

# --- with QUIT it does; what IMAP expunges meanwhile is refused, and nothing else ---
other.dele(2)
(gone,) = uids(box, "SUBJECT", '"pop three"')
ok(box.uid("STORE", str(gone), "+FLAGS.SILENT", r"(\Deleted)"))
ok(box.expunge())
assert "another program" in refused(other.retr, 3)
assert whole(other, 6) == sent[5]
assert other.quit().startswith(b"+OK")
ok(box.noop())
assert len(uids(box, "ALL")) == len(sent) - 2
assert uids(box, "SUBJECT", '"pop two"') == []

# --- ids of what stays are what they were; a new message gets one that nobody has had ---
ok(box.append("INBOX", None, None, message("pop new")))
client = pop()
now = unique_ids(client)
stay = [ids[number] for number in ("1", "4", "5", "6")]
assert list(now.values())[:4] == stay and now["5"] not in ids.values(), now
client.quit()
with open(kept, "w") as file:
    json.dump(now, file)
