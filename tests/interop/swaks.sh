#!/usr/bin/env bash
# swaks as another server (clear, STARTTLS) and as a person's program (STARTTLS and TLS with AUTH PLAIN and LOGIN).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$BOX_WORK"
send() { swaks --silent 2 --timeout 30 --helo sender.example.org --body "sent by swaks" "$@" || { echo "swaks failed: $*"; exit 1; }; }
outside=(--server "$BOX_HOST" --port "$BOX_SMTP" --from friend@example.org --to "$BOX_USER")
send "${outside[@]}" --header "Subject: swaks clear"
send "${outside[@]}" --header "Subject: swaks starttls" --tls
send "${outside[@]}" --header "Subject: swaks pipelined" --pipeline
send "${outside[@]}" --header "Subject: swaks null sender" --from "<>"
send --server "$BOX_HOST" --port "$BOX_SUBMISSION" --tls --auth PLAIN --auth-user "$BOX_USER" --auth-password "$BOX_PASSWORD" \
  --from "$BOX_USER" --to "$BOX_USER" --header "Subject: swaks auth plain"
send --server "$BOX_HOST" --port "$BOX_SUBMISSIONS" --tls-on-connect --auth LOGIN --auth-user "$BOX_USER" --auth-password "$BOX_PASSWORD" \
  --from "$BOX_USER" --to "$BOX_USER" --header "Subject: swaks auth login"
refused() { # wanted code, then the arguments
  local code=$1; shift
  if swaks --timeout 30 --helo sender.example.org "$@" >refused.log 2>&1; then echo "was accepted: $*"; exit 1; fi
  grep -q "<\*\* $code\|<~\* $code" refused.log || { echo "no $code for: $*"; cat refused.log; exit 1; }
}
refused 550 --server "$BOX_HOST" --port "$BOX_SMTP" --from friend@example.org --to "nobody-here@${BOX_USER#*@}"
refused 550 --server "$BOX_HOST" --port "$BOX_SMTP" --from friend@example.org --to someone@example.net
refused 530 --server "$BOX_HOST" --port "$BOX_SUBMISSION" --from "$BOX_USER" --to "$BOX_USER"
refused 535 --server "$BOX_HOST" --port "$BOX_SUBMISSION" --tls --auth PLAIN --auth-user "$BOX_USER" --auth-password wrong --from "$BOX_USER" --to "$BOX_USER"
refused 553 --server "$BOX_HOST" --port "$BOX_SUBMISSION" --tls --auth PLAIN --auth-user "$BOX_USER" --auth-password "$BOX_PASSWORD" \
  --from someone-else@example.net --to "$BOX_USER"
cd "$here" && python3 - <<'CHECK'
from common import *
for subject in ("clear", "starttls", "pipelined", "null sender", "auth plain", "auth login"):
    uid, whole = arrived("swaks " + subject)
    assert b"sent by swaks" in whole, subject
    received = whole.split(b"Received: ", 1)[1].split(b"\r\nReceived:")[0]
    secure = subject not in ("clear", "pipelined", "null sender")
    assert (b"with ESMTPS" in received) == secure, (subject, received)
CHECK
