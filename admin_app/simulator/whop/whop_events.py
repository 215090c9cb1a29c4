"""Deliveries as Whop makes them, in each form that an endpoint may be set to.

`v1`: current envelope, older payload shape (an endpoint without a pinned version); `pinned`: current envelope
and payload; `v5` and `v2`: the forms before, signed with X-Whop-Signature.
"""

from typing import Any

from admin_app.simulator.whop import whop_answers
from admin_app.simulator.whop.whop_records import (
    ACCOUNT_ID,
    ACCOUNT_TITLE,
    PRODUCT_ID,
    PRODUCT_TITLE,
    Membership,
    Payment,
    Refund,
    iso,
    new_id,
)

FORMS = ("v1", "pinned", "v5", "v2")
_LEGACY_NAMES = {
    "membership.activated": "membership.went_valid",
    "membership.deactivated": "membership.went_invalid",
}


def event(form: str, name: str, at: int, record: Membership, paid: Payment | None = None) -> dict[str, Any]:
    """The body of one delivery about a membership, or about a payment for it."""
    if form in {"v1", "pinned"}:
        return {
            "id": new_id("msg"),
            "api_version": "v1",
            "timestamp": iso(at),
            "type": name,
            "company_id": ACCOUNT_ID,
            "data": _data(form, record, paid),
        }
    body = {"action": _LEGACY_NAMES.get(name, name), "data": _data(form, record, paid)}
    return {**body, "api_version": "v5"} if form == "v5" else body


def _data(form: str, record: Membership, paid: Payment | None) -> dict[str, Any]:
    if form == "pinned":
        return whop_answers.payment(paid, record) if paid else whop_answers.membership(record)
    if form == "v1":
        return _v1_payment(paid, record) if paid else _v1_membership(record)
    if form == "v5":
        return _v5_payment(paid, record) if paid else _v5_membership(record)
    return _v2_payment(paid, record) if paid else _v2_membership(record)


def _v1_user(record: Membership) -> dict[str, Any]:
    return {
        "id": record.user_id,
        "email": record.email,
        "name": record.name,
        "profile_pic": "https://assets.example.com/u/1.png",
        "username": record.user_id.replace("_", ""),
    }


def _v1_membership(record: Membership) -> dict[str, Any]:
    amount = record.terms.amount
    return {
        "cancel_at_period_end": record.cancel_at_period_end,
        "canceled_at": iso(record.canceled_at) if record.canceled_at else None,
        "company": {"id": ACCOUNT_ID, "title": ACCOUNT_TITLE},
        "created_at": iso(record.created_at),
        "currency": "usd",
        "custom_field_responses": [],
        "formatted_renewal_price": f"${record.terms.renews}",
        "id": record.id,
        "initial_price_paid": f"${amount}",
        "joined_at": iso(record.created_at),
        "license_key": None,
        "member": {"id": record.member_id},
        "metadata": {},
        "payment_collection_paused": False,
        "plan": {"id": record.terms.id, "metadata": {}},
        "product": {"id": PRODUCT_ID, "title": PRODUCT_TITLE, "metadata": {}},
        "promo_code": None,
        "renewal_period_start": iso(record.period_start),
        "renewal_period_end": iso(record.end) if record.end else None,
        "status": record.status,
        "updated_at": iso(record.updated_at),
        "user": _v1_user(record),
    }


def _v1_payment(paid: Payment, record: Membership) -> dict[str, Any]:
    dollars = record.terms.cents / 100
    return {
        "amount_after_fees": dollars,
        "auto_refunded": False,
        "billing_reason": "subscription_create" if paid.first else "subscription_cycle",
        "company": {"id": ACCOUNT_ID, "title": ACCOUNT_TITLE, "route": "demo-studio"},
        "created_at": iso(paid.created_at),
        "currency": "usd",
        "fees": [],
        "financing_transactions": [],
        "id": paid.id,
        "member": {"id": record.member_id, "phone": None},
        "membership": {"id": record.id, "status": record.status},
        "metadata": {},
        "paid_at": iso(paid.created_at),
        "plan": {"id": record.terms.id},
        "product": {"id": PRODUCT_ID, "title": PRODUCT_TITLE, "route": "membership"},
        "refundable": True,
        "refunded_amount": 0.0,
        "refunds": [],
        "retryable": False,
        "settlement_amount": 0,
        "settlement_currency": "usd",
        "status": "paid",
        "substatus": "succeeded",
        "subtotal": dollars,
        "three_ds_verified": False,
        "total": dollars,
        "updated_at": iso(paid.created_at),
        "usd_total": dollars,
        "user": {key: value for key, value in _v1_user(record).items() if key != "profile_pic"},
        "voidable": False,
    }


