"""Memberships, members and payments in the shape of Api-Version-Date 2026-10-15-1."""

from typing import Any

from admin_app.simulator.whop.whop_records import (
    ACCOUNT_ID,
    ACCOUNT_TITLE,
    PRODUCT_ID,
    PRODUCT_TITLE,
    Membership,
    Payment,
    Refund,
    amount,
    iso,
)


def money(amount: str) -> dict[str, Any]:
    return {"amount": amount, "currency": "usd", "decimals": 2, "display_decimals": 2}


def membership(record: Membership) -> dict[str, Any]:
    """The buyer's e-mail is not part of it: only the member has that."""
    return {
        "account": {"id": ACCOUNT_ID, "route": "demo-studio", "title": ACCOUNT_TITLE, "logo_url": None},
        "billing_period_days": record.terms.days or None,
        "cancel_at_period_end": record.cancel_at_period_end,
        "canceled_at": iso(record.canceled_at) if record.canceled_at else None,
        "collection_method": "charge_automatically",
        "created_at": iso(record.created_at),
        "current_period_start": iso(record.period_start),
        "current_period_end": iso(record.end) if record.end else None,
        "id": record.id,
        "initial_price": money(record.terms.amount),
        "manage_url": None,
        "member_id": record.member_id,
        "metadata": {},
        "plan_id": record.terms.id,
        "product": {"id": PRODUCT_ID, "title": PRODUCT_TITLE, "logo_url": None},
        "product_id": PRODUCT_ID,
        "renewal_price": None if record.terms.is_bought_once else money(record.terms.amount),
        "status": record.status,
        "updated_at": iso(record.updated_at),
        "user_id": record.user_id,
    }


def user_summary(record: Membership) -> dict[str, Any]:
    return {
        "id": record.user_id,
        "name": record.name,
        "username": record.user_id.replace("_", ""),
        "profile_picture": {"url": "https://assets.example.com/u/1.png"},
    }


def member(record: Membership) -> dict[str, Any]:
    return {
        "access_level": "customer" if not record.is_over else "no_access",
        "account_id": ACCOUNT_ID,
        "created_at": iso(record.created_at),
        "display_name": record.name,
        "email": record.email,
        "id": record.member_id,
        "joined_at": iso(record.created_at),
        "status": "joined" if not record.is_over else "left",
        "token_balance": 0,
        "usd_total_spent": money(record.terms.amount),
        "user": user_summary(record),
    }


def payment(paid: Payment, record: Membership) -> dict[str, Any]:
    price = record.terms.amount
    return {
        "account_id": ACCOUNT_ID,
        "amount_after_fees": money(price),
        "auto_refunded": False,
        "billing_reason": "subscription_create" if paid.first else "subscription_cycle",
        "created_at": iso(paid.created_at),
        "currency": "usd",
        "customer_email": record.email,
        "holds": [],
        "id": paid.id,
        "line_items": [],
        "member_id": record.member_id,
        "membership_id": record.id,
        "metadata": {},
        "paid_at": iso(paid.created_at) if paid.paid else None,
        "payment_method_type": "card",
        "payment_rule_matches": [],
        "payments_failed": 0 if paid.paid else 1,
        "plan_id": record.terms.id,
        "product_id": PRODUCT_ID,
        "refundable": paid.paid and paid.refunded < record.terms.cents,
        "refunded_amount": money(amount(paid.refunded)),
        "refunded_at": iso(paid.refunded_at) if paid.refunded_at else None,
        "retryable": not paid.paid,
        "status": "paid" if paid.paid else "open",
        "substatus": _substatus(paid, record),
        "subtotal": money(price),
        "tax_refunded_amount": money("0.00"),
        "three_ds_verified": False,
        "total": money(price),
        "updated_at": iso(paid.refunded_at or paid.created_at),
        "usd_total": money(price),
        "user": user_summary(record),
        "voidable": False,
    }


def _substatus(paid: Payment, record: Membership) -> str:
    if not paid.paid:
        return "failed"
    if paid.refunded == 0:
        return "succeeded"
    return "refunded" if paid.refunded >= record.terms.cents else "partially_refunded"


def refund(made: Refund) -> dict[str, Any]:
    return {
        "account_id": ACCOUNT_ID,
        "amount": money(amount(made.cents)),
        "created_at": iso(made.created_at),
        "failure_message": None,
        "failure_reason": None,
        "id": made.id,
        "metadata": made.metadata,
        "original_amount": money(amount(made.cents)),
        "payment_id": made.payment_id,
        "provider": "stripe",
        "provider_created_at": iso(made.created_at),
        "reason": "requested_by_customer",
        "reference_status": None,
        "reference_type": None,
        "reference_value": None,
        "status": made.status,
        "updated_at": iso(made.created_at),
        "visa_rdr": False,
    }
