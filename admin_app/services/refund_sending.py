"""Sends refunds to Stripe, and asks about those whose answer never came: transaction, network, transaction.

A refund always leaves under the same idempotency key, its row's number. When nobody was told what became of it, it is
`unknown`, and Stripe is asked before anything else happens. Only when Stripe has none of it, and enough time has passed
for the first call to have arrived if it ever did, it is sent again, under that same key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, NotFound, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import RefundsPort, StripeRefund
from admin_app.policies.permissions import Permission, require
from admin_app.services import audit, payments, provider_calls, refund_states, refunds
from admin_app.services.plans import Plan, PlanLine, fingerprint
from admin_app.services.provider_calls import Work
from admin_app.services.records import refund_key
from admin_app.services.refund_states import amount_of, records_of, sending_key
from models.money import CallState, Payment, ProviderCall, Refund, RefundState

# A call that has not shown at Stripe by then never arrived; and it is short enough for the key to be remembered there.
LATE_ENOUGH = timedelta(minutes=2)
# A job that is lost leaves its refund unsent: it is queued again.
UNSENT_FOR = timedelta(minutes=10)
ASKABLE = (RefundState.UNKNOWN, RefundState.SENT)
MOST_AT_ONCE = 200


@dataclass(frozen=True)
class Leaving:
    """What a refund needs on its way out, so that no transaction is open while it travels."""

    refund_id: int
    payment_intent_id: str
    amount: int
    reason: str

    @classmethod
    def of(cls, payment: Payment, refund: Refund) -> "Leaving":
        return cls(refund.id, payment.stripe_payment_intent_id or "", refund.amount, refund.reason.value)


def send(work: Work, stripe: RefundsPort, *, refund_id: int) -> None:
    """Send a refund that was asked for and approved; one that has left before is asked about instead."""
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        if refund.state is not RefundState.REQUESTED:
            return
        left_before = refund.sent_at is not None
        leaving = None if left_before else _leave(ctx, payment, refund)
    if leaving is None:
        ask(work, stripe, refund_id=refund_id)
    else:
        _travel(work, stripe, leaving)


def ask(work: Work, stripe: RefundsPort, *, refund_id: int) -> None:
    """Ask Stripe what became of a refund, and follow the answer; one that Stripe has not is sent again when it is time.

    Raises ProviderUnavailable when Stripe does not answer.
    """
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        if not _left_without_an_end(refund):
            return
        if refund.state is RefundState.REQUESTED:  # whoever sent it died before the answer
            refund_states.move(ctx, payment, refund, RefundState.UNKNOWN)
        asked_at, leaving = ctx.now, Leaving.of(payment, refund)
    told = stripe.refunds_of(leaving.payment_intent_id)
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        _take_in(ctx, payment, told)
        again = refund.state is RefundState.UNKNOWN and _is_late_enough(refund, asked_at)
        if again:
            _leave(ctx, payment, refund)
    if again:
        _travel(work, stripe, leaving)


def plan_ask(ctx: Ctx, *, refund_id: int) -> Plan:
    """What asking Stripe about a refund can lead to."""
    require(ctx, Permission.PAYMENTS_READ)
    refund = ctx.session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    return Plan(
        title="Ask Stripe about it",
        outcome="asked",
        lines=(PlanLine(refund_key(refund.id), "state", refund.state, "what Stripe says", "Stripe"),),
        consequences=(
            "If Stripe has the refund, it is shown here as it is there.",
            "If Stripe has none of it two minutes after it was sent, it is sent again under the same key, which "
            "Stripe carries out once.",
        ),
        fingerprint=fingerprint(refund.id),
        refusal=None if refund.state in ASKABLE else "There is nothing to ask: what became of it is known.",
    )


def ask_soon(ctx: Ctx, *, refund_id: int) -> Refund:
    """Have Stripe asked after the commit, because a person wants to know."""
    require(ctx, Permission.REFUNDS_REQUEST)
    payment, refund = refund_states.locked(ctx, refund_id)
    if refund.state not in ASKABLE:
        raise Conflict("There is nothing to ask: what became of it is known.")
    _queue_asking(ctx.session, refund.id)
    audit.record(ctx, "refund.asked", records=records_of(payment, refund), facts={"amount": amount_of(refund)})
    return refund


def queue_unfinished(ctx: Ctx, *, limit: int = MOST_AT_ONCE) -> int:
    """Queue again what no job has brought to an end: refunds whose answer never came, and those that never left."""
    unanswered = or_(
        Refund.state == RefundState.UNKNOWN,
        and_(Refund.state == RefundState.REQUESTED, Refund.sent_at < ctx.now - LATE_ENOUGH),
    )
    asked = _longest_left_alone(ctx, unanswered, limit)
    for refund in asked:
        _queue_asking(ctx.session, refund.id)
    unsent = and_(
        Refund.state == RefundState.REQUESTED, Refund.sent_at.is_(None), Refund.updated_at < ctx.now - UNSENT_FOR
    )
    lost = _longest_left_alone(ctx, unsent, limit)
    for refund in lost:
        refunds.queue_sending(ctx, refund, anew=False)
    return len(asked) + len(lost)


def queue_pending(ctx: Ctx, *, older_than: timedelta, limit: int = MOST_AT_ONCE) -> int:
    """Have Stripe asked about refunds that have been with the bank for long, in case its word was lost."""
    waiting = and_(Refund.state == RefundState.SENT, Refund.sent_at < ctx.now - older_than)
    found = _longest_left_alone(ctx, waiting, limit)
    for refund in found:
        _queue_asking(ctx.session, refund.id)
    return len(found)


def _longest_left_alone(ctx: Ctx, which: ColumnElement[bool], limit: int) -> Sequence[Refund]:
    """Some of these refunds, those first whose call was not queued for longest: what never ends keeps nobody waiting.

    One that was given up before it left has no call, and comes first.
    """
    call_of = ProviderCall.idempotency_key == func.concat(sending_key(""), Refund.id)
    found = ctx.session.execute(
        select(Refund, ProviderCall)
        .outerjoin(ProviderCall, call_of)
        .where(which)
        .order_by(ProviderCall.next_try_at.nulls_first(), Refund.id)
        .limit(limit)
    ).all()
    provider_calls.postpone(ctx, [call for _, call in found if call is not None])
    return [refund for refund, _ in found]


def _queue_asking(session: Session, refund_id: int) -> None:
    job_queue.defer(session, "ask_about_refund", once_key=f"ask_about_refund:{refund_id}", refund_id=refund_id)


def _left_without_an_end(refund: Refund) -> bool:
    return refund.state in ASKABLE or (refund.state is RefundState.REQUESTED and refund.sent_at is not None)


def _is_late_enough(refund: Refund, asked_at: datetime) -> bool:
    return refund.sent_at is not None and asked_at - refund.sent_at > LATE_ENOUGH


def _leave(ctx: Ctx, payment: Payment, refund: Refund) -> Leaving:
    """Note that the refund leaves now, with its key, before it does."""
    refund.sent_at = refund.updated_at = ctx.now
    key, about = sending_key(refund.id), refund_key(refund.id)
    provider_calls.intend(ctx, provider="stripe", operation="refund.create", subject=about, key=key)
    return Leaving.of(payment, refund)


def _travel(work: Work, stripe: RefundsPort, leaving: Leaving) -> None:
    """Make the call, and note what came back."""
    try:
        told = stripe.create_refund(
            leaving.payment_intent_id,
            amount=leaving.amount,
            reason=leaving.reason,
            refund_id=leaving.refund_id,
            idempotency_key=sending_key(leaving.refund_id),
        )
    except DomainError as error:
        with work() as ctx:
            _note_failure(ctx, leaving.refund_id, error)
        if isinstance(error, ProviderUnavailable) and not isinstance(error, OutcomeUnknown):
            raise  # certainly nothing happened there: the job tries again
        return
    with work() as ctx:
        _note_answer(ctx, leaving.refund_id, told)


def _note_answer(ctx: Ctx, refund_id: int, told: StripeRefund) -> None:
    payment, refund = refund_states.locked(ctx, refund_id)
    provider_calls.finish(ctx, key=sending_key(refund.id), state=CallState.SUCCEEDED, external_id=told.id)
    _take_in(ctx, payment, [told])


def _take_in(ctx: Ctx, payment: Payment, told: Sequence[StripeRefund]) -> None:
    """Follow what Stripe says. Where all of the money is back, a job ends what was paid for: its locks come first."""
    news = refund_states.take_in(ctx, payment, told)
    if news.all_given_back and news.changed:
        subject = payments.subject_of(payment)
        job_queue.defer(ctx.session, "follow_refunds", once_key=f"follow_refunds:{subject}", subject=subject)


def _note_failure(ctx: Ctx, refund_id: int, error: DomainError) -> None:
    """A clear no ends the refund; no answer leaves it unknown; nothing happened means that it has not left."""
    payment, refund = refund_states.locked(ctx, refund_id)
    if refund.stripe_refund_id is not None:
        return  # an event told meanwhile what no answer did
    was_unknown = refund.state is RefundState.UNKNOWN
    state, code = provider_calls.state_after(error), provider_calls.code_after(error)
    if isinstance(error, ProviderRefused):
        refund_states.move(ctx, payment, refund, RefundState.FAILED, code)
        refund_states.reserve(ctx, payment)
    elif isinstance(error, OutcomeUnknown):
        if not was_unknown:
            refund_states.move(ctx, payment, refund, RefundState.UNKNOWN)
        _queue_asking(ctx.session, refund.id)
    elif was_unknown:
        state = CallState.UNKNOWN  # the call before this one is still open
    else:
        refund.sent_at = None
    refused = isinstance(error, ProviderRefused)
    provider_calls.finish(ctx, key=sending_key(refund.id), state=state, error_code=code, attention=refused)
