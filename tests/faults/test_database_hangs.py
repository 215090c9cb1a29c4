"""A database that keeps every packet and answers nothing: no thread of ours waits for it without end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from admin_app.context import Job
from admin_app.db import RESTED_SECONDS, CommitUnknown, Database
from admin_app.db_limits import Limits
from admin_app.outages import Outage, outage_of
from tests.faults.database_house import add_administrator, application, require_whole, settings, sign_in
from tests.faults.database_proxy import DatabaseProxy

HEALTH_SECONDS = 2.0
# Connecting 2 s, a statement 2 s + 1 s, and what a busy machine adds; without a bound it would be for ever.
BOUND_SECONDS = 20.0


@pytest.fixture
def proxy(fresh_database_url: str) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(fresh_database_url) as proxy:
        yield proxy


@pytest.fixture
def place(proxy: DatabaseProxy) -> Iterator[tuple[Flask, Database]]:
    with application(settings(proxy.url), pool_size=2, max_overflow=0) as (app, database):
        yield app, database


def ended(act: Callable[[], object]) -> Exception:
    """What `act` fails with, within the bound."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive(), "it waits without end"
    return failed[0]


def works(database: Database) -> bool:
    with database.read_only() as session:
        return session.scalar(text("SELECT 1")) == 1


def test_a_statement_that_is_never_answered_is_given_up(proxy: DatabaseProxy, place: tuple[Flask, Database]) -> None:
    _, database = place

    def read() -> None:
        with database.read_only() as session:
            session.execute(text("SELECT 1"))
            proxy.hang()
            session.execute(text("SELECT 2"))

    failed = ended(read)
    assert isinstance(failed, DBAPIError)
    assert failed.connection_invalidated
    assert outage_of(failed) is Outage.AWAY
    proxy.mend()
    assert works(database)


def test_a_commit_that_is_never_answered_is_given_up(proxy: DatabaseProxy, place: tuple[Flask, Database]) -> None:
    _, database = place

    @event.listens_for(database.engine, "commit")
    def hangs(_connection: Any) -> None:
        proxy.hang()

    def write() -> None:
        with database.unit_of_work(Job("tests")) as ctx:
            ctx.session.execute(text("SELECT 1"))

    assert isinstance(ended(write), CommitUnknown)
    event.remove(database.engine, "commit", hangs)
    proxy.mend()
    assert works(database)


def test_the_question_whether_a_connection_lives_and_a_new_one_are_given_up(
    proxy: DatabaseProxy, place: tuple[Flask, Database]
) -> None:
    _, database = place
    assert works(database)
    proxy.hang()
    time.sleep(RESTED_SECONDS + 0.1)  # from now on it is asked first
    assert outage_of(ended(lambda: works(database))) is Outage.AWAY
    proxy.mend()
    assert works(database)


def test_all_threads_get_free_and_pages_come_back(proxy: DatabaseProxy, place: tuple[Flask, Database]) -> None:
    app, database = place
    add_administrator(database)
    client = app.test_client()
    assert sign_in(client).status_code == 303
    proxy.hang()
    with ThreadPoolExecutor(8) as crowd:
        asked = [crowd.submit(client.get, "/admin/") for _ in range(8)]
        for one in asked:
            require_whole(one.result(BOUND_SECONDS), 503)
    proxy.mend()
    require_whole(client.get("/admin/"), 200)


def health(app: Flask) -> tuple[int, dict[str, Any] | None]:
    began = time.monotonic()
    answer = app.test_client().get("/health")
    assert time.monotonic() - began < HEALTH_SECONDS
    require_whole(answer)
    return answer.status_code, answer.json


AWAY = (503, {"status": "failing", "failing": ["database"]})
WELL = (200, {"status": "ok"})


@pytest.mark.parametrize("broken", ["hangs", "is refused", "is slow"])
def test_health_says_within_two_seconds_that_the_database_fails(
    proxy: DatabaseProxy, place: tuple[Flask, Database], broken: str
) -> None:
    app, _ = place
    assert health(app) == WELL
    if broken == "hangs":
        proxy.hang()
    elif broken == "is refused":
        proxy.refuse()
    else:
        proxy.delay = 3.0
    assert health(app) == AWAY
    with ThreadPoolExecutor(12) as crowd:
        for answer in crowd.map(health, [app] * 12):
            assert answer == AWAY
        # However many ask, one looks.
        assert sum(thread.name == "database-health" for thread in threading.enumerate()) <= 1
    proxy.mend()
    until = time.monotonic() + BOUND_SECONDS
    while health(app) != WELL:
        assert time.monotonic() < until


def test_health_says_so_when_every_connection_is_in_use(place: tuple[Flask, Database]) -> None:
    app, database = place
    assert health(app) == WELL
    with database.read_only() as one, database.read_only() as two:
        one.execute(text("SELECT 1"))
        two.execute(text("SELECT 1"))
        assert health(app) == AWAY
    until = time.monotonic() + BOUND_SECONDS
    while health(app) != WELL:
        assert time.monotonic() < until


def test_what_is_granted_to_a_download_ends_with_it(proxy: DatabaseProxy, place: tuple[Flask, Database]) -> None:
    _, database = place
    with database.stream(Limits.of_worker(settings(proxy.url))) as session:
        driver = session.connection().connection.driver_connection
        assert driver.answers_within > 500
    assert driver.answers_within == 3
