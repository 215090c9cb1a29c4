"""Does runs over many clients, as a chain of short jobs: none holds up the others or the end of a worker."""

from datetime import timedelta

from admin_app.context import Job
from admin_app.jobs.bench import Bench
from admin_app.services.clients import bulk_runs, bulk_work

TRANSACTIONS_AT_ONCE = 25
# By then the job that its start has queued was begun or is waiting.
STARTED_FOR = timedelta(minutes=1)


def run(bench: Bench, run_id: int) -> None:
    """Some transactions of the run, then another job for the rest."""
    for _ in range(TRANSACTIONS_AT_ONCE):
        with bench.db.unit_of_work(Job("run_bulk")) as ctx:
            if not bulk_work.next_clients(ctx, run_id=run_id):
                return
    with bench.db.unit_of_work(Job("run_bulk")) as ctx:
        bulk_runs.queue(ctx, run_id)


def continue_forgotten(bench: Bench) -> None:
    """Give runs a new job whose last one was given up."""
    with bench.db.unit_of_work(Job("continue_bulk_runs")) as ctx:
        for run_id in bulk_work.forgotten(ctx.session, older_than=STARTED_FOR, now=ctx.now):
            bulk_runs.queue(ctx, run_id)
