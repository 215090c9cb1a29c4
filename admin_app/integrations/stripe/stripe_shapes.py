"""Stripe's objects as the product reads them; each is None when what matters cannot be read."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from admin_app.integrations.http import fields
from admin_app.integrations.money_ports import (
    OUR_MODE,
    CheckoutRequest,
    Paid,
    RefundStatus,
    SessionStatus,
    StripeCustomer,
    StripeDispute,
    StripeInvoicePayment,
    StripePayment,
    StripeRefund,
    StripeSession,
    StripeUnreadable,
)

_SUBJECT = re.compile(r"(?:booking|meeting):[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def checkout_params(checkout: CheckoutRequest) -> Any:
    """One payment. The session's metadata is not copied to the payment, whose events must name the subject too."""
    metadata = {"subject": checkout.subject}
    kind, _, number = checkout.subject.partition(":")
    if kind == "booking":
        metadata["bookingId"] = number
    return {
        "mode": "payment",
        "customer_email": checkout.email,
        "client_reference_id": checkout.subject,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": checkout.currency.lower(),
                    "unit_amount": checkout.amount,
                    "product_data": {"name": checkout.title},
                },
            }
        ],
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "expires_at": int(checkout.expires_at.timestamp()),
    }


def session(data: Mapping[str, Any]) -> StripeSession | None:
    """One of another mode than ours may have neither currency nor amount: a card is put on file for nothing."""
    mode = fields.text(data.get("mode")) or OUR_MODE
    identity, currency = fields.text(data.get("id")), fields.text(data.get("currency"))
    status = _word(data.get("status"), SessionStatus)
    paid = _word(data.get("payment_status"), Paid)
    amount = whole(data.get("amount_total"))
    if mode != OUR_MODE:
        currency, amount = currency or "", amount or 0
        status, paid = status or "complete", paid or "no_payment_required"
    if identity is None or currency is None or status is None or paid is None or amount is None:
        return None
    return StripeSession(
        id=identity,
        url=fields.text(data.get("url")),
        status=status,
        payment_status=paid,
        payment_intent_id=reference(data.get("payment_intent")),
        amount=amount,
        currency=currency,
        subject=subject(data),
        expires_at=fields.moment(data.get("expires_at")),
        mode=mode,
    )


def is_disputed(data: Mapping[str, Any]) -> bool:
    """Whether the payment intent's latest charge, expanded, was ever disputed."""
    return fields.mapping(data.get("latest_charge")).get("disputed") is True


def payment(
    data: Mapping[str, Any], disputes: Sequence[StripeDispute] = (), asked_at: datetime | None = None
) -> StripePayment | None:
    """A payment intent with its latest charge and that one's balance transaction expanded; disputes newest first."""
    identity, currency = fields.text(data.get("id")), fields.text(data.get("currency"))
    status = fields.text(data.get("status"))
    if identity is None or currency is None or status is None:
        return None
    charge = fields.mapping(data.get("latest_charge"))
    # What a bank has only promised is not there yet.
    captured = whole(charge.get("amount_captured")) if charge.get("status") == "succeeded" else None
    error = fields.mapping(data.get("last_payment_error"))
    return StripePayment(
        id=identity,
        status=status,
        captured=captured or 0,
        refunded=whole(charge.get("amount_refunded")) or 0,
        currency=currency,
        charge_id=fields.text(charge.get("id")),
        fee=_fee(fields.mapping(charge.get("balance_transaction")), currency),
        failure_code=fields.text(error.get("decline_code")) or fields.text(error.get("code")),
        subject=subject(data),
        dispute=disputes[0] if disputes else None,
        customer_id=reference(data.get("customer")),
        disputes=tuple(disputes),
        asked_at=asked_at,
    )


def is_collected(invoice: Mapping[str, Any]) -> bool:
    """Whether money was taken, or is being taken, for an invoice; a trial's asks for nothing."""
    return (whole(invoice.get("amount_due")) or 0) > 0 and invoice.get("status") in ("open", "paid", "uncollectible")


