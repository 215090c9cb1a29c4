"""Subscriptions, invoices and discounts as Stripe writes them, made of what a test is about."""

from datetime import UTC, datetime
from typing import Any

from admin_app.integrations.money_ports import StripeSubscription
from admin_app.integrations.stripe import stripe_subscriptions

BARE = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active"}
STARTS, ENDS = 1_795_000_000, 1_797_592_000


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def item(
    amount: Any, interval: str = "month", count: int = 1, quantity: int | None = 1, **price: Any
) -> dict[str, Any]:
    recurring = {"interval": interval, "interval_count": count, "usage_type": price.pop("usage_type", "licensed")}
    return {
        "quantity": quantity,
        "current_period_start": STARTS,
        "current_period_end": ENDS,
        "price": {"id": "price_1", "currency": "eur", "unit_amount": amount, "recurring": recurring, **price},
    }


def subscription(*items: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return BARE | {"items": {"object": "list", "data": list(items)}} | parts


def invoice(**parts: Any) -> dict[str, Any]:
    owed = {"amount_remaining": 4_900, "created": STARTS + 60, "due_date": None, "next_payment_attempt": STARTS + 9_000}
    return {"id": "in_1", "object": "invoice", "status": "open", **owed, **parts}


def read(data: dict[str, Any]) -> StripeSubscription:
    found = stripe_subscriptions.subscription(data)
    assert found is not None
    return found


SEVEN = [
    {"up_to": 5, "unit_amount": 700, "flat_amount": None},
    {"up_to": 10, "unit_amount": 650, "flat_amount": None},
    {"up_to": None, "unit_amount": 600, "flat_amount": None},
]


def in_steps(quantity: int, mode: str, tiers: list[dict[str, Any]] = SEVEN) -> dict[str, Any]:
    return item(None, quantity=quantity, billing_scheme="tiered", tiers_mode=mode, tiers=tiers)


def in_packages(quantity: int, amount: int = 1_000, size: int = 5, to: str = "up") -> dict[str, Any]:
    return item(amount, quantity=quantity, transform_quantity={"divide_by": size, "round": to})


def discount(duration: str = "forever", percent: Any = None, **coupon: Any) -> dict[str, Any]:
    told = {"id": "co_1", "object": "coupon", "duration": duration, "percent_off": percent, **coupon}
    return {"id": "di_1", "object": "discount", "source": {"type": "coupon", "coupon": told}}
