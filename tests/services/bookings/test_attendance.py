"""An appointment whose time has come took place, or nobody came."""

from collections.abc import Callable
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.bookings import attendance
from models import BookingStatus, SessionType
from tests.services.diary import Clock, appointment, held, meeting, offered, tomorrow
from tests.services.factories import AUDITOR, SUPPORT

STEPS: dict[BookingStatus, tuple[Callable[..., Any], Callable[..., Any]]] = {
    BookingStatus.COMPLETED: (attendance.plan_complete, attendance.complete),
    BookingStatus.NO_SHOW: (attendance.plan_no_show, attendance.no_show),
}


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db, price=0)


def take(db: Database, subject: str, end: BookingStatus, *, actor: Any = SUPPORT, reason: str = "seen") -> None:
    plan, act = STEPS[end]
    with db.unit_of_work(SUPPORT) as ctx:
        shown = plan(ctx, subject=subject).fingerprint
    with db.unit_of_work(actor) as ctx:
        act(ctx, subject=subject, reason=reason, shown=shown)


@pytest.mark.parametrize("end", STEPS)
def test_once_it_has_begun(db: Database, clock: Clock, kind: SessionType, end: BookingStatus) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    with pytest.raises(Conflict, match="conflict"):
        take(db, subject, end)
    clock.forward(days=4)
    take(db, subject, end)
    assert appointment(db, subject).row.status is end
    with pytest.raises(Conflict):
        take(db, subject, end)


def test_a_slip_is_put_right(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = meeting(db, kind, tomorrow(clock.now))
    clock.forward(days=4)
    for end in (BookingStatus.NO_SHOW, BookingStatus.COMPLETED, BookingStatus.NO_SHOW):
        take(db, subject, end)
        assert appointment(db, subject).row.status is end


@pytest.mark.parametrize("status", [BookingStatus.PENDING, BookingStatus.CANCELED, BookingStatus.REFUNDED])
def test_what_was_not_agreed_on_did_not_take_place(
    db: Database, clock: Clock, kind: SessionType, status: BookingStatus
) -> None:
    subject = meeting(db, kind, tomorrow(clock.now), status=status)
    clock.forward(days=4)
    for end in STEPS:
        with pytest.raises(Conflict):
            take(db, subject, end)


def test_refusals(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    clock.forward(days=4)
    with pytest.raises(Forbidden):
        take(db, subject, BookingStatus.COMPLETED, actor=AUDITOR)
    with pytest.raises(InvalidInput):
        take(db, subject, BookingStatus.COMPLETED, reason="")
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        attendance.complete(ctx, subject=subject, reason="x", shown="other")
