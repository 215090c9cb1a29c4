"""Working hours as people write them, `08:00-12:00, 13:00-17:00`, and as they are kept: pairs of times per weekday.

A day ends at 24:00. Hours that go on past midnight, `22:00-02:00`, belong to the weekday on which they begin.
"""

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
DAY_MINUTES = 24 * 60
# Past midnight; what would be longer is rather two times in the wrong order.
LONGEST_NIGHT = 12 * 60
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
        if _in_minutes(later)[0] < _in_minutes(earlier)[1]:
            raise NotHours(f"{write([earlier])} and {write([later])} overlap")
    return spans


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise NotHours(f"write hours like {EXAMPLE}, or leave the day empty")
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2] or 0), int(found[4] or 0))
    start, end = (f"{hour:02}:{minute:02}" for hour, minute in zip(hours, minutes, strict=True))
    if _minutes(start) < 0 or _minutes(end) < 0 or _minutes(start) == DAY_MINUTES:
        raise NotHours(f"“{text}” is no time of the day, which goes from 00:00 to 24:00")
    span = [start, "24:00" if end == "00:00" < start else end]
    opens, closes = _in_minutes(span)
    if closes <= opens:
        raise NotHours(
            f"{start}-{end} ends before it begins; past midnight it may be at most {LONGEST_NIGHT // 60} hours"
        )
    return span


def _in_minutes(span: Sequence[str]) -> tuple[int, int]:
    """After the midnight before; the end may be on the next day, and is before the beginning where nothing is meant."""
    opens, closes = map(_minutes, span)
    if 0 <= closes < opens and closes + DAY_MINUTES - opens <= LONGEST_NIGHT:
        return opens, closes + DAY_MINUTES
    return opens, closes


def clashes(kept: Mapping[str, Any]) -> dict[str, str]:
    """The days whose hours go on into those of the next one, both of them, each with the end of a sentence about it."""
    found: dict[str, str] = {}
    for day, following in zip(WEEKDAYS, WEEKDAYS[1:] + WEEKDAYS[:1], strict=True):
        last = max((_in_minutes(span)[1] for span in kept_on(kept, day)), default=0)
        first = min((_in_minutes(span)[0] for span in kept_on(kept, following)), default=DAY_MINUTES)
        if last - DAY_MINUTES > first:
            found.setdefault(day, f"the hours past midnight go on into those of {DAYS[following]}")
            found.setdefault(following, f"the hours of {DAYS[day]} go on into these past midnight")
    return found


def write(spans: Sequence[Sequence[str]]) -> str:
    """One day's spans as they are written."""
    return ", ".join(f"{start}-{end}" for start, end in spans)


def kept_on(kept: Mapping[str, Any], day: str) -> list[Span]:
    """The spans of a weekday; what came into the table by hand and cannot be read is a time off."""
    listed = kept.get(day)
    pairs = [list(span) for span in (listed if isinstance(listed, list) else ()) if _is_pair(span)]
    return [pair for pair in pairs if 0 <= _in_minutes(pair)[0] < _in_minutes(pair)[1]]


def of_day(kept: Mapping[str, Any], weekday: int) -> list[tuple[int, int]]:
    """The spans of a weekday in minutes after midnight, as the practitioner's clock shows them.

    What goes on past midnight ends after more than 24 hours of them.
    """
    return [_in_minutes(span) for span in kept_on(kept, WEEKDAYS[weekday])]


def _is_pair(span: Any) -> bool:
    return isinstance(span, list | tuple) and len(span) == 2


def _minutes(clock: Any) -> int:
    """Minutes after midnight, up to the end of the day as 24:00; -1 for what is no time."""
    found = _CLOCK.fullmatch(clock) if isinstance(clock, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    return minutes if minutes <= DAY_MINUTES else -1


def shown(kept: Mapping[str, Any]) -> dict[str, str]:
    """The whole week for a page: each day with its hours or that it is off."""
    return {name: write(kept_on(kept, day)).replace("-", "–") or "off" for day, name in DAYS.items()}
