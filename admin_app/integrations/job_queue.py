"""Puts jobs into the queue in the caller's own transaction: the job exists exactly when its cause does."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from admin_app.integrations.job_order import place_of

# Of the two numbers of an advisory lock here the first is this, the second is of the key: apart from the locks by name.
KEYS = 7301
# Each time round, a worker has begun the job that was waiting the moment before.
ROUNDS = 5

# The queue's own statements know no ON CONFLICT, and one that fails would cost every caller a savepoint.
_INSERT = text(
    "INSERT INTO procrastinate_jobs (task_name, queue_name, priority, lock, args, scheduled_at)"
    " VALUES (:task, :queue, :priority, :lane, CAST(:arguments AS jsonb), :at)"
)
# Two transactions that insert one key wait for each other, and crosswise for ever: who comes second inserts without it.
_INSERT_ONCE = text(
    """
    INSERT INTO procrastinate_jobs (task_name, queue_name, priority, lock, args, scheduled_at, queueing_lock)
    SELECT :task, :queue, :priority, :lane, CAST(:arguments AS jsonb), CAST(:at AS timestamptz),
           CASE WHEN key.is_ours THEN CAST(:once_key AS text) END
    FROM (SELECT pg_try_advisory_xact_lock(:keys, hashtext(:once_key)) AS is_ours OFFSET 0) key
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
    RETURNING id
    """
)
# No worker can fetch a row that is locked, not even in this weakest way: fetching locks it FOR UPDATE SKIP LOCKED.
# Whoever skipped it hears at our commit that it may be fetched now.
_KEEP_WAITING = text(
    """
    WITH waiting AS MATERIALIZED (
        SELECT id, queue_name FROM procrastinate_jobs
        WHERE status = 'todo' AND queueing_lock = :once_key FOR KEY SHARE)
    SELECT id, pg_notify('procrastinate_queue_v1#' || queue_name,
                         json_build_object('type', 'job_inserted', 'job_id', id)::text)
    FROM waiting
    """
)
_ANEW = text(
    """
    UPDATE procrastinate_jobs
    SET attempts = 0, priority = greatest(priority, :priority),
        scheduled_at = CASE WHEN scheduled_at > coalesce(CAST(:at AS timestamptz), now())
                            THEN CAST(:at AS timestamptz) ELSE scheduled_at END
    WHERE id = :id AND (attempts > 0 OR priority < :priority
                        OR scheduled_at > coalesce(CAST(:at AS timestamptz), now()))
    """
)
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
    anew: bool = True,
    **arguments: Any,
) -> None:
    """Queue `task` for after the commit, or for the moment `at`. Arguments hold ids only, never anything personal.

    With `once_key` a job that waits already is enough, and it will begin after this transaction has ended: once after
    the last change. It begins as soon as the sooner of both asks for, with all its tries before it; with `anew` false,
    for what only makes sure that there is a job, it keeps its time and its tries. Nobody waits for another transaction
    here: of two that queue one key at the same moment, each has a job of its own. Jobs of one `lane` are done one after
    the other, in the order in which they came; one that failed is tried again beside them. Which job goes first:
    `admin_app.integrations.job_order`.
    """
    session.flush()  # rows that the job is about must be in the transaction before the job is
    place = place_of(task, at_a_moment=at is not None)
    job = {
        "task": task,
        "queue": place.queue,
        "priority": place.priority,
        "lane": lane,
        "arguments": json.dumps(arguments),
        "at": at,
    }
    if once_key is None:
        session.execute(_INSERT, job)
        return
    key = {"once_key": once_key}
    for _ in range(ROUNDS):
        if session.scalar(_INSERT_ONCE, job | key | {"keys": KEYS}) is not None:
            return
        waiting = session.scalar(_KEEP_WAITING, key)
        if waiting is not None:
            if anew:
                session.execute(_ANEW, {"id": waiting, "priority": place.priority, "at": at})
            return
    session.execute(_INSERT, job)


def insert_from(source: str, task: str, arguments: str) -> tuple[str, Mapping[str, Any]]:
    """SQL that queues `task` for each row of `source`, for a statement that makes cause and job at once; its values.

    `arguments` is a jsonb expression over the source's columns. Values are named as psycopg does it: `%(job_…)s`.
    """
    place = place_of(task)
    values = {"job_task": task, "job_queue": place.queue, "job_priority": place.priority}
    return _INSERT_FROM.format(source=source, arguments=arguments), values


def waits(session: Session, once_key: str) -> bool:
    """Whether a job with this key is queued or at work."""
    return bool(session.scalar(_WAITS, {"once_key": once_key}))
