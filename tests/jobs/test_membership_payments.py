"""What was paid for memberships is a row per payment, asked of the provider whatever delivery says there is news."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from admin_app.context import Job
from admin_app.jobs import memberships as jobs
from admin_app.services.core import audit
from admin_app.services.memberships import asking, paid
from admin_app.services.memberships.paid import PaymentSnapshot
from admin_app.services.payments.refund_tills import to_major, to_minor
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import EventState, MembershipPayment, PaymentProvider, Refund, RefundOrigin, RefundState, WebhookEvent
from tests.house import House
from tests.services.memberships.paying import (
    MONTHLY,
    deliver,
    delivery,
    hear,
    member,
    membership,
    payments,
    subscriber,
    told,
)


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_a_payment_is_a_row_in_whatever_form_it_is_told(house: House, form: str) -> None:
    payment_id = member(house, f"form{form}")
    hear(house, delivery(form, "payment.succeeded", f"form{form}", payment_id), f"{form}")
    (row,) = payments(house, f"mem_form{form}")
    assert (row.external_id, row.provider, row.captured_amount, row.currency) == (payment_id, "whop", MONTHLY, "usd")
    assert (row.refunded_amount, row.refundable, row.provider_status) == (0, True, "succeeded")
    assert row.paid_at is not None
    known = membership(house, f"mem_form{form}")
    assert (known.paid_amount, known.paid_currency) == (MONTHLY, "usd")
    assert known.payments_asked_at is not None


def test_told_twice_it_is_there_once_and_said_once(house: House) -> None:
    payment_id = member(house, "twice")
    for number in ("t1", "t2", "t1"):
        hear(house, delivery("v1", "payment.succeeded", "twice", payment_id), number)
    (row,) = payments(house, "mem_twice")
    with house.db.read_only() as session:
        said = [entry.event for entry in audit.history(session, f"membership_payment:{row.id}")]
    assert (said, row.version) == (["membership.paid"], 1)


@pytest.mark.parametrize("form", ["v1", "pinned"])
def test_a_refund_that_is_told_first_or_alone_brings_the_payment_too(house: House, form: str) -> None:
    """The pinned form names no membership: the payment has to be known, or the payment's own delivery tells it."""
    name = f"first{form}"
    payment_id = member(house, name)
    control.refund_payment(house.simulator, payment_id, cents=1000, deliver=False)
    hear(house, delivery(form, "refund.created", name, payment_id, refund="rf_a"), f"a{form}")
    assert len(payments(house, f"mem_{name}")) == (0 if form == "pinned" else 1)
    hear(house, delivery(form, "payment.succeeded", name, payment_id), f"b{form}")
    (row,) = payments(house, f"mem_{name}")
    assert (row.captured_amount, row.refunded_amount, row.reserved_amount) == (MONTHLY, 1000, 1000)
    hear(house, delivery(form, "refund.updated", name, payment_id, refund="rf_a"), f"c{form}")
    (refund,) = house.rows(select(Refund).where(Refund.membership_payment_id == row.id))
    assert (refund.amount, refund.state, refund.origin) == (1000, RefundState.SUCCEEDED, RefundOrigin.PROVIDER)
    assert refund.requested_by == "Whop"


def test_a_payment_that_failed_is_a_row_that_paid_nothing(house: House) -> None:
    first = member(house, "failed")
    failed = control.fail_payment(house.simulator, "mem_failed", deliver=False)["id"]
    hear(house, delivery("v1", "payment.failed", "failed", failed), "f")
    found = {row.external_id: (row.captured_amount, row.provider_status) for row in payments(house, "mem_failed")}
    assert found == {first: (MONTHLY, "succeeded"), failed: (0, "failed")}
    assert membership(house, "mem_failed").paid_amount == MONTHLY


def test_a_payment_of_nobody_here_is_no_row_until_its_purchase_is(house: House) -> None:
    payment_id = member(house, "nobody", account=False)
    hear(house, delivery("v1", "refund.created", "nobody", payment_id, refund="rf_n"), "n1")
    (event,) = house.rows(select(WebhookEvent))
    assert (event.state, payments(house, "mem_nobody")) == (EventState.IGNORED, [])
    hear(house, delivery("v1", "payment.succeeded", "nobody", payment_id), "n2")  # waits as a purchase
    assert [row.external_id for row in payments(house, "mem_nobody")] == [payment_id]


