"""What becomes of a refund, and of the money that it reserves; whoever calls this holds the lock of its payment.

A refund follows Stripe: on to `sent` and `succeeded`, and to `failed` even after that, for a bank may send money back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound, ProviderUnavailable
from admin_app.integrations.money_ports import RefundStatus
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text, summed
from admin_app.services.core.audit import Change
from admin_app.services.core.records import refund_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.inbox import provider_calls
from admin_app.services.payments import held_money, refund_sources
from admin_app.services.payments.refund_sources import Paid
from models.inbox import CallState, ProviderCall
from models.memberships import MembershipPayment
from models.payments import RESERVING, Payment, Refund, RefundOrigin, RefundReason, RefundState
from models.refunds import Approval

STATE_BY_STATUS: dict[RefundStatus, RefundState] = {
    "pending": RefundState.SENT,
    "requires_action": RefundState.SENT,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}
# How far along each state is once Stripe has the refund; what was heard late never leads back.
ORDER = {RefundState.SENT: 1, RefundState.SUCCEEDED: 2, RefundState.FAILED: 3}
# Nothing was sent, or it is not known to have arrived: the first to be superseded by money that is gone already.
SUPERSEDABLE = (RefundState.AWAITING_APPROVAL, RefundState.REQUESTED, RefundState.UNKNOWN)
ELSEWHERE = "refunded_elsewhere"
# How what came back was put right: by a refund that took its money.
AGAIN = "again"


class DoesNotAddUp(ProviderUnavailable):
    """More went back than was taken: what was heard is out of date, and asking again tells the truth."""

    code = "refunds_do_not_add_up"

    def __init__(self) -> None:
        super().__init__("stripe", "What Stripe says about the refunds does not add up. It is asked again.")


class RefundSnapshot(Protocol):
    """A refund as a provider has it now, whichever provider that is; the amount in minor units."""

    @property
    def id(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def status(self) -> RefundStatus: ...
    @property
    def failure_code(self) -> str | None: ...
    @property
    def our_id(self) -> int | None: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True)
class RefundNews:
    """A payment's refunds after the provider was heard: what changed, whether nothing is left of the payment, and
    whether money that had gone back came back."""

    payment: Paid
    changed: tuple[Refund, ...]
    all_given_back: bool
    came_back: bool = False


def sending_key(refund: Refund) -> str:
    """The idempotency key of a refund: its row's number, so that however often it is sent it is one refund.

    What comes after it sets it apart from the refund of this number in another database of the same Stripe account.
    """
    return f"refund-{refund.id}-{refund.key_suffix}" if refund.key_suffix else f"refund-{refund.id}"


def key_in_sql() -> ColumnElement[str]:
    """The same of the row of a query."""
    return func.concat("refund-", Refund.id, func.coalesce("-" + Refund.key_suffix, ""))


def amount_of(refund: Refund) -> str:
    """The refund's amount as people read it, in major units with the currency."""
    return money_text(refund.amount, refund.currency)


def records_of(payment: Paid, refund: Refund) -> list[str]:
    """The records that a change of this refund is about."""
    return [refund_key(refund.id), *refund_sources.records_of(payment)]


def locked(ctx: Ctx, refund_id: int) -> tuple[Paid, Refund]:
    """The refund as it is now and its payment, whose lock is the lock of both."""
    named = select(Refund.payment_id, Refund.membership_payment_id).where(Refund.id == refund_id)
    found = ctx.session.execute(named).one_or_none()
    if found is None:
        raise NotFound("There is no such refund.")
    payment = refund_sources.locked(ctx, *found)
    return payment, ctx.session.get_one(Refund, refund_id, populate_existing=True)


