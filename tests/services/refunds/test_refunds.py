"""What can be given back, and that no more is promised than was captured, whoever asks and however many at once."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import DomainError, Forbidden, InvalidInput, NotFound, NotRefundable, PlanMoved
from admin_app.services import payments, refunds
from admin_app.services.core.plans import Plan
from admin_app.services.payments import refund_states
from models import Payment, Refund, RefundOrigin, RefundReason, RefundState, Role
from tests.services.factories import AUDITOR, OPERATOR, SUPPORT
from tests.services.money import (
    LIMIT,
    STRIPE,
    add_paid,
    add_payment,
    add_person,
    ask_back,
    dispute,
    payment_now,
    refund_at_stripe,
    refund_now,
    require_reserve,
    told,
)
from tests.services.purchases.test_claim_races import at_once

DAYS_LATER = "which takes 5 to 10 days."


def quote_of(db: Database, payment: Payment) -> refunds.Quote:
    with db.read_only() as read:
        return refunds.quote(read, payment.id)


def plan_of(db: Database, payment: Payment, amount: int, limit: int = LIMIT) -> Plan:
    with db.unit_of_work(SUPPORT) as ctx:
        return refunds.plan_request(ctx, payment_id=payment.id, amount=amount, approval_above=limit)


def put(db: Database, refund: Refund, state: RefundState) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        payment, locked = refund_states.locked(ctx, refund.id)
        refund_states.move(ctx, payment, locked, state)
        refund_states.reserve(ctx, payment)


def jobs(db: Database) -> list[str]:
    with db.read_only() as read:
        return list(read.scalars(text("SELECT task_name FROM procrastinate_jobs ORDER BY id")))


def test_a_quote_counts_what_is_gone_and_what_is_on_its_way(db: Database) -> None:
    payment = add_paid(db)
    first = ask_back(db, payment, 3000)
    put(db, first, RefundState.SUCCEEDED)
    ask_back(db, payment, 2000)
    quote = quote_of(db, payment)
    assert (quote.captured, quote.refunded, quote.on_its_way, quote.refundable) == (10_000, 3000, 2000, 5000)
    assert (quote.fee, quote.refusal) == (320, None)


def test_the_plan_says_what_moves(db: Database) -> None:
    payment = add_paid(db)
    plan = plan_of(db, payment, 3000)
    assert [(line.field, line.now, line.after) for line in plan.lines] == [
        ("given_back", "0.00 EUR", "30.00 EUR"),
        ("left_to_give_back", "100.00 EUR", "70.00 EUR"),
    ]
    assert plan.consequences == (
        "Stripe is told at once.",
        f"30.00 EUR go back to what was paid with, {DAYS_LATER}",
        "Stripe keeps its fee of 3.20 EUR.",
        "The appointment stays as it is.",
    )
    assert plan.refusal is None
    assert "This is all that is left" in " ".join(plan_of(db, payment, 10_000).consequences)


def test_a_request_reserves_and_is_sent_after_the_commit(db: Database) -> None:
    payment = add_paid(db)
    refund = ask_back(db, payment, 3000, note="Was ill")
    assert (refund.state, refund.requested_by, refund.note) == (RefundState.REQUESTED, SUPPORT.email, "Was ill")
    assert (refund.origin, refund.reason) == (RefundOrigin.STAFF, RefundReason.REQUESTED_BY_CUSTOMER)
    assert payment_now(db, payment.id).reserved_amount == 3000
    assert jobs(db) == ["send_refund"]


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [(10_001, "Only 100.00 EUR can be given back"), (0, "Only 100.00 EUR"), (-5, "Only 100.00 EUR")],
)
def test_more_than_there_is_is_refused(db: Database, amount: int, sentence: str) -> None:
    payment = add_paid(db)
    assert sentence in (plan_of(db, payment, amount).refusal or "")
    with pytest.raises(NotRefundable, match="not_refundable"):
        ask_back(db, payment, amount)
    require_reserve(db, payment.id)


def test_nothing_goes_back_of_what_was_not_paid(db: Database) -> None:
    payment = add_payment(db)
    assert quote_of(db, payment).refusal == "Nothing was paid, so there is nothing to give back."
    with pytest.raises(NotRefundable):
        ask_back(db, payment, 100)


def test_nothing_is_left_after_all_went_back(db: Database) -> None:
    payment = add_paid(db)
    ask_back(db, payment, 10_000)
    assert quote_of(db, payment).refusal == refunds.NOTHING_LEFT


@pytest.mark.parametrize(
    ("status", "allowed"), [("needs_response", False), ("lost", False), ("won", True), ("warning_needs_response", True)]
)
def test_a_disputed_payment_is_not_given_back(db: Database, status: str, allowed: bool) -> None:
    payment = add_paid(db)
    with db.unit_of_work(STRIPE) as ctx:
        payments.apply_payment(ctx, told(payment, dispute=dispute(status=status)))
    assert (quote_of(db, payment).refusal is None) is allowed


def test_no_second_attempt_while_one_is_unknown(db: Database) -> None:
    payment = add_paid(db)
    refund = ask_back(db, payment, 3000)
    put(db, refund, RefundState.UNKNOWN)
    assert f"refund {refund.id} of 30.00 EUR" in (quote_of(db, payment).refusal or "")
    with pytest.raises(NotRefundable):
        ask_back(db, payment, 3000)


def test_a_failed_refund_gives_its_money_back(db: Database) -> None:
    payment = add_paid(db)
    refund = ask_back(db, payment, 10_000)
    put(db, refund, RefundState.FAILED)
    assert quote_of(db, payment).refundable == 10_000
    require_reserve(db, payment.id)


def test_the_same_form_twice_is_one_refund(db: Database) -> None:
    payment = add_paid(db)
    shown = plan_of(db, payment, 3000).fingerprint
    ask_back(db, payment, 3000, shown=shown)
    with pytest.raises(PlanMoved):
        ask_back(db, payment, 3000, shown=shown)
    assert payment_now(db, payment.id).reserved_amount == 3000


@pytest.mark.parametrize(
    ("reason_code", "note", "field"),
    [
        ("", "", "reason_code"),
        ("because", "", "reason_code"),
        ("slot_lost", "", "reason_code"),
        ("other", "  ", "note"),
        ("duplicate", "x" * 1001, "note"),
        ("duplicate", "a\x00b", "note"),
    ],
)
def test_a_request_says_why(db: Database, reason_code: str, note: str, field: str) -> None:
    payment = add_paid(db)
    with pytest.raises(InvalidInput) as refused:
        ask_back(db, payment, 100, reason_code=reason_code, note=note)
    assert set(refused.value.fields) == {field}
    assert payment_now(db, payment.id).reserved_amount == 0


def test_who_may_ask(db: Database) -> None:
    payment = add_paid(db)
    for role in (Role.OPS, Role.AUDITOR):
        with pytest.raises(Forbidden):
            ask_back(db, payment, 100, by=add_person(db, role))
    with db.unit_of_work(AUDITOR) as ctx, pytest.raises(NotFound):
        refunds.plan_request(ctx, payment_id=10**12, amount=1, approval_above=LIMIT)


def test_a_large_one_waits_and_many_small_ones_are_a_large_one(db: Database) -> None:
    payment = add_paid(db, amount=60_000)
    person = add_person(db)
    ask_back(db, payment, 15_000, by=person)
    assert (
        plan_of(db, payment, 5001)
        .consequences[0]
        .startswith(
            "With the 150.00 EUR already given back or on its way this is 200.01 EUR, above 200.00 EUR: "
            "a second person decides."
        )
    )
    assert plan_of(db, payment, 20_001).consequences[0].startswith("Above 200.00 EUR a second person decides.")
    second = ask_back(db, payment, 5001, by=person)
    assert second.state is RefundState.AWAITING_APPROVAL
    # what a second person is asked about does not count again
    assert ask_back(db, payment, 5000, by=person).state is RefundState.REQUESTED
    assert jobs(db) == ["send_refund", "send_refund"]
    require_reserve(db, payment.id)


def test_a_late_payment_goes_back_without_asking_anybody(db: Database) -> None:
    payment = add_paid(db, amount=60_000)
    with db.unit_of_work(Job("process_event")) as ctx:
        refund = refunds.request_by_backdesk(ctx, payment, 60_000, RefundReason.SLOT_LOST)
        assert refunds.request_by_backdesk(ctx, payment, 60_000, RefundReason.SLOT_LOST) is None
    assert refund is not None
    assert (refund.state, refund.origin, refund.requested_by) == (
        RefundState.REQUESTED,
        RefundOrigin.BACKDESK,
        "Backdesk",
    )


def test_a_part_of_another_command_takes_all_that_is_left(db: Database) -> None:
    payment = add_paid(db)
    ask_back(db, payment, 4000)
    with db.unit_of_work(SUPPORT) as ctx:
        refund = refunds.request_within(
            ctx,
            payment_id=payment.id,
            amount=None,
            reason=RefundReason.CANCELED_BY_US,
            note="",
            approval_above=LIMIT,
        )
        assert refund.amount == 6000
        with pytest.raises(NotRefundable):
            refunds.request_within(
                ctx,
                payment_id=payment.id,
                amount=None,
                reason=RefundReason.CANCELED_BY_US,
                note="",
                approval_above=LIMIT,
            )


def test_the_table_itself_refuses_more_than_was_captured(db: Database) -> None:
    payment = add_paid(db)
    with pytest.raises(IntegrityError, match="never_more_than_captured"), db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(
            text("UPDATE payments SET reserved_amount = captured_amount + 1 WHERE id = :id"), {"id": payment.id}
        )


def hear(db: Database, payment: Payment, *said: object) -> refund_states.RefundNews:
    with db.unit_of_work(STRIPE) as ctx:
        return refund_states.apply(ctx, payments.locked(ctx, payment.id), list(said))  # type: ignore[arg-type]


def test_a_refund_made_at_stripe_is_found_once_and_followed(db: Database) -> None:
    payment = add_paid(db)
    made = refund_at_stripe(payment, 4000, status="pending")
    first = hear(db, payment, made)
    assert [(r.state, r.origin, r.requested_by) for r in first.changed] == [
        (RefundState.SENT, RefundOrigin.PROVIDER, "Stripe")
    ]
    assert hear(db, payment, made).changed == ()
    done = hear(db, payment, refund_at_stripe(payment, 4000, id=made.id))
    assert [r.state for r in done.changed] == [RefundState.SUCCEEDED]
    assert hear(db, payment, made).changed == ()  # an older word changes nothing
    assert not done.all_given_back
    assert hear(db, payment, refund_at_stripe(payment, 6000)).all_given_back
    require_reserve(db, payment.id)


def test_a_refund_that_fails_after_it_succeeded_is_failed(db: Database) -> None:
    payment = add_paid(db)
    made = refund_at_stripe(payment, 10_000)
    assert hear(db, payment, made).all_given_back
    news = hear(db, payment, refund_at_stripe(payment, 10_000, id=made.id, status="failed", failure_code="lost"))
    assert [(r.state, r.failure_code) for r in news.changed] == [(RefundState.FAILED, "lost")]
    assert not news.all_given_back
    assert hear(db, payment, made).changed == ()
    assert quote_of(db, payment).refundable == 10_000


def test_money_that_went_back_at_stripe_lets_what_waits_give_way(db: Database) -> None:
    payment = add_paid(db, amount=60_000)
    waiting = ask_back(db, payment, 50_000, by=add_person(db))
    small = ask_back(db, payment, 5000)
    hear(db, payment, refund_at_stripe(payment, 55_000))
    assert refund_now(db, waiting.id).state is RefundState.DECLINED
    assert refund_now(db, small.id).state is RefundState.REQUESTED
    require_reserve(db, payment.id)
    hear(db, payment, refund_at_stripe(payment, 5000))
    assert refund_now(db, small.id).failure_code == refund_states.ELSEWHERE
    require_reserve(db, payment.id)


def test_what_does_not_add_up_is_asked_again(db: Database) -> None:
    payment = add_payment(db)
    with pytest.raises(refund_states.DoesNotAddUp):
        hear(db, payment, refund_at_stripe(payment, 5000))
    now = payment_now(db, payment.id)
    assert (now.captured_amount, now.reserved_amount) == (0, 0)


def asking(db: Database, payment: Payment, amount: int) -> Callable[[], str]:
    """Somebody who looks again whenever the plan moved, until it is accepted or refused."""

    def call() -> str:
        while True:
            try:
                ask_back(db, payment, amount)
            except PlanMoved:
                continue
            except DomainError as refused:
                return refused.code
            return "accepted"

    return call


def test_fifty_refunds_of_a_third_at_once_are_three(real_db: Database) -> None:
    payment = add_paid(real_db)
    assert at_once([asking(real_db, payment, 3000)] * 50) == {"accepted": 3, "not_refundable": 47}
    with real_db.read_only() as read:
        written = read.execute(select(func.count(), func.sum(Refund.amount))).one()
    assert tuple(written) == (3, 9000)
    require_reserve(real_db, payment.id)


def test_one_form_sent_fifty_times_at_once_is_one_refund(real_db: Database) -> None:
    payment = add_paid(real_db)
    shown = plan_of(real_db, payment, 3000).fingerprint

    def send() -> str:
        ask_back(real_db, payment, 3000, shown=shown)
        return "accepted"

    assert at_once([send] * 50) == {"accepted": 1, "plan_moved": 49}
    require_reserve(real_db, payment.id)
