"""Paying for a held time at Stripe's checkout: transaction, network, transaction.

The payment and the call are written before the call leaves. When it fails the time is free again at once; when nobody
knows whether it had its effect, the page that may have come of it is looked for and closed by a job.
"""

from datetime import datetime
from urllib.parse import urlencode

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import CheckoutWish, StripePort, StripeSession
from admin_app.services import appointments, holds, payments, provider_calls
from admin_app.services.appointments import Appointment
from admin_app.services.provider_calls import Work
from models.money import CallState, Payment
from models.scheduling import Booking, BookingStatus

OPERATION = "checkout.create"


class NotPayable(Conflict):
    code = "not_payable"
    sentence = "This is not held any more, so it cannot be paid. Choose a time again."


def start(work: Work, stripe: StripePort | None, *, subject: str, return_url: str) -> str:
    """Have Stripe make the page on which a held time is paid, and answer its address.

    When that fails the time is released and the provider's error raised. Asked again for the same hold, it is the same
    call and the same page.
    """
    with work() as ctx:
        payment, wish = _intended(ctx, subject, return_url)
    key = key_of(payment, wish.expires_at)
    try:
        if stripe is None:
            raise ProviderUnavailable("stripe", "Payments are not configured here, so this cannot be booked yet.")
        made = stripe.create_checkout(wish, idempotency_key=key)
        if made.url is None:
            raise OutcomeUnknown("stripe")
    except DomainError as error:
        with work() as ctx:
            _failed(ctx, subject, key, error)
        raise
    with work() as ctx:
        took_place(ctx, key, payment.id, made)
    return made.url


def key_of(payment: Payment, expires_at: datetime) -> str:
    """One payment's one call. The time sets it apart from the payment of this number in another database."""
    return f"checkout-{payment.id}-{int(expires_at.timestamp())}"


def wish_for(appointment: Appointment, return_url: str) -> CheckoutWish:
    """What Stripe is asked for; the same each time for one hold, or its key would not fit."""
    expires_at = appointment.row.hold_expires_at
    if expires_at is None or appointment.email is None:
        raise NotPayable
    back = f"{return_url}{'&' if '?' in return_url else '?'}"
    return CheckoutWish(
        subject=appointment.subject,
        title=appointment.title,
        amount=appointment.row.price_amount,
        currency=appointment.row.price_currency,
        email=appointment.email,
        # The braces are Stripe's: it puts the id of the session there.
        success_url=back + "session_id={CHECKOUT_SESSION_ID}",
        cancel_url=back + urlencode({"left": appointment.subject}),
        expires_at=expires_at,
    )


def _intended(ctx: Ctx, subject: str, return_url: str) -> tuple[Payment, CheckoutWish]:
    appointment = appointments.locked(ctx, subject)
    row = appointment.row
    held = row.status is BookingStatus.PENDING and row.hold_expires_at is not None and row.hold_expires_at > ctx.now
    if not held or not appointment.costs:
        raise NotPayable
    wish = wish_for(appointment, return_url)
    payment = payments.open_payment(ctx, subject, wish.amount, wish.currency)
    provider_calls.intend(
        ctx, provider="stripe", operation=OPERATION, subject=subject, key=key_of(payment, wish.expires_at)
    )
    return payment, wish


def _failed(ctx: Ctx, subject: str, key: str, error: DomainError) -> None:
    holds.release(ctx, subject=subject)
    state, code = provider_calls.state_after(error), provider_calls.code_after(error)
    provider_calls.finish(ctx, key=key, state=state, error_code=code)
    if state is CallState.UNKNOWN:
        job_queue.defer(ctx.session, "settle_calls", once_key="settle_calls")


def took_place(ctx: Ctx, key: str, payment_id: int, made: StripeSession) -> None:
    """Note the page that came of the call."""
    payment = ctx.session.get_one(Payment, payment_id)
    appointment = appointments.locked(ctx, payments.subject_of(payment))
    payments.take_in_session(ctx, made, payment_id=payment_id)
    provider_calls.finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=made.id)
    note_ids(appointment, payment)


def note_ids(appointment: Appointment, payment: Payment) -> None:
    """A booking carries Stripe's ids of its payment, by which others look it up."""
    if isinstance(appointment.row, Booking):
        appointment.row.stripe_checkout_session_id = payment.stripe_checkout_session_id
        appointment.row.stripe_payment_intent_id = payment.stripe_payment_intent_id
