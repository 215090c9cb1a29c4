"""The queue with its tasks, in the product's own database."""

from procrastinate import App, PsycopgConnector

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations import registry
from admin_app.integrations.guard import WORKER
from admin_app.jobs import tasks
from admin_app.jobs.bench import Bench
from admin_app.jobs.retry import BackOff

CONCURRENCY = 4
# A worker's own statements: fetching, marking, the heartbeat, and one connection that listens.
QUEUE_CONNECTIONS = 4


def bench_for(settings: Settings) -> Bench:
    """The database and providers of one worker process."""
    db = Database.from_settings(settings, pool_size=CONCURRENCY + 2, max_overflow=CONCURRENCY)
    return Bench(db, settings, registry.from_settings(settings, WORKER))


def build(bench: Bench, *, back_off: BackOff | None = None) -> App:
    """The queue as a worker runs it; nothing is contacted yet."""
    connector = PsycopgConnector(
        conninfo=_plain_url(bench.settings.sqlalchemy_url),
        min_size=1,
        max_size=QUEUE_CONNECTIONS,
        # As in admin_app.db: nothing may outlive a transaction, so that a pooler may stand between.
        kwargs={"prepare_threshold": None, "application_name": "backdesk-worker"},
    )
    queue = App(connector=connector)
    tasks.register(queue, bench, back_off or BackOff())
    return queue


def _plain_url(sqlalchemy_url: str) -> str:
    scheme, _, rest = sqlalchemy_url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
