"""Compares one membership with Whop, out of turn, and tells providers what staff decided about one."""

from admin_app.context import Job
from admin_app.integrations import deadline
from admin_app.jobs.bench import Bench
from admin_app.services import reconcile
from admin_app.services.memberships import cancel_sending

ACTOR = Job("compare_membership")


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
