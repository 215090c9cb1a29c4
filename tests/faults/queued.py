"""What the tests of the queue share: jobs as rows, and fetching as a worker does it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from procrastinate import App
from sqlalchemy import text

from admin_app.db import Database
from admin_app.jobs.app import BY_INDEX, build
from admin_app.jobs.manager import HeldJobs
from tests.house import House
from tests.jobs.running import bench_of

T = TypeVar("T")

_FETCH = text("SELECT id, task_name, args FROM procrastinate_fetch_job_v2(:queues, NULL)")
_WAITING = text(
    "SELECT id, task_name, queue_name, priority, attempts, scheduled_at, queueing_lock FROM procrastinate_jobs"
    " WHERE status = 'todo' ORDER BY id"
)


def fetch(db: Database, *queues: str) -> Any:
    """The job that a worker of these queues (of all, without any) would begin now, marked as begun; None for none."""
    with db.engine.begin() as connection:
        row = connection.execute(_FETCH, {"queues": list(queues) or None}).one()
    return row if row.id is not None else None


def rows_read_by_fetching(db: Database, queue: str) -> int:
    """How many rows of the queue's table a worker's own connection reads for one job."""
    counted = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_jobs'"
    )
    with db.engine.begin() as connection:
        for setting in BY_INDEX.split("-c ")[1:]:
            connection.execute(text(f"SET LOCAL {setting}"))
        # What earlier transactions of this connection read may not have been handed on yet, and is shown here too.
        before = int(connection.execute(counted).scalar_one())
        connection.execute(_FETCH, {"queues": [queue]})
        return int(connection.execute(counted).scalar_one()) - before


def waiting(db: Database) -> list[Any]:
    with db.read_only() as session:
        return list(session.execute(_WAITING))


def execute(db: Database, statement: str, **values: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(text(statement), values)


def backlog(db: Database, count: int, *, task: str = "process_event", queue: str = "default") -> None:
    """So many jobs, all older than what is queued from now on."""
    execute(
        db,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " SELECT :queue, :task, jsonb_build_object('event_id', n) FROM generate_series(1, :count) n",
        queue=queue,
        task=task,
        count=count,
    )


def run_apart(what: Coroutine[None, None, T]) -> T:
    """In a thread of its own: a browser's tests leave their loop running in this one."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, what).result()


def by_queue(house: House, what: Callable[[App, HeldJobs], Coroutine[None, None, T]]) -> T:
    """Something with the queue as a worker has it, but without a worker."""

    async def do() -> T:
        queue = build(bench_of(house))
        async with queue.open_async():
            assert isinstance(queue.job_manager, HeldJobs)
            return await what(queue, queue.job_manager)

    return run_apart(do())


def add(
    house: House, key: str | None = "k", status: str = "todo", *, task: str = "sync_calendar", **values: Any
) -> int:
    given = {"task": task, "key": key, "status": status, "worker": None, "attempts": 0, "at": None} | values
    with house.db.engine.begin() as connection:
        added = connection.execute(
            text(
                "INSERT INTO procrastinate_jobs"
                " (queue_name, task_name, queueing_lock, status, args, worker_id, attempts, scheduled_at) VALUES"
                " ('default', :task, :key, CAST(:status AS procrastinate_job_status), '{\"booking_id\": 0}',"
                " :worker, :attempts, :at) RETURNING id"
            ),
            given,
        )
        return int(added.scalar_one())


def states(house: House) -> dict[int, str]:
    with house.db.read_only() as session:
        found = session.execute(text("SELECT id, status::text FROM procrastinate_jobs ORDER BY id"))
        return {row.id: row.status for row in found}
