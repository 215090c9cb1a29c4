"""Calling off: who may, who is told, and what becomes of the money."""

from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound, PlanMoved
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan
from admin_app.services.refunds import cancellations
from models import (
    Booking,
    BookingSource,
    BookingStatus,
    CanceledBecause,
    Refund,
    RefundReason,
    RefundState,
    Role,
    SessionType,
)
from tests.services import money
from tests.services.checkout.test_settlement import hear, paid, pay_page
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import AUDITOR, OPERATOR

LIMIT = 20_000


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


@pytest.fixture
def support(db: Database) -> Staff:
    return money.add_person(db, Role.SUPPORT)


def bought(db: Database, kind: SessionType, clock: Clock) -> str:
    """A confirmed booking that was paid."""
    subject = held(db, kind, tomorrow(clock.now))
    hear(db, paid(pay_page(db, subject)))
    return subject


def plan(db: Database, actor: Any, subject: str, **values: Any) -> Plan:
    wanted = {"because": "by_client", "refund_amount": None, "approval_above": LIMIT} | values
    with db.unit_of_work(actor) as ctx:
        return cancellations.plan_cancel(ctx, subject=subject, **wanted)


def cancel(db: Database, actor: Any, subject: str, shown: str | None = None, **values: Any) -> None:
    wanted = {"because": "by_client", "refund_amount": None, "approval_above": LIMIT} | values
    reason = wanted.pop("reason", "they called")
    fingerprint = shown or plan(db, actor, subject, **wanted).fingerprint
    with db.unit_of_work(actor) as ctx:
        cancellations.cancel(ctx, subject=subject, reason=reason, shown=fingerprint, **wanted)


def refunds(db: Database) -> list[Refund]:
    with db.read_only() as session:
        return list(session.scalars(select(Refund).order_by(Refund.id)))


def test_a_paid_booking_with_all_of_its_money(db: Database, clock: Clock, kind: SessionType, support: Staff) -> None:
    subject = bought(db, kind, clock)
    shown = plan(db, support, subject, refund_amount=12_000)
    assert (shown.refusal, shown.outcome) == (None, "canceled")
    said = " ".join(shown.consequences)
    assert "A mail about it goes to cleo@example.com." in said
    assert "120.00 EUR go back" in said
    assert {line.field for line in shown.lines} >= {"status", "canceled_because", "given_back"}
    cancel(db, support, subject, refund_amount=12_000)
    row = appointment(db, subject).row
    assert (row.status, row.canceled_because, row.canceled_at) == (
        BookingStatus.CANCELED,
        CanceledBecause.BY_CLIENT,
        clock.now,
    )
    (refund,) = refunds(db)
    assert (refund.amount, refund.state, refund.reason, refund.note) == (
        12_000,
        RefundState.REQUESTED,
        RefundReason.REQUESTED_BY_CUSTOMER,
        "they called",
    )
    assert [job["kind"] for job in jobs(db, "send_appointment_mail")] == ["confirmation", "cancellation"]
    assert len(jobs(db, "sync_calendar")) == 1
    with db.read_only() as session:
        newest = next(item for item in audit.history(session, subject) if item.event == "booking.canceled")
    assert newest.sentence.endswith("the client called it off")
    assert newest.reason == "they called"
    held(db, kind, tomorrow(clock.now))


def test_the_money_may_stay(db: Database, clock: Clock, kind: SessionType, support: Staff) -> None:
    subject = bought(db, kind, clock)
    assert "No money goes back: the 120.00 EUR that are left stay here." in plan(db, support, subject).consequences
    cancel(db, support, subject)
    assert refunds(db) == []


def test_a_large_refund_waits_for_a_second_person(
    db: Database, clock: Clock, kind: SessionType, support: Staff
) -> None:
    subject = bought(db, kind, clock)
    shown = plan(db, support, subject, refund_amount=12_000, approval_above=10_000)
    assert "Above 100.00 EUR a second person decides about the refund." in shown.consequences
    cancel(db, support, subject, because="by_practitioner", refund_amount=12_000, approval_above=10_000)
    (refund,) = refunds(db)
    assert (refund.state, refund.reason) == (RefundState.AWAITING_APPROVAL, RefundReason.CANCELED_BY_US)


