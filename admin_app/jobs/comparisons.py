"""Compares with the providers: on a schedule, when somebody asks, and on where a process died."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from admin_app.context import Ctx, Job
from admin_app.integrations.http import deadline
from admin_app.jobs.bench import Bench
from admin_app.services.drift import Progress, drift_runs, drift_settling
from admin_app.services.drift.drift_runs import ComparisonRuns, LostRun
from admin_app.services.drift.drift_sides import sides
from admin_app.services.inbox.handling import NotConfigured


def compare(bench: Bench, provider: str, *, seen: Callable[[Progress], None] = lambda _: None) -> None:
    """One comparison; nothing to do where the provider is not configured or another process is at it."""
    side = sides(bench.providers, bench.db.clock).get(provider)
    if side is None:
        return
    try:
        drift_runs.compare(side, lambda: bench.db.unit_of_work(Job(f"compare_with_{provider}")), seen=seen)
    except (ComparisonRuns, LostRun):
        return


def queue_all(bench: Bench) -> None:
    """A job for every provider that is configured."""
    with bench.db.unit_of_work(Job("queue_comparisons")) as ctx:
        for provider in sides(bench.providers, bench.db.clock):
            drift_runs.queue(ctx, provider)


def queue_unfinished(bench: Bench) -> int:
    """Queue again the comparisons that a lost worker left unfinished; how many."""
    with bench.db.unit_of_work(Job("queue_comparisons")) as ctx:
        return drift_runs.queue_unfinished(ctx)


@deadline.short_task
def settle_finding(bench: Bench, provider: str, finding_id: int, *, last_try: bool = True) -> None:
    """Carry out what was decided about a difference; where that cannot be, it waits for a person again."""

    def work() -> AbstractContextManager[Ctx]:
        return bench.db.unit_of_work(Job("settle_finding"))

    side = sides(bench.providers, bench.db.clock).get(provider)
    if side is None:
        drift_settling.give_up(work, finding_id=finding_id, because=NotConfigured.code)
        return
    try:
        drift_settling.settle(work, bench.providers, side, finding_id=finding_id)
    except Exception:
        if last_try:
            drift_settling.give_up(work, finding_id=finding_id, because=drift_runs.UNEXPECTED)
        raise
