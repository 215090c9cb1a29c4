"""Who can be booked, and when: open to anyone, read only."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, request

from admin_app.bounds import BIGGEST, is_reachable
from admin_app.errors import InvalidInput
from admin_app.services.core.time_zones import time_zone
from admin_app.services.schedule import availability
from views.backdesk import backdesk
from views.public.endpoints import Endpoint, Parameter, endpoint
from views.public.shapes import AvailabilityAnswer, PractitionersAnswer

doors = Blueprint("availability", __name__)

DAYS_UNASKED = timedelta(days=7)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = "A day, in the time zone asked for, or an ISO 8601 time"
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)


@endpoint(
    doors,
    Endpoint(
        "GET",
        "/api/practitioners",
        id="listPractitioners",
        summary="Who can be booked, and for what",
        answers={200: ("The active practitioners", PractitionersAnswer)},
        refuses=(503,),
    ),
)
def practitioners() -> PractitionersAnswer:
    with backdesk().db.read_only() as session:
        return PractitionersAnswer.of(availability.list_practitioners(session))


@endpoint(
    doors,
    Endpoint(
        "GET",
        f"/api/practitioners/<int(max={BIGGEST}):practitioner_id>/availability",
        id="listFreeSlots",
        summary="When a practitioner can be booked",
        query=(
            Parameter("from", f"{_MOMENT}; now, when left out"),
            Parameter("to", f"{_MOMENT}, at most 31 days later; a day counts as a whole. A week later, when left out"),
            Parameter(
                "timezone", "An IANA name, for the days asked for and the times answered; else the practitioner's"
            ),
            Parameter("session_type_id", "Its length is that of the slots; else the shortest that is offered"),
        ),
        answers={200: ("The free slots in order", AvailabilityAnswer)},
        refuses=(404, 422, 503),
    ),
)
def slots(practitioner_id: int) -> AvailabilityAnswer:
    house = backdesk()
    now = house.db.clock()
    session_type_id = _session_type()
    zone = _zone(practitioner_id)
    since = _moment("from", zone) or now
    # So many days by the clocks, whatever they do meanwhile.
    until = _moment("to", zone, whole_day=True) or (since.astimezone(zone) + DAYS_UNASKED).astimezone(UTC)
    offer = availability.find(
        house.db.read_only,
        house.providers,
        practitioner_id=practitioner_id,
        session_type_id=session_type_id,
        since=since,
        until=until,
        now=now,
        clocks=zone,
    )
    return AvailabilityAnswer.of(offer, zone)


def _zone(practitioner_id: int) -> ZoneInfo:
    """The caller's, else the practitioner's own."""
    asked = request.args.get("timezone")
    if asked:
        return time_zone(asked, "timezone")
    with backdesk().db.read_only() as session:
        return availability.zone_of(session, practitioner_id)


def _session_type() -> int | None:
    asked = request.args.get("session_type_id")
    if not asked:
        return None
    if not _NUMBER.fullmatch(asked):
        raise InvalidInput(fields={"session_type_id": "This must be the number of a session type."})
    return int(asked)


def _moment(name: str, zone: ZoneInfo, *, whole_day: bool = False) -> datetime | None:
    """A day or a time of the query, by the clocks of the zone unless it names an offset; a day counts as a whole."""
    # A plus sign that was not escaped arrives as a space.
    asked = request.args.get(name, "").strip().replace(" ", "+")
    if not asked:
        return None
    try:
        if _DAY.fullmatch(asked):
            day = date.fromisoformat(asked) + timedelta(days=whole_day)
            found = datetime.combine(day, time(), zone)
        else:
            stated = datetime.fromisoformat(asked)
            found = stated if stated.tzinfo else stated.replace(tzinfo=zone)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        found = datetime.min.replace(tzinfo=UTC)
    if not is_reachable(found):
        raise InvalidInput(fields={name: "Write a day like 2027-03-28, or a time like 2027-03-28T09:00:00+01:00."})
    return found
