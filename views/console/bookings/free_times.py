"""The free times that an appointment can be moved to, and the time that was chosen or typed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from admin_app.bounds import FIRST_YEAR, LAST_YEAR
from admin_app.errors import DomainError, InvalidInput
from admin_app.integrations.calendar_ports import Slot
from admin_app.integrations.http import fields
from admin_app.services.appointments import Appointment
from admin_app.services.core.time_zones import clock_text
from admin_app.services.schedule import availability
from views.backdesk import backdesk
from views.console.framework import local_times
from views.console.framework.columns import MONTHS
from views.console.framework.current_staff import zone_of

SHOWN_DAYS = 7
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SOURCES = {
    "calcom": "from Cal.com, asked just now",
    "cache": "from Cal.com, asked a few minutes ago",
    "fallback": "from the working hours kept here",
}


@dataclass(frozen=True)
class Free:
    """The free times of some days; without a source none could be found out."""

    days: list[tuple[str, list[tuple[str, str]]]]
    source: str


@dataclass(frozen=True)
class WantedTime:
    """What the address asks for: the days to look at, and the time that was chosen from them or typed."""

    practitioner_id: int
    session_type_id: int | None
    zone: ZoneInfo
    since: date
    chosen: str
    day: str
    time: str
    which: str
    now: datetime

    @classmethod
    def of(cls, found: Appointment, values: Mapping[str, str], now: datetime) -> "WantedTime":
        zone = zone_of(found.practitioner.time_zone)
        today = now.astimezone(zone).date()
        own_day = found.row.starts_at.astimezone(zone).date()
        return cls(
            practitioner_id=found.practitioner.id,
            session_type_id=found.session_type.id if found.session_type else None,
            zone=zone,
            since=_date(values.get("since", "")) or max(today, own_day - timedelta(days=2)),
            chosen=values.get("starts_at", ""),
            day=values.get("day", ""),
            time=values.get("time", ""),
            which=values.get("time_which", ""),
            now=now,
        )

    @property
    def has_choice(self) -> bool:
        return bool(self.chosen or self.day or self.time)

    def starts_at(self) -> datetime:
        """The moment that was chosen; refused with a sentence for the field that is wrong."""
        if self.chosen:
            found = fields.moment(self.chosen)
            if found is None:
                raise InvalidInput(
                    fields={"day": "This is no time. Choose one of the free times, or type day and time."}
                )
            return found
        day, clock = _date(self.day), _clock(self.time)
        problems = {} if day else {"day": "Write the day like 2026-11-30."}
        if clock is None:
            problems["time"] = "Write the time like 14:30."
        if day is None or clock is None:
            raise InvalidInput(fields=problems)
        return local_times.moment(_wall(day, clock), self.zone, "time", self.which)

    @property
    def is_twice(self) -> bool:
        """Whether the clocks show the typed time twice on that day."""
        day, clock = _date(self.day), _clock(self.time)
        return day is not None and clock is not None and local_times.is_twice(_wall(day, clock), self.zone)

    @property
    def carried(self) -> dict[str, str]:
        """What the form with the plan takes along, so that it means the same when it is sent."""
        if self.chosen:
            return {"starts_at": self.chosen}
        return {"day": self.day, "time": self.time, "time_which": self.which}

    def free(self) -> Free:
        """The free times of the days looked at, by day as the practitioner's clock shows them."""
        since, until = (_midnight(self.since + timedelta(days=days), self.zone) for days in (0, SHOWN_DAYS))
        desk = backdesk()
        try:
            offer = availability.find(
                desk.db.read_only,
                desk.providers,
                practitioner_id=self.practitioner_id,
                session_type_id=self.session_type_id,
                since=since,
                until=until,
                now=self.now,
            )
        except DomainError:
            # Out of use, or not sold any more: its times are not offered, but staff may still type one.
            return Free([], "")
        by_day = groupby(offer.slots, key=lambda slot: slot.starts_at.astimezone(self.zone).date())
        return Free(
            [(_name(day), [self._choice(slot) for slot in slots]) for day, slots in by_day], SOURCES[offer.source]
        )

    def _choice(self, slot: Slot) -> tuple[str, str]:
        there = slot.starts_at.astimezone(self.zone)
        return clock_text(there), self.address(starts_at=f"{slot.starts_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")

    def address(self, **choice: str) -> str:
        """This page with the same days and that choice."""
        return f"?{urlencode({'since': self.since.isoformat(), **choice})}"

    @property
    def span(self) -> str:
        return f"{_name(self.since)} – {_name(self.since + timedelta(days=SHOWN_DAYS - 1))}"

    @property
    def earlier(self) -> str | None:
        """The days before, unless they are over."""
        if _midnight(self.since, self.zone) <= self.now:
            return None
        return replace(self, since=self.since - timedelta(days=SHOWN_DAYS)).address()

    @property
    def later(self) -> str:
        return replace(self, since=self.since + timedelta(days=SHOWN_DAYS)).address()


def _name(day: date) -> str:
    return f"{DAYS[day.weekday()]} {day.day} {MONTHS[day.month]}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _wall(day: date, clock: time) -> str:
    return datetime.combine(day, clock).strftime(local_times.FORM)


def _date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR < day.year < LAST_YEAR else None


def _clock(text: str) -> time | None:
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        return None
    return clock.replace(second=0, microsecond=0) if clock.tzinfo is None else None
