"""Customers, subscriptions and invoices of the simulated Stripe, in the shape in which its API shows them."""

from collections.abc import Mapping
from typing import Any

from admin_app.simulator.store import Document
from admin_app.simulator.stripe_records import new_id, now

INTERVALS = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "year": 365 * 86_400}
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
    "discounts": [],
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


def customer(*, email: str | None, name: str | None, live: bool) -> Document:
    return {
        "id": new_id("cus"),
        "object": "customer",
        **_nothing("address", "currency", "default_source", "description", "phone", "shipping", "test_clock"),
        "balance": 0,
        "created": now(),
        "delinquent": False,
        "email": email,
        "invoice_prefix": "DEMO",
        "invoice_settings": _nothing("custom_fields", "default_payment_method", "footer", "rendering_options"),
        "livemode": live,
        "metadata": {},
        "name": name,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def price(amount: int, currency: str, interval: str, *, live: bool) -> Document:
    return {
        "id": new_id("price"),
        "object": "price",
        **_nothing("custom_unit_amount", "lookup_key", "nickname", "tiers_mode", "transform_quantity"),
        "active": True,
        "billing_scheme": "per_unit",
        "created": now(),
        "currency": currency,
        "livemode": live,
        "metadata": {},
        "product": "prod_agent",
        "recurring": {
            **_nothing("meter", "trial_period_days"),
            "interval": interval,
            "interval_count": 1,
            "usage_type": "licensed",
        },
        "tax_behavior": "exclusive",
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def item(subscription_id: str, of: Document, *, start: int, end: int) -> Document:
    """One unit of a price."""
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        **_nothing("billing_thresholds", "current_trial"),
        "created": start,
        "current_period_start": start,
        "current_period_end": end,
        "discounts": [],
        "metadata": {},
        "plan": plan(of),
        "price": of,
        "quantity": 1,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def plan(of: Document) -> Document:
    """A price in the older words, which items still carry beside it."""
    return {
        "id": of["id"],
        "object": "plan",
        **_nothing("meter", "nickname", "tiers_mode", "transform_usage", "trial_period_days"),
        **{name: of[name] for name in ("active", "billing_scheme", "created", "currency", "livemode", "metadata")},
        "amount": of["unit_amount"],
        "amount_decimal": of["unit_amount_decimal"],
        "interval": of["recurring"]["interval"],
        "interval_count": 1,
        "product": of["product"],
        "usage_type": "licensed",
    }


def subscription(
    of: Document, sold: Document, *, metadata: Mapping[str, str], trial_end: int | None, start: int | None = None
) -> Document:
    """Begun now, or at `start`, by this customer: on trial until then, or paid for one period."""
    identity, begun = new_id("sub"), start or now()
    end = trial_end or begun + INTERVALS[sold["recurring"]["interval"]]
    return {
        "id": identity,
        "object": "subscription",
        **_SUBSCRIPTION_UNPLAYED,
        "billing_cycle_anchor": end,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": cancellation(None),
        "created": begun,
        "currency": sold["currency"],
        "customer": of["id"],
        "ended_at": None,
        "items": {
            "object": "list",
            "data": [item(identity, sold, start=begun, end=end)],
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


def only_item(of: Document) -> Document:
    found: Document = of["items"]["data"][0]
    return found


def with_item(of: Document, **changed: Any) -> Document:
    """The subscription with its one item changed."""
    return of | {"items": {**of["items"], "data": [only_item(of) | changed]}}


def invoice(of: Document, *, number: int, email: str | None, reason: str, paid: bool, created: int) -> Document:
    """For the period that the subscription is in; a trial's costs nothing."""
    identity, held = new_id("in"), only_item(of)
    amount = 0 if of["status"] == "trialing" else held["price"]["unit_amount"] * held["quantity"]
    start, end = held["current_period_start"], held["current_period_end"]
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
            "data": [_line(of, identity, amount, start, end)],
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
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
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


def _line(of: Document, invoice_id: str, amount: int, start: int, end: int) -> Document:
    held = only_item(of)
    return {
        "id": new_id("il"),
        "object": "line_item",
        **_nothing("discount_amounts", "pretax_credit_amounts", "quantity_decimal", "taxes"),
        "amount": amount,
        "currency": of["currency"],
        "description": "1 × Phone agent",
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
        "period": {"end": end, "start": start},
        "pricing": {
            "price_details": {"price": held["price"]["id"], "product": held["price"]["product"]},
            "type": "price_details",
            "unit_amount_decimal": held["price"]["unit_amount_decimal"],
        },
        "quantity": held["quantity"],
        "subscription": of["id"],
        "subtotal": amount,
    }
