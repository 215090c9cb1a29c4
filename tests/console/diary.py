"""A practitioner and what is booked with them, for the tests of the console's pages."""

from datetime import datetime, timedelta
from typing import Any

from bs4 import BeautifulSoup
from sqlalchemy.orm import Session

import models as m
from admin_app.db import Database
from models import BookingStatus, PaymentState
from tests.console.conftest import SETUP

WEEK = {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def soon(db: Database, days: float = 3, hour: int = 9) -> datetime:
    """A full hour some days ahead, or ago, by the practitioner's clock, which is UTC."""
    return (db.clock() + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)


class Diary:
    """One practitioner with one session type, and what is booked."""

    def __init__(self, db: Database, session: Session) -> None:
        self.db = db
        person = m.Practitioner(name="Dr. Ingrid Solheim", email="i@practice.example", working_hours=WEEK)
        session.add(person)
        session.flush()
        kind = m.SessionType(practitioner_id=person.id, title="Follow-up", minutes=60, price_amount=9500)
        session.add(kind)
        session.flush()
        self.person, self.kind = person.id, kind.id

    def book(self, starts_at: datetime, status: BookingStatus, **more: Any) -> int:
        with self.db.unit_of_work(SETUP) as ctx:
            booking = m.Booking(
                practitioner_id=self.person,
                session_type_id=self.kind,
                client_name="Ann Client",
                client_email="ann@example.com",
                starts_at=starts_at,
                ends_at=starts_at + timedelta(hours=1),
                status=status,
                price_amount=9500,
                **more,
            )
            ctx.session.add(booking)
            ctx.session.flush()
            return booking.id

    def meet(self, starts_at: datetime, status: BookingStatus, **more: Any) -> int:
        with self.db.unit_of_work(SETUP) as ctx:
            meeting = m.Meeting(
                practitioner_id=self.person,
                guest_name="Gus Guest",
                guest_email="gus@example.com",
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=30),
                status=status,
                **more,
            )
            ctx.session.add(meeting)
            ctx.session.flush()
            return meeting.id

    def pay(self, booking_id: int, **more: Any) -> int:
        values: dict[str, Any] = {
            "state": PaymentState.PAID,
            "captured_amount": 9500,
            "paid_at": self.db.clock(),
            "stripe_payment_intent_id": f"pi_{booking_id}",
        }
        with self.db.unit_of_work(SETUP) as ctx:
            payment = m.Payment(booking_id=booking_id, amount=9500, currency="usd", **(values | more))
            ctx.session.add(payment)
            ctx.session.flush()
            return payment.id

    def status(self, booking_id: int) -> BookingStatus:
        with self.db.read_only() as session:
            return session.get_one(m.Booking, booking_id).status


def story_of(html: str) -> list[str]:
    page = BeautifulSoup(html, "html5lib")
    return [" ".join(item.get_text(" ").split()) for item in page.select("ol.story > li")]


def state_of(html: str) -> str:
    found = BeautifulSoup(html, "html5lib").select_one(".now-card")
    assert found
    return " ".join(found.get_text(" ").split())
