"""A practitioner's diary for tests: what is offered, and a clock that can be put forward."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import text

from admin_app.context import Ctx, Guest
from admin_app.db import Database
from admin_app.services import appointments
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import holds
from models import Meeting, Practitioner, SessionType
from tests.services.factories import OPERATOR

VISITOR = Guest()
PRICE = 12_000
ALWAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
_numbers = count(1)


class Clock:
    """What `db.clock` is, until a test says that time has passed."""

    def __init__(self, db: Database) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        db.clock = lambda: self.now

    def catch_up(self) -> None:
        """For what takes long and speaks to providers, which have their own clock: Stripe ends no page too soon."""
        self.now = max(self.now, datetime.now(UTC).replace(microsecond=0))

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def offered(db: Database, *, price: int = PRICE, minutes: int = 50, **practitioner: Any) -> SessionType:
    """A practitioner with one session type."""
    with db.unit_of_work(OPERATOR) as ctx:
        return offer(ctx, price=price, minutes=minutes, **practitioner)


def offer(ctx: Ctx, *, price: int = PRICE, minutes: int = 50, **practitioner: Any) -> SessionType:
    number = next(_numbers)
    person = Practitioner(**({"name": "Dr Day", "email": f"diary{number}@example.com"} | practitioner))
    ctx.session.add(person)
    ctx.session.flush()
    kind = SessionType(
        practitioner_id=person.id, title="Consultation", minutes=minutes, price_amount=price, price_currency="eur"
    )
    ctx.session.add(kind)
    ctx.session.flush()
    ctx.session.refresh(kind)
    return kind


def tomorrow(now: datetime, hour: int = 10, days: int = 3) -> datetime:
    """A whole hour, some days ahead."""
    return now.replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days)


def hold(ctx: Ctx, kind: SessionType, starts_at: datetime, **client: Any) -> Appointment:
    values = {"client_name": "Cleo Client", "client_email": "cleo@example.com"} | client
    return holds.hold(ctx, practitioner_id=kind.practitioner_id, session_type_id=kind.id, starts_at=starts_at, **values)


def held(db: Database, kind: SessionType, starts_at: datetime, **client: Any) -> str:
    """Hold a time and answer the subject."""
    with db.unit_of_work(VISITOR) as ctx:
        return hold(ctx, kind, starts_at, **client).subject


def meeting(db: Database, kind: SessionType, starts_at: datetime, **values: Any) -> str:
    """A meeting as it lies in the diary, and its subject."""
    defaults = {"guest_email": "gil@example.com", "guest_name": "Gil Guest", "status": "confirmed", "price_amount": 0}
    with db.unit_of_work(OPERATOR) as ctx:
        row = Meeting(
            practitioner_id=kind.practitioner_id,
            session_type_id=kind.id,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=kind.minutes),
            **(defaults | values),
        )
        ctx.session.add(row)
        ctx.session.flush()
        return f"meeting:{row.id}"


def appointment(db: Database, subject: str) -> Appointment:
    """As it lies there now."""
    with db.read_only() as session:
        return appointments.get(session, subject)


def jobs(db: Database, task: str) -> list[dict[str, Any]]:
    """The arguments of the waiting jobs of this name."""
    with db.read_only() as session:
        query = text("SELECT args FROM procrastinate_jobs WHERE task_name = :task ORDER BY id")
        return list(session.scalars(query, {"task": task}))
