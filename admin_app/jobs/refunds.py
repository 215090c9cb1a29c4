"""Sends refunds and asks about those whose answer never came."""

from datetime import timedelta

from admin_app.context import Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import refund_sending

# A bank takes days; by then its word may have been lost on the way.
PENDING_FOR = timedelta(hours=1)


@deadline.short_task
def send(bench: Bench, refund_id: int) -> None:
    """Send an approved refund to its provider, at most once: one that left before is asked about instead."""
    refund_sending.send(lambda: bench.db.unit_of_work(Job("send_refund")), _tills(bench), refund_id=refund_id)


@deadline.short_task
def ask(bench: Bench, refund_id: int) -> None:
    """Ask what became of a refund. Raises ProviderUnavailable, and is then tried again."""
    refund_sending.ask(lambda: bench.db.unit_of_work(Job("ask_about_refund")), _tills(bench), refund_id=refund_id)


def queue_unfinished(bench: Bench) -> None:
    """Queue again the refunds that never left, and those whose answer never came."""
    with bench.db.unit_of_work(Job("queue_unfinished_refunds")) as ctx:
        refund_sending.queue_unfinished(ctx)


def queue_pending(bench: Bench) -> None:
    """Queue questions about the refunds that have been with the bank for longer than PENDING_FOR."""
    with bench.db.unit_of_work(Job("queue_pending_refunds")) as ctx:
        refund_sending.queue_pending(ctx, older_than=PENDING_FOR)


def _tills(bench: Bench) -> Tills:
    return Tills(bench.providers.stripe, bench.providers.whop)
