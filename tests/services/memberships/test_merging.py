"""A purchase is merged into an account that has memberships of its own: both are held, one counts, support decides."""

from datetime import timedelta

import pytest

from admin_app.db import Database
from admin_app.services import purchases
from admin_app.services.core.plans import Plan
from admin_app.services.purchases import claims, pending_profiles
from models import ExtraPurchase, ProviderMembership
from tests.services.factories import NOON, SUPPORT, WHOP, add_profile, buy, facts, profile_of


def staff_merges(db: Database, pending_id: int, **choices: str) -> Plan:
    """Merge into `user_a` with these choices, and hold the profile against the plan where nothing was chosen."""
    ids = {"pending_profile_id": pending_id, "user_id": "user_a"}
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, **ids)  # type: ignore[arg-type]
    with db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(ctx, **ids, reason="asked", shown=plan.fingerprint, choices=choices)  # type: ignore[arg-type]
    profile = profile_of(db, "user_a")
    planned = {line.field: line.after for line in plan.lines if line.record == "profile:user_a"}
    planned.pop("counts", None)
    if not choices:
        assert {name: getattr(profile, name) for name in planned} == planned
    return plan


def test_merging_a_purchase_that_has_ended_into_a_paying_account_takes_nothing_away(db: Database) -> None:
    paying = {"membership": "pro", "whop_membership_id": "mem_own", "usage_credits": 1000, "used_credits": 100}
    add_profile(db, "user_a", email="a@example.com", **paying)
    pending = buy(db)
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=NOON + timedelta(days=1)))
    plan = staff_merges(db, pending.id)
    assert "the account keeps the pro access that it has" in plan.consequences[0]
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.status, profile.whop_membership_id) == ("pro", "active", "mem_own")
    assert (profile.usage_credits, profile.used_credits) == (1000, 100)


@pytest.mark.parametrize(
    ("side", "counts", "beside"), [("profile", "mem_own", "mem_1"), ("purchase", "mem_1", "mem_own")]
)
def test_whichever_membership_support_picks_the_other_is_held_and_on_the_list(
    db: Database, side: str, counts: str, beside: str
) -> None:
    paying = {"membership": "pro", "whop_membership_id": "mem_own", "billing_cycle_end": NOON + timedelta(days=10)}
    add_profile(db, "user_a", email="a@example.com", usage_credits=500, **paying)
    staff_merges(db, buy(db).id, counts=side)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.whop_membership_id, profile.membership) == (counts, "pro")
    assert profile.billing_cycle_end == NOON + timedelta(days=10 if side == "profile" else 30)
    assert (profile.usage_credits, profile.used_credits) == (1500, 0)
    with db.read_only() as session:
        assert [one.replaced_membership_id for one in session.query(ExtraPurchase)] == [beside]
        held = session.query(ProviderMembership).filter_by(profile_user_id="user_a")
        assert {one.external_id for one in held} == {"mem_own", "mem_1"}
    # the one that does not count ends: nothing of the account changes, and nothing is left to decide
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(membership_id=beside, occurred_at=NOON + timedelta(days=1)))
    with db.read_only() as session:
        assert [one.resolution for one in session.query(ExtraPurchase)] == ["the provider ended it"]
    after = profile_of(db, "user_a")
    assert after is not None
    assert (after.whop_membership_id, after.membership, after.version) == (counts, "pro", profile.version)


def test_a_decision_on_an_extra_purchase_stands_while_it_is_true_and_is_asked_again_when_not(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    for number in (1, 2):
        with db.unit_of_work(WHOP) as ctx:
            purchases.record(ctx, facts(membership_id=f"mem_{number}", occurred_at=NOON + timedelta(hours=number)))

    def open_ones() -> list[str | None]:
        with db.read_only() as session:
            found = session.query(ExtraPurchase).filter(ExtraPurchase.resolved_at.is_(None))
            return sorted(one.replaced_membership_id or "" for one in found)

    assert open_ones() == ["mem_1"]
    with db.unit_of_work(SUPPORT) as ctx:
        (extra,) = ctx.session.query(ExtraPurchase)
        pending_profiles.settle_extra(ctx, extra_id=extra.id, resolution="both wanted", reason="asked")
    for days, number in ((30, 1), (31, 2)):  # renewals: now the one counts, now the other
        with db.unit_of_work(WHOP) as ctx:
            purchases.record(ctx, facts(membership_id=f"mem_{number}", occurred_at=NOON + timedelta(days=days)))
        assert open_ones() == []
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(membership_id="mem_3", occurred_at=NOON + timedelta(days=32)))
    assert open_ones() == ["mem_1", "mem_2"]
