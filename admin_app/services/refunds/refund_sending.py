"""Sends refunds to Stripe or Whop, and asks about those whose answer never came: transaction, network, transaction.

A refund always leaves under the same idempotency key, which its row has. When nobody was told what became of it, it is
`unknown`, and the provider is asked before anything else happens. Only when it has none of it, and enough time has
passed for the first call to have arrived if it ever did, it is sent again, under that same key. A refund of a
membership's payment is asked about before it leaves, too: people give such money back at the provider as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, NotFound, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, fingerprint
from admin_app.services.core.records import refund_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.memberships import asking as membership_asking
from admin_app.services.payments import refund_sources, refund_states
from admin_app.services.payments.refund_sources import Paid
from admin_app.services.payments.refund_states import RefundSnapshot, amount_of, key_in_sql, records_of, sending_key
from admin_app.services.payments.refund_tills import Till, Tills, till_for
from admin_app.services.refunds import refund_requests, returned
from models.inbox import CallState, ProviderCall
from models.memberships import MembershipPayment
from models.payments import Refund, RefundState

# A call that has not shown there by then never arrived; and it is short enough for the key to be remembered there.
LATE_ENOUGH = timedelta(minutes=2)
# A job that is lost leaves its refund unsent: it is queued again.
UNSENT_FOR = timedelta(minutes=10)
ASKABLE = (RefundState.UNKNOWN, RefundState.SENT)
MOST_AT_ONCE = 200


@dataclass(frozen=True)
class Leaving:
    """What a refund needs on its way out, so that no transaction is open while it travels."""

    refund_id: int
    provider: str
    reference: str
    amount: int
    currency: str
    reason: str
    key: str

    @classmethod
    def of(cls, payment: Paid, refund: Refund) -> "Leaving":
        provider, reference = refund_sources.provider(payment), refund_sources.reference(payment) or ""
        key = sending_key(refund)
        return cls(refund.id, provider, reference, refund.amount, refund.currency, refund.reason.value, key)


def send(work: Work, tills: Tills, *, refund_id: int) -> None:
    """Send a refund that was asked for and approved; one that has left before is asked about instead."""
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        if refund.state is not RefundState.REQUESTED:
            return
        left_before, looks = refund.sent_at is not None, isinstance(payment, MembershipPayment)
        about = Leaving.of(payment, refund)
        if not left_before and not looks:
            _leave(ctx, payment, refund)
    if left_before:
        ask(work, tills, refund_id=refund_id)
        return
    till = till_for(tills, about.provider)
    if not looks or _may_leave(work, till, about):
        _travel(work, till, about)


def _may_leave(work: Work, till: Till, about: Leaving) -> bool:
    """Whether the money is still there when the provider is asked now; then the refund is noted as leaving."""
    told = till.refunds_of(about.reference, about.currency)
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, about.refund_id)
        _take_in(ctx, payment, told)
        may = refund.state is RefundState.REQUESTED and refund.sent_at is None
        if may:
            _leave(ctx, payment, refund)
        return may


def ask(work: Work, tills: Tills, *, refund_id: int) -> None:
    """Ask what became of a refund, and follow the answer; one that the provider has not is sent again when it is time.

    Raises ProviderUnavailable when the provider does not answer.
    """
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        if not _left_without_an_end(refund):
            return
        if refund.state is RefundState.REQUESTED:  # whoever sent it died before the answer
            refund_states.move(ctx, payment, refund, RefundState.UNKNOWN)
        asked_at, leaving = ctx.now, Leaving.of(payment, refund)
    till = till_for(tills, leaving.provider)
    told = till.refunds_of(leaving.reference, leaving.currency)
    with work() as ctx:
        payment, refund = refund_states.locked(ctx, refund_id)
        _take_in(ctx, payment, told)
        again = refund.state is RefundState.UNKNOWN and _is_late_enough(refund, asked_at)
        again = again and not _may_be_there(leaving.provider, refund, told)
        if again:
            _leave(ctx, payment, refund)
    if again:
        _travel(work, till, leaving)


def plan_ask(ctx: Ctx, *, refund_id: int) -> Plan:
    """What asking the provider about a refund can lead to."""
    require(ctx, Permission.PAYMENTS_READ)
    refund = ctx.session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    there = provider_name(refund_sources.provider(refund_sources.of(ctx.session, refund)))
    return Plan(
        title=f"Ask {there} about it",
        outcome="asked",
        lines=(PlanLine(refund_key(refund.id), "state", refund.state, f"what {there} says", there),),
        consequences=(
            f"If {there} has the refund, it is shown here as it is there.",
            f"If {there} has none of it two minutes after it was sent, it is sent again under the same key, which "
            f"{there} carries out once.",
        ),
        fingerprint=fingerprint(refund.id),
        refusal=None if refund.state in ASKABLE else "There is nothing to ask: what became of it is known.",
    )


def ask_soon(ctx: Ctx, *, refund_id: int) -> Refund:
    """Have the provider asked after the commit, because a person wants to know."""
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
        refund_requests.queue_sending(ctx, refund, anew=False)
    return len(asked) + len(lost)


def queue_pending(ctx: Ctx, *, older_than: timedelta, limit: int = MOST_AT_ONCE) -> int:
    """Have the provider asked about refunds that have been with the bank for long, in case its word was lost."""
    waiting = and_(Refund.state == RefundState.SENT, Refund.sent_at < ctx.now - older_than)
    found = _longest_left_alone(ctx, waiting, limit)
    for refund in found:
        _queue_asking(ctx.session, refund.id)
    return len(found)


def _longest_left_alone(ctx: Ctx, which: ColumnElement[bool], limit: int) -> Sequence[Refund]:
    """Some of these refunds, those first whose call was not queued for longest: what never ends keeps nobody waiting.

    One that was given up before it left has no call, and comes first.
    """
    call_of = ProviderCall.idempotency_key == key_in_sql()
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


def _may_be_there(provider: str, refund: Refund, told: Sequence[RefundSnapshot]) -> bool:
    """Whether the provider has one that names no request and may be this one: then a person looks, nothing is sent.

    Stripe never forgets what a refund was told to carry; of Whop nobody promised that.
    """
    return provider != "stripe" and any(
        each.our_id is None and each.amount == refund.amount and each.created_at >= refund.created_at - LATE_ENOUGH
        for each in told
    )


def _leave(ctx: Ctx, payment: Paid, refund: Refund) -> None:
    """Note that the refund leaves now, with its key, before it does."""
    refund.sent_at = refund.updated_at = ctx.now
    key, about = sending_key(refund), refund_key(refund.id)
    there = refund_sources.provider(payment)
    provider_calls.intend(ctx, provider=there, operation="refund.create", subject=about, key=key)


def _travel(work: Work, till: Till, leaving: Leaving) -> None:
    """Make the call, and note what came back."""
    try:
        told = till.give_back(
            leaving.reference,
            amount=leaving.amount,
            currency=leaving.currency,
            reason=leaving.reason,
            refund_id=leaving.refund_id,
            idempotency_key=leaving.key,
        )
    except DomainError as error:
        with work() as ctx:
            _note_failure(ctx, leaving.refund_id, error)
        if isinstance(error, ProviderUnavailable) and not isinstance(error, OutcomeUnknown):
            raise  # certainly nothing happened there: the job tries again
        return
    with work() as ctx:
        _note_answer(ctx, leaving.refund_id, told)


def _note_answer(ctx: Ctx, refund_id: int, told: Sequence[RefundSnapshot]) -> None:
    payment, refund = refund_states.locked(ctx, refund_id)
    named = next((each.id for each in told if each.our_id == refund_id), None)
    provider_calls.finish(ctx, key=sending_key(refund), state=CallState.SUCCEEDED, external_id=named)
    _take_in(ctx, payment, told)


def _take_in(ctx: Ctx, payment: Paid, told: Sequence[RefundSnapshot]) -> None:
    """Follow what is said. Where all of an appointment's money is back, a job ends it: its locks come first."""
    news = refund_states.apply(ctx, payment, told)
    if isinstance(payment, MembershipPayment):
        if news.changed:
            membership_asking.after_refund(ctx, payment)
    elif news.changed and (news.all_given_back or news.came_back):
        returned.follow(ctx, payment)


def _note_failure(ctx: Ctx, refund_id: int, error: DomainError) -> None:
    """A clear no ends the refund; no answer leaves it unknown; nothing happened means that it has not left."""
    payment, refund = refund_states.locked(ctx, refund_id)
    if refund.provider_refund_id is not None:
        return  # an event told meanwhile what no answer did
    was_unknown = refund.state is RefundState.UNKNOWN
    state, code = provider_calls.state_after(error), provider_calls.code_after(error)
    if isinstance(error, ProviderRefused):
        refund_states.move(ctx, payment, refund, RefundState.FAILED, code)
        refund_states.reserve(ctx, payment)
        refund_states.open_again(ctx, payment, refund)
    elif isinstance(error, OutcomeUnknown):
        if not was_unknown:
            refund_states.move(ctx, payment, refund, RefundState.UNKNOWN)
        _queue_asking(ctx.session, refund.id)
    elif was_unknown:
        state = CallState.UNKNOWN  # the call before this one is still open
    else:
        refund.sent_at = None
    refused = isinstance(error, ProviderRefused)
    provider_calls.finish(ctx, key=sending_key(refund), state=state, error_code=code, attention=refused)
