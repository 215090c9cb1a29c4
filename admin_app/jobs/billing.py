"""Has billing follow the clock, asks Stripe about it, and renews credits."""

from datetime import datetime

from admin_app.context import Job
from admin_app.integrations import deadline
from admin_app.integrations.money_ports import StripePort
from admin_app.jobs.bench import Bench
from admin_app.jobs.each_once import each_once
from admin_app.services import billing, billing_asking, credit_renewals, trial_sending
from admin_app.services.event_handling import NotConfigured

FOLLOWS = Job("refresh_billing")
AT_ONCE = 500
# Small, because the audit's one chain is held while a batch is written.
RENEWED_AT_ONCE = 50


@deadline.short_task
def refresh(bench: Bench, client_id: int) -> None:
    """One client, in a transaction of its own."""
    with bench.db.unit_of_work(FOLLOWS) as ctx:
        billing.refresh_by_the_clock(ctx, client_id=client_id)


def refresh_due(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a client that fails does not hold up the others."""
    each_once(bench, billing.due, refresh, limit=limit, failed="billing not refreshed", about="client_id")


@deadline.short_task
def ask(bench: Bench, client_id: int) -> None:
    billing_asking.take_in_all(
        lambda: bench.db.unit_of_work(Job("ask_about_billing")), _stripe(bench), client_id=client_id
    )


@deadline.short_task
def extend_trial(bench: Bench, subscription_id: str, until: str, key: str) -> None:
    trial_sending.send(
        lambda: bench.db.unit_of_work(Job("extend_trial")),
        _stripe(bench),
        subscription_id=subscription_id,
        until=datetime.fromisoformat(until),
        key=key,
    )


def renew_credits(bench: Bench) -> int:
    """Batch after batch until nobody is due whom no other worker is at; how many members were renewed."""
    renewed = 0
    while True:
        with bench.db.unit_of_work(Job("renew_credits")) as ctx:
            some = credit_renewals.renew_due(ctx, limit=RENEWED_AT_ONCE)
        renewed += some
        if some == 0:
            return renewed


def _stripe(bench: Bench) -> StripePort:
    if bench.providers.stripe is None:
        raise NotConfigured("stripe")
    return bench.providers.stripe
