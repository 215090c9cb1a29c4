"""Jobs that failed for good: listed, counted on the first page, and done again by who may."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations import job_queue
from models import Role
from tests.console.test_stale_screens import filled_in

ClientFor = Callable[[Role], Any]


def failed(db: Database, task: str, once_key: str | None = None, **arguments: object) -> int:
    """A job that was tried until patience ended."""
    with db.unit_of_work(Job("tests")) as ctx:
        job_queue.defer(ctx.session, task, once_key=once_key, **arguments)
        ended = text(
            "UPDATE procrastinate_jobs SET status = 'failed', attempts = 10 WHERE status = 'todo' RETURNING id"
        )
        return int(ctx.session.scalar(ended) or 0)


def waiting(db: Database) -> list[tuple[str, dict[str, Any], str | None]]:
    query = text("SELECT task_name, args, queueing_lock FROM procrastinate_jobs WHERE status = 'todo'")
    with db.read_only() as session:
        return [tuple(row) for row in session.execute(query)]


def test_a_failed_job_is_seen_and_done_again(db: Database, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    assert "No job has failed for good" in client.get("/admin/failed-jobs/").text
    number = failed(db, "refresh_billing", "refresh_billing:7", client_id=7)
    page = client.get("/admin/failed-jobs/").text
    assert "refresh_billing" in page
    assert "client id 7" in page
    assert "background jobs failed for good" in client.get("/admin/").text
    plan = client.get(f"/admin/failed-jobs/{number}/retry").text
    answer = client.post(f"/admin/failed-jobs/{number}/retry", data=filled_in(plan))
    assert (answer.status_code, answer.location) == (303, "/admin/failed-jobs/")
    assert waiting(db) == [("refresh_billing", {"client_id": 7}, "refresh_billing:7")]
    assert "No job has failed for good" in client.get("/admin/failed-jobs/").text
    assert "had the failed job refresh_billing done again" in client.get("/admin/audit-entries/").text
    # The second click finds nothing to do.
    assert client.post(f"/admin/failed-jobs/{number}/retry", data=filled_in(plan)).status_code == 404
    assert len(waiting(db)) == 1


def test_what_runs_by_the_clock_is_not_done_again_by_hand(db: Database, client_for: ClientFor) -> None:
    number = failed(db, "sweep", timestamp=1)
    client = client_for(Role.ADMIN)
    assert "comes by itself" in client.get("/admin/failed-jobs/").text
    assert "It runs by the clock" in client.get(f"/admin/failed-jobs/{number}/retry").text


@pytest.mark.parametrize("task", ["process_event", "send_claim_mail"])
def test_what_stands_on_another_list_is_not_counted_twice(db: Database, client_for: ClientFor, task: str) -> None:
    failed(db, task, event_id=1)
    client = client_for(Role.AUDITOR)
    assert "background jobs failed for good" not in client.get("/admin/").text
    page = client.get("/admin/failed-jobs/").text
    assert task in page
    assert "Do it again" not in page, "an auditor changes nothing"


def test_many_are_paged(db: Database, client_for: ClientFor) -> None:
    numbers = [failed(db, "refresh_billing", client_id=number) for number in range(1, 53)]
    client = client_for(Role.OPS)
    first = client.get("/admin/failed-jobs/").text
    assert f"before={numbers[2]}" in first
    second = client.get(f"/admin/failed-jobs/?before={numbers[2]}").text
    assert "client id 1<" in second
    assert "client id 3<" not in second
