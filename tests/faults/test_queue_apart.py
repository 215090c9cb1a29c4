"""The queues of one worker stand apart: what ends the service of one keeps no other from being served."""

import threading

import psycopg
import pytest
from sqlalchemy import select

from admin_app.integrations import job_queue
from models import EventState, WebhookEvent
from tests.house import House
from tests.jobs.running import RunningWorker, wait_until
from tests.jobs.test_worker import ACTIVATED
from tests.services.factories import OPERATOR

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'backdesk-worker'"
)


def cut_off(house: House, *, seconds: float) -> None:
    """End the worker's connections, and let nobody open one for a while."""
    url = house.db.engine.url
    beside = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(beside, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false'.encode())
        try:
            connection.execute(CUT, (url.database,))
            threading.Event().wait(seconds)
        finally:
            connection.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true'.encode())


def test_a_long_job_does_not_keep_a_worker_from_coming_back_to_the_others(
    real_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection of the queue is cut and for a moment none can be opened, while an export takes its hour."""
    begun, go_on = threading.Event(), threading.Event()

    def make(*_: object, **__: object) -> None:
        begun.set()
        assert go_on.wait(150)

    monkeypatch.setattr("admin_app.jobs.exports.make", make)
    try:
        with RunningWorker(real_house):
            with real_house.db.unit_of_work(OPERATOR) as ctx:
                job_queue.defer(ctx.session, "make_export", export_id=1)
            assert begun.wait(60)
            cut_off(real_house, seconds=5)
            assert real_house.whop(ACTIVATED).status_code == 200
            wait_until(lambda: real_house.rows(select(WebhookEvent.state)) == [EventState.PROCESSED], 60)
            assert not go_on.is_set()
            go_on.set()
    finally:
        go_on.set()
