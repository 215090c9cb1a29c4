"""Puts jobs into the queue in the caller's own transaction: the job exists exactly when its cause does."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import procrastinate
from sqlalchemy import text
from sqlalchemy.orm import Session

# Never opened: jobs are inserted through the session's own connection, this object only knows the SQL.
_queue = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())
_WAITS = text(
    # In two halves, each of which has an index of the queue's own.
    "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = :once_key)"
    " OR EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NOT NULL"
    " AND queueing_lock = :once_key)"
)

_INSERT_FROM = (
    "INSERT INTO procrastinate_jobs (task_name, queue_name, priority, args)"
    " SELECT %(job_task)s, %(job_queue)s, %(job_priority)s, {arguments} FROM {source}"
)


def defer(
    session: Session,
    task: str,
    *,
    once_key: str | None = None,
    lane: str | None = None,
    at: datetime | None = None,
    **arguments: Any,
) -> None:
    """Queue `task` for after the commit, or for the moment `at`. Arguments hold ids only, never anything personal.

    With `once_key`, a second job with the same key is not queued while the first still waits. Jobs of one `lane` are
    done one after the other, in the order in which they came.
    """
    session.flush()  # rows that the job is about must be in the transaction before the job is
    connection = session.connection().connection.driver_connection
    job = _queue.configure_task(
        task,
        allow_unknown=True,
        queueing_lock=once_key,
        lock=lane,
        schedule_at=at,
        # Thousands may be due at one moment: whatever somebody waits for goes before them.
        priority=0 if at is None else -1,
        connection=connection,
    )
    if once_key is None:
        job.defer(**arguments)
        return
    with suppress(procrastinate.exceptions.AlreadyEnqueued), session.begin_nested():
        session.connection()  # the savepoint is only made once the session is used within it
        job.defer(**arguments)


def insert_from(source: str, task: str, arguments: str) -> tuple[str, Mapping[str, Any]]:
    """SQL that queues `task` for each row of `source`, for a statement that makes cause and job at once; its values.

    `arguments` is a jsonb expression over the source's columns. Values are named as psycopg does it: `%(job_…)s`.
    """
    job = _queue.configure_task(task, allow_unknown=True).job
    values = {"job_task": job.task_name, "job_queue": job.queue, "job_priority": job.priority}
    return _INSERT_FROM.format(source=source, arguments=arguments), values


def waits(session: Session, once_key: str) -> bool:
    """Whether a job with this key is queued or at work."""
    return bool(session.scalar(_WAITS, {"once_key": once_key}))
