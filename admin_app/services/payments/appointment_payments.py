"""What was paid for a booking or meeting, as Stripe tells it. What that means for the appointment is decided elsewhere.

Stripe's events come in any order and more than once, so nothing here goes back: what is paid stays paid, and captured
money only grows. Whoever changes a payment or its refunds locks the payment's row first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.errors import NotFound
from admin_app.integrations.money_ports import StripePayment, StripeSession
from admin_app.services.core import audit
from admin_app.services.core.records import booking_key, dispute_key, lock_names, meeting_key, payment_key
from admin_app.services.payments import disputes
from models.payments import Dispute, Payment, PaymentState

# How far along each state is; a payment only moves on. An expired or failed checkout may turn out to be paid after all.
ORDER = {
    PaymentState.OPEN: 0,
    PaymentState.PROCESSING: 1,
    PaymentState.EXPIRED: 2,
    PaymentState.FAILED: 2,
    PaymentState.PAID: 3,
}
UNPAID = (PaymentState.OPEN, PaymentState.PROCESSING)


@dataclass(frozen=True)
class PaymentNews:
    """A payment after Stripe was heard: the state that it entered just now, and whether a dispute was opened."""

    payment: Payment
    became: PaymentState | None = None
    disputed: bool = False


def subject_of(payment: Payment) -> str:
    """The key of what was paid for."""
    return booking_key(payment.booking_id) if payment.booking_id else meeting_key(payment.meeting_id or 0)


def paid_for(payment: Payment) -> dict[str, str]:
    """What was paid for, as the audit's sentences say it."""
    what, _, number = subject_of(payment).partition(":")
    return {"what": what, "number": number}


def records_of(payment: Payment) -> list[str]:
    """The records that a change of this payment is about."""
    return [payment_key(payment.id), subject_of(payment)]


def locked(ctx: Ctx, payment_id: int) -> Payment:
    """The payment, locked and as it is now; with it, its refunds are locked."""
    payment = ctx.session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment


def open_payment(ctx: Ctx, subject: str, amount: int, currency: str) -> Payment:
    """The payment that is to be made for this booking or meeting; the one that is open already, if it fits."""
    lock_names(ctx.session, f"payment_of:{subject}")
    found = ctx.session.scalar(
        _newest(
            _of(subject),
            Payment.state == PaymentState.OPEN,
            Payment.amount == amount,
            Payment.currency == currency,
        )
    )
    if found is not None:
        return found
    what, _, number = subject.partition(":")
    payment = Payment(amount=amount, currency=currency, created_at=ctx.now, updated_at=ctx.now)
    setattr(payment, f"{what}_id", int(number))
    ctx.session.add(payment)
    ctx.session.flush()  # its number is wanted, and the defaults of the database with it
    ctx.session.refresh(payment)
    return payment


def is_processing(session: Session, subject: str) -> bool:
    """Whether a payment for this booking or meeting is with the bank, which has not said yes or no."""
    waiting = select(Payment.id).where(_of(subject), Payment.state == PaymentState.PROCESSING).limit(1)
    return session.scalar(waiting) is not None


def last_paid_at(session: Session, subject: str) -> datetime | None:
    """When the money for this booking or meeting was heard to be here, the last time; None when it never was."""
    return session.scalar(select(func.max(Payment.paid_at)).where(_of(subject)))


def give_up(ctx: Ctx, payment_id: int, because: str) -> None:
    """Stripe never made a page on which it could be paid, and certainly so."""
    payment = locked(ctx, payment_id)
    before = _seen(payment)
    payment.failure_code = because
    _noted(ctx, payment, before, _move(ctx, payment, PaymentState.FAILED))


def apply_session(ctx: Ctx, session: StripeSession, *, payment_id: int | None = None) -> PaymentNews | None:
    """Apply a Checkout session as Stripe has it now; None when no payment of ours belongs to it.

    `payment_id` says whose session it is when it was just created. Otherwise it is found by its id, or, when nobody
    could note that, by the subject that it carries.
    """
    payment = locked(ctx, payment_id) if payment_id else _payment_of_session(ctx, session)
    if payment is None or payment.stripe_checkout_session_id not in (None, session.id):
        return None
    before = _seen(payment)
    payment.stripe_checkout_session_id = session.id
    payment.stripe_payment_intent_id = payment.stripe_payment_intent_id or session.payment_intent_id
    payment.checkout_url = session.url or payment.checkout_url
    became = _move(ctx, payment, state_by_session(session))
    if became is PaymentState.PAID:
        payment.captured_amount = max(payment.captured_amount, session.amount)
        payment.failure_code = None
    return _noted(ctx, payment, before, became)


