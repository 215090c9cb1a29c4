"""What becomes of a refund, and of the money that it reserves; whoever calls this holds the lock of its payment.

A refund follows Stripe: on to `sent` and `succeeded`, and to `failed` even after that, for a bank may send money back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound, ProviderUnavailable
from admin_app.integrations.money_ports import RefundStatus, StripeRefund
from admin_app.services import audit, payments, provider_calls
from admin_app.services.amounts import money_text, summed
from admin_app.services.audit import Change
from admin_app.services.records import refund_key
from models.money import (
    RESERVING,
    Approval,
    CallState,
    Payment,
    ProviderCall,
    Refund,
    RefundOrigin,
    RefundReason,
    RefundState,
)

STATE_BY_STATUS: dict[RefundStatus, RefundState] = {
    "pending": RefundState.SENT,
    "requires_action": RefundState.SENT,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}
# How far along each state is once Stripe has the refund; what was heard late never leads back.
ORDER = {RefundState.SENT: 1, RefundState.SUCCEEDED: 2, RefundState.FAILED: 3}
# Nothing was sent, or it is not known to have arrived: the first to give way to money that is gone already.
GIVES_WAY = (RefundState.AWAITING_APPROVAL, RefundState.REQUESTED, RefundState.UNKNOWN)
ELSEWHERE = "refunded_elsewhere"


class DoesNotAddUp(ProviderUnavailable):
    """More went back than was taken: what was heard is out of date, and asking again tells the truth."""

    code = "refunds_do_not_add_up"

    def __init__(self) -> None:
        super().__init__("stripe", "What Stripe says about the refunds does not add up. It is asked again.")


@dataclass(frozen=True)
class RefundNews:
    """A payment's refunds after Stripe was heard: what changed just now, and whether nothing is left of the payment."""

    payment: Payment
    changed: tuple[Refund, ...]
    all_given_back: bool


def sending_key(refund_id: int | str) -> str:
    """The idempotency key of a refund: its row's number, so that however often it is sent it is one refund."""
    return f"refund-{refund_id}"


def amount_of(refund: Refund) -> str:
    return money_text(refund.amount, refund.currency)


def records_of(payment: Payment, refund: Refund) -> list[str]:
    """The records that a change of this refund is about."""
    return [refund_key(refund.id), *payments.records_of(payment)]


def locked(ctx: Ctx, refund_id: int) -> tuple[Payment, Refund]:
    """The refund as it is now and its payment, whose lock is the lock of both."""
    payment_id = ctx.session.scalar(select(Refund.payment_id).where(Refund.id == refund_id))
    if payment_id is None:
        raise NotFound("There is no such refund.")
    payment = payments.locked(ctx, payment_id)
    return payment, ctx.session.get_one(Refund, refund_id, populate_existing=True)


