"""The numbers behind purchases made before an account: how many, how many found their owner, and how soon.

Every number stands for exactly the rows that its list shows, so the bounds are whole days in the reader's zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, DateTime, Interval, SQLColumnExpression, cast, func, literal, select, type_coerce
from sqlalchemy.orm import Session

from models.purchases import PendingProfile

WEEKS = 12
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# Time from purchase to claim: name in addresses, name on the axis, from, to.
WAITS: tuple[tuple[str, str, timedelta | None, timedelta | None], ...] = (
    ("hour", "within 1 h", None, HOUR),
    ("day", "1–24 h", HOUR, DAY),
    ("three-days", "1–3 days", DAY, 3 * DAY),
    ("week", "3–7 days", 3 * DAY, 7 * DAY),
    ("month", "7–30 days", 7 * DAY, 30 * DAY),
    ("longer", "over 30 days", 30 * DAY, None),
)
# Age of what is unclaimed, in days before today: name, newest, oldest (both included).
AGES: tuple[tuple[str, int, int | None], ...] = (
    ("today", 0, 0),
    ("1–2 days", 1, 2),
    ("3–7 days", 3, 7),
    ("8–30 days", 8, 30),
    ("31–90 days", 31, 90),
    ("older", 91, None),
)


@dataclass(frozen=True)
class Week:
    """One week by its Monday: purchases made in it, claims made in it, and how many of its purchases are claimed."""

    monday: date
    purchases: int
    claims: int
    claimed_of_purchases: int

    @property
    def sunday(self) -> date:
        return self.monday + timedelta(days=6)

    @property
    def conversion(self) -> float | None:
        """Percent of the week's purchases that found their owner by now; None when there were none."""
        return round(100 * self.claimed_of_purchases / self.purchases, 1) if self.purchases else None


@dataclass(frozen=True)
class Bucket:
    """A number and the days it stands for (None: without a bound); `key` names it in addresses."""

    key: str
    label: str
    count: int
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Numbers:
    """Purchases by week, how long claimed ones waited and how old waiting ones are; `conversion` is in percent."""

    weeks: tuple[Week, ...]
    waits: tuple[Bucket, ...]
    ages: tuple[Bucket, ...]
    purchases: int
    claimed: int
    unclaimed: int
    median_wait: timedelta | None

    @property
    def conversion(self) -> float | None:
        return round(100 * self.claimed / self.purchases, 1) if self.purchases else None


def numbers(session: Session, *, now: datetime, zone: ZoneInfo) -> Numbers:
    """Everything for the page, in a fixed handful of queries."""
    made, claimed, median = session.execute(
        select(
            func.count(),
            func.count().filter(PendingProfile.claimed),
            func.percentile_cont(0.5).within_group(wait()).filter(PendingProfile.claimed),
        )
    ).one()
    today = now.astimezone(zone).date()
    return Numbers(
        weeks=_weeks(session, today, zone),
        waits=_waits(session),
        ages=_ages(session, today, zone),
        purchases=made,
        claimed=claimed,
        unclaimed=made - claimed,
        median_wait=median,
    )


def wait() -> SQLColumnExpression[timedelta]:
    """How long a claimed purchase waited."""
    return type_coerce(PendingProfile.claimed_at - PendingProfile.created_at, Interval)


def waited(key: str) -> SQLColumnExpression[bool]:
    """The condition that a purchase was claimed after a wait of this bucket."""
    _, _, low, high = next(bucket for bucket in WAITS if bucket[0] == key)
    condition: SQLColumnExpression[bool] = PendingProfile.claimed.is_(True)
    if low is not None:
        condition &= wait() >= cast(literal(low, Interval), Interval)
    if high is not None:
        condition &= wait() < cast(literal(high, Interval), Interval)
    return condition


def _weeks(session: Session, today: date, zone: ZoneInfo) -> tuple[Week, ...]:
    this_monday = today - timedelta(days=today.weekday())
    mondays = [this_monday - timedelta(weeks=back) for back in range(WEEKS - 1, -1, -1)]
    begins = [_midnight(monday, zone) for monday in mondays]
    made = _per_week(session, PendingProfile.created_at, begins)
    found = _per_week(session, PendingProfile.created_at, begins, PendingProfile.claimed)
    claims = _per_week(session, PendingProfile.claimed_at, begins)
    return tuple(
        Week(monday, made.get(number, 0), claims.get(number, 0), found.get(number, 0))
        for number, monday in enumerate(mondays, start=1)
    )


def _per_week(
    session: Session,
    moment: SQLColumnExpression[Any],
    begins: Sequence[datetime],
    *conditions: SQLColumnExpression[bool],
) -> dict[int, int]:
    """How many by the number of the week, from 1; the last one has no end.

    The database is told when each week begins: its own rules for the zone may be others (`core.zone_rules`).
    """
    week = func.width_bucket(moment, cast(begins, ARRAY(DateTime(timezone=True))))
    rows = session.execute(select(week, func.count()).where(moment >= begins[0], *conditions).group_by(week))
    return {number: int(count) for number, count in rows}


def _waits(session: Session) -> tuple[Bucket, ...]:
    counts = session.execute(
        select(*(func.count().filter(waited(key)) for key, *_ in WAITS)).where(PendingProfile.claimed)
    ).one()
    return tuple(Bucket(key, label, count) for (key, label, *_), count in zip(WAITS, counts, strict=True))


def _ages(session: Session, today: date, zone: ZoneInfo) -> tuple[Bucket, ...]:
    days = [
        (today - timedelta(days=oldest) if oldest is not None else None, today - timedelta(days=newest))
        for _, newest, oldest in AGES
    ]
    counts = session.execute(
        select(*(func.count().filter(*_between(first, last, zone)) for first, last in days)).where(
            ~PendingProfile.claimed
        )
    ).one()
    return tuple(
        Bucket(label, label, count, first, last)
        for (label, *_), count, (first, last) in zip(AGES, counts, days, strict=True)
    )


def _between(first: date | None, last: date, zone: ZoneInfo) -> Sequence[SQLColumnExpression[bool]]:
    bounds = [PendingProfile.created_at < _midnight(last + timedelta(days=1), zone)]
    if first is not None:
        bounds.append(PendingProfile.created_at >= _midnight(first, zone))
    return bounds


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
