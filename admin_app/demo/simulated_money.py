"""Tells the simulated Stripe of every payment, refund, dispute and subscription, so that all can go on in the demo."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from admin_app.demo.lives import Price
from admin_app.services.bookings.holds import HOLD_FOR
from admin_app.services.drift import RECORD
from admin_app.services.payments import subject_of
from admin_app.simulator.stripe import control_stripe
from models import Booking, Client, DriftFinding, DriftState, Meeting, Payment, Refund, RefundState, SessionType
from models.billing import Subscription
from models.memberships import IntervalUnit, MembershipStatus, PaymentProvider, ProviderMembership
from models.purchases import Profile

# What Stripe calls the states in which it has a refund.
STATUS = {RefundState.SENT: "pending", RefundState.SUCCEEDED: "succeeded", RefundState.FAILED: "failed"}


def seed(session: Session, simulator: str) -> None:
    """Give the simulated Stripe what the filled database says was paid and subscribed. `simulator` is its base URL."""
    control_stripe.seed(simulator, list(_payments(session)))
    control_stripe.seed_subscriptions(simulator, [*_subscriptions(session), *_of_members(session)])


def _subscriptions(session: Session) -> Iterator[dict[str, Any]]:
    rows = session.execute(
        select(Subscription, Client)
        .outerjoin(Client, Client.id == Subscription.client_id)
        .where(Subscription.stripe_subscription_id.not_in(_gone_there()))
        .order_by(Subscription.started_at, Subscription.id)
    )
    moments = ("started_at", "trial_end", "canceled_at", "ended_at", "next_payment_attempt")
    for held, client in rows:
        price = Price.of(held.price_id or "")
        start, end = held.current_period_start, held.current_period_end
        yield {
            "subscription_id": held.stripe_subscription_id,
            "customer_id": held.stripe_customer_id,
            "price_id": price.id,
            "email": client.email if client else f"{held.stripe_customer_id[4:].lower()}@elsewhere.example",
            "name": client.name if client else None,
            "client_id": client.id if client else None,
            "amount": price.amount,
            "currency": price.currency,
            "interval": price.interval,
            "status": held.status,
            "cancel_at_period_end": held.cancel_at_period_end,
            "paused": held.collection_paused,
            "amount_due": held.amount_due,
            "period_start": _seconds(start) if start else None,
            "period_end": _seconds(end) if end else None,
            "invoice_at": _seconds(held.past_due_since or start or held.created_at),
            **{name: _seconds(moment) if (moment := getattr(held, name)) else None for name in moments},
        }


def _of_members(session: Session) -> Iterator[dict[str, Any]]:
    """What the accounts pay for at Stripe."""
    rows = session.execute(
        select(ProviderMembership, Profile)
        .join(Profile, Profile.user_id == ProviderMembership.profile_user_id)
        .where(
            ProviderMembership.provider == PaymentProvider.STRIPE,
            ProviderMembership.status == MembershipStatus.ACTIVE,
            ProviderMembership.external_id.is_not(None),
        )
        .order_by(ProviderMembership.id)
    )
    for held, profile in rows:
        price = Price(4900, "eur", (held.interval_unit or IntervalUnit.MONTH).value)
        start, end = held.period_start or held.created_at, held.period_end
        yield {
            "subscription_id": held.external_id,
            "customer_id": held.provider_customer_id,
            "price_id": price.id,
            "email": profile.email,
            "name": profile.name,
            **dict.fromkeys(("client_id", "trial_end", "canceled_at", "ended_at", "next_payment_attempt")),
            "paused": False,
            "amount_due": 0,
            "amount": price.amount,
            "currency": price.currency,
            "interval": price.interval,
            "status": "active",
            "cancel_at_period_end": held.cancel_at_period_end,
            "started_at": _seconds(start),
            "period_start": _seconds(start),
            "period_end": _seconds(end) if end else None,
            "invoice_at": _seconds(start),
        }


def _gone_there() -> Select[str]:
    """What a comparison did not find at Stripe any more."""
    return select(DriftFinding.external_id).where(
        DriftFinding.provider == "stripe", DriftFinding.field == RECORD, DriftFinding.state == DriftState.OPEN
    )


def _payments(session: Session) -> Iterator[dict[str, Any]]:
    refunds = _refunds(session)
    rows = session.execute(
        select(
            Payment,
            func.coalesce(Booking.client_email, Meeting.guest_email),
            func.coalesce(SessionType.title, "Meeting"),
        )
        .outerjoin(Booking, Booking.id == Payment.booking_id)
        .outerjoin(Meeting, Meeting.id == Payment.meeting_id)
        .outerjoin(SessionType, SessionType.id == func.coalesce(Booking.session_type_id, Meeting.session_type_id))
        .where(Payment.stripe_checkout_session_id.is_not(None))
        .order_by(Payment.created_at, Payment.id)
    )
    for payment, email, title in rows:
        yield {
            "session_id": payment.stripe_checkout_session_id,
            "payment_intent_id": payment.stripe_payment_intent_id,
            "charge_id": payment.stripe_charge_id,
            "state": payment.state.value,
            "amount": payment.amount,
            "fee": payment.fee_amount,
            "currency": payment.currency,
            "email": email,
            "title": title,
            "subject": subject_of(payment),
            "created_at": _seconds(payment.created_at),
            "expires_at": _seconds(payment.created_at + HOLD_FOR),
            "refunds": refunds[payment.id],
            "dispute": _dispute(payment),
        }


def _refunds(session: Session) -> defaultdict[int, list[dict[str, Any]]]:
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    of_appointments = (Refund.stripe_refund_id.is_not(None), Refund.payment_id.is_not(None))
    for refund in session.scalars(select(Refund).where(*of_appointments).order_by(Refund.id)):
        found[refund.payment_id or 0].append(
            {
                "id": refund.stripe_refund_id,
                "amount": refund.amount,
                "status": STATUS[refund.state],
                "our_id": refund.id,
                "created_at": _seconds(refund.created_at),
            }
        )
    return found


def _dispute(payment: Payment) -> dict[str, Any] | None:
    if payment.dispute_id is None or payment.dispute_due_by is None:
        return None
    return {
        "id": payment.dispute_id,
        "status": payment.dispute_status,
        "reason": payment.dispute_reason,
        "due_by": _seconds(payment.dispute_due_by),
    }


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
