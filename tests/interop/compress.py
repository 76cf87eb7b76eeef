"""COMPRESS=DEFLATE by Python's own zlib over TLS: uploads and downloads larger than any buffer, a MULTIAPPEND, and what
a hundred connections weigh that are compressed and idle."""

import random
import socket
import zlib

from common import *

PID = int(os.environ["BOX_PID"])
MIB = 1024 * 1024


def status(name, file="status"):
    with open(f"/proc/{PID}/{file}") as lines:
        (line,) = [line for line in lines if line.startswith(name + ":")]
    return int(line.split()[1]) * 1024


class Squeezed:
    """A logged-in connection over TLS that can be compressed."""

    def __init__(self, compress=True):
        self.wire = tls().wrap_socket(socket.create_connection((HOST, port("IMAPS"))))
        self.wire.settimeout(60)
        self.pack = self.unpack = None
        self.heard = b""
        self.sent = self.received = 0
        self.line()
        self.run(f"LOGIN {USER} {PASSWORD}")
        if compress:
            self.run("COMPRESS DEFLATE")
            assert self.heard == b"", "nothing comes in the clear behind the OK"
            self.pack = zlib.compressobj(6, zlib.DEFLATED, -15)
            self.unpack = zlib.decompressobj(-15)

    def send(self, data, flush=zlib.Z_SYNC_FLUSH):
        if self.pack:
            data = self.pack.compress(data) + self.pack.flush(flush)
        self.sent += len(data)
        self.wire.sendall(data)

    def more(self):
        data = self.wire.recv(65536)
        assert data, "the box hung up"
        self.received += len(data)
        self.heard += self.unpack.decompress(data) if self.unpack else data

    def line(self):
        while b"\r\n" not in self.heard:
            self.more()
        line, self.heard = self.heard.split(b"\r\n", 1)
        return line

    def bytes(self, count):
        while len(self.heard) < count:
            self.more()
        data, self.heard = self.heard[:count], self.heard[count:]
        return data

    def run(self, command, flush=zlib.Z_PARTIAL_FLUSH):
        self.send(b"t " + command.encode() + b"\r\n", flush)
        return self.until_tagged()

    def until_tagged(self):
        lines = [self.line()]
        while not lines[-1].startswith(b"t "):
            lines.append(self.line())
        assert lines[-1].startswith(b"t OK"), lines
        return lines


# --- 50 MB there and back: nothing grows with the message ---
client = Squeezed()
dice = random.Random(1)
block = bytes(dice.choice(b"abcdefghijklmnopqrstuvwxyz    ") for _ in range(76))
lines = [bytes(dice.choice(block) for _ in range(76)) + b"\r\n" for _ in range(2000)]
whole = b"Subject: large\r\n\r\n" + b"".join(lines) * 336
with open(f"/proc/{PID}/clear_refs", "w") as peak:
    peak.write("5")
before = status("VmRSS")
client.send(b"t APPEND INBOX {%d+}\r\n" % len(whole))
for at in range(0, len(whole), MIB):
    client.send(whole[at:at + MIB])
client.send(b"\r\n")
client.until_tagged()
client.run("SELECT INBOX")
client.received = 0
client.send(b"t FETCH 1 BODY.PEEK[]\r\n")
assert client.line().endswith(b"{%d}" % len(whole))
for at in range(0, len(whole), MIB):
    part = whole[at:at + MIB]
    assert client.bytes(len(part)) == part, f"other bytes came back at {at}"
client.until_tagged()
grown = (status("VmHWM") - before) / MIB
print(f"{len(whole) / MIB:.0f} MiB went in {client.sent / MIB:.1f} and came in {client.received / MIB:.1f};"
      f" the box grew by {grown:.1f} MiB")
assert grown < 24, grown

# --- lists of messages are what a phone asks for ---
client.send(b"t APPEND INBOX")
for n in range(500):
    one = message(f"number {n}", f"the text of number {n}\n")
    client.send(b" (\\Seen) {%d+}\r\n" % len(one) + one)
client.send(b"\r\n")
stored = client.until_tagged()[-1]
assert b" 2:501]" in stored, stored
client.received = 0
listed = client.run("FETCH 2:* (UID FLAGS ENVELOPE)")
plain = sum(len(line) + 2 for line in listed)
assert len(listed) == 501
print(f"500 envelopes: {plain} bytes in {client.received}")
assert client.received < plain / 4
client.run("LOGOUT")

# --- a hundred that wait ---
def idle(compress):
    clients = [Squeezed(compress) for _ in range(100)]
    for one in clients:
        one.run("SELECT INBOX")
        one.run("FETCH 2:400 (UID FLAGS)")
        one.send(b"t IDLE\r\n")
        assert one.line().startswith(b"+")
    time.sleep(5)
    weight = status("Pss", "smaps_rollup")
    for one in clients:
        one.send(b"DONE\r\n")
        one.until_tagged()
        one.run("NOOP")
        one.wire.close()
    time.sleep(1)
    return weight


idle(False)
plain, packed = idle(False), idle(True)
print(f"100 idle connections: {plain / MIB:.1f} MiB, compressed {packed / MIB:.1f} MiB")
assert packed - plain < 5 * MIB, (plain, packed)
