#!/usr/bin/env bash
# Version: stripe 16.1.0
#
# Usual guess: with max_network_retries=2 the client waits and tries again when it is told to slow down (429 with
#   Retry-After), as it does after 500 and 409.
# Behaviour: a 429 raises RateLimitError at the first try, whatever Retry-After says. Only the header
#   `Stripe-Should-Retry: true` on the 429 makes the client try again.
#
# Output seen:
#   500 {}: 3 tries, then APIError
#   409 {}: 3 tries, then APIError
#   429 {}: 1 tries, then RateLimitError
#   429 {'Retry-After': '1'}: 1 tries, then RateLimitError
#   429 {'Stripe-Should-Retry': 'true'}: 3 tries, then RateLimitError
#   As found: 429 is final, unless Stripe-Should-Retry says otherwise.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q stripe==16.1.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$work/venv/bin/python" - <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

tries = 0
answer = (0, {})


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        global tries
        tries += 1
        body = b'{"error": {"type": "invalid_request_error", "message": "Not now."}}'
        self.send_response(answer[0])
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer[1]}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = stripe.StripeClient(
    "sk_test_x", max_network_retries=2, base_addresses={"api": f"http://127.0.0.1:{server.server_port}"}
)


def tries_on(status, headers):
    global tries, answer
    tries, answer = 0, (status, headers)
    try:
        client.v1.customers.retrieve("cus_1")
    except stripe.StripeError as error:
        print(f"{status} {headers}: {tries} tries, then {type(error).__name__}")
    return tries


seen = [
    tries_on(500, {}),
    tries_on(409, {}),
    tries_on(429, {}),
    tries_on(429, {"Retry-After": "1"}),
    tries_on(429, {"Stripe-Should-Retry": "true"}),
]
server.shutdown()
assert seen == [3, 3, 1, 1, 3], f"tries were {seen}"
print("As found: 429 is final, unless Stripe-Should-Retry says otherwise.")
PY