def refunds_of(session: Session, payment_id: int) -> list[Refund]:
    """The refunds of a payment as they are now, oldest first."""
    query = select(Refund).where(Refund.payment_id == payment_id).order_by(Refund.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def reserve(ctx: Ctx, payment: Payment) -> None:
    """Bring the payment's reserve in line with its refunds; the table refuses more than was captured."""
    ctx.session.flush()  # the sum is the database's, so it has to know the refunds first
    query = select(func.coalesce(summed(Refund.amount), 0))
    reserved = ctx.session.scalar(query.where(Refund.payment_id == payment.id, Refund.state.in_(RESERVING)))
    if payment.reserved_amount != reserved:
        payment.reserved_amount = reserved or 0
        payment.version += 1
        payment.updated_at = ctx.now


def move(ctx: Ctx, payment: Payment, refund: Refund, state: RefundState, failure_code: str | None = None) -> None:
    """Put a refund into a state, with its money and its history; the reserve is brought in line by the caller."""
    changes = [Change("state", refund.state, state), Change("failure_code", refund.failure_code, failure_code)]
    refund.state, refund.failure_code = state, failure_code
    refund.settled_at = ctx.now if state in (RefundState.SUCCEEDED, RefundState.FAILED) else None
    refund.updated_at = ctx.now
    refund.version += 1
    audit.record(
        ctx,
        "refund.settled",
        records=records_of(payment, refund),
        changes=changes,
        facts={"amount": amount_of(refund), "state": state},
    )


def take_in(ctx: Ctx, payment: Payment, told: Sequence[StripeRefund]) -> RefundNews:
    """Apply every refund of a payment as Stripe has it now, those included that somebody made there."""
    ours = refunds_of(ctx.session, payment.id)
    changed = [refund for each in told if (refund := _take_in_one(ctx, payment, each, ours))]
    ctx.session.flush()
    _make_room(ctx, payment, {each.id for each in told})
    reserve(ctx, payment)
    return RefundNews(payment, tuple(changed), all_given_back(ctx.session, payment))


def all_given_back(session: Session, payment: Payment) -> bool:
    """Whether everything that was captured went back."""
    query = select(func.coalesce(summed(Refund.amount), 0))
    gone = session.scalar(query.where(Refund.payment_id == payment.id, Refund.state == RefundState.SUCCEEDED))
    return 0 < payment.captured_amount <= (gone or 0)


def _take_in_one(ctx: Ctx, payment: Payment, told: StripeRefund, ours: list[Refund]) -> Refund | None:
    """The refund that this one of Stripe's moved on or brought in; None when it tells nothing new."""
    refund = _ours(told, ours)
    if refund is None:
        refund = _found(ctx, payment, told)
        ours.append(refund)
        return refund
    # A failure that was noted before Stripe had the refund says nothing about this one.
    known = 0 if refund.stripe_refund_id is None else ORDER.get(refund.state, 0)
    refund.stripe_refund_id = told.id
    refund.sent_at = refund.sent_at or told.created_at
    _note_call(ctx, refund, told)
    state = STATE_BY_STATUS[told.status]
    if ORDER[state] <= known:
        return None
    move(ctx, payment, refund, state, told.failure_code)
    return refund


def _ours(told: StripeRefund, ours: list[Refund]) -> Refund | None:
    for refund in ours:
        if refund.stripe_refund_id == told.id:
            return refund
    return next((refund for refund in ours if refund.id == told.our_id and refund.stripe_refund_id is None), None)


def _found(ctx: Ctx, payment: Payment, told: StripeRefund) -> Refund:
    """Write down a refund that was made at Stripe."""
    state = STATE_BY_STATUS[told.status]
    refund = Refund(
        payment_id=payment.id,
        amount=told.amount,
        currency=told.currency,
        state=state,
        origin=RefundOrigin.PROVIDER,
        reason=RefundReason.OTHER,
        requested_by="Stripe",
        stripe_refund_id=told.id,
        failure_code=told.failure_code,
        sent_at=told.created_at,
        settled_at=None if state is RefundState.SENT else ctx.now,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(refund)
    ctx.session.flush()  # its number is wanted
    ctx.session.refresh(refund)
    facts = {"amount": amount_of(refund)}
    audit.record(ctx, "refund.found", records=records_of(payment, refund), facts=facts)
    return refund


def _note_call(ctx: Ctx, refund: Refund, told: StripeRefund) -> None:
    """A call of ours that nobody had heard about has arrived after all."""
    key = sending_key(refund.id)
    call = ctx.session.scalar(select(ProviderCall).where(ProviderCall.idempotency_key == key))
    if call is not None and call.state is not CallState.SUCCEEDED:
        provider_calls.finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=told.id)


def _make_room(ctx: Ctx, payment: Payment, at_stripe: set[str]) -> None:
    """Money that went back at Stripe is gone, so what has not left here gives way to it.

    What left and is not at Stripe goes last: with the rest gone Stripe cannot grant it any more.
    """
    refunds = refunds_of(ctx.session, payment.id)
    over = sum(refund.amount for refund in refunds if refund.state in RESERVING) - payment.captured_amount
    waiting = [refund for refund in refunds if refund.state in GIVES_WAY and refund.stripe_refund_id not in at_stripe]
    for refund in sorted(waiting, key=_gives_way_first):
        if over <= 0:
            return
        if refund.state is RefundState.AWAITING_APPROVAL:
            _withdraw(ctx, refund)
            move(ctx, payment, refund, RefundState.DECLINED, ELSEWHERE)
        else:
            move(ctx, payment, refund, RefundState.FAILED, ELSEWHERE)
        over -= refund.amount
    if over > 0:
        raise DoesNotAddUp


def _gives_way_first(refund: Refund) -> tuple[bool, bool, int]:
    return refund.state is not RefundState.AWAITING_APPROVAL, refund.sent_at is not None, -refund.id


def _withdraw(ctx: Ctx, refund: Refund) -> None:
    approval = ctx.session.scalar(select(Approval).where(Approval.refund_id == refund.id))
    if approval is not None:
        approval.decision, approval.decided_at = "declined", ctx.now
        approval.reason = "The money was given back at Stripe meanwhile."
