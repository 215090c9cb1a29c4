"""Bookings at the simulated Cal.com and Calendly with those who come, and what is known of them here."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import (
    Booking,
    BookingAttendee,
    BookingHost,
    WebhookEvent,
)
from tests.house import House
from tests.services.calendar_answers import calcom_told
from tests.services.schedule_rows import add_practitioner, add_session_type

NUMBERS = count(930_000)
TIMES = count()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def a_time() -> datetime:
    """Coming, and no other test's."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=60, hours=next(TIMES))


class AtCalcom:
    """A practitioner with an event type at Cal.com, which has as many seats."""

    def __init__(self, house: House, *, seats: int | None = None) -> None:
        self.house, self.at, self.number = house, a_time(), next(NUMBERS)
        self.email = f"host{self.number}@practice.example"
        self.event_type, seated = str(self.number), {"seats": seats} if seats else {}
        known = {"id": self.event_type, "minutes": 60, "host_id": self.number, "host_email": self.email, **seated}
        control_calcom.seed_event_types(house.simulator, [known])
        self.practitioner = add_practitioner(house.db, self.email, calcom_event_type_id=self.event_type)
        self.kind = add_session_type(house.db, self.practitioner)

    def book(self, email: str, **more: Any) -> dict[str, Any]:
        given = {"event_type": self.event_type, "starts_at": self.at, "email": email, "deliver": False}
        return control_calcom.book(self.house.simulator, **(given | more))

    def act(self, booking: dict[str, Any], what: str, **more: Any) -> dict[str, Any]:
        return control_calcom.act(self.house.simulator, booking["id"], what, deliver=False, **more)

    def tell(self, trigger: str, booking: dict[str, Any], *, told: datetime | None = None, **payload: Any) -> None:
        said = calcom_told(
            trigger,
            booking["id"],
            at=datetime.fromisoformat(booking["start"]),
            event_type=self.event_type,
            told=told or datetime.now(UTC),
            **({"attendees": [booking["attendee"]]} | payload),
        )
        assert self.house.calcom(said.body).status_code == 200
        self.house.work()


def bookings(house: House) -> list[Booking]:
    return house.rows(select(Booking).order_by(Booking.id))


def booked(house: House) -> Booking:
    (booking,) = bookings(house)
    return booking


def coming(house: House) -> dict[str, bool]:
    """Everybody who ever came, and whether they still do."""
    rows = house.rows(select(BookingAttendee).order_by(BookingAttendee.id))
    return {row.email or row.name: row.gone_at is None for row in rows}


def hosts(house: House) -> list[tuple[int, bool]]:
    rows = house.rows(select(BookingHost).order_by(BookingHost.id))
    return [(row.practitioner_id, row.gone_at is None) for row in rows]


def last_event(house: House) -> WebhookEvent:
    return house.rows(select(WebhookEvent).order_by(WebhookEvent.id))[-1]


class AtCalendly:
    def __init__(self, house: House, *, places: int = 1, **known: Any) -> None:
        self.house, self.at, event_type = house, a_time(), f"ET{next(NUMBERS)}"
        control_calendly.seed_event_types(
            house.simulator, [{"id": event_type, "minutes": 60, "places": places, **known}]
        )
        uri = f"https://api.calendly.com/event_types/{event_type}"
        self.practitioner = add_practitioner(house.db, f"own{next(NUMBERS)}@practice.example")
        self.kind = add_session_type(house.db, self.practitioner, calendly_event_type_uri=uri)
        self.event_type = event_type

    def book(self, email: str, at: datetime | None = None, **more: Any) -> dict[str, Any]:
        given = {"event_type": self.event_type, "starts_at": at or self.at, "email": email, "deliver": False}
        return control_calendly.book(self.house.simulator, **given, **more)

    def tell(self, event: str, invitee: dict[str, Any]) -> None:
        payload = f'{{"uri": "{invitee["uri"]}", "invitee": "{invitee["uri"]}"}}'
        now = datetime.now(UTC).isoformat()
        body = f'{{"event": "{event}", "created_at": "{now}", "payload": {payload}}}'
        assert self.house.calendly(body.encode(), at=self.house.db.clock().timestamp()).status_code == 200
        self.house.work()
