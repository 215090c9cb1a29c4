"""Appointments under real concurrency: separate connections, no deadlock, and one of the ends that make sense."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import DomainError
from admin_app.services import appointments, bookings
from admin_app.services.bookings import holds, rescheduling
from models import Booking, BookingStatus, CanceledBecause, Refund, SessionType
from tests.services.checkout.test_settlement import hear, paid, pay_page
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import OPERATOR, SUPPORT


@pytest.fixture
def clock(real_db: Database) -> Clock:
    return Clock(real_db)


@pytest.fixture
def kind(real_db: Database) -> SessionType:
    return offered(real_db)


def at_once(calls: Sequence[Callable[[], object]]) -> Counter[str]:
    """All of them at the same moment; counts what each refusal was, `done` for none."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> str:
        start.wait()
        try:
            call()
        except DomainError as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(len(calls)) as crowd:
        return Counter(crowd.map(run, calls))


def refunds(db: Database) -> list[int]:
    with db.read_only() as session:
        return list(session.scalars(select(Refund.amount)))


def test_a_payment_that_is_told_twenty_times_at_once(real_db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(real_db, kind, tomorrow(clock.now))
    told = paid(pay_page(real_db, subject))
    assert at_once([lambda: hear(real_db, told)] * 20) == {"done": 20}
    assert appointment(real_db, subject).row.status is BookingStatus.CONFIRMED
    assert len(jobs(real_db, "send_appointment_mail")) == 1


@pytest.mark.parametrize("attempt", range(5))
def test_called_off_while_it_is_paid(real_db: Database, clock: Clock, kind: SessionType, attempt: int) -> None:
    """Whichever comes first: the booking is off, and the money is back on its way or was there to be asked about."""
    subject = held(real_db, kind, tomorrow(clock.now))
    told = paid(pay_page(real_db, subject))

    def call_off() -> None:
        with real_db.unit_of_work(OPERATOR) as ctx:
            bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)

    assert at_once([lambda: hear(real_db, told), call_off, lambda: hear(real_db, told)]) == {"done": 3}
    assert appointment(real_db, subject).row.status is BookingStatus.CANCELED
    was_confirmed = any(job["kind"] == "confirmation" for job in jobs(real_db, "send_appointment_mail"))
    assert refunds(real_db) == ([] if was_confirmed else [12_000])


def test_one_time_for_those_who_book_move_and_meet(real_db: Database, clock: Clock) -> None:
    """Ten book it, ten move theirs to it, and lapsed holds stand in the way: one has it."""
    kind = offered(real_db, price=0)
    wanted = tomorrow(clock.now, hour=10)
    meeting(real_db, kind, wanted, status="pending", hold_expires_at=clock.now - timedelta(minutes=1))
    elsewhere = [held(real_db, kind, tomorrow(clock.now, days=4 + number)) for number in range(10)]

    def move(subject: str) -> Callable[[], object]:
        with real_db.unit_of_work(SUPPORT) as ctx:
            shown = rescheduling.plan_reschedule(ctx, subject=subject, starts_at=wanted + timedelta(minutes=5))

        def act() -> None:
            with real_db.unit_of_work(SUPPORT) as ctx:
                rescheduling.reschedule(
                    ctx,
                    subject=subject,
                    starts_at=wanted + timedelta(minutes=5),
                    reason="asked",
                    shown=shown.fingerprint,
                )

        return act

    moves = [move(subject) for subject in elsewhere]
    counted = at_once([*moves, *[lambda: held(real_db, kind, wanted)] * 10])
    assert counted["done"] == 1
    assert sum(counted.values()) == 20
    with real_db.read_only() as session:
        busy = appointments.busy(session, kind.practitioner_id, wanted, wanted + timedelta(minutes=55), now=clock.now)
    assert len(busy) == 1


def test_a_lapsed_hold_is_paid_and_taken_at_once(real_db: Database, clock: Clock, kind: SessionType) -> None:
    wanted = tomorrow(clock.now)
    subject = held(real_db, kind, wanted)
    told = paid(pay_page(real_db, subject))
    clock.forward(minutes=31)
    takers = [lambda: held(real_db, kind, wanted, client_email="quick@example.com")] * 5
    counted = at_once([lambda: hear(real_db, told), *takers, lambda: hear(real_db, told)])
    with real_db.read_only() as session:
        standing = list(session.scalars(select(Booking.id).where(Booking.status.in_(appointments.OCCUPYING))))
    assert len(standing) == 1
    kept = standing == [int(subject[8:])]
    assert refunds(real_db) == ([] if kept else [12_000])
    assert counted == ({"done": 2, "slot_taken": 5} if kept else {"done": 3, "slot_taken": 4})


def test_holds_end_and_are_taken_crosswise_without_a_deadlock(
    real_db: Database, clock: Clock, kind: SessionType
) -> None:
    times = [tomorrow(clock.now) + timedelta(hours=number) for number in range(6)]
    for starts in times:
        held(real_db, kind, starts)
    clock.forward(minutes=31)
    calls: list[Callable[[], object]] = []
    for number, starts in enumerate(times):
        calls.append(lambda at=starts: held(real_db, kind, at, client_email="next@example.com"))  # type: ignore[misc]
        calls.append(lambda n=number + 1: _release(real_db, f"booking:{n}"))  # type: ignore[misc]
    assert at_once(calls) == {"done": 12}


def _release(db: Database, subject: str) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        holds.release(ctx, subject=subject, only_lapsed=True)
