"""What follows for an appointment from the state that its payment entered, and from the refunds of it.

What happens hangs on the state that the payment *entered* just now, so that nothing happens twice; a booking is
confirmed by nothing but a paid session. `decide` says what is to happen, from locked rows, and changes nothing.
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import SlotTaken
from admin_app.services import bookings, refunds
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import UNPAID_ENDS, holds
from admin_app.services.payments import held_money, refund_states
from admin_app.services.refunds import refund_endings
from models.bookings import Booking, BookingStatus, CanceledBecause, Meeting
from models.payments import Payment, PaymentState, Refund, RefundReason, RefundState


class Outcome(Enum):
    """What is to happen to an appointment whose payment entered a state."""

    NOTHING = "nothing"
    HOLD_ON = "the bank takes days, and the client has done their part"
    CONFIRM = "it is paid, and its time may still be had"
    CANCEL = "it was not paid"
    GIVE_BACK = "it is paid and cannot be had any more, or was paid twice"


@dataclass(frozen=True)
class Decision:
    """An outcome, and why an appointment is canceled where it is."""

    outcome: Outcome
    because: CanceledBecause | None = None


def decide(row: Booking | Meeting, entered: PaymentState | None) -> Decision:
    """What follows for this booking or meeting from the state that its payment entered just now; None: it stayed."""
    pending = row.status is BookingStatus.PENDING
    match entered:
        case PaymentState.PAID:
            lapsed = pending or (row.status is BookingStatus.CANCELED and row.canceled_because in UNPAID_ENDS)
            return Decision(Outcome.CONFIRM if lapsed else Outcome.GIVE_BACK)
        case PaymentState.PROCESSING if pending:
            return Decision(Outcome.HOLD_ON)
        case PaymentState.EXPIRED if pending:
            return Decision(Outcome.CANCEL, CanceledBecause.NEVER_PAID)
        case PaymentState.FAILED if pending:
            return Decision(Outcome.CANCEL, CanceledBecause.PAYMENT_FAILED)
        case None | PaymentState.OPEN | PaymentState.PROCESSING | PaymentState.EXPIRED | PaymentState.FAILED:
            return Decision(Outcome.NOTHING)
        case _:
            assert_never(entered)


def follow(ctx: Ctx, appointment: Appointment, payment: Payment, entered: PaymentState | None) -> None:
    """Do what follows from the state that the payment entered, and from what went back of it. All rows are locked."""
    note_ids(appointment, payment)
    decision = decide(appointment.row, entered)
    if decision.outcome is Outcome.HOLD_ON:
        appointment.row.hold_expires_at = appointment.row.starts_at  # it is theirs until it would begin
        bookings.touch(ctx, appointment)
    elif decision.because is not None:
        bookings.cancel_unpaid(ctx, appointment, decision.because)
    elif decision.outcome is Outcome.CONFIRM and _is_free(ctx, appointment):
        bookings.confirm(ctx, appointment)
    elif decision.outcome in (Outcome.CONFIRM, Outcome.GIVE_BACK):
        _give_back(ctx, appointment, payment)
    follow_refunds(ctx, appointment)


def _give_back(ctx: Ctx, appointment: Appointment, payment: Payment) -> None:
    """The money is here, and what it was paid for cannot be had any more."""
    row = appointment.row
    if row.status is BookingStatus.PENDING:
        bookings.cancel_unpaid(ctx, appointment, CanceledBecause.NEVER_PAID)
    if refunds.request_by_backdesk(ctx, payment, payment.captured_amount, _why_back(appointment)) is None:
        held_money.review_all(ctx, appointment.subject)  # it cannot go back now, so somebody looks at it
    if row.status is BookingStatus.CANCELED:
        bookings.send_mail(ctx, appointment, "cancellation", once=f"paid-{payment.id}")


def _is_free(ctx: Ctx, appointment: Appointment) -> bool:
    """Whether the time is still to come and nobody else's; the practitioner's name is locked."""
    row = appointment.row
    if row.starts_at <= ctx.now:
        return False  # nobody counts on what was not paid when it began
    try:
        holds.take_time(
            ctx,
            practitioner_id=row.practitioner_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            except_=appointment.subject,
        )
    except SlotTaken:
        return False
    return True


def _why_back(appointment: Appointment) -> RefundReason:
    row = appointment.row
    if row.status is not BookingStatus.CANCELED:
        return RefundReason.DUPLICATE
    return RefundReason.SLOT_LOST if row.canceled_because in UNPAID_ENDS else RefundReason.CANCELED_BY_US


def follow_refunds(ctx: Ctx, appointment: Appointment) -> None:
    """A coming appointment of which all the money went back ends, unless it was to stay; one whose money came back is
    not refunded any more. The row is locked."""
    holding = select(Payment).where(held_money.is_for(appointment.subject), Payment.captured_amount > 0)
    paid = list(ctx.session.scalars(holding))
    everything = bool(paid) and all(refund_states.all_given_back(ctx.session, payment) for payment in paid)
    step = refund_endings.ending(ctx, appointment) if everything else None
    if step is not None:
        bookings.carry_out(ctx, appointment, step)
    elif appointment.row.status is BookingStatus.REFUNDED and (back := _came_back(ctx.session, appointment.subject)):
        by_client = back is RefundReason.REQUESTED_BY_CUSTOMER
        because = CanceledBecause.BY_CLIENT if by_client else CanceledBecause.BY_STAFF
        bookings.refund_came_back(ctx, appointment, because)
        held_money.review_all(ctx, appointment.subject)


def _came_back(session: Session, subject: str) -> RefundReason | None:
    """Why the last refund was made that came back and whose money is here; None: there is none, for what was paid
    twice and is on its way back is no such."""
    returned = select(Refund.reason).join(Payment, Payment.id == Refund.payment_id)
    is_here = (Refund.state == RefundState.FAILED, Payment.captured_amount > Payment.reserved_amount)
    mine = returned.where(held_money.is_for(subject), Refund.returned_at.is_not(None), *is_here)
    return session.scalar(mine.order_by(Refund.id.desc()).limit(1))


def note_ids(appointment: Appointment, payment: Payment) -> None:
    """A booking carries Stripe's ids of its payment, by which others look it up."""
    if isinstance(appointment.row, Booking):
        appointment.row.stripe_checkout_session_id = payment.stripe_checkout_session_id
        appointment.row.stripe_payment_intent_id = payment.stripe_payment_intent_id
