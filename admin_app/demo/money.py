"""What was paid for the many bookings and meetings, and what of it went back, derived from the rows themselves."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, insert, literal, select, update

from admin_app.demo.clock import Stage
from models import (
    Booking,
    BookingSource,
    BookingStatus,
    CanceledBecause,
    Meeting,
    Payment,
    PaymentState,
    Refund,
    RefundOrigin,
    RefundReason,
    RefundState,
)

NEVER_PAID = (CanceledBecause.NEVER_PAID, CanceledBecause.PAYMENT_FAILED)
SUPPORT = "support@demo.test"
Model = type[Booking] | type[Meeting]


def fill(stage: Stage) -> None:
    """One payment for each that costs something and was sold here; refunds for those whose end asks for one."""
    for model in (Booking, Meeting):
        _payments(stage, model)
        _refunds(stage, model)
    _kept(stage)
    stage.ctx.session.execute(
        update(Booking)
        .where(Payment.booking_id == Booking.id)
        .values(
            stripe_checkout_session_id=Payment.stripe_checkout_session_id,
            stripe_payment_intent_id=Payment.stripe_payment_intent_id,
        )
    )


def _payments(stage: Stage, model: Model) -> None:
    what = model.__tablename__.removesuffix("s")
    unpaid = model.canceled_because.in_(NEVER_PAID)
    failed = model.canceled_because == CanceledBecause.PAYMENT_FAILED
    fee = func.round(model.price_amount * literal(0.029)) + 30
    values: dict[str, Any] = {
        f"{what}_id": model.id,
        "state": case(
            (failed, PaymentState.FAILED.value), (unpaid, PaymentState.EXPIRED.value), else_=PaymentState.PAID.value
        ),
        "amount": model.price_amount,
        "currency": model.price_currency,
        "captured_amount": case((unpaid, 0), else_=model.price_amount),
        "fee_amount": case((unpaid, None), else_=cast(fee, BigInteger)),
        "stripe_checkout_session_id": _made_up(stage, "cs_test_", what, model.id),
        "stripe_payment_intent_id": case((unpaid & ~failed, None), else_=_made_up(stage, "pi_3", what, model.id)),
        "stripe_charge_id": case((unpaid & ~failed, None), else_=_made_up(stage, "ch_3", what, model.id)),
        "paid_at": case((unpaid, None), else_=model.created_at + func.make_interval(0, 0, 0, 0, 0, 3)),
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }
    sold_here = [model.price_amount > 0, model.status != BookingStatus.PENDING]
    if model is Booking:
        sold_here.append(Booking.source == BookingSource.WEBSITE)
    rows = select(*values.values()).where(*sold_here).order_by(model.id)
    stage.ctx.session.execute(insert(Payment).from_select(list(values), rows, include_defaults=False))


def _kept(stage: Stage) -> None:
    """What did not go back of what was called off stays by decision: nothing of earlier times waits for one."""
    left = Payment.captured_amount - Payment.reserved_amount
    stage.ctx.session.execute(
        update(Payment)
        .where(
            left > 0,
            Payment.booking_id.in_(select(Booking.id).where(Booking.status == BookingStatus.CANCELED))
            | Payment.meeting_id.in_(select(Meeting.id).where(Meeting.status == BookingStatus.CANCELED)),
        )
        .values(
            kept_amount=left,
            kept_at=func.least(Payment.updated_at, stage.today),
            kept_by=SUPPORT,
            kept_reason="Called off on the day itself",
        )
    )


def _made_up(stage: Stage, prefix: str, what: str, number: Any) -> ColumnElement[str]:
    """An id as Stripe writes them, the same for the same seed."""
    seed = literal(f"{stage.seed}:{prefix}:{what}:", Text) + cast(number, Text)
    return literal(prefix, Text) + func.substr(func.md5(seed), 1, 24)


def _refunds(stage: Stage, model: Model) -> None:
    """All of what was refunded or called off by the practitioner, half of what the client called off late."""
    key = Payment.booking_id if model is Booking else Payment.meeting_id
    refunded = model.status == BookingStatus.REFUNDED
    ours = model.canceled_because == CanceledBecause.BY_PRACTITIONER
    theirs = (model.canceled_because == CanceledBecause.BY_CLIENT) & (model.id % 2 == 0)
    asked_at = func.least(func.coalesce(model.canceled_at, model.updated_at), stage.today) + func.make_interval(
        0, 0, 0, 0, 0, 2
    )
    values: dict[str, Any] = {
        "payment_id": Payment.id,
        "amount": case((theirs, Payment.captured_amount // 2), else_=Payment.captured_amount),
        "currency": Payment.currency,
        "state": literal(RefundState.SUCCEEDED.value),
        "origin": literal(RefundOrigin.STAFF.value),
        "reason": case((ours, RefundReason.CANCELED_BY_US.value), else_=RefundReason.REQUESTED_BY_CUSTOMER.value),
        "requested_by": literal(SUPPORT),
        "stripe_refund_id": _made_up(stage, "re_3", "payment", Payment.id),
        "sent_at": asked_at,
        "settled_at": asked_at,
        "created_at": asked_at,
        "updated_at": asked_at,
    }
    gone_back = (Payment.captured_amount > 0) & (refunded | ours | theirs)
    rows = select(*values.values()).join(Payment, key == model.id).where(gone_back).order_by(Payment.id)
    session = stage.ctx.session
    session.execute(insert(Refund).from_select(list(values), rows, include_defaults=False))
    session.execute(
        update(Payment).where(Refund.payment_id == Payment.id, key.is_not(None)).values(reserved_amount=Refund.amount)
    )
