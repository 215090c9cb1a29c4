#!/usr/bin/env bash
# Version: circuitbreaker 2.1.3
#
# Usual guess: once the recovery time-out is over the breaker is half-open: ONE call goes through as a probe, and the
#   others are refused until its outcome is known.
# Behaviour: half-open refuses nobody. Every call that arrives before the first one ends goes through, so that the
#   whole waiting crowd meets the service that is just coming back (and each hangs for its time-out if it is not).
#
# Output seen:
#   after a failure: open
#   a second later: half_open
#   of 8 calls at once: 8 went through, 0 refused
#   As found: half-open lets everyone through.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q circuitbreaker==2.1.3 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import threading
import time

from circuitbreaker import CircuitBreaker, CircuitBreakerError

breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=1, name="provider")
THREADS = 8
entered, refused, broken, count = 0, 0, True, threading.Lock()
go_on = threading.Event()


@breaker
def ask():
    global entered
    if broken:
        raise ConnectionError("down")
    with count:
        entered += 1
        if entered == THREADS:
            go_on.set()
    go_on.wait(20)  # nobody leaves before all have come, or the breaker has refused the rest


def caller():
    global refused
    try:
        ask()
    except CircuitBreakerError:
        with count:
            refused += 1
            if refused == THREADS - 1:
                go_on.set()


try:
    ask()
except ConnectionError:
    pass
try:
    ask()
except CircuitBreakerError:
    print("after a failure:", breaker.state)
broken = False
while breaker.state != "half_open":
    time.sleep(0.1)
print("a second later:", breaker.state)
threads = [threading.Thread(target=caller) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"of {THREADS} calls at once: {entered} went through, {refused} refused")
assert (entered, refused) == (THREADS, 0), "half-open now refuses calls"
print("As found: half-open lets everyone through.")
PY
