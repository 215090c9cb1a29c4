"""What Stripe says, in any order and any number of times: one end for the booking, its money and its mails."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, bookings, payments
from admin_app.services.checkout import settlement
from models import (
    Booking,
    BookingStatus,
    CanceledBecause,
    Payment,
    Refund,
    RefundOrigin,
    RefundReason,
    RefundState,
    SessionType,
)
from tests.services import money
from tests.services.diary import Clock, appointment, held, jobs, meeting, offered, tomorrow
from tests.services.factories import OPERATOR
from tests.services.money import STRIPE


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


def pay_page(db: Database, subject: str) -> Payment:
    """The payment of a held time, as its checkout left it."""
    with db.unit_of_work(OPERATOR) as ctx:
        row = appointment(db, subject).row
        payment = payments.open_payment(ctx, subject, row.price_amount, row.price_currency)
        told = money.session(payment, status="open", payment_status="unpaid", payment_intent_id=None)
        payments.apply_session(ctx, told, payment_id=payment.id)
        return payment


def hear(db: Database, told: CheckoutSnapshot) -> Any:
    with db.unit_of_work(STRIPE) as ctx:
        return settlement.apply(ctx, told)


def payment_of(db: Database, payment: Payment) -> Payment:
    with db.read_only() as session:
        return session.get_one(Payment, payment.id)


def refunds_of(db: Database) -> list[Refund]:
    with db.read_only() as session:
        return list(session.scalars(select(Refund).order_by(Refund.id)))


def mails(db: Database) -> list[str]:
    """The kinds of the mails that were asked for, each for an occasion of its own."""
    asked = jobs(db, "send_appointment_mail")
    assert len({job["once"] for job in asked}) == len(asked)
    return [job["kind"] for job in asked]


def paid(payment: Payment) -> CheckoutSnapshot:
    return CheckoutSnapshot(money.session(payment), money.told(payment))


def test_a_paid_session_confirms_once(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    for _ in range(3):
        found = hear(db, paid(payment))
        assert found.subject == subject
    row = appointment(db, subject).row
    assert isinstance(row, Booking)
    assert (row.status, row.hold_expires_at) == (BookingStatus.CONFIRMED, None)
    assert row.stripe_checkout_session_id == f"cs_{payment.id}"
    assert row.stripe_payment_intent_id == f"pi_{payment.id}"
    assert mails(db) == ["confirmation"]
    assert jobs(db, "sync_calendar") == [{"booking_id": row.id}]


def test_a_meeting_is_paid_the_same_way(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = meeting(db, kind, tomorrow(clock.now), status="pending", price_amount=5000, hold_expires_at=clock.now)
    payment = pay_page(db, subject)
    assert hear(db, paid(payment)).kind == "meeting"
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED
    assert jobs(db, "sync_calendar") == []


def test_a_promise_of_the_bank_holds_the_time_until_it_would_begin(
    db: Database, clock: Clock, kind: SessionType
) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    processing = money.told(payment, status="processing", captured=0)
    promised = CheckoutSnapshot(money.session(payment, payment_status="unpaid"), processing)
    hear(db, promised)
    row = appointment(db, subject).row
    assert (row.status, row.hold_expires_at) == (BookingStatus.PENDING, row.starts_at)
    hear(db, paid(payment))
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED
    hear(db, promised)
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED


def test_a_no_of_the_bank_frees_the_time_and_is_told(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    payment = pay_page(db, subject)
    refused = money.told(payment, status="requires_payment_method", captured=0, failure_code="insufficient_funds")
    hear(db, CheckoutSnapshot(money.session(payment, payment_status="unpaid"), refused))
    row = appointment(db, subject).row
    assert (row.status, row.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.PAYMENT_FAILED)
    assert mails(db) == ["cancellation"]
    held(db, kind, starts)


def test_a_declined_card_leaves_the_time_held(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    declined = money.told(payment, status="requires_payment_method", captured=0, failure_code="card_declined")
    hear(db, CheckoutSnapshot(None, declined))
    assert appointment(db, subject).row.status is BookingStatus.PENDING
    assert payment_of(db, payment).failure_code == "card_declined"


def test_an_expired_page_frees_the_time(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    payment = pay_page(db, subject)
    hear(
        db, CheckoutSnapshot(money.session(payment, status="expired", payment_status="unpaid", payment_intent_id=None))
    )
    assert appointment(db, subject).row.canceled_because is CanceledBecause.NEVER_PAID
    assert mails(db) == []
    held(db, kind, starts)


def test_a_late_payment_gets_its_time_back_while_it_is_free(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    clock.forward(hours=2)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel_unpaid(ctx, appointments.locked(ctx, subject), CanceledBecause.NEVER_PAID)
    hear(db, paid(payment))
    row = appointment(db, subject).row
    assert (row.status, row.canceled_because, row.canceled_at) == (BookingStatus.CONFIRMED, None, None)
    assert refunds_of(db) == []


def test_a_lapsed_hold_that_nobody_took_is_still_its_own(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    clock.forward(hours=2)
    hear(db, paid(payment))
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED


@pytest.mark.parametrize("by", ["booking", "meeting"])
def test_a_late_payment_for_a_time_that_was_sold_goes_back(
    db: Database, clock: Clock, kind: SessionType, by: str
) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    payment = pay_page(db, subject)
    clock.forward(minutes=31)
    if by == "booking":
        held(db, kind, starts, client_email="quick@example.com")
    else:
        meeting(db, kind, starts)
    for _ in range(2):
        hear(db, paid(payment))
    row = appointment(db, subject).row
    assert (row.status, row.canceled_because) == (BookingStatus.CANCELED, CanceledBecause.NEVER_PAID)
    (refund,) = refunds_of(db)
    assert (refund.amount, refund.reason, refund.origin) == (12_000, RefundReason.SLOT_LOST, RefundOrigin.BACKDESK)
    assert mails(db) == ["cancellation"]


def test_a_payment_for_what_was_called_off_meanwhile_goes_back(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.cancel(ctx, appointments.locked(ctx, subject), CanceledBecause.BY_CLIENT)
    hear(db, paid(payment))
    assert appointment(db, subject).row.canceled_because is CanceledBecause.BY_CLIENT
    assert [refund.reason for refund in refunds_of(db)] == [RefundReason.CANCELED_BY_US]


def test_a_payment_that_came_after_its_time_goes_back(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    clock.forward(days=5)
    hear(db, paid(payment))
    assert appointment(db, subject).row.status is BookingStatus.CANCELED
    assert [refund.reason for refund in refunds_of(db)] == [RefundReason.SLOT_LOST]


def test_paid_twice_is_given_back_once(db: Database, clock: Clock, kind: SessionType) -> None:
    subject = held(db, kind, tomorrow(clock.now))
    first = pay_page(db, subject)
    with db.unit_of_work(OPERATOR) as ctx:
        second = Payment(booking_id=int(subject[8:]), amount=12_000, currency="eur", created_at=ctx.now)
        ctx.session.add(second)
        ctx.session.flush()
        ctx.session.refresh(second)
    for payment in (first, second, first, second):
        hear(db, paid(payment))
    assert [(r.payment_id, r.reason) for r in refunds_of(db)] == [(second.id, RefundReason.DUPLICATE)]
    gone = money.refund_at_stripe(second, 12_000, our_id=refunds_of(db)[0].id)
    hear(db, CheckoutSnapshot(money.session(second), money.told(second, refunded=12_000), (gone,)))
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED


def test_all_of_the_money_back_ends_it(db: Database, clock: Clock, kind: SessionType) -> None:
    starts = tomorrow(clock.now)
    subject = held(db, kind, starts)
    payment = pay_page(db, subject)
    hear(db, paid(payment))
    part = money.refund_at_stripe(payment, 2_000)
    hear(db, CheckoutSnapshot(None, money.told(payment, refunded=2_000), (part,)))
    assert appointment(db, subject).row.status is BookingStatus.CONFIRMED
    rest = money.refund_at_stripe(payment, 10_000)
    hear(db, CheckoutSnapshot(None, money.told(payment, refunded=12_000), (part, rest)))
    assert appointment(db, subject).row.status is BookingStatus.REFUNDED
    assert mails(db) == ["confirmation", "cancellation"]
    held(db, kind, starts)


def test_what_is_not_ours_is_passed_over(db: Database) -> None:
    assert hear(db, CheckoutSnapshot(money.session())) is None
    assert hear(db, CheckoutSnapshot(None, money.told())) is None
    assert (
        hear(db, CheckoutSnapshot(money.session(subject="booking:999999"), money.told(subject="booking:999999")))
        is None
    )
    assert hear(db, CheckoutSnapshot()) is None


STORIES = {
    "paid": BookingStatus.CONFIRMED,
    "promised, then paid": BookingStatus.CONFIRMED,
    "promised, then refused": BookingStatus.CANCELED,
    "declined, then paid": BookingStatus.CONFIRMED,
    "expired": BookingStatus.CANCELED,
    "paid, then given back": BookingStatus.REFUNDED,
    "paid, then disputed": BookingStatus.CONFIRMED,
}


def story(name: str, payment: Payment) -> list[CheckoutSnapshot]:
    """What Stripe says at each step, the last one being how it stays."""
    opened = CheckoutSnapshot(money.session(payment, status="open", payment_status="unpaid", payment_intent_id=None))
    unpaid = money.session(payment, payment_status="unpaid")
    declined = money.told(payment, status="requires_payment_method", captured=0, failure_code="card_declined")
    back = money.refund_at_stripe(payment, payment.amount, id=f"re_{payment.id}")
    return {
        "paid": [opened, paid(payment)],
        "promised, then paid": [
            opened,
            CheckoutSnapshot(unpaid, money.told(payment, status="processing", captured=0)),
            paid(payment),
        ],
        "promised, then refused": [
            opened,
            CheckoutSnapshot(unpaid, money.told(payment, status="processing", captured=0)),
            CheckoutSnapshot(unpaid, declined),
        ],
        "declined, then paid": [opened, CheckoutSnapshot(None, declined), paid(payment)],
        "expired": [
            opened,
            CheckoutSnapshot(money.session(payment, status="expired", payment_status="unpaid", payment_intent_id=None)),
        ],
        "paid, then given back": [
            opened,
            paid(payment),
            CheckoutSnapshot(None, money.told(payment, refunded=payment.amount), (back,)),
            CheckoutSnapshot(money.session(payment), money.told(payment, refunded=payment.amount), (back,)),
        ],
        "paid, then disputed": [
            opened,
            paid(payment),
            CheckoutSnapshot(money.session(payment), money.told(payment, dispute=money.dispute(id=f"du_{payment.id}"))),
        ],
    }[name]


@pytest.mark.parametrize("name", STORIES)
def test_every_order_ends_in_one_state(db: Database, clock: Clock, name: str) -> None:
    """Even of what was true at some time and is heard late: everything is said twice."""
    ends = set()
    steps = range(len(story(name, Payment(id=1, amount=1, booking_id=1))))
    for number, order in enumerate(permutations(steps)):
        kind = offered(db)
        subject = held(db, kind, tomorrow(clock.now, days=3 + number))
        payment = pay_page(db, subject)
        told = story(name, payment)
        before = {refund.id for refund in refunds_of(db)}
        for step in (*order, *order):
            hear(db, told[step])
        row, paid_now = appointment(db, subject).row, payment_of(db, payment)
        new = [(r.amount, r.state) for r in refunds_of(db) if r.id not in before]
        ends.add((row.status, row.canceled_because, paid_now.state, paid_now.captured_amount, tuple(new)))
        assert row.status is STORIES[name], order
    assert len(ends) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(list(STORIES)), heard=st.lists(st.integers(0, 3), max_size=8), again=st.booleans())
def test_whatever_was_heard_before_the_last_word_decides(
    db: Database, name: str, heard: list[int], again: bool
) -> None:
    clock = Clock(db)
    subject = held(db, offered(db), tomorrow(clock.now))
    payment = pay_page(db, subject)
    told = story(name, payment)
    for step in heard:
        hear(db, told[step % len(told)])
    for word in told if again else told[-1:]:
        hear(db, word)
    for step in heard:
        hear(db, told[step % len(told)])
    assert appointment(db, subject).row.status is STORIES[name]
    assert all(refund.state is RefundState.SUCCEEDED for refund in refunds_of(db))
