"""Somebody holds what others need and does not go on: the others hear so soon, and everything else goes on."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from admin_app.config import Settings
from admin_app.context import Ctx, Job
from admin_app.db import Database
from admin_app.db_limits import Limits
from admin_app.integrations import job_queue
from admin_app.jobs.app import bench_for
from admin_app.outages import Outage, outage_of
from admin_app.services.core import audit
from models import AuditEntry, StaffSession
from tests.faults.database_house import (
    EMAIL,
    add_administrator,
    application,
    require_whole,
    settings,
    sign_in,
)

ACTOR = Job("tests")
FREE = text(f"SELECT pg_try_advisory_xact_lock({audit.CHAIN_LOCK})")


@pytest.fixture
def place(fresh_database_url: str) -> Iterator[tuple[Flask, Database]]:
    with application(settings(fresh_database_url)) as (app, database):
        add_administrator(database)
        yield app, database


@contextmanager
def held(url: str, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A process that took this and does not go on."""
    with psycopg.connect(url) as frozen:
        frozen.execute(statement.encode())
        yield frozen
        frozen.rollback()


def note(ctx: Ctx, number: int = 0) -> None:
    audit.record(ctx, "staff.password_changed", records=[f"staff:{number}"], facts={"sessions_ended": number})


def whole(database: Database) -> list[str]:
    """The main record of every entry, in order, once the chain was found unbroken."""
    with database.read_only() as session:
        assert audit.first_broken_link(session) is None
        return [records[0] for records in session.scalars(select(AuditEntry.records).order_by(AuditEntry.id))]


def test_while_a_frozen_process_holds_the_chain_pages_work_and_commands_are_refused_for_now(
    place: tuple[Flask, Database], fresh_database_url: str
) -> None:
    app, database = place
    signed_in, others = app.test_client(), app.test_client()
    assert sign_in(signed_in).status_code == 303
    before = whole(database)
    with held(fresh_database_url, f"SELECT pg_advisory_xact_lock({audit.CHAIN_LOCK})"):
        for page in ("/admin/", "/admin/staff/", "/admin/audit-entries/"):
            require_whole(signed_in.get(page), 200)
        with ThreadPoolExecutor(8) as crowd:
            for answer in crowd.map(lambda _: sign_in(app.test_client()), range(8)):
                require_whole(answer, 503)
                assert "Nothing was changed" in answer.text
        assert others.get("/health").json == {"status": "ok"}
        with database.read_only() as session:
            assert len(session.scalars(select(StaffSession)).all()) == 1
    assert whole(database) == before
    assert sign_in(others).status_code == 303
    assert len(whole(database)) == len(before) + 1


@pytest.mark.parametrize(
    "statement",
    [f"SELECT 1 FROM staff WHERE email = '{EMAIL}' FOR UPDATE", "LOCK TABLE staff_sessions IN EXCLUSIVE MODE"],
)
def test_a_row_that_somebody_holds_is_said_to_be_in_use(
    place: tuple[Flask, Database], fresh_database_url: str, statement: str
) -> None:
    app, _ = place
    with held(fresh_database_url, statement):
        answer = sign_in(app.test_client())
        require_whole(answer, 503)
        assert "Somebody else is changing this" in answer.text
    assert sign_in(app.test_client()).status_code == 303


def test_the_chain_is_held_between_the_last_change_and_the_commit_only(place: tuple[Flask, Database]) -> None:
    _, database = place

    def is_free() -> bool:
        with database.unit_of_work(ACTOR) as other:
            return bool(other.session.scalar(FREE))

    with database.unit_of_work(ACTOR) as ctx:
        for number in range(3):
            note(ctx, number)
            assert is_free()
        # Whoever reads the audit back sees what it holds by then.
        assert len(audit.history(ctx.session, "staff:2")) == 1
        assert not is_free()
        note(ctx, 3)
        assert ctx.session.scalars(select(AuditEntry.records).order_by(AuditEntry.id.desc())).first() == ["staff:3"]
        note(ctx, 4)
    assert whole(database)[-5:] == [f"staff:{number}" for number in range(5)]


def test_what_was_recorded_in_a_savepoint_goes_with_it(place: tuple[Flask, Database]) -> None:
    _, database = place
    before = len(whole(database))

    def refused(ctx: Ctx) -> None:
        with ctx.session.begin_nested():
            note(ctx, 2)
            with ctx.session.begin_nested():
                note(ctx, 3)
            raise ZeroDivisionError

    with database.unit_of_work(ACTOR) as ctx:
        note(ctx, 1)
        with pytest.raises(ZeroDivisionError):
            refused(ctx)
        with ctx.session.begin_nested():
            note(ctx, 4)
    assert whole(database)[before:] == ["staff:1", "staff:4"]


def test_eight_writers_at_once_keep_the_chain(place: tuple[Flask, Database]) -> None:
    _, database = place
    before, numbers = len(whole(database)), count()

    def write(_: int) -> None:
        for _ in range(10):
            with database.unit_of_work(ACTOR) as ctx:
                note(ctx, next(numbers))
                ctx.session.execute(text("SELECT 1"))
                note(ctx, next(numbers))

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(write, range(8)))
    assert len(whole(database)) == before + 160


