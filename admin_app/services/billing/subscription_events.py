"""What Stripe's deliveries about subscriptions, invoices and customers ask for: to look at the thing itself."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import exists, select

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import StripeCustomer, StripeEvent, StripePort, StripeSubscription
from admin_app.services import billing
from admin_app.services.billing.billing_asking import Answer
from admin_app.services.inbox.handling import Parked, Settled, release_waiting
from admin_app.services.memberships import asking
from admin_app.services.memberships.rows import by_id
from admin_app.services.purchases import stripe_subscriptions as stripe_memberships
from admin_app.services.subscriptions import billing_mapping
from admin_app.services.subscriptions import owners as billing_owners
from models.inbox import EventState, WebhookEvent
from models.memberships import PaymentProvider, ProviderMembership
from models.purchases import PendingProfile, Profile

# Every kind of them is a hint, those that Stripe adds later too.
ABOUT_SUBSCRIPTIONS = ("customer.subscription.", "customer.discount.", "invoice.", "checkout.session.")
ABOUT_CUSTOMERS = "customer."
UNKNOWN = "customer_unknown"


@dataclass(frozen=True)
class CustomerAnswer:
    """What Stripe said of a customer, and when it was asked; None: it knows no such customer."""

    found: StripeCustomer | None
    asked_at: datetime


def subscription_of(event: StripeEvent) -> str | None:
    """The subscription to be looked at; None for an invoice that belongs to none."""
    return event.subscription_id if event.type.startswith(ABOUT_SUBSCRIPTIONS) else None


def customer_of(ctx: Ctx, event: StripeEvent) -> str | None:
    """The customer to be looked at: one that is known here, or that is said to be a client."""
    customer_id = event.customer_id
    if customer_id is None or not event.type.startswith(ABOUT_CUSTOMERS):
        return None
    is_of_interest = event.client_id is not None or billing_owners.customer(ctx.session, customer_id) is not None
    return customer_id if is_of_interest else None


def fetch_customer(stripe: StripePort, customer_id: str) -> CustomerAnswer:
    """Fetch one customer, outside of any transaction, in one request."""
    asked_at = datetime.now(UTC)
    return CustomerAnswer(stripe.customer(customer_id), asked_at)


def apply(ctx: Ctx, event: WebhookEvent, about: StripeEvent, answer: Answer | None) -> Settled | Parked:
    """Take the subscription in as it is now, whatever the delivery said."""
    if answer is None:
        return Parked("stripe_not_asked")
    found = answer.found
    if found is None:
        return Parked("unknown_at_stripe")
    # A checkout names the client for good; what it began is asked about as it is now.
    named = about.client_id if about.type.startswith("checkout.session.") else None
    membership = stripe_memberships.apply(ctx, found, asked_at=answer.asked_at, named=named)
    if membership is not None:
        event.subject = found.id
        if about.type.startswith("invoice.") or _never_asked(ctx, found.id):
            asking.heard(ctx, PaymentProvider.STRIPE, membership=found.id)
        release_waiting(ctx, "stripe", {UNKNOWN}, subjects={found.id})
        return Settled.done(f"membership {found.id} is {membership.value}")
    client = billing.apply_subscription(
        ctx, found, cause="stripe", fetched_at=answer.asked_at, told_at=event.occurred_at, named=named
    )
    event.subject = found.id
    if client is not None:
        release_waiting(ctx, "stripe", {UNKNOWN}, subjects={found.id})
        return Settled.done(f"client {client.id} is {client.billing_status.value}")
    return _of_nobody(ctx, event, found)


def apply_customer(ctx: Ctx, event: WebhookEvent, answer: CustomerAnswer | None) -> Settled | Parked:
    """Take the customer in as it is now; what follows for subscriptions is asked for after the commit."""
    if answer is None:
        return Parked("stripe_not_asked")
    if answer.found is None:
        return Parked("unknown_at_stripe")
    found, event.subject = answer.found, answer.found.id
    clients = billing.apply_customer(ctx, found, cause="stripe", asked_at=answer.asked_at)
    row = billing_owners.customer(ctx.session, found.id)
    holder = row.client_id if row is not None else None
    again = {client.id for client in clients}
    if holder is not None and event.type.startswith("customer.discount."):
        again.add(holder)
    for client_id in sorted(again):
        job_queue.defer(
            ctx.session, "ask_about_billing", once_key=f"ask_about_billing:{client_id}", client_id=client_id
        )
    if holder is None:
        return Settled.ignored(f"customer {found.id} is nobody here")
    release_waiting(ctx, "stripe", {UNKNOWN}, subjects=billing_owners.names_of_nobodys(ctx.session, found.id))
    return Settled.done(f"customer {found.id} is client {holder}")


def _of_nobody(ctx: Ctx, event: WebhookEvent, found: StripeSubscription) -> Settled | Parked:
    """It waits for its client as long as it goes on, by one delivery; what a member has not paid waits for nobody."""
    of_nobody = f"subscription {found.id} is {found.status}, of a customer nobody here knows"
    if billing_mapping.is_over(found):
        release_waiting(ctx, "stripe", {UNKNOWN}, subjects={found.id})
        return Settled.ignored(of_nobody)
    if _is_a_members(ctx, found):
        return Settled.ignored(f"subscription {found.id} is a member's")
    waits = select(WebhookEvent.id).where(
        WebhookEvent.provider == "stripe",
        WebhookEvent.subject == found.id,
        WebhookEvent.state == EventState.PARKED,
        WebhookEvent.parked_because == UNKNOWN,
        WebhookEvent.id != event.id,
    )
    first = ctx.session.scalar(waits.order_by(WebhookEvent.id).limit(1))
    return Parked(UNKNOWN) if first is None else Settled.ignored(f"{of_nobody}; event {first} waits for its client")


def _never_asked(ctx: Ctx, subscription_id: str) -> bool:
    row = by_id(ctx.session, PaymentProvider.STRIPE, subscription_id)
    return row is not None and row.payments_asked_at is None


def _is_a_members(ctx: Ctx, found: StripeSubscription) -> bool:
    """Also when staff deleted it. What is paid and is none of these is for a client who is not here yet."""
    known = exists().where(
        ProviderMembership.provider == PaymentProvider.STRIPE, ProviderMembership.external_id == found.id
    )
    bought = exists().where(PendingProfile.stripe_subscription_id == found.id)
    shown = exists().where(Profile.stripe_customer_id == found.customer_id)
    unpaid = found.status not in stripe_memberships.LIVE
    return bool(ctx.session.scalar(select(known | bought | shown if unpaid else known | bought)))
