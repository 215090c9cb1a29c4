"""Calling a booking or meeting off: who is told, and how much of the money goes back."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.approval_limits import Limit, limit_in
from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput
from admin_app.policies.permissions import REFUSALS, Permission, allows, require
from admin_app.services import appointments, bookings, payments
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import step_plans
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.payments import held_money
from admin_app.services.payments.held_money import HeldMoney
from admin_app.services.refunds import keeping, refund_requests
from admin_app.services.refunds.refund_requests import Quote
from models.bookings import BookingStatus, CanceledBecause
from models.payments import Payment, PaymentState, RefundReason

# Who wanted it, as staff may say it; the other reasons are the product's own.
CHOICES = (CanceledBecause.BY_CLIENT, CanceledBecause.BY_PRACTITIONER, CanceledBecause.BY_STAFF)
REFUND_REASONS = {
    CanceledBecause.BY_CLIENT: RefundReason.REQUESTED_BY_CUSTOMER,
    CanceledBecause.BY_PRACTITIONER: RefundReason.CANCELED_BY_US,
    CanceledBecause.BY_STAFF: RefundReason.CANCELED_BY_US,
}
PROMISED = "The payment is still with the payer's bank: if the money comes, it goes back by itself."
REFUSED = {
    BookingStatus.CANCELED: "It is canceled already.",
    BookingStatus.COMPLETED: "It took place, so there is nothing to call off. Give money back by a refund.",
    BookingStatus.NO_SHOW: "Its time is over and nobody came. Give money back by a refund.",
    BookingStatus.REFUNDED: "All of its money went back, and with that it ended.",
}


def paid_payment(session: Session, subject: str) -> Payment | None:
    """The payment whose money can go back; the latest, should there be several."""
    kind, number = appointments.subject_parts(subject)
    column = Payment.booking_id if kind == "booking" else Payment.meeting_id
    paid = select(Payment).where(column == number, Payment.state == PaymentState.PAID)
    return session.scalar(paid.order_by(Payment.id.desc()).limit(1))


def plan_cancel(
    ctx: Ctx, *, subject: str, because: str, refund_amount: int | None, approval_above: Limit, tell: bool = True
) -> Plan:
    """Who would be told and what would become of the money; no amount means that none goes back."""
    require(ctx, Permission.BOOKINGS_READ)
    appointment = appointments.get(ctx.session, subject)
    return _plan(ctx, appointment, _reason_code(because), refund_amount or 0, approval_above, tell)


def cancel(
    ctx: Ctx,
    *,
    subject: str,
    because: str,
    refund_amount: int | None,
    reason: str,
    approval_above: Limit,
    shown: str,
    tell: bool = True,
) -> Appointment:
    """Call it off as its plan was shown, and ask for the refund that goes with it; `tell` has the client written to."""
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    code, amount = _reason_code(because), refund_amount or 0
    appointment = appointments.locked(ctx, subject)
    held_money.locked_for(ctx, subject)
    payment = paid_payment(ctx.session, subject)
    plan = _plan(ctx, appointment, code, amount, approval_above, tell)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    bookings.carry_out(ctx, appointment, bookings.canceling(appointment, code, tell=tell), reason=reason)
    if amount and payment is not None:
        refund_requests.request_within(
            ctx,
            payment_id=payment.id,
            amount=amount,
            reason=REFUND_REASONS[code],
            note=reason,
            approval_above=approval_above,
        )
    waiting = held_money.review_all(ctx, subject)
    if _decides(ctx):
        for each in waiting:
            keeping.keep_within(ctx, each, reason)
    return appointment


def _plan(
    ctx: Ctx, appointment: Appointment, code: CanceledBecause, amount: int, approval_above: Limit, tell: bool
) -> Plan:
    row, key = appointment.row, appointment.subject
    payment = paid_payment(ctx.session, key)
    quoted = refund_requests.quote(ctx.session, payment.id) if payment else None
    waits = quoted is not None and quoted.waits(amount, approval_above)
    is_promised = payments.is_processing(ctx.session, key)
    meaning = step_plans.of_step(
        ctx,
        appointment,
        bookings.canceling(appointment, code, tell=tell),
        sources={"canceled_because": "what you chose"},
        money=_held_after(ctx, appointment, amount, waits=waits),
    )
    return Plan(
        title=f"Cancel {appointment.kind} {appointment.number}",
        outcome="canceled",
        lines=(*meaning.lines, *_money_lines(ctx, appointment, payment, quoted, amount)),
        consequences=(
            "The time is free for others at once.",
            *meaning.sentences,
            *_money(ctx, quoted, amount, approval_above, is_promised=is_promised),
        ),
        fingerprint=fingerprint(
            row,
            payment,
            code,
            amount,
            limit_in(approval_above, row.price_currency),
            tell,
            meaning.told,
            is_promised,
        ),
        refusal=REFUSED.get(row.status) or _refund_refusal(ctx, quoted, amount),
        mails=meaning.mails,
        calls=(*meaning.calls, *(refund_requests.calls(payment) if payment and amount and not waits else ())),
        adds=refund_requests.ADDS if quoted and amount else (),
    )


def _decides(ctx: Ctx) -> bool:
    """Whether whoever cancels may say what becomes of the money; where they may not, finance is asked."""
    return allows(ctx.actor, Permission.REFUNDS_REQUEST)


def _held_after(ctx: Ctx, appointment: Appointment, amount: int, *, waits: bool) -> HeldMoney:
    """What will have become of the money when the client reads of it."""
    subject = appointment.subject
    held = held_money.of_appointment(ctx.session, subject, appointment.row.price_currency)
    if _decides(ctx):
        held = held.keeping(sum(left for _, left in keeping.left_of(ctx.session, subject)) - amount - held.kept)
    return held if waits else held.giving_back(amount)


def _money_lines(
    ctx: Ctx, appointment: Appointment, payment: Payment | None, quoted: Quote | None, amount: int
) -> tuple[PlanLine, ...]:
    """What moves, and what stays here by decision."""
    with_it = refund_requests.put_right_by(ctx.session, payment, amount) if payment else []
    moved = refund_requests.lines(quoted, amount, source="what you typed") if quoted and amount else ()
    moved = (*moved, *refund_requests.put_right_lines(with_it))
    if not _decides(ctx):
        return moved
    left = [
        (each, rest - amount if each is payment else rest)
        for each, rest in keeping.left_of(ctx.session, appointment.subject)
    ]
    kept = [
        line
        for each, rest in left
        if rest > 0
        for line in keeping.lines(ctx.session, each, rest, "what does not go back", but=with_it)
    ]
    return (*moved, *kept)


def _money(ctx: Ctx, quoted: Quote | None, amount: int, approval_above: Limit, *, is_promised: bool) -> tuple[str, ...]:
    if quoted is None:
        return (PROMISED if is_promised else "Nothing was paid through Stripe, so no money moves.",)
    if not amount:
        left = money_text(quoted.refundable, quoted.currency)
        if _decides(ctx):
            return (f"No money goes back: the {left} that are left stay here.",)
        return (f"No money goes back with this: finance is asked what becomes of the {left} that are left.",)
    waits = quoted.waits(amount, approval_above)
    seconded = refund_requests.why_seconded(quoted, amount, approval_above, " about the refund")
    return (seconded if waits else "Stripe is asked for the refund.", *refund_requests.effects(quoted, amount))


def _refund_refusal(ctx: Ctx, quoted: Quote | None, amount: int) -> str | None:
    if amount == 0:
        return None
    if not allows(ctx.actor, Permission.REFUNDS_REQUEST):
        return f"{REFUSALS[Permission.REFUNDS_REQUEST]} Cancel without a refund, and have them give the money back."
    if quoted is None:
        return "Nothing was paid through Stripe, so nothing can go back. Cancel without a refund."
    return refund_requests.refusal_of(quoted, amount)


def _reason_code(because: str) -> CanceledBecause:
    if because not in CHOICES:
        raise InvalidInput("Say who wanted it.", fields={"because": "Choose who called it off."})
    return CanceledBecause(because)
