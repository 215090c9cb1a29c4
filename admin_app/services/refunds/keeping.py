"""Deciding that money of a canceled appointment stays here: who decided it, when, how much and why."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.policies.permissions import Permission, require
from admin_app.services.core import audit
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.core.records import payment_key, refund_key
from admin_app.services.payments import appointment_payments, held_money, refund_states
from models.payments import Payment, Refund

NOTHING_OWED = "nothing_owed"
DECIDED = "Nothing of it waits for a decision: its appointment is not canceled, or it was decided."


def plan_keep(ctx: Ctx, *, payment_id: int) -> Plan:
    """What keeping the rest of this payment means."""
    require(ctx, Permission.PAYMENTS_READ)
    payment = ctx.session.get(Payment, payment_id)
    if payment is None:
        raise NotFound("There is no such payment.")
    return _plan(ctx.session, payment)


def keep(ctx: Ctx, *, payment_id: int, reason: str, shown: str) -> Payment:
    """Decide that what is left stays here, as the plan was shown; the reason is kept with it."""
    require(ctx, Permission.REFUNDS_REQUEST)
    reason = require_reason(reason)
    payment = appointment_payments.locked(ctx, payment_id)
    plan = _plan(ctx.session, payment)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    keep_within(ctx, payment, reason)
    return payment


def keep_within(ctx: Ctx, payment: Payment, reason: str) -> None:
    """The same as a part of another command, whose plan has shown it; the payment is locked.

    What came back is a part of what is left, so that is decided with it.
    """
    amount = held_money.keep(ctx, payment, reason)
    for refund in refund_states.came_back(ctx.session, payment):
        refund.made_good_at, refund.made_good_by, refund.made_good_how = ctx.now, ctx.actor.label, NOTHING_OWED
        refund.version += 1
        refund.updated_at = ctx.now
    facts = {"amount": money_text(amount, payment.currency), **appointment_payments.paid_for(payment)}
    audit.record(ctx, "payment.kept", records=appointment_payments.records_of(payment), reason=reason, facts=facts)


def left_of(session: Session, subject: str) -> Sequence[tuple[Payment, int]]:
    """The payments of an appointment of which money lies here, each with how much of it is not on its way back."""
    left = Payment.captured_amount - Payment.reserved_amount
    query = select(Payment, left).where(held_money.is_for(subject), left > 0).order_by(Payment.id)
    return [(payment, amount) for payment, amount in session.execute(query)]


def lines(
    session: Session, payment: Payment, amount: int, source: str, *, but: Sequence[Refund] = ()
) -> tuple[PlanLine, ...]:
    """That so much of the payment stays here by somebody's decision, and what came back of it with it; `but` for what
    the command puts right in another way.
    """
    now = None if payment.kept_amount is None else money_text(payment.kept_amount, payment.currency)
    kept = PlanLine(payment_key(payment.id), "kept", now, money_text(amount, payment.currency), source)
    others = [refund for refund in refund_states.came_back(session, payment) if refund not in but]
    return (kept, *(PlanLine(refund_key(each.id), "made_good_how", None, NOTHING_OWED, source) for each in others))


def _plan(session: Session, payment: Payment) -> Plan:
    amount = payment.captured_amount - payment.reserved_amount
    return Plan(
        title=f"Keep {money_text(amount, payment.currency)}",
        outcome="kept",
        lines=lines(session, payment, amount, "what is left"),
        consequences=(
            "No money goes back, and nobody is written to.",
            "It waits for no decision any more. It can still be given back later.",
        ),
        fingerprint=fingerprint(payment),
        refusal=None if payment.undecided_since is not None else DECIDED,
    )
