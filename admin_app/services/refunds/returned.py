"""Refunds that came back: a bank sends money back days after it was given back, and nobody gets it.

Such a refund is an open item until a person puts it right: given back again, paid out by hand, or nothing is owed.
Another refund that takes the same money closes it as well (`refund_states.reserve`).
"""

from enum import StrEnum
from typing import TypeGuard

from admin_app.approval_limits import Limit
from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import payments
from admin_app.services.bookings.step_plans import Meaning
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import refund_key
from admin_app.services.payments import held_money, refund_sources, refund_states
from admin_app.services.payments.refund_sources import Paid
from admin_app.services.payments.refund_states import amount_of, records_of
from admin_app.services.refunds import keeping, refund_endings, refund_people, refund_requests
from admin_app.services.refunds.refund_endings import Decided
from admin_app.services.refunds.refund_requests import Quote
from models.memberships import MembershipPayment
from models.payments import Payment, Refund, RefundState


class How(StrEnum):
    """The three ways."""

    AGAIN = "again"
    BY_HAND = "by_hand"
    NOTHING_OWED = "nothing_owed"


AGAIN, BY_HAND, NOTHING_OWED = How
HOW = tuple(How)
CLOSED = "Nothing has to be put right about this refund, or not any more."


def is_open(refund: Refund) -> bool:
    """Whether it came back and nobody has put it right."""
    return refund.returned_at is not None and refund.made_good_at is None


def plan(ctx: Ctx, *, refund_id: int, how: str, approval_above: Limit) -> Plan:
    """What putting it right in this way does."""
    require(ctx, Permission.PAYMENTS_READ)
    refund = ctx.session.get(Refund, refund_id)
    if refund is None:
        raise NotFound("There is no such refund.")
    payment = refund_sources.of(ctx.session, refund)
    quoted = refund_requests.quote_of(ctx.session, payment)
    at_once = how == AGAIN and not quoted.waits(refund.amount, approval_above)
    means = _meaning(ctx, payment, refund, quoted, _checked(how), approval_above)
    asks = refund_requests.calls(payment) if at_once else ()
    return Plan(
        title=f"{amount_of(refund)} that came back",
        outcome=_checked(how).value,
        lines=(*_lines(ctx, payment, refund, quoted, How(how)), *means.lines),
        consequences=(
            refund_people.of(ctx.session, payment).sentence,
            *_means(refund, quoted, how, approval_above),
            *means.sentences,
        ),
        fingerprint=_state(ctx, payment, refund, how, means),
        refusal=_refusal(refund, quoted, how),
        mails=means.mails,
        calls=(*asks, *means.calls),
        adds=refund_requests.ADDS if how == AGAIN else (),
    )


def _meaning(ctx: Ctx, payment: Paid, refund: Refund, quoted: Quote, how: str, approval_above: Limit) -> Meaning:
    """What becomes of the appointment: as was decided when the money was first given back."""
    if how == NOTHING_OWED or isinstance(payment, MembershipPayment):
        return Meaning(sentences=("Nobody is told by mail.",) if how != AGAIN else ())
    waits = how == AGAIN and quoted.waits(refund.amount, approval_above)
    return refund_endings.of_returned(ctx, payment, refund, waits=waits)


def _state(ctx: Ctx, payment: Paid, refund: Refund, how: str, means: Meaning) -> str:
    """What the plan was made from."""
    besides = [] if isinstance(payment, MembershipPayment) else refund_endings.state_of(ctx, payment)
    return fingerprint(payment, refund, how, besides, means.told)


