#!/usr/bin/env bash
# Version: whop-sdk 2.6.0
#
# Usual guess: what `memberships.cancel` does is taken back by `memberships.uncancel`, or by `reactivate`, and `cancel`
#   without anything else lets the paid period run out.
# Behaviour: there is no `uncancel`. Taking back is `update` with `cancel_at_period_end=False`. `reactivate` is for
#   one-time purchases only, by its own words; and `cancel` alone sends no flag, which ends access at once.
#
# Output seen:
#   uncancel: False
#   cancel: POST /memberships/mem_1/cancel {}
#   update: PATCH /memberships/mem_1 {"cancel_at_period_end":false}
#   reactivate is for recurring memberships: False
#   As found: a cancellation is taken back by an update.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q whop-sdk==2.6.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$work/venv/bin/python" - <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import whop_sdk
from whop_sdk.core.parse_error import ParsingError
from whop_sdk.environment import WhopEnvironment

requests = []


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        requests.append(f"{self.command} {self.path} {body}")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PATCH = do_POST

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
memberships = whop_sdk.Whop(token="x", environment=WhopEnvironment(api=here, vault=here)).memberships
print(f"uncancel: {hasattr(memberships, 'uncancel')}")
for name, given in (("cancel", {}), ("update", {"cancel_at_period_end": False})):
    try:
        getattr(memberships, name)("mem_1", **given)
    except ParsingError:
        pass  # the short answer of this server is no whole membership
    print(f"{name}: {requests[-1]}")
server.shutdown()
for_recurring = "recurring memberships cannot be reactivated" not in memberships.reactivate.__doc__
print(f"reactivate is for recurring memberships: {for_recurring}")
assert not hasattr(memberships, "uncancel")
assert requests == ["POST /memberships/mem_1/cancel {}", 'PATCH /memberships/mem_1 {"cancel_at_period_end":false}'], requests
assert not for_recurring
print("As found: a cancellation is taken back by an update.")
PY
