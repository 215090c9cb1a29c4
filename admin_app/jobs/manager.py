"""The queue's book-keeping, for a world in which workers die, freeze, and wake again.

Procrastinate notes the end of a job by its number alone: a worker that was frozen would, on waking, delete a job that
is another's by now, or one that waits once more. And a job that is to be tried again while another with its key waits
would be refused, and be left as running for ever.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import LiteralString

import structlog
from procrastinate import utils
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import QUEUEING_LOCK_CONSTRAINT, JobManager

# A connection that breaks while the end of a job is noted; where the database is away for longer, the worker ends too.
WAITS = (0.2, 1.0, 3.0)
LANE_CONSTRAINT = "procrastinate_jobs_lock_idx_v1"
_BESIDE = "#"

# What failed for good stays on a list until the same is done after all.
_FINISH: LiteralString = """
    WITH held AS MATERIALIZED (
        SELECT id, task_name, args, queueing_lock FROM procrastinate_jobs
        WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s
          AND (worker_id IS NULL OR worker_id = %(worker_id)s::bigint)
        FOR UPDATE),
    made_good AS (
        DELETE FROM procrastinate_jobs failed USING held
        WHERE %(status)s = 'succeeded' AND failed.status = 'failed' AND failed.task_name = held.task_name
          AND (failed.args = held.args OR failed.queueing_lock = held.queueing_lock))
    SELECT procrastinate_finish_job_v1(id, %(status)s::procrastinate_job_status, %(delete_job)s::boolean) FROM held
"""
_RETRY: LiteralString = """
    WITH held AS MATERIALIZED (
        SELECT id FROM procrastinate_jobs
        WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s
          AND (worker_id IS NULL OR worker_id = %(worker_id)s::bigint)
        FOR UPDATE)
    SELECT procrastinate_retry_job_v2(
        id, %(retry_at)s::timestamptz, %(priority)s::integer, %(queue)s::varchar, %(lock)s::varchar)
    FROM held
"""
# What waits has all that this one has to do, and is not to do it later than this one would have.
_SUPERSEDE: LiteralString = """
    WITH gone AS (
        DELETE FROM procrastinate_jobs
        WHERE id = %(job_id)s AND status = 'doing' AND attempts = %(attempts)s
          AND (worker_id IS NULL OR worker_id = %(worker_id)s::bigint)
        RETURNING queueing_lock)
    UPDATE procrastinate_jobs twin SET scheduled_at = %(retry_at)s
    FROM gone
    WHERE twin.status = 'todo' AND twin.queueing_lock = gone.queueing_lock AND twin.scheduled_at > %(retry_at)s
    RETURNING twin.id
"""

log = structlog.get_logger("backdesk.jobs")


class HeldJobs(JobManager):
    """Only who holds a job may end it or have it tried again; a job whose twin waits makes room for it."""

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        # By number, as fetched: the same worker may have got a job a second time while its first try still hangs.
        self._fetched: dict[int, Job] = {}

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        try:
            job = await super().fetch_job(queues, worker_id)
        except UniqueViolation as error:
            if error.constraint_name != LANE_CONSTRAINT:
                raise
            return None  # another worker began a job of the same lane this very moment
        if job is not None and job.id is not None:
            self._fetched[job.id] = job
        return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        if self._is_first_try_of_two(job):
            _lost(job)
        else:
            await self.end(job, status=status, delete_job=delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        if self._is_first_try_of_two(job):
            _lost(job)
        else:
            await self.put_back(job, retry_at=retry_at, priority=priority, queue=queue, lock=lock)

    def _is_first_try_of_two(self, job: Job) -> bool:
        """Whether this worker fetched the job once more meanwhile; forgets what is at its end."""
        number = job.id or 0
        if self._fetched.get(number, job) is not job:
            return True
        self._fetched.pop(number, None)
        return False

    async def end(self, job: Job, *, status: Status, delete_job: bool) -> None:
        """Note the end of a job as it was read, whoever did it; nothing when it is another's by now."""
        if not await self._note(_FINISH, **_as_held(job), status=status.value, delete_job=delete_job):
            _lost(job)

    async def _note(self, query: LiteralString, **arguments: object) -> list[dict[str, object]]:
        for wait in WAITS:
            try:
                return await self.connector.execute_query_all_async(query=query, **arguments)
            except UniqueViolation:
                raise
            except ConnectorException:
                await asyncio.sleep(wait)
        return await self.connector.execute_query_all_async(query=query, **arguments)

    async def put_back(
        self,
        job: Job,
        *,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Have a job as it was read done again, whoever had it; nothing when it is another's by now.

        It waits beside its lane: those that stand behind it there do not wait for as long as it fails.
        """
        at, lane = retry_at or utils.utcnow(), lock or _beside(job)
        try:
            again = await self._note(_RETRY, **_as_held(job), retry_at=at, priority=priority, queue=queue, lock=lane)
        except UniqueViolation as error:
            if error.constraint_name != QUEUEING_LOCK_CONSTRAINT:
                raise
            await self._note(_SUPERSEDE, **_as_held(job), retry_at=at)
            log.info("job superseded", task=job.task_name, job_id=job.id)
        else:
            if not again:
                _lost(job)


def _beside(job: Job) -> str | None:
    """A lane that no other job is in."""
    return None if job.lock is None else f"{job.lock.partition(_BESIDE)[0]}{_BESIDE}{job.id}"


def _as_held(job: Job) -> dict[str, int | None]:
    return {"job_id": job.id, "attempts": job.attempts, "worker_id": job.worker_id}


def _lost(job: Job) -> None:
    log.warning("job was given to another worker", task=job.task_name, job_id=job.id)
