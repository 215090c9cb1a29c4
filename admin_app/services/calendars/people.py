"""What is shown of who comes to a booking and who has and had it; one query."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal_column, null, select, union_all
from sqlalchemy.orm import Session

from models.calendars import BookingAttendee, BookingHost
from models.schedule import Practitioner


@dataclass(frozen=True)
class Person:
    """An attendee, or with `hosts` a practitioner; `paid_amount` in minor units went to the calendar's own provider."""

    hosts: bool
    provider: str
    name: str
    email: str | None
    since: datetime
    gone_at: datetime | None
    absent_at: datetime | None
    paid_amount: int | None
    paid_currency: str | None


def of_booking(session: Session, booking_id: int) -> list[Person]:
    """Everybody, hosts before attendees, in the order in which they came."""
    a, h = BookingAttendee, BookingHost
    attendees: Any = select(
        literal_column("false").label("hosts"),
        a.provider,
        a.name,
        a.email,
        a.since,
        a.gone_at,
        a.absent_at,
        a.paid_amount,
        a.paid_currency,
        a.id,
    ).where(a.booking_id == booking_id)
    hosts: Any = (
        select(
            literal_column("true"),
            h.provider,
            Practitioner.name,
            h.email,
            h.since,
            h.gone_at,
            null(),
            null(),
            null(),
            h.id,
        )
        .join(Practitioner, Practitioner.id == h.practitioner_id)
        .where(h.booking_id == booking_id)
    )
    every = union_all(attendees, hosts).subquery()
    rows = session.execute(select(every).order_by(every.c.hosts.desc(), every.c.since, every.c.id))
    return [Person(*row[:-1]) for row in rows]