def invoice_period(invoice: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """The period that an invoice of a subscription is for: that of its lines, for its own is the one before."""
    lines = fields.mapping(invoice.get("lines")).get("data")
    periods = [
        fields.mapping(fields.mapping(line).get("period"))
        for line in (lines if isinstance(lines, list) else ())
        if not _is_proration(fields.mapping(line))
    ]
    starts = [moment for period in periods if (moment := fields.moment(period.get("start")))]
    ends = [moment for period in periods if (moment := fields.moment(period.get("end")))]
    return min(starts, default=None), max(ends, default=None)


def _is_proration(line: Mapping[str, Any]) -> bool:
    parent = fields.mapping(line.get("parent"))
    return fields.mapping(parent.get("subscription_item_details")).get("proration") is True


def invoice_payment(
    data: Mapping[str, Any], invoice: Mapping[str, Any], disputes: Sequence[StripeDispute]
) -> StripeInvoicePayment | None:
    """With its payment intent and that one's latest charge expanded; None for one by a means outside of Stripe."""
    paid = fields.mapping(fields.mapping(data.get("payment")).get("payment_intent"))
    found = payment(paid, disputes)
    invoice_id, status = fields.text(invoice.get("id")), fields.text(data.get("status"))
    created_at = fields.moment(data.get("created"))
    if found is None or invoice_id is None or status is None or created_at is None:
        return None
    start, end = invoice_period(invoice)
    asked = whole(data.get("amount_requested"))
    told = whole(data.get("amount_paid"))
    return StripeInvoicePayment(
        invoice_id=invoice_id,
        payment=found,
        amount=told or asked or found.captured,
        status=status,
        paid_at=fields.moment(fields.mapping(data.get("status_transitions")).get("paid_at")),
        period_start=start,
        period_end=end,
        created_at=created_at,
    )


def _fee(movement: Mapping[str, Any], currency: str) -> int | None:
    """In the currency that was paid in; an account that settles in another one is told the fee in that."""
    return whole(movement.get("fee")) if movement.get("currency") == currency else None


def dispute(data: Mapping[str, Any]) -> StripeDispute | None:
    """A dispute from Stripe's object; None when what matters cannot be read."""
    identity, status = fields.text(data.get("id")), fields.text(data.get("status"))
    amount = whole(data.get("amount"))
    if identity is None or status is None or amount is None:
        return None
    return StripeDispute(
        id=identity,
        status=status,
        reason=fields.text(data.get("reason")) or "general",
        amount=amount,
        due_by=fields.moment(fields.mapping(data.get("evidence_details")).get("due_by")),
        payment_intent_id=reference(data.get("payment_intent")),
    )


def refund(data: Mapping[str, Any]) -> StripeRefund | None:
    """A refund from Stripe's object; None when what matters cannot be read."""
    identity, currency = fields.text(data.get("id")), fields.text(data.get("currency"))
    # Stripe tells no status of some: nobody has said that it is over.
    told = data.get("status")
    status: RefundStatus | None = "pending" if told is None else _word(told, RefundStatus)
    amount, created_at = whole(data.get("amount")), fields.moment(data.get("created"))
    if identity is None or currency is None or status is None or amount is None or created_at is None:
        return None
    return StripeRefund(
        id=identity,
        payment_intent_id=reference(data.get("payment_intent")),
        amount=amount,
        currency=currency,
        status=status,
        failure_code=fields.text(data.get("failure_reason")),
        our_id=number(fields.mapping(data.get("metadata")).get("refundId")),
        created_at=created_at,
    )


def unreadable(data: Mapping[str, Any]) -> StripeUnreadable | None:
    """What is still known of an object that cannot be read: its id; None when not even that."""
    identity = fields.text(data.get("id"))
    return None if identity is None else StripeUnreadable(identity, reference(data.get("payment_intent")))


def customer(data: Mapping[str, Any]) -> StripeCustomer | None:
    """A customer from Stripe's object, a deleted one too; None without an id."""
    identity = fields.text(data.get("id"))
    if identity is None:
        return None
    return StripeCustomer(
        id=identity,
        email=fields.text(data.get("email")),
        name=fields.text(data.get("name")),
        client_id=client_number(data),
        is_deleted=data.get("deleted") is True,
    )


def customer_of(data: Mapping[str, Any]) -> str | None:
    """The customer that an event's object is, or whose discount it is and no subscription's."""
    if data.get("object") == "customer":
        return fields.text(data.get("id"))
    is_whole = data.get("object") == "discount" and data.get("subscription") is None
    return reference(data.get("customer")) if is_whole else None


def client_number(data: Mapping[str, Any]) -> int | None:
    """The client of ours that the object's own metadata names."""
    return number(fields.mapping(data.get("metadata")).get("clientId"))


def reference(value: Any) -> str | None:
    """The id of another object, expanded or not."""
    return fields.text(fields.mapping(value).get("id")) or fields.text(value)


def subject(data: Mapping[str, Any]) -> str | None:
    """What the object says it is about; what was not made here names nothing of ours."""
    metadata = fields.mapping(data.get("metadata"))
    stated = fields.text(metadata.get("subject"))
    if stated and _SUBJECT.fullmatch(stated):
        return stated
    booking = number(metadata.get("bookingId"))
    return None if booking is None else f"booking:{booking}"


def number(value: Any) -> int | None:
    """A number of ours, as Stripe's metadata spells it; None for anything else."""
    stated = fields.text(value)
    return int(stated) if stated and _NUMBER.fullmatch(stated) else None


def whole(value: Any) -> int | None:
    """A whole number as JSON has it, such as an amount in minor units; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: Any, words: Any) -> Any:
    """The value when it is one of the words of this literal type."""
    return value if isinstance(value, str) and value in get_args(words) else None
