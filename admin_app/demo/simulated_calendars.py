"""Tells the simulated Cal.com and Calendly what can be booked there, and what is: comparing with them finds nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from models import Booking, BookingSource, BookingStatus, Practitioner, SessionType


def seed(session: Session, simulator: str) -> None:
    """Give the simulated Cal.com and Calendly what the filled database says they have. `simulator` is its base URL."""
    control_calcom.seed_event_types(simulator, list(_calcom_types(session)))
    control_calendly.seed_event_types(simulator, list(_calendly_types(session)))
    control_calcom.seed_bookings(simulator, list(_calcom_bookings(session)))
    control_calendly.seed_invitees(simulator, list(_invitees(session)))


def _calcom_types(session: Session) -> Iterator[dict[str, Any]]:
    """One per mapped practitioner, with their own working hours and long enough for whatever they offer."""
    longest = select(func.max(SessionType.minutes)).where(SessionType.practitioner_id == Practitioner.id)
    rows = session.execute(
        select(Practitioner, longest.scalar_subquery())
        .where(Practitioner.calcom_event_type_id.is_not(None))
        .order_by(Practitioner.id)
    )
    for person, minutes in rows:
        yield {
            "id": person.calcom_event_type_id,
            "minutes": minutes or 30,
            "host_id": int(person.calcom_user_id or 0),
            "host_name": person.name,
            "host_email": person.email,
            "time_zone": person.time_zone,
            "hours": person.working_hours,
        }


def _calendly_types(session: Session) -> Iterator[dict[str, Any]]:
    rows = session.execute(
        select(SessionType, Practitioner.name)
        .join(Practitioner, Practitioner.id == SessionType.practitioner_id)
        .where(SessionType.calendly_event_type_id.is_not(None))
        .order_by(SessionType.id)
    )
    for kind, owner in rows:
        yield {"id": kind.calendly_event_type_id, "name": kind.title, "minutes": kind.minutes, "owner": owner}


def _calcom_bookings(session: Session) -> Iterator[dict[str, Any]]:
    rows = session.execute(
        select(Booking, Practitioner.calcom_event_type_id, Practitioner.time_zone)
        .join(Practitioner, Practitioner.id == Booking.practitioner_id)
        .where(
            Booking.calcom_booking_uid.is_not(None),
            Practitioner.calcom_event_type_id.is_not(None),
            Booking.status == BookingStatus.CONFIRMED,
        )
        .order_by(Booking.id)
    )
    for booking, event_type, zone in rows:
        ours = booking.source is BookingSource.WEBSITE
        yield {
            "id": booking.calcom_booking_uid,
            "event_type": event_type,
            "start": _text(booking.starts_at),
            "end": _text(booking.ends_at),
            "attendee": {
                "name": booking.client_name,
                "email": booking.client_email,
                "timeZone": booking.client_time_zone or zone,
            },
            "metadata": {"bookingId": str(booking.id)} if ours else {},
        }


def _invitees(session: Session) -> Iterator[dict[str, Any]]:
    rows = session.execute(
        select(Booking, SessionType.calendly_event_type_id, Practitioner.time_zone)
        .join(SessionType, SessionType.id == Booking.session_type_id)
        .join(Practitioner, Practitioner.id == Booking.practitioner_id)
        .where(Booking.source == BookingSource.CALENDLY, Booking.status == BookingStatus.CONFIRMED)
        .order_by(Booking.id)
    )
    for booking, event_type, zone in rows:
        yield {
            "id": (booking.calendly_invitee_uri or "").rpartition("/")[2],
            "event": booking.calendly_event_id,
            "event_type": event_type,
            "email": booking.client_email,
            "name": booking.client_name,
            "time_zone": booking.client_time_zone or zone,
            "starts_at": _text(booking.starts_at, 6),
            "ends_at": _text(booking.ends_at, 6),
        }


def _text(moment: datetime, digits: int = 3) -> str:
    """As Cal.com writes times; Calendly has more digits."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{'0' * digits}Z"
