"""Asks Stripe about the subscriptions of a client, because a person wants to know now."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from admin_app.context import Ctx
from admin_app.errors import Conflict, NotFound
from admin_app.integrations import job_queue
from admin_app.integrations.money_ports import StripePort, StripeSubscription
from admin_app.policies.permissions import Permission, require
from admin_app.services import billing
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, fingerprint
from admin_app.services.core.records import client_key
from admin_app.services.inbox.handling import release_waiting
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.purchases import stripe_subscriptions as stripe_memberships
from admin_app.services.subscriptions import owners as billing_owners
from models.billing import Subscription
from models.clients import Client

UNKNOWN_THERE = "Nothing is known of this client at Stripe: there is no customer and no subscription to ask about."


@dataclass(frozen=True)
class Answer:
    """What Stripe said, and when it was asked; None: it knows no such subscription."""

    found: StripeSubscription | None
    asked_at: datetime


def ask(stripe: StripePort, subscription_id: str) -> Answer:
    """Ask about one subscription, outside of any transaction, in one request."""
    # Before the call: what came to be while it travelled may or may not be in the answer.
    asked_at = datetime.now(UTC)
    return Answer(stripe.subscription(subscription_id), asked_at)


def plan_ask(ctx: Ctx, *, client_id: int) -> Plan:
    """What asking Stripe can lead to."""
    require(ctx, Permission.BILLING_READ)
    client = ctx.session.get(Client, client_id)
    if client is None:
        raise NotFound("There is no such client.")
    return Plan(
        title=f"Ask Stripe about {client.name}",
        outcome="asked",
        lines=(),
        consequences=(
            "Every subscription of this client is fetched as it is at Stripe now and taken in, as after an event.",
            "Nothing changes at Stripe.",
        ),
        fingerprint=fingerprint(client.id),
        refusal=None if _is_known(ctx, client) else UNKNOWN_THERE,
    )


def ask_soon(ctx: Ctx, *, client_id: int) -> Client:
    """Have Stripe asked after the commit."""
    require(ctx, Permission.DRIFT_RUN)
    client = billing.locked(ctx, client_id)
    if not _is_known(ctx, client):
        raise Conflict(UNKNOWN_THERE)
    audit.record(ctx, "client.billing_asked", records=[client_key(client.id)], facts={"name": client.name})
    job_queue.defer(ctx.session, "ask_about_billing", once_key=f"ask_about_billing:{client.id}", client_id=client.id)
    return client


def fetch_all(work: Work, stripe: StripePort, *, client_id: int) -> int:
    """Fetch and apply every subscription of a client; how many Stripe knows.

    Raises ProviderUnavailable when Stripe does not answer.
    """
    with work() as ctx:
        client = ctx.session.get(Client, client_id)
        if client is None:
            return 0
        name, customers, known = client.name, _customers(ctx, client), _known(ctx, client)
    asked_at = datetime.now(UTC)
    found = {each.id: each for customer_id in customers for each in stripe.subscriptions_of(customer_id)}
    told = [customer for customer_id in customers if (customer := stripe.customer(customer_id)) is not None]
    for subscription_id in known - found.keys():
        if (one := stripe.subscription(subscription_id)) is not None:
            found[one.id] = one
    for customer in told:
        with work() as ctx:
            billing.apply_customer(ctx, customer, cause="stripe", asked_at=asked_at)
    for each in found.values():
        apply(work, each, asked_at)
    missing = len(known - found.keys())
    word = "subscription" if len(found) == 1 else "subscriptions"
    outcome = f"{len(found)} {word} taken in" + (f", {missing} unknown there" if missing else "")
    with work() as ctx:
        facts = {"name": name, "outcome": outcome}
        audit.record(ctx, "client.billing_answered", records=[client_key(client_id)], facts=facts)
    return len(found)


def ask_about_waiting(ctx: Ctx, *, limit: int) -> int:
    """Have those subscriptions of nobody asked about again whose client or member is known by now; how many."""
    waiting = billing_owners.waiting(ctx.session, limit=limit)
    for subscription_id in waiting:
        once_key = f"ask_about_subscription:{subscription_id}"
        job_queue.defer(ctx.session, "ask_about_subscription", once_key=once_key, subscription_id=subscription_id)
    return len(waiting)


def fetch_one(work: Work, stripe: StripePort, *, subscription_id: str) -> None:
    """Fetch and apply one subscription, and let go on what waited for its client, or for one that is not there.

    Raises ProviderUnavailable when Stripe does not answer.
    """
    answer = ask(stripe, subscription_id)
    if answer.found is not None:
        apply(work, answer.found, answer.asked_at)
        return
    with work() as ctx:
        if billing_owners.note_gone(ctx, subscription_id, asked_at=answer.asked_at):
            release_waiting(ctx, "stripe", {"customer_unknown"}, subjects={subscription_id})


def apply(work: Work, found: StripeSubscription, asked_at: datetime) -> None:
    """Apply what was fetched, to a person's membership or to a client, and let go on what waited for either."""
    with work() as ctx:
        is_known = stripe_memberships.apply(ctx, found, asked_at=asked_at) is not None
        if is_known or billing.apply_subscription(ctx, found, cause="stripe", fetched_at=asked_at) is not None:
            release_waiting(ctx, "stripe", {"customer_unknown"}, subjects={found.id})


def _is_known(ctx: Ctx, client: Client) -> bool:
    return bool(_customers(ctx, client) or _known(ctx, client))


def _customers(ctx: Ctx, client: Client) -> list[str]:
    """The customers that the client is, the one in the client's column first."""
    held = [each.stripe_customer_id for each in billing_owners.customers_of(ctx.session, client.id)]
    noted = [client.stripe_customer_id] if client.stripe_customer_id else []
    return list(dict.fromkeys((*noted, *held)))


def _known(ctx: Ctx, client: Client) -> set[str]:
    """The subscriptions that are named here."""
    of_client = select(Subscription.stripe_subscription_id).where(Subscription.client_id == client.id)
    named = {client.stripe_subscription_id} if client.stripe_subscription_id else set()
    return named | set(ctx.session.scalars(of_client))
