"""Has the switches follow the clock: each at its own moment, and every minute whatever was missed."""

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.each_once import each_once
from admin_app.services import switch_following, switch_mails

ACTOR = Job("follow_switch")
AT_ONCE = 500


def follow(bench: Bench, change_id: int) -> None:
    """One switch, in a transaction of its own."""
    with bench.db.unit_of_work(ACTOR) as ctx:
        switch_following.follow(ctx, change_id=change_id)


def follow_all(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a switch that fails does not hold up the others."""
    each_once(bench, switch_following.due, follow, limit=limit, failed="switch not followed", about="change_id")
    with bench.db.unit_of_work(ACTOR) as ctx:
        switch_mails.queue_untold(ctx, limit=limit)
