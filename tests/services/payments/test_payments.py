"""A payment follows what Stripe says, in any order, and never goes back."""

from itertools import permutations
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import NotFound
from admin_app.services import payments
from admin_app.services.payments import PaymentNews
from models import Payment, PaymentState
from tests.services.factories import NOON, OPERATOR
from tests.services.money import STRIPE, add_booking, add_paid, add_payment, dispute, payment_now, session, told
from tests.services.purchases.test_claim_races import at_once


def hear_session(db: Database, payment: Payment | None = None, **values: Any) -> PaymentNews | None:
    with db.unit_of_work(STRIPE) as ctx:
        return payments.apply_session(ctx, session(payment, **values))


def hear_payment(db: Database, payment: Payment | None = None, **values: Any) -> PaymentNews | None:
    with db.unit_of_work(STRIPE) as ctx:
        return payments.apply_payment(ctx, told(payment, **values))


def test_an_open_payment_is_opened_once(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        subject = f"booking:{add_booking(ctx).id}"
        first = payments.open_payment(ctx, subject, 9500, "eur")
        assert payments.open_payment(ctx, subject, 9500, "eur") is first
        assert payments.open_payment(ctx, subject, 9600, "eur") is not first
        assert (first.state, first.captured_amount, payments.subject_of(first)) == (PaymentState.OPEN, 0, subject)


def test_a_paid_session_is_taken_in_once(db: Database) -> None:
    payment = add_payment(db)
    first = hear_session(db, payment)
    again = hear_session(db, payment)
    assert first is not None
    assert again is not None
    assert (first.became, again.became) == (PaymentState.PAID, None)
    now = payment_now(db, payment.id)
    assert (now.captured_amount, now.stripe_payment_intent_id) == (payment.amount, f"pi_{payment.id}")
    assert now.paid_at is not None


def test_an_unpaid_session_waits_for_the_bank(db: Database) -> None:
    payment = add_payment(db)
    news = hear_session(db, payment, payment_status="unpaid")
    assert news is not None
    assert news.became is PaymentState.PROCESSING
    refused = hear_payment(db, payment, status="requires_payment_method", captured=0, failure_code="insufficient_funds")
    assert refused is not None
    assert (refused.became, refused.payment.failure_code) == (PaymentState.FAILED, "insufficient_funds")


def test_a_declined_card_leaves_an_open_session_open(db: Database) -> None:
    payment = add_payment(db)
    news = hear_payment(db, payment, status="requires_payment_method", captured=0, failure_code="card_declined")
    assert news is not None
    assert news.became is None
    assert payment_now(db, payment.id).failure_code == "card_declined"
    paid = hear_session(db, payment)
    assert paid is not None
    assert (paid.became, paid.payment.failure_code) == (PaymentState.PAID, None)


def test_every_order_of_what_is_heard_ends_paid(db: Database) -> None:
    heard = [
        lambda payment: hear_session(db, payment, status="open", payment_status="unpaid", payment_intent_id=None),
        lambda payment: hear_payment(db, payment, status="requires_payment_method", captured=0, failure_code="no"),
        lambda payment: hear_session(db, payment, payment_status="unpaid"),
        lambda payment: hear_session(db, payment),
        lambda payment: hear_payment(db, payment),
    ]
    for order in permutations(heard):
        payment = add_payment(db)
        entered = [news.became for step in (*order, *order) if (news := step(payment))]
        assert entered.count(PaymentState.PAID) == 1
        now = payment_now(db, payment.id)
        assert (now.state, now.captured_amount, now.fee_amount) == (PaymentState.PAID, payment.amount, 320)
        assert now.failure_code is None


def test_an_expired_session_that_was_paid_is_paid(db: Database) -> None:
    payment = add_payment(db)
    expired = hear_session(db, payment, status="expired", payment_status="unpaid", payment_intent_id=None)
    assert expired is not None
    assert expired.became is PaymentState.EXPIRED
    hear_session(db, payment)
    assert payment_now(db, payment.id).state is PaymentState.PAID


def test_a_session_that_nobody_could_note_is_found_by_its_subject(db: Database) -> None:
    payment = add_payment(db)
    news = hear_session(db, payment, id="cs_unnoted")
    assert news is not None
    assert (news.payment.id, news.payment.stripe_checkout_session_id) == (payment.id, "cs_unnoted")


@pytest.mark.parametrize("subject", [None, "", "booking:", "booking:x", "booking:9999999", "client:1", "booking:²"])
def test_what_is_not_ours_changes_nothing(db: Database, subject: str | None) -> None:
    add_payment(db)
    assert hear_session(db, subject=subject, id="cs_foreign") is None
    assert hear_payment(db, subject=subject, id="pi_foreign") is None


def test_a_session_in_another_currency_is_not_ours(db: Database) -> None:
    payment = add_payment(db)
    assert hear_session(db, payment, id="cs_foreign", currency="jpy") is None


def test_a_second_session_of_one_payment_is_refused(db: Database) -> None:
    payment = add_paid(db)
    with db.unit_of_work(STRIPE) as ctx:
        assert payments.apply_session(ctx, session(payment, id="cs_other"), payment_id=payment.id) is None


def test_a_dispute_is_opened_once_and_followed(db: Database) -> None:
    payment = add_paid(db)
    opened = dispute()
    first = hear_payment(db, payment, dispute=opened)
    again = hear_payment(db, payment, dispute=opened)
    won = hear_payment(db, payment, dispute=dispute(id=opened.id, status="won", due_by=None))
    assert [news.disputed for news in (first, again, won) if news] == [True, False, False]
    now = payment_now(db, payment.id)
    assert (now.dispute_status, now.dispute_due_by) == ("won", opened.due_by)


def test_captured_money_only_grows(db: Database) -> None:
    payment = add_paid(db)
    version = payment_now(db, payment.id).version
    hear_payment(db, payment, captured=0, fee=None)
    now = payment_now(db, payment.id)
    assert (now.captured_amount, now.fee_amount, now.version) == (payment.amount, 320, version)


def test_an_unknown_payment_is_a_sentence(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx, pytest.raises(NotFound):
        payments.locked(ctx, 10**12)


def test_many_deliveries_at_once_are_one_payment(real_db: Database) -> None:
    payment = add_payment(real_db)

    def hear() -> str:
        news = hear_session(real_db, payment)
        return str(news and news.became)

    assert at_once([hear] * 12) == {"paid": 1, "None": 11}
    assert payment_now(real_db, payment.id).captured_amount == payment.amount


def test_many_checkouts_at_once_are_one_payment(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        subject = f"booking:{add_booking(ctx, starts_at=NOON).id}"

    def start() -> str:
        with real_db.unit_of_work(OPERATOR) as ctx:
            return str(payments.open_payment(ctx, subject, 9500, "eur").id)

    assert list(at_once([start] * 10).values()) == [10]
