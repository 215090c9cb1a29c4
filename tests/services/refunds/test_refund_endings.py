"""Whether an appointment ends when its money goes back: decided when that is asked for, and said by both plans."""

from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.errors import PlanMoved
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, bookings, refunds
from admin_app.services.core.plans import Plan
from admin_app.services.refunds import approvals
from models import Booking, BookingStatus, Payment, Refund, RefundState, Role, SessionType
from tests.services import money
from tests.services.bookings.test_appointment_mails import prepare
from tests.services.checkout.test_settlement import hear, paid, pay_page
from tests.services.diary import PRICE, Clock, appointment, held, jobs, offered, tomorrow
from tests.services.factories import OPERATOR

SMALL, LARGE = 10**6, 100


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def kind(db: Database) -> SessionType:
    return offered(db)


@pytest.fixture
def support(db: Database) -> Staff:
    return money.add_person(db, Role.SUPPORT)


@pytest.fixture
def payment(db: Database, clock: Clock, kind: SessionType) -> Payment:
    """Of a confirmed booking that Cal.com has as well."""
    subject = held(db, kind, tomorrow(clock.now))
    payment = pay_page(db, subject)
    hear(db, paid(payment))
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, payment.booking_id).calcom_booking_uid = f"uid{payment.booking_id}"
    return payment


def subject_of(payment: Payment) -> str:
    return f"booking:{payment.booking_id}"


def plan_of(db: Database, by: Staff, payment: Payment, amount: int = PRICE, limit: int = SMALL, **wish: bool) -> Plan:
    with db.unit_of_work(by) as ctx:
        return refunds.plan_request(ctx, payment_id=payment.id, amount=amount, approval_above=limit, **wish)


def ask(db: Database, by: Staff, payment: Payment, amount: int = PRICE, limit: int = SMALL, **wish: Any) -> Refund:
    shown = wish.pop("shown", None) or plan_of(db, by, payment, amount, limit, **wish).fingerprint
    with db.unit_of_work(by) as ctx:
        given = {"payment_id": payment.id, "amount": amount, "approval_above": limit, **wish}
        return refunds.request(ctx, **given, reason_code="requested_by_customer", note="", shown=shown)


def back(db: Database, payment: Payment, *amounts: int) -> None:
    """Stripe tells that all of these went back: what was asked for here, the rest at its dashboard."""
    with db.read_only() as session:
        ours = list(session.scalars(select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.id)))
    known = [refund for refund in ours if refund.state not in (RefundState.FAILED, RefundState.DECLINED)]
    ids: list[int | None] = [refund.id for refund in known] + [None] * len(amounts)
    there = [
        money.refund_at_stripe(payment, amount, id=f"re_{payment.id}_{n}", our_id=ids[n])
        for n, amount in enumerate(amounts)
    ]
    hear(db, CheckoutSnapshot(None, money.told(payment, refunded=sum(amounts)), tuple(there)))


def status_of(db: Database, payment: Payment) -> BookingStatus:
    return appointment(db, subject_of(payment)).row.status


def canceling_mails(db: Database) -> list[dict[str, Any]]:
    return [job for job in jobs(db, "send_appointment_mail") if job["kind"] == "cancellation"]


def ends(plan: Plan) -> list[tuple[str, Any, Any]]:
    return [(line.field, line.now, line.after) for line in plan.lines if line.record.startswith("booking:")]


def test_the_plan_says_that_it_ends_and_the_mail_that_goes_is_the_one_that_was_shown(
    db: Database, payment: Payment, support: Staff
) -> None:
    plan = plan_of(db, support, payment)
    assert ends(plan) == [("status", BookingStatus.CONFIRMED, BookingStatus.REFUNDED)]
    assert "The appointment stays as it is." not in " ".join(plan.consequences)
    assert any("the appointment ends and its time is free for others" in said for said in plan.consequences)
    assert [(call.provider, call.operation) for call in plan.calls] == [
        ("stripe", "refund.create"),
        ("calcom", "booking.cancel"),
    ]
    (shown,) = plan.mails
    assert shown.to == "cleo@example.com"
    assert "It cannot take place" not in shown.text
    assert "you get back all that you paid for it" in shown.text
    assert "120.00 EUR go back to what you paid with." in shown.text

    ask(db, support, payment)
    assert status_of(db, payment) is BookingStatus.CONFIRMED
    back(db, payment, PRICE)
    assert status_of(db, payment) is BookingStatus.REFUNDED
    (job,) = canceling_mails(db)
    sent = prepare(db, subject_of(payment), "cancellation", job["once"])
    assert sent is not None
    assert (sent.to, sent.subject, sent.text) == (shown.to, shown.subject, shown.text)


def test_the_second_person_is_told_the_same(db: Database, payment: Payment, support: Staff) -> None:
    asked = plan_of(db, support, payment, limit=LARGE)
    refund = ask(db, support, payment, limit=LARGE)
    with db.unit_of_work(money.add_person(db)) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=refund.id)
        declined = approvals.plan_decision(ctx, refund_id=refund.id, approve=False)
    assert ends(plan) == ends(asked) == [("status", BookingStatus.CONFIRMED, BookingStatus.REFUNDED)]
    assert [mail.text for mail in plan.mails] == [mail.text for mail in asked.mails]
    assert [(call.provider, call.operation) for call in plan.calls] == [
        ("stripe", "refund.create"),
        ("calcom", "booking.cancel"),
    ]
    assert (ends(declined), declined.mails, declined.calls) == ([], (), ())
    assert all(each.later for each in (*asked.mails, *asked.calls))


