"""The queue with its tasks, in the product's own database."""

from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.db_limits import BoundedAsyncConnection, Limits
from admin_app.integrations import registry
from admin_app.integrations.http.guard import WORKER
from admin_app.integrations.job_order import SLOTS
from admin_app.jobs import tasks
from admin_app.jobs.bench import Bench
from admin_app.jobs.manager import HeldJobs
from admin_app.jobs.retry import BackOff

CONCURRENCY = sum(SLOTS.values())
# A worker's own statements: fetching, marking, the heartbeats. What listens has a connection of its own for each queue.
QUEUE_CONNECTIONS = 4
# As long as opening waits. Attempts wait for each other ever longer; after this, whoever needs one begins anew.
RECONNECT_SECONDS = 30.0
# Each of the queue's own statements finds its rows by an index and in its order. The planner does not always believe
# it: a backlog grows faster than anything counts it, and then fetching one job sorts all that wait.
BY_INDEX = "-c enable_sort=off -c enable_seqscan=off -c enable_bitmapscan=off"


def bench_for(settings: Settings) -> Bench:
    """The database and providers of one worker process."""
    limits = Limits.of_worker(settings)
    db = Database.from_settings(settings, limits=limits, pool_size=CONCURRENCY + 2, max_overflow=CONCURRENCY)
    return Bench(db, settings, registry.from_settings(settings, WORKER))


def build(bench: Bench, *, back_off: BackOff | None = None) -> App:
    """The queue as a worker runs it; nothing is contacted yet."""
    limits = Limits.of_worker(bench.settings)

    class Bounded(BoundedAsyncConnection):
        # The queue's own statements are short ones.
        answers_within = limits.lock + limits.silence

    connector = PsycopgConnector(
        pool_factory=lambda **options: AsyncConnectionPool(**options, connection_class=Bounded),
        conninfo=_plain_url(bench.settings.sqlalchemy_url),
        min_size=1,
        max_size=QUEUE_CONNECTIONS,
        reconnect_timeout=RECONNECT_SECONDS,
        timeout=limits.pool,
        # As in admin_app.db: nothing may outlive a transaction, so that a pooler may stand between.
        kwargs={"prepare_threshold": None, "application_name": "backdesk-worker", **_options_of(limits)},
    )
    queue = App(connector=connector)
    queue.job_manager = HeldJobs(connector)
    tasks.register(queue, bench, back_off or BackOff())
    return queue


def _options_of(limits: Limits) -> dict[str, Any]:
    options = limits.connection_options
    return options | {"options": f"{options['options']} {BY_INDEX}"}


def _plain_url(sqlalchemy_url: str) -> str:
    scheme, _, rest = sqlalchemy_url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
