"""What members paid at Whop for the period that runs, and one payment of which a part was refunded."""

from typing import Any

from sqlalchemy import Text, case, cast, func, insert, literal, select, update

from admin_app.demo.clock import Stage
from admin_app.simulator.whop.whop_records import PLANS
from models import PaymentProvider, Refund, RefundOrigin, RefundReason, RefundState
from models.memberships import IntervalUnit, MembershipPayment, ProviderMembership

SUPPORT = "support@demo.test"
REFUNDED_CENTS = 2000
CURRENCY = "usd"


def fill(stage: Stage) -> None:
    """A payment for each membership of the crowd, as Whop's price is."""
    _payments(stage)
    _refund_in_part(stage)


def _payments(stage: Stage) -> None:
    row = ProviderMembership
    price = case((row.interval_unit == IntervalUnit.YEAR, PLANS["yearly"].cents), else_=PLANS["monthly"].cents)
    made_up = func.md5(literal(f"{stage.seed}:pay:", Text) + cast(row.id, Text))
    values: dict[str, Any] = {
        "membership_id": row.id,
        "provider": row.provider,
        "external_id": literal("pay_", Text) + func.substr(made_up, 1, 14),
        "provider_status": literal("succeeded", Text),
        "amount": price,
        "currency": literal(CURRENCY, Text),
        "captured_amount": price,
        "refunded_amount": literal(0),
        "reserved_amount": literal(0),
        "refundable": literal(True),
        "paid_at": row.period_start,
        "asked_at": literal(stage.today),
        "created_at": row.period_start,
        "updated_at": row.period_start,
    }
    bought = (row.provider == PaymentProvider.WHOP, row.profile_user_id.is_not(None), row.period_start <= stage.today)
    rows = select(*values.values()).where(*bought).order_by(row.id)
    session = stage.ctx.session
    session.execute(insert(MembershipPayment).from_select(list(values), rows, include_defaults=False))
    session.execute(
        update(row)
        .where(MembershipPayment.membership_id == row.id)
        .values(
            paid_amount=MembershipPayment.captured_amount,
            paid_currency=MembershipPayment.currency,
            payments_asked_at=stage.today,
        )
        .execution_options(synchronize_session=False)
    )


def _refund_in_part(stage: Stage) -> None:
    session, asked_at = stage.ctx.session, stage.ago(days=3)
    monthly = select(MembershipPayment).where(
        MembershipPayment.paid_at < stage.ago(days=4), MembershipPayment.amount == PLANS["monthly"].cents
    )
    paid = session.scalars(monthly.order_by(MembershipPayment.paid_at.desc()).limit(1)).one()
    paid.provider_status = "partially_refunded"
    paid.refunded_amount = paid.reserved_amount = REFUNDED_CENTS
    session.add(
        Refund(
            membership_payment_id=paid.id,
            amount=REFUNDED_CENTS,
            currency=paid.currency,
            state=RefundState.SUCCEEDED,
            origin=RefundOrigin.STAFF,
            reason=RefundReason.REQUESTED_BY_CUSTOMER,
            note="Could not sign in for twelve days.",
            requested_by=SUPPORT,
            whop_refund_id=f"rf_{paid.external_id.removeprefix('pay_')}",
            sent_at=asked_at,
            settled_at=asked_at,
            created_at=asked_at,
            updated_at=asked_at,
        )
    )
    session.flush()
