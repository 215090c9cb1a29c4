#!/usr/bin/env bash
# Version: pybreaker 1.4.1
#
# Usual guess: a breaker that calls itself thread-safe lets the threads that share it call at the same time, and
#   guards only its own counters.
# Behaviour: `call` (and so the decorator) holds the breaker's lock for the whole of the guarded call. The calls of all
#   threads run one after another: one slow call to a provider makes every other thread wait, with the circuit closed.
#
# Output seen:
#   at the same time without a breaker: 4
#   at the same time through one closed breaker: 1
#   As found: one call at a time.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pybreaker==1.4.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import threading
import time

import pybreaker


def most_at_once(run):
    """How many of four threads were inside the guarded call at the same time."""
    inside, most, count = 0, 0, threading.Lock()

    def call():
        nonlocal inside, most
        with count:
            inside += 1
            most = max(most, inside)
        time.sleep(0.5)
        with count:
            inside -= 1

    threads = [threading.Thread(target=run, args=(call,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


bare = most_at_once(lambda call: call())
guarded = most_at_once(pybreaker.CircuitBreaker().call)
print("at the same time without a breaker:", bare)
print("at the same time through one closed breaker:", guarded)
assert bare > 1, "the machine is too busy to tell"
assert guarded == 1, "calls through one breaker now run side by side"
print("As found: one call at a time.")
PY
