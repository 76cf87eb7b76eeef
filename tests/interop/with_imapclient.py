"""IMAPClient: folders with names in any script, uploads one by one and many at once, search, flags, moves, IDLE, and the
server's own sorting and threading."""

import datetime

from imapclient import IMAPClient

from common import *

with IMAPClient(HOST, port=port("IMAPS"), ssl_context=tls()) as client:
    client.login(USER, PASSWORD)
    assert {b"IMAP4REV1", b"MULTIAPPEND", b"COMPRESS=DEFLATE", b"UTF8=ACCEPT"} <= set(client.capabilities())
    for name in ("Entwürfe", "台北", "Q&A", "Work/Deep 😀"):
        client.create_folder(name)
        client.subscribe_folder(name)
    listed = {name for _, _, name in client.list_folders()}
    assert {"INBOX", "Entwürfe", "台北", "Q&A", "Work/Deep 😀"} <= listed, listed

    when = datetime.datetime(2003, 2, 1, 4, 5, 6, tzinfo=datetime.timezone.utc)
    client.append("台北", message("one by one"), flags=[b"\\Seen", b"$Label"], msg_time=when)
    answer = client.multiappend("台北", [
        {"msg": message(f"many {n}", f"text {n}\n"), "flags": [b"\\Flagged"], "date": when} for n in range(20)
    ])
    assert " 2:21]" in str(answer), answer
    state = client.select_folder("台北")
    assert state[b"EXISTS"] == 21, state
    first = client.fetch([1], ["FLAGS", "INTERNALDATE", "ENVELOPE", "BODY[]"])[1]
    assert b"\\Seen" in first[b"FLAGS"] and b"$Label" in first[b"FLAGS"], first
    assert first[b"INTERNALDATE"].astimezone(datetime.timezone.utc) == when or \
        first[b"INTERNALDATE"] == when.astimezone().replace(tzinfo=None), first[b"INTERNALDATE"]
    assert first[b"ENVELOPE"].subject == b"one by one"
    assert first[b"BODY[]"] == message("one by one")
    (found,) = client.search(["SUBJECT", "many 7", "FLAGGED"])
    assert client.fetch([found], ["BODY.PEEK[]"])[found][b"BODY[]"] == message("many 7", "text 7\n")
    assert sorted(client.sort(["SUBJECT"])) == list(range(1, 22))
    assert client.sort(["SUBJECT"])[0] == 2, "many 0 comes first"
    assert sum(len(thread) for thread in client.thread()) == 21
    client.move([found], "Entwürfe")
    client.add_flags([2], [b"\\Deleted"])
    client.expunge()
    assert len(client.search("ALL")) == 19
    assert client.folder_status("Entwürfe", ["MESSAGES"])[b"MESSAGES"] == 1

    client.idle()
    other = imap()
    ok(other.append("&U,BTFw-", None, None, message("while idle")))
    told = client.idle_check(timeout=20)
    client.idle_done()
    assert (20, b"EXISTS") in told, told
    client.rename_folder("Q&A", "Fragen")
    assert client.folder_exists("Fragen") and not client.folder_exists("Q&A")
