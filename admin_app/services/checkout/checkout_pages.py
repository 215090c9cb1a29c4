"""Paying for a held time at Stripe's checkout: transaction, network, transaction.

The payment and the call are written before the call leaves. When it fails the time is free again at once; when nobody
knows whether it had its effect, the page that may have come of it is looked for and closed by a job.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import and_, or_, select

from admin_app.context import Ctx
from admin_app.errors import Conflict, DomainError, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import CheckoutRequest, PaymentsPort, StripeSession
from admin_app.integrations.stripe import checkout_snapshots
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services import appointments, bookings, payments
from admin_app.services.appointments import Appointment
from admin_app.services.bookings import holds
from admin_app.services.checkout import outcomes, settlement
from admin_app.services.inbox import provider_calls
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.payments import held_money
from models.bookings import BookingStatus
from models.inbox import CallState, ProviderCall
from models.payments import Payment, PaymentState

OPERATION, EXPIRE = "checkout.create", "checkout.expire"
# Calls without an answer that a job settles, each by asking Stripe under its own key.
SETTLED_BY_ASKING = (OPERATION, EXPIRE)
# The SDK's tries with their time-outs are over by then: whoever made the call is gone.
ANSWERED_WITHIN = timedelta(minutes=5)
# Stripe forgets keys after a day: by then the call is refused as a new one, and so known not to have been carried out.
ASKED_FOR = timedelta(days=3)
_EXPIRES = "expire-"


class NotPayable(Conflict):
    """What was to be paid is not held any more."""

    code = "not_payable"
    sentence = "This is not held any more, so it cannot be paid. Choose a time again."


def start(work: Work, stripe: PaymentsPort | None, *, subject: str, return_url: str) -> str | None:
    """Have Stripe make the page on which a held time is paid, and answer its address; None when it was paid there and
    the bank has not said yes or no.

    When that fails the time is released and the provider's error raised. Asked again for the same hold, it is the same
    call and the same page: while another asks for it too, or has been given it, a failure releases nothing.
    """
    with work() as ctx:
        intended = _intended(ctx, subject, return_url)
    if intended is None:
        return None
    payment, checkout = intended
    if payment.checkout_url is not None:
        # Somebody may be paying on it: no trouble with another call may release what they hold.
        return payment.checkout_url
    key = key_of(payment, checkout.expires_at)
    try:
        if stripe is None:
            raise ProviderUnavailable("stripe", "Payments are not configured here, so this cannot be booked yet.")
        made = stripe.create_checkout(checkout, idempotency_key=key)
        if made.url is None:
            raise OutcomeUnknown("stripe")
    except DomainError as error:
        with work() as ctx:
            given = _failed(ctx, payment.id, subject, key, error)
        if given is None:
            raise
        return given
    with work() as ctx:
        took_place(ctx, key, payment.id, made)
        provider_calls.end_attempt(ctx, key)
    return made.url


def close(work: Work, stripe: PaymentsPort | None, *, subject: str) -> None:
    """Close the pages on which this can still be paid, and apply what Stripe says of them: somebody may just have
    paid. A hold that has lapsed ends with them.

    Raises ProviderUnavailable when Stripe does not answer: then nothing is decided.
    """
    with work() as ctx:
        pages, promised = (_sessions(ctx, subject, state) for state in (PaymentState.OPEN, PaymentState.PROCESSING))
    if stripe is not None:
        for session_id in pages:
            _close_page(work, stripe, subject, session_id)
        for session_id in promised:  # nobody pays on that page any more, and the bank may have decided
            snapshot = checkout_snapshots.fetch_session(stripe, session_id)
            with work() as ctx:
                settlement.apply(ctx, snapshot)
    with work() as ctx:
        holds.release(ctx, subject=subject, only_lapsed=True)


def _close_page(work: Work, stripe: PaymentsPort, subject: str, session_id: str) -> None:
    snapshot = _closed(work, stripe, subject, session_id)
    with work() as ctx:
        settlement.apply(ctx, snapshot)


def _sessions(ctx: Ctx, subject: str, state: PaymentState) -> list[str]:
    query = select(Payment.stripe_checkout_session_id).where(held_money.is_for(subject), Payment.state == state)
    return [session_id for session_id in ctx.session.scalars(query) if session_id]


def _closed(work: Work, stripe: PaymentsPort, subject: str, session_id: str) -> CheckoutSnapshot:
    try:
        session = provider_calls.send(
            work,
            provider="stripe",
            operation=EXPIRE,
            subject=subject,
            key=f"{_EXPIRES}{session_id}",
            call=lambda: stripe.expire_checkout(session_id),
            name=lambda closed: closed.id,
        )
    except ProviderRefused:
        return CheckoutSnapshot()  # Stripe knows no such page (any more), so nobody can pay on it
    return checkout_snapshots.with_payment(stripe, session)


def queue_unanswered(ctx: Ctx, *, limit: int) -> int:
    """Queue the calls whose answer nobody heard: the process died, or Stripe did not say.

    Those come first that were not asked about for longest, so that what is never answered keeps nobody waiting.
    """
    unanswered = or_(
        ProviderCall.state == CallState.UNKNOWN,
        and_(ProviderCall.state == CallState.INTENDED, ProviderCall.created_at < ctx.now - ANSWERED_WITHIN),
    )
    recent = and_(ProviderCall.created_at > ctx.now - ASKED_FOR, ProviderCall.finished_at.is_(None))
    calls = select(ProviderCall).where(unanswered, recent, ProviderCall.operation.in_(SETTLED_BY_ASKING))
    oldest = calls.order_by(ProviderCall.next_try_at.nulls_first(), ProviderCall.id).limit(limit)
    found = ctx.session.scalars(oldest.with_for_update(skip_locked=True)).all()
    provider_calls.postpone(ctx, found)
    for call in found:
        _queue_settling(ctx, call.id)
    return len(found)


def settle(work: Work, stripe: PaymentsPort | None, *, call_id: int, return_url: str) -> None:
    """Learn what became of a call without an answer, by the same call under the same key, and undo what came of it.

    Nobody was given the page that it may have made, so the page is closed and the time released. A page that was to be
    closed is closed once more.
    """
    with work() as ctx:
        call = _still_unanswered(ctx, call_id)
        expires = call is not None and call.operation == EXPIRE
        subject, key = (call.subject, call.idempotency_key) if call is not None else ("", "")
        asked = None if call is None or expires else _as_it_left(ctx, call, return_url)
    if stripe is None:
        return
    if expires:
        _close_page(work, stripe, subject, key.removeprefix(_EXPIRES))
    if asked is None:
        return
    payment_id, checkout = asked
    try:
        made = stripe.create_checkout(checkout, idempotency_key=key)
    except ProviderRefused as refused:
        with work() as ctx:
            _never_was(ctx, key, payment_id, checkout.subject, refused.reason)
        return
    except OutcomeUnknown:
        return  # as unknown as before; asked again later
    with work() as ctx:
        took_place(ctx, key, payment_id, made)
        holds.release(ctx, subject=checkout.subject)
        bookings.close_checkout(ctx, appointments.get(ctx.session, checkout.subject))


def _still_unanswered(ctx: Ctx, call_id: int) -> ProviderCall | None:
    call = ctx.session.get(ProviderCall, call_id)
    return call if call is not None and call.state in provider_calls.OPEN else None


def _as_it_left(ctx: Ctx, call: ProviderCall, return_url: str) -> tuple[int, CheckoutRequest]:
    payment_id, expires_at = _parts_of(call.idempotency_key)
    return payment_id, request_for(appointments.get(ctx.session, call.subject), expires_at, return_url)


def _never_was(ctx: Ctx, key: str, payment_id: int, subject: str, reason: str) -> None:
    """Stripe knows of no such call, and does not take it any more."""
    holds.release(ctx, subject=subject)
    provider_calls.finish(ctx, key=key, state=CallState.FAILED, error_code=reason)
    payments.give_up(ctx, payment_id, "never_offered")


def key_of(payment: Payment, expires_at: datetime) -> str:
    """One payment's one call. The time sets it apart from the payment of this number in another database."""
    return f"checkout-{payment.id}-{int(expires_at.timestamp())}"


