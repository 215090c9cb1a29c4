"""Workers that die, freeze and wake, and what they leave behind: it never keeps anything from being done."""

import signal
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from sqlalchemy import select, text

from admin_app.jobs import sweeper
from admin_app.jobs.manager import HeldJobs
from admin_app.jobs.retry import TRIES
from admin_app.services import appointments, bookings
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from models import Booking, BookingStatus, EventState, PendingProfile, SentEmail, WebhookEvent
from tests.faults.queued import add, backlog, by_queue, execute, run_apart, states, waiting
from tests.house import House
from tests.jobs.running import RunningWorker, bench_of, wait_until, worker_process
from tests.jobs.test_worker import ACTIVATED, PINNED
from tests.services.factories import OPERATOR
from tests.services.schedule_rows import add_booking, add_practitioner, add_session_type

OLD = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"


@pytest.fixture
def simulator(own_simulator: str) -> str:
    """Faults are set for whole providers."""
    return own_simulator


# -- a waiting twin -----------------------------------------------------------------------------------------------


def test_a_worker_starts_where_a_dead_one_left_a_job_whose_twin_waits(real_house: House) -> None:
    """By real processes: killed while it tells Cal.com of a booking, which is canceled before the next one starts."""
    house = real_house
    control_calcom.seed_event_types(house.simulator, [{"id": "77", "minutes": 60, "host_id": 7}])
    practitioner = add_practitioner(house.db, calcom_event_type_id="77")
    moment = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=20)
    booking = add_booking(house.db, add_session_type(house.db, practitioner), moment)
    subject = f"booking:{booking.id}"
    control.fault(house.simulator, "calcom", "slow", times=1, seconds=60)
    with house.db.unit_of_work(OPERATOR) as ctx:
        bookings.sync_calendar(ctx, appointments.get(ctx.session, subject))
    with worker_process(house) as first:
        wait_until(lambda: "doing" in _of_task(house, "sync_calendar"))
        first.kill()
        first.communicate()
    control.fault(house.simulator, "calcom", "off")
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Booking, booking.id).status = BookingStatus.CANCELED
        bookings.sync_calendar(ctx, appointments.get(ctx.session, subject))
    assert sorted(_of_task(house, "sync_calendar")) == ["doing", "todo"]
    execute(house.db, OLD)
    # Long ago enough that nobody can still be at the call that the dead worker made.
    execute(house.db, "UPDATE provider_calls SET created_at = created_at - interval '10 minutes'")
    with worker_process(house):
        wait_until(lambda: _of_task(house, "sync_calendar") == [])
    active = [one for one in control_calcom.bookings(house.simulator, our_id=booking.id) if one["status"] == "accepted"]
    assert active == []


def _of_task(house: House, task: str) -> list[str]:
    query = text("SELECT status::text FROM procrastinate_jobs WHERE task_name = :task")
    with house.db.read_only() as session:
        return list(session.scalars(query, {"task": task}))


def test_a_job_that_fails_while_its_twin_waits_makes_room_for_it(real_house: House) -> None:
    async def fail(queue: App, manager: HeldJobs) -> None:
        job = await manager.fetch_job(["default"], await manager.register_worker())
        assert job is not None
        twin = add(real_house, at=datetime.now(UTC) + timedelta(hours=1))
        await manager.retry_job(job, retry_at=datetime.now(UTC))
        assert states(real_house) == {twin: "todo"}

    add(real_house)
    by_queue(real_house, fail)
    (left,) = waiting(real_house.db)
    assert left.scheduled_at <= datetime.now(UTC), "no later than the one that failed would have been tried again"


