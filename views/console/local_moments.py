"""Moments that people type as their own clock shows them, and what to do where that clock is changed."""

from datetime import MAXYEAR, UTC, datetime
from zoneinfo import ZoneInfo

from admin_app.errors import InvalidInput

FORM = "%Y-%m-%dT%H:%M"
# Which of the two, where the clocks show a time twice.
FIRST, SECOND = "first", "second"
TOO_FAR = "This day is too far away. Choose another one."


def moment(text: str, zone: ZoneInfo, field: str, which: str = "") -> datetime:
    """The moment that `text` like 2026-11-30T09:00 names in the zone; refused with a sentence for the field.

    A time that the clocks skip names nothing. One that they show twice needs `which`, first or second.
    """
    try:
        wall = datetime.strptime(text.strip()[:16], FORM)  # noqa: DTZ007  the zone is put on below
    except ValueError:
        raise InvalidInput(fields={field: "Write day and time like 2026-11-30T09:00."}) from None
    if wall.year == MAXYEAR:  # the end of it no clock east of here could show, and no page with it
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
