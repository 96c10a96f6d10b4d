#!/bin/sh
# A terminal has read a payment code: shows how to sign (docs/terminals.md).
# Use: docs/terminal-example.sh URL TERMINAL SECRET CODE [OPERATOR]
set -eu
url=$1 terminal=$2 secret=$3 code=$4 operator=${5:-}

at=$(date +%Y-%m-%dT%H:%M:%S%z | sed 's/\(..\)$/:\1/')
body=$(printf '{"kind":"PAY_CODE","value":"%s","terminal_id":"%s","operator":"%s","captured_at":"%s"}' \
    "$code" "$terminal" "$operator" "$at")

# The signature: HMAC-SHA256 over timestamp, the terminal's name, and the very bytes of the body, full stops between.
now=$(date +%s)
signature=$(printf '%s.%s.%s' "$now" "$terminal" "$body" | openssl dgst -sha256 -hmac "$secret" -r | cut -d ' ' -f 1)
printf '%s' "$body" | curl -sS --fail-with-body "$url/api/terminals/captures" \
    -H 'Content-Type: application/json' \
    -H "X-Houfu-Terminal: $terminal" -H "X-Houfu-Timestamp: $now" -H "X-Houfu-Signature: $signature" \
    --data-binary @-
echo
