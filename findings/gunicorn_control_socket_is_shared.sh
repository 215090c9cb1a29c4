#!/usr/bin/env bash
# Version: gunicorn 27.0.1
#
# Usual guess: a server opens no control interface unless one is configured; or each server has its own.
# Behaviour: every server opens one, and all servers of a user share ONE path ($XDG_RUNTIME_DIR/gunicorn.ctl, else
#   ~/.gunicorn/gunicorn.ctl). The one started last takes the path away from the one before, without a word: gunicornc
#   now speaks to another server than the operator means. When that one stops, it removes the path, and the first
#   server, which still runs, can be reached no more. Give each `--control-socket PATH` or `--no-control-socket`.
#
# Output seen:
#   one server, nothing configured: gunicornc reaches the first
#   a second one is started: gunicornc reaches the second
#   the second one is stopped: gunicornc reaches none, though the first still runs
#   warnings or errors in their logs: 0
#   As found: the path belongs to whoever came last.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gunicorn==27.0.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
mkdir "$work/home"
cat > "$work/hello.py" <<'PY'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PY
cd "$work"
unset XDG_RUNTIME_DIR GUNICORN_CMD_ARGS

HOME="$work/home" WORK="$work" "$work/venv/bin/python" - <<'PY'
import json
import os
import subprocess
import time

work = os.environ["WORK"]
path = f"{work}/home/.gunicorn/gunicorn.ctl"


def start(name):
    return subprocess.Popen(
        [f"{work}/venv/bin/gunicorn", "--bind", f"unix:{work}/{name}.sock", "--log-file", f"{work}/{name}.log", "hello:app"]
    )


def asked():
    """The process id of the server that gunicornc reaches without further arguments."""
    answer = subprocess.run(
        [f"{work}/venv/bin/gunicornc", "-j", "-c", "show stats"], capture_output=True, text=True, timeout=60
    )
    return json.loads(answer.stdout)["pid"] if answer.returncode == 0 else None


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


first = second = None
try:
    first = start("first")
    assert wait_for(lambda: asked() == first.pid), "the first server opened no control socket"
    print("one server, nothing configured: gunicornc reaches the first")
    second = start("second")
    assert wait_for(lambda: asked() == second.pid), "the second server did not take the path"
    print("a second one is started: gunicornc reaches the second")
    second.terminate()
    second.wait(60)
    assert first.poll() is None
    assert not os.path.exists(path) and asked() is None, "the first server can still be reached"
    print("the second one is stopped: gunicornc reaches none, though the first still runs")
    logs = open(f"{work}/first.log").read() + open(f"{work}/second.log").read()
    print("warnings or errors in their logs:", sum(f"[{level}]" in logs for level in ("WARNING", "ERROR")))
    print("As found: the path belongs to whoever came last.")
finally:
    for server in (first, second):
        if server is not None and server.poll() is None:
            server.terminate()
            server.wait(60)
PY
