#!/usr/bin/env bash
# Version: gunicorn 27.0.1
#
# Usual guess: an application that answers with `Connection: close` (say, because it drains before a restart, or wants
#   a client away after a refused upload) ends the connection with that answer.
# Behaviour: with keep-alive workers (gthread here) the header is dropped without a word. The client is told
#   `Connection: keep-alive`, and its next request on the same connection is served.
#
# Output seen:
#   two requests on one connection: [(200, ['keep-alive']), (200, ['keep-alive'])]
#   As found: the application cannot end the connection.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gunicorn==27.0.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
cat > "$work/hello.py" <<'PY'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2"), ("Connection", "close")])
    return [b"ok"]
PY
cd "$work"
unset GUNICORN_CMD_ARGS

WORK="$work" "$work/venv/bin/python" - <<'PY'
import http.client
import os
import socket
import subprocess
import time

work = os.environ["WORK"]
server = subprocess.Popen(
    [f"{work}/venv/bin/gunicorn", "--bind", f"unix:{work}/s", "--worker-class", "gthread", "--no-control-socket",
     "--keep-alive", "60", "--log-file", f"{work}/log", "hello:app"]
)  # fmt: skip
try:
    for _ in range(300):
        if os.path.exists(f"{work}/s"):
            break
        time.sleep(0.2)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    line.connect(f"{work}/s")
    told = []
    for _ in range(2):
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(line)
        answer.begin()
        answer.read()
        told.append((answer.status, answer.headers.get_all("Connection")))
    line.close()
finally:
    server.terminate()
    server.wait(60)
print("two requests on one connection:", told)
assert told == [(200, ["keep-alive"])] * 2, "the application's Connection: close now counts"
print("As found: the application cannot end the connection.")
PY
