"""The queues of one worker stand apart: what ends the service of one keeps no other from being served."""

import threading

import psycopg
from sqlalchemy import select

from models import EventState, WebhookEvent
from tests.house import House
from tests.jobs.running import RunningWorker, execute, wait_until
from tests.jobs.test_worker import ACTIVATED

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


def test_a_long_job_does_not_keep_a_worker_from_coming_back_to_the_others(real_house: House) -> None:
    """Every connection of the queue is cut and for a moment none can be opened, while a long job takes its hour."""
    begun, go_on = threading.Event(), threading.Event()
    running = RunningWorker(real_house)

    @running.queue.task(name="take_an_hour")
    def take_an_hour() -> None:
        begun.set()
        assert go_on.wait(150)

    try:
        with running:
            execute(
                real_house, "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('long', 'take_an_hour')"
            )
            assert begun.wait(60)
            cut_off(real_house, seconds=5)
            assert real_house.whop(ACTIVATED).status_code == 200
            wait_until(lambda: real_house.rows(select(WebhookEvent.state)) == [EventState.PROCESSED], 60)
            assert not go_on.is_set()
            go_on.set()
    finally:
        go_on.set()
