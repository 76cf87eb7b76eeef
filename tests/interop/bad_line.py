"""A bad line between a client and the box: a proxy with slow round trips, a trickle of bytes and connections that
break. Through it a QRESYNC client comes into step, a large FETCH is resumed by partials, and an APPEND that is cut at
every tenth is there exactly once when it succeeds at last.

BAD_LINE_ROUND_TRIP (seconds) and BAD_LINE_RATE (bytes a second) set the line; resets come from a fixed seed.
"""

import random
import socket
import threading

from common import *

ROUND_TRIP = float(os.environ.get("BAD_LINE_ROUND_TRIP", "2"))
RATE = int(os.environ.get("BAD_LINE_RATE", str(16 * 1024)))
RESET = 0.05


class Line:
    """One listening port; every connection through it is slow, and breaks by chance or at a given byte."""

    def __init__(self, seed, cut_up_at=None, resets=True):
        self.chance = random.Random(seed)
        self.cut_up_at = cut_up_at
        self.resets = resets
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            far = socket.create_connection((HOST, port("IMAP")))
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            for source, sink, cut in ((near, far, self.cut_up_at), (far, near, None)):
                threading.Thread(target=self.carry, args=(source, sink, cut), daemon=True).start()

    def carry(self, source, sink, cut):
        """Half a round trip of delay each way, then bytes at the line's rate; 5 % of the pieces break the line."""
        carried = 0
        quiet = True
        while True:
            try:
                piece = source.recv(4096)
            except OSError:
                piece = b""
            if not piece:
                break
            if quiet:
                time.sleep(ROUND_TRIP / 2)
            time.sleep(len(piece) / RATE)
            if cut is not None and carried + len(piece) >= cut:
                piece = piece[: cut - carried]
                self.send(sink, piece)
                break
            if self.resets and self.chance.random() < RESET:
                break
            if not self.send(sink, piece):
                break
            carried += len(piece)
            source.settimeout(0.01)
            try:
                quiet = not source.recv(1, socket.MSG_PEEK)
            except OSError:
                quiet = True
            source.settimeout(None)
        for end in (source, sink):
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def send(self, sink, piece):
        try:
            sink.sendall(piece)
            return True
        except OSError:
            return False


class Broken(Exception):
    pass


class Client:
    """A minimal IMAP client that sees every byte; any break of the line is `Broken`."""

    def __init__(self, line):
        try:
            self.sock = socket.create_connection(("127.0.0.1", line.port), timeout=120)
            self.file = self.sock.makefile("rb")
            self.tag = 0
            self.line()
            self.command("STARTTLS")
            self.sock = tls().wrap_socket(self.sock)
            self.file = self.sock.makefile("rb")
            self.command(f'LOGIN "{USER}" "{PASSWORD}"')
        except OSError as why:
            raise Broken(str(why))

    def line(self):
        """One response line with its literals inside."""
        whole = b""
        while True:
            try:
                part = self.file.readline()
            except OSError as why:
                raise Broken(str(why))
            if not part.endswith(b"\r\n"):
                raise Broken("hung up")
            whole += part
            literal = re.search(rb"\{(\d+)\}\r\n$", part)
            if not literal:
                return whole
            size = int(literal.group(1))
            try:
                content_bytes = self.file.read(size)
            except OSError as why:
                raise Broken(str(why))
            if len(content_bytes) < size:
                raise Broken("hung up in a literal")
            whole += content_bytes

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as why:
            raise Broken(str(why))

    def command(self, text, literal=None):
        self.tag += 1
        tag = f"t{self.tag}".encode()
        self.send(tag + b" " + text.encode() + b"\r\n")
        told = []
        while True:
            line = self.line()
            if line.startswith(b"+ ") and literal is not None:
                self.send(literal + b"\r\n")
                continue
            if line.startswith(tag + b" "):
                assert line.startswith(tag + b" OK"), line
                return told, line
            told.append(line)


def persist(what, attempt, tries=60):
    """Tries again until the line holds long enough."""
    for _ in range(tries):
        try:
            return attempt()
        except Broken:
            continue
    raise AssertionError(f"{what}: the line broke {tries} times")


