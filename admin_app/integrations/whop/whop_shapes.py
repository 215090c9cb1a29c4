"""The shapes in which Whop describes memberships and payments, read into one.

Current API and pinned webhooks are flat (`user_id`, `membership_id`, `current_period_*`); unpinned v1 ones
nest (`user.id`, `membership.id`, `renewal_period_*`); v5 is flat with unix seconds; v2 nests, but names a
payment's membership by a bare id.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypedDict, get_args

from admin_app.integrations.http import fields
from admin_app.integrations.money_ports import RefundStatus
from admin_app.integrations.ports import Interval, PlanDuration, Rhythm, WhopMembership, WhopPayment, WhopRefund

# A late payer keeps access until Whop itself deactivates the membership, so past_due is still active here.
_ACTIVE = frozenset({"trialing", "active", "completed", "canceling", "past_due"})
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_MOST_DAYS = 36_600
_REFUND_STATUSES: dict[str, RefundStatus] = {word: word for word in get_args(RefundStatus)}
_PRICE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_PRICE_PERIOD = re.compile(r"/\s*(?:every\s+)?(\d{1,4})?\s*(day|week|month|year)")


def cancels(data: Mapping[str, Any]) -> bool | None:
    """Whether it ends with its period: as it says, or by its status; None when it does not say."""
    said = fields.flag(data.get("cancel_at_period_end"))
    return True if said is None and fields.text(data.get("status")) == "canceling" else said


def user_id(data: Mapping[str, Any]) -> str | None:
    """The buyer's id, however deep the shape has it."""
    user = data.get("user")  # v2 names it by its bare id at times
    return fields.text(data.get("user_id")) or fields.text(user) or fields.text(fields.mapping(user).get("id"))


def member_id(data: Mapping[str, Any]) -> str | None:
    """The id of the buyer as a member of the business; the current shapes alone have it."""
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
    """The buyer's name; the current membership shape has none."""
    user, member = fields.mapping(data.get("user")), fields.mapping(data.get("member"))
    return fields.text(user.get("name")) or fields.text(member.get("name"))