def test_by_a_live_worker_nothing_stays_at_work(real_house: House) -> None:
    """The first try hangs at Cal.com and fails; meanwhile the booking is queued again."""
    house = real_house
    control_calcom.seed_event_types(house.simulator, [{"id": "77", "minutes": 60, "host_id": 7}])
    practitioner = add_practitioner(house.db, calcom_event_type_id="77")
    moment = datetime.now(UTC) + timedelta(days=20)
    booking = add_booking(house.db, add_session_type(house.db, practitioner), moment, calcom_booking_uid="u")
    control.fault(house.simulator, "calcom", "slow", times=1, seconds=2)
    control.fault(house.simulator, "calcom", "500", times=20, after=1)
    with RunningWorker(house, first_wait=3600):
        for _ in range(2):
            with house.db.unit_of_work(OPERATOR) as ctx:
                bookings.sync_calendar(ctx, appointments.get(ctx.session, f"booking:{booking.id}"))
            wait_until(lambda: "doing" in _of_task(house, "sync_calendar") or not _of_task(house, "sync_calendar"))
        wait_until(lambda: "doing" not in _of_task(house, "sync_calendar"))
    assert _of_task(house, "sync_calendar") in (["todo"], [])


@pytest.mark.parametrize("key", ["recurring:sweep", "sync_calendar:1"])
def test_the_jobs_of_a_dead_worker_come_back_beside_their_twins(real_house: House, key: str) -> None:
    add(real_house, key, "doing")
    twin = add(real_house, key)
    alone = add(real_house, "other", "doing")
    by_queue(real_house, lambda queue, _: sweeper.requeue_stalled(queue))
    assert states(real_house) == {twin: "todo", alone: "todo"}


def test_what_was_forgotten_comes_back_beside_its_twin(real_house: House) -> None:
    async def forget(queue: App, manager: HeldJobs) -> int:
        worker = await manager.register_worker()
        lost = add(real_house, "a", "doing", worker=worker)
        twin = add(real_house, "a")
        export = add(real_house, None, "doing", worker=worker, task="make_export")
        for job, hours in ((lost, 1), (export, 1)):
            execute(
                real_house.db,
                "INSERT INTO procrastinate_events (job_id, type, at)"
                " VALUES (:job, 'started', now() - make_interval(hours => :hours))",
                job=job,
                hours=hours,
            )
        restarted = await sweeper.requeue_forgotten(queue, bench_of(real_house))
        assert states(real_house) == {twin: "todo", export: "doing"}, "an export may take an hour"
        return restarted

    assert by_queue(real_house, forget) == 1


# -- lanes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [HeldJobs.retry_job, HeldJobs.put_back], ids=["it failed", "its worker died"])
def test_a_job_that_is_tried_again_does_not_hold_up_those_behind_it_in_its_lane(
    real_house: House, again: Callable[..., Coroutine[None, None, None]]
) -> None:
    """Such as the exports of one person, of which one cannot be made."""

    async def come_next(queue: App, manager: HeldJobs) -> None:
        bad, good = (add(real_house, key) for key in ("a", "b"))
        execute(real_house.db, "UPDATE procrastinate_jobs SET lock = 'exports-of:1'")
        worker = await manager.register_worker()
        job = await manager.fetch_job(["default"], worker)
        assert job is not None
        assert job.id == bad
        assert await manager.fetch_job(["default"], worker) is None, "one after the other"
        await again(manager, job, retry_at=datetime.now(UTC) + timedelta(hours=1))
        behind = await manager.fetch_job(["default"], worker)
        assert behind is not None
        assert behind.id == good

    by_queue(real_house, come_next)


# -- each step and each row alone ---------------------------------------------------------------------------------

REFUSED = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW WHEN (old.queueing_lock = 'bad')
        EXECUTE PROCEDURE refuse()
