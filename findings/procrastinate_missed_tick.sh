#!/usr/bin/env bash
# Version: procrastinate 3.10.0
#
# Usual guess: a periodic task whose time passed while no worker ran is either always made up for at the next start
#   (its last run is in the database), or never (as with cron).
# Behaviour: both. A worker that starts looks at the last tick of each task: if it lies less than ten minutes back,
#   it is deferred at once, also by a worker that has never run before; if it lies further back, it is dropped, and
#   only a DEBUG line says so. A daily task misses its day after an outage of eleven minutes; one of nine does no harm.
#
# Output seen:
#   tick 5 minutes before the start: jobs deferred, log level of the omission: (1, [])
#   tick 20 minutes before the start: (0, ['DEBUG'])
#   As found: the older tick is dropped, and no line above DEBUG says so.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q procrastinate==3.10.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

"$work/venv/bin/python" - <<'PY'
import asyncio
import datetime
import logging

import procrastinate
from procrastinate.testing import InMemoryConnector


def once_a_day(minutes_ago):
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
    return f"{at.minute} {at.hour} * * *"


def first_start(minutes_ago):
    """What a first worker defers and logs when the task's time of day was `minutes_ago`."""
    connector = InMemoryConnector()
    app = procrastinate.App(connector=connector)

    @app.periodic(cron=once_a_day(minutes_ago))
    @app.task(name="daily")
    async def daily(timestamp):
        pass

    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((record.levelname, getattr(record, "action", "")))
    logger = logging.getLogger("procrastinate")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)

    async def run():
        async with app.open_async():
            worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, listen_notify=False))
            for _ in range(600):
                await asyncio.sleep(0.05)
                if any(action == "wait_next_tick" for _, action in lines):
                    break
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(run())
    logger.removeHandler(handler)
    ignored = [level for level, action in lines if action == "ignore_periodic_task"]
    assert any(action == "wait_next_tick" for _, action in lines), "the worker did not start"
    return len(connector.jobs), ignored


near, far = first_start(5), first_start(20)
print("tick 5 minutes before the start: jobs deferred, log level of the omission:", near)
print("tick 20 minutes before the start:", far)
assert near == (1, []), "a recent tick is no longer made up for"
assert far == (0, ["DEBUG"]), "an older tick is no longer dropped at DEBUG level"
print("As found: the older tick is dropped, and no line above DEBUG says so.")
PY
