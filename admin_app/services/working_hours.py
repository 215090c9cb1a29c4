"""Working hours as people write them, `08:00-12:00, 13:00-17:00`, and as they are kept: pairs of times per weekday."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
WEEKDAYS = tuple(DAYS)  # in the order of date.weekday()
EXAMPLE = "08:00-12:00, 13:00-17:00"
MOST_SPANS = 6
_TIME = r"(\d{1,2})(?:[:.](\d\d))?"
_SPAN = re.compile(rf"{_TIME}\s*(?:-|–|—|to)\s*{_TIME}", re.ASCII)
_CLOCK = re.compile(r"(\d\d):([0-5]\d)", re.ASCII)
Span = list[str]


class NotHours(ValueError):
    """What was written cannot be hours; the message says why, as the end of a sentence about the day."""


def read(text: str) -> list[Span]:
    """The spans that were written for one day, in order; nothing is a day off. Raises NotHours."""
    parts = [part.strip() for part in re.split(r"[,;]|\band\b", text) if part.strip()]
    if len(parts) > MOST_SPANS:
        raise NotHours(f"write at most {MOST_SPANS} spans")
    spans = sorted(_span(part) for part in parts)
    for earlier, later in pairwise(spans):
        if later[0] < earlier[1]:
            raise NotHours(f"{write([earlier])} and {write([later])} overlap")
    return spans


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise NotHours(f"write hours like {EXAMPLE}, or leave the day empty")
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2] or 0), int(found[4] or 0))
    if max(hours) > 23 or max(minutes) > 59:
        raise NotHours(f"“{text}” is no time of the day; the latest is 23:59")
    start, end = (f"{hour:02}:{minute:02}" for hour, minute in zip(hours, minutes, strict=True))
    if end <= start:
        raise NotHours(f"{start}-{end} ends before it begins")
    return [start, end]


def write(spans: Sequence[Sequence[str]]) -> str:
    """One day's spans as they are written."""
    return ", ".join(f"{start}-{end}" for start, end in spans)


def of_day(kept: Mapping[str, Any], weekday: int) -> list[tuple[int, int]]:
    """The spans of a weekday in minutes after midnight, as the practitioner's clock shows them.

    What came into the table by hand and cannot be read is a time off.
    """
    listed = kept.get(WEEKDAYS[weekday])
    spans = [tuple(map(_minutes, span)) for span in (listed if isinstance(listed, list) else ()) if _is_pair(span)]
    return [(opens, closes) for opens, closes in spans if 0 <= opens < closes]


def _is_pair(span: Any) -> bool:
    return isinstance(span, list | tuple) and len(span) == 2


def _minutes(clock: Any) -> int:
    """Minutes after midnight, up to the end of the day as 24:00; -1 for what is no time."""
    found = _CLOCK.fullmatch(clock) if isinstance(clock, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    return minutes if minutes <= 24 * 60 else -1


def shown(kept: Mapping[str, Any]) -> dict[str, str]:
    """The whole week for a page: each day with its hours or that it is off."""
    return {name: write(kept.get(day, ())).replace("-", "–") or "off" for day, name in DAYS.items()}
