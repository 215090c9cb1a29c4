"""Ends holds whose time is over, closes pages on which nobody is to pay any more, and settles unanswered calls."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from admin_app.context import Ctx, Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import each_service, until_none_is_due
from admin_app.services import appointments, checkout
from admin_app.services.bookings import holds
from admin_app.services.checkout import outcomes
from admin_app.services.inbox import provider_calls
from admin_app.services.purchases import address_sending, cancel_sending
from admin_app.services.refunds import called_off

AT_ONCE = 200


def expire_holds(bench: Bench, *, limit: int = AT_ONCE) -> int:
    """End the holds whose time is over, each in its own commit; how many were ended."""

    def lapsed(limit: int) -> list[str]:
        with bench.db.read_only() as session:
            return holds.lapsed(session, bench.db.clock(), limit=limit)

    def end(subject: str) -> bool:
        with bench.db.unit_of_work(Job("expire_holds")) as ctx:
            return holds.end_lapsed(ctx, subject=subject)

    return until_none_is_due("expire_holds", lapsed, end, limit=limit)


@deadline.short_task
def expire_checkout(bench: Bench, subject: str) -> None:
    """Close the Stripe pages of an appointment (`booking:7`, `meeting:7`). Raises ProviderUnavailable, and is then
    tried again.
    """
    checkout.close(_work(bench, "expire_checkout"), bench.providers.stripe, subject=subject)


def settle_calls(bench: Bench) -> int:
    """Have Stripe asked about what it did not answer, and a person told of what stays unknown; how many are asked."""
    services = (
        checkout.queue_unanswered,
        provider_calls.note_stuck,
        cancel_sending.queue_unanswered,
        address_sending.queue_unanswered,
    )
    asked, *_ = each_service(bench, "settle_calls", *services, limit=AT_ONCE)
    return asked


@deadline.short_task
def settle_call(bench: Bench, call_id: int) -> None:
    """Learn what became of a call to Stripe that got no answer, by its id in `provider_calls`, and undo its effect."""
    work, stripe = _work(bench, "settle_calls"), bench.providers.stripe
    checkout.settle(work, stripe, call_id=call_id, return_url=bench.settings.payer_return_url)


def follow_refunds(bench: Bench, subject: str) -> None:
    """End an appointment (`booking:7`, `meeting:7`) if all its money went back. Locks its row."""
    with bench.db.unit_of_work(Job("follow_refunds")) as ctx:
        outcomes.follow_refunds(ctx, appointments.locked(ctx, subject))


def settle_canceled(bench: Bench, subject: str) -> None:
    """Bring what a client called off to its end, as the business gives money back for it or not."""
    with bench.db.unit_of_work(Job("settle_canceled")) as ctx:
        called_off.settle(ctx, subject=subject, gives_back=bench.settings.refund_canceled_by_client)


def _work(bench: Bench, name: str) -> Callable[[], AbstractContextManager[Ctx]]:
    return lambda: bench.db.unit_of_work(Job(name))
