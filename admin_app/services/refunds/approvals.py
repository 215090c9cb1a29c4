"""Two people for a large refund: one asks, another one decides. The table, too, refuses that they are the same."""

from dataclasses import replace

from sqlalchemy import select

from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, Forbidden, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.bookings.step_plans import Meaning
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import refund_key
from admin_app.services.payments import refund_sources, refund_states
from admin_app.services.payments.refund_sources import Paid
from admin_app.services.payments.refund_states import amount_of, records_of, refunds_of
from admin_app.services.refunds import membership_refunds, refund_endings, refund_people, refund_requests
from admin_app.services.refunds.refund_requests import Quote
from models.memberships import MembershipPayment
from models.payments import RESERVING, Refund, RefundState
from models.refunds import Approval

OWN = "You asked for this refund yourself, so somebody else decides about it."
DECIDED = "Nobody has to decide about this refund any more."


def plan_decision(ctx: Ctx, *, refund_id: int, approve: bool = True) -> Plan:
    """What the one who asked was shown, for the one who decides."""
    require(ctx, Permission.PAYMENTS_READ)
    refund = ctx.session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    payment = refund_sources.of(ctx.session, refund)
    quoted = refund_requests.quote_of(ctx.session, payment)
    about = refund_sources.paid_for(payment)
    asked = f"{refund.requested_by} asked for it: {refund.reason.value.replace('_', ' ')}."
    means = _meaning(ctx, payment) if approve else Meaning()
    follows = _when_approved(quoted, refund, means) if approve else _when_declined(ctx, payment, quoted, refund)
    return Plan(
        title=f"{amount_of(refund)} of {about['what']} {about['number']}",
        outcome="sent" if approve else "declined",
        lines=follows[1],
        consequences=(
            refund_people.of(ctx.session, payment).sentence,
            asked,
            *([f"“{refund.note}”"] if refund.note else []),
            *follows[0],
        ),
        fingerprint=_state(ctx, payment, refund),
        refusal=_refusal(ctx, refund, _approval(ctx, refund)),
        mails=means.mails,
        calls=means.calls,
    )


def _meaning(ctx: Ctx, payment: Paid) -> Meaning:
    """What it does besides, as the one who asked was told; this refund's money is kept aside already."""
    if isinstance(payment, MembershipPayment):
        return Meaning(sentences=membership_refunds.of_access(payment), calls=refund_requests.calls(payment))
    means = refund_endings.of_decision(ctx, payment)
    return replace(means, calls=(*refund_requests.calls(payment), *means.calls))


def _state(ctx: Ctx, payment: Paid, refund: Refund) -> str:
    """What a decision is made about: the refund, and what it leads to."""
    besides = [] if isinstance(payment, MembershipPayment) else refund_endings.state_of(ctx, payment)
    return fingerprint(payment, refund, besides)


def _when_approved(quoted: Quote, refund: Refund, means: Meaning) -> tuple[tuple[str, ...], tuple[PlanLine, ...]]:
    all_of_it = () if refund.payment_id is None else refund_requests.all_that_is_left(is_all=quoted.refundable == 0)
    said = (
        f"It is sent to {quoted.provider} at once.",
        *refund_requests.effects(quoted, refund.amount),
        *all_of_it,
        *means.sentences,
    )
    state = PlanLine(refund_key(refund.id), "state", refund.state, RefundState.REQUESTED, "your approval")
    given_back = refund_requests.lines(quoted, refund.amount, source="the request", counted=True)
    return said, (state, *given_back, *means.lines)


def _when_declined(
    ctx: Ctx, payment: Paid, quoted: Quote, refund: Refund
) -> tuple[tuple[str, ...], tuple[PlanLine, ...]]:
    said = ("Nothing is sent. What was kept aside for it can be asked for again.", "Nobody is told by mail.")
    state = PlanLine(refund_key(refund.id), "state", refund.state, RefundState.DECLINED, "your decision")
    again = [
        PlanLine(refund_key(each.id), "made_good_how", each.made_good_how, None, "it came back, and waits again")
        for each in refund_states.put_right_with(ctx.session, payment, refund)
    ]
    return said, (state, *refund_requests.freed(quoted, refund.amount), *again)


def approve(ctx: Ctx, *, refund_id: int, reason: str, shown: str) -> Refund:
    """Let the refund go; it is sent after the commit."""
    payment, refund, approval, reason = _deciding(ctx, refund_id, reason, shown)
    held = [each for each in refunds_of(ctx.session, payment) if each.state in RESERVING]
    obstacle = refund_requests.obstacle(payment, held)
    if obstacle:
        raise Conflict(obstacle)
    _decide(ctx, approval, "approved", reason)
    refund.state = RefundState.REQUESTED
    _note(ctx, payment, refund, "refund.approved", reason)
    refund_requests.queue_sending(ctx, refund)
    return refund


def decline(ctx: Ctx, *, refund_id: int, reason: str, shown: str) -> Refund:
    """Refuse the refund; its money can be asked for again."""
    payment, refund, approval, reason = _deciding(ctx, refund_id, reason, shown)
    _decide(ctx, approval, "declined", reason)
    refund.state = RefundState.DECLINED
    _note(ctx, payment, refund, "refund.declined", reason)
    refund_states.reserve(ctx, payment)
    refund_states.open_again(ctx, payment, refund)
    return refund


def _deciding(ctx: Ctx, refund_id: int, reason: str, shown: str) -> tuple[Paid, Refund, Approval, str]:
    """Everything locked and allowed, for a decision about exactly what was shown."""
    require(ctx, Permission.REFUNDS_APPROVE)
    reason = require_reason(reason)
    payment, refund = refund_states.locked(ctx, refund_id)
    approval = _approval(ctx, refund)
    refusal = _refusal(ctx, refund, approval)
    if refusal == OWN:
        raise Forbidden(OWN)
    if refusal or approval is None:
        raise Conflict(refusal)
    require_same(shown, _state(ctx, payment, refund))
    return payment, refund, approval, reason


def _refusal(ctx: Ctx, refund: Refund, approval: Approval | None) -> str | None:
    if refund.state is not RefundState.AWAITING_APPROVAL or approval is None:
        return DECIDED
    if not isinstance(ctx.actor, Staff):
        return "Only a person decides about a refund."
    # By the account, whatever its role has become since.
    return OWN if ctx.actor.id == approval.requested_by_id else None


def _approval(ctx: Ctx, refund: Refund) -> Approval | None:
    query = select(Approval).where(Approval.refund_id == refund.id).execution_options(populate_existing=True)
    return ctx.session.scalar(query)


def _decide(ctx: Ctx, approval: Approval, decision: str, reason: str) -> None:
    approval.decided_by_id = ctx.actor.id if isinstance(ctx.actor, Staff) else None
    approval.decided_at, approval.decision, approval.reason = ctx.now, decision, reason


def _note(ctx: Ctx, payment: Paid, refund: Refund, event: str, reason: str) -> None:
    refund.version += 1
    refund.updated_at = ctx.now
    facts = {"amount": amount_of(refund)}
    audit.record(ctx, event, records=records_of(payment, refund), reason=reason, facts=facts)
