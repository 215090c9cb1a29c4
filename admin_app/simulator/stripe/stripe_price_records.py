"""Prices, coupons and discounts of the simulated Stripe, and what an item costs by them."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe.stripe_records import new_id, now
from admin_app.simulator.world import Refused

INTERVALS = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "year": 365 * 86_400}
_CENT = Decimal(1)


def price(wanted: Mapping[str, Any], currency: str, *, live: bool) -> Document:
    """Of amount (or amount_decimal), interval, interval_count, packages, tiers, tiers_mode and product.

    What Stripe tells only when asked begins with a low line until then.
    """
    tiers, packages = wanted.get("tiers"), wanted.get("packages")
    if tiers and packages:
        raise Refused("Quantity transformation is not compatible with tiered pricing.")
    amount = None if tiers else wanted.get("amount", 4_900)
    exact = None if tiers else str(wanted.get("amount_decimal", amount))
    return {
        "id": new_id("price"),
        "object": "price",
        **dict.fromkeys(("custom_unit_amount", "lookup_key", "nickname")),
        "active": True,
        "billing_scheme": "tiered" if tiers else "per_unit",
        "created": now(),
        "currency": currency,
        "livemode": live,
        "metadata": {},
        "product": wanted.get("product", "prod_agent"),
        "recurring": {
            **dict.fromkeys(("meter", "trial_period_days")),
            "interval": wanted.get("interval", "month"),
            "interval_count": wanted.get("interval_count", 1),
            "usage_type": "licensed",
        },
        "tax_behavior": "exclusive",
        "tiers_mode": wanted.get("tiers_mode", "graduated") if tiers else None,
        "transform_quantity": packages,
        "type": "recurring",
        "unit_amount": None if "amount_decimal" in wanted else amount,
        "unit_amount_decimal": exact,
        **({"_tiers": [_tier(each) for each in tiers]} if tiers else {}),
    }


def plan(of: Document) -> Document:
    """A price in the older words, which items still carry beside it."""
    return {
        "id": of["id"],
        "object": "plan",
        **dict.fromkeys(("meter", "nickname", "trial_period_days")),
        **{name: of[name] for name in ("active", "billing_scheme", "created", "currency", "livemode", "metadata")},
        "amount": of["unit_amount"],
        "amount_decimal": of["unit_amount_decimal"],
        "interval": of["recurring"]["interval"],
        "interval_count": of["recurring"]["interval_count"],
        "product": of["product"],
        "tiers_mode": of["tiers_mode"],
        "transform_usage": of["transform_quantity"],
        "usage_type": "licensed",
    }


def length(of: Document) -> int:
    """Of one period, in seconds."""
    recurring = of["recurring"]
    seconds: int = INTERVALS[recurring["interval"]] * recurring["interval_count"]
    return seconds


def discount(wanted: Mapping[str, Any], currency: str, *, live: bool) -> tuple[Document, Document]:
    """A coupon of duration, percent_off or amount_off, duration_in_months and products; and the discount by it."""
    months, begun = wanted.get("duration_in_months"), now()
    amount, products = wanted.get("amount_off"), wanted.get("products")
    coupon = {
        "id": new_id("co"),
        "object": "coupon",
        **dict.fromkeys(("max_redemptions", "name", "redeem_by")),
        "amount_off": amount,
        "created": begun,
        "currency": currency if amount is not None else None,
        "duration": wanted.get("duration", "forever"),
        "duration_in_months": months,
        "livemode": live,
        "metadata": {},
        "percent_off": wanted.get("percent_off"),
        "times_redeemed": 1,
        "valid": True,
        **({"_applies_to": {"products": products}} if products else {}),
    }
    made = {
        "id": new_id("di"),
        "object": "discount",
        **dict.fromkeys(("checkout_session", "customer_account", "invoice", "invoice_item", "promotion_code")),
        "customer": None,
        "end": None if months is None else begun + months * INTERVALS["month"],
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": begun,
        "subscription": None,
        "subscription_item": None,
    }
    return coupon, made


def asked(item: Document) -> int:
    """What an item's line on an invoice asks for, in minor units."""
    sold, quantity = item["price"], item["quantity"]
    if sold["billing_scheme"] == "tiered":
        return sum(_steps(sold, quantity))
    packages = sold["transform_quantity"]
    if packages is not None:
        whole, rest = divmod(quantity, packages["divide_by"])
        quantity = whole + (1 if rest and packages["round"] == "up" else 0)
    return _rounded(Decimal(sold["unit_amount_decimal"]) * quantity)


def taken_off(coupon: Document, amount: int) -> int:
    """By how much a coupon makes this amount less."""
    if coupon["percent_off"] is None:
        return min(amount, int(coupon["amount_off"]))
    return _rounded(Decimal(amount) * Decimal(str(coupon["percent_off"])) / 100)


def _steps(sold: Document, quantity: int) -> Iterable[int]:
    begins, volume = 0, sold["tiers_mode"] == "volume"
    for tier in sold["_tiers"]:
        last = tier["up_to"]
        reached = last is None or quantity <= last
        units = quantity if volume or reached else last
        if reached or not volume:
            yield _rounded(Decimal(tier["unit_amount_decimal"] or 0) * (units - (0 if volume else begins)))
            yield _rounded(Decimal(tier["flat_amount_decimal"] or 0))
        if reached:
            return
        begins = last


def _tier(wanted: Mapping[str, Any]) -> dict[str, Any]:
    unit, flat = wanted.get("unit_amount"), wanted.get("flat_amount")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": None if flat is None else str(flat),
        "unit_amount": unit,
        "unit_amount_decimal": None if unit is None else str(unit),
        "up_to": wanted.get("up_to"),
    }


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(_CENT, ROUND_HALF_UP))
