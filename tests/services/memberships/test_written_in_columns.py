"""What the earlier system, or a process of before, wrote in the columns alone, after the rows were there."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services import invariants, memberships, purchases
from admin_app.services.memberships.rows import by_id
from admin_app.services.purchases import claims, credit_renewals, legacy
from models import Membership, MembershipStatus, PaymentProvider, PendingProfile, Profile
from tests.services.factories import NOON, OPERATOR, WHOP, add_profile, buy, customer, facts, profile_of

LINKED = ("payment_provider", "whop_user_id", "whop_membership_id", "plan_duration", "billing_cycle_start",
          "billing_cycle_end", "next_credit_renewal", "usage_credits", "used_credits", "provider_event_at")  # fmt: skip


def claimed_in_columns(db: Database, user_id: str = "user_a") -> None:
    """As a process of before does, which knows no rows."""
    pending = buy(db)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(PendingProfile, pending.id)
        values = {name: getattr(row, name) for name in LINKED}
        ctx.session.add(Profile(user_id=user_id, email=row.email, membership=Membership.PRO, **values))
        row.claimed, row.claimed_by_user_id, row.claimed_at = True, user_id, ctx.now


def renewed(db: Database, days: int, *user_ids: str) -> None:
    db.clock = lambda: NOON + timedelta(days=days)
    with db.read_only() as session:
        due = credit_renewals.due(session, db.clock(), limit=10)
    assert set(user_ids) <= set(due)
    for user_id in due:
        with db.unit_of_work(Job("renew_credits")) as ctx:
            credit_renewals.renew(ctx, user_id=user_id)


def holder_of(db: Database, membership_id: str) -> tuple[str | None, int | None]:
    with db.read_only() as session:
        row = by_id(session, PaymentProvider.WHOP, membership_id)
        assert row is not None
        return row.profile_user_id, row.pending_profile_id


def names_of_what_is_broken(db: Database) -> set[str]:
    with db.read_only() as session:
        return {one.invariant.name for one in invariants.broken(session, now=db.clock(), patience=timedelta())}


def test_its_credits_come_and_nothing_is_taken_away(db: Database) -> None:
    claimed_in_columns(db)
    assert "no-membership-with-claimed-purchase" in names_of_what_is_broken(db)
    renewed(db, 28, "user_a")
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.usage_credits, profile.used_credits) == (Membership.PRO, 1000, 0)
    assert holder_of(db, "mem_1") == ("user_a", None)
    assert "no-membership-with-claimed-purchase" not in names_of_what_is_broken(db)


def test_its_end_and_its_renewal_are_the_accounts(db: Database) -> None:
    claimed_in_columns(db)
    later = NOON + timedelta(days=30)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=later, period_start=later, period_end=later + timedelta(days=30)))
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.billing_cycle_end == later + timedelta(days=30)
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=later + timedelta(days=1)))
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.membership is Membership.FREE


def member(db: Database) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.sign_in(ctx)


def write(db: Database, **values: Any) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Profile).where(Profile.user_id == "user_a").values(**values))


def credits_of(db: Database) -> tuple[int, int]:
    profile = profile_of(db, "user_a")
    assert profile is not None
    return profile.usage_credits, profile.used_credits


def test_credits_that_were_granted_there_are_not_granted_again(db: Database) -> None:
    member(db)
    write(db, next_credit_renewal=NOON + timedelta(days=56), billing_cycle_end=NOON + timedelta(days=60))
    write(db, used_credits=600)
    renewed(db, 29)
    assert credits_of(db) == (1000, 600)
    renewed(db, 56, "user_a")
    assert credits_of(db) == (1000, 0)


def test_credits_that_are_due_there_come_once(db: Database) -> None:
    member(db)
    write(db, next_credit_renewal=NOON + timedelta(days=1), used_credits=600)
    renewed(db, 2, "user_a")
    assert credits_of(db) == (1000, 0)
    write(db, used_credits=10)
    renewed(db, 3)
    assert credits_of(db) == (1000, 10)


def test_an_end_that_was_noted_there_stands_against_older_news(db: Database) -> None:
    member(db)
    at = NOON + timedelta(days=2)
    write(db, membership=Membership.FREE, status=MembershipStatus.INACTIVE, provider_event_at=at)
    with db.unit_of_work(WHOP) as ctx:
        assert purchases.record(ctx, facts(occurred_at=NOON + timedelta(days=1))) is not purchases.Applied.DONE
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.membership is Membership.FREE
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=NOON + timedelta(days=3)))
    assert names_of_what_is_broken(db) == set()


def test_another_purchase_of_theirs_leaves_what_was_written_there(db: Database) -> None:
    member(db)
    write(db, billing_cycle_end=NOON + timedelta(days=400))
    buy(db, membership_id="mem_2")
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.whop_membership_id, profile.billing_cycle_end) == ("mem_1", NOON + timedelta(days=400))
    assert names_of_what_is_broken(db) == set()


def test_two_accounts_that_name_one_membership_keep_what_they_have_and_a_rule_says_so(db: Database) -> None:
    due = {"next_credit_renewal": NOON, "billing_cycle_end": NOON + timedelta(days=9), "whop_membership_id": "mem_1"}
    add_profile(db, "user_a", email="a@example.com", membership="pro", **due)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(
            Profile(user_id="user_b", email="b@example.com", membership=Membership.PRO, updated_at=NOON, **due)
        )
    renewed(db, 1, "user_a", "user_b")
    second = profile_of(db, "user_b")
    assert second is not None
    assert second.membership is Membership.PRO
    assert "member-has-membership" in names_of_what_is_broken(db)


def test_a_legacy_row_whose_credits_are_due_is_still_its_buyers(db: Database) -> None:
    paid = {"whop_membership_id": "mem_old", "usage_credits": 400, "next_credit_renewal": NOON}
    add_profile(db, "temp_1", email="old@example.com", membership="pro", **paid)
    with db.read_only() as session:
        assert credit_renewals.due(session, NOON + timedelta(days=1), limit=10) == []
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        profile = claims.sign_in(ctx).profile
        assert (profile.membership, profile.usage_credits) == (Membership.PRO, 400)
    assert holder_of(db, "mem_old") == ("user_a", None)


def test_a_legacy_row_that_became_a_membership_is_moved_with_it(db: Database) -> None:
    add_profile(db, "temp_1", email="old@example.com", membership="pro", whop_membership_id="mem_old")
    with db.unit_of_work(OPERATOR) as ctx:
        memberships.of(ctx, ctx.session.get_one(Profile, "temp_1"))
    with db.unit_of_work(OPERATOR) as ctx:
        assert legacy.move(ctx) == 1
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        assert claims.sign_in(ctx).profile.membership is Membership.PRO
    assert holder_of(db, "mem_old") == ("user_a", None)


def test_rows_that_nobody_can_take_do_not_hold_up_the_others(db: Database) -> None:
    pending = buy(db, "gone@example.com", membership_id="mem_gone")
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(PendingProfile, pending.id)
        row.claimed, row.claimed_by_user_id, row.claimed_at = True, "user_gone", ctx.now
    add_profile(db, "temp_1", email="gone@example.com", whop_membership_id="mem_1", updated_at=NOON)
    add_profile(db, "temp_2", email="late@example.com", whop_membership_id="mem_2", updated_at=NOON - timedelta(days=9))
    with db.unit_of_work(OPERATOR) as ctx:
        assert legacy.move(ctx, limit=1) == 1
    assert profile_of(db, "temp_2") is None
