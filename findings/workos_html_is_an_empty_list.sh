#!/usr/bin/env bash
# Version: workos 10.8.0
#
# Usual guess: an answer that is no JSON (a proxy's or a sign-in page with status 200) raises an error of the client.
# Behaviour: nothing is raised. A list call gives an empty page that says there is nothing more, exactly as if no
#   such user existed; a call for one user gives None although its type says User.
#
# Output seen:
#   list_users: SyncPage [] users over all pages: []
#   get_user: None
#   As found: a web page passes for `no such user`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q workos==10.8.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 "$work/venv/bin/python" - <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import workos


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<html><body>Down for maintenance</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = workos.WorkOSClient(
    api_key="sk_test_x", client_id="client_x", base_url=f"http://127.0.0.1:{server.server_port}/"
)
page = client.user_management.list_users(email="someone@example.com")
found = [user.id for user in page.auto_paging_iter()]
one = client.user_management.get_user("user_01")
server.shutdown()
print("list_users:", type(page).__name__, page.data, "users over all pages:", found)
print("get_user:", one)
assert page.data == [] and found == [], "the list call no longer takes a web page for an empty list"
assert one is None, "get_user no longer gives None"
print("As found: a web page passes for `no such user`.")
PY