def test_a_goodwill_refund_keeps_the_appointment(db: Database, payment: Payment, support: Staff) -> None:
    plan = plan_of(db, support, payment, limit=LARGE, ends=False)
    assert (ends(plan), plan.mails) == ([], ())
    assert any("It takes place although nothing is paid for it" in said for said in plan.consequences)
    refund = ask(db, support, payment, limit=LARGE, ends=False)
    assert refund.ends_appointment is False
    with db.unit_of_work(money.add_person(db)) as ctx:
        decision = approvals.plan_decision(ctx, refund_id=refund.id)
        assert (ends(decision), decision.mails) == ([], ())
        approvals.approve(ctx, refund_id=refund.id, reason="Fine", shown=decision.fingerprint)
    back(db, payment, PRICE)
    assert status_of(db, payment) is BookingStatus.CONFIRMED
    assert canceling_mails(db) == []


def test_the_mail_can_be_withheld(db: Database, payment: Payment, support: Staff) -> None:
    plan = plan_of(db, support, payment, tell=False)
    assert plan.mails == ()
    assert "Nobody is written to." in plan.consequences
    assert ask(db, support, payment, tell=False).tells_client is False
    back(db, payment, PRICE)
    assert status_of(db, payment) is BookingStatus.REFUNDED
    assert canceling_mails(db) == []


def test_what_is_chosen_is_part_of_the_plan(db: Database, payment: Payment, support: Staff) -> None:
    shown = plan_of(db, support, payment).fingerprint
    for other in ({"ends": False}, {"tell": False}):
        with pytest.raises(PlanMoved):
            ask(db, support, payment, shown=shown, **other)
    with db.unit_of_work(OPERATOR) as ctx:
        bookings.touch(ctx, appointments.locked(ctx, subject_of(payment)))
    with pytest.raises(PlanMoved):
        ask(db, support, payment, shown=shown)


def test_of_a_part_nothing_is_decided_and_the_rest_decides(db: Database, payment: Payment, support: Staff) -> None:
    part = ask(db, support, payment, 2_000)
    assert part.ends_appointment is None
    assert plan_of(db, support, payment, 1_000).consequences[-1] == "The appointment stays as it is."
    assert ends(plan_of(db, support, payment, 10_000)) != []
    assert ask(db, support, payment, 10_000, ends=False).ends_appointment is False
    back(db, payment, 2_000, 10_000)
    assert status_of(db, payment) is BookingStatus.CONFIRMED


def test_a_part_that_is_approved_last_says_what_the_rest_decided(
    db: Database, payment: Payment, support: Staff
) -> None:
    part = ask(db, support, payment, 2_000, limit=LARGE)
    ask(db, support, payment, 10_000)
    with db.unit_of_work(money.add_person(db)) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=part.id)
    assert ends(plan) == [("status", BookingStatus.CONFIRMED, BookingStatus.REFUNDED)]


def test_all_of_it_given_back_at_stripe_itself_ends_it(db: Database, payment: Payment, support: Staff) -> None:
    ask(db, support, payment, 2_000)
    back(db, payment, 2_000, 10_000)
    assert status_of(db, payment) is BookingStatus.REFUNDED
    (job,) = canceling_mails(db)
    sent = prepare(db, subject_of(payment), "cancellation", job["once"])
    assert sent is not None
    assert "you get back all that you paid for it" in sent.text


@pytest.mark.parametrize("status", [BookingStatus.COMPLETED, BookingStatus.NO_SHOW, BookingStatus.CONFIRMED])
def test_what_has_begun_does_not_end_by_it(
    db: Database, clock: Clock, payment: Payment, support: Staff, status: BookingStatus
) -> None:
    clock.forward(days=4)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, payment.booking_id).status = status
    plan = plan_of(db, support, payment)
    assert (ends(plan), plan.mails) == ([], ())
    assert "The appointment stays as it is." in plan.consequences[-1]
    assert ask(db, support, payment).ends_appointment is False
    back(db, payment, PRICE)
    assert status_of(db, payment) is status
    assert canceling_mails(db) == []


def test_one_that_begins_before_the_money_is_back_stays(
    db: Database, clock: Clock, payment: Payment, support: Staff
) -> None:
    assert "If it has begun by then, it stays as it is." in " ".join(plan_of(db, support, payment).consequences)
    ask(db, support, payment)
    clock.forward(days=4)
    back(db, payment, PRICE)
    assert status_of(db, payment) is BookingStatus.CONFIRMED


def second_of(db: Database, payment: Payment) -> Payment:
    """Another payment of the same booking, of which nothing went back."""
    with db.unit_of_work(OPERATOR) as ctx:
        row = Payment(booking_id=payment.booking_id, amount=PRICE, currency="eur", state="paid", captured_amount=PRICE)
        row.paid_at = row.created_at = row.updated_at = ctx.now
        row.stripe_payment_intent_id = f"pi_second_{payment.id}"
        ctx.session.add(row)
        ctx.session.flush()
        ctx.session.refresh(row)
        return row


def test_of_two_payments_the_first_one_back_ends_nothing(db: Database, payment: Payment, support: Staff) -> None:
    second = second_of(db, payment)
    assert ends(plan_of(db, support, second)) == []
    shown_too = plan_of(db, support, payment).fingerprint
    ask(db, support, second)
    with pytest.raises(PlanMoved):  # it would end now, which nobody was shown
        ask(db, support, payment, shown=shown_too)
    assert ends(plan_of(db, support, payment)) != []
    assert ask(db, support, payment).ends_appointment is True
