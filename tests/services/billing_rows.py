"""Clients with a billing history for tests of what finance reads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from admin_app.context import Ctx
from models import BillingChange, BillingStatus, Client, Movement, Subscription
from tests.services.factories import NOON


def add_client(ctx: Ctx, name: str = "Harbour Dental", **values: Any) -> Client:
    client = Client(name=name, **values)
    ctx.session.add(client)
    ctx.session.flush()
    return client


def movement(before: int, after: int) -> Movement:
    if before == after:
        return Movement.NONE
    if not before or not after:
        return Movement.CHURN if before else Movement.NEW
    return Movement.EXPANSION if after > before else Movement.CONTRACTION


def add_steps(
    ctx: Ctx, client: Client, steps: Sequence[tuple[datetime, BillingStatus, str | None, int]]
) -> list[BillingChange]:
    """A client's changes in this order: when, the status after it, the currency and its monthly amount after it."""
    status, amounts = BillingStatus.NONE, dict[str, int]()
    made = []
    for at, after, currency, amount in steps:
        before = amounts.get(currency or "", 0)
        made.append(
            BillingChange(
                client_id=client.id,
                at=at,
                recorded_at=at,
                status_before=status,
                status_after=after,
                currency=currency,
                monthly_before=before,
                monthly_after=amount,
                movement=movement(before, amount),
                cause="stripe",
            )
        )
        status, amounts[currency or ""] = after, amount
    ctx.session.add_all(made)
    ctx.session.flush()
    return made


def add_subscription(ctx: Ctx, client: Client | None, **values: Any) -> Subscription:
    number = ctx.session.query(Subscription).count() + 1
    defaults: dict[str, Any] = {
        "client_id": client.id if client else None,
        "stripe_subscription_id": f"sub_{number}",
        "stripe_customer_id": f"cus_{number}",
        "status": "active",
        "currency": "eur",
        "monthly_amount": 9900,
        "fetched_at": NOON,
    }
    made = Subscription(**(defaults | values))
    ctx.session.add(made)
    ctx.session.flush()
    return made