def resync():
    """A client with an old picture of the mailbox comes into step over the bad line."""
    near = imap()
    ok(near.create("Resync"))
    for number in range(30):
        ok(near.append("Resync", None, None, message(f"resync {number}")))
    ok(near.select("Resync"))
    picture = {uid: flags(near, uid) for uid in uids(near, "ALL")}
    status = ok(near.status("Resync", "(UIDVALIDITY HIGHESTMODSEQ)"))[0].decode()
    validity = re.search(r"UIDVALIDITY (\d+)", status).group(1)
    modseq = re.search(r"HIGHESTMODSEQ (\d+)", status).group(1)
    order = sorted(picture)
    ok(near.uid("STORE", f"{order[3]}:{order[9]}", "+FLAGS.SILENT", r"(\Deleted)"))
    ok(near.expunge())
    ok(near.uid("STORE", f"{order[12]},{order[20]}", "+FLAGS.SILENT", r"(\Seen kw)"))
    ok(near.append("Resync", r"(\Flagged)", None, message("resync new")))
    truth = {uid: flags(near, uid) for uid in uids(near, "ALL")}
    near.logout()
    line = Line(seed=1)

    def attempt():
        client = Client(line)
        client.command("ENABLE QRESYNC")
        told, _ = client.command(f"SELECT Resync (QRESYNC ({validity} {modseq}))")
        return told

    seen = dict(picture)
    for line_told in persist("resync", attempt):
        vanished = re.match(rb"\* VANISHED \(EARLIER\) (\S+)", line_told)
        if vanished:
            for piece in vanished.group(1).decode().split(","):
                first, _, last = piece.partition(":")
                for uid in range(int(first), int(last or first) + 1):
                    seen.pop(uid, None)
        fetched = re.match(rb"\* \d+ FETCH \((.*)\)\r\n", line_told)
        if fetched:
            uid = int(re.search(rb"UID (\d+)", fetched.group(1)).group(1))
            names = re.search(rb"FLAGS \(([^)]*)\)", fetched.group(1)).group(1).decode().split()
            seen[uid] = set(names) - {"\\Recent"}
    assert seen == truth, (seen, truth)


def resumed_fetch():
    """A large message in partials, each tried again after a break; the whole is equal to the byte."""
    sent = message("large over a bad line", attachment=random.Random(7).randbytes(60_000))
    near = imap()
    ok(near.append("INBOX", None, None, sent))
    near.logout()
    uid, whole = arrived("large over a bad line")
    assert whole == sent
    line = Line(seed=2)
    state = {"client": None, "have": b""}

    def attempt():
        if state["client"] is None:
            client = Client(line)
            client.command("EXAMINE INBOX")
            state["client"] = client
        try:
            told, _ = state["client"].command(f"UID FETCH {uid} (BODY.PEEK[]<{len(state['have'])}.16384>)")
        except Broken:
            state["client"] = None
            raise
        piece = re.search(rb"BODY\[\]<(\d+)> \{(\d+)\}\r\n", told[0])
        assert int(piece.group(1)) == len(state["have"])
        state["have"] += told[0][piece.end():piece.end() + int(piece.group(2))]

    while len(state["have"]) < len(sent):
        persist("a partial fetch", attempt)
    assert state["have"] == sent


def cut_append():
    """An APPEND cut at every tenth of its bytes leaves nothing; then it succeeds and is there once."""
    sent = message("append over a bad line", attachment=random.Random(8).randbytes(20_000))
    overhead = 1200
    for tenth in range(1, 10):
        line = Line(seed=tenth, cut_up_at=overhead + len(sent) * tenth // 10, resets=False)
        try:
            Client(line).command(f"APPEND INBOX {{{len(sent)}}}", literal=sent)
            raise AssertionError(f"cut at {tenth} tenths, and yet it was answered OK")
        except Broken:
            pass
        line.door.close()
    client = imap("INBOX")
    assert uids(client, "SUBJECT", '"append over a bad line"') == [], "a cut APPEND left something"
    client.logout()
    Client(Line(seed=3, resets=False)).command(f"APPEND INBOX {{{len(sent)}}}", literal=sent)
    assert arrived("append over a bad line")[1] == sent


resync()
resumed_fetch()
cut_append()
