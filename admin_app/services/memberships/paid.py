"""The payments of memberships as rows: each follows what the provider says when it is asked, in any order.

An answer that is older than what a row knows changes nothing; the same again changes nothing either. What the
memberships themselves say was paid follows from the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeInvoicePayment, StripePayment, StripeRefund
from admin_app.integrations.ports import WhopPayment, WhopRefund
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.records import lock_names, membership_key, membership_payment_key
from admin_app.services.memberships.extras import name_of
from admin_app.services.memberships.rows import put
from admin_app.services.payments import disputes, refund_states
from admin_app.services.payments.refund_states import RefundSnapshot
from admin_app.services.payments.refund_tills import FromWhop, to_minor
from models.memberships import MembershipPayment, ProviderMembership

WHOP_PAID = "paid"


@dataclass(frozen=True)
class PaymentSnapshot:
    """One payment as its provider has it now, in minor units. `refunds` is None when they were not asked for."""

    external_id: str
    status: str
    amount: int
    currency: str
    captured: int
    refunded: int
    refundable: bool
    created_at: datetime | None
    paid_at: datetime | None
    refunds: tuple[RefundSnapshot, ...] | None
    invoice_id: str | None = None
    fee: int | None = None
    dispute_status: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None

    @classmethod
    def of_whop(cls, found: WhopPayment, given_back: Sequence[WhopRefund] | None) -> "PaymentSnapshot":
        total = to_minor(found.total, found.currency)
        is_paid = found.status == WHOP_PAID
        disputed = found.substatus if found.substatus and "dispute" in found.substatus else None
        return cls(
            external_id=found.id,
            status=found.status if found.substatus is None else found.substatus,
            amount=total,
            currency=found.currency,
            captured=total if is_paid else 0,
            refunded=to_minor(found.refunded, found.currency),
            refundable=found.refundable,
            created_at=found.created_at,
            paid_at=(found.paid_at or found.created_at) if is_paid else None,
            refunds=None if given_back is None else tuple(FromWhop.of(each, found.currency) for each in given_back),
            dispute_status=disputed,
        )

    @classmethod
    def of_stripe(
        cls, found: StripePayment, given_back: Sequence[StripeRefund] | None, *, invoice_id: str | None = None
    ) -> "PaymentSnapshot":
        statuses = [each.status for each in found.every_dispute]
        forbids = (status for status in statuses if status not in disputes.REFUNDABLE)
        disputed = next(forbids, statuses[0] if statuses else None)
        is_open = disputed is None or disputed in disputes.REFUNDABLE
        return cls(
            external_id=found.id,
            status=found.status,
            amount=found.captured,
            currency=found.currency,
            captured=found.captured,
            refunded=found.refunded,
            refundable=is_open and found.captured > found.refunded,
            created_at=None,
            paid_at=None,
            refunds=None if given_back is None else tuple(given_back),
            invoice_id=invoice_id,
            fee=found.fee,
            dispute_status=disputed,
        )

    @classmethod
    def of_invoice(cls, found: StripeInvoicePayment, given_back: Sequence[StripeRefund] | None) -> "PaymentSnapshot":
        return replace(
            cls.of_stripe(found.payment, given_back, invoice_id=found.invoice_id),
            amount=max(found.amount, found.payment.captured),
            created_at=found.created_at,
            paid_at=(found.paid_at or found.created_at) if found.payment.captured else None,
            period_start=found.period_start,
            period_end=found.period_end,
        )


def apply(
    ctx: Ctx, membership_id: int, snapshots: Sequence[PaymentSnapshot], *, asked_at: datetime, is_all: bool = True
) -> None:
    """Bring a membership's rows to what the provider said at that moment; `is_all`: it was asked for all of them."""
    row = _locked(ctx, membership_id)
    if row is None:
        return
    for each in sorted(snapshots, key=lambda found: (found.created_at is None, found.created_at, found.external_id)):
        _apply_one(ctx, row, each, asked_at)
    if is_all and (row.payments_asked_at is None or row.payments_asked_at < asked_at):
        row.payments_asked_at = asked_at
    ctx.session.flush()
    put(ctx, row, **_latest(ctx.session, row))


