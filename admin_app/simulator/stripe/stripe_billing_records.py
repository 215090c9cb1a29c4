"""Customers, subscriptions and invoices of the simulated Stripe, in the shape in which its API shows them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe.stripe_price_records import asked, length, plan, taken_off
from admin_app.simulator.stripe.stripe_records import new_id, now

_RETRY_AFTER = 3 * 86_400


def _nothing(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names)


# What Stripe always answers and this simulator does not play.
_SUBSCRIPTION_UNPLAYED: dict[str, Any] = {
    **_nothing(
        *("application", "application_fee_percent", "billing_cycle_anchor_config", "billing_thresholds"),
        *("customer_account", "days_until_due", "default_payment_method", "default_source", "description"),
        *("managed_payments", "next_pending_invoice_item_invoice", "on_behalf_of", "pending_invoice_item_interval"),
        *("pending_setup_intent", "pending_update", "schedule", "test_clock", "transfer_data"),
    ),
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
    "billing_schedules": [],
    "collection_method": "charge_automatically",
    "default_tax_rates": [],
    "invoice_settings": {
        **_nothing("account_tax_ids", "custom_fields", "description", "footer"),
        "issuer": {"type": "self"},
    },
    "payment_settings": {
        **_nothing("payment_method_options", "payment_method_types"),
        "save_default_payment_method": "on_subscription",
    },
    "trial_settings": {
        "end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"},
    },
}
_INVOICE_UNPLAYED: dict[str, Any] = {
    **_nothing(
        *("account_tax_ids", "application", "automatically_finalizes_at", "custom_fields", "customer_account"),
        *("customer_address", "customer_name", "customer_phone", "customer_shipping", "default_payment_method"),
        *("default_source", "description", "due_date", "footer", "from_invoice", "last_finalization_error"),
        *("latest_revision", "on_behalf_of", "receipt_number", "rendering", "shipping_cost", "shipping_details"),
        *("statement_descriptor", "test_clock", "total_pretax_credit_amounts"),
    ),
    "account_country": "US",
    "account_name": "Demo Studio",
    "amount_overpaid": 0,
    "amount_shipping": 0,
    "automatic_tax": {**_nothing("disabled_reason", "liability", "provider", "status"), "enabled": False},
    "collection_method": "charge_automatically",
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_tax_rates": [],
    "discounts": [],
    "ending_balance": 0,
    "issuer": {"type": "self"},
    "metadata": {},
    "payment_settings": _nothing("default_mandate", "payment_method_options", "payment_method_types"),
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "starting_balance": 0,
    "total_discount_amounts": [],
    "total_taxes": [],
}


def customer(*, email: str | None, name: str | None, live: bool, metadata: Mapping[str, str] | None = None) -> Document:
    return {
        "id": new_id("cus"),
        "object": "customer",
        **_nothing("address", "currency", "default_source", "description", "phone", "shipping", "test_clock"),
        "balance": 0,
        "created": now(),
        "delinquent": False,
        "discount": None,
        "email": email,
        "invoice_prefix": "DEMO",
        "invoice_settings": _nothing("custom_fields", "default_payment_method", "footer", "rendering_options"),
        "livemode": live,
        "metadata": dict(metadata or {}),
        "name": name,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def item(
    subscription_id: str, of: Document, *, start: int, end: int, quantity: int = 1, discounts: Sequence[str] = ()
) -> Document:
    """So many units of a price."""
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        **_nothing("billing_thresholds", "current_trial"),
        "created": start,
        "current_period_start": start,
        "current_period_end": end,
        "discounts": [*discounts],
        "metadata": {},
        "plan": plan(of),
        "price": of,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def subscription(
    of: Document,
    *sold: Document,
    metadata: Mapping[str, str],
    trial_end: int | None,
    start: int | None = None,
    discounts: Sequence[str] = (),
) -> Document:
    """Begun now, or at `start`, by this customer: on trial until then, or paid for one period."""
    identity, begun = new_id("sub"), start or now()
    items = [item(identity, each, start=begun, end=trial_end or begun + length(each)) for each in sold]
    return {
        "id": identity,
        "object": "subscription",
        **_SUBSCRIPTION_UNPLAYED,
        "billing_cycle_anchor": min(each["current_period_end"] for each in items),
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": cancellation(None),
        "created": begun,
        "currency": sold[0]["currency"],
        "customer": of["id"],
        "discounts": [*discounts],
        "ended_at": None,
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={identity}",
        },
        "latest_invoice": None,
        "livemode": of["livemode"],
        "metadata": dict(metadata),
        "pause_collection": None,
        "start_date": begun,
        "status": "trialing" if trial_end else "active",
        "trial_end": trial_end,
        "trial_start": begun if trial_end else None,
    }


def cancellation(reason: str | None) -> dict[str, Any]:
    return {**_nothing("comment", "feedback", "feedback_option"), "reason": reason}


def items(of: Document) -> list[Document]:
    found: list[Document] = of["items"]["data"]
    return found


def next_due(of: Document) -> int:
    """When the first of its items is to be paid for again."""
    return min(int(each["current_period_end"]) for each in items(of))


def with_items(of: Document, changed: Sequence[Document]) -> Document:
    return of | {"items": {**of["items"], "data": [*changed]}}


def invoice(
    of: Document,
    billed: Sequence[Document],
    coupons: Mapping[str, Document],
    *,
    number: int,
    email: str | None,
    reason: str,
    paid: bool,
    created: int,
) -> Document:
    """For the period that these items of the subscription are in; a trial's costs nothing.

    `coupons` are those of all its discounts, by the ids of the discounts.
    """
    identity, on_trial = new_id("in"), of["status"] == "trialing"
    lines = [_line(of, each, identity, 0 if on_trial else asked(each)) for each in billed]
    subtotal = sum(line["amount"] for line in lines)
    off = 0 if on_trial else sum(_discounts(of, billed, coupons))
    amount, period = subtotal - off, min(billed, key=lambda each: int(each["current_period_end"]))
    start, end = period["current_period_start"], period["current_period_end"]
    return {
        "id": identity,
        "object": "invoice",
        **_INVOICE_UNPLAYED,
        "amount_due": amount,
        **settled(amount, paid=paid, at=created),
        "attempt_count": 1,
        "attempted": True,
        "billing_reason": reason,
        "created": created,
        "currency": of["currency"],
        "customer": of["customer"],
        "customer_email": email,
        "effective_at": created,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "lines": {
            "object": "list",
            "data": lines,
            "has_more": False,
            "url": f"/v1/invoices/{identity}/lines",
        },
        "livemode": of["livemode"],
        "number": f"DEMO-{number:04}",
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": of["metadata"], "subscription": of["id"]},
            "type": "subscription_details",
        },
        "period_end": end,
        "period_start": start,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": amount,
        "total_excluding_tax": amount,
        "webhooks_delivered_at": created,
    }


def settled(amount: int, *, paid: bool, at: int) -> dict[str, Any]:
    """The parts of an invoice that say whether it is paid."""
    return {
        "amount_paid": amount if paid else 0,
        "amount_remaining": 0 if paid else amount,
        "auto_advance": not paid,
        "next_payment_attempt": None if paid else at + _RETRY_AFTER,
        "status": "paid" if paid else "open",
        "status_transitions": {
            **_nothing("marked_uncollectible_at", "voided_at"),
            "finalized_at": at,
            "paid_at": at if paid else None,
        },
    }


def _discounts(of: Document, billed: Collection[Document], coupons: Mapping[str, Document]) -> list[int]:
    """What each discount takes off: those of an item off its line, then the subscription's off what is left."""
    off, left = [], {each["id"]: asked(each) for each in billed}
    for each in billed:
        for name in each["discounts"]:
            off.append(taken_off(coupons[name], left[each["id"]]))
            left[each["id"]] -= off[-1]
    for name in of["discounts"]:
        products = coupons[name].get("_applies_to", {}).get("products")
        meant = [each["id"] for each in billed if products is None or each["price"]["product"] in products]
        total = sum(left[identity] for identity in meant)
        off.append(taken_off(coupons[name], total))
        rest = off[-1]
        for identity in meant:
            share = min(left[identity], rest if identity == meant[-1] else off[-1] * left[identity] // (total or 1))
            left[identity], rest = left[identity] - share, rest - share
    return off


def _line(of: Document, held: Document, invoice_id: str, amount: int) -> Document:
    return {
        "id": new_id("il"),
        "object": "line_item",
        **_nothing("discount_amounts", "pretax_credit_amounts", "quantity_decimal", "taxes"),
        "amount": amount,
        "currency": of["currency"],
        "description": f"{held['quantity']} × Phone agent",
        "discountable": False,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": of["livemode"],
        "metadata": of["metadata"],
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": of["id"],
                "subscription_item": held["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"end": held["current_period_end"], "start": held["current_period_start"]},
        "pricing": {
            "price_details": {"price": held["price"]["id"], "product": held["price"]["product"]},
            "type": "price_details",
            "unit_amount_decimal": held["price"]["unit_amount_decimal"],
        },
        "quantity": held["quantity"],
        "subscription": of["id"],
        "subtotal": amount,
    }
