"""What Stripe says about a payment, applied to the payment, its refunds and what was paid for.

Events, the return from the checkout, and the jobs that ask on their own all end here, in any order and any number of
times: locked, applied to payment and refunds, then what follows for the appointment (`outcomes`) once.
"""

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations.money_ports import OUR_MODE
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, payments
from admin_app.services.appointments import Appointment
from admin_app.services.checkout import outcomes
from admin_app.services.payments import held_money, refund_states
from models.payments import Payment, PaymentState


def apply(ctx: Ctx, snapshot: CheckoutSnapshot) -> Appointment | None:
    """Apply the snapshot; the appointment that was paid for, None when the payment is not one of ours."""
    if snapshot.session is not None and snapshot.session.mode != OUR_MODE:
        return None
    found = _find(ctx.session, snapshot)
    if found is None:
        return None
    appointment = appointments.locked(ctx, found.subject)
    held_money.locked_for(ctx, found.subject)  # all in their order, for some steps look at the others
    entered: PaymentState | None = None
    payment: Payment | None = None
    if snapshot.session is not None:
        news = payments.apply_session(ctx, snapshot.session)
        if news is None:
            return None
        payment, entered = news.payment, news.became
    if snapshot.payment is not None:
        news = payments.apply_payment(ctx, snapshot.payment)
        payment, entered = (news.payment, news.became or entered) if news else (payment, entered)
    if payment is None:
        return None
    if snapshot.payment is not None:
        refund_states.apply(ctx, payment, snapshot.refunds)
    outcomes.follow(ctx, appointment, payment, entered)
    return appointment


def _find(session: Session, snapshot: CheckoutSnapshot) -> Appointment | None:
    """By Stripe's ids, as they were noted, or by the subject that the objects carry when nobody could note any."""
    conditions: list[ColumnElement[bool]] = []
    if snapshot.session is not None:
        conditions.append(Payment.stripe_checkout_session_id == snapshot.session.id)
    if snapshot.payment is not None:
        conditions.append(Payment.stripe_payment_intent_id == snapshot.payment.id)
    payment = session.scalar(select(Payment).where(or_(*conditions)).limit(1)) if conditions else None
    subject = payments.subject_of(payment) if payment else snapshot.subject
    return appointments.find(session, subject) if subject else None
