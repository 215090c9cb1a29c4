"""Holding a time: what is refused, who stands in whose way, and what lapses."""

from datetime import timedelta

import pytest

from admin_app.db import Database
from admin_app.errors import DomainError, Forbidden, InvalidInput, NotFound, SlotTaken
from admin_app.services import appointments
from admin_app.services.bookings import holds
from admin_app.services.core import audit
from models import BookingStatus, CanceledBecause, Practitioner, SessionType
from tests.services.diary import VISITOR, Clock, appointment, held, hold, jobs, meeting, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


def test_a_time_is_held_until_it_lapses(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts, client_time_zone="Europe/Berlin")
    row = appointment(db, subject).row
    assert (row.status, row.starts_at, row.ends_at) == (BookingStatus.PENDING, starts, starts + timedelta(minutes=50))
    assert row.hold_expires_at == clock.now + holds.HOLD_FOR
    assert (row.price_amount, row.price_currency, row.client_time_zone) == (12_000, "eur", "Europe/Berlin")
    assert jobs(db, "send_appointment_mail") == []
    with db.read_only() as session:
        assert audit.history(session, subject)[0].sentence == f"visitor held booking {row.id} for cleo@example.com"
        span = (row.starts_at, row.ends_at)
        assert appointments.busy(session, kind.practitioner_id, starts, row.ends_at, now=clock.now) == [span]
        assert appointments.busy(session, kind.practitioner_id, row.ends_at, row.ends_at + timedelta(1)) == []
        later = clock.now + holds.HOLD_FOR
        assert appointments.busy(session, kind.practitioner_id, starts, row.ends_at, now=later) == []


def test_what_costs_nothing_is_confirmed_at_once(db: Database, clock: Clock) -> None:
    subject = held(db, offered(db, price=0), tomorrow(clock.now))
    row = appointment(db, subject).row
    assert (row.status, row.hold_expires_at, row.reminded_at) == (BookingStatus.CONFIRMED, None, None)
    assert jobs(db, "send_appointment_mail") == [{"subject": subject, "kind": "confirmation", "once": "2"}]
    assert jobs(db, "sync_calendar") == [{"booking_id": row.id}]


@pytest.mark.parametrize("minutes", [-49, -10, 0, 10, 49])
def test_times_that_touch_are_refused(db: Database, clock: Clock, kind: SessionType, minutes: int) -> None:
    starts = tomorrow(clock.now)
    held(db, kind, starts)
    with pytest.raises(SlotTaken):
        held(db, kind, starts + timedelta(minutes=minutes))


def test_the_next_time_and_another_practitioner_are_free(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    held(db, kind, starts)
    held(db, kind, starts + timedelta(minutes=50))
    held(db, kind, starts - timedelta(minutes=50))
    held(db, offered(db), starts)


def test_a_meeting_is_in_the_way_of_a_booking(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    meeting(db, kind, starts)
    with pytest.raises(SlotTaken):
        held(db, kind, starts)


@pytest.mark.parametrize("which", ["booking", "meeting"])
def test_a_lapsed_hold_gives_way(db: Database, clock: Clock, kind: SessionType, which: str) -> None:
    starts = tomorrow(clock.now)
    if which == "booking":
        first = held(db, kind, starts)
    else:
        first = meeting(
            db, kind, starts, status="pending", hold_expires_at=clock.now + holds.HOLD_FOR, price_amount=100
        )
    clock.forward(minutes=30)
    with pytest.raises(SlotTaken):
        held(db, kind, starts)
    clock.forward(minutes=1)
    second = held(db, kind, starts)
    row = appointment(db, first).row
    assert (row.status, row.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.NEVER_PAID)
    assert row.canceled_at == clock.now
    assert appointment(db, second).row.status is BookingStatus.PENDING
    assert jobs(db, "expire_checkout") == [{"subject": first}]
    assert jobs(db, "send_appointment_mail") == []


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"starts_at": timedelta(0)}, InvalidInput),
        ({"starts_at": timedelta(days=-1)}, InvalidInput),
        ({"starts_at": timedelta(days=400)}, InvalidInput),
        ({"client_email": "no address"}, InvalidInput),
        ({"client_name": "  "}, InvalidInput),
        ({"client_name": "x" * 201}, InvalidInput),
        ({"client_time_zone": "Mars/Olympus"}, InvalidInput),
    ],
)
def test_what_is_refused(
    db: Database, clock: Clock, kind: SessionType, wrong: dict[str, object], refusal: type[DomainError]
) -> None:
    values = dict(wrong)
    starts = clock.now + values.pop("starts_at", timedelta(days=1))  # type: ignore[operator]
    with pytest.raises(refusal):
        held(db, kind, starts, **values)


def test_only_what_is_offered_can_be_held(db: Database, clock: Clock, kind: SessionType) -> None:
    other = offered(db)
    starts = tomorrow(clock.now)
    wanted = {"starts_at": starts, "client_name": "Cleo", "client_email": "cleo@example.com"}
    for practitioner_id, session_type_id in (
        (kind.practitioner_id, other.id),
        (kind.practitioner_id, 999_999),
        (999_999, kind.id),
    ):
        with pytest.raises(NotFound), db.unit_of_work(VISITOR) as ctx:
            holds.hold(ctx, practitioner_id=practitioner_id, session_type_id=session_type_id, **wanted)
    for model, number in ((SessionType, kind.id), (Practitioner, other.practitioner_id)):
        with db.unit_of_work(OPERATOR) as ctx:
            ctx.session.get_one(model, number).active = False
    for one in (kind, other):
        with pytest.raises(NotFound):
            held(db, one, starts)


def test_an_auditor_holds_nothing(db: Database, clock: Clock, kind: SessionType) -> None:
    with pytest.raises(Forbidden), db.unit_of_work(AUDITOR) as ctx:
        hold(ctx, kind, tomorrow(clock.now))


def test_what_is_given_up_is_free_again(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    for _ in range(2):
        with db.unit_of_work(OPERATOR) as ctx:
            holds.release(ctx, subject=subject)
    held(db, kind, starts)
    assert appointment(db, subject).row.canceled_because is CanceledBecause.NEVER_PAID


@pytest.mark.parametrize(
    "subject", ["", "booking", "booking:", "booking:x", "profile:1", "booking:1e3", "meeting:" + "9" * 30]
)
def test_what_names_nothing_is_not_found(db: Database, subject: str) -> None:
    with pytest.raises(NotFound), db.read_only() as session:
        appointments.get(session, subject)