def period(data: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Start and end of the billing period; an end that is not after the start is no end."""
    start, end = (
        fields.moment(data.get(f"current_period_{edge}")) or fields.moment(data.get(f"renewal_period_{edge}"))
        for edge in ("start", "end")
    )
    if end is None and is_bought_once(data):
        end = fields.moment(data.get("expires_at"))
    if start and end and end <= start:
        end = None
    return start, end


def plan_duration(data: Mapping[str, Any]) -> PlanDuration | None:
    """Monthly or yearly by the first source that says so; None for other rhythms and one-time plans."""
    told = interval(data)
    if told:
        return _duration(told[1] * _DAYS[told[0]])
    start, end = period(data)
    return _duration((end - start).days) if start and end and not is_bought_once(data) else None


def interval(data: Mapping[str, Any]) -> Interval | None:
    """How often it is paid, as Whop says it: in days, or in the words of its price."""
    plan = fields.mapping(data.get("plan"))
    stated = (data.get("billing_period_days"), plan.get("billing_period_days"), plan.get("billing_period"))
    for days in map(fields.number, stated):
        if days and 1 <= days <= _MOST_DAYS:
            return "day", int(days)
    found = _PRICE_PERIOD.search((fields.text(data.get("formatted_renewal_price")) or "").lower())
    count = int(found[1] or 1) if found else 0
    unit: Literal["day", "week", "month", "year"] | None = found[2] if found else None  # type: ignore[assignment]
    return (unit, count) if unit and 1 <= count * _DAYS[unit] <= _MOST_DAYS else None


def is_bought_once(data: Mapping[str, Any]) -> bool:
    """Whether it is paid once: its plan says so, or Whop calls it completed and names no rhythm."""
    plan = fields.mapping(data.get("plan"))
    kind = fields.text(plan.get("plan_type")) or fields.text(data.get("plan_type"))
    if kind is not None:
        return kind == "one_time"
    return fields.text(data.get("status")) == "completed" and interval(data) is None


def rhythm(data: Mapping[str, Any]) -> Rhythm | None:
    """Paid again and again, once for a time, or once for ever; None when it does not say."""
    if is_bought_once(data):
        return "one_time" if period(data)[1] else "lifetime"
    return "recurring" if interval(data) else None


def product_id(data: Mapping[str, Any]) -> str | None:
    """What was bought, which older shapes call an access pass."""
    return _named(data, "product") or _named(data, "access_pass")


def plan_id(data: Mapping[str, Any]) -> str | None:
    """The plan by which it is paid."""
    return _named(data, "plan")


def _named(data: Mapping[str, Any], what: str) -> str | None:
    found = data.get(what)
    return fields.text(data.get(f"{what}_id")) or fields.text(found) or fields.text(fields.mapping(found).get("id"))


def price(data: Mapping[str, Any]) -> int | None:
    """0 for a plan that is known to cost nothing, neither at first nor later; None otherwise."""
    plan = fields.mapping(data.get("plan"))
    first, later = (_amount(plan.get(name), data.get(name)) for name in ("initial_price", "renewal_price"))
    if first is None:
        first = _amount(data.get("initial_price_paid"))
    if later is None:
        later = _amount(data.get("formatted_renewal_price"))
    if later is None and is_bought_once(data):
        later = 0.0
    return 0 if first == later == 0 else None


def _amount(*stated: Any) -> float | None:
    """A price as a number, as `{"amount": …}` or as text such as "$0.00 / month"."""
    for told in stated:
        value = told.get("amount") if isinstance(told, dict) else told
        found = _PRICE.search(value) if isinstance(value, str) else None
        amount = fields.number(found[0].replace(",", "")) if found else fields.number(value)
        if amount is not None:
            return amount
    return None


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
        cancel_at_period_end=bool(cancels(data)),
        created_at=fields.moment(data.get("created_at")),
        updated_at=fields.moment(data.get("updated_at")),
        **terms(data),
    )


class Terms(TypedDict):
    """What memberships and deliveries say alike of what was sold."""

    rhythm: Rhythm | None
    interval: Interval | None
    provider_status: str | None
    product_id: str | None
    plan_id: str | None
    price: int | None


def terms(data: Mapping[str, Any]) -> Terms:
    """What was sold, as far as the object says."""
    return {
        "rhythm": rhythm(data),
        "interval": interval(data),
        "provider_status": fields.text(data.get("status")),
        "product_id": product_id(data),
        "plan_id": plan_id(data),
        "price": price(data),
    }


def payment(data: Mapping[str, Any]) -> WhopPayment | None:
    """A payment from either shape; None when what matters cannot be read."""
    identity, status = fields.text(data.get("id")), fields.text(data.get("status"))
    currency = fields.text(data.get("currency")) or fields.text(fields.mapping(data.get("total")).get("currency"))
    total, created_at = decimal(data.get("total")), fields.moment(data.get("created_at"))
    if identity is None or status is None or currency is None or total is None or created_at is None:
        return None
    return WhopPayment(
        id=identity,
        membership_id=membership_named_by(data),
        status=status,
        substatus=fields.text(data.get("substatus")),
        total=total,
        refunded=decimal(data.get("refunded_amount")) or Decimal(0),
        currency=currency.lower(),
        refundable=fields.flag(data.get("refundable")) is True,
        paid_at=fields.moment(data.get("paid_at")),
        created_at=created_at,
    )


def refund(data: Mapping[str, Any]) -> WhopRefund | None:
    """A refund from either shape; None when what matters cannot be read."""
    identity = fields.text(data.get("id"))
    status: RefundStatus | None = _REFUND_STATUSES.get(fields.text(data.get("status")) or "")
    # As it settled, in the payment's currency; without an exchange rate only what the processor moved is known.
    stated = data.get("amount") if data.get("amount") is not None else data.get("original_amount")
    amount, created_at = decimal(stated), fields.moment(data.get("created_at"))
    currency = fields.text(fields.mapping(stated).get("currency")) or fields.text(data.get("currency"))
    if identity is None or status is None or amount is None or currency is None or created_at is None:
        return None
    named = fields.text(fields.mapping(data.get("metadata")).get("refundId"))
    return WhopRefund(
        id=identity,
        amount=amount,
        currency=currency.lower(),
        status=status,
        failure_code=fields.text(data.get("failure_reason")),
        our_id=int(named) if named and named.isascii() and named.isdigit() and len(named) <= 18 else None,
        created_at=created_at,
    )


def decimal(stated: Any) -> Decimal | None:
    """An amount in major units, exactly as it was written: `{"amount": "49.00"}`, or a number as older shapes have."""
    value = stated.get("amount") if isinstance(stated, dict) else stated
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        # A float's shortest spelling is what was sent; its binary value is not.
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def payment_named_by(kind: str, data: Mapping[str, Any]) -> str | None:
    """The payment that a delivery is about: itself, or the one behind a refund or a dispute."""
    if kind.startswith("payment."):
        return fields.text(data.get("id"))
    if not kind.startswith(("refund.", "dispute.")):
        return None
    nested = data.get("payment")
    return fields.text(data.get("payment_id")) or fields.text(nested) or fields.text(fields.mapping(nested).get("id"))
