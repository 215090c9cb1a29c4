"""The shape of an invariant: a name, a sentence that says what holds, and a query that returns what breaks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission

# What is under way may be unfinished for so long: a provider's patience, a few tries, a worker that was restarted.
PATIENCE = timedelta(minutes=15)
# A dead worker's jobs are somebody else's by then.
WORKER_SILENT = timedelta(seconds=90)
SHOWN = 20
# Beyond this many it does not matter how many more there are.
COUNTED = 1000


@dataclass(frozen=True)
class Moments:
    """`late`: what began before it should be over; `gone`: a worker that was last heard before it is dead."""

    now: datetime
    late: datetime
    gone: datetime

    @classmethod
    def at(cls, now: datetime, patience: timedelta) -> "Moments":
        return cls(now, now - patience, now - WORKER_SILENT)


Find = Callable[[Session, Moments], Sequence[str]]


@dataclass(frozen=True)
class Invariant:
    """`find` names at most COUNTED + 1 records that break it, as the audit names records: `payment:12`.

    Who has `permission` can do something about it.
    """

    name: str
    sentence: str
    find: Find
    permission: Permission = Permission.FAILURES_SETTLE


@dataclass(frozen=True)
class Broken:
    """An invariant and records that break it; there are more when there are more than COUNTED."""

    invariant: Invariant
    records: tuple[str, ...]

    @property
    def how_many(self) -> str:
        return f"{len(self.records):,}" if len(self.records) <= COUNTED else f"more than {COUNTED:,}"


def by_query(query: str) -> Find:
    """A SELECT of one text column, the broken record; it may use :now, :late and :gone."""
    limited = text(f"SELECT * FROM ({query}) AS broken LIMIT {COUNTED + 1}")  # noqa: S608 - our own constants

    def find(session: Session, moments: Moments) -> Sequence[str]:
        given = {"now": moments.now, "late": moments.late, "gone": moments.gone}
        wanted = {name: given[name] for name in limited.compile().params}
        return [str(record) for record in session.scalars(limited, wanted)]

    return find
