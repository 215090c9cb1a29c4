#!/usr/bin/env bash
# Version: gunicorn 27.0.1
#
# Usual guess: `--timeout 2` ends a request that takes longer than two seconds, whatever the worker class, so that a
#   slow provider cannot hold a thread for longer than that.
# Behaviour: with threads (gthread) the time-out watches the worker's own loop, not its requests. A request of three
#   times that length is answered with 200, and nothing is logged. With the sync worker the same request is cut off.
#
# Output seen:
#   sync: answer 'HTTP/1.1 500 Internal Server Error', time-out in the log: True
#   gthread: answer 'HTTP/1.1 200 OK', time-out in the log: False
#   As found: with threads no request is ended.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gunicorn==27.0.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
cat > "$work/hello.py" <<'PY'
import time


def app(environ, start_response):
    time.sleep(6)
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


def six_seconds_with(kind):
    server = subprocess.Popen(
        [f"{work}/venv/bin/gunicorn", "--bind", f"unix:{work}/{kind}", "--worker-class", kind, "--timeout", "2",
         "--no-control-socket", "--log-file", f"{work}/{kind}.log", "hello:app"]
    )  # fmt: skip
    try:
        for _ in range(300):
            if os.path.exists(f"{work}/{kind}"):
                break
            time.sleep(0.2)
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(f"{work}/{kind}")
            line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            try:
                answer = line.recv(100).split(b"\r\n")[0].decode()
            except ConnectionResetError:
                answer = ""
    finally:
        server.terminate()
        server.wait(60)
    timed_out = "WORKER TIMEOUT" in open(f"{work}/{kind}.log").read()
    print(f"{kind}: answer {answer!r}, time-out in the log: {timed_out}")
    return answer, timed_out


sync, gthread = six_seconds_with("sync"), six_seconds_with("gthread")
assert sync[1] and "200" not in sync[0], "the sync worker let the request through"
assert gthread == ("HTTP/1.1 200 OK", False), "the time-out now ends requests of threads"
print("As found: with threads no request is ended.")
PY
