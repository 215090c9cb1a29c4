"""What staff give and take by hand while others are at the same account: once each, and nobody waits crosswise."""

from collections import Counter
from datetime import timedelta

import pytest

from admin_app.db import Database
from admin_app.services import purchases
from admin_app.services.memberships import complimentary, credit_adjusting
from models import Adjustment
from tests.services.factories import NOON, SUPPORT, add_profile, add_user, buy, profile_of
from tests.services.memberships.by_hand import credits, give, is_pro, nothing_broken, tick, told, within
from tests.services.memberships.test_credits import granted
from tests.services.purchases.test_claim_races import at_once, planned, signing_in, telling

DAY = timedelta(days=1)
CREDITS = (credit_adjusting.plan, credit_adjusting.adjust)
GIVEN = (complimentary.plan_give, complimentary.give)


@pytest.fixture
def db(real_db: Database) -> Database:
    real_db.clock = lambda: NOON
    add_profile(real_db, "user_a", email="buyer@example.com")
    return real_db


def test_eight_who_saw_the_same_plan_add_once(db: Database) -> None:
    wish = {"user_id": "user_a", "way": "add", "amount": "500"}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = credit_adjusting.plan(ctx, **wish).fingerprint

    def click() -> str:
        with db.unit_of_work(SUPPORT) as ctx:
            credit_adjusting.adjust(ctx, **wish, reason="race", shown=shown)
        return "added"

    assert at_once([click] * 8) == {"added": 1, "plan_moved": 7}
    assert credits(db) == (500, 0)


def test_renewed_early_beside_the_job_and_a_renewal_is_given_once(db: Database) -> None:
    told(db, NOON, period_start=NOON, period_end=NOON + 28 * DAY, interval=("day", 28))
    db.clock = lambda: NOON + 28 * DAY - timedelta(minutes=1)
    early = [lambda: planned(db, SUPPORT, *CREDITS, user_id="user_a", way="renew", amount="")] * 4
    start = NOON + 28 * DAY
    renewal = telling(db, occurred_at=start, period_start=start, period_end=start + 28 * DAY, interval=("day", 28))
    outcomes = at_once([*early, renewal, renewal])
    assert outcomes["adjust"] <= 1
    tick(db, start + timedelta(minutes=1))
    assert granted(db) == [0, 28]
    assert credits(db) == (1000, 0)
    nothing_broken(db)


def test_given_while_the_person_signs_in_and_the_purchase_is_told(db: Database) -> None:
    for number in range(4):
        add_user(db, f"user_{number}", email=f"buyer{number}@example.com")
        buy(db, f"buyer{number}@example.com", membership_id=f"mem_{number}", whop_user_id=None)
    calls = []
    for number in range(4):
        email = f"buyer{number}@example.com"
        calls += [
            lambda number=number: planned(db, SUPPORT, *GIVEN, user_id=f"user_{number}", until=NOON + DAY),  # type: ignore[misc]
            signing_in(db, f"user_{number}", email),
            telling(db, email=email, membership_id=f"mem_{number}", whop_user_id=None, occurred_at=NOON + DAY / 2),
        ]
    outcomes = at_once(calls)
    assert set(outcomes) <= {"give", "plan_moved", "created", "merged", "done", "already_claimed"}
    nothing_broken(db)
    for number in range(4):
        profile = profile_of(db, f"user_{number}")
        assert profile is not None
        assert (profile.whop_membership_id, profile.usage_credits) == (f"mem_{number}", 1000)


def test_its_end_by_the_job_four_times_at_once_is_one(db: Database) -> None:
    number = give(db, NOON + DAY)
    db.clock = lambda: NOON + 2 * DAY

    def end() -> str:
        return str(within(db, lambda ctx: complimentary.end_due(ctx, membership_id=number)))

    bought = telling(db, verb=purchases.record, occurred_at=NOON + 2 * DAY)
    assert at_once([end] * 4 + [bought]) == Counter({"True": 1, "False": 3, "done": 1})
    nothing_broken(db)
    assert is_pro(db)
    with db.read_only() as session:
        assert session.query(Adjustment).count() == 1
