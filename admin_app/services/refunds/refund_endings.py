"""Whether an appointment ends when its money goes back: decided by whoever asks for the refund, and kept on its row.

Only an appointment that is still to come can end by it, and only when nothing that was paid for it is left: what took
place took place. Where nobody decided, because the money was given back at the provider itself or in parts, it ends
and its client is told.
"""

from dataclasses import dataclass

from sqlalchemy import or_, select

from admin_app.context import Ctx
from admin_app.services import appointments, bookings
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import Step, step_plans
from admin_app.services.bookings.step_plans import Meaning
from admin_app.services.payments import appointment_payments, held_money
from admin_app.services.payments.held_money import HeldMoney
from models.bookings import BookingStatus
from models.payments import RESERVING, Payment, Refund

WHEN = "once Stripe has made the refund"
STAYS = "The appointment stays as it is."
_OVER = {
    BookingStatus.CANCELED: "The appointment is canceled already.",
    BookingStatus.REFUNDED: "The appointment has ended already.",
    BookingStatus.COMPLETED: f"{STAYS} It took place.",
    BookingStatus.NO_SHOW: f"{STAYS} Nobody came to it.",
}


@dataclass(frozen=True)
class Decided:
    """What a refund's row keeps: whether the appointment ends with it and its client is told; None: undecided."""

    ends: bool | None = None
    tell: bool | None = None


def decided(ctx: Ctx, payment: Payment, amount: int, wanted: Decided) -> Decided:
    """What was wanted, where a refund of this much leaves a coming appointment without money; the locks are held.

    One that is over, or has begun, is not ended by it either when it is put at another time later.
    """
    if not _leaves_nothing(_reserved(ctx, payment, amount)):
        return Decided()
    return wanted if _is_coming(ctx, _of(ctx, payment)) else Decided(ends=False)


def of_request(ctx: Ctx, payment: Payment, amount: int, *, ends: bool, tell: bool, waits: bool) -> Meaning:
    """What a refund of this much does to its appointment; `waits` when a second person decides about it first."""
    appointment = _of(ctx, payment)
    wanted = decided(ctx, payment, amount, Decided(ends, tell))
    step = bookings.refunding(tell=tell) if wanted.ends else None
    return _meaning(ctx, appointment, step, _reserved(ctx, payment, amount), later=waits)


def of_decision(ctx: Ctx, payment: Payment) -> Meaning:
    """The same for a refund whose money is kept aside already, once it is approved."""
    paid, appointment = _reserved(ctx, payment, 0), _of(ctx, payment)
    return _meaning(ctx, appointment, ending(ctx, appointment) if _leaves_nothing(paid) else None, paid, later=False)


def of_returned(ctx: Ctx, payment: Payment, refund: Refund, *, waits: bool) -> Meaning:
    """What it does that the money of this refund, which came back, goes back after all: what was decided for it."""
    paid, appointment = _reserved(ctx, payment, refund.amount), _of(ctx, payment)
    step = ending(ctx, appointment, with_=refund) if _leaves_nothing(paid) else None
    return _meaning(ctx, appointment, step, paid, later=waits)


def ending(ctx: Ctx, appointment: Appointment, *, with_: Refund | None = None) -> Step | None:
    """The step by which it ends once all that is on its way is back, by the latest decision; None: it stays.

    `with_`: as if this refund were on its way, too.
    """
    if not _is_coming(ctx, appointment):
        return None
    counts = Refund.state.in_(RESERVING)
    latest = ctx.session.scalar(
        select(Refund)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            held_money.is_for(appointment.subject),
            counts if with_ is None else or_(counts, Refund.id == with_.id),
            Refund.ends_appointment.is_not(None),
        )
        .order_by(Refund.id.desc())
        .limit(1)
    )
    if latest is None:
        return bookings.refunding()
    return bookings.refunding(tell=latest.tells_client is not False) if latest.ends_appointment else None


def state_of(ctx: Ctx, payment: Payment) -> list[object]:
    """What a plan about this payment's refund was made from besides: its appointment, and what else was paid for it."""
    row = _of(ctx, payment).row
    query = select(Payment.id, Payment.captured_amount, Payment.reserved_amount)
    paid = ctx.session.execute(query.where(held_money.is_for(_subject(payment))).order_by(Payment.id))
    return [row.status, row.starts_at, row.version, [list(each) for each in paid]]


def _meaning(
    ctx: Ctx, appointment: Appointment, step: Step | None, paid: list[tuple[int, int, str]], *, later: bool
) -> Meaning:
    if step is None:
        return Meaning(sentences=(_why_it_stays(ctx, appointment, nothing_left=_leaves_nothing(paid)),))
    captured = sum(amount for amount, _, _ in paid)
    meant = step_plans.of_step(
        ctx,
        appointment,
        step,
        sources=dict.fromkeys(step.values, WHEN),
        money=HeldMoney(paid[0][2], captured, captured),
        when=WHEN,
        later=later,
    )
    ends = (
        "Once Stripe has made the refund, the appointment ends and its time is free for others. "
        "If it has begun by then, it stays as it is."
    )
    lines = tuple(line for line in meant.lines if line.changes)
    return Meaning(lines, meant.mails, meant.calls, (ends, *meant.sentences))


def _why_it_stays(ctx: Ctx, appointment: Appointment, *, nothing_left: bool) -> str:
    row = appointment.row
    if row.status in _OVER:
        return _OVER[row.status]
    if not nothing_left:
        return STAYS
    if row.status is BookingStatus.CONFIRMED and row.starts_at > ctx.now:
        return f"{STAYS} It takes place although nothing is paid for it, and nobody is written to."
    return f"{STAYS} It has begun." if row.status is BookingStatus.CONFIRMED else STAYS


def _reserved(ctx: Ctx, payment: Payment, amount: int) -> list[tuple[int, int, str]]:
    """Of each payment of the appointment: what was taken, what of it will be back, with `amount` more of this one."""
    query = select(Payment).where(held_money.is_for(_subject(payment)), Payment.captured_amount > 0)
    return [
        (each.captured_amount, each.reserved_amount + (amount if each.id == payment.id else 0), each.currency)
        for each in ctx.session.scalars(query.order_by(Payment.id))
    ]


def _leaves_nothing(paid: list[tuple[int, int, str]]) -> bool:
    return bool(paid) and all(back >= captured for captured, back, _ in paid)


def _is_coming(ctx: Ctx, appointment: Appointment) -> bool:
    return appointment.row.status is BookingStatus.CONFIRMED and appointment.row.starts_at > ctx.now


def _subject(payment: Payment) -> str:
    return appointment_payments.subject_of(payment)


def _of(ctx: Ctx, payment: Payment) -> Appointment:
    return appointments.get(ctx.session, _subject(payment))
