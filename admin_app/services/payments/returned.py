"""Refunds that came back: a bank sends money back days after it was given back, and nobody gets it.

Such a refund is an open item until a person puts it right: given back again, paid out by hand, or nothing is owed.
Another refund that takes the same money closes it as well (`refund_states.reserve`).
"""

from typing import TypeGuard

from admin_app.approval_limits import Limit
from admin_app.context import Ctx, Staff
from admin_app.errors import Conflict, InvalidInput, NotFound
from admin_app.integrations import job_queue
from admin_app.policies.permissions import Permission, require
from admin_app.services import audit, payments, refund_states, refunds
from admin_app.services.amounts import money_text
from admin_app.services.payments import keeping, refund_people, refund_sources
from admin_app.services.payments.refund_sources import Paid
from admin_app.services.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.records import refund_key
from admin_app.services.refund_states import amount_of, records_of
from admin_app.services.refunds import Quote
from models.memberships import MembershipPayment
from models.money import Payment, Refund, RefundState

AGAIN, BY_HAND, NOTHING_OWED = "again", "by_hand", "nothing_owed"
HOW = (AGAIN, BY_HAND, NOTHING_OWED)
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
    quoted = refunds.quote_of(ctx.session, payment)
    at_once = how == AGAIN and not quoted.waits(refund.amount, approval_above)
    return Plan(
        title=f"{amount_of(refund)} that came back",
        outcome=_checked(how),
        lines=_lines(payment, refund, quoted, how),
        consequences=(refund_people.of(ctx.session, payment).sentence, *_means(refund, quoted, how, approval_above)),
        fingerprint=fingerprint(payment, refund, how),
        refusal=_refusal(refund, quoted, how),
        calls=refunds.calls(payment) if at_once else (),
        adds=refunds.ADDS if how == AGAIN else (),
    )


def put_right(ctx: Ctx, *, refund_id: int, how: str, reason: str, approval_above: Limit, shown: str) -> Refund:
    """Do it as the plan was shown; answers the refund that has the money now, or the one that came back."""
    require(ctx, Permission.REFUNDS_REQUEST)
    reason, how = require_reason(reason), _checked(how)
    payment, refund = refund_states.locked(ctx, refund_id)
    quoted = refunds.quote_of(ctx.session, payment)
    refusal = _refusal(refund, quoted, how)
    if refusal:
        raise Conflict(refusal)
    require_same(shown, fingerprint(payment, refund, how))
    by = ctx.actor.label if isinstance(ctx.actor, Staff) else ctx.actor.kind
    refund.made_good_at, refund.made_good_by, refund.made_good_how = ctx.now, by, how
    refund.updated_at = ctx.now
    refund.version += 1
    facts = {"amount": amount_of(refund), "how": how.replace("_", " ")}
    audit.record(ctx, "refund.put_right", records=records_of(payment, refund), reason=reason, facts=facts)
    if how == AGAIN:
        waits = quoted.waits(refund.amount, approval_above)
        return refunds.write(ctx, payment, refund.amount, refund.reason, reason, waits=waits)
    if how == BY_HAND:
        refund_states.move(ctx, payment, refund, RefundState.SUCCEEDED, refund.failure_code)
        refund_states.reserve(ctx, payment)
        follow(ctx, payment)
    elif _waits(payment):
        keeping.keep_within(ctx, payment, reason)
    return refund


def follow(ctx: Ctx, payment: Paid) -> None:
    """Have the appointment brought in line with its money: by a job, for its locks come before the payment's."""
    if not isinstance(payment, MembershipPayment):
        subject = payments.subject_of(payment)
        job_queue.defer(ctx.session, "follow_refunds", once_key=f"follow_refunds:{subject}", subject=subject)


def _checked(how: str) -> str:
    if how not in HOW:
        sentence = "Choose how it is put right."
        raise InvalidInput(sentence, fields={"how": sentence})
    return how


def _lines(payment: Paid, refund: Refund, quoted: Quote, how: str) -> tuple[PlanLine, ...]:
    key = refund_key(refund.id)
    chosen = PlanLine(key, "made_good_how", refund.made_good_how, how, "what you chose")
    if how == AGAIN:
        return (chosen, *refunds.lines(quoted, refund.amount, source="the refund that came back"))
    if how == BY_HAND:
        state = PlanLine(key, "state", refund.state, RefundState.SUCCEEDED, "paid out by hand")
        return (chosen, state, *refunds.lines(quoted, refund.amount, source="paid out by hand"))
    if _waits(payment):
        left = payment.captured_amount - payment.reserved_amount
        return (chosen, keeping.line(payment, left, "nothing is owed"))
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
                refunds.goes_or_waits(quoted, refund.amount, approval_above),
                *refunds.effects(quoted, refund.amount),
                risk,
            )
        case "by_hand":
            return (
                f"{quoted.provider} is not asked: you have paid {amount} out in another way, or will.",
                f"The {amount} count as given back from now on, so nobody gives them back once more.",
                "Nobody is told by mail.",
            )
    return (f"No money moves: the {amount} stay here.", "Nobody is told by mail.")


def _refusal(refund: Refund, quoted: Quote, how: str) -> str | None:
    if not is_open(refund):
        return CLOSED
    if how == NOTHING_OWED:
        return None
    if how == BY_HAND:
        return None if refund.amount <= quoted.refundable else refunds.NOTHING_LEFT
    return refunds.refusal_of(quoted, refund.amount)
