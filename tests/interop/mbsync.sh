#!/usr/bin/env bash
# mbsync keeps a Maildir in step both ways: new mail, flags and deletions from either side, and a second run changes nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$BOX_WORK" && mkdir -p maildir
cat >mbsyncrc <<CONF
IMAPAccount box
Host $BOX_HOST
Port $BOX_IMAPS
User $BOX_USER
Pass $BOX_PASSWORD
SSLType IMAPS
CertificateFile $(cd "$here" && python3 -c 'import common; print(common.certificate_file())')

IMAPStore far
Account box

MaildirStore near
Path $BOX_WORK/maildir/
Inbox $BOX_WORK/maildir/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
CONF
sync() { mbsync --config mbsyncrc --all >mbsync.log 2>&1 || { cat mbsync.log; exit 1; }; }
ask() { (cd "$here" && python3 -c "from common import *; $1"); }

ask 'c = imap("INBOX"); [ok(c.append("INBOX", None, None, message(f"mbsync {n}", "line\n" * n))) for n in range(1, 21)]; ok(c.create("Lists")); ok(c.append("Lists", r"(\Flagged)", None, message("listed")))'
sync
[ "$(grep -l '^Subject: mbsync' -r maildir/INBOX | wc -l)" = 20 ] || { echo "not all messages arrived"; exit 1; }
[ "$(find maildir/Lists -name '*:2,*F*' | wc -l)" = 1 ] || { echo "the flag did not arrive"; exit 1; }

# near: a new message, a flag, a deletion
printf 'From: <%s>\nTo: <%s>\nSubject: made near\nMessage-ID: <near@box.test>\n\nmade here\n' "$BOX_USER" "$BOX_USER" >maildir/INBOX/new/1.near.box
flagged=$(grep -l '^Subject: mbsync 3.$' -r maildir/INBOX | head -n 1 || true)
[ -n "$flagged" ] || flagged=$(grep -lE '^Subject: mbsync 3\s*$' -r maildir/INBOX | head -n 1)
base=${flagged##*/}; base=${base%%:*}; mv "$flagged" "maildir/INBOX/cur/$base:2,FS"
rm "$(grep -lE '^Subject: mbsync 4\s*$' -r maildir/INBOX | head -n 1)"
# far: a flag, a deletion, a new message
ask 'c = imap("INBOX"); u = uids(c, "SUBJECT", "\"mbsync 7\"")[0]; ok(c.uid("STORE", str(u), "+FLAGS", r"(\Answered)")); u = uids(c, "SUBJECT", "\"mbsync 8\"")[0]; ok(c.uid("STORE", str(u), "+FLAGS", r"(\Deleted)")); ok(c.expunge()); ok(c.append("INBOX", None, None, message("made far")))'
sync
ask '
c = imap("INBOX")
near = uids(c, "SUBJECT", "\"made near\""); assert len(near) == 1, near
assert b"made here" in body(c, near[0])
three = [u for u in uids(c, "SUBJECT", "\"mbsync 3\"")]; assert flags(c, three[0]) >= {"\\Flagged", "\\Seen"}, flags(c, three[0])
assert uids(c, "HEADER", "SUBJECT", "\"mbsync 4\"") == []
'
grep -qrE '^Subject: made far' maildir/INBOX || { echo "the far message did not come"; exit 1; }
if grep -qrE '^Subject: mbsync 8\s*$' maildir/INBOX; then echo "the far deletion did not come"; exit 1; fi
[ "$(grep -lrE '^Subject: mbsync 7\s*$' maildir/INBOX | grep -c ':2,.*R')" = 1 ] || { echo "the far flag did not come"; exit 1; }

# nothing left to do: a further run changes neither side
before=$(find maildir -type f -name '*box*' -o -type f -path '*/cur/*' | sort | sha256sum)
far=$(ask 'c = imap("INBOX"); print(ok(c.uid("FETCH", "1:*", "(FLAGS)")))')
sync
[ "$before" = "$(find maildir -type f -name '*box*' -o -type f -path '*/cur/*' | sort | sha256sum)" ] || { echo "a quiet run changed the near side"; exit 1; }
[ "$far" = "$(ask 'c = imap("INBOX"); print(ok(c.uid("FETCH", "1:*", "(FLAGS)")))')" ] || { echo "a quiet run changed the far side"; exit 1; }
