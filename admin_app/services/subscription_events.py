"""What Stripe's deliveries about subscriptions and their invoices ask for: to look at the subscription itself."""

from admin_app.context import Ctx
from admin_app.integrations.money_ports import StripeEvent
from admin_app.services import billing, stripe_memberships
from admin_app.services.billing_asking import Answer
from admin_app.services.event_handling import Parked, Settled
from models.inbox import WebhookEvent

# Every kind of them is a hint, those that Stripe adds later too.
ABOUT_SUBSCRIPTIONS = ("customer.subscription.", "invoice.")


def subscription_of(event: StripeEvent) -> str | None:
    """The subscription to be looked at; None for an invoice that belongs to none."""
    return event.subscription_id if event.type.startswith(ABOUT_SUBSCRIPTIONS) else None


def apply(ctx: Ctx, event: WebhookEvent, answer: Answer | None) -> Settled | Parked:
    """Take the subscription in as it is now, whatever the delivery said."""
    if answer is None:
        return Parked("stripe_not_asked")
    found = answer.found
    if found is None:
        return Parked("unknown_at_stripe")
    membership = stripe_memberships.take_in(ctx, found, asked_at=answer.asked_at)
    if membership is not None:
        event.subject = found.id
        return Settled.done(f"membership {found.id} is {membership.value}")
    client = billing.take_in(ctx, found, cause="stripe", fetched_at=answer.asked_at, told_at=event.occurred_at)
    event.subject = found.id
    if client is None:
        return Settled.ignored(f"subscription {found.id} is {found.status}, of a customer nobody here knows")
    return Settled.done(f"client {client.id} is {client.billing_status.value}")