def _parts_of(key: str) -> tuple[int, datetime]:
    _, payment_id, expires_at = key.split("-")
    return int(payment_id), datetime.fromtimestamp(int(expires_at), UTC)


def request_for(appointment: Appointment, expires_at: datetime, return_url: str) -> CheckoutRequest:
    """What Stripe is asked for; the same each time for one hold, or its key would not fit."""
    if appointment.email is None:
        raise NotPayable
    back = f"{return_url}{'&' if '?' in return_url else '?'}"
    return CheckoutRequest(
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


def _intended(ctx: Ctx, subject: str, return_url: str) -> tuple[Payment, CheckoutRequest] | None:
    appointment = appointments.locked(ctx, subject)
    row = appointment.row
    until = row.hold_expires_at if row.status is BookingStatus.PENDING else None
    if until is None or until <= ctx.now or not appointment.costs:
        raise NotPayable
    if payments.is_processing(ctx.session, subject):
        return None
    # Stripe keeps a page open for half an hour at least; where the hold ends before, a job closes it then.
    checkout = request_for(appointment, max(until, row.created_at + holds.HOLD_FOR), return_url)
    payment = payments.open_payment(ctx, subject, checkout.amount, checkout.currency)
    provider_calls.intend(
        ctx, provider="stripe", operation=OPERATION, subject=subject, key=key_of(payment, checkout.expires_at)
    )
    return payment, checkout


def _failed(ctx: Ctx, payment_id: int, subject: str, key: str, error: DomainError) -> str | None:
    """Note the failure, and release the time unless somebody else is given its page; the page that somebody was."""
    appointments.locked(ctx, subject)
    call = provider_calls.end_attempt(ctx, key)
    if call.state is CallState.SUCCEEDED:
        return payments.locked(ctx, payment_id).checkout_url
    state, code = provider_calls.state_after(error), provider_calls.code_after(error)
    passing = provider_calls.is_passing(error)
    if passing and call.state is CallState.UNKNOWN:
        state = CallState.UNKNOWN  # what another attempt did is as unknown as before
    if passing and call.attempts_ended < call.attempts:
        if state is CallState.UNKNOWN:
            provider_calls.finish(ctx, key=key, state=state, error_code=code)
        return None
    holds.release(ctx, subject=subject)
    provider_calls.finish(ctx, key=key, state=state, error_code=code)
    if state is CallState.FAILED:
        payments.give_up(ctx, payment_id, code)
    return None


def took_place(ctx: Ctx, key: str, payment_id: int, made: StripeSession) -> None:
    """Note the page that came of the call."""
    payment = ctx.session.get_one(Payment, payment_id)
    appointment = appointments.locked(ctx, payments.subject_of(payment))
    payments.apply_session(ctx, made, payment_id=payment_id)
    provider_calls.finish(ctx, key=key, state=CallState.SUCCEEDED, external_id=made.id)
    outcomes.note_ids(appointment, payment)


def _queue_settling(ctx: Ctx, call_id: int) -> None:
    job_queue.defer(ctx.session, "settle_call", once_key=f"settle_call:{call_id}", anew=False, call_id=call_id)
