"""Has billing follow the clock, asks Stripe about it, and renews credits."""

from collections.abc import Sequence
from datetime import datetime

from admin_app.context import Job
from admin_app.integrations.http import deadline
from admin_app.integrations.money_ports import StripePort
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import until_none_is_due
from admin_app.services import billing
from admin_app.services.billing import billing_asking, trial_sending
from admin_app.services.inbox.handling import NotConfigured
from admin_app.services.purchases import credit_renewals

FOLLOWS = Job("refresh_billing")
RENEWS = Job("renew_credits")
AT_ONCE = 500
# The next tick is five minutes away.
RENEWS_FOR_SECONDS = 240.0


@deadline.short_task
def refresh(bench: Bench, client_id: int) -> None:
    """One client, in a transaction of its own."""
    with bench.db.unit_of_work(FOLLOWS) as ctx:
        billing.refresh_by_the_clock(ctx, client_id=client_id)


def refresh_due(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a client that fails does not hold up the others."""

    def due(limit: int) -> Sequence[int]:
        with bench.db.read_only() as session:
            return billing.due(session, bench.db.clock(), limit=limit)

    until_none_is_due("refresh_billing_due", due, lambda client_id: refresh(bench, client_id), limit=limit)


@deadline.short_task
def ask(bench: Bench, client_id: int) -> None:
    """Fetch and apply all subscriptions of a client. Raises ProviderUnavailable, and is then tried again."""
    billing_asking.fetch_all(
        lambda: bench.db.unit_of_work(Job("ask_about_billing")), _stripe(bench), client_id=client_id
    )


@deadline.short_task
def ask_about_one(bench: Bench, subscription_id: str) -> None:
    """Fetch and apply one Stripe subscription (`sub_…`). Raises ProviderUnavailable, and is then tried again."""
    billing_asking.fetch_one(
        lambda: bench.db.unit_of_work(Job("ask_about_subscription")), _stripe(bench), subscription_id=subscription_id
    )


def queue_waiting(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """Subscriptions of nobody whose client is known by now are asked about again, whoever made the client known."""
    if bench.providers.stripe is None:
        return
    with bench.db.unit_of_work(Job("queue_waiting_subscriptions")) as ctx:
        billing_asking.ask_about_waiting(ctx, limit=limit)


@deadline.short_task
def extend_trial(bench: Bench, subscription_id: str, until: str, key: str) -> None:
    """Send a new trial end to Stripe under the idempotency key `key`; `until` is ISO 8601 with its offset."""
    trial_sending.send(
        lambda: bench.db.unit_of_work(Job("extend_trial")),
        _stripe(bench),
        subscription_id=subscription_id,
        until=datetime.fromisoformat(until),
        key=key,
    )


def renew_credits(bench: Bench, *, limit: int = AT_ONCE) -> int:
    """One member after the other until nobody is due whom no other worker is at; how many there were."""

    def due(limit: int) -> Sequence[str]:
        with bench.db.read_only() as session:
            return credit_renewals.due(session, bench.db.clock(), limit=limit)

    def renew(user_id: str) -> bool:
        with bench.db.unit_of_work(RENEWS) as ctx:
            return credit_renewals.renew(ctx, user_id=user_id)

    return until_none_is_due("renew_credits", due, renew, limit=limit, seconds=RENEWS_FOR_SECONDS)


def _stripe(bench: Bench) -> StripePort:
    if bench.providers.stripe is None:
        raise NotConfigured("stripe")
    return bench.providers.stripe
