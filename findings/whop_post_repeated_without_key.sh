#!/usr/bin/env bash
# Version: whop-sdk 2.6.0
#
# Usual guess: a creation (POST) without an idempotency key is sent once, or the client makes a key before it repeats
#   it (as Stripe's client does); and a 409 (conflict) is an answer, not a reason to repeat.
# Behaviour: without any setting a POST that is answered 500, or 409, is sent three times, and none of the three
#   carries an Idempotency-Key; max_retries=0 must be given to stop it.
#
# Output seen:
#   answered 500, settings {}: keys of the requests [None, None, None]
#   answered 409, settings {}: keys of the requests [None, None, None]
#   answered 500, settings {'max_retries': 0}: keys of the requests [None]
#   As found: three creations sent, none with a key.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q whop-sdk==2.6.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$work/venv/bin/python" - <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import whop_sdk
from whop_sdk.environment import WhopEnvironment

keys = []
status = 500


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        keys.append(self.headers.get("Idempotency-Key"))
        text = b'{"message": "Sorry"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"


def keys_sent(answered, **settings):
    global status
    status = answered
    keys.clear()
    client = whop_sdk.Whop(token="x", environment=WhopEnvironment(api=here, vault=here), **settings)
    try:
        client.products.create(title="Apple")
    except Exception as error:
        assert str(answered) in str(error), error
    print(f"answered {answered}, settings {settings}: keys of the requests {keys}")
    return list(keys)


seen = [keys_sent(500), keys_sent(409), keys_sent(500, max_retries=0)]
server.shutdown()
assert seen == [[None] * 3, [None] * 3, [None]], seen
print("As found: three creations sent, none with a key.")
PY
