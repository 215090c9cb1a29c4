"""Compares one membership with Whop out of turn, asks what was paid, tells providers what staff decided, ends gifts."""

from collections.abc import Sequence

from admin_app.context import Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import until_none_is_due
from admin_app.services.inbox.provider_calls import Work
from admin_app.services.memberships import asking, complimentary
from admin_app.services.purchases import cancel_sending, reconcile

ACTOR = Job("compare_membership")
ENDS = Job("end_memberships")
ASKS = Job("ask_what_was_paid")
AT_ONCE = 100
# Each is a call or a few; Whop takes 600 a minute.
ASKED_AT_ONCE = 50
ASKS_FOR_SECONDS = 30.0


@deadline.short_task
def compare(bench: Bench, membership_id: str) -> None:
    """Make what is held of this membership agree with Whop; nothing to do where Whop is not configured."""
    whop = bench.providers.whop
    if whop is None:
        return
    asked_at = bench.db.clock()
    membership = whop.membership(membership_id)
    if membership is None:
        return
    with bench.db.unit_of_work(ACTOR) as ctx:
        reconcile.bring_in(ctx, membership=membership, as_of=asked_at)


@deadline.short_task
def change(bench: Bench, call_id: int) -> None:
    """Have a membership canceled at its provider, or that taken back, as the noted call says."""
    cancel_sending.send(lambda: bench.db.unit_of_work(Job("change_membership")), bench.providers, call_id=call_id)


def end_due(bench: Bench, *, limit: int = AT_ONCE) -> int:
    """End the complimentary memberships whose date has come; how many there were."""

    def due(limit: int) -> Sequence[int]:
        with bench.db.read_only() as session:
            return complimentary.due(session, bench.db.clock(), limit=limit)

    def end(membership_id: int) -> bool:
        with bench.db.unit_of_work(ENDS) as ctx:
            return complimentary.end_due(ctx, membership_id=membership_id)

    return until_none_is_due("end_memberships", due, end, limit=limit)


@deadline.short_task
def ask_what_was_paid(bench: Bench, membership_id: int) -> None:
    """Fetch the payments of a membership from its provider and apply them."""
    asking.ask(_work(bench), bench.providers, membership_id=membership_id)


def ask_about_never_asked(bench: Bench, *, limit: int = ASKED_AT_ONCE) -> None:
    """Ask about memberships of whose payments nobody was asked yet, such as those that were there before."""
    providers = asking.configured(bench.providers)

    def due(wanted: int) -> Sequence[int]:
        with bench.db.read_only() as session:
            return asking.never_asked(session, providers, limit=min(wanted, limit))

    until_none_is_due(
        "ask_about_never_asked",
        due,
        lambda membership_id: asking.ask(_work(bench), bench.providers, membership_id=membership_id),
        limit=limit,
        seconds=ASKS_FOR_SECONDS,
    )


def _work(bench: Bench) -> Work:
    return lambda: bench.db.unit_of_work(ASKS)
