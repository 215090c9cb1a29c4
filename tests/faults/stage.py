"""One small run of the product that may be killed at any point: its own database, its own providers, and a client who
tries again as people and providers do."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import psycopg
from procrastinate.tasks import Task
from psycopg.rows import dict_row

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations.mail import NoDelivery
from admin_app.integrations.registry import Providers
from admin_app.jobs.app import build
from admin_app.jobs.bench import Bench
from tests.faults import crashing, environment
from tests.house import free_port, settings_for, simulated_providers
from tests.integrations.signing import stripe_headers, whop_headers

PATIENCE_SECONDS = 60
# Comparing with the providers would find again what a fault has lost, and so hide the loss.
NOT_NOW = frozenset({"reconcile_whop", "queue_comparisons", "queue_unfinished_comparisons"})

# Forked from a process that has loaded the product already: a program starts in a tenth of a second.
_nursery = multiprocessing.get_context("forkserver")
_nursery.set_forkserver_preload(
    ["pytest", "tests.faults.crashing", "tests.faults.commands", "admin_app.factory", "admin_app.jobs.__main__"]
)


@cache
def _recurring_tasks() -> list[Task[Any, Any, Any]]:
    """The tasks that the clock starts, as the product registers them; the same for every installation."""
    providers = Providers(whop=None, clerk=None, mail=NoDelivery())
    settings = settings_for("http://127.0.0.1:1")
    queue = build(Bench(Database.from_settings(settings), settings, providers))
    return [found.task for found in queue.periodic_registry.periodic_tasks.values()]


class Stage:
    """The product on one database, with web and worker as processes that are made when they are needed."""

    def __init__(self, database_url: str, simulator: str, smtp_port: int, folder: Path) -> None:
        self.simulator, self.folder, self.port = simulator, folder, free_port()
        self.settings: Settings = settings_for(
            simulator, database_url=database_url, smtp_url=f"smtp://127.0.0.1:{smtp_port}"
        )
        self.crash_at, self.trace, self.ahead = "", "", 0.0
        self.crashed: list[str] = []
        self.facts: dict[str, Any] = {}
        self._web: ForkServerProcess | None = None
        self._worker: ForkServerProcess | None = None
        # A connection for each request: none outlives the server that it was made to.
        self._client = httpx.Client(
            timeout=45, verify=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.connection = psycopg.connect(database_url, autocommit=True, row_factory=dict_row)

    # -- processes -------------------------------------------------------------------------------------------------

    def _start(self, what: str, **arguments: Any) -> ForkServerProcess:
        given = environment.of(self.settings) | {
            "CRASH_AT": self.crash_at,
            "CRASH_TRACE": self.trace,
            "CRASH_CLOCK_AHEAD": str(self.ahead),
        }
        log = str(self.folder / f"{what}.log")
        process = _nursery.Process(target=crashing.start, args=(what, given, arguments, log), daemon=True)
        process.start()
        return process

    def _noticed(self, process: ForkServerProcess, what: str) -> None:
        """A process is gone: by the chosen point, once, or the run is worth nothing."""
        process.join()
        log = (self.folder / f"{what}.log").read_text()[-3000:]
        # 255: what started it did not hear how it ended; nothing of ours ends so.
        assert process.exitcode in (-9, 255), f"{what} ended by itself, {process.exitcode}: {log}"
        assert self.crash_at, f"{what} was killed, and nobody did it: {log}"
        self.crashed.append(self.crash_at)
        self.crash_at = ""

    def end(self) -> None:
        for process in (self._web, self._worker):
            if process is not None:
                process.kill()
                process.join()
        self._web = self._worker = None
        # Whoever looks at heartbeats is to see at once that it is gone.
        self.connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '5 minutes'")

    def close(self) -> None:
        self.end()
        self._client.close()
        self.connection.close()

    def command(self, name: str, **arguments: Any) -> None:
        """What somebody does in the console; a process that dies at it is followed by another try."""
        while True:
            process = self._start("command", name=name, arguments=arguments)
            process.join()
            if process.exitcode == 0:
                return
            self._noticed(process, "command")

    # -- a client --------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever died on the way: asked again after a broken connection, an error, or a "not now"."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if self._web is None:
                self._web = self._start("web", port=self.port)
            try:
                answer = self._client.request(method, f"http://127.0.0.1:{self.port}{path}", **options)
            except httpx.TransportError:
                if self._web.exitcode is not None:
                    self._noticed(self._web, "web")
                    self._web = None
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            assert time.monotonic() < deadline, f"{method} {path} had no answer in time"
            time.sleep(0.05)

    def whop(self, event: dict[str, Any]) -> None:
        raw = json.dumps(event).encode()
        self._delivered("whop", raw, lambda: whop_headers(raw, self.time(), delivery=event["id"]))

    def stripe(self, event: dict[str, Any]) -> None:
        raw = json.dumps(event).encode()
        self._delivered("stripe", raw, lambda: stripe_headers(raw, self.time()))

    def _delivered(self, provider: str, raw: bytes, headers: Callable[[], dict[str, str]]) -> None:
        answer = self.ask("POST", f"/api/webhooks/{provider}", content=raw, headers=headers())
        assert answer.status_code == 200, answer.text

    def time(self) -> float:
        return time.time() + self.ahead

    # -- time passes -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the worker do what is to be done; one that dies is followed by another."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._open_jobs():
            if self._worker is None:
                self.connection.execute(
                    "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '5 minutes'"
                )
                self._worker = self._start("worker")
            elif self._worker.exitcode is not None:
                self._noticed(self._worker, "worker")
                self._worker = None
            assert time.monotonic() < deadline, f"the worker does not come to an end with {self._open_jobs()}"
            time.sleep(0.05)

    def _open_jobs(self) -> list[str]:
        """What is to be done now; the waits between two tries are cut short."""
        self.connection.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo' AND attempts > 0"
            " AND scheduled_at > now() + interval '1 second'"
        )
        rows = self.connection.execute(
            "SELECT task_name FROM procrastinate_jobs WHERE status = 'doing'"
            " OR (status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now() + interval '1 second'))"
        )
        return [row["task_name"] for row in rows]

    def later(self, by: timedelta) -> None:
        """So much later, by the product's clock: what runs by the clock has run."""
        self.end()
        self.ahead += by.total_seconds()
        self.tick()
        self.settle()

    def tick(self, *only: str) -> None:
        """The clock strikes for every recurring task, or for these; in this house it strikes by hand alone."""
        for task in _recurring_tasks():
            if task.name in only if only else task.name not in NOT_NOW:
                self.connection.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)"
                    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (task.queue, task.name, task.priority, task.lock, task.queueing_lock, json.dumps({"timestamp": 0})),
                )

    def database(self) -> Database:
        """The product's way to the database, in this process."""
        return Database.from_settings(self.settings)

    @contextmanager
    def rows(self) -> Iterator[Database]:
        database = self.database()
        try:
            yield database
        finally:
            database.dispose()


@contextmanager
def staged(database_url: str, folder: Path) -> Iterator[Stage]:
    folder.mkdir(parents=True, exist_ok=True)
    smtp_port = free_port()
    with simulated_providers(folder, smtp_port=smtp_port) as simulator:
        stage = Stage(database_url, simulator, smtp_port, folder)
        try:
            yield stage
        finally:
            stage.close()