def refunds_of(session: Session, payment: Paid) -> list[Refund]:
    """The refunds of a payment as they are now, oldest first."""
    query = select(Refund).where(refund_sources.is_of(payment)).order_by(Refund.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def reserve(ctx: Ctx, payment: Paid) -> None:
    """Bring the payment's reserve in line with its refunds; the table refuses more than was captured."""
    ctx.session.flush()
    _reserve(ctx, payment, refunds_of(ctx.session, payment))


def _reserve(ctx: Ctx, payment: Paid, refunds: Sequence[Refund]) -> None:
    reserved = sum(refund.amount for refund in refunds if refund.state in RESERVING)
    if isinstance(payment, MembershipPayment):
        # In another currency than the buyer's it may be more, by the rate of the day.
        reserved = min(reserved, payment.captured_amount)
    if payment.reserved_amount != reserved:
        payment.reserved_amount = reserved
        payment.version += 1
        payment.updated_at = ctx.now
    returned = [one for one in refunds if one.returned_at is not None and one.made_good_at is None]
    for refund in put_right_by(returned, payment.captured_amount - reserved):
        # What came back is put right when other refunds have taken its money, whoever asked for these.
        refund.made_good_at, refund.made_good_by, refund.made_good_how = ctx.now, "another refund", AGAIN
    if isinstance(payment, Payment):
        held_money.review(ctx, payment)


def came_back(session: Session, payment: Paid) -> Sequence[Refund]:
    """The refunds of a payment that came back and that nobody has put right, the oldest first."""
    waiting = (refund_sources.is_of(payment), Refund.returned_at.is_not(None), Refund.made_good_at.is_(None))
    return session.scalars(select(Refund).where(*waiting).order_by(Refund.id)).all()


def put_right_by(returned: Sequence[Refund], left: int) -> list[Refund]:
    """Which of those that came back other refunds have taken the money of, where so much of the payment is left."""
    missing, closed = sum(refund.amount for refund in returned) - left, []
    for refund in returned:
        if missing > 0:
            closed.append(refund)
            missing -= refund.amount
    return closed


def put_right_with(session: Session, payment: Paid, unsent: Refund) -> list[Refund]:
    """What came back and was put right by a refund that then never left: once that is over, it is open again.

    It was put right at the moment at which that refund was written.
    """
    room = payment.captured_amount - payment.reserved_amount - sum(each.amount for each in came_back(session, payment))
    room += unsent.amount if unsent.state in RESERVING else 0
    this = (refund_sources.is_of(payment), Refund.made_good_how == AGAIN, Refund.made_good_at == unsent.created_at)
    found = []
    for refund in session.scalars(select(Refund).where(*this).order_by(Refund.id)):
        if refund.amount <= room:
            found.append(refund)
            room -= refund.amount
    return found


def open_again(ctx: Ctx, payment: Paid, unsent: Refund) -> None:
    """This refund never left and never will: what came back and was to go back with it waits for a person again."""
    for refund in put_right_with(ctx.session, payment, unsent):
        refund.made_good_at = refund.made_good_by = refund.made_good_how = None
        refund.version += 1
        refund.updated_at = ctx.now


def move(ctx: Ctx, payment: Paid, refund: Refund, state: RefundState, failure_code: str | None = None) -> None:
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


def apply(ctx: Ctx, payment: Paid, snapshots: Sequence[RefundSnapshot]) -> RefundNews:
    """Apply every refund of a payment as Stripe has it now, those included that somebody made there."""
    ours = refunds_of(ctx.session, payment)
    changed = [refund for each in snapshots if (refund := _apply_one(ctx, payment, each, ours))]
    ctx.session.flush()
    _make_room(ctx, payment, ours, {each.id for each in snapshots})
    gone = sum(refund.amount for refund in ours if refund.state is RefundState.SUCCEEDED)
    came_back = any(refund.state is RefundState.FAILED and refund.returned_at == ctx.now for refund in changed)
    _reserve(ctx, payment, ours)
    return RefundNews(payment, tuple(changed), 0 < payment.captured_amount <= gone, came_back)


def all_given_back(session: Session, payment: Paid) -> bool:
    """Whether everything that was captured went back."""
    query = select(func.coalesce(summed(Refund.amount), 0))
    gone = session.scalar(query.where(refund_sources.is_of(payment), Refund.state == RefundState.SUCCEEDED))
    return 0 < payment.captured_amount <= (gone or 0)


def _apply_one(ctx: Ctx, payment: Paid, snapshot: RefundSnapshot, ours: list[Refund]) -> Refund | None:
    """The refund that this one of Stripe's moved on or added; None when it tells nothing new."""
    refund = _ours(snapshot, ours)
    if refund is None:
        refund = _found(ctx, payment, snapshot)
        ours.append(refund)
        return refund
    # A failure that was noted before Stripe had the refund says nothing about this one.
    known = 0 if refund.provider_refund_id is None else ORDER.get(refund.state, 0)
    _name(payment, refund, snapshot.id)
    refund.sent_at = refund.sent_at or snapshot.created_at
    _note_call(ctx, refund, snapshot)
    state = STATE_BY_STATUS[snapshot.status]
    if ORDER[state] <= known or refund.made_good_how == "by_hand":
        return None
    move(ctx, payment, refund, state, snapshot.failure_code)
    if state is RefundState.FAILED:
        refund.returned_at = ctx.now
    return refund


def _ours(snapshot: RefundSnapshot, ours: list[Refund]) -> Refund | None:
    for refund in ours:
        if refund.provider_refund_id == snapshot.id:
            return refund
    return next((refund for refund in ours if refund.id == snapshot.our_id and refund.provider_refund_id is None), None)


def _name(payment: Paid, refund: Refund, identity: str) -> None:
    if refund_sources.provider(payment) == "stripe":
        refund.stripe_refund_id = identity
    else:
        refund.whop_refund_id = identity


def _found(ctx: Ctx, payment: Paid, snapshot: RefundSnapshot) -> Refund:
    """Write down a refund that was made at the provider."""
    state = STATE_BY_STATUS[snapshot.status]
    refund = Refund(
        **refund_sources.naming(payment),
        amount=snapshot.amount,
        currency=snapshot.currency,
        state=state,
        origin=RefundOrigin.PROVIDER,
        reason=RefundReason.OTHER,
        requested_by=provider_name(refund_sources.provider(payment)),
        failure_code=snapshot.failure_code,
        sent_at=snapshot.created_at,
        settled_at=None if state is RefundState.SENT else ctx.now,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    _name(payment, refund, snapshot.id)
    ctx.session.add(refund)
    ctx.session.flush()  # its number is wanted
    ctx.session.refresh(refund)
    facts = {"amount": amount_of(refund)}
    audit.record(ctx, "refund.found", records=records_of(payment, refund), facts=facts)
    return refund


def _note_call(ctx: Ctx, refund: Refund, snapshot: RefundSnapshot) -> None:
    """A call of ours that nobody had heard about has arrived after all."""
    key = sending_key(refund)
    call = ctx.session.scalar(select(ProviderCall).where(ProviderCall.idempotency_key == key))
    if call is not None and call.state is not CallState.SUCCEEDED:
        provider_calls.finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=snapshot.id)


def _make_room(ctx: Ctx, payment: Paid, refunds: Sequence[Refund], there: set[str]) -> None:
    """Money that went back at the provider is gone, so what has not left here is superseded by it.

    What left and is not there goes last: with the rest gone it cannot be granted any more.
    """
    over = sum(refund.amount for refund in refunds if refund.state in RESERVING) - payment.captured_amount
    waiting = [refund for refund in refunds if refund.state in SUPERSEDABLE and refund.provider_refund_id not in there]
    for refund in sorted(waiting, key=_superseded_first):
        if over <= 0:
            return
        if refund.state is RefundState.AWAITING_APPROVAL:
            _withdraw(ctx, refund)
            move(ctx, payment, refund, RefundState.DECLINED, ELSEWHERE)
        else:
            move(ctx, payment, refund, RefundState.FAILED, ELSEWHERE)
        over -= refund.amount
    if over > 0 and not isinstance(payment, MembershipPayment):
        raise DoesNotAddUp


def _superseded_first(refund: Refund) -> tuple[bool, bool, int]:
    return refund.state is not RefundState.AWAITING_APPROVAL, refund.sent_at is not None, -refund.id


def _withdraw(ctx: Ctx, refund: Refund) -> None:
    approval = ctx.session.scalar(select(Approval).where(Approval.refund_id == refund.id))
    if approval is not None:
        approval.decision, approval.decided_at = "declined", ctx.now
        approval.reason = "The money was given back at the provider meanwhile."
