#!/usr/bin/env bash
# Version: whop-sdk 2.6.0
#
# Usual guess: the client's `idempotency_key=` (the only parameter that sets the header, shown in the examples of the
#   SDK's methods) seeds or prefixes the keys of the requests, or is used for writing calls, each with its own.
# Behaviour: it is a fixed header. Every request of the client carries the same Idempotency-Key: two different
#   creations, and reading calls too. To a server that honours the header the second creation is a repeat of the first.
#
# Output seen:
#   POST {"title":"Apple"} key-1
#   POST {"title":"Pear"} key-1
#   GET  key-1
#   As found: one key for different creations, and for reading.
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

requests = []


class Api(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        requests.append((self.command, body.decode(), self.headers.get("Idempotency-Key")))
        text = b'{"message": "Not found"}'
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
client = whop_sdk.Whop(
    token="x", idempotency_key="key-1", environment=WhopEnvironment(api=here, vault=here)
)
for call in (
    lambda: client.products.create(title="Apple"),
    lambda: client.products.create(title="Pear"),
    lambda: client.products.retrieve("prod_1"),
):
    try:
        call()
    except Exception as error:  # the server here answers 404; what was sent is what counts
        assert "404" in str(error), error
server.shutdown()
for request in requests:
    print(*request)
assert [(method, key) for method, _, key in requests] == [("POST", "key-1"), ("POST", "key-1"), ("GET", "key-1")]
assert requests[0][1] != requests[1][1]
print("As found: one key for different creations, and for reading.")
PY
