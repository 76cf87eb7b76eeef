#!/usr/bin/env bash
# curl: smtp and smtps submit, imap and imaps read and append; the bytes that come back are the bytes that went in.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
common=(--silent --show-error --fail --max-time 60 --user "$BOX_USER:$BOX_PASSWORD" --insecure)
cd "$BOX_WORK"
write() { # subject -> file with CR LF lines
  printf 'From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@box.test>\r\n\r\nGrüße.\r\n.dot\r\n..\r\n' \
    "$BOX_USER" "$BOX_USER" "$1" "$RANDOM.$RANDOM" >"$2"
}
write "curl starttls" a.eml
curl "${common[@]}" --ssl-reqd "smtp://$BOX_HOST:$BOX_SUBMISSION" --mail-from "$BOX_USER" --mail-rcpt "$BOX_USER" --upload-file a.eml
write "curl smtps" b.eml
curl "${common[@]}" "smtps://$BOX_HOST:$BOX_SUBMISSIONS" --mail-from "$BOX_USER" --mail-rcpt "$BOX_USER" --upload-file b.eml
write "curl append" c.eml
curl "${common[@]}" "imaps://$BOX_HOST:$BOX_IMAPS/INBOX" --upload-file c.eml

fetch() { # subject, server, file
  local uid
  uid=$(curl "${common[@]}" "imaps://$BOX_HOST:$BOX_IMAPS/INBOX" --request "UID SEARCH SUBJECT \"$1\"" | tr -d '\r' | awk '{print $3}')
  [ -n "$uid" ] || { echo "no message: $1"; exit 1; }
  curl "${common[@]}" --ssl-reqd "$2/INBOX;UID=$uid" >"$3"
}
without_trace() { python3 -c 'import sys; sys.path.insert(0, sys.argv[2]); import common; sys.stdout.buffer.write(common.content(open(sys.argv[1], "rb").read()))' "$1" "$here"; }
fetch "curl starttls" "imaps://$BOX_HOST:$BOX_IMAPS" a.back
fetch "curl smtps" "imap://$BOX_HOST:$BOX_IMAP" b.back
fetch "curl append" "imap://$BOX_HOST:$BOX_IMAP" c.back
without_trace a.back | cmp - a.eml
without_trace b.back | cmp - b.eml
cmp c.back c.eml
if curl --silent --max-time 20 --insecure --user "$BOX_USER:wrong" "imaps://$BOX_HOST:$BOX_IMAPS/INBOX"; then
  echo "a wrong password was accepted"; exit 1
fi
