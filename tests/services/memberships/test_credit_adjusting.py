"""Credits that staff add, take and give early: by a plan, once, with what is used kept, and undone as far as true."""

from datetime import timedelta

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services.core import audit
from admin_app.services.memberships import credit_adjusting
from tests.services.factories import AUDITOR, NOON, SUPPORT, add_profile, add_user, profile_of
from tests.services.memberships import by_hand
from tests.services.memberships.by_hand import adjust, credits, give, refusal, refused_undo, tick, told, undo, use
from tests.services.memberships.test_credits import granted

DAY = timedelta(days=1)


@pytest.fixture
def db(db: Database) -> Database:
    """An account that pays by the month from noon on and used 300 of its credits."""
    add_profile(db, "user_a", email="buyer@example.com")
    told(db, NOON, period_start=NOON, period_end=NOON + 30 * DAY)
    use(db, 300)
    return db


def at(db: Database, day: float) -> None:
    moment = NOON + day * DAY
    db.clock = lambda: moment


def test_added_and_taken_and_back(db: Database) -> None:
    adjust(db, "add", 500)
    assert credits(db) == (1500, 300)
    adjust(db, "take", 1200)
    assert credits(db) == (300, 300)
    undo(db)
    assert credits(db) == (1500, 300)


def test_never_below_what_is_used(db: Database) -> None:
    with pytest.raises(InvalidInput) as refused:
        adjust(db, "take", 701)
    assert refused.value.fields == {"amount": "Take at most 700: no more are left."}
    use(db, 1000)
    with pytest.raises(InvalidInput) as refused:
        adjust(db, "take", 1)
    assert refused.value.fields == {"amount": "No credits are left to take."}
    assert credits(db) == (1000, 1000)


