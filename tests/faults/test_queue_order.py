"""What matters goes first, whatever else waits."""

from datetime import UTC, datetime, timedelta

import pytest

from admin_app.db import Database
from admin_app.integrations import job_queue
from admin_app.integrations.job_order import PLACES, SLOTS, place_of
from admin_app.jobs.app import build
from tests.faults.queued import backlog, fetch
from tests.house import House
from tests.services.factories import OPERATOR

SAFETY = {
    "sweep",
    "expire_holds",
    "queue_unfinished_refunds",
    "settle_calls",
    "settle_calendars",
    "settle_mails",
    "continue_bulk_runs",
}
FOR_THOUSANDS = {"end_memberships", "follow_switches", "refresh_billing_due", "send_reminders", "refresh_owners"}
MAY_TAKE_LONG = {"make_export", "run_bulk", "compare_with", "reconcile_whop", "renew_credits"}


def queue(db: Database, task: str, **options: object) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        job_queue.defer(ctx.session, task, **options)


def order(db: Database, queue_name: str) -> list[str]:
    """All that waits in a queue, as its workers begin it."""
    names = []
    while job := fetch(db, queue_name):
        names.append(job.task_name)
    return names


def test_every_task_has_a_place_that_somebody_serves(house: House) -> None:
    tasks = {name for name in build(house.bench).tasks if "." not in name}
    assert tasks == set(PLACES)
    assert {place.queue for place in PLACES.values()} == set(SLOTS)


def test_what_finds_and_repairs_has_slots_that_nothing_else_takes(house: House) -> None:
    assert {name for name, place in PLACES.items() if place.queue == "safety"} >= SAFETY
    registered = build(house.bench).tasks
    for name, place in PLACES.items():
        if place.queue == "safety":
            assert (registered[name].queue, registered[name].queueing_lock) == ("safety", f"recurring:{name}")


def test_what_may_be_due_for_thousands_cannot_hold_the_slots_of_what_repairs() -> None:
    assert {name for name, place in PLACES.items() if place.queue == "clock"} == FOR_THOUSANDS


def test_what_may_take_long_cannot_hold_the_slots_of_the_rest() -> None:
    assert {PLACES[name].queue for name in MAY_TAKE_LONG} <= {"long", "comparisons"}


def test_a_recurring_job_begins_beside_any_backlog(real_db: Database) -> None:
    backlog(real_db, 5000)
    queue(real_db, "sweep", timestamp=0)
    assert fetch(real_db, "safety").task_name == "sweep"


@pytest.mark.parametrize("task", ["send_claim_mail", "send_guest_code", "send_appointment_mail", "send_refund"])
def test_what_a_person_waits_for_goes_before_5000_purchases(real_db: Database, task: str) -> None:
    backlog(real_db, 5000)
    queue(real_db, task)
    assert [fetch(real_db, "default").task_name for _ in range(2)] == [task, "process_event"]


def test_a_fresh_purchase_is_not_behind_what_can_wait(real_db: Database) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    for task in ("compare_membership", "run_bulk", "make_export", "compare_with"):
        queue(real_db, task)
    queue(real_db, "refresh_billing", at=past)
    queue(real_db, "process_event", event_id=1)
    queue(real_db, "send_claim_mail", pending_profile_id=1)
    queue(real_db, "send_guest_code")
    assert order(real_db, "default") == [
        "send_guest_code",
        "send_claim_mail",
        "process_event",
        "refresh_billing",
        "compare_membership",
    ]
    assert order(real_db, "long") == ["make_export", "run_bulk"]
    assert order(real_db, "comparisons") == ["compare_with"]


def test_what_an_earlier_release_queued_is_done_among_the_events(real_db: Database) -> None:
    backlog(real_db, 1, task="send_claim_mail")
    backlog(real_db, 1, task="make_export")
    queue(real_db, "process_event", event_id=1)
    assert order(real_db, "default") == ["send_claim_mail", "make_export", "process_event"]


def test_a_task_without_a_line_waits_among_the_events() -> None:
    assert place_of("something_new") == place_of("process_event")


def test_a_job_whose_try_failed_keeps_its_place_and_lets_the_others_pass(real_db: Database) -> None:
    backlog(real_db, 3)
    with real_db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '5 s' WHERE id = 1")
    assert [fetch(real_db, "default").id for _ in range(2)] == [2, 3]
