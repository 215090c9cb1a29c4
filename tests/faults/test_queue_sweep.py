"""What the sweep asks the database costs the sum of what is there, whatever the planner believes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.jobs import sweeper
from admin_app.services import inbox
from admin_app.services.clients import bulk_work
from tests.faults.queued import execute, rows_read_by_fetching

BACKLOG = 20_000
EVENTS = """
    INSERT INTO webhook_events (provider, external_id, type, body, received_at)
    SELECT 'whop', 'b' || n, 'x', '', now() - interval '1 hour' FROM generate_series(1, :count) n
"""
JOBS = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, args)
    SELECT 'default', 'process_event', jsonb_build_object('event_id', id) FROM webhook_events
"""
LATE = {"before": datetime(2999, 1, 1, tzinfo=UTC), "limit": 200}


@pytest.fixture(params=["never counted", "counted when empty", "counted when full"])
def backlog(request: pytest.FixtureRequest, real_db: Database) -> Database:
    """Each event waits with its job; the statistics are right, missing, or of a day without any."""
    # Else the server itself counts, some time.
    for table in ("webhook_events", "procrastinate_jobs", "procrastinate_events"):
        execute(real_db, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    if request.param == "counted when empty":
        _count(real_db)
    execute(real_db, EVENTS, count=BACKLOG)
    execute(real_db, JOBS)
    if request.param == "counted when full":
        _count(real_db)
    return real_db


def _count(db: Database) -> None:
    execute(db, "ANALYZE webhook_events, procrastinate_jobs, procrastinate_events, bulk_runs")


def nodes(db: Database, query: Any, **values: Any) -> list[dict[str, Any]]:
    """The steps of the plan that PostgreSQL takes, with what each one read."""
    with db.read_only() as session:
        session.execute(inbox.BY_INDEX)
        (plan,) = session.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}"), values)
    return list(_flat(plan["Plan"]))


def _flat(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _flat(child)


def read_in_all(steps: list[dict[str, Any]]) -> int:
    """How many rows were looked at, each as often as it was."""
    seen = 0
    for step in steps:
        if step["Node Type"] not in ("Subquery Scan", "CTE Scan"):
            seen += step["Actual Loops"] * (step["Actual Rows"] + step.get("Rows Removed by Filter", 0))
    return seen


def scans(steps: list[dict[str, Any]]) -> set[str]:
    return {step["Relation Name"] for step in steps if step["Node Type"] == "Seq Scan"}


def test_events_that_wait_cost_the_sweep_their_number_and_no_more(backlog: Database) -> None:
    steps = nodes(backlog, inbox.UNFINISHED, **LATE)
    assert scans(steps) == set()
    assert not [step for step in steps if "Nested Loop" in step["Node Type"]], json.dumps(steps)
    assert read_in_all(steps) < 12 * BACKLOG


def test_the_lost_ones_are_found_behind_all_that_wait(backlog: Database) -> None:
    with backlog.read_only() as session:
        assert inbox.unfinished(session, older_than=timedelta(minutes=2)) == []
    execute(backlog, "DELETE FROM procrastinate_jobs WHERE id = (SELECT max(id) FROM procrastinate_jobs)")
    execute(
        backlog, "UPDATE procrastinate_jobs SET status = 'failed' WHERE id = (SELECT min(id) FROM procrastinate_jobs)"
    )
    with backlog.read_only() as session:
        first, last = inbox.unfinished(session, older_than=timedelta(minutes=2))
        assert (first, last) == (
            session.scalar(text("SELECT min(id) FROM webhook_events")),
            session.scalar(text("SELECT max(id) FROM webhook_events")),
        )


def test_without_any_job_the_oldest_come_first(backlog: Database) -> None:
    execute(backlog, "DELETE FROM procrastinate_jobs")
    steps = nodes(backlog, inbox.UNFINISHED, **LATE)
    assert scans(steps) == set()
    assert read_in_all(steps) < 12 * BACKLOG
    with backlog.read_only() as session:
        found = inbox.unfinished(session, older_than=timedelta(minutes=2))
    assert len(found) == 200
    assert found == sorted(found)


def test_what_the_sweep_asks_about_running_jobs_reads_few(backlog: Database) -> None:
    execute(
        backlog,
        "UPDATE procrastinate_jobs SET status = 'doing' WHERE id <= (SELECT min(id) + 7 FROM procrastinate_jobs)",
    )
    limits = {
        "short": list(sweeper.SHORT_TASKS),
        "longest": sweeper.LONGEST,
        "longest_of_others": sweeper.LONGEST_OF_OTHERS,
    }
    steps = nodes(backlog, sweeper.FORGOTTEN, **limits)
    assert scans(steps) == set()
    assert read_in_all(steps) < 2 * BACKLOG


def test_what_is_asked_about_bulk_runs_joins_nothing(backlog: Database) -> None:
    steps = nodes(backlog, bulk_work.FORGOTTEN, before=datetime.now(UTC))
    assert not [step for step in steps if "Nested Loop" in step["Node Type"]]
    assert read_in_all(steps) < 6 * BACKLOG


def test_fetching_a_job_does_not_read_all_that_wait(backlog: Database) -> None:
    assert max(rows_read_by_fetching(backlog, "default") for _ in range(8)) < 100
