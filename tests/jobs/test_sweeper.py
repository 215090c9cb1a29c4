"""What a crash left lying is put back."""

from datetime import timedelta

import pytest
from procrastinate.jobs import Job as QueuedJob
from sqlalchemy import select, text

from admin_app.errors import ProviderUnavailable
from admin_app.jobs import sweeper
from admin_app.jobs.retry import TRIES, BackOff, TaskFailed, code_of, failing_by_code
from models import EventState, WebhookEvent
from tests.house import House
from tests.integrations.signing import events
from tests.services.factories import OPERATOR

RAW = events("whop")[1].read_bytes()


def age_everything(house: House, by: timedelta) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("UPDATE webhook_events SET received_at = received_at - :by"), {"by": by})


def forget_jobs(house: House) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))


def test_an_event_without_a_job_gets_one(house: House) -> None:
    house.whop(RAW)
    forget_jobs(house)
    assert sweeper.requeue_events(house.bench) == 0, "it may be on its way"
    age_everything(house, timedelta(minutes=3))
    assert sweeper.requeue_events(house.bench) == 1
    assert sweeper.requeue_events(house.bench) == 0, "it has its job now"
    house.work(last_try=True)
    assert house.rows(select(WebhookEvent))[0].state is not EventState.RECEIVED


def test_an_event_with_its_job_is_left_alone(house: House) -> None:
    house.whop(RAW)
    age_everything(house, timedelta(hours=1))
    assert sweeper.requeue_events(house.bench) == 0


def queued(attempts: int) -> QueuedJob:
    return QueuedJob(id=1, queue="default", lock=None, queueing_lock=None, task_name="x", attempts=attempts)


def test_ten_tries_with_doubling_waits() -> None:
    back_off = BackOff(5)
    decisions = [back_off.get_retry_decision(exception=ValueError(), job=queued(n)) for n in range(TRIES + 1)]
    assert [decision is not None for decision in decisions] == [True] * (TRIES - 1) + [False, False]
    times = [decision.retry_at for decision in decisions if decision and decision.retry_at]
    waits = [(later - times[0]).total_seconds() for later in times]
    assert waits == pytest.approx([5 * 2**n - 5 for n in range(TRIES - 1)], abs=1)


def test_what_escapes_a_task_is_a_code() -> None:
    @failing_by_code
    def breaks() -> None:
        raise ValueError("secret@example.com is in this text")

    with pytest.raises(TaskFailed) as caught:
        breaks()
    assert str(caught.value) == "ValueError"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert code_of(ProviderUnavailable("whop")) == "provider_unavailable"
