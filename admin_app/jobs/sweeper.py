"""Puts back what a crash left lying: jobs of dead workers, and stored events that have no job."""

from asyncio import to_thread
from datetime import timedelta

import structlog
from procrastinate import App
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from sqlalchemy import text

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import is_last_try
from admin_app.services import inbox

ACTOR = Job("sweep")
UNFINISHED_FOR = timedelta(minutes=2)
SILENT_SECONDS = 30
# Tasks of a few seconds, each call of a provider limited in time: after this long one of them is not at work any more.
SHORT_TASKS = (
    "process_event",
    "send_claim_mail",
    "compare_membership",
    "send_refund",
    "ask_about_refund",
    "send_appointment_mail",
    "expire_checkout",
    "settle_finding",
    "sync_calendar",
    "settle_call",
    "follow_refunds",
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

_FORGOTTEN = text(
    """
    SELECT j.id FROM procrastinate_jobs j
    WHERE j.status = 'doing' AND j.task_name = ANY(:tasks)
      AND (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'started')
          < now() - :longest
    """
)

log = structlog.get_logger("backdesk.jobs")


async def requeue_stalled(queue: App) -> int:
    """A worker that was killed leaves its jobs marked as running for ever; they start again."""
    stalled = list(await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_SECONDS))
    for job in stalled:
        await _restart(queue, job)
    return len(stalled)


async def requeue_forgotten(queue: App, bench: Bench) -> int:
    """A worker that lives, but could not note that its job was done, leaves it marked as running too."""
    forgotten = await to_thread(_forgotten, bench)
    for job_id in forgotten:
        (job,) = await queue.job_manager.list_jobs_async(id=job_id)
        await _restart(queue, job)
    return len(forgotten)


def _forgotten(bench: Bench) -> list[int]:
    with bench.db.read_only() as session:
        return list(session.scalars(_FORGOTTEN, {"tasks": list(SHORT_TASKS), "longest": LONGEST}))


async def _restart(queue: App, job: QueuedJob) -> None:
    manager = queue.job_manager
    if is_last_try(job):
        # It took its worker down every time: leave it as failed instead of trying for ever.
        await manager.finish_job(job, status=Status.FAILED, delete_job=False)
    else:
        await manager.retry_job(job)
    log.warning("stalled job", task=job.task_name, job_id=job.id, given_up=is_last_try(job))


def requeue_events(bench: Bench) -> int:
    """Events whose job is lost or was given up get a new one; the waits between are the queue's."""
    with bench.db.unit_of_work(ACTOR) as ctx:
        event_ids = inbox.unfinished(ctx.session, older_than=UNFINISHED_FOR, now=ctx.now)
        for event_id in event_ids:
            inbox.requeue_unfinished(ctx, event_id=event_id)
    return len(event_ids)
