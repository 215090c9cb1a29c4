"""Deliveries about subscriptions and invoices: hints, in any order and any number of times."""

import json
from datetime import datetime
from functools import partial
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import inbox
from admin_app.services.billing import billing_asking
from admin_app.services.billing.billing_asking import Answer
from models import BillingStatus, EventState, Profile, Subscription, WebhookEvent
from tests.services.client_rows import DAY, NOW, add_client, client_now, steps_of, subscription
from tests.services.deliveries import needed
from tests.services.money import STRIPE

KINDS = (
    *("customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"),
    *("customer.subscription.trial_will_end", "customer.subscription.paused", "customer.subscription.resumed"),
    *("customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired"),
    *("invoice.paid", "invoice.payment_failed", "invoice.payment_succeeded", "invoice.finalized", "invoice.voided"),
    *("invoice.marked_uncollectible", "invoice.payment_action_required", "invoice.updated", "invoice.brand_new"),
)


def content(kind: str, subscription_id: str | None = "sub_1") -> dict[str, Any]:
    if kind.startswith("invoice."):
        details = {"subscription_details": {"subscription": subscription_id}} if subscription_id else None
        return {"object": "invoice", "id": "in_1", "parent": details}
    return {"object": "subscription", "id": subscription_id}


def delivery(kind: str, number: int, about: dict[str, Any]) -> bytes:
    body = {"id": f"evt_{number}", "object": "event", "type": kind, "created": int(NOW.timestamp()), "livemode": False}
    return json.dumps(body | {"data": {"object": about}}).encode()


def receive(db: Database, kind: str, number: int = 1, **about: Any) -> int:
    with db.unit_of_work(STRIPE) as ctx:
        event_id = inbox.receive(
            ctx,
            provider="stripe",
            external_id=f"evt_{number}",
            type=kind,
            body=delivery(kind, number, content(kind, **about)),
            occurred_at=NOW,
            subject=None,
        )
        known = select(WebhookEvent.id).where(WebhookEvent.external_id == f"evt_{number}")
        return event_id or ctx.session.scalars(known).one()


def apply(db: Database, event_id: int, found: StripeSubscription | None, at: datetime = NOW) -> WebhookEvent:
    db.clock = lambda: at
    with db.unit_of_work(STRIPE) as ctx:
        inbox.apply(ctx, event_id=event_id, looked_up=Answer(found, at))
    with db.read_only() as session:
        return session.scalars(select(WebhookEvent).where(WebhookEvent.id == event_id)).one()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_hint_to_look_at_the_subscription(db: Database, kind: str) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    event_id = receive(db, kind)
    with db.unit_of_work(STRIPE) as ctx:
        assert needed(ctx, event_id) == "subscription:sub_1"
    event = apply(db, event_id, subscription())
    assert (event.state, event.subject) == (EventState.PROCESSED, "sub_1")
    assert event.outcome == f"client {client_id} is active"
    assert client_now(db, client_id).billing_status is BillingStatus.ACTIVE


def test_an_invoice_without_a_subscription_is_ignored(db: Database) -> None:
    event_id = receive(db, "invoice.paid", subscription_id=None)
    with db.unit_of_work(STRIPE) as ctx:
        assert needed(ctx, event_id) is None
        assert inbox.apply(ctx, event_id=event_id) is EventState.IGNORED


def test_what_stripe_does_not_know_waits_for_a_person(db: Database) -> None:
    event = apply(db, receive(db, "customer.subscription.updated"), None)
    assert (event.state, event.parked_because) == (EventState.PARKED, "unknown_at_stripe")


def test_when_stripe_cannot_be_asked_the_event_waits(db: Database) -> None:
    event_id = receive(db, "customer.subscription.updated")
    with db.unit_of_work(STRIPE) as ctx:
        assert inbox.apply(ctx, event_id=event_id, lookup_failed=True) is EventState.PARKED


