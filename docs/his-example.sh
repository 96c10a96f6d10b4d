#!/bin/sh
# A HIS in four events: somebody is seen, a blood count is ordered, charged and done. Shows how to sign (docs/his.md).
# Use: docs/his-example.sh URL KEY_ID SECRET
set -eu
url=$1 key=$2 secret=$3

n=$(date +%s)
at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
item() { # type, sequence, data
    printf '{"specversion":"1.0","id":"readme-%s-%s","source":"/hospital/HF01","type":"%s","subject":"E%s","time":"%s","sequence":%s,"data":%s}' \
        "$n" "$2" "$1" "$n" "$at" "$2" "$3"
}
body="[$(item encounter.started 1 '{"patient":{"no":"P-README","name":"测试丁","sex":"F","birth_date":"1960-05-06"},"class":"AMB","department":"CARD","insurance":{"status":"normal"},"started_at":"'"$at"'"}')"
body="$body,$(item order.placed 2 '{"order_no":"O'"$n"'","kind":"lab","name":"血常规","department":"LAB","ordered_at":"'"$at"'"}')"
body="$body,$(item charge.created 3 '{"charge_no":"C'"$n"'","order_no":"O'"$n"'","item_code":"L010","name":"血常规","quantity":1,"unit_price_fen":2000,"amount_fen":2000,"split":{"fund_fen":1400,"account_fen":0,"self_fen":600},"created_at":"'"$at"'"}')"
body="$body,$(item execution.confirmed 4 '{"execution_no":"X'"$n"'","order_no":"O'"$n"'","department":"LAB","at":"'"$at"'"}')]"

# The signature: HMAC-SHA256 over timestamp, a full stop, and the very bytes of the body.
now=$(date +%s)
signature=$(printf '%s.%s' "$now" "$body" | openssl dgst -sha256 -hmac "$secret" -r | cut -d ' ' -f 1)
printf '%s' "$body" | curl -sS --fail-with-body "$url/api/his/events" \
    -H 'Content-Type: application/json' \
    -H "X-Houfu-Key: $key" -H "X-Houfu-Timestamp: $now" -H "X-Houfu-Signature: $signature" \
    --data-binary @-
echo
