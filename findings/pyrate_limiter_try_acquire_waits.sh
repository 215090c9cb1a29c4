#!/usr/bin/env bash
# Version: pyrate-limiter 4.5.1
#
# Usual guess: `try_acquire` tries: with the rate used up it returns False (or raises, as releases before did) at once,
#   and the caller may answer 429.
# Behaviour: it waits, without any limit by default, until the rate allows the call, and returns True. In a request it
#   holds the thread for as long; only `blocking=False` gives the False at once.
#
# Output seen:
#   try_acquire: True, at once
#   try_acquire{'blocking': False}: False, at once
#   try_acquire: True, after a wait
#   As found: it waits until it can say True.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pyrate-limiter==4.5.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import time

from pyrate_limiter import Duration, Limiter, Rate

limiter = Limiter(Rate(1, Duration.SECOND * 8))


def ask(**how):
    begun = time.monotonic()
    got = limiter.try_acquire("someone", **how)
    waited = time.monotonic() - begun > 1
    print(f"try_acquire{how or ''}: {got}, {'after a wait' if waited else 'at once'}")
    return got, waited


first, refused, second = ask(), ask(blocking=False), ask()
assert first == (True, False) and refused == (False, False)
assert second == (True, True), "try_acquire no longer waits by default"
print("As found: it waits until it can say True.")
PY
