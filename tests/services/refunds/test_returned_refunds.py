"""A bank sends back days later what was given back: an open item, put right once, and the booking says what is true."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput
from admin_app.integrations.money_ports import StripeRefund
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.jobs import checkouts
from admin_app.services import invariants, payments, refunds
from admin_app.services.attention import worklists
from admin_app.services.checkout import outcomes
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import approvals, keeping, refund_sending, returned
from models import BookingStatus, CanceledBecause, Payment, Refund, RefundReason, RefundState
from tests.services import money
from tests.services.checkout.test_settlement import hear, pay_page
from tests.services.diary import Clock, appointment, held, jobs, offered, tomorrow
from tests.services.factories import AUDITOR, SUPPORT
from tests.services.money import LIMIT, STRIPE, payment_now, require_reserve
from tests.services.payments.stripe_twin import StripeTwin


@pytest.fixture
def clock(db: Database) -> Clock:
    return Clock(db)


@pytest.fixture
def paid(db: Database, clock: Clock) -> Payment:
    subject = held(db, offered(db), tomorrow(clock.now))
    payment = pay_page(db, subject)
    hear(db, CheckoutSnapshot(money.session(payment), money.told(payment)))
    return payment


def gone(payment: Payment, status: Any, code: str | None = None) -> StripeRefund:
    named = {"id": f"re_{payment.id}", "payment_intent_id": f"pi_{payment.id}", "failure_code": code}
    return money.refund_at_stripe(payment, payment.amount, status=status, **named)


def tell(db: Database, payment: Payment, *refunds: StripeRefund) -> BookingStatus:
    hear(db, CheckoutSnapshot(None, money.told(payment, refunded=payment.amount), refunds))
    return appointment(db, f"booking:{payment.booking_id}").row.status


def come_back(db: Database, payment: Payment) -> Refund:
    assert tell(db, payment, gone(payment, "succeeded")) is BookingStatus.REFUNDED
    tell(db, payment, gone(payment, "failed", "expired_or_canceled_card"))
    return the_refunds(db)[0]


def the_refunds(db: Database) -> list[Refund]:
    with db.read_only() as read:
        return list(read.scalars(select(Refund).order_by(Refund.id)))


def waiting(db: Database) -> int:
    with db.read_only() as read:
        return worklists.money_waiting(read, db.clock()).returned_refunds


def put_right(db: Database, refund: Refund, how: str, *, by: Any = SUPPORT, limit: int = LIMIT) -> Refund:
    with db.unit_of_work(by) as ctx:
        shown = returned.plan(ctx, refund_id=refund.id, how=how, approval_above=limit).fingerprint
    with db.unit_of_work(by) as ctx:
        return returned.put_right(
            ctx, refund_id=refund.id, how=how, reason="Card closed", approval_above=limit, shown=shown
        )


def follow(db: Database, payment: Payment) -> BookingStatus:
    subject = f"booking:{payment.booking_id}"
    assert {"subject": subject} in jobs(db, "follow_refunds")
    with db.unit_of_work(STRIPE) as ctx:
        outcomes.follow_refunds(ctx, appointment_locked(ctx, subject))
    return appointment(db, subject).row.status


def appointment_locked(ctx: Any, subject: str) -> Any:
    return checkouts.appointments.locked(ctx, subject)


def test_what_comes_back_is_an_open_item_and_the_booking_is_not_refunded(
    db: Database, clock: Clock, paid: Payment
) -> None:
    refund = come_back(db, paid)
    assert (refund.state, refund.returned_at, refund.made_good_at) == (RefundState.FAILED, clock.now, None)
    assert appointment(db, f"booking:{paid.booking_id}").row.status is BookingStatus.CANCELED
    assert waiting(db) == 1
    mails = [job["kind"] for job in jobs(db, "send_appointment_mail")]
    assert mails == ["confirmation", "cancellation"]
    assert tell(db, paid, gone(paid, "succeeded")) is BookingStatus.CANCELED
    require_reserve(db, paid.id)


def test_whoever_wanted_the_refund_is_why_the_appointment_is_off(db: Database, clock: Clock, paid: Payment) -> None:
    assert tell(db, paid, gone(paid, "succeeded")) is BookingStatus.REFUNDED
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.scalars(select(Refund)).one().reason = RefundReason.REQUESTED_BY_CUSTOMER
    assert tell(db, paid, gone(paid, "failed")) is BookingStatus.CANCELED
    assert appointment(db, f"booking:{paid.booking_id}").row.canceled_because is CanceledBecause.BY_CLIENT


def test_what_is_paid_a_second_time_leaves_a_refunded_booking_so(db: Database, clock: Clock, paid: Payment) -> None:
    assert tell(db, paid, gone(paid, "succeeded")) is BookingStatus.REFUNDED
    with db.unit_of_work(STRIPE) as ctx:
        second = payments.open_payment(ctx, f"booking:{paid.booking_id}", paid.amount, paid.currency)
    hear(db, CheckoutSnapshot(money.session(second), money.told(second)))
    assert appointment(db, f"booking:{paid.booking_id}").row.status is BookingStatus.REFUNDED
    assert [refund.reason for refund in the_refunds(db)][1:] == ["duplicate"]


def test_days_later_it_still_did_not_take_place(db: Database, clock: Clock, paid: Payment) -> None:
    assert tell(db, paid, gone(paid, "succeeded")) is BookingStatus.REFUNDED
    clock.now = tomorrow(clock.now) + timedelta(days=4)
    assert tell(db, paid, gone(paid, "failed", "expired_or_canceled_card")) is BookingStatus.CANCELED


def test_what_took_place_stays_whatever_becomes_of_its_money(db: Database, clock: Clock, paid: Payment) -> None:
    clock.now = tomorrow(clock.now) + timedelta(days=1)
    for status in ("succeeded", "failed"):
        assert tell(db, paid, gone(paid, status)) is BookingStatus.CONFIRMED
    assert waiting(db) == 1
    assert payment_now(db, paid.id).undecided_since is None


def test_given_back_again(db: Database, paid: Payment) -> None:
    refund = come_back(db, paid)
    again = put_right(db, refund, "again")
    assert (again.id != refund.id, again.amount, again.state) == (True, refund.amount, RefundState.REQUESTED)
    assert waiting(db) == 0
    before = the_refunds(db)[0]
    assert (before.made_good_by, before.made_good_how) == (SUPPORT.label, "again")
    require_reserve(db, paid.id)
    with pytest.raises(Conflict) as refused:
        put_right(db, refund, "again")
    assert refused.value.sentence == returned.CLOSED


def test_a_large_one_waits_for_a_second_person(db: Database, paid: Payment) -> None:
    refund = come_back(db, paid)
    assert put_right(db, refund, "again", by=money.add_person(db), limit=1).state is RefundState.AWAITING_APPROVAL


def test_paid_out_by_hand_counts_as_given_back_whatever_stripe_says(db: Database, clock: Clock, paid: Payment) -> None:
    refund = come_back(db, paid)
    clock.now = tomorrow(clock.now) + timedelta(days=1)
    assert put_right(db, refund, "by_hand").state is RefundState.SUCCEEDED
    assert follow(db, paid) is BookingStatus.CANCELED
    assert tell(db, paid, gone(paid, "failed")) is BookingStatus.CANCELED
    assert payment_now(db, paid.id).undecided_since is None
    assert (waiting(db), the_refunds(db)[0].state) == (0, RefundState.SUCCEEDED)
    require_reserve(db, paid.id)


def test_nothing_is_owed(db: Database, paid: Payment) -> None:
    refund = come_back(db, paid)
    assert payment_now(db, paid.id).undecided_since is not None  # what came back lies here for a booking that is off
    put_right(db, refund, "nothing_owed")
    assert (waiting(db), the_refunds(db)[0].state) == (0, RefundState.FAILED)
    decided = payment_now(db, paid.id)
    assert (decided.undecided_since, decided.kept_amount, decided.kept_reason) == (None, paid.amount, "Card closed")
    with db.read_only() as session:
        assert invariants.broken(session, now=db.clock() + timedelta(days=8)) == []


def test_another_refund_closes_it_too(db: Database, paid: Payment) -> None:
    come_back(db, paid)
    part = money.ask_back(db, paid, paid.amount // 2)
    assert waiting(db) == 0 or part.amount < paid.amount
    if waiting(db):
        money.ask_back(db, paid, paid.amount - part.amount)
    assert waiting(db) == 0


def test_who_may_not_refund_may_not_put_right(db: Database, paid: Payment) -> None:
    refund = come_back(db, paid)
    with pytest.raises(Forbidden):
        put_right(db, refund, "by_hand", by=AUDITOR)
    with pytest.raises(InvalidInput):
        put_right(db, refund, "somehow")


# -- what was decided when the money was first given back holds when it goes back again --------------------------------


def decided(db: Database, payment: Payment, *, before: str = "succeeded", **wish: bool) -> Refund:
    """All of it was given back with a decision about the appointment, and the bank sent it back."""
    given: dict[str, Any] = {"payment_id": payment.id, "amount": payment.amount, "approval_above": LIMIT, **wish}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = refunds.plan_request(ctx, **given).fingerprint
        refund = refunds.request(ctx, **given, reason_code="requested_by_customer", note="", shown=shown)
    for status in (before, "failed"):
        tell(db, payment, ours(payment, refund, status))
    assert waiting(db) == 1
    return refund


def ours(payment: Payment, refund: Refund, status: Any) -> StripeRefund:
    return money.refund_at_stripe(payment, refund.amount, id=f"re_of_{refund.id}", our_id=refund.id, status=status)


@pytest.mark.parametrize("how", ["again", "by_hand"])
@pytest.mark.parametrize("wish", [{"ends": False}, {"tell": False}, {}], ids=str)
def test_the_appointment_becomes_what_was_decided_for_it_and_the_plan_says_so(
    db: Database, clock: Clock, paid: Payment, how: str, wish: dict[str, bool]
) -> None:
    refund = decided(db, paid, before="pending", **wish)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = returned.plan(ctx, refund_id=refund.id, how=how, approval_above=LIMIT)
    made = put_right(db, refund, how)
    if how == "again":
        tell(db, paid, ours(paid, refund, "failed"), ours(paid, made, "succeeded"))
    else:
        follow(db, paid)
    ends, mailed = wish.get("ends", True), wish == {}
    row = appointment(db, f"booking:{paid.booking_id}").row
    assert row.status is (BookingStatus.REFUNDED if ends else BookingStatus.CONFIRMED)
    assert [job["kind"] for job in jobs(db, "send_appointment_mail")][1:] == ["cancellation"] * mailed
    assert [line.after for line in plan.lines if line.field == "status"] == [BookingStatus.REFUNDED] * ends
    assert len(plan.mails) == mailed


def test_what_a_second_person_declines_is_open_again(db: Database, clock: Clock, paid: Payment) -> None:
    refund = decided(db, paid, ends=False)
    asker, other = money.add_person(db), money.add_person(db)
    again = put_right(db, refund, "again", by=asker, limit=1)
    assert (again.state, waiting(db)) == (RefundState.AWAITING_APPROVAL, 0)
    with db.unit_of_work(other) as ctx:
        plan = approvals.plan_decision(ctx, refund_id=again.id, approve=False)
        approvals.decline(ctx, refund_id=again.id, reason="Not yet", shown=plan.fingerprint)
    assert (f"refund:{refund.id}", "made_good_how") in {(line.record, line.field) for line in plan.lines}
    assert waiting(db) == 1
    assert put_right(db, refund, "by_hand").state is RefundState.SUCCEEDED
    assert waiting(db) == 0


def test_what_stripe_does_not_take_a_second_time_is_open_again(db: Database, clock: Clock, paid: Payment) -> None:
    again = put_right(db, decided(db, paid, ends=False), "again")
    till = Tills(StripeTwin({f"pi_{paid.id}": 0}, clock=lambda: clock.now))  # type: ignore[arg-type]
    refund_sending.send(lambda: db.unit_of_work(STRIPE), till, refund_id=again.id)
    assert (money.refund_now(db, again.id).state, waiting(db)) == (RefundState.FAILED, 1)


def test_what_is_kept_by_decision_is_no_open_item_any_more(db: Database, clock: Clock, paid: Payment) -> None:
    refund = come_back(db, paid)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = keeping.plan_keep(ctx, payment_id=paid.id)
        keeping.keep(ctx, payment_id=paid.id, reason="An hour before", shown=plan.fingerprint)
    assert (f"refund:{refund.id}", "made_good_how") in {(line.record, line.field) for line in plan.lines}
    assert (waiting(db), money.refund_now(db, refund.id).made_good_how) == (0, "nothing_owed")


def test_another_refund_says_in_its_plan_that_it_closes_it(db: Database, paid: Payment) -> None:
    refund = come_back(db, paid)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = refunds.plan_request(ctx, payment_id=paid.id, amount=paid.amount, approval_above=LIMIT)
    assert (f"refund:{refund.id}", "again") in {(line.record, line.after) for line in plan.lines}
