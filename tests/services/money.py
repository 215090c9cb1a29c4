"""Payments for tests of money: a booking that was paid, and what Stripe says about it."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from admin_app.context import Ctx, Provider, Staff
from admin_app.db import Database
from admin_app.integrations.money_ports import StripeDispute, StripePayment, StripeRefund, StripeSession
from admin_app.services import payments, refunds
from admin_app.services.payments import disputes
from models import RESERVING, Booking, Dispute, Payment, Practitioner, Refund, Role, SessionType, StaffMember
from tests.services.factories import NOON, OPERATOR, SUPPORT

STRIPE = Provider("stripe")
PRICE = 10_000
LIMIT = 20_000
_numbers = count(1)


def add_booking(ctx: Ctx, *, starts_at: datetime | None = None, price: int = PRICE) -> Booking:
    number = next(_numbers)
    practitioner = Practitioner(name="Dr Day", email=f"day{number}@example.com")
    ctx.session.add(practitioner)
    ctx.session.flush()
    kind = SessionType(practitioner_id=practitioner.id, title="Consultation", minutes=50, price_amount=price)
    ctx.session.add(kind)
    ctx.session.flush()
    starts = starts_at or NOON
    booking = Booking(
        practitioner_id=practitioner.id,
        session_type_id=kind.id,
        client_name="Cleo Client",
        client_email="cleo@example.com",
        starts_at=starts,
        ends_at=starts + timedelta(minutes=50),
        price_amount=price,
    )
    ctx.session.add(booking)
    ctx.session.flush()
    return booking


def session(payment: Payment | None = None, **values: Any) -> StripeSession:
    """A Checkout session; paid unless said otherwise."""
    number = payment.id if payment else 0
    defaults: dict[str, Any] = {
        "id": f"cs_{number}",
        "url": None,
        "status": "complete",
        "payment_status": "paid",
        "payment_intent_id": f"pi_{number}",
        "amount": payment.amount if payment else PRICE,
        "currency": "eur",
        "subject": payments.subject_of(payment) if payment else None,
        "expires_at": None,
    }
    return StripeSession(**(defaults | values))


def told(payment: Payment | None = None, **values: Any) -> StripePayment:
    """A payment intent with its charge; succeeded unless said otherwise."""
    number = payment.id if payment else 0
    defaults: dict[str, Any] = {
        "id": f"pi_{number}",
        "status": "succeeded",
        "captured": payment.amount if payment else PRICE,
        "refunded": 0,
        "currency": "eur",
        "charge_id": f"ch_{number}",
        "fee": 320,
        "failure_code": None,
        "subject": payments.subject_of(payment) if payment else None,
        "dispute": None,
    }
    return StripePayment(**(defaults | values))


def dispute(**values: Any) -> StripeDispute:
    defaults: dict[str, Any] = {
        "id": f"du_{next(_numbers)}",
        "status": "needs_response",
        "reason": "product_not_received",
        "amount": PRICE,
        "due_by": NOON + timedelta(days=7),
    }
    return StripeDispute(**(defaults | values))


def add_dispute(ctx: Ctx, payment: Payment, **values: Any) -> Dispute:
    """A dispute as it lies there; of the whole payment and unanswered unless said otherwise."""
    defaults: dict[str, Any] = {
        "stripe_dispute_id": f"du_{next(_numbers)}",
        "status": "needs_response",
        "reason": "fraudulent",
        "amount": payment.captured_amount,
    }
    row = Dispute(payment_id=payment.id, currency=payment.currency, **(defaults | values))
    ctx.session.add(row)
    ctx.session.flush()
    disputes.derive(ctx.session.get_one(Payment, payment.id), disputes.disputes_of(ctx.session, payment.id))
    return row


def refund_at_stripe(payment: Payment, amount: int, **values: Any) -> StripeRefund:
    """A refund as Stripe has it; made there and succeeded unless said otherwise."""
    defaults: dict[str, Any] = {
        "id": f"re_{next(_numbers)}",
        "payment_intent_id": payment.stripe_payment_intent_id,
        "amount": amount,
        "currency": payment.currency,
        "status": "succeeded",
        "failure_code": None,
        "our_id": None,
        "created_at": NOON,
    }
    return StripeRefund(**(defaults | values))


def add_payment(db: Database, *, amount: int = PRICE, starts_at: datetime | None = None) -> Payment:
    """The open payment of a new booking."""
    with db.unit_of_work(OPERATOR) as ctx:
        booking = add_booking(ctx, starts_at=starts_at, price=amount)
        return payments.open_payment(ctx, f"booking:{booking.id}", amount, "eur")


def add_paid(db: Database, *, amount: int = PRICE) -> Payment:
    """A payment that Stripe has taken."""
    payment = add_payment(db, amount=amount)
    with db.unit_of_work(STRIPE) as ctx:
        payments.apply_session(ctx, session(payment), payment_id=payment.id)
        news = payments.apply_payment(ctx, told(payment))
    assert news is not None
    return news.payment


def payment_now(db: Database, payment_id: int) -> Payment:
    with db.read_only() as read:
        return read.get_one(Payment, payment_id, populate_existing=True)


def add_person(db: Database, role: Role = Role.FINANCE) -> Staff:
    """A colleague with an account."""
    email = f"{role.value}{next(_numbers)}@example.com"
    with db.unit_of_work(OPERATOR) as ctx:
        member = StaffMember(email=email, name=role.value, role=role, password_hash="none")
        ctx.session.add(member)
        ctx.session.flush()
        return Staff(member.id, email, role)


def ask_back(
    db: Database,
    payment: Payment,
    amount: int,
    *,
    by: Staff = SUPPORT,
    limit: int = LIMIT,
    reason_code: str = "requested_by_customer",
    note: str = "",
    shown: str | None = None,
) -> Refund:
    """Look at the plan of a refund in one transaction and ask for it in the next, as the console does."""
    with db.unit_of_work(by) as ctx:
        plan = refunds.plan_request(ctx, payment_id=payment.id, amount=amount, approval_above=limit)
    with db.unit_of_work(by) as ctx:
        return refunds.request(
            ctx,
            payment_id=payment.id,
            amount=amount,
            reason_code=reason_code,
            note=note,
            approval_above=limit,
            shown=plan.fingerprint if shown is None else shown,
        )


def refund_now(db: Database, refund_id: int) -> Refund:
    with db.read_only() as read:
        return read.get_one(Refund, refund_id, populate_existing=True)


def require_reserve(db: Database, payment_id: int) -> None:
    """The reserve is the sum of the refunds that reserve, and never more than was captured."""
    with db.read_only() as read:
        payment = read.get_one(Payment, payment_id, populate_existing=True)
        every = read.query(Refund).filter_by(payment_id=payment_id).populate_existing()
        reserved = sum(refund.amount for refund in every if refund.state in RESERVING)
        assert payment.reserved_amount == reserved <= payment.captured_amount
