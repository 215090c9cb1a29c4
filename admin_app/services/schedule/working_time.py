"""Working hours, which are wall clock times, as instants: right on the two days a year when clocks change. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from admin_app.services.schedule import working_hours

Span = tuple[datetime, datetime]

_DAY = timedelta(days=1)


def spans(hours: Mapping[str, Any], zone: ZoneInfo, since: datetime, until: datetime) -> list[Span]:
    """The working time that touches since to until: whole spans in UTC, in order and apart from each other.

    A time that the clocks skip is no working time, one that they show twice is worked twice.
    """
    day, last = since.astimezone(zone).date() - _DAY, until.astimezone(zone).date()
    found: list[Span] = []
    while day <= last:
        midnight = datetime.combine(day, time())
        for opens, closes in working_hours.of_day(hours, day.weekday()):
            found += _instants(midnight + timedelta(minutes=opens), midnight + timedelta(minutes=closes), zone)
        day += _DAY
    return [(start, end) for start, end in united(found) if start < until and end > since]


def united(given: list[Span], *, touching: bool = False) -> list[Span]:
    """The same time without overlaps, in order; `touching` joins what follows without a gap as well."""
    result: list[Span] = []
    for start, end in sorted(given):
        if result and (start < result[-1][1] or (touching and start == result[-1][1])):
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def _instants(opens: datetime, closes: datetime, zone: ZoneInfo) -> list[Span]:
    """Every instant at which the zone's clocks show a time from opens to before closes."""
    before, after = _offset(opens, zone, fold=0), _offset(closes, zone, fold=1)
    if before == after:
        return [((opens - before).replace(tzinfo=UTC), (closes - before).replace(tzinfo=UTC))]
    change = _change(opens, closes, zone)
    early = ((opens - before).replace(tzinfo=UTC), min((closes - before).replace(tzinfo=UTC), change))
    late = (max((opens - after).replace(tzinfo=UTC), change), (closes - after).replace(tzinfo=UTC))
    return united([(start, end) for start, end in (early, late) if start < end], touching=True)


def _offset(wall: datetime, zone: ZoneInfo, *, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()


def _change(opens: datetime, closes: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the zone's offset changes, near these times, to the second."""
    low, high = opens.replace(tzinfo=UTC) - _DAY, closes.replace(tzinfo=UTC) + _DAY
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
