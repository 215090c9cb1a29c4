"""A job that is queued once is done once after the last change, whoever commits when, and nobody waits for anybody."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.integrations import job_queue
from tests.faults.queued import execute, fetch, waiting
from tests.services.factories import OPERATOR

KEY = "sync_calendar:1"


def queue_sync(ctx: Ctx, number: int = 1, **options: object) -> None:
    job_queue.defer(ctx.session, "sync_calendar", once_key=f"sync_calendar:{number}", booking_id=number, **options)


def queued_before(db: Database, **values: object) -> None:
    """One job waits already, committed."""
    with db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx)
    if values:
        assigned = ", ".join(f"{name} = :{name}" for name in values)
        execute(db, f"UPDATE procrastinate_jobs SET {assigned}", **values)


def test_what_waits_is_not_begun_before_the_change_that_relies_on_it(real_db: Database) -> None:
    queued_before(real_db)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx)
        assert fetch(real_db) is None, "it would read what was before"
    assert fetch(real_db).args == {"booking_id": 1}
    assert waiting(real_db) == [], "once"


def test_what_has_begun_meanwhile_is_done_again(real_db: Database) -> None:
    queued_before(real_db)
    with real_db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("SELECT 1"))
        assert fetch(real_db) is not None, "a worker begins it after the change and before it is queued again"
        queue_sync(ctx)
    assert len(waiting(real_db)) == 1


def test_a_change_that_is_taken_back_leaves_the_one_that_waits(real_db: Database) -> None:
    queued_before(real_db)

    def change_and_break() -> None:
        with real_db.unit_of_work(OPERATOR) as ctx:
            queue_sync(ctx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_break()
    assert fetch(real_db) is not None
    assert fetch(real_db) is None


def test_a_worker_hears_that_it_may_begin_what_it_passed_over(real_db: Database) -> None:
    queued_before(real_db)
    with real_db.engine.connect() as connection:
        listening = connection.execution_options(isolation_level="AUTOCOMMIT")
        listening.execute(text('LISTEN "procrastinate_queue_v1#default"'))
        with real_db.unit_of_work(OPERATOR) as ctx:
            queue_sync(ctx)
        driver = listening.connection.driver_connection
        assert driver is not None
        assert list(driver.notifies(timeout=10, stop_after=1)), "else it would find it at its next look"


def test_two_that_queue_the_same_keys_crosswise_do_not_wait(real_db: Database) -> None:
    """Neither for the end of the other nor for ever: the second of a key gets a job of its own."""
    both_hold_one = Barrier(2, timeout=20)
    failures: list[Exception] = []

    def work(first: int, second: int) -> None:
        try:
            with real_db.unit_of_work(OPERATOR) as ctx:
                ctx.session.execute(text("SET LOCAL lock_timeout = '5s'"))
                queue_sync(ctx, first)
                both_hold_one.wait()
                queue_sync(ctx, second)
                both_hold_one.wait()
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=work, args=numbers) for numbers in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    jobs = waiting(real_db)
    assert sorted(filter(None, (job.queueing_lock for job in jobs))) == ["sync_calendar:1", "sync_calendar:2"]
    assert len(jobs) == 4


def test_a_frozen_transaction_holds_up_nobody_who_queues_the_same(real_db: Database) -> None:
    queued_before(real_db)
    with real_db.unit_of_work(OPERATOR) as frozen:
        queue_sync(frozen)
        queue_sync(frozen, 2)
        with real_db.unit_of_work(OPERATOR) as ctx:
            ctx.session.execute(text("SET LOCAL lock_timeout = '2s'"))
            queue_sync(ctx)
            queue_sync(ctx, 2)


def test_the_same_transaction_may_queue_it_often(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        for _ in range(3):
            queue_sync(ctx)
    assert len(waiting(real_db)) == 1


LATER = datetime(2999, 1, 1, tzinfo=UTC)


def test_what_waits_for_its_next_try_begins_at_once_with_all_its_tries(real_db: Database) -> None:
    queued_before(real_db, scheduled_at=LATER, attempts=9)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx)
    (job,) = waiting(real_db)
    assert (job.scheduled_at, job.attempts) == (None, 0)


def test_who_only_makes_sure_that_there_is_a_job_changes_nothing_of_it(real_db: Database) -> None:
    queued_before(real_db, scheduled_at=LATER, attempts=9)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx, anew=False)
    (job,) = waiting(real_db)
    assert (job.scheduled_at, job.attempts) == (LATER, 9)


@pytest.mark.parametrize("days", [-1, 1])
def test_of_two_moments_the_sooner_one_holds(real_db: Database, days: int) -> None:
    moment = datetime.now(UTC) + timedelta(days=10)
    queued_before(real_db, scheduled_at=moment)
    other = moment + timedelta(days=days)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx, at=other)
    (job,) = waiting(real_db)
    assert job.scheduled_at == min(moment, other)


def test_what_is_due_is_not_put_off_by_a_later_moment(real_db: Database) -> None:
    queued_before(real_db, attempts=3)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx, at=LATER)
    (job,) = waiting(real_db)
    assert (job.scheduled_at, job.attempts) == (None, 0)


def test_what_waited_for_a_moment_and_is_wanted_now_goes_before_the_rest(real_db: Database) -> None:
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx, at=LATER)
        queue_sync(ctx, 2)
    with real_db.unit_of_work(OPERATOR) as ctx:
        queue_sync(ctx)
    assert {job.priority for job in waiting(real_db)} == {job_queue.place_of("sync_calendar").priority}
