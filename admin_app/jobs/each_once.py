"""A safety net goes through all that is due; what fails comes up every time, and must not hold up the others."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of

log = structlog.get_logger("backdesk.jobs")


class Due(Protocol):
    def __call__(self, session: Session, now: datetime, /, *, limit: int) -> list[int]:
        """The ids of at most `limit` records whose moment has come."""


def each_once(bench: Bench, due: Due, do: Callable[[Bench, int], None], *, limit: int, failed: str, about: str) -> None:
    """Do whatever is due, `limit` at a time, each record once; log what fails as `failed`, with its id as `about`."""
    tried: set[int] = set()
    while some := _untried(bench, due, tried, limit):
        for number in some:
            try:
                do(bench, number)
            except Exception as error:
                log.warning(failed, **{about: number}, code=code_of(error))
        tried.update(some)


def _untried(bench: Bench, due: Due, tried: set[int], limit: int) -> list[int]:
    with bench.db.read_only() as session:
        found = due(session, bench.db.clock(), limit=limit + len(tried))
    return [number for number in found if number not in tried]