def _locked(ctx: Ctx, membership_id: int) -> ProviderMembership | None:
    """By its name first, as whoever changes a membership does."""
    known = ctx.session.get(ProviderMembership, membership_id)
    if known is None:
        return None
    lock_names(ctx.session, f"membership:{known.external_id}")
    return ctx.session.get(ProviderMembership, membership_id, with_for_update=True, populate_existing=True)


def _latest(session: Session, row: ProviderMembership) -> dict[str, Any]:
    """What the membership says was paid: its latest payment that was; nothing while there is none."""
    newest = (
        select(MembershipPayment)
        .where(MembershipPayment.membership_id == row.id, MembershipPayment.captured_amount > 0)
        .order_by(MembershipPayment.paid_at.desc().nulls_last(), MembershipPayment.id.desc())
        .limit(1)
    )
    found = session.scalar(newest)
    return {} if found is None else {"paid_amount": found.captured_amount, "paid_currency": found.currency}


def _apply_one(ctx: Ctx, row: ProviderMembership, snapshot: PaymentSnapshot, asked_at: datetime) -> None:
    payment = _known(ctx.session, row, snapshot)
    if payment is not None and payment.membership_id != row.id:
        return  # its first membership's: a payment of several is told with each
    if payment is not None and payment.asked_at > asked_at:
        return
    was_paid = payment is not None and payment.captured_amount > 0
    if payment is None:
        payment = _new(ctx, row, snapshot, asked_at)
    _follow(ctx, payment, snapshot)
    payment.asked_at = asked_at
    ctx.session.flush()
    if snapshot.refunds is not None:
        refund_states.apply(ctx, payment, snapshot.refunds)
    if payment.captured_amount > 0 and not was_paid:
        amount = money_text(payment.captured_amount, payment.currency)
        audit.record(
            ctx,
            "membership.paid",
            records=[membership_payment_key(payment.id), membership_key(name_of(row))],
            facts={"amount": amount, "membership": name_of(row)},
        )


def _known(session: Session, row: ProviderMembership, snapshot: PaymentSnapshot) -> MembershipPayment | None:
    named = select(MembershipPayment).where(
        MembershipPayment.provider == row.provider, MembershipPayment.external_id == snapshot.external_id
    )
    return session.scalar(named.with_for_update().execution_options(populate_existing=True))


def _new(ctx: Ctx, row: ProviderMembership, snapshot: PaymentSnapshot, asked_at: datetime) -> MembershipPayment:
    payment = MembershipPayment(
        membership_id=row.id,
        provider=row.provider,
        external_id=snapshot.external_id,
        provider_status=snapshot.status,
        amount=snapshot.amount,
        currency=snapshot.currency,
        captured_amount=0,
        refunded_amount=0,
        reserved_amount=0,
        refundable=False,
        asked_at=asked_at,
        created_at=snapshot.created_at or ctx.now,
        updated_at=ctx.now,
        version=0,
    )
    ctx.session.add(payment)
    return payment


def _follow(ctx: Ctx, payment: MembershipPayment, snapshot: PaymentSnapshot) -> None:
    """Set what differs. What an answer leaves out stays; money that was taken stays taken."""
    told_values: dict[str, Any] = {
        "provider_status": snapshot.status,
        "amount": max(snapshot.amount, payment.amount),
        "captured_amount": max(snapshot.captured, payment.captured_amount),
        "refunded_amount": snapshot.refunded,
        "refundable": snapshot.refundable,
        "dispute_status": snapshot.dispute_status,
    }
    left_out = {
        "invoice_id": snapshot.invoice_id,
        "fee_amount": snapshot.fee,
        "paid_at": snapshot.paid_at,
        "period_start": snapshot.period_start,
        "period_end": snapshot.period_end,
    }
    values = told_values | {name: value for name, value in left_out.items() if value is not None}
    if any(getattr(payment, name) != value for name, value in values.items()):
        for name, value in values.items():
            setattr(payment, name, value)
        payment.version += 1
        payment.updated_at = ctx.now
