#!/usr/bin/env bash
# curl: pop3 with STLS and pop3s list, read and delete; the bytes that come back are the bytes that went in.
set -euo pipefail
common=(--silent --show-error --fail --max-time 60 --user "$BOX_USER:$BOX_PASSWORD" --insecure)
clear=(--ssl-reqd "pop3://$BOX_HOST:$BOX_POP3")
tls=("pop3s://$BOX_HOST:$BOX_POP3S")
cd "$BOX_WORK"
write() { # subject -> file with CR LF lines
  printf 'From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@box.test>\r\n\r\nGrüße.\r\n.dot\r\n..\r\n.\r\n' \
    "$BOX_USER" "$BOX_USER" "$1" "$RANDOM.$RANDOM" >"$2"
}
for n in 1 2 3; do
  write "curl pop3 $n" "$n.eml"
  curl "${common[@]}" "imaps://$BOX_HOST:$BOX_IMAPS/INBOX" --upload-file "$n.eml"
done
{ for n in 1 2 3; do printf '%s %s\r\n' "$n" "$(stat -c %s "$n.eml")"; done; } >sizes
curl "${common[@]}" "${clear[@]}/" | cmp - sizes
curl "${common[@]}" "${tls[@]}/" | cmp - sizes
for login in PLAIN LOGIN; do
  curl "${common[@]}" --login-options "AUTH=$login" "${tls[@]}/2" | cmp - 2.eml
done
curl "${common[@]}" --sasl-ir "${clear[@]}/3" | cmp - 3.eml
curl "${common[@]}" --request UIDL "${tls[@]}/" >before
[ "$(wc -l <before)" = 3 ]
curl "${common[@]}" --request "TOP 1 0" "${tls[@]}/" | tr -d '\r' | tail -n 1 | grep -qx ''
curl "${common[@]}" --request DELE --head "${tls[@]}/2"
curl "${common[@]}" --request UIDL "${clear[@]}/" >after
# Numbers move up, ids stay with their messages.
[ "$(awk '{print $2}' after)" = "$(awk 'NR != 2 {print $2}' before)" ] || { cat before after; exit 1; }
curl "${common[@]}" "${tls[@]}/2" | cmp - 3.eml
if curl --silent --max-time 20 --insecure --user "$BOX_USER:wrong" "${tls[@]}/"; then
  echo "a wrong password was accepted"; exit 1
fi
if curl --silent --max-time 20 --user "$BOX_USER:$BOX_PASSWORD" "pop3://$BOX_HOST:$BOX_POP3/"; then
  echo "a password was accepted in the clear"; exit 1
fi
