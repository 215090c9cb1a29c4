"""Numbers for a monitoring system on the same machine; nobody else gets to see that they exist."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Row, text

from admin_app.db import Database
from admin_app.errors import NotFound
from views.backdesk import backdesk

doors = Blueprint("metrics", __name__)

# Only states that something still has to happen to: they are few, and each count reads an index.
_EVENTS = text(
    "SELECT state, count(*) FROM webhook_events WHERE state IN ('received', 'failed', 'parked') GROUP BY state"
)
_JOBS = text(
    "SELECT status::text, count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed') GROUP BY status"
)
_EVENT_STATES = ("received", "failed", "parked")
_JOB_STATES = ("todo", "doing", "failed")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class _Numbers(Collector):
    def __init__(self, db: Database) -> None:
        self._db = db

    def collect(self) -> Iterable[Metric]:
        with self._db.read_only() as session:
            events, jobs = session.execute(_EVENTS).all(), session.execute(_JOBS).all()
        yield _gauge("backdesk_inbox_events", "Unfinished provider events", _EVENT_STATES, events)
        yield _gauge("backdesk_jobs", "Unfinished background jobs", _JOB_STATES, jobs)


def _gauge(name: str, what: str, states: Iterable[str], rows: Sequence[Row[str, int]]) -> Metric:
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    gauge = GaugeMetricFamily(name, what, labels=["state"])
    for state in states:
        gauge.add_metric([state], counts.get(state, 0))
    return gauge


@doors.get("/metrics")
def metrics() -> Response:
    if not _from_this_machine():
        raise NotFound
    registry = CollectorRegistry()
    registry.register(_Numbers(backdesk().db))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _from_this_machine() -> bool:
    # A proxy on this machine also calls from loopback, but says for whom.
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
