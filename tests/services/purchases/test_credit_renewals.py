"""New credits every 28 days, once per period, whoever is at it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services.core import audit
from admin_app.services.purchases import credit_renewals
from models import CreditPeriod, Membership, MembershipStatus, Profile
from tests.services.client_rows import DAY, NOW
from tests.services.factories import add_profile, profile_of

PERIOD = timedelta(days=28)


def member(db: Database, user_id: str = "user_1", **values: object) -> Profile:
    defaults: dict[str, object] = {"membership": Membership.PRO, "usage_credits": 1000, "used_credits": 700}
    return add_profile(db, user_id, **(defaults | {"next_credit_renewal": NOW} | values))


def renew(db: Database, at: datetime = NOW) -> int:
    db.clock = lambda: at
    return renew_some(db, 10)


def renew_some(db: Database, limit: int) -> int:
    with db.read_only() as session:
        due = credit_renewals.due(session, db.clock(), limit=limit)
    done = 0
    for user_id in due:
        with db.unit_of_work(Job("renew_credits")) as ctx:
            done += credit_renewals.renew(ctx, user_id=user_id)
    return done


def renewals(db: Database) -> list[tuple[datetime, int]]:
    with db.read_only() as session:
        rows = session.scalars(select(CreditPeriod).order_by(CreditPeriod.starts_at)).all()
        return [(row.starts_at, row.used_before) for row in rows]


def test_one_period(db: Database) -> None:
    member(db)
    assert renew(db, NOW - timedelta(seconds=1)) == 0
    assert renew(db) == 1
    profile = profile_of(db, "user_1")
    assert profile is not None
    assert (profile.usage_credits, profile.used_credits) == (1000, 0)
    assert profile.next_credit_renewal == NOW + PERIOD
    assert renew(db) == 0
    assert renewals(db) == [(NOW, 700)]
    with db.read_only() as session:
        (entry,) = audit.history(session, "profile:user_1")
    assert entry.sentence == "Backdesk renewed the credits of user_1: 1,000"


def test_missed_periods_are_caught_up_with(db: Database) -> None:
    member(db, next_credit_renewal=NOW - 2 * PERIOD - DAY)
    assert renew(db) == 1
    assert renewals(db) == [(NOW - 2 * PERIOD - DAY, 700), (NOW - PERIOD - DAY, 0), (NOW - DAY, 0)]
    profile = profile_of(db, "user_1")
    assert profile is not None
    assert profile.next_credit_renewal == NOW + PERIOD - DAY


@pytest.mark.parametrize(
    ("values", "is_renewed"),
    [
        ({"membership": Membership.FREE}, False),
        ({"status": MembershipStatus.INACTIVE}, False),
        ({"next_credit_renewal": None}, False),
        ({"billing_cycle_end": NOW - DAY}, False),
        ({"billing_cycle_end": NOW}, False),  # what begins then is not paid yet
        ({"billing_cycle_end": NOW + 300 * DAY}, True),
        ({"billing_cycle_end": None}, True),
    ],
)
def test_who_is_renewed(db: Database, values: dict[str, object], is_renewed: bool) -> None:
    member(db, **values)
    assert renew(db) == int(is_renewed)


def test_a_period_that_had_its_credits_has_no_others(db: Database) -> None:
    """Also when somebody sets the next renewal back."""
    member(db)
    renew(db)
    with db.unit_of_work(Job("test")) as ctx:
        profile = ctx.session.get_one(Profile, "user_1")
        profile.next_credit_renewal, profile.used_credits = NOW, 300
    assert renew(db) == 1
    profile = profile_of(db, "user_1")
    assert profile is not None
    assert (profile.used_credits, profile.next_credit_renewal) == (300, NOW + PERIOD)


def test_a_day_is_24_hours_whatever_the_clocks_do(db: Database) -> None:
    before_summer = datetime(2026, 3, 15, 12, tzinfo=UTC)
    member(db, next_credit_renewal=before_summer)
    assert renew(db, before_summer + PERIOD) == 1
    assert [at for at, _ in renewals(db)] == [before_summer, datetime(2026, 4, 12, 12, tzinfo=UTC)]


def test_once_per_period_under_eight_workers(real_db: Database) -> None:
    members = 24
    for number in range(members):
        member(real_db, f"user_{number}", next_credit_renewal=NOW - PERIOD)
    real_db.clock = lambda: NOW
    together = Barrier(8)

    def work() -> int:
        renewed = 0
        together.wait()
        for _ in range(12):
            renewed += renew_some(real_db, 5)
        return renewed

    with ThreadPoolExecutor(8) as crowd:
        done = [crowd.submit(work) for _ in range(8)]
    assert sum(one.result() for one in done) == members
    with real_db.read_only() as session:
        per_member = select(func.count()).select_from(CreditPeriod).group_by(CreditPeriod.user_id)
        assert session.scalars(per_member).all() == [2] * members
        assert session.scalars(select(Profile.version)).all() == [2] * members
