"""Has the switches follow the clock: each at its own moment, and every minute whatever was missed."""

from collections.abc import Sequence

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.one_by_one import until_none_is_due
from admin_app.services.clients import flag_following, flag_mails

ACTOR = Job("follow_switch")
AT_ONCE = 500


def follow(bench: Bench, change_id: int) -> None:
    """One switch, in a transaction of its own."""
    with bench.db.unit_of_work(ACTOR) as ctx:
        flag_following.follow(ctx, change_id=change_id)


def follow_all(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a switch that fails does not hold up the others."""

    def due(limit: int) -> Sequence[int]:
        with bench.db.read_only() as session:
            return flag_following.due(session, bench.db.clock(), limit=limit)

    until_none_is_due("follow_switches", due, lambda change_id: follow(bench, change_id), limit=limit)
    with bench.db.unit_of_work(ACTOR) as ctx:
        flag_mails.queue_untold(ctx, limit=limit)
