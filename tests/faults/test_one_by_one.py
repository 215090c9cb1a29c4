"""What is due for many is done for each alone: one bad row blocks no other, and no run holds a slot for long."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from psycopg import OperationalError
from sqlalchemy import select, text

from admin_app.integrations import job_queue
from admin_app.integrations.job_order import SLOTS, place_of
from admin_app.jobs import billing, calendars, checkouts, mails, memberships, purchases
from admin_app.jobs.one_by_one import each_step, until_none_is_due
from models import Booking, BookingStatus, MailState, Meeting, PendingProfile, Profile, SentEmail
from tests.faults.queued import add, states
from tests.house import House
from tests.jobs.running import RunningWorker, wait_until
from tests.services.diary import Clock, held, meeting, offered, tomorrow
from tests.services.factories import OPERATOR, add_user, buy
from tests.services.memberships.by_hand import give
from tests.services.purchases.test_credit_renewals import member


@pytest.fixture
def clock(house: House) -> Clock:
    return Clock(house.db)


def execute(house: House, statement: str) -> None:
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text(statement))


def refuse(house: House, table: str, row: str) -> None:
    """From now on the database refuses every change of this row."""
    execute(
        house,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
        f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW WHEN (old.{row}) EXECUTE PROCEDURE refuse()",
    )


def test_a_member_who_cannot_be_renewed_keeps_nobody_from_credits(house: House, clock: Clock) -> None:
    for number in range(4):
        member(house.db, f"user_{number}", next_credit_renewal=clock.now - timedelta(minutes=10 - number))
    refuse(house, "profiles", "user_id = 'user_0'")
    assert billing.renew_credits(house.bench, limit=1) == 3
    assert house.rows(select(Profile.used_credits).order_by(Profile.user_id)) == [700, 0, 0, 0]


def test_a_given_membership_that_cannot_end_keeps_no_other_from_ending(house: House, clock: Clock) -> None:
    for number in range(4):
        add_user(house.db, f"user_{number}", email=f"given{number}@example.com")
        give(house.db, clock.now + timedelta(hours=number + 1), f"user_{number}")
    clock.forward(hours=5)
    refuse(house, "memberships", "profile_user_id = 'user_0'")
    assert memberships.end_due(house.bench, limit=1) == 3
    assert memberships.end_due(house.bench, limit=1) == 0
    left = select(Profile.membership).order_by(Profile.user_id)
    assert house.rows(left) == ["pro", "free", "free", "free"]


def test_an_appointment_that_cannot_be_reminded_of_keeps_no_other_from_it(house: House, clock: Clock) -> None:
    kind = offered(house.db, price=0)
    for hours in (48, 50, 52):
        held(house.db, kind, clock.now + timedelta(hours=hours))
    meeting(house.db, kind, clock.now + timedelta(hours=54))
    clock.forward(hours=31)
    execute(house, "UPDATE bookings SET reminded_at = NULL")
    refuse(house, "bookings", f"id = {min(house.rows(select(Booking.id)))}")
    assert mails.send_reminders(house.bench, limit=1) == 3


def test_a_purchase_that_cannot_be_looked_at_keeps_no_other_from_it(house: House) -> None:
    for number in range(3):
        buy(house.db, f"buyer{number}@example.com", membership_id=f"mem_{number}", whop_user_id=None)
    execute(house, "UPDATE pending_profiles SET owners_checked_at = NULL")
    refuse(house, "pending_profiles", "email = 'buyer0@example.com'")
    assert purchases.refresh_owners(house.bench, limit=1) == 2
    unseen = select(PendingProfile.email).where(PendingProfile.owners_checked_at.is_(None))
    assert house.rows(unseen) == ["buyer0@example.com"]


def test_a_hold_that_cannot_end_keeps_no_other_from_ending(house: House, clock: Clock) -> None:
    kind = offered(house.db, price=0)
    over = {"status": "pending", "hold_expires_at": clock.now, "price_amount": 0}
    for days in (1, 2, 3):
        meeting(house.db, kind, tomorrow(clock.now, days=days), **over)
    first = min(house.rows(select(Meeting.id)))
    clock.forward(minutes=1)
    refuse(house, "meetings", f"id = {first}")
    assert checkouts.expire_holds(house.bench, limit=1) == 2
    states_now = house.rows(select(Meeting.status).order_by(Meeting.id))
    assert states_now == [BookingStatus.PENDING, BookingStatus.CANCELED, BookingStatus.CANCELED]


def test_a_step_that_fails_keeps_no_other_step_from_running(house: House, clock: Clock) -> None:
    for state in (MailState.SENDING, MailState.QUEUED):
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.add(
                SentEmail(
                    template="confirmation",
                    to_email="a@example.com",
                    subject="s",
                    text_body="t",
                    html_body="h",
                    state=state,
                    created_at=clock.now,
                    handed_over_at=clock.now,
                )
            )
    clock.forward(hours=1)
    refuse(house, "sent_emails", "state = 'sending'")
    with pytest.raises(Exception, match="not this one"):
        mails.settle(house.bench)
    assert house.rows(select(SentEmail.state).order_by(SentEmail.id)) == [MailState.SENDING, MailState.SUPERSEDED]


def fail() -> int:
    raise ValueError("first")


@pytest.mark.parametrize("order", [0, 1])
def test_each_step_runs_and_the_first_failure_is_told(order: int) -> None:
    ran: list[str] = []

    def works() -> int:
        ran.append("works")
        return 1

    with pytest.raises(ValueError, match="first"):
        each_step("settle", *[(fail, works), (works, fail)][order])
    assert ran == ["works"]
    assert each_step("settle", works, works) == [1, 1]


@pytest.mark.parametrize("settle", [checkouts.settle_calls, calendars.settle_calendars])
def test_what_is_settled_has_two_steps_which_both_run(
    house: House, monkeypatch: pytest.MonkeyPatch, settle: Callable[..., int]
) -> None:
    seen: list[str] = []
    for module, first, second in (
        ("checkouts", "checkout.queue_unanswered", "provider_calls.note_stuck"),
        ("calendars", "calendar_calls.queue_unsettled", "calendar_calls.end_past"),
    ):
        monkeypatch.setattr(f"admin_app.jobs.{module}.{first}", lambda *_, **__: fail())
        monkeypatch.setattr(f"admin_app.jobs.{module}.{second}", lambda *_, **__: seen.append("second") or 0)
    with pytest.raises(ValueError, match="first"):
        settle(house.bench)
    assert seen == ["second"]


# -- a run and its time --------------------------------------------------------------------------------------------


def test_a_run_leaves_to_the_next_tick_what_it_has_no_time_for() -> None:
    waiting = list(range(100))

    def do(row: int) -> None:
        waiting.remove(row)

    assert until_none_is_due("x", lambda limit: waiting[:limit], do, limit=10, seconds=0) == 1
    assert until_none_is_due("x", lambda limit: waiting[:limit], do, limit=10) == 99


def test_rows_that_fail_are_tried_once_in_a_run_and_what_is_not_there_is_not_counted() -> None:
    tried: list[int] = []

    def do(row: int) -> bool:
        tried.append(row)
        if row < 5:
            raise ValueError
        return row % 2 == 0

    assert until_none_is_due("x", lambda limit: range(20)[:limit], do, limit=2) == 7
    assert tried == list(range(20))


def test_a_database_that_is_away_ends_the_run() -> None:
    tried: list[int] = []

    def do(row: int) -> None:
        tried.append(row)
        raise OperationalError

    with pytest.raises(OperationalError):
        until_none_is_due("x", lambda limit: range(20)[:limit], do, limit=2)
    assert tried == [0]


# Each of these may be due for a hundred thousand at one moment, and comes each minute: one run meets the next.
LONG_RUNS = {"follow_switches": "client_flags.follow_all", "refresh_billing_due": "billing.refresh_due"}


@pytest.mark.parametrize("task", LONG_RUNS)
def test_a_dead_workers_job_comes_back_beside_thousands_that_are_due(
    real_house: House, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def run(_bench: object) -> None:
        begun.release()
        assert go_on.wait(120)

    monkeypatch.setattr(f"admin_app.jobs.{LONG_RUNS[task]}", run)
    try:
        with RunningWorker(real_house):
            for number in range(3):
                with real_house.db.unit_of_work(OPERATOR) as ctx:
                    job_queue.defer(ctx.session, task, timestamp=number)
            for _ in range(min(3, SLOTS[place_of(task).queue])):
                assert begun.acquire(timeout=60)
            lost = add(real_house, "lost", "doing")
            with real_house.db.unit_of_work(OPERATOR) as ctx:
                job_queue.defer(ctx.session, "sweep", timestamp=0)
            wait_until(lambda: states(real_house).get(lost) != "doing", 60)
            assert not go_on.is_set()
            go_on.set()
    finally:
        go_on.set()
