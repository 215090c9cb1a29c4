#!/usr/bin/env bash
# Version: gunicorn 27.0.1
#
# Usual guess: only the access log holds addresses of requests; while it is off (the default), or its format leaves
#   the query out, no query string reaches the logs.
# Behaviour: an exception that leaves the application is logged at ERROR with the method and the whole request target,
#   query string included. What stands in a query (an e-mail address searched for, a one-time code) stays in the
#   error log; it takes a logger of one's own, or an application that lets no exception out, to keep it from there.
#
# Output seen:
#   HTTP/1.1 200 OK
#   HTTP/1.1 500 Internal Server Error
#   log: [ERROR] Error handling request GET /fail?email=second@example.com
#   As found: the query string is in the error log.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gunicorn==27.0.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
cat > "$work/hello.py" <<'PY'
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise LookupError("no such customer")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PY
cd "$work"
unset GUNICORN_CMD_ARGS

WORK="$work" "$work/venv/bin/python" - <<'PY'
import os
import socket
import subprocess
import time

work = os.environ["WORK"]
server = subprocess.Popen(
    [f"{work}/venv/bin/gunicorn", "--bind", f"unix:{work}/s", "--worker-class", "gthread", "--no-control-socket",
     "--log-file", f"{work}/log", "hello:app"]
)  # fmt: skip


def get(target):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(f"{work}/s")
        line.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return line.recv(100).split(b"\r\n")[0].decode()


try:
    for _ in range(300):
        if os.path.exists(f"{work}/s"):
            break
        time.sleep(0.2)
    print(get("/well?email=first@example.com"))
    print(get("/fail?email=second@example.com"))
finally:
    server.terminate()
    server.wait(60)
log = open(f"{work}/log").read()
lines = [line for line in log.splitlines() if "/fail" in line or "/well" in line]
for line in lines:
    print("log:", line[line.index("[ERROR]"):])
assert "first@example.com" not in log, "the access log is on"
assert len(lines) == 1 and "second@example.com" in lines[0], "the query is no longer logged"
print("As found: the query string is in the error log.")
PY
