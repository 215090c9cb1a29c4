"""Jobs that failed for good: listed, counted on the first page, and tried again or settled by who may."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations import job_queue
from admin_app.jobs.app import bench_for, build
from models import Role
from tests.console.framework.test_stale_screens import filled_in
from views.console.framework.columns import AUDITED
from views.console.inbox.failed_jobs import RECORDS, WORDS

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


def test_a_failed_job_is_seen_and_tried_again(db: Database, client_for: ClientFor) -> None:
    client = client_for(Role.OPS)
    assert "No job has failed for good" in client.get("/admin/failed-jobs/").text
    number = failed(db, "refresh_billing", "refresh_billing:7", client_id=7)
    page = client.get("/admin/failed-jobs/").text
    assert "Work out a client’s billing status" in page
    assert '<a href="/admin/clients/7">Client 7</a>' in page
    assert "background job failed for good" in client.get("/admin/").text
    plan = client.get(f"/admin/failed-jobs/{number}/retry").text
    assert f"look for &#34;job&#34;: {number}" in plan
    answer = client.post(f"/admin/failed-jobs/{number}/retry", data=filled_in(plan))
    assert (answer.status_code, answer.location) == (303, "/admin/failed-jobs/")
    assert waiting(db) == [("refresh_billing", {"client_id": 7}, "refresh_billing:7")]
    assert "No job has failed for good" in client.get("/admin/failed-jobs/").text
    assert "had the failed job refresh_billing tried again" in client.get("/admin/audit-entries/").text
    # The second click finds nothing to do.
    assert client.post(f"/admin/failed-jobs/{number}/retry", data=filled_in(plan)).status_code == 404
    assert len(waiting(db)) == 1


def test_what_runs_on_a_schedule_is_not_tried_again_by_hand(db: Database, client_for: ClientFor) -> None:
    number = failed(db, "sweep", timestamp=1)
    client = client_for(Role.ADMIN)
    page = client.get("/admin/failed-jobs/").text
    assert "Runs again by itself" in page
    assert "timestamp" not in page
    assert "It runs on a schedule" in client.get(f"/admin/failed-jobs/{number}/retry").text


def test_a_job_that_is_not_wanted_any_more_is_settled(db: Database, client_for: ClientFor) -> None:
    number = failed(db, "send_refund", "send_refund:3", refund_id=3)
    client, address = client_for(Role.SUPPORT), f"/admin/failed-jobs/{number}/settle"
    assert f'href="{address}"' in client.get("/admin/failed-jobs/").text
    plan = client.get(address).text
    assert "stays undone" in plan
    assert client.post(address, data=filled_in(plan) | {"reason": ""}).status_code == 422
    assert client.post(address, data=filled_in(plan)).location == "/admin/failed-jobs/"
    assert "No job has failed for good" in client.get("/admin/failed-jobs/").text
    assert "background job failed for good" not in client.get("/admin/").text
    assert "marked the failed job send_refund as settled" in client.get("/admin/audit-entries/").text
    assert waiting(db) == []
    assert client.post(address, data=filled_in(plan)).status_code == 404


def test_what_was_tried_once_says_so(db: Database, client_for: ClientFor) -> None:
    number = failed(db, "send_guest_code", guest_id=0, asking="an answer of ours")
    with db.unit_of_work(Job("tests")) as ctx:
        ctx.session.execute(text("UPDATE procrastinate_jobs SET attempts = 1"))
    client = client_for(Role.OPS)
    page = client.get("/admin/failed-jobs/").text
    assert "an answer of ours" not in page
    assert "/admin/guests/0" not in page
    assert "It was tried once and failed." in client.get(f"/admin/failed-jobs/{number}/retry").text


def test_every_task_has_words_and_every_number_a_record() -> None:
    settings = Settings(_env_file=None, database_url="postgresql://unused", secret_key="s" * 32)
    queue = build(bench_for(settings))
    on_schedule = {periodic.task.name for periodic in queue.periodic_registry.periodic_tasks.values()}
    tasks = {name for name, task in queue.tasks.items() if task.name == name and not name.startswith("builtin:")}
    assert tasks - on_schedule == set(WORDS)
    assert set(RECORDS.values()) <= set(AUDITED)


@pytest.mark.parametrize("task", ["process_event", "send_claim_mail"])
def test_what_stands_on_another_list_is_not_counted_twice(db: Database, client_for: ClientFor, task: str) -> None:
    failed(db, task, event_id=1)
    client = client_for(Role.AUDITOR)
    assert "background job failed for good" not in client.get("/admin/").text
    page = client.get("/admin/failed-jobs/").text
    assert task in page
    assert "Try again" not in page, "an auditor changes nothing"
    assert "Mark as settled" not in page


def test_many_are_paged(db: Database, client_for: ClientFor) -> None:
    numbers = [failed(db, "refresh_billing", client_id=number) for number in range(1, 53)]
    client = client_for(Role.OPS)
    first = client.get("/admin/failed-jobs/").text
    assert f"before={numbers[2]}" in first
    second = client.get(f"/admin/failed-jobs/?before={numbers[2]}").text
    assert ">Client 1<" in second
    assert ">Client 3<" not in second
