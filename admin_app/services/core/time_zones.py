"""The time zones that people may name."""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from admin_app.errors import InvalidInput


@cache
def time_zones() -> frozenset[str]:
    """The zones one may choose: those of the pinned table, on every machine the same."""
    return frozenset(available_timezones())


def time_zone(name: str, field: str) -> ZoneInfo:
    """The zone of this name; refused with a sentence when there is none."""
    if name not in time_zones():
        raise InvalidInput(fields={field: "There is no such time zone. Name one like Europe/Oslo."})
    return ZoneInfo(name)


def clock_text(local: datetime) -> str:
    """The time of the day as clocks show it, with the name of the offset where they show it twice that day."""
    is_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local:%H:%M %Z}" if is_twice else f"{local:%H:%M}"