def apply_payment(ctx: Ctx, snapshot: StripePayment) -> PaymentNews | None:
    """Apply a payment intent with its charge; the session is heard first, for it alone says that it is paid."""
    payment = _payment_of_intent(ctx, snapshot)
    if payment is None:
        return None
    before = _seen(payment)
    payment.stripe_payment_intent_id = payment.stripe_payment_intent_id or snapshot.id
    payment.stripe_charge_id = snapshot.charge_id or payment.stripe_charge_id
    payment.captured_amount = max(payment.captured_amount, snapshot.captured)
    payment.fee_amount = snapshot.fee if snapshot.fee is not None else payment.fee_amount
    if payment.state is not PaymentState.PAID:
        payment.failure_code = snapshot.failure_code or payment.failure_code
    # While the session is open, a declined card may be followed by another one; once it is complete, by nothing.
    refused = payment.state is PaymentState.PROCESSING and is_refused(snapshot)
    became = _move(ctx, payment, PaymentState.FAILED if refused else payment.state)
    opened = disputes.apply(ctx, payment, snapshot.every_dispute, snapshot.asked_at)
    return _noted(ctx, payment, before, became, opened)


def is_refused(snapshot: StripePayment) -> bool:
    """Whether the bank said no; of an open session that is not the last word."""
    return snapshot.status in ("requires_payment_method", "canceled")


def state_by_session(session: StripeSession) -> PaymentState:
    """The state that a Checkout session speaks of."""
    if session.status == "expired":
        return PaymentState.EXPIRED
    if session.status == "open":
        return PaymentState.OPEN
    return PaymentState.PROCESSING if session.payment_status == "unpaid" else PaymentState.PAID


def _move(ctx: Ctx, payment: Payment, state: PaymentState) -> PaymentState | None:
    """Take the step when it leads on; the state that was entered, None when it stays."""
    if ORDER[state] <= ORDER[payment.state]:
        return None
    payment.state = state
    if state is PaymentState.PAID:
        payment.paid_at = ctx.now
    return state


def _noted(
    ctx: Ctx, payment: Payment, before: list[object], became: PaymentState | None, opened: Sequence[Dispute] = ()
) -> PaymentNews:
    """Mark the row as changed when it is, and say in the audit what people want to find there."""
    if _seen(payment) != before:
        payment.version += 1
        payment.updated_at = ctx.now
    about = paid_for(payment)
    if became in (PaymentState.PAID, PaymentState.EXPIRED):
        audit.record(ctx, f"payment.{became.value}", records=records_of(payment), facts=about)
    if became is PaymentState.FAILED:
        because = payment.failure_code or "no reason given"
        audit.record(ctx, "payment.failed", records=records_of(payment), facts={**about, "because": because})
    for dispute in opened:
        records = [*records_of(payment), dispute_key(dispute.id)]
        audit.record(ctx, "payment.disputed", records=records, facts={**about, "because": dispute.reason})
    return PaymentNews(payment, became, bool(opened))


def _seen(payment: Payment) -> list[object]:
    return [getattr(payment, column.key) for column in Payment.__table__.columns]


def _payment_of_session(ctx: Ctx, session: StripeSession) -> Payment | None:
    found = ctx.session.scalar(_newest(Payment.stripe_checkout_session_id == session.id))
    if found is not None or session.subject is None:
        return found
    return ctx.session.scalar(
        _newest(
            _of(session.subject),
            Payment.stripe_checkout_session_id.is_(None),
            Payment.currency == session.currency,
        )
    )


def _payment_of_intent(ctx: Ctx, snapshot: StripePayment) -> Payment | None:
    found = ctx.session.scalar(_newest(Payment.stripe_payment_intent_id == snapshot.id))
    if found is not None or snapshot.subject is None:
        return found
    # An intent comes to be when somebody tries to pay, so its session may not have named it yet.
    return ctx.session.scalar(
        _newest(
            _of(snapshot.subject),
            Payment.stripe_payment_intent_id.is_(None),
            Payment.state.in_(UNPAID),
            Payment.currency == snapshot.currency,
        )
    )


def _of(subject: str) -> ColumnElement[bool]:
    """Payments for this booking or meeting; none for a subject that is neither."""
    what, _, number = subject.partition(":")
    column = {"booking": Payment.booking_id, "meeting": Payment.meeting_id}.get(what)
    if column is None or not (number.isascii() and number.isdigit() and len(number) <= 18):
        return Payment.id == 0
    return column == int(number)


def _newest(*conditions: ColumnElement[bool]) -> Select[Payment]:
    """The newest such payment, locked, as it is now."""
    return (
        select(Payment)
        .where(*conditions)
        .order_by(Payment.id.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