@pytest.mark.parametrize("amount", ["", "0", "-5", "1.5", "ten", "100001", "٣", "9" * 5000])
def test_an_amount_that_is_none_is_said_at_its_field(db: Database, amount: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        adjust(db, "add", amount)
    assert refused.value.fields == {"amount": "Write a whole number from 1 to 100,000."}


def test_an_added_credit_that_is_used_is_not_taken_back(db: Database) -> None:
    adjust(db, "add", 500)
    use(db, 1400)
    undo(db)
    assert credits(db) == (1400, 1400)


def test_what_was_added_before_a_renewal_lapsed_with_it(db: Database) -> None:
    adjust(db, "add", 500)
    tick(db, NOON + 28 * DAY)
    assert credits(db) == (1000, 0)
    assert refused_undo(db) == "The credits were renewed since: there is nothing left to undo."


def test_a_renewal_gives_all_again_although_some_were_taken(db: Database) -> None:
    adjust(db, "take", 700)
    tick(db, NOON + 28 * DAY)
    assert credits(db) == (1000, 0)


def test_an_account_without_a_profile_gets_one_with_its_credits(db: Database) -> None:
    add_user(db, "user_new", email="new@example.com")
    by_hand.step(db, credit_adjusting.plan, credit_adjusting.adjust, user_id="user_new", way="add", amount="50")
    assert credits(db, "user_new") == (50, 0)


LENGTHS = {"month": (30, [0, 28, 58]), "28 days": (28, [0, 28, 56]), "week": (7, [0, 28, 56])}


@pytest.mark.parametrize("event_first", [True, False], ids=["the event first", "the job first"])
@pytest.mark.parametrize("plan", LENGTHS)
def test_renewed_early_the_period_is_not_given_again(db: Database, plan: str, event_first: bool) -> None:
    length, days = LENGTHS[plan]
    interval = ("month", 1) if plan == "month" else ("day", length)
    told(db, NOON + timedelta(minutes=1), interval=interval, period_start=NOON, period_end=NOON + length * DAY)
    for day in range(1, 60):
        moment = NOON + day * DAY
        renews = day % length == 0
        if renews and event_first:
            told(db, moment, interval=interval, period_start=moment, period_end=moment + length * DAY)
        tick(db, moment)
        if renews and not event_first:
            told(db, moment, interval=interval, period_start=moment, period_end=moment + length * DAY)
        if day == 10:
            adjust(db, "renew")
            assert credits(db) == (1000, 0)
            assert granted(db) == [0, 28]
            use(db, 50)
        if day == 30:
            assert credits(db) == (1000, 50)
    assert granted(db) == days


def test_renewed_early_once_and_not_the_one_after(db: Database) -> None:
    at(db, 10)
    adjust(db, "renew")
    wish = {"user_id": "user_a", "way": "renew", "amount": ""}
    assert refusal(db, credit_adjusting.plan, **wish) == "The credits of the next period were given early already."
    with pytest.raises(Conflict):
        adjust(db, "renew")


def test_an_early_renewal_is_undone_until_its_period_begins(db: Database) -> None:
    at(db, 10)
    adjust(db, "renew")
    use(db, 40)
    undo(db)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (credits(db), profile.next_credit_renewal, granted(db)) == ((1000, 340), NOON + 28 * DAY, [0])
    adjust(db, "renew")
    at(db, 28)
    assert refused_undo(db) == "The period has begun: these credits are its own by now."
    tick(db, NOON + 28 * DAY)
    assert granted(db) == [0, 28]


def test_added_since_an_early_renewal_stays_when_that_is_undone(db: Database) -> None:
    at(db, 10)
    early = adjust(db, "renew")
    at(db, 11)
    adjust(db, "add", 200)
    undo(db, early)
    assert credits(db) == (1200, 300)


def test_a_renewal_beside_keeps_what_the_other_one_gave(db: Database) -> None:
    told(db, NOON + DAY, membership_id="mem_2")
    assert credits(db) == (1700, 0)
    at(db, 2)
    adjust(db, "renew")
    assert credits(db) == (2000, 0)


def test_a_new_cycle_in_the_middle_gives_nothing_within_28_days(db: Database) -> None:
    at(db, 10)
    adjust(db, "renew")
    told(db, NOON + 20 * DAY, period_start=NOON + 20 * DAY, period_end=NOON + 385 * DAY, interval=("year", 1))
    for day in range(20, 60):
        tick(db, NOON + day * DAY)
    assert granted(db) == [0, 28, 56]


def test_what_has_no_next_period_is_not_renewed_early(db: Database) -> None:
    wish = {"user_id": "user_a", "way": "renew", "amount": ""}
    at(db, 28)
    assert (
        refusal(db, credit_adjusting.plan, **wish) == "Its credits are due now: they come by themselves within minutes."
    )
    by_hand.ended(db, NOON + 28 * DAY)
    nothing = "The account holds no membership that gives credits. Add some instead."
    assert refusal(db, credit_adjusting.plan, **wish) == nothing
    give(db, NOON + 40 * DAY)
    assert refusal(db, credit_adjusting.plan, **wish) == (
        "The membership ends before its next period begins. Add credits instead."
    )


def test_two_tabs_and_a_renewal_between(db: Database) -> None:
    wish = {"user_id": "user_a", "way": "add", "amount": "500"}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = credit_adjusting.plan(ctx, **wish).fingerprint
    adjust(db, "add", 500)
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        credit_adjusting.adjust(ctx, **wish, reason="second tab", shown=shown)
    with db.unit_of_work(SUPPORT) as ctx:
        shown = credit_adjusting.plan(ctx, **wish).fingerprint
    tick(db, NOON + 28 * DAY)
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        credit_adjusting.adjust(ctx, **wish, reason="after the renewal", shown=shown)
    assert credits(db) == (1000, 0)


def test_who_may_and_what_the_audit_says(db: Database) -> None:
    with pytest.raises(Forbidden):
        adjust(db, "add", 5, actor=AUDITOR)
    with pytest.raises(InvalidInput):
        adjust(db, "add", 5, reason="")
    with pytest.raises(InvalidInput):
        adjust(db, "give", 5)
    adjust(db, "add", 5, reason="goodwill")
    adjust(db, "renew")
    undo(db)
    with db.read_only() as session:
        entries = audit.history(session, "profile:user_a")[:3]
    assert [(entry.event, entry.reason) for entry in entries] == [
        ("profile.adjustment_undone", "asked for"),
        ("profile.credits_renewed_early", "asked for"),
        ("profile.credits_added", "goodwill"),
    ]
    assert {change.label for change in entries[1].changes} == {"Credits", "Credits used", "Next credit renewal"}
