"""Practitioners and what is booked with them, for tests."""

from datetime import datetime, timedelta
from typing import Any

from admin_app.db import Database
from models import Booking, BookingStatus, Meeting, Practitioner, SessionType
from tests.services.factories import OPERATOR

OFFICE_HOURS = {day: [["08:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def add_practitioner(db: Database, email: str = "ingrid@practice.example", **values: Any) -> Practitioner:
    given = {"name": "Dr. Ingrid Solheim", "time_zone": "Europe/Oslo", "working_hours": OFFICE_HOURS}
    return _add(db, Practitioner(email=email, **(given | values)))


def add_session_type(db: Database, practitioner: Practitioner, **values: Any) -> SessionType:
    given = {"title": "First consultation", "minutes": 60, "price_amount": 9500}
    return _add(db, SessionType(practitioner_id=practitioner.id, **(given | values)))


def add_booking(db: Database, kind: SessionType, starts_at: datetime, **values: Any) -> Booking:
    given = {
        "client_name": "Bea Booker",
        "client_email": "bea@example.com",
        "ends_at": starts_at + timedelta(minutes=kind.minutes),
        "status": BookingStatus.CONFIRMED,
    }
    row = Booking(
        practitioner_id=kind.practitioner_id, session_type_id=kind.id, starts_at=starts_at, **(given | values)
    )
    return _add(db, row)


def add_meeting(db: Database, practitioner: Practitioner, starts_at: datetime, **values: Any) -> Meeting:
    given = {"ends_at": starts_at + timedelta(minutes=30), "status": BookingStatus.CONFIRMED}
    return _add(db, Meeting(practitioner_id=practitioner.id, starts_at=starts_at, **(given | values)))


def _add(db: Database, row: Any) -> Any:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(row)
        ctx.session.flush()
        ctx.session.refresh(row)
    return row
