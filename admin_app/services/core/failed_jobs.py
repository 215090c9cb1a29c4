"""Jobs that failed for good: after their last try, and not made good by a later job for the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_FAILED = text(
    """
    SELECT j.id, j.task_name AS task, j.args AS arguments, j.attempts AS tries,
           (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'failed') AS failed_at
    FROM procrastinate_jobs j
    WHERE j.status = 'failed' AND (CAST(:before_id AS bigint) IS NULL OR j.id < :before_id)
    ORDER BY j.id DESC LIMIT :limit
    """
)
_COUNTED = text("SELECT task_name, count(*) AS jobs FROM procrastinate_jobs WHERE status = 'failed' GROUP BY task_name")


@dataclass(frozen=True)
class FailedJob:
    """`arguments` are ids of ours and nothing personal; what went wrong is in the log, by this id."""

    id: int
    task: str
    arguments: dict[str, Any]
    tries: int
    failed_at: datetime | None


def failed(session: Session, *, limit: int, before_id: int | None = None) -> Sequence[FailedJob]:
    """The newest first; `before_id` is the last id of the page before. Kept for thirty days."""
    rows = session.execute(_FAILED, {"limit": limit, "before_id": before_id}).mappings()
    return [FailedJob(**row) for row in rows]


def counted(session: Session) -> dict[str, int]:
    """How many there are of each task that has any."""
    return {row.task_name: row.jobs for row in session.execute(_COUNTED)}
