"""What a flag is at a moment, by the clock alone: no session, no job, no rounding.

A period begins at `since` and, when it lifts by itself, is over at `until`: one microsecond before it is still on.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from models.clients import OnExpiry


class Period(Protocol):
    """What is read of a row of `flag_changes`; the row itself will do, and so will a plain row of a query."""

    @property
    def value(self) -> bool: ...
    @property
    def since(self) -> datetime: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def on_expiry(self) -> OnExpiry: ...
    @property
    def lifted_at(self) -> datetime | None: ...


Row = TypeVar("Row", bound=Period)


def is_open(period: Period) -> bool:
    """Nobody has ended it, and the clock's end was not noted yet."""
    return period.value and period.lifted_at is None


def ends_at(period: Period) -> datetime | None:
    """When it ends by the clock alone; None: only somebody ends it."""
    return period.until if period.on_expiry is OnExpiry.LIFT else None


def is_over(period: Period, moment: datetime) -> bool:
    """Ended by the clock, whether or not that was noted yet."""
    end = ends_at(period)
    return is_open(period) and end is not None and end <= moment


def is_in_force(period: Period, moment: datetime) -> bool:
    """Whether the period holds the flag on at `moment`: it has begun, nobody ended it, and the clock has not."""
    return is_open(period) and period.since <= moment and not is_over(period, moment)


def is_scheduled(period: Period, moment: datetime) -> bool:
    """Whether the period is still to begin after `moment`, and nobody called it off."""
    return is_open(period) and moment < period.since


def waits_for_decision(period: Period, moment: datetime) -> bool:
    """Past its end date and still on, because that was the request."""
    return is_in_force(period, moment) and period.until is not None and period.until <= moment


def in_force(periods: Iterable[Row], moment: datetime) -> Row | None:
    """The one period that is in force then; the table has at most one."""
    return next((each for each in periods if is_in_force(each, moment)), None)


def is_on(kept: bool, periods: Iterable[Period], moment: datetime) -> bool:
    """Whether a flag is on at `moment`, from the boolean on `clients` and the open periods.

    A boolean that no period explains was set by another program and counts. One that an ended period explains is
    only not cleared yet, and does not.
    """
    found = list(periods)
    if in_force(found, moment) is not None:
        return True
    return kept and not any(is_over(each, moment) for each in found)


def off_at(periods: Iterable[Period], moment: datetime) -> datetime | None:
    """When a flag that is on at `moment` goes off by itself, periods that follow without a gap included."""
    found = list(periods)
    period = in_force(found, moment)
    end: datetime | None = None
    while period is not None:
        end = ends_at(period)
        period = in_force(found, end) if end is not None else None
    return end