def put_right(ctx: Ctx, *, refund_id: int, how: str, reason: str, approval_above: Limit, shown: str) -> Refund:
    """Do it as the plan was shown; answers the refund that has the money now, or the one that came back."""
    require(ctx, Permission.REFUNDS_REQUEST)
    reason, how = require_reason(reason), _checked(how)
    payment, refund = _locked(ctx, refund_id)
    quoted = refund_requests.quote_of(ctx.session, payment)
    refusal = _refusal(refund, quoted, how)
    if refusal:
        raise Conflict(refusal)
    means = _meaning(ctx, payment, refund, quoted, how, approval_above)
    require_same(shown, _state(ctx, payment, refund, how, means))
    by = ctx.actor.label if isinstance(ctx.actor, Staff) else ctx.actor.kind
    refund.made_good_at, refund.made_good_by, refund.made_good_how = ctx.now, by, how
    refund.updated_at = ctx.now
    refund.version += 1
    facts = {"amount": amount_of(refund), "how": how.replace("_", " ")}
    audit.record(ctx, "refund.put_right", records=records_of(payment, refund), reason=reason, facts=facts)
    if how == AGAIN:
        waits = quoted.waits(refund.amount, approval_above)
        wanted = Decided(refund.ends_appointment, refund.tells_client)
        return refund_requests.write(ctx, payment, refund.amount, refund.reason, reason, waits=waits, wanted=wanted)
    if how == BY_HAND:
        refund_states.move(ctx, payment, refund, RefundState.SUCCEEDED, refund.failure_code)
        refund_states.reserve(ctx, payment)
        follow(ctx, payment)
    elif _waits(payment):
        keeping.keep_within(ctx, payment, reason)
    return refund


def _locked(ctx: Ctx, refund_id: int) -> tuple[Paid, Refund]:
    """The refund with its payment; the others of the appointment too, for whether anything is left is asked of all."""
    refund = ctx.session.get(Refund, refund_id)
    paid = None if refund is None else refund_sources.of(ctx.session, refund)
    if isinstance(paid, Payment):
        held_money.locked_for(ctx, payments.subject_of(paid))
    return refund_states.locked(ctx, refund_id)


def follow(ctx: Ctx, payment: Paid) -> None:
    """Have the appointment brought in line with its money: by a job, for its locks come before the payment's."""
    if not isinstance(payment, MembershipPayment):
        subject = payments.subject_of(payment)
        job_queue.defer(ctx.session, "follow_refunds", once_key=f"follow_refunds:{subject}", subject=subject)


def _checked(how: str) -> How:
    if how not in HOW:
        sentence = "Choose how it is put right."
        raise InvalidInput(sentence, fields={"how": sentence})
    return How(how)


def _lines(ctx: Ctx, payment: Paid, refund: Refund, quoted: Quote, how: How) -> tuple[PlanLine, ...]:
    key = refund_key(refund.id)
    chosen = PlanLine(key, "made_good_how", refund.made_good_how, how, "what you chose")
    others = refund_requests.put_right_lines(
        refund_requests.put_right_by(ctx.session, payment, refund.amount, but=refund)
    )
    if how == AGAIN:
        return (chosen, *refund_requests.lines(quoted, refund.amount, source="the refund that came back"), *others)
    if how == BY_HAND:
        state = PlanLine(key, "state", refund.state, RefundState.SUCCEEDED, "paid out by hand")
        return (chosen, state, *refund_requests.lines(quoted, refund.amount, source="paid out by hand"), *others)
    if _waits(payment):
        left = payment.captured_amount - payment.reserved_amount
        return (chosen, *keeping.lines(ctx.session, payment, left, "nothing is owed", but=[refund]))
    return (chosen,)


def _waits(payment: Paid) -> TypeGuard[Payment]:
    """Whether somebody is to decide about what is left of it: that nothing is owed decides that, too."""
    return isinstance(payment, Payment) and payment.undecided_since is not None


def _means(refund: Refund, quoted: Quote, how: str, approval_above: Limit) -> tuple[str, ...]:
    amount = money_text(refund.amount, quoted.currency)
    match how:
        case "again":
            risk = "It goes to what was paid with, as before: if that is closed, it comes back again."
            return (
                refund_requests.goes_or_waits(quoted, refund.amount, approval_above),
                *refund_requests.effects(quoted, refund.amount),
                risk,
            )
        case "by_hand":
            return (
                f"{quoted.provider} is not asked: you have paid {amount} out in another way, or will.",
                f"The {amount} count as given back from now on, so nobody gives them back once more.",
            )
    return (f"No money moves: the {amount} stay here.",)


def _refusal(refund: Refund, quoted: Quote, how: str) -> str | None:
    if not is_open(refund):
        return CLOSED
    if how == NOTHING_OWED:
        return None
    if how == BY_HAND:
        return None if refund.amount <= quoted.refundable else refund_requests.NOTHING_LEFT
    return refund_requests.refusal_of(quoted, refund.amount)