"""


def test_a_job_that_cannot_be_put_back_does_not_hold_up_the_others(real_house: House, impatient: None) -> None:
    bad, good = add(real_house, "bad", "doing"), add(real_house, "good", "doing")
    execute(real_house.db, REFUSED)
    assert by_queue(real_house, lambda queue, _: sweeper.requeue_stalled(queue)) == 1
    assert states(real_house) == {bad: "doing", good: "todo"}


def test_an_event_that_cannot_be_put_back_does_not_hold_up_the_others(real_house: House) -> None:
    for number in (1, 2):
        real_house.whop(PINNED, delivery=f"msg_{number}")
    execute(real_house.db, "DELETE FROM procrastinate_jobs")
    execute(real_house.db, "UPDATE webhook_events SET received_at = now() - interval '1 hour'")
    execute(
        real_house.db,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON webhook_events FOR EACH ROW WHEN (old.external_id = 'msg_1')"
        " EXECUTE PROCEDURE refuse()",
    )
    assert sweeper.requeue_events(real_house.bench) == 1
    assert len(waiting(real_house.db)) == 1


class Broken(HeldJobs):
    """The first question of every sweep is never answered."""

    async def get_stalled_jobs(self, *_: Any, **__: Any) -> Iterable[Job]:
        raise ConnectorException


def test_a_step_that_fails_keeps_no_other_from_running_and_no_worker_from_work(real_house: House) -> None:
    assert real_house.whop(PINNED).status_code == 200
    execute(real_house.db, "DELETE FROM procrastinate_jobs")
    execute(real_house.db, "UPDATE webhook_events SET received_at = now() - interval '1 hour'")
    running = RunningWorker(real_house)
    running.queue.job_manager = Broken(running.queue.connector)
    with running:
        running.call(lambda queue: sweeper.sweep(queue, bench_of(real_house)))
        wait_until(lambda: real_house.rows(select(WebhookEvent.state)) != [EventState.RECEIVED])


# -- frozen, and awake again ------------------------------------------------------------------------------------------


def test_who_wakes_up_does_not_end_a_job_that_waits_once_more(real_house: House) -> None:
    async def freeze(queue: App, manager: HeldJobs) -> None:
        job = await manager.fetch_job(["default"], await manager.register_worker())
        assert job is not None
        execute(real_house.db, OLD)
        assert await sweeper.requeue_stalled(queue) == 1
        await manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
        await manager.retry_job(job)
        assert states(real_house) == {job.id: "todo"}
        (left,) = waiting(real_house.db)
        assert left.attempts == 1, "counted once"

    add(real_house)
    by_queue(real_house, freeze)


def test_who_wakes_up_does_not_end_what_another_one_is_at(real_house: House) -> None:
    async def freeze(queue: App, manager: HeldJobs) -> None:
        job = await manager.fetch_job(["default"], await manager.register_worker())
        assert job is not None
        execute(real_house.db, OLD)
        await sweeper.requeue_stalled(queue)
        other = HeldJobs(queue.connector)
        again = await other.fetch_job(["default"], await other.register_worker())
        assert again is not None
        await manager.finish_job(job, Status.FAILED, delete_job=False)
        assert states(real_house) == {job.id: "doing"}
        await other.finish_job(again, Status.SUCCEEDED, delete_job=True)
        assert states(real_house) == {}

    add(real_house)
    by_queue(real_house, freeze)


def test_the_first_of_two_tries_in_one_worker_ends_nothing(real_house: House) -> None:
    """It hung for so long that its job was taken for forgotten, and the same worker began it once more."""

    async def hang(queue: App, manager: HeldJobs) -> None:
        worker = await manager.register_worker()
        first = await manager.fetch_job(["default"], worker)
        assert first is not None
        await manager.put_back(first)
        execute(real_house.db, "UPDATE procrastinate_jobs SET attempts = 0")
        second = await manager.fetch_job(["default"], worker)
        assert second is not None
        await manager.finish_job(first, Status.SUCCEEDED, delete_job=True)
        assert states(real_house) == {first.id: "doing"}
        await manager.finish_job(second, Status.SUCCEEDED, delete_job=True)
        assert states(real_house) == {}

    add(real_house)
    by_queue(real_house, hang)


# At the first statement of the transaction that applies the event, after the one that looked what it needs.
FROZEN = ("tests.jobs.killed_worker", "2", "SELECT webhook_events", "STOP")


def test_a_frozen_worker_that_wakes_changes_nothing_of_what_another_did(real_house: House) -> None:
    """By real processes: stopped in the middle of a purchase, which another worker ends meanwhile."""
    house = real_house
    assert house.whop(ACTIVATED).status_code == 200
    with worker_process(house, FROZEN) as first:
        wait_until(lambda: state_of(first.pid) == "T")
        assert _of_task(house, "process_event") == ["doing"]
        execute(house.db, OLD)
        with worker_process(house) as second:
            wait_until(lambda: house.rows(select(SentEmail.state)) == ["kept"])
            wait_until(lambda: _of_task(house, "process_event") == [])
            first.send_signal(signal.SIGCONT)
            for process in (first, second):
                process.send_signal(signal.SIGTERM)
                _, log = process.communicate(timeout=60)
                assert process.returncode == 0, log
    assert (house.count(PendingProfile), house.count(SentEmail)) == (1, 1)
    assert house.rows(select(WebhookEvent.state)) == [EventState.PROCESSED]
    assert not {"doing", "failed"} & set(states(house).values())


def state_of(pid: int) -> str:
    """The letter by which Linux says what a process does; T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# -- what takes its worker down, and a backlog -----------------------------------------------------------------------


