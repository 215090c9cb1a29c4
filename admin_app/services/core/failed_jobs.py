"""Jobs that failed for good: after their last try, and not made good by a later job for the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, fingerprint, require_reason, require_same

# What these were about stands on a list of its own until it is done: the inbox, mails, exports.
ON_OTHER_LISTS = ("process_event", "send_claim_mail", "send_appointment_mail", "send_switch_mail", "make_export")
# The clock queues these anew, with the moment as their argument.
BY_THE_CLOCK = "timestamp"
BY_ITSELF = "It runs on a schedule, so it is tried again by itself."

_COLUMNS = """
    SELECT j.id, j.task_name AS task, j.args AS arguments, j.attempts AS tries, j.queueing_lock AS once_key,
           j.lock AS lane,
           (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'failed') AS failed_at
    FROM procrastinate_jobs j
"""
_FAILED = text(
    _COLUMNS
    + """
    WHERE j.status = 'failed' AND (CAST(:before_id AS bigint) IS NULL OR j.id < :before_id)
    ORDER BY j.id DESC LIMIT :limit
    """
)
_ONE = text(f"{_COLUMNS} WHERE j.status = 'failed' AND j.id = :id")
_LOCK = text("SELECT id FROM procrastinate_jobs WHERE status = 'failed' AND id = :id FOR UPDATE")
_FORGET = text("DELETE FROM procrastinate_jobs WHERE status = 'failed' AND id = :id")
_COUNTED = text("SELECT task_name, count(*) AS jobs FROM procrastinate_jobs WHERE status = 'failed' GROUP BY task_name")


@dataclass(frozen=True)
class FailedJob:
    """`arguments` are ids of ours and nothing personal; what went wrong is in the log, in lines with this id."""

    id: int
    task: str
    arguments: dict[str, Any]
    tries: int
    once_key: str | None
    lane: str | None
    failed_at: datetime | None

    @property
    def comes_by_itself(self) -> bool:
        """Whether the clock queues the same again."""
        return self.arguments.keys() == {BY_THE_CLOCK}


def failed(session: Session, *, limit: int, before_id: int | None = None) -> Sequence[FailedJob]:
    """The newest first; `before_id` is the last id of the page before. Kept for thirty days."""
    rows = session.execute(_FAILED, {"limit": limit, "before_id": before_id}).mappings()
    return [FailedJob(**row) for row in rows]


def find(session: Session, job_id: int) -> FailedJob | None:
    """The failed job with this number, as long as it is one."""
    row = session.execute(_ONE, {"id": job_id}).mappings().one_or_none()
    return FailedJob(**row) if row else None


def counted(session: Session) -> dict[str, int]:
    """How many there are of each task that has any."""
    return {row.task_name: row.jobs for row in session.execute(_COUNTED)}


def waiting(session: Session) -> int:
    """How many no other list speaks of."""
    return sum(jobs for task, jobs in counted(session).items() if task not in ON_OTHER_LISTS)


def plan_retry(ctx: Ctx, *, job_id: int) -> Plan:
    """What trying a failed job again means."""
    require(ctx, Permission.INBOX_READ)
    job = _found(ctx, job_id)
    return Plan(
        title="What happened, and what comes next",
        outcome="queued",
        lines=(),
        consequences=(
            *_what_happened(job),
            "It is queued at once, works on the record as it is then, and has all its tries again.",
            "If it fails for good again, it comes back to this list.",
        ),
        fingerprint=_fingerprint(job),
        refusal=BY_ITSELF if job.comes_by_itself else None,
    )


def retry(ctx: Ctx, *, job_id: int, reason: str, shown: str) -> None:
    """Queue a failed job anew in place of the failed one; raises NotFound when somebody did so meanwhile."""
    job, reason = _open(ctx, job_id, reason, shown)
    if job.comes_by_itself:
        raise Conflict(BY_ITSELF)
    job_queue.defer(ctx.session, job.task, once_key=job.once_key, lane=job.lane, **job.arguments)
    _forget(ctx, job, "job.retried", reason)


def plan_settle(ctx: Ctx, *, job_id: int) -> Plan:
    """What it means to say that a failed job is settled."""
    require(ctx, Permission.INBOX_READ)
    job = _found(ctx, job_id)
    return Plan(
        title="What happened, and what comes next",
        outcome="settled",
        lines=(),
        consequences=(
            *_what_happened(job),
            "It leaves this list and is not tried again.",
            "Nothing else changes: what it should have done stays undone, unless you did it by hand.",
        ),
        fingerprint=_fingerprint(job),
    )


def settle(ctx: Ctx, *, job_id: int, reason: str, shown: str) -> None:
    """Take a failed job off the list: it was done by hand, or is not wanted any more."""
    job, reason = _open(ctx, job_id, reason, shown)
    _forget(ctx, job, "job.settled", reason)


def _what_happened(job: FailedJob) -> tuple[str, str]:
    tries = (
        "It was tried once and failed." if job.tries == 1 else f"It was tried {job.tries} times and failed each time."
    )
    return tries, f'The reason is in the worker’s log: look for "job": {job.id}.'


def _open(ctx: Ctx, job_id: int, reason: str, shown: str) -> tuple[FailedJob, str]:
    require(ctx, Permission.FAILURES_SETTLE)
    reason = require_reason(reason)
    ctx.session.execute(_LOCK, {"id": job_id})
    job = _found(ctx, job_id)
    require_same(shown, _fingerprint(job))
    return job, reason


def _forget(ctx: Ctx, job: FailedJob, event: str, reason: str) -> None:
    ctx.session.execute(_FORGET, {"id": job.id})
    audit.record(ctx, event, records=[f"job:{job.id}"], reason=reason, facts={"task": job.task})


def _found(ctx: Ctx, job_id: int) -> FailedJob:
    job = find(ctx.session, job_id)
    if job is None:
        raise NotFound(
            "There is no such failed job any more: it was tried again or settled, or it is older than thirty days."
        )
    return job


def _fingerprint(job: FailedJob) -> str:
    return fingerprint(job.id, job.tries, job.failed_at)
