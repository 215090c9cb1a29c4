"""How clients paid over time: the status of each at the end of every month, and recurring revenue with its movements.

At a moment a client has the status of its last change before it, and per currency the monthly amount of its last change
in that currency. A change says what it followed (`monthly_before`), so the sum of all changes is what recurs, and a
month's movements are what it changed by. Amounts of different currencies are never added.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Row, Select, case, cast, func, literal, select
from sqlalchemy.orm import Session

from admin_app.services.core.amounts import summed
from admin_app.services.core.utc_months import begins, following, month_of
from models.billing import BillingChange, Movement
from models.clients import BillingStatus

MONTHS = 12


@dataclass(frozen=True)
class Moved:
    """Changes of one kind within a month, and by how much the monthly amounts moved, in minor units."""

    count: int = 0
    amount: int = 0


@dataclass(frozen=True)
class RevenueMonth:
    """Recurring revenue of one currency at the end of a month, from how many clients, and what moved it there."""

    month: date
    recurring: int
    paying: int
    moved: Mapping[Movement, Moved]

    @property
    def net(self) -> int:
        return sum(each.amount for each in self.moved.values())


@dataclass(frozen=True)
class History:
    """Oldest month first; the last one is running and holds what is so now."""

    months: tuple[date, ...]
    statuses: Mapping[BillingStatus, tuple[int, ...]]
    revenue: Mapping[str, tuple[RevenueMonth, ...]]


def history(session: Session, now: datetime, *, months: int = MONTHS) -> History:
    """The last months, the running one included; one query, which reads the table in the order of its index."""
    last = month_of(now)
    shown = tuple(following(last, back) for back in range(1 - months, 1))
    return _counted(session.execute(_steps(shown[0])), shown)


def _steps(first: date) -> Select[Any]:
    """Changes grouped by month and by what they put in the place of what; all before the first month are one group."""
    # A client's first change may follow a status from before there was a history, which is in no list.
    last_status = func.lag(BillingChange.status_after).over(
        partition_by=BillingChange.client_id, order_by=(BillingChange.at, BillingChange.id)
    )
    step = select(
        BillingChange.at,
        BillingChange.movement,
        BillingChange.currency,
        BillingChange.monthly_before,
        BillingChange.monthly_after,
        BillingChange.status_after.label("status"),
        last_status.label("last_status"),
    ).subquery("step")
    month = cast(func.date_trunc("month", func.timezone("UTC", step.c.at)), Date)
    placed = case((step.c.at < begins(first), literal(following(first, -1), Date)), else_=month).label("month")
    kinds = (step.c.status, step.c.last_status, step.c.currency, step.c.movement)
    return select(
        placed,
        *kinds,
        func.count().label("steps"),
        summed(step.c.monthly_after - step.c.monthly_before).label("amount"),
        (func.count().filter(step.c.monthly_after > 0) - func.count().filter(step.c.monthly_before > 0)).label(
            "paying"
        ),
    ).group_by(placed, *kinds)


def _counted(groups: Iterable[Row[Any]], months: Sequence[date]) -> History:
    begin = following(months[0], -1)
    places = {month: number for number, month in enumerate((begin, *months))}
    statuses: dict[BillingStatus, list[int]] = defaultdict(lambda: [0] * len(places))
    recurring: dict[str, list[int]] = defaultdict(lambda: [0] * len(places))
    paying: dict[str, list[int]] = defaultdict(lambda: [0] * len(places))
    moved: dict[tuple[str, int, Movement], list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        place = places.get(group.month)
        if place is None:
            continue  # dated later than the running month
        statuses[group.status][place] += group.steps
        if group.last_status is not None:
            statuses[group.last_status][place] -= group.steps
        if group.currency:
            recurring[group.currency][place] += group.amount
            paying[group.currency][place] += group.paying
            kind = moved[group.currency, place, group.movement]
            kind[0] += group.steps
            kind[1] += group.amount
    revenue = {
        currency: tuple(
            RevenueMonth(month, total, clients, _moved(moved, currency, places[month]))
            for month, total, clients in zip(months, _sums(steps), _sums(paying[currency]), strict=True)
        )
        for currency, steps in sorted(recurring.items())
    }
    return History(tuple(months), {status: _sums(steps) for status, steps in statuses.items()}, revenue)


def _sums(steps: Sequence[int]) -> tuple[int, ...]:
    """What has come together by the end of each shown month."""
    totals, total = [], 0
    for step in steps:
        total += step
        totals.append(total)
    return tuple(totals[1:])


def _moved(
    moved: Mapping[tuple[str, int, Movement], Sequence[int]], currency: str, place: int
) -> dict[Movement, Moved]:
    return {
        kind: Moved(*moved[currency, place, kind])
        for kind in Movement
        if kind is not Movement.NONE and (currency, place, kind) in moved
    }
