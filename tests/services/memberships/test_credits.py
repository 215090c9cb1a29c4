"""Credits: once for each 28 days that are paid, in whatever order events, job and outages come."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from admin_app.context import Job
from admin_app.db import Database
from admin_app.integrations.ports import Interval
from admin_app.services import purchases
from admin_app.services.purchases import claims, credit_renewals
from models import CreditPeriod, Membership, Profile
from tests.services.factories import NOON, WHOP, add_profile, buy, customer, facts, profile_of

DAY = timedelta(days=1)
Until = Callable[[datetime], datetime]


def told(db: Database, at: datetime, **values: object) -> None:
    db.clock = lambda: at
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=at, **values))


def ended(db: Database, at: datetime, membership_id: str = "mem_1") -> None:
    db.clock = lambda: at
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=at, membership_id=membership_id))


def job(db: Database, at: datetime) -> None:
    db.clock = lambda: at
    with db.read_only() as session:
        due = credit_renewals.due(session, at, limit=10)
    for user_id in due:
        with db.unit_of_work(Job("renew_credits")) as ctx:
            credit_renewals.renew(ctx, user_id=user_id)


def use(db: Database, used: int) -> None:
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(Profile, "user_a").used_credits = used


def granted(db: Database) -> list[int]:
    """The days on which a period began whose credits were granted."""
    with db.read_only() as session:
        periods = session.query(CreditPeriod).filter(CreditPeriod.credits > 0).order_by(CreditPeriod.starts_at)
        return [(period.starts_at - NOON).days for period in periods]


def left(db: Database) -> tuple[int, int]:
    profile = profile_of(db, "user_a")
    assert profile is not None
    return profile.usage_credits, profile.used_credits


# A cycle's length, and the days on which the periods of half a year begin.
PLANS = {
    "28 days": (("day", 28), [28 * n for n in range(7)]),
    "weekly": (("day", 7), [28 * n for n in range(7)]),
    "monthly": (("month", 1), [0, 28, 58, 88, 118, 148, 178]),
    "yearly": (("year", 1), [28 * n for n in range(7)]),
}


@pytest.mark.parametrize("away", [0, 4], ids=["the worker is there", "the worker is away for four days each time"])
@pytest.mark.parametrize("event_first", [True, False], ids=["the event first", "the job first"])
@pytest.mark.parametrize("plan", PLANS)
def test_each_paid_period_has_its_credits_once(db: Database, plan: str, event_first: bool, away: int) -> None:
    interval, days = PLANS[plan]
    add_profile(db, "user_a", email="buyer@example.com")
    length = {"day": interval[1], "month": 30, "year": 365}[str(interval[0])]
    for day in range(182):
        at = NOON + day * DAY
        steps: list[Callable[[], None]] = []
        if day % length == 0:
            end = at + length * DAY
            steps.append(lambda at=at, end=end: told(db, at, interval=interval, period_start=at, period_end=end))  # type: ignore[misc]
        if not away or day % away == 3:
            steps.append(lambda at=at: job(db, at))  # type: ignore[misc]
        for step in steps if event_first else reversed(steps):
            step()
    job(db, NOON + 182 * DAY)
    assert granted(db) == days


def test_what_was_earned_before_the_end_of_the_paid_time_is_not_lost_by_an_outage(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    told(db, NOON, period_start=NOON, period_end=NOON + 30 * DAY)
    use(db, 800)
    job(db, NOON + 32 * DAY)  # the cycle is over, nobody has told of the next one yet
    assert (granted(db), left(db)) == ([0, 28], (1000, 0))


def test_a_membership_that_ends_and_comes_back_within_its_period_gets_nothing_fresh(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    told(db, NOON)
    use(db, 700)
    for round_ in range(3):
        ended(db, NOON + (2 + 4 * round_) * DAY)
        told(db, NOON + (4 + 4 * round_) * DAY)
    assert (granted(db), left(db)) == ([0], (1000, 700))
    job(db, NOON + 28 * DAY)
    assert (granted(db), left(db)) == ([0, 28], (1000, 0))


def test_a_second_membership_gives_once_more_and_keeps_what_is_left(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    told(db, NOON)
    use(db, 300)
    told(db, NOON + DAY, membership_id="mem_2")
    assert left(db) == (1700, 0)
    use(db, 200)
    job(db, NOON + 28 * DAY)  # the first one's next period: of the other's credits no more than were given are kept
    assert left(db) == (2000, 0)
    ended(db, NOON + 29 * DAY - timedelta(hours=1), "mem_2")
    use(db, 1500)
    job(db, NOON + 29 * DAY)
    assert left(db) == (2000, 1500)


def test_a_purchase_refunded_before_the_buyer_signs_in_brings_none_until_it_is_paid_again(db: Database) -> None:
    buy(db)
    ended(db, NOON + DAY)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        profile = claims.sign_in(ctx).profile
        assert (profile.membership, profile.usage_credits, profile.used_credits) == (Membership.FREE, 0, 0)
    assert granted(db) == []
    told(db, NOON + 3 * DAY)
    assert left(db) == (1000, 0)


def test_a_lifetime_goes_on_giving_each_28_days(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    told(db, NOON, plan_duration=None, rhythm="lifetime")
    job(db, NOON + 100 * DAY)
    assert granted(db) == [0, 28, 56, 84]


def test_the_same_news_twice_and_late_give_nothing_twice(db: Database) -> None:
    interval: Interval = ("month", 1)
    add_profile(db, "user_a", email="buyer@example.com")
    news = [
        {"interval": interval, "period_start": NOON + n * 30 * DAY, "period_end": NOON + (n + 1) * 30 * DAY}
        for n in range(3)
    ]
    for n in (0, 1, 2, 1, 0, 2):
        told(db, NOON + n * 30 * DAY, **news[n])
    db.clock = lambda: NOON + 60 * DAY
    job(db, NOON + 60 * DAY)
    assert granted(db) == [0, 28, 58]