def test_the_subscription_of_a_stranger_waits_for_its_client_by_one_delivery(db: Database) -> None:
    first = apply(db, receive(db, "customer.subscription.created"), subscription())
    assert (first.state, first.parked_because) == (EventState.PARKED, "customer_unknown")
    again = apply(db, receive(db, "invoice.paid", 2), subscription())
    assert again.state is EventState.IGNORED
    assert again.outcome == (
        f"subscription sub_1 is active, of a customer nobody here knows; event {first.id} waits for its client"
    )


def test_the_subscription_of_a_stranger_that_is_over_waits_for_nobody(db: Database) -> None:
    event = apply(db, receive(db, "customer.subscription.deleted"), subscription("canceled", ended_at=NOW))
    assert event.state is EventState.IGNORED
    assert event.outcome == "subscription sub_1 is canceled, of a customer nobody here knows"
    apply(db, receive(db, "customer.subscription.updated", 2), subscription(id="sub_2"))
    apply(db, receive(db, "customer.subscription.deleted", 3), subscription("canceled", id="sub_2", ended_at=NOW))
    with db.read_only() as session:
        states = select(WebhookEvent.state).where(WebhookEvent.subject == "sub_2").order_by(WebhookEvent.id)
        assert list(session.scalars(states)) == [EventState.RECEIVED, EventState.IGNORED]


def test_a_subscription_that_a_member_has_not_paid_waits_for_no_client(db: Database) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        ctx.session.add(Profile(user_id="user_1", stripe_customer_id="cus_1"))
        ctx.session.flush()
    event = apply(db, receive(db, "customer.subscription.created"), subscription("incomplete"))
    assert (event.state, event.outcome) == (EventState.IGNORED, "subscription sub_1 is a member's")


def test_events_in_any_order_and_twice_come_to_one_end(db: Database) -> None:
    """Whatever a delivery says, and whenever it comes, the subscription is what it is at Stripe by then."""
    for number, order in enumerate(permutations(range(3))):
        client_id = add_client(db, stripe_customer_id=f"cus_{number}x")
        now_at_stripe = subscription("canceled", id=f"sub_{number}x", customer_id=f"cus_{number}x", ended_at=NOW - DAY)
        for place in (*order, *order):
            apply(db, receive(db, KINDS[place], number * 100 + place), now_at_stripe)
        client = client_now(db, client_id)
        assert (client.billing_status, client.version) == (BillingStatus.CANCELED, 2)
        assert len(steps_of(db, client_id)) == 1


def test_what_stripe_does_not_have_any_more_is_asked_about_once(db: Database) -> None:
    apply(db, receive(db, "customer.subscription.created"), subscription())
    client_id = add_client(db, stripe_customer_id="cus_1")
    work = partial(db.unit_of_work, STRIPE)
    gone = SimpleNamespace(subscription=lambda _: None)
    with db.unit_of_work(STRIPE) as ctx:
        assert billing_asking.ask_about_waiting(ctx, limit=10) == 1
    billing_asking.fetch_one(work, gone, subscription_id="sub_1")  # type: ignore[arg-type]
    with db.unit_of_work(STRIPE) as ctx:
        assert billing_asking.ask_about_waiting(ctx, limit=10) == 0
        row = ctx.session.scalars(select(Subscription)).one()
        assert (row.status, row.client_id, row.ended_at is None) == ("active", None, False)
    # Should it be there after all, its next answer counts.
    back = SimpleNamespace(subscription=lambda _: subscription())
    billing_asking.fetch_one(work, back, subscription_id="sub_1")  # type: ignore[arg-type]
    assert client_now(db, client_id).billing_status is BillingStatus.ACTIVE


def test_that_stripe_does_not_know_it_changes_no_clients_subscription(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, receive(db, "customer.subscription.created"), subscription())
    gone = SimpleNamespace(subscription=lambda _: None)
    billing_asking.fetch_one(partial(db.unit_of_work, STRIPE), gone, subscription_id="sub_1")  # type: ignore[arg-type]
    assert client_now(db, client_id).billing_status is BillingStatus.ACTIVE
    with db.read_only() as session:
        assert session.scalars(select(Subscription.ended_at)).one() is None
