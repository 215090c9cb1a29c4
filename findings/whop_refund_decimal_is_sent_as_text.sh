#!/usr/bin/env bash
# Version: whop-sdk 2.6.0
#
# Usual guess: an amount of money is given to a payments client as a Decimal, and arrives as the number that it is.
# Behaviour: `payments.refund` is declared with a float. A Decimal is sent as JSON text where the API's document wants a
#   number, without an error here; a float that was computed is sent with its rounding error. So an amount must be
#   rounded as a Decimal first, and be made a float at the last moment.
#
# Output seen:
#   Decimal('10.10') is sent as {"partial_amount":"10.10"}
#   0.30000000000000004 is sent as {"partial_amount":0.30000000000000004}
#   10.1 is sent as {"partial_amount":10.1}
#   As found: a Decimal becomes text, and a float goes out as it is.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q whop-sdk==2.6.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$work/venv/bin/python" - <<'PY'
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import whop_sdk
from whop_sdk.core.parse_error import ParsingError
from whop_sdk.environment import WhopEnvironment

bodies = []


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
client = whop_sdk.Whop(token="x", environment=WhopEnvironment(api=here, vault=here))
for amount in (Decimal("10.10"), 0.1 + 0.2, 10.1):
    try:
        client.payments.refund("pay_1", partial_amount=amount)
    except ParsingError:
        pass  # the short answer of this server is no whole payment
    print(f"{amount!r} is sent as {bodies[-1]}")
server.shutdown()
expected = ['{"partial_amount":"10.10"}', '{"partial_amount":0.30000000000000004}', '{"partial_amount":10.1}']
assert bodies == expected, bodies
print("As found: a Decimal becomes text, and a float goes out as it is.")
PY
