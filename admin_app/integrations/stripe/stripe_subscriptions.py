"""Stripe's subscriptions as the product reads them, and which one an object is about."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from admin_app.integrations.http import fields
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.integrations.stripe import stripe_prices
from admin_app.integrations.stripe.stripe_shapes import client_number, customer, reference, whole

# Whatever else Stripe says, paused or a word of another day, waits for a payment and is to be seen with what is due.
_NOT_LATE = frozenset({"trialing", "active", "canceled", "incomplete", "incomplete_expired"})
# To be asked for with the subscription, so that neither what is due nor whose it is needs a second question.
EXPANDED = ("latest_invoice", "customer")


def subscription(data: Mapping[str, Any]) -> StripeSubscription | None:
    """With its latest invoice expanded and told in full; without, nothing is said of what is due, nor of discounts."""
    identity, customer_id = fields.text(data.get("id")), reference(data.get("customer"))
    status = fields.text(data.get("status"))
    if identity is None or customer_id is None or status is None:
        return None
    items = stripe_prices.items(data)
    first = stripe_prices.price(items[0]) if items else {}
    # Of items of different length the one that is paid for next; until API versions of 2025 it was the subscription's.
    period = min(items, key=_ends, default={})
    invoice = _open(data.get("latest_invoice"))
    period_start = fields.moment(period.get("current_period_start") or data.get("current_period_start"))
    started_at = fields.moment(data.get("start_date") or data.get("created"))
    trial_end = fields.moment(data.get("trial_end"))
    # A pause begins where a trial ends; with neither invoice nor period told, it is late since it began.
    unpaid_since = _due(invoice) or (trial_end if status == "paused" else None) or period_start or started_at
    return StripeSubscription(
        id=identity,
        customer_id=customer_id,
        status=status,
        collection_paused=bool(fields.mapping(data.get("pause_collection"))),
        currency=fields.text(data.get("currency")) or fields.text(first.get("currency")),
        monthly_amount=stripe_prices.monthly_amount(data),
        price_id=fields.text(first.get("id")),
        trial_end=trial_end,
        current_period_start=period_start,
        current_period_end=fields.moment(period.get("current_period_end") or data.get("current_period_end")),
        cancel_at_period_end=data.get("cancel_at_period_end") is True,
        cancel_at=fields.moment(data.get("cancel_at")),
        canceled_at=fields.moment(data.get("canceled_at")),
        ended_at=fields.moment(data.get("ended_at")),
        started_at=started_at,
        amount_due=whole(invoice.get("amount_remaining")) or 0,
        past_due_since=None if status in _NOT_LATE else unpaid_since,
        next_payment_attempt=fields.moment(invoice.get("next_payment_attempt")),
        client_id=client_number(data),
        customer=customer(fields.mapping(data.get("customer"))),
    )


def may_owe_more(found: StripeSubscription, data: Mapping[str, Any]) -> bool:
    """Whether other invoices than the latest may be open: Stripe goes on making them while the earlier are unpaid."""
    return found.status not in _NOT_LATE and bool(fields.mapping(data.get("latest_invoice")))


def with_all_due(found: StripeSubscription, invoices: Sequence[Mapping[str, Any]]) -> StripeSubscription:
    """The same with what all of its open invoices ask for: their sum, since the first of them."""
    still_open = [invoice for each in invoices if (invoice := _open(each))]
    if not still_open:
        return found
    since = [moment for invoice in still_open if (moment := _due(invoice)) is not None]
    tries = [moment for invoice in still_open if (moment := fields.moment(invoice.get("next_payment_attempt")))]
    return replace(
        found,
        amount_due=sum(whole(invoice.get("amount_remaining")) or 0 for invoice in still_open),
        past_due_since=min(since, default=found.past_due_since),
        next_payment_attempt=min(tries, default=None),
    )


def concerned(data: Mapping[str, Any]) -> str | None:
    """The subscription that an event's object is, or that it began, or is part of."""
    kind = data.get("object")
    if kind == "subscription":
        return fields.text(data.get("id"))
    if kind == "discount" or (kind == "checkout.session" and data.get("mode") == "subscription"):
        return reference(data.get("subscription"))
    if kind != "invoice":
        return None
    details = fields.mapping(fields.mapping(data.get("parent")).get("subscription_details"))
    return reference(details.get("subscription")) or reference(data.get("subscription"))


def _ends(item: Mapping[str, Any]) -> tuple[float, float]:
    """Which of the items that end at one time is the shortest: the one that began last."""
    end, start = (fields.number(item.get(f"current_period_{name}")) for name in ("end", "start"))
    return (float("inf") if end is None else end, -(start or 0))


def _open(invoice: Any) -> Mapping[str, Any]:
    """The invoice while it waits to be paid; one that is only named is not known."""
    expanded = fields.mapping(invoice)
    return expanded if expanded.get("status") == "open" else {}


def _due(invoice: Mapping[str, Any]) -> datetime | None:
    """An invoice that is charged by itself has no due date: it is to be paid when it is made."""
    return fields.moment(invoice.get("due_date")) or fields.moment(invoice.get("created"))
