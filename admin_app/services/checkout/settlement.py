"""What Stripe says about a payment, applied to the payment, its refunds and what was paid for.

Events, the return from the checkout, and the jobs that ask on their own all end here, in any order and any number of
times. What happens to the appointment hangs on the state that the payment *entered* just now, so that nothing happens
twice; a booking is confirmed by nothing but a paid session.
"""

from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import SlotTaken
from admin_app.integrations.money_ports import OUR_MODE, PaymentsPort, StripePayment, StripeRefund, StripeSession
from admin_app.services import appointments, bookings, payments, refunds
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import UNPAID_ENDS, holds
from admin_app.services.payments import held_money, refund_states
from admin_app.services.refunds import refund_endings
from models.bookings import Booking, BookingStatus, CanceledBecause
from models.payments import Payment, PaymentState, Refund, RefundReason, RefundState


@dataclass(frozen=True)
class Told:
    """One payment as Stripe has it now; nothing of it where Stripe knows nothing."""

    session: StripeSession | None = None
    payment: StripePayment | None = None
    refunds: tuple[StripeRefund, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.session is None and self.payment is None

    @property
    def subject(self) -> str | None:
        """What it says it was paid for."""
        named = (told.subject for told in (self.session, self.payment) if told is not None)
        return next((subject for subject in named if subject), None)

    @property
    def holds_money(self) -> bool:
        if self.session is not None and self.session.mode != OUR_MODE:
            return False
        paid = self.session is not None and self.session.status == "complete" and self.session.payment_status == "paid"
        return paid or (self.payment is not None and self.payment.captured > 0)


def ask_about_session(stripe: PaymentsPort, session_id: str) -> Told:
    """The session with its payment and refunds; outside of any transaction."""
    session = stripe.checkout(session_id)
    return Told() if session is None else with_its_payment(stripe, session)


def with_its_payment(stripe: PaymentsPort, session: StripeSession) -> Told:
    if session.payment_intent_id is None:
        return Told(session)
    told = ask_about_payment(stripe, session.payment_intent_id)
    return Told(session, told.payment, told.refunds)


def ask_about_payment(stripe: PaymentsPort, payment_intent_id: str) -> Told:
    """The payment with its refunds; outside of any transaction."""
    payment = stripe.payment(payment_intent_id)
    if payment is None:
        return Told()
    gave_back = payment.refunded > 0 or payment.captured > 0
    return Told(None, payment, tuple(stripe.refunds_of(payment_intent_id)) if gave_back else ())


def take_in(ctx: Ctx, told: Told) -> Appointment | None:
    """Apply it; the appointment that was paid for, None when the payment is not one of ours."""
    if told.session is not None and told.session.mode != OUR_MODE:
        return None
    found = _find(ctx.session, told)
    if found is None:
        return None
    appointment = appointments.locked(ctx, found.subject)
    held_money.locked_for(ctx, found.subject)  # all in their order, for some steps look at the others
    entered: PaymentState | None = None
    payment: Payment | None = None
    if told.session is not None:
        news = payments.take_in_session(ctx, told.session)
        if news is None:
            return None
        payment, entered = news.payment, news.became
    if told.payment is not None:
        news = payments.take_in_payment(ctx, told.payment)
        payment, entered = (news.payment, news.became or entered) if news else (payment, entered)
    if payment is None:
        return None
    if told.payment is not None:
        refund_states.take_in(ctx, payment, told.refunds)
    note_ids(appointment, payment)
    if entered is not None:
        _follow(ctx, appointment, payment, entered)
    follow_refunds(ctx, appointment)
    return appointment


def follow_refunds(ctx: Ctx, appointment: Appointment) -> None:
    """A coming appointment of which all the money went back ends, unless it was to stay; one whose money came back is
    not refunded any more. The row is locked."""
    paid = list(ctx.session.scalars(select(Payment).where(of(appointment.subject), Payment.captured_amount > 0)))
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
    mine = returned.where(of(subject), Refund.returned_at.is_not(None), *is_here)
    return session.scalar(mine.order_by(Refund.id.desc()).limit(1))


def of(subject: str) -> ColumnElement[bool]:
    """The condition that a payment is for this booking or meeting."""
    kind, number = appointments.subject_parts(subject)
    return (Payment.booking_id if kind == "booking" else Payment.meeting_id) == number


def note_ids(appointment: Appointment, payment: Payment) -> None:
    """A booking carries Stripe's ids of its payment, by which others look it up."""
    if isinstance(appointment.row, Booking):
        appointment.row.stripe_checkout_session_id = payment.stripe_checkout_session_id
        appointment.row.stripe_payment_intent_id = payment.stripe_payment_intent_id


def _find(session: Session, told: Told) -> Appointment | None:
    """By Stripe's ids, as they were noted, or by the subject that the objects carry when nobody could note any."""
    conditions: list[ColumnElement[bool]] = []
    if told.session is not None:
        conditions.append(Payment.stripe_checkout_session_id == told.session.id)
    if told.payment is not None:
        conditions.append(Payment.stripe_payment_intent_id == told.payment.id)
    payment = session.scalar(select(Payment).where(or_(*conditions)).limit(1)) if conditions else None
    subject = payments.subject_of(payment) if payment else told.subject
    return appointments.find(session, subject) if subject else None


def _follow(ctx: Ctx, appointment: Appointment, payment: Payment, entered: PaymentState) -> None:
    pending = appointment.row.status is BookingStatus.PENDING
    match entered:
        case PaymentState.PAID:
            _paid(ctx, appointment, payment)
        case PaymentState.PROCESSING if pending:
            # The bank takes days, and the client has done their part: it is theirs until it would begin.
            appointment.row.hold_expires_at = appointment.row.starts_at
            bookings.touch(ctx, appointment)
        case PaymentState.EXPIRED if pending:
            bookings.cancel_unpaid(ctx, appointment, CanceledBecause.NEVER_PAID)
        case PaymentState.FAILED if pending:
            bookings.cancel_unpaid(ctx, appointment, CanceledBecause.PAYMENT_FAILED)
        case PaymentState.OPEN | PaymentState.PROCESSING | PaymentState.EXPIRED | PaymentState.FAILED:
            pass
        case _:
            assert_never(entered)


def _paid(ctx: Ctx, appointment: Appointment, payment: Payment) -> None:
    """The money is here: confirm what it was paid for, or give it back when that cannot be had any more."""
    row = appointment.row
    lapsed = row.status is BookingStatus.PENDING or (
        row.status is BookingStatus.CANCELED and row.canceled_because in UNPAID_ENDS
    )
    if lapsed and _is_free(ctx, appointment):
        bookings.confirm(ctx, appointment)
        return
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
