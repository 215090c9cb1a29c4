"""Clients and what Stripe says about their subscriptions, for tests of billing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import billing
from models import BillingChange, Client
from tests.services.factories import OPERATOR
from tests.services.money import STRIPE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_numbers = count(1)


def subscription(status: str = "active", **changed: Any) -> StripeSubscription:
    """A subscription of the customer cus_1 over 99 euros a month."""
    found = StripeSubscription(
        id="sub_1",
        customer_id="cus_1",
        status=status,
        collection_paused=False,
        currency="eur",
        monthly_amount=9900,
        price_id="price_1",
        trial_end=None,
        current_period_start=NOW - 10 * DAY,
        current_period_end=NOW + 20 * DAY,
        cancel_at_period_end=False,
        cancel_at=None,
        canceled_at=None,
        ended_at=None,
        started_at=NOW - 40 * DAY,
        amount_due=0,
        past_due_since=None,
        next_payment_attempt=None,
        client_id=None,
    )
    return replace(found, **changed)


def add_client(db: Database, **values: Any) -> int:
    with db.unit_of_work(OPERATOR) as ctx:
        client = Client(**({"name": f"Studio {next(_numbers)}"} | values))
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def client_now(db: Database, client_id: int) -> Client:
    with db.read_only() as session:
        return session.get_one(Client, client_id, populate_existing=True)


def steps_of(db: Database, client_id: int) -> list[BillingChange]:
    with db.read_only() as session:
        of_client = select(BillingChange).where(BillingChange.client_id == client_id).order_by(BillingChange.id)
        return list(session.scalars(of_client))


def apply(db: Database, found: StripeSubscription, *, at: datetime = NOW, told_at: datetime | None = None) -> Any:
    """At this time, with what was fetched just then."""
    db.clock = lambda: at
    with db.unit_of_work(STRIPE) as ctx:
        client = billing.apply_subscription(ctx, found, cause="stripe", fetched_at=at, told_at=told_at)
        return None if client is None else client.id
