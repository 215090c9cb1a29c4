"""Has the switches follow the clock: each at its own moment, and every minute whatever was missed."""

import structlog

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import code_of
from admin_app.services import switch_following, switch_mails

ACTOR = Job("follow_switch")
AT_ONCE = 500

log = structlog.get_logger("backdesk.jobs")


def follow(bench: Bench, change_id: int) -> None:
    """One switch, in a transaction of its own."""
    with bench.db.unit_of_work(ACTOR) as ctx:
        switch_following.follow(ctx, change_id=change_id)


def follow_all(bench: Bench, *, limit: int = AT_ONCE) -> None:
    """The safety net: a switch that fails does not hold up the others."""
    tried: set[int] = set()
    while due := _due(bench, tried, limit):
        for change_id in due:
            try:
                follow(bench, change_id)
            except Exception as error:
                log.warning("switch not followed", change_id=change_id, code=code_of(error))
        tried.update(due)
    with bench.db.unit_of_work(ACTOR) as ctx:
        switch_mails.queue_untold(ctx, limit=limit)


def _due(bench: Bench, tried: set[int], limit: int) -> list[int]:
    """Periods that are due and were not tried in this run: those that fail come up every time."""
    with bench.db.read_only() as session:
        due = switch_following.due(session, bench.db.clock(), limit=limit + len(tried))
    return [change_id for change_id in due if change_id not in tried]