def _legacy_membership(record: Membership) -> dict[str, Any]:
    return {
        "id": record.id,
        "created_at": record.created_at,
        "expires_at": record.updated_at if record.is_over else None,
        "renewal_period_start": record.period_start,
        "renewal_period_end": record.end,
        "quantity": 1,
        "status": record.status,
        "valid": not record.is_over,
        "cancel_at_period_end": record.cancel_at_period_end,
        "license_key": None,
        "metadata": {},
        "manage_url": f"https://whop.com/hub/memberships/{record.id}",
    }


def _v5_membership(record: Membership) -> dict[str, Any]:
    return {
        **_legacy_membership(record),
        "product_id": PRODUCT_ID,
        "user_id": record.user_id,
        "plan_id": record.terms.id,
        "page_id": ACCOUNT_ID,
        "checkout_id": None,
        "affiliate_username": None,
        "company_buyer_id": None,
        "marketplace": False,
        "custom_field_responses": [],
    }


def _v5_payment(paid: Payment, record: Membership) -> dict[str, Any]:
    dollars = record.terms.cents / 100
    return {
        "id": paid.id,
        "membership_id": record.id,
        "product_id": PRODUCT_ID,
        "user_id": record.user_id,
        "plan_id": record.terms.id,
        "company_id": ACCOUNT_ID,
        "created_at": paid.created_at,
        "paid_at": iso(paid.created_at),
        "refunded_at": None,
        "last_payment_attempt": iso(paid.created_at),
        "next_payment_attempt": None,
        "status": "paid",
        "subtotal": dollars,
        "final_amount": dollars,
        "amount_after_fees": dollars,
        "currency": "usd",
        "refunded_amount": 0.0,
        "payments_failed": 0,
        "payment_method_type": "card",
        "metadata": {},
        "membership_metadata": {},
        "billing_usage_ids": [],
        "affiliate": None,
    }


def _v2_nested(record: Membership) -> dict[str, Any]:
    return {
        "product": {"id": PRODUCT_ID, "name": PRODUCT_TITLE, "visibility": "visible"},
        "user": {
            "id": record.user_id,
            "username": record.user_id.replace("_", ""),
            "email": record.email,
            "profile_pic_url": "https://assets.example.com/u/1.png",
            "social_accounts": [],
        },
        "plan": {
            "id": record.terms.id,
            "plan_type": "one_time" if record.terms.is_bought_once else "renewal",
            "billing_period": record.terms.days or None,
            "renewal_price": record.terms.amount,
            "initial_price": "0.0",
            "base_currency": "usd",
        },
    }


def _v2_membership(record: Membership) -> dict[str, Any]:
    return {**_legacy_membership(record), **_v2_nested(record), "email": record.email}


def _v2_payment(paid: Payment, record: Membership) -> dict[str, Any]:
    dollars = record.terms.cents / 100
    return {
        **_v2_nested(record),
        "id": paid.id,
        "membership": record.id,
        "final_amount": dollars,
        "subtotal": dollars,
        "currency": "usd",
        "payments_failed": 0,
        "refunded_amount": 0,
        "status": "paid",
        "refunded_at": None,
        "last_payment_attempt": None,
        "next_payment_attempt": None,
    }


def about_refund(form: str, made: Refund, paid: Payment, record: Membership) -> dict[str, Any]:
    """The delivery of a refund; the forms of before have the older payload."""
    data = whop_answers.refund(made) if form == "pinned" else _v1_refund(made, paid, record)
    if form in {"v1", "pinned"}:
        envelope = {"id": new_id("msg"), "api_version": "v1", "timestamp": iso(made.created_at)}
        return {**envelope, "type": "refund.created", "company_id": ACCOUNT_ID, "data": data}
    body = {"action": "refund.created", "data": data}
    return {**body, "api_version": "v5"} if form == "v5" else body


def _v1_refund(made: Refund, paid: Payment, record: Membership) -> dict[str, Any]:
    of = _v1_payment(paid, record)
    kept = ("id", "created_at", "paid_at", "currency", "total", "subtotal", "usd_total", "metadata", "member", "user")
    return {
        "amount": made.cents / 100,
        "created_at": iso(made.created_at),
        "currency": "usd",
        "id": made.id,
        "metadata": made.metadata,
        "payment": {**{name: of[name] for name in kept}, "membership": of["membership"]},
        "provider": "stripe",
        "status": made.status,
    }