def test_who_may_cancel_and_who_may_give_back(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = bought(db, kind, clock)
    ops, finance = money.add_person(db, Role.OPS), money.add_person(db)
    refusal = plan(db, ops, subject, refund_amount=100).refusal
    assert refusal is not None
    assert "Only support, finance and administrators" in refusal
    with pytest.raises(Conflict):
        cancel(db, ops, subject, refund_amount=100)
    for actor in (finance, AUDITOR):
        with pytest.raises(Forbidden):
            cancel(db, actor, subject)
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED
    cancel(db, ops, subject)
    assert refunds(db) == []


@pytest.mark.parametrize("amount", [12_001, -1])
def test_never_more_than_was_paid(db: Database, clock: Clock, kind: SessionType, support: Staff, amount: int) -> None:
    subject = bought(db, kind, clock)
    assert plan(db, support, subject, refund_amount=amount).refusal
    with pytest.raises(Conflict):
        cancel(db, support, subject, refund_amount=amount)
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED


def test_one_that_is_not_paid_yet(db: Database, clock: Clock, kind: SessionType, support: Staff) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    pay_page(db, subject)
    shown = plan(db, support, subject)
    assert "The page on which it could be paid is closed at Stripe." in shown.consequences
    assert "Nothing was paid through Stripe, so no money moves." in shown.consequences
    assert plan(db, support, subject, refund_amount=100).refusal
    cancel(db, support, subject)
    assert jobs(db, "expire_checkout") == [{"subject": subject}]


def test_a_meeting_is_called_off_the_same_way(db: Database, clock: Clock, kind: SessionType, support: Staff) -> None:
    subject = meeting(db, kind, tomorrow(clock.now))
    cancel(db, support, subject, because="by_staff")
    assert appointment(db, subject).row.canceled_because is CanceledBecause.BY_STAFF
    assert [(job["subject"], job["kind"]) for job in jobs(db, "send_appointment_mail")] == [(subject, "cancellation")]
    assert jobs(db, "sync_calendar") == []


def test_a_calendly_booking_is_told_of_by_calendly(
    db: Database, clock: Clock, kind: SessionType, support: Staff
) -> None:
    subject = held(db, offered(db, price=0), tomorrow(clock.now))
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Booking, int(subject[8:]))
        row.source, row.calendly_event_uri = BookingSource.CALENDLY, "https://api.calendly.com/scheduled_events/E1"
    assert "It is canceled in Calendly, which tells the client." in plan(db, support, subject).consequences
    before = jobs(db, "send_appointment_mail")
    cancel(db, support, subject)
    assert jobs(db, "send_appointment_mail") == before


def test_calendly_is_not_told_of_a_booking_whose_time_has_come_and_the_plan_says_so(
    db: Database, clock: Clock, kind: SessionType, support: Staff
) -> None:
    subject = held(db, offered(db, price=0), tomorrow(clock.now))
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(Booking, int(subject[8:]))
        row.source, row.calendly_event_uri = BookingSource.CALENDLY, "https://api.calendly.com/scheduled_events/E1"
    before = plan(db, support, subject)
    assert any("Calendly, which tells the client" in said for said in before.consequences)
    clock.forward(days=30)
    after = plan(db, support, subject)
    assert "Calendly is not told of it, so nobody writes to the client." in after.consequences
    assert not any("tells the client" in said for said in after.consequences)
    with pytest.raises(PlanMoved):
        cancel(db, support, subject, shown=before.fingerprint)


@pytest.mark.parametrize("status", [s for s in BookingStatus if s not in ("pending", "confirmed")])
def test_what_is_over_cannot_be_called_off(
    db: Database, clock: Clock, kind: SessionType, support: Staff, status: BookingStatus
) -> None:
    subject = meeting(db, kind, tomorrow(clock.now), status=status)
    refusal = plan(db, support, subject).refusal
    assert refusal is not None
    assert refusal.endswith(".")
    with pytest.raises(Conflict):
        cancel(db, support, subject)


def test_the_plan_that_was_shown_is_the_one_that_is_done(
    db: Database, clock: Clock, kind: SessionType, support: Staff
) -> None:
    subject = bought(db, kind, clock)
    shown = plan(db, support, subject, refund_amount=5_000).fingerprint
    for changed in ({"refund_amount": 6_000}, {"because": "by_staff"}, {"approval_above": 1}):
        with pytest.raises(PlanMoved):
            cancel(db, support, subject, shown, **({"refund_amount": 5_000} | changed))
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, int(subject[8:])).version += 1
    with pytest.raises(PlanMoved):
        cancel(db, support, subject, shown, refund_amount=5_000)


def test_refusals(db: Database, clock: Clock, kind: SessionType, support: Staff) -> None:
    subject = bought(db, kind, clock)
    with pytest.raises(InvalidInput):
        cancel(db, support, subject, reason=" ")
    for because in ("never_paid", "payment_failed", "x", ""):
        with pytest.raises(InvalidInput):
            plan(db, support, subject, because=because)
    with pytest.raises(NotFound):
        plan(db, support, "booking:999999")
