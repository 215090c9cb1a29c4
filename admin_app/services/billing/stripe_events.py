"""What Stripe's deliveries ask for: the object is fetched as it is now, and applied."""

from dataclasses import dataclass
from typing import Any

from admin_app.context import Ctx
from admin_app.errors import AnswerUnreadable
from admin_app.integrations import stripe
from admin_app.integrations.money_ports import StripeEvent, StripePort
from admin_app.integrations.registry import Providers
from admin_app.integrations.stripe import checkout_snapshots
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services.billing import billing_asking, subscription_events
from admin_app.services.billing.billing_asking import Answer
from admin_app.services.billing.subscription_events import CustomerAnswer
from admin_app.services.checkout import settlement
from admin_app.services.inbox.handling import NotConfigured, Parked, Reading, Settled
from admin_app.services.memberships import asking
from models.inbox import WebhookEvent
from models.memberships import PaymentProvider

ABOUT_SESSIONS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
ABOUT_PAYMENTS = frozenset(
    {
        "payment_intent.payment_failed",
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)


@dataclass(frozen=True)
class Delivery:
    """What a delivery says, and what it is about: kind and Stripe's id, with a colon between; None: nothing of ours."""

    parsed: StripeEvent
    needed: str | None


def read(ctx: Ctx, event: WebhookEvent) -> Reading:
    """The session, payment, subscription or customer to be fetched, for an event tells what was and not what is."""
    parsed = stripe.parse_event(event.body)
    needed = None
    if subscription_id := subscription_events.subscription_of(parsed):
        needed = f"subscription:{subscription_id}"
    elif customer_id := subscription_events.customer_of(ctx, parsed):
        needed = f"customer:{customer_id}"
    elif parsed.type in ABOUT_SESSIONS and parsed.object_id:
        needed = f"session:{parsed.object_id}"
    elif parsed.type in ABOUT_PAYMENTS and parsed.payment_intent_id:
        needed = f"payment:{parsed.payment_intent_id}"
    return Reading(Delivery(parsed, needed), needed)


def fetch(providers: Providers, needed: str) -> Any:
    """The payment with all that belongs to it, the subscription or the customer, as Stripe has it now."""
    if providers.stripe is None:
        raise NotConfigured("stripe")
    try:
        return _fetched(providers.stripe, needed)
    except AnswerUnreadable:
        return Unreadable()


def _fetched(stripe: StripePort, needed: str) -> Any:
    kind, _, identity = needed.partition(":")
    if kind == "subscription":
        return billing_asking.ask(stripe, identity)
    if kind == "customer":
        return subscription_events.fetch_customer(stripe, identity)
    fetch = checkout_snapshots.fetch_session if kind == "session" else checkout_snapshots.fetch_payment
    return fetch(stripe, identity)


class Unreadable:
    """The answer about one object that nobody can read: asking again does not help."""


def apply(
    ctx: Ctx,
    event: WebhookEvent,
    delivery: Delivery,
    found: CheckoutSnapshot | Answer | CustomerAnswer | Unreadable | None,
) -> Settled | Parked:
    """Apply what Stripe says; what is about somebody else's payment is passed over."""
    needed = delivery.needed
    if needed is None:
        if subscription_events.customer_of(ctx, delivery.parsed):
            return Parked("stripe_not_asked")  # the customer came to be known since the delivery was read
        return Settled.ignored("not about a payment or subscription that is followed here")
    if isinstance(found, Unreadable):
        return Parked("unreadable_at_stripe")
    if needed.startswith("subscription:"):
        return subscription_events.apply(ctx, event, delivery.parsed, found if isinstance(found, Answer) else None)
    if needed.startswith("customer:"):
        answer = found if isinstance(found, CustomerAnswer) else None
        return subscription_events.apply_customer(ctx, event, answer)
    if not isinstance(found, CheckoutSnapshot):
        return Parked("stripe_not_asked")
    if found.is_empty:
        return Parked("unknown_at_stripe")
    appointment = settlement.apply(ctx, found)
    if appointment is None:
        asked = _of_memberships(ctx, found)
        if asked:
            return Settled.done(f"asks what was paid for {', '.join(asked)}")
        if found.subject is not None and found.holds_money:
            return Parked("payment_unknown")
        return Settled.ignored("about a payment that was not asked for here")
    outcome = f"{appointment.kind} {appointment.number} is {appointment.row.status.value}"
    if appointment.kind == "booking":
        return Settled.done(outcome, booking_id=appointment.number)
    return Settled.done(outcome, meeting_id=appointment.number)


def _of_memberships(ctx: Ctx, found: CheckoutSnapshot) -> list[str]:
    """Memberships that a payment which is no appointment's may be for: all of its customer's, if it is not known."""
    payment = found.payment
    if payment is None or found.subject is not None:
        return []
    return asking.heard(ctx, PaymentProvider.STRIPE, payment=payment.id, customer=payment.customer_id)
