"""The week calendar of one practitioner: a list per day that a wide screen lays out by time."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.errors import NotFound
from admin_app.policies.permissions import Permission
from admin_app.services.core.time_zones import clock_text
from admin_app.services.schedule import week_calendar, working_time
from admin_app.services.schedule.week_calendar import Entry
from models import Practitioner
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, page
from views.console.framework.columns import MONTHS, record_address
from views.console.framework.current_staff import viewer, zone_of
from views.console.framework.filters import whole_number
from views.console.framework.navigation import Menu
from views.console.schedule import week as weeks
from views.console.schedule.practitioner_choice import practitioner_choices
from views.console.schedule.week import Block, state_of
from views.reading import read_session

ADDRESS = "/admin/calendar/"
WEEK = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNKNOWN_WEEK = "That is no week of the calendar, so this is the current one. Write a week like 2026-W48."
# Each state has a word and a sign besides its colour.
STATES = {
    "pending": ("held", "hourglass"),
    "confirmed": ("confirmed", "circle-check"),
    "completed": ("completed", "check"),
    "no_show": ("no-show", "alert-circle"),
    "canceled": ("canceled", "x"),
    "refunded": ("refunded", "arrow-back-up"),
    "lapsed": ("hold lapsed", "hourglass"),
}
NOT_TAKEN = ("canceled", "refunded", "lapsed")
WORDS = {state: word for state, (word, _) in STATES.items()}


@dataclass(frozen=True)
class CalendarQuery:
    """What the address asks for: whose week, which, in whose zone, and whether with what is not taken any more."""

    practitioner_id: int
    monday: date
    own_zone: bool = False
    all_shown: bool = False

    def url(self, **changes: Any) -> str:
        query = CalendarQuery(**{**vars(self), **changes})
        arguments = {"practitioner": query.practitioner_id, "week": weeks.name_of(query.monday)}
        if query.own_zone:
            arguments["zone"] = "mine"
        if query.all_shown:
            arguments["show"] = "all"
        return f"{ADDRESS}?{urlencode(arguments)}"


class WeekCalendarView(ConsoleView):
    in_menu = Menu("Calendar", "Week", "calendar-time", 190)
    permissions = MappingProxyType({"index": Permission.BOOKINGS_READ})

    def __init__(self) -> None:
        super().__init__(name="Week calendar", endpoint="calendar", url="/admin/calendar")

    @page("/")
    def index(self) -> ResponseReturnValue:
        session = read_session()
        practitioner = _practitioner(session, request.args.get("practitioner", ""))
        if practitioner is None:
            return self.render("console/schedule/no_calendar.html")
        return self.render("console/schedule/calendar.html", **_shown(session, practitioner))


def _practitioner(session: Session, wanted: str) -> Practitioner | None:
    """The wanted one; when none is named the first by name who is in use."""
    if wanted:
        found = session.get(Practitioner, whole_number(wanted) or 0)
        if found is None:
            raise NotFound("There is no practitioner of this number. Choose one in the list of practitioners.")
        return found
    by_name = select(Practitioner).order_by(Practitioner.active.desc(), Practitioner.name, Practitioner.id).limit(1)
    return session.scalar(by_name)


def _shown(session: Session, practitioner: Practitioner) -> dict[str, Any]:
    person, now = viewer(), backdesk().db.clock()
    their_zone = zone_of(practitioner.time_zone)
    own_zone = request.args.get("zone") == "mine"
    zone = person.zone if own_zone else their_zone
    this_monday = _monday_before(now.astimezone(zone).date())
    monday = _wanted_week(request.args.get("week", ""))
    query = CalendarQuery(practitioner.id, monday or this_monday, own_zone, request.args.get("show") == "all")
    start, end = (weeks.midnight(query.monday + timedelta(days=days), zone) for days in (0, 7))
    may_meet = person.may(Permission.MEETINGS_READ)
    found = week_calendar.entries(session, practitioner.id, start, end, now, meetings=may_meet)
    works = working_time.spans(practitioner.working_hours, their_zone, start, end)
    kept = [entry for entry in found if query.all_shown or entry.takes_time]
    laid_out = weeks.lay_out(query.monday, zone, kept, works, now)
    return {
        "practitioner": practitioner,
        "practitioner_href": record_address("practitioners", practitioner.id),
        "choices": practitioner_choices(session, str(practitioner.id)),
        "query": query,
        "week_name": weeks.name_of(query.monday),
        "span": _span(query.monday),
        "notice": UNKNOWN_WEEK if request.args.get("week") and monday is None else "",
        "zone": zone.key,
        "their_zone": their_zone.key,
        "previous": query.url(monday=query.monday - timedelta(days=7)),
        "next": query.url(monday=query.monday + timedelta(days=7)),
        "this_week": query.url(monday=this_monday) if query.monday != this_monday else None,
        "other_zone": query.url(own_zone=not own_zone) if person.zone.key != their_zone.key else None,
        "week": laid_out,
        "days": [_day(day, zone, now.astimezone(zone).date()) for day in laid_out.days],
        "summary": weeks.counted(kept, WORDS) or "Nothing is booked in this week",
        "hidden": sum(not entry.takes_time for entry in found),
        "toggle": query.url(all_shown=not query.all_shown),
        "legend": [(state, *STATES[state]) for state in STATES if query.all_shown or state not in NOT_TAKEN],
    }


def _wanted_week(given: str) -> date | None:
    found = WEEK.fullmatch(given.strip().upper())
    return weeks.monday_of(int(found[1]), int(found[2])) if found else None


def _monday_before(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _span(monday: date) -> str:
    sunday = monday + timedelta(days=6)
    first = f"{monday.day} {MONTHS[monday.month]}" if monday.month != sunday.month else f"{monday.day}"
    first += f" {monday.year}" if monday.year != sunday.year else ""
    return f"{first} – {sunday.day} {MONTHS[sunday.month]} {sunday.year}"


def _day(day: weeks.Day, zone: ZoneInfo, today: date) -> dict[str, Any]:
    return {
        "day": day,
        "name": f"{DAYS[day.date.weekday()]} {day.date.day} {MONTHS[day.date.month]}",
        "today": day.date == today,
        "blocks": [_block(block, zone) for block in day.blocks],
    }


def _block(block: Block, zone: ZoneInfo) -> dict[str, Any]:
    entry: Entry = block.entry
    word, sign = STATES[state_of(entry)]
    starts, ends = (clock_text(moment.astimezone(zone)) for moment in (entry.starts_at, entry.ends_at))
    return {
        "place": block.place,
        "lane": block.lane,
        "lanes": block.lanes,
        "href": record_address(f"{entry.kind}s", entry.number),
        "times": f"{starts}–{ends}",
        "who": entry.who,
        "what": entry.what if entry.kind == "booking" or entry.what == "Meeting" else f"Meeting: {entry.what}",
        "kind": entry.kind,
        "state": state_of(entry),
        "word": word,
        "sign": sign,
        "continued": block.continued,
    }
