"""Moments that people type as their own clock shows them, and what to do where that clock is changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from admin_app.bounds import is_reachable
from admin_app.errors import InvalidInput
from admin_app.services.core.time_zones import time_zones
from views.console.framework.current_staff import zone_of

FORM = "%Y-%m-%dT%H:%M"
WRITTEN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
# Which of the two, where the clocks show a time twice.
FIRST, SECOND = "first", "second"
TOO_FAR = "This day is too far away. Choose another one."


@dataclass(frozen=True)
class LocalForm:
    """What was typed into a form with moments in it, and the zone in which it was."""

    fields: ClassVar[tuple[str, ...]] = ()

    typed: Mapping[str, str]
    zone: ZoneInfo

    @classmethod
    def of(cls, values: Mapping[str, str], zone: ZoneInfo) -> Self:
        """By what was sent; `zone` counts unless the form names the one that it was shown in."""
        named = values.get("zone", "")
        typed = {name: values[name] for name in (*cls.fields, "zone") if name in values}
        return cls(typed, zone_of(named) if named in time_zones() else zone)

    @property
    def carried(self) -> dict[str, str]:
        """What the form with the plan takes along, so that it means the same when it is sent."""
        return dict(self.typed) | {"zone": self.zone.key}


def moment(text: str, zone: ZoneInfo, field: str, which: str = "") -> datetime:
    """The moment that `text` like 2026-11-30T09:00 names in the zone; refused with a sentence for the field.

    A time that the clocks skip names nothing. One that they show twice needs `which`, first or second.
    """
    try:
        # Some browsers send the seconds too.
        written = WRITTEN.fullmatch(text.strip())
        wall = datetime.strptime(written[1] if written else "", FORM)  # noqa: DTZ007  the zone is put on below
    except ValueError:
        raise InvalidInput(fields={field: "Write day and time like 2026-11-30T09:00."}) from None
    if not is_reachable(wall):
        raise InvalidInput(fields={field: TOO_FAR})
    try:
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except (OverflowError, ValueError):
        raise InvalidInput(fields={field: TOO_FAR}) from None
    if first.astimezone(zone).replace(tzinfo=None) != wall:
        raise InvalidInput(fields={field: f"On that day the clocks of {zone.key} skip this time. Choose another one."})
    if first != second and which not in (FIRST, SECOND):
        raise InvalidInput(
            code="ambiguous_time",
            fields={field: f"On that day the clocks of {zone.key} show this time twice. Say which one is meant."},
        )
    return second if which == SECOND else first


def is_twice(text: str, zone: ZoneInfo) -> bool:
    """Whether the clocks of the zone show this time twice on that day."""
    try:
        moment(text, zone, "")
    except InvalidInput as refused:
        return refused.code == "ambiguous_time"
    return False


def typed(when: datetime, zone: ZoneInfo) -> str:
    """A moment as a form's field shows it."""
    return when.astimezone(zone).strftime(FORM)
