#!/usr/bin/env bash
# Version: procrastinate 3.10.0
#
# Usual guess: `RetryStrategy(max_attempts=3)` runs a failing job three times in all, as the name says.
# Behaviour: the first run is not counted: the job runs four times. max_attempts=1 means two runs.
#
# Output seen:
#   max_attempts=1: 2 runs
#   max_attempts=3: 4 runs
#   As found: one run more than max_attempts.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q procrastinate==3.10.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import asyncio
import logging

import procrastinate
from procrastinate.testing import InMemoryConnector

logging.getLogger("procrastinate").setLevel(logging.CRITICAL)


def runs_with(max_attempts):
    app = procrastinate.App(connector=InMemoryConnector())
    runs = []

    @app.task(name="charge", retry=procrastinate.RetryStrategy(max_attempts=max_attempts))
    async def charge():
        runs.append(1)
        raise ConnectionError("down")

    async def run():
        async with app.open_async():
            await charge.defer_async()
            await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)

    asyncio.run(run())
    print(f"max_attempts={max_attempts}: {len(runs)} runs")
    return len(runs)


assert [runs_with(1), runs_with(3)] == [2, 4], "max_attempts no longer means the retries after the first run"
print("As found: one run more than max_attempts.")
PY
