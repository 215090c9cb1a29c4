"""Taking a delivery in: one statement, so that event and job stand or fall together, whatever breaks in between."""

import json
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import time
from typing import Any

import psycopg
import pytest
from psycopg.pq import Trace
from sqlalchemy import event, text

from admin_app.db import Database
from models import WebhookEvent
from tests.house import House
from tests.integrations.signing import (
    calcom_headers,
    calendly_headers,
    clerk_headers,
    current_whop_headers,
    events,
    stripe_headers,
)

PURCHASE = next(path for path in events("whop") if path.name == "membership.activated.v1.json").read_bytes()


def bodies() -> dict[str, tuple[bytes, dict[str, str]]]:
    """One signed delivery of every provider."""
    stripe, clerk = events("stripe")[0].read_bytes(), events("clerk")[0].read_bytes()
    calcom, calendly = events("calcom")[0].read_bytes(), events("calendly")[0].read_bytes()
    return {
        "whop": (PURCHASE, current_whop_headers(PURCHASE, time())),
        "stripe": (stripe, stripe_headers(stripe, time())),
        "clerk": (clerk, clerk_headers(clerk, time())),
        "calcom": (calcom, calcom_headers(calcom)),
        "calendly": (calendly, calendly_headers(calendly, time())),
    }


def jobs(db: Database) -> int:
    with db.read_only() as session:
        waiting = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'process_event'"
        return int(session.scalar(text(waiting)) or 0)


@contextmanager
def round_trips(db: Database) -> Iterator[list[str]]:
    """The lines of libpq's own trace that end a round trip, from every connection that is used in the block."""
    found: list[str] = []
    with tempfile.TemporaryFile("w+") as trace:

        def traced(connection: psycopg.Connection, *_: Any) -> None:
            connection.pgconn.trace(trace.fileno())
            connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

        def untraced(connection: psycopg.Connection, *_: Any) -> None:
            connection.pgconn.untrace()

        event.listen(db.engine, "checkout", traced)
        event.listen(db.engine, "checkin", untraced)
        try:
            yield found
        finally:
            event.remove(db.engine, "checkout", traced)
            event.remove(db.engine, "checkin", untraced)
        trace.seek(0)
        found += [line for line in trace if "ReadyForQuery" in line]


@pytest.mark.parametrize("provider", list(bodies()))
def test_a_delivery_costs_one_round_trip_and_so_does_its_duplicate(real_house: House, provider: str) -> None:
    raw, headers = bodies()[provider]
    for expected in ("ok", "duplicate"):
        with round_trips(real_house.db) as trips:
            answer = real_house.post(f"/api/webhooks/{provider}", data=raw, headers=headers)
        assert (answer.status_code, answer.json) == (200, {"status": expected})
        assert len(trips) == 1, trips
    assert (real_house.count(WebhookEvent), jobs(real_house.db)) == (1, 1)


def test_the_counter_of_round_trips_counts(real_db: Database) -> None:
    with round_trips(real_db) as trips, real_db.engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert len(trips) == 3  # begin, the statement, commit


def test_fifty_of_one_delivery_at_once_are_one_event_and_one_job(real_house: House) -> None:
    together = threading.Barrier(50)

    def send(_: int) -> Any:
        together.wait(30)
        return real_house.whop(PURCHASE).json["status"]

    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(send, range(50)))
    assert sorted(answers) == ["duplicate"] * 49 + ["ok"]
    assert (real_house.count(WebhookEvent), jobs(real_house.db)) == (1, 1)


def test_a_job_that_cannot_be_queued_leaves_no_event(real_house: House) -> None:
    with real_house.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE procrastinate_jobs ADD CONSTRAINT never CHECK (false) NOT VALID"))
    assert real_house.whop(PURCHASE).status_code == 500
    assert (real_house.count(WebhookEvent), jobs(real_house.db)) == (0, 0)
    with real_house.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE procrastinate_jobs DROP CONSTRAINT never"))
    assert real_house.whop(PURCHASE).json == {"status": "ok"}
    assert (real_house.count(WebhookEvent), jobs(real_house.db)) == (1, 1)


def test_a_connection_lost_in_the_middle_is_answered_503_and_the_next_try_is_stored(real_house: House) -> None:
    killing = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE '%webhook_events%' AND pid <> pg_backend_pid()"
    )
    engine, killed, ends = real_house.db.engine, False, time() + 30
    with ThreadPoolExecutor(1) as sender, engine.begin() as blocker:
        blocker.execute(text("LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE"))
        answer = sender.submit(real_house.whop, PURCHASE)
        while not killed and time() < ends:
            with engine.begin() as looking:  # a transaction sees one state of pg_stat_activity
                killed = bool(looking.execute(killing).all())
        assert killed
        assert answer.result(timeout=30).status_code == 503
    assert real_house.whop(PURCHASE).json == {"status": "ok"}
    assert (real_house.count(WebhookEvent), jobs(real_house.db)) == (1, 1)


def test_deliveries_wake_nobody_and_everything_else_does(real_house: House) -> None:
    """A notification would make every delivery's commit wait for the one before, on the whole server."""
    address = real_house.db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as listener:
        listener.execute("LISTEN procrastinate_any_queue_v1")
        assert real_house.whop(PURCHASE).json == {"status": "ok"}
        with real_house.db.engine.begin() as connection:
            other = "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'other') RETURNING id"
            job_id = connection.execute(text(other)).scalar_one()
        heard = [json.loads(notice.payload)["job_id"] for notice in listener.notifies(timeout=30, stop_after=1)]
    assert heard == [job_id]


def test_the_api_keeps_no_session(real_house: House) -> None:
    answer = real_house.whop(PURCHASE, delivery="msg_session")
    assert answer.headers.getlist("Set-Cookie") == []
    assert "Vary" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
