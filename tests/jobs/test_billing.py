"""The whole way of a subscription: deliveries over HTTP, Stripe asked over HTTP, and what the client is then."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from admin_app.context import Staff
from admin_app.jobs import billing as jobs
from admin_app.services import billing
from admin_app.services.billing import billing_asking, trials
from admin_app.simulator.stripe import control_stripe
from models import AuditEntry, BillingStatus, CallState, EventState, ProviderCall, Role, WebhookEvent
from tests.house import House
from tests.services.client_rows import add_client, client_now, steps_of

FINANCE = Staff(3, "finance@demo.test", Role.FINANCE)
S = BillingStatus


def live_through(house: House, client_id: int, email: str) -> tuple[str, list[dict[str, object]]]:
    """A trial that is paid, fails, is paid, grows, and is canceled; nothing is delivered."""
    quietly = {"deliver": False}
    made = control_stripe.subscribe(house.simulator, email=email, client_id=client_id, trial_days=14, deliver=False)
    subscription_id = str(made["id"])
    control_stripe.end_trial(house.simulator, subscription_id, **quietly)
    control_stripe.fail_invoice(house.simulator, subscription_id, **quietly)
    control_stripe.pay_invoice(house.simulator, subscription_id, **quietly)
    control_stripe.change_price(house.simulator, subscription_id, amount=9_900, **quietly)
    control_stripe.cancel(house.simulator, subscription_id, **quietly)
    return subscription_id, control_stripe.events(house.simulator, subscription_id)


@pytest.mark.parametrize("order", ["as they happened", "backwards", "shuffled and twice"])
def test_deliveries_in_any_order_come_to_what_stripe_has(house: House, order: str) -> None:
    client_id = add_client(house.db)
    subscription_id, told = live_through(house, client_id, f"{order.replace(' ', '')}@example.com")
    if order == "backwards":
        told = told[::-1]
    elif order == "shuffled and twice":
        told = random.Random(7).sample(told * 2, len(told) * 2)
    for event in told:
        assert house.stripe(event).status_code == 200
    house.work()
    client = client_now(house.db, client_id)
    assert (client.billing_status, client.payment_active, client.pending_cancellation) == (S.ACTIVE, True, True)
    assert (client.stripe_subscription_id, client.trial_used_at is not None) == (subscription_id, True)
    assert sum(step.monthly_after - step.monthly_before for step in steps_of(house.db, client_id)) == 9_900
    states = house.rows(select(WebhookEvent.state).where(WebhookEvent.subject == subscription_id))
    assert set(states) == {EventState.PROCESSED}
    assert len(states) == len({str(event["id"]) for event in told})


def test_what_recurs_is_what_the_invoices_ask_for(house: House) -> None:
    """25 seats in packages of ten at 49.00 are 147.00; half of it for ever; and a second item that is paid by year."""
    client_id = add_client(house.db)
    packed = {"amount": 4_900, "quantity": 25, "packages": {"divide_by": 10, "round": "up"}}
    made = control_stripe.subscribe(
        house.simulator,
        email="packages@example.com",
        client_id=client_id,
        items=[packed, {"amount": 12_000, "interval": "year"}],
        discounts=[{"percent_off": 50}, {"percent_off": 50, "duration": "once"}],
        deliver=False,
    )
    for event in control_stripe.events(house.simulator, str(made["id"])):
        house.stripe(event)
    house.work()
    assert [step.monthly_after for step in steps_of(house.db, client_id)] == [7_850]


def test_stripe_is_asked_when_no_delivery_came(house: House) -> None:
    client_id = add_client(house.db)
    made = control_stripe.subscribe(house.simulator, email="lost@example.com", deliver=False)
    with house.db.unit_of_work(FINANCE) as ctx:
        found = billing.locked(ctx, client_id)
        found.stripe_customer_id = str(made["customer"])
        ctx.session.flush()
        billing_asking.ask_soon(ctx, client_id=client_id)
    house.work()
    assert client_now(house.db, client_id).billing_status is S.ACTIVE
    answered = select(AuditEntry).where(AuditEntry.event == "client.billing_answered")
    assert [entry.facts["outcome"] for entry in house.rows(answered)] == ["1 subscription taken in"]


def test_a_trial_is_extended_at_stripe_once(house: House) -> None:
    client_id = add_client(house.db)
    made = control_stripe.subscribe(
        house.simulator, email="longer@example.com", client_id=client_id, trial_days=7, deliver=False
    )
    for event in control_stripe.events(house.simulator, str(made["id"])):
        house.stripe(event)
    house.work()
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    with house.db.unit_of_work(FINANCE) as ctx:
        plan = trials.plan_extend(ctx, client_id=client_id, until=until)
        trials.extend(ctx, client_id=client_id, until=until, reason="Needs longer", shown=plan.fingerprint)
    (key,) = house.rows(select(ProviderCall.idempotency_key))
    house.work()
    assert client_now(house.db, client_id).trial_ends_at == until
    (call,) = house.rows(select(ProviderCall))
    assert (call.state, call.external_id) == (CallState.SUCCEEDED, made["id"])
    # The job once more, as after a crash: Stripe has it already, so nothing is sent.
    jobs.extend_trial(house.bench, str(made["id"]), until.isoformat(), key)
    changed = select(func.count()).where(AuditEntry.event == "client.billing_changed")
    assert house.rows(changed) == [2]
