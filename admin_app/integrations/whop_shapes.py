"""The shapes in which Whop describes memberships and payments, read into one.

Current API and pinned webhooks are flat (`user_id`, `membership_id`, `current_period_*`); unpinned v1 ones
nest (`user.id`, `membership.id`, `renewal_period_*`); v5 is flat with unix seconds; v2 nests, but names a
payment's membership by a bare id.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.integrations import fields
from admin_app.integrations.ports import PlanDuration, WhopMembership

# A late payer keeps access until Whop itself deactivates the membership, so past_due is still active here.
_ACTIVE = frozenset({"trialing", "active", "completed", "canceling", "past_due"})
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_PRICE_PERIOD = re.compile(r"/\s*(?:every\s+)?(\d{1,4})?\s*(day|week|month|year)")


def user_id(data: Mapping[str, Any]) -> str | None:
    return fields.text(data.get("user_id")) or fields.text(fields.mapping(data.get("user")).get("id"))


def member_id(data: Mapping[str, Any]) -> str | None:
    return fields.text(data.get("member_id")) or fields.text(fields.mapping(data.get("member")).get("id"))


def membership_named_by(data: Mapping[str, Any]) -> str | None:
    """The membership that a payment, or the payment behind a refund or dispute, is for."""
    nested, payment = data.get("membership"), fields.mapping(data.get("payment"))
    return (
        fields.text(data.get("membership_id"))
        or fields.text(nested)
        or fields.text(fields.mapping(nested).get("id"))
        or fields.text(fields.mapping(payment.get("membership")).get("id"))
    )


def email(data: Mapping[str, Any]) -> str | None:
    """The buyer's address; the current membership shape has none."""
    user, member = fields.mapping(data.get("user")), fields.mapping(data.get("member"))
    found = (data.get("customer_email"), user.get("email"), data.get("email"), member.get("email"))
    return next((address for address in map(fields.email, found) if address), None)


def name(data: Mapping[str, Any]) -> str | None:
    user, member = fields.mapping(data.get("user")), fields.mapping(data.get("member"))
    return fields.text(user.get("name")) or fields.text(member.get("name"))


def period(data: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Start and end of the billing period; an end that is not after the start is no end."""
    start, end = (
        fields.moment(data.get(f"current_period_{edge}")) or fields.moment(data.get(f"renewal_period_{edge}"))
        for edge in ("start", "end")
    )
    if start and end and end <= start:
        end = None
    return start, end


def plan_duration(data: Mapping[str, Any]) -> PlanDuration | None:
    """Monthly or yearly by the first source that says so; None for other rhythms and one-time plans."""
    plan = fields.mapping(data.get("plan"))
    stated = (data.get("billing_period_days"), plan.get("billing_period_days"), plan.get("billing_period"))
    for days in (*map(fields.number, stated), _days_of_price(data.get("formatted_renewal_price"))):
        if days:
            return _duration(days)
    start, end = period(data)
    return _duration((end - start).days) if start and end else None


def _days_of_price(price: Any) -> float | None:
    found = _PRICE_PERIOD.search((fields.text(price) or "").lower())
    return int(found[1] or 1) * _DAYS[found[2]] if found else None


def _duration(days: float) -> PlanDuration | None:
    if days >= 300:
        return "yearly"
    return "monthly" if 25 <= days <= 35 else None


def membership(data: Mapping[str, Any]) -> WhopMembership | None:
    """A membership from any shape; None without an id."""
    identity = fields.text(data.get("id"))
    if identity is None:
        return None
    start, end = period(data)
    valid = fields.flag(data.get("valid"))
    active = fields.text(data.get("status")) in _ACTIVE if valid is None else valid
    return WhopMembership(
        id=identity,
        user_id=user_id(data),
        member_id=member_id(data),
        email=email(data),
        name=name(data),
        status="active" if active else "inactive",
        plan_duration=plan_duration(data),
        period_start=start,
        period_end=end,
        cancel_at_period_end=bool(fields.flag(data.get("cancel_at_period_end"))),
        created_at=fields.moment(data.get("created_at")),
        updated_at=fields.moment(data.get("updated_at")),
    )
