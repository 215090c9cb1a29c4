"""Has billing follow the clock, asks Stripe about it, and renews credits."""

from datetime import datetime

import structlog

from admin_app.context import Job
from admin_app.integrations import deadline
from admin_app.integrations.money_ports import StripePort
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of
from admin_app.services import billing, billing_asking, credit_renewals, trial_sending
from admin_app.services.event_handling import NotConfigured

FOLLOWS = Job("refresh_billing")
AT_ONCE = 500
# Small, because the audit's one chain is held while a batch is written.
RENEWED_AT_ONCE = 50

log = structlog.get_logger("backdesk.jobs")


@deadline.short_task
def refresh(bench: Bench, client_id: int) -> None:
    """One client, in a transaction of its own."""
    with bench.db.unit_of_work(FOLLOWS) as ctx:
        billing.refresh_by_the_clock(ctx, client_id=client_id)


def refresh_due(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a client that fails does not hold up the others."""
    tried: set[int] = set()
    while due := _due(bench, tried, limit):
        for client_id in due:
            try:
                refresh(bench, client_id)
            except Exception as error:
                log.warning("billing not refreshed", client_id=client_id, code=code_of(error))
        tried.update(due)


def _due(bench: Bench, tried: set[int], limit: int) -> list[int]:
    """Clients that are due and were not tried in this run: those that fail come up every time."""
    with bench.db.read_only() as session:
        due = billing.due(session, bench.db.clock(), limit=limit + len(tried))
    return [client_id for client_id in due if client_id not in tried]


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
