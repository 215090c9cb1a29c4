"""Appointments as a command finds them: paid at the simulated Stripe, made in the simulated calendars, begun or not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.context import Job, Staff
from admin_app.db import Database
from admin_app.services import appointments, checkout, refunds
from admin_app.services.payments import held_money
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.calendly import control_calendly
from admin_app.simulator.stripe import control_stripe
from models import Booking, BookingSource, BookingStatus, Payment, Refund, Role, StaffMember
from tests.house import House
from tests.services.diary import Clock, held, meeting, offered
from tests.services.factories import OPERATOR

LIMIT = 20_000
NUMBERS = count(900_000)
TIMES = count()


def somebody_of_finance(db: Database) -> Staff:
    """Who may ask for a refund, and is nobody whom a test signs in."""
    with db.unit_of_work(OPERATOR) as ctx:
        member = StaffMember(email=f"x{next(NUMBERS)}@b.example", name="X", role=Role.FINANCE, password_hash="none")
        ctx.session.add(member)
        ctx.session.flush()
        return Staff(member.id, member.email, member.role)


@dataclass
class Scene:
    """A product with a clock of the test's, at a time that nobody else's appointment has."""

    house: House
    clock: Clock
    starts: datetime

    @property
    def event_type(self) -> str:
        number = next(NUMBERS)
        control_calcom.seed_event_types(self.house.simulator, [{"id": str(number), "minutes": 60, "host_id": number}])
        return str(number)

    def free(self) -> str:
        """A confirmed booking that cost nothing, in Cal.com as well."""
        kind = offered(self.house.db, price=0, minutes=60, calcom_event_type_id=self.event_type)
        subject = held(self.house.db, kind, self.starts, client_email=f"client{next(NUMBERS)}@example.com")
        self.house.work()
        return subject

    def unpaid(self, what: str = "booking") -> str:
        kind = offered(self.house.db, price=60_000, minutes=60, calcom_event_type_id=self.event_type)
        if what == "booking":
            subject = held(self.house.db, kind, self.starts, client_email=f"client{next(NUMBERS)}@example.com")
        else:
            hold = self.clock.now + timedelta(minutes=31)
            values = {"status": "pending", "price_amount": 60_000, "price_currency": "eur", "hold_expires_at": hold}
            subject = meeting(
                self.house.db, kind, self.starts, guest_email=f"guest{next(NUMBERS)}@example.com", **values
            )
        stripe = self.house.bench.providers.stripe
        checkout.start(self.work, stripe, subject=subject, return_url="http://127.0.0.1:8000/booking")
        return subject

    def work(self) -> Any:
        return self.house.db.unit_of_work(Job("tests"))

    def paid(self, what: str = "booking") -> str:
        """Paid at the simulated Stripe, confirmed, and made in Cal.com where it is a booking."""
        subject = self.unpaid(what)
        session_id = str(self.payment(subject).stripe_checkout_session_id)
        control_stripe.pay(self.house.simulator, session_id, deliver=False)
        for event in control_stripe.events(self.house.simulator, session_id):
            assert self.house.stripe(event).status_code == 200
        self.house.work()
        assert self.row(subject).status is BookingStatus.CONFIRMED
        return subject

    def from_calendly(self) -> str:
        """A booking that was made in Calendly, which the simulated Calendly knows."""
        number = next(NUMBERS)
        starts = self.starts.isoformat()
        known = {
            "id": f"I{number}",
            "event": f"E{number}",
            "event_type": "ET",
            "email": "ada@example.com",
            "name": "Ada",
        }
        known |= {"time_zone": "UTC", "starts_at": starts, "ends_at": (self.starts + timedelta(hours=1)).isoformat()}
        control_calendly.seed_invitees(self.house.simulator, [known])
        (there,) = [one for one in control_calendly.invitees(self.house.simulator) if f"I{number}" in one["uri"]]
        subject = held(self.house.db, offered(self.house.db, price=0, minutes=60), self.starts)
        self.house.work()
        with self.house.db.unit_of_work(OPERATOR) as ctx:
            row = ctx.session.get_one(Booking, int(subject[8:]))
            row.source, row.calendly_invitee_uri = BookingSource.CALENDLY, there["uri"]
            row.calendly_event_uri = there["uri"].split("/invitees/")[0]
        return subject

    def meeting(self, **values: Any) -> str:
        return meeting(self.house.db, offered(self.house.db, price=0, minutes=60), self.starts, **values)

    def begun(self, subject: str) -> str:
        self.clock.now = self.starts + timedelta(minutes=90)
        return subject

    def row(self, subject: str) -> Any:
        with self.house.db.read_only() as session:
            return appointments.get(session, subject).row

    def payment(self, subject: str) -> Payment:
        (found,) = self.house.rows(select(Payment).where(held_money.is_for(subject)))
        assert isinstance(found, Payment)
        return found

    def asked_back(self, subject: str, amount: int, **wish: Any) -> Refund:
        """A refund that somebody else asked for; a large one waits for a second person."""
        person = somebody_of_finance(self.house.db)
        given = {"payment_id": self.payment(subject).id, "amount": amount, "approval_above": LIMIT, **wish}
        with self.house.db.unit_of_work(person) as ctx:
            shown = refunds.plan_request(ctx, **given).fingerprint
            return refunds.request(ctx, **given, reason_code="requested_by_customer", note="", shown=shown)
