"""Does what may be due by the thousand: each row in a transaction of its own, and no longer than till the next tick.

What is wrong with one row is logged by its code, and the others go on. A run ends soon although more is due: the next
tick goes on with it. So no run meets the next one of its kind, and together they never hold the slots of all others.
"""

from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TypeVar

import structlog

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of, frames_of
from admin_app.outages import Outage, outage_of

# Less than the minute that is the shortest time between two ticks.
RUNS_FOR_SECONDS = 45.0

Row = TypeVar("Row", int, str)

log = structlog.get_logger("backdesk.jobs")


def until_none_is_due(
    task: str,
    due: Callable[[int], Iterable[Row]],
    do: Callable[[Row], object],
    *,
    limit: int,
    seconds: float = RUNS_FOR_SECONDS,
) -> int:
    """Do what is due, `limit` at a time, until nothing is left or `seconds` are over; how many were done.

    `due` names so many rows, the first of them first; `do` says with `False` that there was nothing to do. Raises what
    says that the database is away: that is no row's fault, and the others would fail as well.
    """
    # Rows that fail come up every time.
    tried: set[Row] = set()
    done, ends_at = 0, monotonic() + seconds
    while found := [row for row in due(limit + len(tried)) if row not in tried]:
        for row in found:
            done += _one(task, row, do)
            tried.add(row)
            if monotonic() >= ends_at:
                log.info("goes on at the next tick", task=task, done=done)
                return done
    return done


def _one(task: str, row: Row, do: Callable[[Row], object]) -> bool:
    try:
        return do(row) is not False
    except Exception as error:
        if outage_of(error) is Outage.AWAY:
            raise
        log.warning("left out", task=task, row=row, code=code_of(error), at=frames_of(error))
        return False


def each_service(bench: Bench, task: str, *services: Callable[..., int], limit: int) -> list[int]:
    """Have each of these do so many, in a unit of work of its own; as `each_step`."""

    def alone(service: Callable[..., int]) -> int:
        with bench.db.unit_of_work(Job(task)) as ctx:
            return service(ctx, limit=limit)

    return each_step(task, *(partial(alone, service) for service in services))


def each_step(task: str, *steps: Callable[[], int]) -> list[int]:
    """Do all of these, whatever became of the one before, and answer what each did; raises the first failure."""
    did: list[int] = []
    failed: list[Exception] = []
    for number, step in enumerate(steps, 1):
        try:
            did.append(step())
        except Exception as error:
            log.error("step failed", task=task, step=number, code=code_of(error), at=frames_of(error))
            failed.append(error)
    if failed:
        raise failed[0]
    return did
