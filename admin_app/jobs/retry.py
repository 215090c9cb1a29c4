"""How often a task is tried, and what is said when it fails: a code, never an exception's text."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from admin_app.errors import DomainError

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 10
FIRST_WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 3600
FRAMES_SHOWN = 6

log = structlog.get_logger("backdesk.jobs")


class TaskFailed(Exception):
    """Stands for what went wrong; its text is a code, so that it may be logged and stored."""


class BackOff(BaseRetryStrategy):
    """Ten tries with doubling waits: 5 s, 10 s, … about 43 minutes in all."""

    def __init__(self, first_wait: float = FIRST_WAIT_SECONDS) -> None:
        self._first_wait = first_wait

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if is_last_try(job):
            return None
        wait = min(self._first_wait * 2**job.attempts, LONGEST_WAIT_SECONDS)
        return RetryDecision(retry_in={"seconds": int(wait)})


def is_last_try(job: Job) -> bool:
    """Whether the job, if it fails now, is not tried again."""
    return job.attempts >= TRIES - 1


def code_of(error: Exception) -> str:
    """The stable code of a refusal, or the kind of anything else."""
    return error.code if isinstance(error, DomainError) else type(error).__name__


def failing_by_code(task: Callable[P, T]) -> Callable[P, T]:
    """Let only a code escape: an exception's text may quote a row, and the queue logs what escapes."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return task(*args, **kwargs)
        except JobAborted:
            raise
        except Exception as error:
            log.warning("task failed", task=task.__name__, code=code_of(error), at=frames_of(error))
            raise TaskFailed(code_of(error)) from None

    return run


def frames_of(error: Exception) -> list[str]:
    """Where it happened, without what was said; nothing for a refusal, which is no bug."""
    if isinstance(error, DomainError):
        return []
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-FRAMES_SHOWN:]
