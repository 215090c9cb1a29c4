"""Calling a booking or meeting off: who is told, and how much of the money goes back."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import Conflict, InvalidInput
from admin_app.policies.permissions import REFUSALS, Permission, allows, require
from admin_app.services import appointments, bookings, payments, refunds
from admin_app.services.amounts import money_text
from admin_app.services.appointments import Appointment
from admin_app.services.plans import Plan, PlanLine, fingerprint, require_reason, require_same
from admin_app.services.refunds import Quote
from models.money import Payment, PaymentState, RefundReason
from models.scheduling import Booking, BookingSource, BookingStatus, CanceledBecause

# Who wanted it, as staff may say it; the other reasons are the product's own.
CHOICES = (CanceledBecause.BY_CLIENT, CanceledBecause.BY_PRACTITIONER, CanceledBecause.BY_STAFF)
REFUND_REASONS = {
    CanceledBecause.BY_CLIENT: RefundReason.REQUESTED_BY_CUSTOMER,
    CanceledBecause.BY_PRACTITIONER: RefundReason.CANCELED_BY_US,
    CanceledBecause.BY_STAFF: RefundReason.CANCELED_BY_US,
}
REFUSED = {
    BookingStatus.CANCELED: "It is canceled already.",
    BookingStatus.COMPLETED: "It took place, so there is nothing to call off. Give money back by a refund.",
    BookingStatus.NO_SHOW: "Its time is over and nobody came. Give money back by a refund.",
    BookingStatus.REFUNDED: "All of its money went back, and with that it ended.",
}
TOLD_BY = {BookingSource.CALENDLY: "Calendly", BookingSource.CALCOM: "Cal.com"}


def paid_payment(session: Session, subject: str) -> Payment | None:
    """The payment whose money can go back; the latest, should there be several."""
    kind, number = appointments.subject_parts(subject)
    column = Payment.booking_id if kind == "booking" else Payment.meeting_id
    paid = select(Payment).where(column == number, Payment.state == PaymentState.PAID)
    return session.scalar(paid.order_by(Payment.id.desc()).limit(1))


def plan_cancel(
    ctx: Ctx, *, subject: str, because: str, refund_amount: int | None, approval_above: int, tell: bool = True
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
    approval_above: int,
    shown: str,
    tell: bool = True,
) -> Appointment:
    """Call it off as its plan was shown, and ask for the refund that goes with it; `tell` has the client written to."""
    require(ctx, Permission.BOOKINGS_MANAGE)
    reason = require_reason(reason)
    code, amount = _reason_code(because), refund_amount or 0
    appointment = appointments.locked(ctx, subject)
    payment = paid_payment(ctx.session, subject)
    if payment is not None:
        payments.locked(ctx, payment.id)
    plan = _plan(ctx, appointment, code, amount, approval_above, tell)
    if plan.refusal:
        raise Conflict(plan.refusal)
    require_same(shown, plan.fingerprint)
    bookings.cancel(ctx, appointment, code, reason=reason, tell=tell)
    if amount and payment is not None:
        refunds.request_within(
            ctx,
            payment_id=payment.id,
            amount=amount,
            reason=REFUND_REASONS[code],
            note=reason,
            approval_above=approval_above,
        )
    return appointment


def _plan(
    ctx: Ctx, appointment: Appointment, code: CanceledBecause, amount: int, approval_above: int, tell: bool
) -> Plan:
    row, key = appointment.row, appointment.subject
    payment = paid_payment(ctx.session, key)
    quoted = refunds.quote(ctx.session, payment.id) if payment else None
    return Plan(
        title=f"Cancel {appointment.kind} {appointment.number}",
        outcome="canceled",
        lines=(
            PlanLine(key, "status", row.status, BookingStatus.CANCELED, "this command"),
            PlanLine(key, "canceled_because", row.canceled_because, code, "what you chose"),
            *(refunds.lines(quoted, amount, source="what you typed") if quoted and amount else ()),
        ),
        consequences=(*_told(appointment, tell, ctx.now), *_money(appointment, quoted, amount, approval_above)),
        fingerprint=fingerprint(row, payment, code, amount, approval_above, tell, row.starts_at <= ctx.now),
        refusal=REFUSED.get(row.status) or _refund_refusal(ctx, quoted, amount),
    )


def _told(appointment: Appointment, tell: bool, now: datetime) -> tuple[str, ...]:
    said = ["The time is free for others at once."]
    calendar = TOLD_BY.get(appointment.source)
    if calendar and appointment.row.starts_at <= now:
        said.append(f"Its time has come: {calendar} is not told any more, and nobody is written to.")
    elif calendar:
        said.append(f"It is canceled in {calendar}, which tells the client.")
        if tell and appointment.email:
            said.append(f"Should {calendar} refuse that, a mail about it goes to {appointment.email}.")
    else:
        written_to = appointment.email if tell else None
        said.append(f"A mail about it goes to {written_to}." if written_to else "Nobody is written to.")
        is_there = isinstance(appointment.row, Booking) and appointment.row.calcom_booking_uid
        if is_there and appointment.row.starts_at > now:
            said.append("It is canceled in Cal.com too.")
    if appointment.row.status is BookingStatus.PENDING and appointment.costs:
        said.append("The page on which it could be paid is closed at Stripe.")
    return tuple(said)


def _money(appointment: Appointment, quoted: Quote | None, amount: int, approval_above: int) -> tuple[str, ...]:
    if quoted is None:
        return ("Nothing was paid through Stripe, so no money moves.",)
    if not amount:
        return (f"No money goes back: the {money_text(quoted.refundable, quoted.currency)} that are left stay here.",)
    waits = quoted.waits(amount, approval_above)
    seconded = refunds.why_seconded(quoted, amount, approval_above, " about the refund")
    return (seconded if waits else "Stripe is asked for the refund.", *refunds.effects(quoted, amount))


def _refund_refusal(ctx: Ctx, quoted: Quote | None, amount: int) -> str | None:
    if amount == 0:
        return None
    if not allows(ctx.actor, Permission.REFUNDS_REQUEST):
        return f"{REFUSALS[Permission.REFUNDS_REQUEST]} Cancel without a refund, and have them give the money back."
    if quoted is None:
        return "Nothing was paid through Stripe, so nothing can go back. Cancel without a refund."
    return refunds.refusal_of(quoted, amount)


def _reason_code(because: str) -> CanceledBecause:
    if because not in CHOICES:
        raise InvalidInput("Say who wanted it.", fields={"because": "Choose who called it off."})
    return CanceledBecause(because)
