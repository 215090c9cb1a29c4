"""After an outage: what no event brought is brought in, once, and nothing else is touched."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.integrations.ports import WhopMembership
from admin_app.services.purchases import pending_profiles, reconcile
from admin_app.services.purchases.reconcile import Outcome
from models import EventState, Membership, PendingProfile, Profile, ProviderMembership, WebhookEvent
from tests.services.deliveries import work
from tests.services.factories import NOON, OPERATOR, SUPPORT, add_profile, buy, facts, pending_of, profile_of, waiting

END = NOON + timedelta(days=30)
LISTED = WhopMembership(
    id="mem_1",
    user_id="user_whop1",
    member_id=None,
    email="buyer@example.com",
    name="Bea",
    status="active",
    plan_duration="monthly",
    period_start=NOON,
    period_end=END,
    cancel_at_period_end=False,
    created_at=NOON,
    updated_at=NOON,
)


def bring(db: Database, membership: WhopMembership = LISTED) -> Outcome:
    with db.unit_of_work(OPERATOR) as ctx:
        return reconcile.bring_in(ctx, membership=membership)


def bought(db: Database) -> PendingProfile:
    return buy(db, period_start=NOON, period_end=END)


def test_a_lost_purchase_is_brought_in_through_the_inbox_and_only_once(db: Database) -> None:
    assert [bring(db), bring(db)] == [Outcome.BROUGHT_IN, Outcome.KNOWN]
    work(db)
    with db.unit_of_work(OPERATOR) as ctx:
        pending = waiting(ctx, "buyer@example.com")
        assert (pending.whop_membership_id, pending.billing_cycle_end) == ("mem_1", END)
        (event,) = ctx.session.query(WebhookEvent)
        assert event.state is EventState.PROCESSED


def test_what_agrees_is_left_alone(db: Database) -> None:
    before = bought(db)
    assert bring(db) is Outcome.KNOWN
    after = pending_of(db, before.id)
    assert after is not None
    assert after.version == before.version


@pytest.mark.parametrize(
    "now",
    [
        replace(LISTED, status="inactive"),
        replace(LISTED, cancel_at_period_end=True),
        replace(LISTED, period_start=END, period_end=END + timedelta(days=30)),
    ],
    ids=["ended", "cancels", "renewed"],
)
@pytest.mark.parametrize("profile", [False, True])
def test_what_was_missed_is_caught_up_with_and_a_second_run_finds_nothing(
    db: Database, now: WhopMembership, profile: bool
) -> None:
    if profile:
        add_profile(db, "user_a", email="buyer@example.com")
        with db.unit_of_work(OPERATOR) as ctx:
            reconcile.purchases.record(ctx, facts(period_start=NOON, period_end=END))
    else:
        bought(db)
    assert [bring(db, now), bring(db, now)] == [Outcome.UPDATED, Outcome.KNOWN]
    with db.read_only() as session:
        row = session.query(Profile if profile else PendingProfile).one()
        assert row.membership is (Membership.FREE if now.status == "inactive" else Membership.PRO)
        assert row.cancel_at_period_end is now.cancel_at_period_end
        assert row.billing_cycle_end == now.period_end


def test_an_ended_one_that_comes_alive_is_active_again(db: Database) -> None:
    bought(db)
    bring(db, replace(LISTED, status="inactive"))
    assert bring(db) is Outcome.UPDATED
    with db.unit_of_work(OPERATOR) as ctx:
        assert waiting(ctx, "buyer@example.com").membership is Membership.PRO


def test_what_staff_deleted_stays_deleted_until_it_is_paid_again(db: Database) -> None:
    pending = bought(db)
    with db.unit_of_work(SUPPORT) as ctx:
        shown = pending_profiles.plan_delete(ctx, pending_profile_id=pending.id).fingerprint
        pending_profiles.delete(ctx, pending_profile_id=pending.id, reason="refunded", shown=shown)
        deleted_at = ctx.now
    assert [bring(db), bring(db)] == [Outcome.DELETED_BY_STAFF] * 2
    renewed_at = deleted_at + timedelta(days=1)
    renewed = replace(
        LISTED, period_start=renewed_at, period_end=renewed_at + timedelta(days=30), updated_at=renewed_at
    )
    assert bring(db, renewed) is Outcome.BROUGHT_IN


def test_without_an_address_it_parks_for_people_and_is_counted_once(db: Database) -> None:
    nameless = replace(LISTED, email=None)
    assert [bring(db, nameless), bring(db, nameless)] == [Outcome.BROUGHT_IN, Outcome.KNOWN]
    with db.read_only() as session:
        (event,) = session.query(WebhookEvent)
        assert (event.state, event.parked_because) == (EventState.PARKED, "email_missing")


def test_what_came_and_went_unseen_is_not_brought_in(db: Database) -> None:
    assert bring(db, replace(LISTED, status="inactive")) is Outcome.ENDED_UNSEEN


def bought_twice(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    for membership_id, day in (("mem_1", 0), ("mem_2", 1)):
        with db.unit_of_work(OPERATOR) as ctx:
            at = NOON + timedelta(days=day)
            reconcile.purchases.record(ctx, facts(membership_id=membership_id, occurred_at=at))


def test_a_membership_beside_another_is_held_and_not_brought_in_again(db: Database) -> None:
    bought_twice(db)
    assert [bring(db), bring(db)] == [Outcome.KNOWN] * 2
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.whop_membership_id == "mem_2"


def test_a_membership_beside_another_serves_at_once_when_that_has_ended(db: Database) -> None:
    bought_twice(db)
    with db.unit_of_work(OPERATOR) as ctx:
        reconcile.purchases.end(ctx, facts(membership_id="mem_2", occurred_at=NOON + timedelta(days=2)))
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.whop_membership_id) == (Membership.PRO, "mem_1")
    assert bring(db) is Outcome.KNOWN
    assert [bring(db, replace(LISTED, status="inactive")) for _ in range(2)] == [Outcome.UPDATED, Outcome.KNOWN]
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.membership is Membership.FREE


@pytest.mark.parametrize("told_start", [NOON, None], ids=["begins there", "no dates there"])
@pytest.mark.parametrize("end", [END, None], ids=["thirty days here", "no end here"])
@pytest.mark.parametrize("rhythm", ["lifetime", "one_time"])
def test_a_lifetime_that_was_kept_as_monthly_has_no_end_and_goes_on_with_its_credits(
    db: Database, rhythm: Any, end: datetime | None, told_start: datetime | None
) -> None:
    """As the earlier system wrote it: every purchase was a month."""
    add_profile(
        db,
        "user_a",
        email="buyer@example.com",
        membership="pro",
        whop_membership_id="mem_1",
        plan_duration="monthly",
        billing_cycle_start=NOON,
        billing_cycle_end=end,
        next_credit_renewal=NOON + timedelta(days=28),
        usage_credits=1000,
        used_credits=1000,
    )
    db.clock = lambda: NOON + timedelta(days=40)
    for_ever = replace(LISTED, rhythm=rhythm, plan_duration=None, period_start=told_start, period_end=None)
    assert [bring(db, for_ever), bring(db, for_ever)] == [Outcome.UPDATED, Outcome.KNOWN]
    with db.read_only() as session:
        row = session.query(ProviderMembership).one()
        assert (row.rhythm, row.interval_unit, row.period_start, row.period_end) == (rhythm, None, NOON, None)
        assert row.next_credits_at == NOON + timedelta(days=56)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.billing_cycle_end, profile.usage_credits, profile.used_credits) == (None, 1000, 0)


def test_what_was_bought_once_for_a_time_keeps_its_end_whatever_a_payment_leaves_out(db: Database) -> None:
    bought(db)
    once = replace(LISTED, rhythm="one_time", plan_duration=None)
    bring(db, once)
    with db.unit_of_work(OPERATOR) as ctx:
        reconcile.purchases.record(ctx, facts(rhythm="one_time", occurred_at=NOON + timedelta(days=1)))
        assert ctx.session.query(ProviderMembership).one().period_end == END
