"""Refunds over HTTP while Stripe misbehaves: one refund there, and here an end or a visible `unknown`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.errors import ProviderUnavailable
from admin_app.integrations.http.transport import Patience
from admin_app.integrations.money_ports import CheckoutRequest
from admin_app.integrations.stripe import checkout_snapshots, stripe_api
from admin_app.jobs import refunds
from admin_app.services import payments
from admin_app.services.checkout import settlement
from admin_app.services.payments import refund_states
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import CallState, Payment, ProviderCall, Refund, RefundState
from tests import house as houses
from tests.house import House
from tests.services.money import STRIPE, add_payment, ask_back, payment_now, refund_now, require_reserve

LATE = timedelta(minutes=3)
SDK_TRIES = 3  # the first and two more, under the same key


@pytest.fixture
def house(house: House) -> Iterator[House]:
    """Nothing is told by events: what these tests hear, they hear by asking."""
    yield house
    control.fault(house.simulator, "stripe", "off")


@pytest.fixture
def payment(house: House) -> Payment:
    """A booking's payment, paid on Stripe's page."""
    payment = add_payment(house.db, starts_at=house.db.clock() + timedelta(days=1))
    stripe = house.bench.providers.stripe
    assert stripe is not None
    wish = CheckoutRequest(
        subject=payments.subject_of(payment),
        title="Consultation",
        amount=payment.amount,
        currency=payment.currency,
        email="cleo@example.com",
        success_url="https://clinic.example/back",
        cancel_url="https://clinic.example/left",
        expires_at=house.db.clock() + timedelta(minutes=45),
    )
    made = stripe.create_checkout(wish, idempotency_key=f"checkout-of-{payments.subject_of(payment)}-{id(house)}")
    with house.db.unit_of_work(STRIPE) as ctx:
        payments.apply_session(ctx, made, payment_id=payment.id)
    control_stripe.pay(house.simulator, made.id, deliver=False)
    told = checkout_snapshots.fetch_session(stripe, made.id)
    with house.db.unit_of_work(STRIPE) as ctx:
        settlement.apply(ctx, told)
    paid = payment_now(house.db, payment.id)
    assert paid.captured_amount == payment.amount
    return paid


@pytest.fixture
def refund(house: House, payment: Payment) -> Refund:
    made = ask_back(house.db, payment, 3000)
    while house._next_job():
        pass  # sent by hand below
    return made


def at_stripe(house: House, payment: Payment) -> list[tuple[int, str]]:
    """The refunds that there are of this payment: amount and state."""
    listed = control_stripe.refunds(house.simulator)
    mine = [each for each in listed if each["payment_intent"] == payment.stripe_payment_intent_id]
    return [(each["amount"], each["status"]) for each in mine]


def here(house: House, refund: Refund) -> tuple[str, str]:
    with house.db.read_only() as read:
        call = read.scalars(
            select(ProviderCall)
            .where(ProviderCall.idempotency_key == refund_states.sending_key(refund))
            .execution_options(populate_existing=True)
        ).one()
    return refund_now(house.db, refund.id).state.value, call.state.value


def later(house: House) -> None:
    now = house.db.clock() + LATE
    house.db.clock = lambda: now


def test_a_refund_that_goes_well(house: House, payment: Payment, refund: Refund) -> None:
    refunds.send(house.bench, refund.id)
    refunds.send(house.bench, refund.id)
    assert here(house, refund) == ("succeeded", "succeeded")
    assert at_stripe(house, payment) == [(3000, "succeeded")]


@pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-500"])
def test_one_lost_answer_is_healed_by_the_same_key(house: House, payment: Payment, refund: Refund, mode: str) -> None:
    control.fault(house.simulator, "stripe", mode)
    refunds.send(house.bench, refund.id)
    assert here(house, refund) == ("succeeded", "succeeded")
    assert at_stripe(house, payment) == [(3000, "succeeded")]


@pytest.mark.parametrize("mode", ["apply-then-drop", "apply-then-500"])
def test_every_answer_lost_is_unknown_until_stripe_is_asked(
    house: House, payment: Payment, refund: Refund, mode: str
) -> None:
    control.fault(house.simulator, "stripe", mode, times=SDK_TRIES)
    refunds.send(house.bench, refund.id)
    assert here(house, refund) == ("unknown", "unknown")
    assert at_stripe(house, payment) == [(3000, "succeeded")]
    refunds.ask(house.bench, refund.id)
    assert here(house, refund) == ("succeeded", "succeeded")
    assert at_stripe(house, payment) == [(3000, "succeeded")]
    require_reserve(house.db, payment.id)


def test_no_answer_in_time_is_unknown_and_no_second_refund(
    house: House, payment: Payment, refund: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty_rules = replace(stripe_api.RULES, writes=Patience(seconds=3, seconds_per_try=0.4))
    monkeypatch.setattr("admin_app.integrations.stripe.stripe_api.RULES", hasty_rules)
    hasty = houses.build(house.simulator, house.db)
    control.fault(house.simulator, "stripe", "slow", times=SDK_TRIES, seconds=1)
    refunds.send(hasty.bench, refund.id)
    assert here(house, refund) == ("unknown", "unknown")
    later(house)
    refunds.ask(house.bench, refund.id)
    assert here(house, refund) == ("succeeded", "succeeded")
    assert at_stripe(house, payment) == [(3000, "succeeded")]


@pytest.mark.parametrize("mode", ["500", "429"])
def test_a_failure_without_an_effect_is_sent_again_in_its_time(
    house: House, payment: Payment, refund: Refund, mode: str
) -> None:
    control.fault(house.simulator, "stripe", mode, times=SDK_TRIES)
    if mode == "429":
        # certainly nothing happened: the job itself tries again
        with pytest.raises(ProviderUnavailable):
            refunds.send(house.bench, refund.id)
        control.fault(house.simulator, "stripe", "off")
        assert here(house, refund) == ("requested", "failed")
        refunds.send(house.bench, refund.id)
    else:
        refunds.send(house.bench, refund.id)
        assert here(house, refund) == ("unknown", "unknown")
        refunds.ask(house.bench, refund.id)
        assert at_stripe(house, payment) == []
        assert here(house, refund) == ("unknown", "unknown")
        later(house)
        refunds.ask(house.bench, refund.id)
    assert here(house, refund) == ("succeeded", "succeeded")
    assert at_stripe(house, payment) == [(3000, "succeeded")]


def test_stripe_that_is_down_keeps_it_unknown(house: House, payment: Payment, refund: Refund) -> None:
    control.fault(house.simulator, "stripe", "500", times=100)
    refunds.send(house.bench, refund.id)
    later(house)
    with pytest.raises(ProviderUnavailable):
        refunds.ask(house.bench, refund.id)
    assert here(house, refund) == ("unknown", "unknown")


def test_a_payment_that_is_disputed_meanwhile_is_a_clear_no(house: House, payment: Payment, refund: Refund) -> None:
    control_stripe.dispute(house.simulator, payment.stripe_payment_intent_id or "", deliver=False)
    refunds.send(house.bench, refund.id)
    assert here(house, refund) == ("failed", "failed")
    assert refund_now(house.db, refund.id).failure_code == "charge_disputed"
    assert payment_now(house.db, payment.id).reserved_amount == 0
    assert at_stripe(house, payment) == []


def test_more_than_is_left_at_stripe_is_a_clear_no(house: House, payment: Payment, refund: Refund) -> None:
    control_stripe.refund(house.simulator, payment.stripe_payment_intent_id or "", amount=9000, deliver=False)
    refunds.send(house.bench, refund.id)
    assert here(house, refund) == ("failed", "failed")
    assert at_stripe(house, payment) == [(9000, "succeeded")]


def test_a_refund_that_the_bank_sends_back_follows(house: House, payment: Payment, refund: Refund) -> None:
    refunds.send(house.bench, refund.id)
    made = refund_now(house.db, refund.id).stripe_refund_id or ""
    control_stripe.settle_refund(house.simulator, made, succeeds=False, deliver=False)
    for event in control_stripe.events(house.simulator, made):
        assert house.stripe(event).status_code == 200
    house.work()
    assert refund_now(house.db, refund.id).state is RefundState.FAILED
    assert payment_now(house.db, payment.id).reserved_amount == 0


def test_events_of_our_own_refund_in_every_order_tell_nothing_new(
    house: House, payment: Payment, refund: Refund
) -> None:
    refunds.send(house.bench, refund.id)
    made = refund_now(house.db, refund.id).stripe_refund_id or ""
    told: list[dict[str, Any]] = control_stripe.events(house.simulator, made)
    assert told
    for event in (*told, *reversed(told)):
        assert house.stripe(event).status_code == 200
    house.work()
    with house.db.read_only() as read:
        rows = read.scalars(select(Refund)).all()
        calls = read.scalars(select(ProviderCall.state).where(ProviderCall.operation == "refund.create")).all()
    assert [(row.id, row.state) for row in rows] == [(refund.id, RefundState.SUCCEEDED)]
    assert list(calls) == [CallState.SUCCEEDED]
    require_reserve(house.db, payment.id)