def test_what_takes_its_worker_down_is_tried_ever_more_slowly_and_then_left(real_house: House) -> None:
    poison = add(real_house, None, "doing", attempts=0)
    waits = []
    for _ in range(TRIES - 1):
        by_queue(real_house, lambda queue, _: sweeper.requeue_stalled(queue))
        (job,) = waiting(real_house.db)
        waits.append(round((job.scheduled_at - datetime.now(UTC)).total_seconds()))
        execute(real_house.db, "UPDATE procrastinate_jobs SET status = 'doing'")
    assert waits[0] <= 0, "an accident is put right at once"
    assert waits[1:] == sorted(waits[1:])
    assert max(waits) <= sweeper.LONGEST_WAIT.total_seconds()
    by_queue(real_house, lambda queue, _: sweeper.requeue_stalled(queue))
    assert states(real_house) == {poison: "failed"}


def test_a_dead_workers_job_comes_back_beside_a_backlog_that_stands_still(real_house: House) -> None:
    """Every slot of the default queue hangs at a provider, and hundreds wait: the sweep runs all the same."""
    control.fault(real_house.simulator, "whop", "slow", times=1000, seconds=4)
    for number in range(6):
        real_house.whop(PINNED, delivery=f"msg_{number}")
    backlog(real_house.db, 900, task="expire_checkout")
    with RunningWorker(real_house):
        lost = add(real_house, "lost", "doing")
        execute(
            real_house.db,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
            " VALUES ('safety', 'sweep', jsonb_build_object('timestamp', 0))",
        )
        wait_until(lambda: states(real_house).get(lost) != "doing")


class Flaky:
    """A connection that breaks a few times before it answers."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def execute_query_all_async(self, **_: Any) -> list[dict[str, Any]]:
        self.times -= 1
        if self.times >= 0:
            raise ConnectorException
        return [{}]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_app.jobs.manager.WAITS", (0, 0, 0))


@pytest.mark.parametrize(("times", "noted"), [(0, True), (3, True), (4, False)])
def test_the_end_of_a_job_is_noted_although_a_connection_breaks(impatient: None, times: int, noted: bool) -> None:
    job = Job(id=1, queue="default", lock=None, queueing_lock=None, task_name="x", worker_id=1)
    manager = HeldJobs(Flaky(times))  # type: ignore[arg-type]
    ending = manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
    if noted:
        run_apart(ending)
    else:
        with pytest.raises(ConnectorException):
            run_apart(ending)
