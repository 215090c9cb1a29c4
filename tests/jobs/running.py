"""A worker in a thread or as a process, on a real database."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar

from procrastinate import App
from sqlalchemy import text

from admin_app.jobs import worker
from admin_app.jobs.app import build
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import BackOff
from tests.house import House

# Only against waiting for ever: on a busy machine a worker takes half a minute to start.
PATIENCE_SECONDS = 240.0

T = TypeVar("T")


def bench_of(house: House) -> Bench:
    """The house's bench with the address that the queue's own connections need."""
    url = house.db.engine.url.render_as_string(hide_password=False)
    return Bench(house.db, house.bench.settings.model_copy(update={"database_url": url}), house.bench.providers)


class RunningWorker:
    def __init__(self, house: House, *, first_wait: float = 0) -> None:
        self.queue = build(bench_of(house), back_off=BackOff(first_wait))
        # What is due by the hour or by the day would come into the middle of whichever test runs just then.
        recurring = self.queue.periodic_registry.periodic_tasks
        for key in [key for key, each in recurring.items() if not each.cron.startswith("*")]:
            del recurring[key]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._loop.run_until_complete(worker.run(self.queue, self._stop, poll_seconds=0.1))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def call(self, what: Callable[[App], Coroutine[None, None, T]]) -> T:
        """Something with the queue, in the worker's own loop."""
        return asyncio.run_coroutine_threadsafe(what(self.queue), self._loop).result(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


def wait_until(what: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def execute(house: House, statement: str) -> None:
    with house.db.engine.begin() as connection:
        connection.execute(text(statement))


def jobs(house: House) -> list[tuple[str, str, int]]:
    """Name, status and tries of the jobs that are there, but for the recurring ones."""
    query = text(
        "SELECT task_name, status::text, attempts FROM procrastinate_jobs"
        " WHERE task_name IN ('process_event', 'send_claim_mail') ORDER BY id"
    )
    with house.db.read_only() as session:
        return [(row.task_name, row.status, row.attempts) for row in session.execute(query)]


@contextmanager
def worker_process(house: House, program: Sequence[str] = ("admin_app.jobs",)) -> Iterator[subprocess.Popen[str]]:
    """The worker as it is started in earnest, or by another program."""
    settings = bench_of(house).settings
    given = {name.upper(): str(value) for name, value in settings.model_dump().items() if isinstance(value, str)}
    process = subprocess.Popen(
        [sys.executable, "-m", *program],
        env=os.environ | given,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
