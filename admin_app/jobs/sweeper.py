"""Puts back what a crash left lying: jobs of dead workers, and stored events that have no job.

Each step stands alone, and within it each row: what is wrong with one is logged by its code, and the others go on.
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import cast

import structlog
from procrastinate import App, utils
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from sqlalchemy import text

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.manager import HeldJobs
from admin_app.jobs.retry import FIRST_WAIT_SECONDS, code_of, frames_of, is_last_try
from admin_app.services import inbox

ACTOR = Job("sweep")
UNFINISHED_FOR = timedelta(minutes=2)
SILENT_SECONDS = 30
# Tasks of a few seconds, each call of a provider limited in time: after this long one of them is not at work any more.
SHORT_TASKS = (
    "process_event",
    "send_claim_mail",
    "compare_membership",
    "ask_about_person",
    "change_membership",
    "change_address",
    "ask_what_was_paid",
    "send_refund",
    "ask_about_refund",
    "send_appointment_mail",
    "expire_checkout",
    "settle_finding",
    "sync_calendar",
    "settle_call",
    "follow_refunds",
    "settle_canceled",
    "send_guest_code",
    "register_guest",
    "refresh_billing",
    "ask_about_billing",
    "extend_trial",
    "follow_switch",
    "run_bulk",
    "send_switch_mail",
)
LONGEST = timedelta(minutes=15)
# No export, comparison or run over many takes so long; forgotten, it could hold up a lane for ever.
LONGEST_OF_OTHERS = timedelta(hours=6)

# One that took its worker down does not do so again at once: meanwhile the others get done.
LONGEST_WAIT = timedelta(minutes=1)

FORGOTTEN = text(
    """
    SELECT j.id, j.queue_name, j.task_name, j.priority, j.lock, j.queueing_lock, j.args, j.status::text, j.scheduled_at,
           j.attempts, j.worker_id
    FROM procrastinate_jobs j
    WHERE j.status = 'doing'
      AND (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'started')
          < now() - CASE WHEN j.task_name = ANY(:short) THEN :longest ELSE :longest_of_others END
    """
)

log = structlog.get_logger("backdesk.jobs")


async def sweep(queue: App, bench: Bench) -> None:
    """All steps, each whatever became of the one before."""
    await _alone("requeue_stalled", lambda: requeue_stalled(queue))
    await _alone("requeue_forgotten", lambda: requeue_forgotten(queue, bench))
    await _alone("requeue_events", lambda: to_thread(requeue_events, bench))


async def begin(queue: App) -> None:
    """What a worker does before its first job. It never fails: whether a worker works must not hang on the past."""
    await _alone("requeue_stalled", lambda: requeue_stalled(queue))


async def _alone(step: str, do: Callable[[], Awaitable[object]]) -> None:
    try:
        await do()
    except Exception as error:
        log.error("sweep step failed", step=step, code=code_of(error), at=frames_of(error))


async def requeue_stalled(queue: App) -> int:
    """A worker that was killed leaves its jobs marked as running for ever; they start again. Returns how many."""
    return await _restart_all(queue, await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_SECONDS))


async def requeue_forgotten(queue: App, bench: Bench) -> int:
    """A worker that lives, but could not note that its job was done, leaves it marked as running too."""
    return await _restart_all(queue, await to_thread(_forgotten, bench))


def _forgotten(bench: Bench) -> list[QueuedJob]:
    with bench.db.read_only() as session:
        session.execute(inbox.BY_INDEX)
        limits = {"short": list(SHORT_TASKS), "longest": LONGEST, "longest_of_others": LONGEST_OF_OTHERS}
        found = session.execute(FORGOTTEN, limits).mappings()
        return [QueuedJob.from_row(dict(row)) for row in found]


async def _restart_all(queue: App, jobs: Iterable[QueuedJob]) -> int:
    restarted = 0
    for job in jobs:
        try:
            await _restart(queue, job)
        except Exception as error:
            log.error("job not restarted", job_id=job.id, code=code_of(error), at=frames_of(error))
        else:
            restarted += 1
    return restarted


async def _restart(queue: App, job: QueuedJob) -> None:
    manager = cast(HeldJobs, queue.job_manager)
    given_up = is_last_try(job)
    if given_up:
        # It took its worker down every time: leave it as failed instead of trying for ever.
        await manager.end(job, status=Status.FAILED, delete_job=False)
    else:
        await manager.put_back(job, retry_at=_again_at(job))
    log.warning("stalled job", task=job.task_name, job_id=job.id, given_up=given_up)


def _again_at(job: QueuedJob) -> datetime:
    """At once the first time; later ever more slowly, because the job itself may be what takes its workers down."""
    if job.attempts == 0:
        return utils.utcnow()
    return utils.utcnow() + min(timedelta(seconds=FIRST_WAIT_SECONDS * 2**job.attempts), LONGEST_WAIT)


def requeue_events(bench: Bench) -> int:
    """Events whose job is lost or was given up get a new one; the waits between are the queue's. Returns how many."""
    with bench.db.read_only() as session:
        event_ids = inbox.unfinished(session, older_than=UNFINISHED_FOR, now=bench.db.clock())
    requeued = 0
    for event_id in event_ids:
        try:
            with bench.db.unit_of_work(ACTOR) as ctx:
                inbox.requeue_unfinished(ctx, event_id=event_id)
        except Exception as error:
            log.error("event not requeued", event_id=event_id, code=code_of(error), at=frames_of(error))
        else:
            requeued += 1
    return requeued
