"""Moving an appointment: to a free time that is still to come, told to everybody who must know."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.bookings import rescheduling
from admin_app.services.core.plans import Plan
from models import Booking, BookingSource, BookingStatus, SessionType
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db, price=0)


def plan(db: Database, subject: str, starts_at: datetime) -> Plan:
    with db.unit_of_work(SUPPORT) as ctx:
        return rescheduling.plan_reschedule(ctx, subject=subject, starts_at=starts_at)


def move(db: Database, subject: str, starts_at: datetime, shown: str | None = None, actor: Any = SUPPORT) -> None:
    fingerprint = shown or plan(db, subject, starts_at).fingerprint
    with db.unit_of_work(actor) as ctx:
        rescheduling.reschedule(ctx, subject=subject, starts_at=starts_at, reason="asked", shown=fingerprint)


@pytest.mark.parametrize("which", ["booking", "meeting"])
def test_it_moves_and_everybody_is_told(db: Database, clock: Clock, kind: SessionType, which: str) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts) if which == "booking" else meeting(db, kind, starts)
    later = starts + timedelta(days=1)
    shown = plan(db, subject, later)
    assert shown.refusal is None
    assert [(line.field, line.now, line.after) for line in shown.lines] == [
        ("starts_at", starts, later),
        ("ends_at", starts + timedelta(minutes=50), later + timedelta(minutes=50)),
    ]
    move(db, subject, later)
    row = appointment(db, subject).row
    assert (row.starts_at, row.ends_at, row.status) == (
        later,
        later + timedelta(minutes=50),
        BookingStatus.CONFIRMED,
    )
    told = jobs(db, "send_appointment_mail")[-1]
    assert (told["subject"], told["kind"]) == (subject, "rescheduled")
    assert told["once"].startswith(f"{later:%Y%m%dT%H%M%SZ}-")
    held(db, kind, starts)


def test_it_may_overlap_its_own_time(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    move(db, subject, starts + timedelta(minutes=10))
    assert appointment(db, subject).row.starts_at == starts + timedelta(minutes=10)


@pytest.mark.parametrize("by", ["booking", "meeting"])
def test_not_to_a_time_that_somebody_has(db: Database, clock: Clock, kind: SessionType, by: str) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    later = starts + timedelta(days=1)
    shown = plan(db, subject, later)
    assert shown.refusal is None
    if by == "booking":
        held(db, kind, later)
    else:
        meeting(db, kind, later)
    assert plan(db, subject, later).refusal == "This time is not free any more. Choose another one."
    with pytest.raises(Conflict):
        move(db, subject, later, shown.fingerprint)
    assert appointment(db, subject).row.starts_at == starts


def test_a_lapsed_hold_is_no_obstacle(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject, later = held(db, kind, starts), starts + timedelta(days=1)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(SessionType, kind.id).price_amount = 100
    lapsing = held(db, kind, later)
    assert plan(db, subject, later).refusal
    clock.forward(minutes=31)
    move(db, subject, later)
    assert appointment(db, lapsing).row.status is BookingStatus.CANCELED


def test_what_cannot_be_moved(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    later = starts + timedelta(days=1)
    for status in BookingStatus:
        if status is not BookingStatus.CONFIRMED:
            subject = meeting(db, kind, starts, status=status)
            assert plan(db, subject, later).refusal, status
            with pytest.raises(Conflict):
                move(db, subject, later)
            with db.unit_of_work(OPERATOR) as ctx:
                ctx.session.delete(appointment(db, subject).row)
    subject = held(db, kind, starts)
    assert plan(db, subject, starts).refusal == "It is at this time already. Choose another one."
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, int(subject[8:])).source = BookingSource.CALENDLY
    refusal = plan(db, subject, later).refusal
    assert refusal is not None
    assert "Calendly" in refusal


def test_refusals(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    for wrong in (clock.now, clock.now - timedelta(days=1), clock.now + timedelta(days=900)):
        with pytest.raises(InvalidInput):
            plan(db, subject, wrong)
    later = tomorrow(clock.now, days=4)
    shown = plan(db, subject, later).fingerprint
    with pytest.raises(Forbidden):
        move(db, subject, later, shown, AUDITOR)
    with pytest.raises(PlanMoved):
        move(db, subject, later + timedelta(hours=1), shown)