def test_an_answer_that_is_older_than_what_is_known_changes_nothing(house: House) -> None:
    member(house, "late")
    number, now = membership(house, "mem_late").id, house.db.clock()
    new = PaymentSnapshot("pay_l", "refunded", 4900, "usd", 4900, 4900, False, now, now, None)
    old = PaymentSnapshot("pay_l", "succeeded", 4900, "usd", 4900, 0, True, now, now, None)
    for said, ago in ((new, 0), (old, 1), (new, 0)):
        with house.db.unit_of_work(Job("test")) as ctx:
            paid.apply(ctx, number, [said], asked_at=now - timedelta(minutes=ago))
    (row,) = payments(house, "mem_late")
    assert (row.refunded_amount, row.refundable, row.provider_status) == (4900, False, "refunded")
    assert membership(house, "mem_late").payments_asked_at == now


def test_those_of_whom_nobody_was_asked_are_asked_about_in_turns(house: House) -> None:
    for name in ("turn1", "turn2"):
        member(house, name)
    subscription = subscriber(house, "turn3")
    jobs.ask_about_never_asked(house.bench)
    for name in ("mem_turn1", "mem_turn2", subscription["id"]):
        assert len(payments(house, name)) == 1
    with house.db.read_only() as session:
        assert asking.never_asked(session, list(PaymentProvider), limit=5) == []


def test_a_subscription_that_is_a_members_has_its_invoices_payments_and_their_periods(house: House) -> None:
    begun = subscriber(house, "stripe")
    control_stripe.pay_invoice(house.simulator, begun["id"], deliver=False)
    deliver(house, *told(house, begun["id"], "invoice.paid")[::-1])
    rows = payments(house, begun["id"])
    assert [(row.captured_amount, row.currency, row.refundable) for row in rows] == [(4900, "eur", True)] * 2
    assert all(row.external_id.startswith("pi_") and row.invoice_id for row in rows)
    assert all(row.period_start and row.period_end and row.period_start < row.period_end for row in rows)
    assert membership(house, begun["id"]).paid_amount == 4900


def test_a_trials_invoice_of_nothing_is_no_payment(house: House) -> None:
    begun = subscriber(house, "trial", trial_days=7)
    deliver(house, *told(house, begun["id"], "invoice.paid"))
    assert payments(house, begun["id"]) == []
    assert membership(house, begun["id"]).payments_asked_at is not None


@pytest.mark.parametrize("known", [True, False], ids=["known", "never asked"])
def test_a_refund_at_stripes_dashboard_is_seen(house: House, known: bool) -> None:
    begun = subscriber(house, f"dash{known}")
    if known:
        deliver(house, *told(house, begun["id"], "invoice.paid"))
    (intent,) = [
        each["id"] for each in control_stripe.payments(house.simulator) if each["customer"] == begun["customer"]
    ]
    control_stripe.refund(house.simulator, intent, amount=900, deliver=False)
    deliver(house, *told(house, intent, "charge.refunded", "refund.created"))
    (row,) = payments(house, begun["id"])
    assert (row.captured_amount, row.refunded_amount, row.reserved_amount) == (4900, 900, 900)
    (refund,) = house.rows(select(Refund).where(Refund.membership_payment_id == row.id))
    assert (refund.origin, refund.requested_by, refund.amount) == (RefundOrigin.PROVIDER, "Stripe", 900)


def test_amounts_are_exact_in_every_currency() -> None:
    assert to_minor(Decimal("4900"), "jpy") == 4900
    assert to_minor(Decimal("49.00"), "usd") == 4900
    assert to_minor(Decimal("1.234"), "kwd") == 1234
    assert to_minor(Decimal("21474836.48"), "usd") == 2_147_483_648
    assert (to_major(1, "usd"), to_major(5, "jpy"), to_major(1234, "kwd")) == (
        Decimal("0.01"),
        Decimal("5"),
        Decimal("1.234"),
    )


def test_no_two_rows_are_one_payment(house: House) -> None:
    payment_id = member(house, "one")
    hear(house, delivery("v1", "payment.succeeded", "one", payment_id), "o")
    found = select(MembershipPayment).where(MembershipPayment.external_id == payment_id)
    assert len(house.rows(found)) == 1