def test_a_process_frozen_within_its_transaction_is_freed_of_it(fresh_database_url: str) -> None:
    # Only the frozen one may be idle for so short a time: on a busy machine anybody may pause for a second.
    frozen = Database.from_settings(settings(fresh_database_url, database_idle_seconds=1))
    others = Database.from_settings(settings(fresh_database_url, database_idle_seconds=60, database_lock_seconds=30))
    thaw = threading.Event()

    def freeze() -> Outage | None:
        try:
            with frozen.unit_of_work(ACTOR) as ctx:
                note(ctx, 1)
                audit.write(ctx.session)
                holds.set()
                thaw.wait(30)
        except DBAPIError as ended:
            return outage_of(ended)
        return None

    holds = threading.Event()
    with ThreadPoolExecutor(1) as process:
        ended = process.submit(freeze)
        assert holds.wait(10)
        with others.unit_of_work(ACTOR) as ctx:
            note(ctx, 2)
        thaw.set()
        assert ended.result(30) is not None
    assert whole(others) == ["staff:2"]
    frozen.dispose()
    others.dispose()


def test_what_the_server_ends_by_itself_counts_as_busy(fresh_database_url: str) -> None:
    database = Database.from_settings(settings(fresh_database_url, database_statement_seconds=1))
    with pytest.raises(DBAPIError) as slow, database.read_only() as session:
        session.execute(text("SELECT pg_sleep(30)"))
    assert outage_of(slow.value) is Outage.BUSY
    assert outage_of(crosswise(database)) is Outage.BUSY
    database.dispose()


def crosswise(database: Database) -> BaseException | None:
    """What one of two gets that wait for each other."""
    both = threading.Barrier(2)

    def take(first: int, second: int) -> None:
        with database.unit_of_work(ACTOR) as ctx:
            ctx.session.execute(text("SET LOCAL lock_timeout = 0"))
            ctx.session.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            both.wait(10)
            ctx.session.execute(text(f"SELECT pg_advisory_xact_lock({second})"))

    with ThreadPoolExecutor(2) as crowd:
        tries = [crowd.submit(take, 1, 2), crowd.submit(take, 2, 1)]
        return next(failed for failed in (one.exception(30) for one in tries) if failed is not None)


def test_a_page_does_not_wait_for_whoever_holds_its_session(
    place: tuple[Flask, Database], fresh_database_url: str
) -> None:
    app, _ = place
    client = app.test_client()
    assert sign_in(client).status_code == 303
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute("UPDATE staff_sessions SET last_seen_at = last_seen_at - interval '30 minutes'")
    with held(fresh_database_url, "SELECT 1 FROM staff_sessions FOR UPDATE"):
        require_whole(client.get("/admin/staff/"), 200)
    require_whole(client.get("/admin/staff/"), 200)
    with psycopg.connect(fresh_database_url) as connection:
        touched = "SELECT last_seen_at > now() - interval '5 minutes' FROM staff_sessions"
        assert connection.execute(touched).fetchone() == (True,)


def test_a_job_that_cannot_be_queued_over_a_lost_connection_is_the_databases_fault(
    place: tuple[Flask, Database], fresh_database_url: str
) -> None:
    _, database = place

    def queue() -> None:
        with database.unit_of_work(ACTOR) as ctx:
            process = ctx.session.scalar(text("SELECT pg_backend_pid()"))
            with psycopg.connect(fresh_database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
            job_queue.defer(ctx.session, "process_event", event_id=1)

    with pytest.raises(Exception) as failed:  # noqa: PT011 - the queue's library wraps the driver's error in its own
        queue()
    assert outage_of(failed.value) is Outage.AWAY


LIMITS_IN_FORCE = text(
    "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
    " current_setting('idle_in_transaction_session_timeout'), current_setting('TimeZone')"
)


def in_force(session_of: Callable[[], Any]) -> tuple[str, ...]:
    with session_of() as session:
        return tuple(session.execute(LIMITS_IN_FORCE).one())


def test_the_web_and_the_worker_have_limits_of_their_own(fresh_database_url: str) -> None:
    given = Settings(_env_file=None, database_url=fresh_database_url, secret_key="s" * 32)
    web, worker = Database.from_settings(given), bench_for(given).db
    assert in_force(web.read_only) == ("10s", "3s", "30s", "UTC")
    assert in_force(worker.read_only) == ("10min", "10s", "2min", "UTC")
    # A download is read as slowly as its taker's network is, and gives the longer limits back with the connection.
    assert in_force(lambda: web.stream(Limits.of_worker(given))) == ("10min", "3s", "2min", "UTC")
    assert in_force(web.read_only) == ("10s", "3s", "30s", "UTC")
    operators = web.with_limits(Limits.of_worker(given))
    assert in_force(operators.read_only) == ("10min", "10s", "2min", "UTC")
    for database in (web, worker, operators):
        database.dispose()
