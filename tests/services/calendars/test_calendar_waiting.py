"""What a calendar tells and the diary has no room for waits, and goes on by itself once there is room."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.services import appointments, bookings, inbox
from admin_app.services.bookings import holds
from models import (
    Booking,
    BookingStatus,
    CanceledBecause,
    EventState,
    Meeting,
    Practitioner,
    SessionType,
    WebhookEvent,
)
from tests.services.calendar_answers import (
    AT,
    CALCOM_EVENT_TYPE,
    EVENT_TYPE,
    HOUR,
    bookings_of,
    calcom_told,
    calendly_told,
    deliver,
    receive,
)
from tests.services.deliveries import work
from tests.services.diary import Clock
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_meeting, add_practitioner, add_session_type


@pytest.fixture
def kind(db: Database) -> SessionType:
    practitioner = add_practitioner(db, calcom_event_type_id=CALCOM_EVENT_TYPE)
    return add_session_type(db, practitioner, calendly_event_type_uri=EVENT_TYPE)


def act(db: Database, row: Booking | Meeting, change: Callable[..., None]) -> None:
    kind = "booking" if isinstance(row, Booking) else "meeting"
    with db.unit_of_work(OPERATOR) as ctx:
        change(ctx, appointments.locked(ctx, f"{kind}:{row.id}"))
    work(db)


def canceled(ctx, appointment):
    bookings.cancel(ctx, appointment, CanceledBecause.BY_STAFF)


def moved(ctx, appointment):
    bookings.move(ctx, appointment, AT + 5 * HOUR, AT + 6 * HOUR)


def refunded(ctx, appointment):
    bookings.carry_out(ctx, appointment, bookings.refunding())


def handed_over(ctx, appointment):
    ctx.session.add(other := Practitioner(name="Other", email="other@practice.example"))
    ctx.session.flush()
    row = appointment.row
    bookings.hand_over(ctx, appointment, other.id, row.session_type_id, row.starts_at, row.ends_at)


def parked(db: Database) -> WebhookEvent:
    (event,) = deliver(db)
    assert (event.state, event.parked_because) == (EventState.PARKED, "time_taken")
    return event


def is_in(db: Database) -> bool:
    (event,) = deliver(db)
    coming = [one for one in bookings_of(db) if one.status is BookingStatus.CONFIRMED and one.starts_at == AT]
    return event.state is EventState.PROCESSED and "calcom" in {one.source.value for one in coming}


@pytest.mark.parametrize("change", [canceled, moved, refunded, handed_over], ids=lambda change: change.__name__)
def test_the_booking_in_the_way_gives_way(db: Database, kind: SessionType, change: Callable[..., None]) -> None:
    other = add_booking(db, kind, AT)
    deliver(db, calcom_told("CREATED", "X"))
    assert parked(db).waits_for == f"practitioner:{kind.practitioner_id}"
    act(db, other, change)
    assert is_in(db)


def test_the_meeting_in_the_way_gives_way(db: Database, kind: SessionType) -> None:
    other = add_meeting(db, Practitioner(id=kind.practitioner_id), AT)
    deliver(db, calcom_told("CREATED", "X"))
    parked(db)
    act(db, other, canceled)
    assert is_in(db)


def test_something_of_another_practitioner_does_not_help(db: Database, kind: SessionType) -> None:
    add_booking(db, kind, AT)
    elsewhere = add_booking(db, add_session_type(db, add_practitioner(db, "else@practice.example")), AT)
    deliver(db, calcom_told("CREATED", "X"))
    before = parked(db).attempts
    act(db, elsewhere, canceled)
    assert parked(db).attempts == before


def test_an_unpaid_hold_in_the_way_is_waited_for_until_it_lapses(db: Database, kind: SessionType) -> None:
    now = db.clock()
    until = now + timedelta(minutes=20)
    add_booking(db, kind, AT, status=BookingStatus.PENDING, hold_expires_at=until)
    event_id = receive(db, calendly_told("created", "X"))
    assert event_id is not None
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
        inbox.apply(ctx, event_id=event_id)
        queued = ctx.session.execute(text("SELECT task_name, scheduled_at FROM procrastinate_jobs")).all()
        assert queued == [("process_event", until)]
    db.clock = lambda: until + timedelta(seconds=1)
    work(db)
    assert [one.status for one in bookings_of(db) if one.starts_at == AT] == [
        BookingStatus.CANCELED,
        BookingStatus.CONFIRMED,
    ]


def test_a_hold_that_is_released_lets_it_in_at_once(db: Database, kind: SessionType) -> None:
    held = add_booking(db, kind, AT, status=BookingStatus.PENDING, hold_expires_at=db.clock() + HOUR)
    deliver(db, calcom_told("CREATED", "X"))
    parked(db)
    with db.unit_of_work(OPERATOR) as ctx:
        holds.release(ctx, subject=f"booking:{held.id}")
    work(db)
    assert is_in(db)


def test_a_move_to_a_time_that_is_taken_waits_for_it(db: Database, kind: SessionType) -> None:
    other = add_booking(db, kind, AT + 2 * HOUR)
    deliver(db, calcom_told("CREATED", "X"), calcom_told("RESCHEDULED", "Y", at=AT + 2 * HOUR, old="X"))
    act(db, other, canceled)
    (booking,) = [one for one in bookings_of(db) if one.calcom_booking_uid]
    assert (booking.calcom_booking_uid, booking.starts_at) == ("Y", AT + 2 * HOUR)


@pytest.mark.parametrize("ended", [BookingStatus.COMPLETED, BookingStatus.NO_SHOW])
@pytest.mark.parametrize("way", ["calcom", "calcom, the same id", "calendly"])
def test_what_is_over_and_is_put_off_there_takes_place_then(
    db: Database, kind: SessionType, way: str, ended: BookingStatus
) -> None:
    clock, later = Clock(db), AT + 7 * 24 * HOUR
    clock.now = AT - HOUR
    deliver(db, calendly_told("created", "X") if way == "calendly" else calcom_told("CREATED", "X"))
    clock.now = AT + 2 * HOUR
    (booking,) = bookings_of(db)
    act(db, booking, lambda ctx, one: bookings.carry_out(ctx, one, bookings.attending(one, ended, "booking.no_show")))
    told = {"at": later, "told": clock.now}
    if way == "calendly":
        deliver(db, calendly_told("created", "Y", old="X", at=later), calendly_told("canceled", "X", new="Y"))
    elif way == "calcom":
        deliver(db, calcom_told("RESCHEDULED", "Y", old="X", **told))
    else:
        deliver(db, calcom_told("CREATED", "X", seatsPerTimeSlot=3, **told))
    (booking,) = bookings_of(db)
    assert (booking.status, booking.starts_at, booking.attendance_by) == (BookingStatus.CONFIRMED, later, None)
    (taken,) = [*deliver(db, calcom_told("CREATED", "other", at=later, told=clock.now))][-1:]
    assert taken.parked_because == "time_taken", "its time is not sold again"
