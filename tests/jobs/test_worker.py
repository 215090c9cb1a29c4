"""The worker on a real queue: it applies, retries, gives up readably, and survives what crashes around it."""

import json
import signal
import time

import pytest
import structlog
from sqlalchemy import select, text
from structlog.testing import capture_logs

from admin_app.context import Job
from admin_app.integrations import job_queue
from admin_app.jobs import sweeper
from admin_app.simulator import control
from models import EventState, PendingProfile, SentEmail, WebhookEvent
from tests.house import House
from tests.integrations.signing import events
from tests.jobs.running import RunningWorker, bench_of, execute, jobs, wait_until, worker_process

ACTIVATED = next(path for path in events("whop") if path.name == "membership.activated.v1.json").read_bytes()
PINNED = next(path for path in events("whop") if path.name == "membership.activated.pinned.json").read_bytes()


@pytest.fixture
def simulator(own_simulator: str) -> str:
    """What these tests make Whop know must not help the events of others."""
    return own_simulator


def event_of(house: House) -> WebhookEvent:
    (event,) = house.rows(select(WebhookEvent))
    return event


def test_a_delivery_becomes_a_waiting_purchase_and_a_kept_mail(real_house: House) -> None:
    with RunningWorker(real_house):
        assert real_house.whop(ACTIVATED).status_code == 200
        wait_until(lambda: real_house.count(PendingProfile) == 1)
        wait_until(lambda: [mail.state for mail in real_house.rows(select(SentEmail))] == ["kept"])
        wait_until(lambda: jobs(real_house) == [])
    assert event_of(real_house).state is EventState.PROCESSED


def test_a_provider_that_is_away_is_asked_again(real_house: House) -> None:
    data = json.loads(PINNED)["data"]
    seeded = {"membership_id": data["id"], "user_id": data["user_id"], "email": "asked@example.com", "name": "A"}
    control.seed_memberships(real_house.simulator, [seeded])
    control.fault(real_house.simulator, "whop", "500", times=5)
    real_house.whop(PINNED)
    with RunningWorker(real_house):
        wait_until(lambda: real_house.count(PendingProfile) == 1)
    (pending,) = real_house.rows(select(PendingProfile))
    assert pending.email == "asked@example.com"
    assert event_of(real_house).attempts > 1


def test_after_ten_tries_the_event_is_parked_for_a_person(real_house: House) -> None:
    control.fault(real_house.simulator, "whop", "500", times=100)
    real_house.whop(PINNED)
    try:
        with RunningWorker(real_house):
            wait_until(lambda: event_of(real_house).state is EventState.PARKED)
    finally:
        control.fault(real_house.simulator, "whop", "off")
    event = event_of(real_house)
    assert (event.parked_because, event.last_error) == ("email_missing", "lookup_failed")


def test_a_failure_of_ours_is_kept_by_code_and_heals(real_house: House) -> None:
    execute(real_house, "ALTER TABLE pending_profiles ADD CONSTRAINT never CHECK (false) NOT VALID")
    real_house.whop(ACTIVATED)
    with RunningWorker(real_house):
        wait_until(lambda: event_of(real_house).state is EventState.FAILED)
        assert event_of(real_house).last_error == "IntegrityError"
        execute(real_house, "ALTER TABLE pending_profiles DROP CONSTRAINT never")
        wait_until(lambda: event_of(real_house).state is EventState.PROCESSED)


def test_the_reason_of_a_failed_job_is_in_the_log_by_its_number(real_house: House) -> None:
    with real_house.db.unit_of_work(Job("tests")) as ctx:
        job_queue.defer(ctx.session, "ask_about_refund", refund_id=404)
        number = ctx.session.scalar(text("SELECT max(id) FROM procrastinate_jobs"))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as said, RunningWorker(real_house):
        wait_until(lambda: [line for line in said if line["event"] == "task failed"])
    (line,) = [line for line in said if line["event"] == "task failed"]
    assert (line["task"], line["code"], line["job"]) == ("ask_about_refund", "not_found", number)


def test_the_worker_outlives_its_connections(real_house: House) -> None:
    with RunningWorker(real_house):
        time.sleep(0.5)
        execute(
            real_house,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()",
        )
        real_house.db.engine.dispose()
        real_house.whop(ACTIVATED)
        wait_until(lambda: real_house.count(PendingProfile) == 1)


def test_a_job_whose_end_could_not_be_noted_starts_again(real_house: House) -> None:
    real_house.whop(ACTIVATED)
    with RunningWorker(real_house) as running:
        wait_until(lambda: event_of(real_house).state is EventState.PROCESSED)
        wait_until(lambda: jobs(real_house) == [])
        execute(real_house, STUCK)
        assert running.call(lambda queue: sweeper.requeue_forgotten(queue, bench_of(real_house))) == 1
        wait_until(lambda: jobs(real_house) == [])


STUCK = """
    WITH job AS (
      INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id)
      SELECT 'default', 'process_event', jsonb_build_object('event_id', e.id), 'doing', w.id
      FROM webhook_events e, (SELECT id FROM procrastinate_workers LIMIT 1) w RETURNING id)
    INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'started', now() - interval '1 hour' FROM job
"""


def test_a_killed_worker_loses_nothing_and_a_stopped_one_ends_its_job(real_house: House) -> None:
    """The job of a worker killed in the middle starts again once the worker's heartbeat is too old."""
    control.fault(real_house.simulator, "whop", "slow", times=1, seconds=60)
    real_house.whop(PINNED)
    with worker_process(real_house) as first:
        wait_until(lambda: ("process_event", "doing", 0) in jobs(real_house))
        first.kill()
        first.communicate()
    control.fault(real_house.simulator, "whop", "off")
    assert jobs(real_house) == [("process_event", "doing", 0)]
    execute(real_house, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    with worker_process(real_house) as second:
        wait_until(lambda: event_of(real_house).state is not EventState.RECEIVED)
        second.send_signal(signal.SIGTERM)
        _, log = second.communicate(timeout=20)
    assert second.returncode == 0
    told = [json.loads(line) for line in log.splitlines()]
    assert {"worker started", "worker stopped"} <= {line["event"] for line in told}
    assert "@" not in log


def test_a_worker_that_is_told_to_stop_while_it_starts_stops(real_house: House) -> None:
    """At any moment: before it registers, while it waits for a connection, once it works."""
    for milliseconds in range(0, 100, 5):
        with RunningWorker(real_house):
            time.sleep(milliseconds / 1000)
