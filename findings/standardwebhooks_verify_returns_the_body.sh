#!/usr/bin/env bash
# Version: standardwebhooks 1.1.0, svix 2.9.1
#
# Usual guess: svix's Webhook is the same as the one of standardwebhooks, which it is built upon: the same signature,
#   the same headers but for their prefix, so that one can take the place of the other, and verify() gives the event.
# Behaviour: standardwebhooks' verify() returns the parsed body; svix's verifies the same delivery and returns None.
#   Code written for the one treats each delivery of the other as an empty event.
#
# Output seen:
#   standardwebhooks: {'type': 'invoice.paid'}
#   svix: None
#   As found: the same delivery, two results.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q standardwebhooks==1.1.0 svix==2.9.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import base64
from datetime import datetime, timezone

import standardwebhooks
import svix

secret = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()
now = datetime.now(timezone.utc)
body = '{"type": "invoice.paid"}'
headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": str(int(now.timestamp())),
    "webhook-signature": standardwebhooks.Webhook(secret).sign("msg_1", now, body),
}
one = standardwebhooks.Webhook(secret).verify(body, headers)
other = svix.Webhook(secret).verify(body, headers)
print("standardwebhooks:", one)
print("svix:", other)
assert one == {"type": "invoice.paid"} and other is None, "the two now return the same"
print("As found: the same delivery, two results.")
PY
