"""A membership goes to another account by a plan and with a reason, and comes back."""

from datetime import timedelta
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, PlanMoved
from admin_app.services import purchases
from admin_app.services.core import audit
from admin_app.services.memberships import complimentary, moving
from admin_app.services.purchases import claims
from models import ExtraPurchase, Membership, PendingProfile, Profile, ProviderMembership
from tests.services.factories import (
    AUDITOR,
    LATER,
    NOON,
    OPERATOR,
    SUPPORT,
    WHOP,
    add_profile,
    add_user,
    buy,
    customer,
    facts,
    pending_of,
    profile_of,
)
from tests.services.memberships.moves import act, credits, pass_time, row_of, use

DAY = timedelta(days=1)


def the_only(db: Database) -> ProviderMembership:
    with db.read_only() as session:
        return session.query(ProviderMembership).filter_by(external_id="mem_1").one()


def moved(db: Database, user_id: str, *, reason: str = "bought for her", actor: Any = SUPPORT) -> None:
    ids = {"membership_id": the_only(db).id, "user_id": user_id}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = moving.plan_move(ctx, **ids).fingerprint
    with db.unit_of_work(actor) as ctx:
        moving.move(ctx, **ids, reason=reason, shown=shown)


def back(db: Database) -> None:
    number = the_only(db).id
    with db.unit_of_work(SUPPORT) as ctx:
        shown = moving.plan_back(ctx, membership_id=number).fingerprint
    with db.unit_of_work(SUPPORT) as ctx:
        moving.move_back(ctx, membership_id=number, reason="wrong", shown=shown)


def claimed(db: Database) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.sign_in(ctx)
        profile = ctx.session.get_one(claims.Profile, "user_a")
        profile.used_credits = 300


def seen(db: Database, user_id: str) -> tuple[Any, ...]:
    profile = profile_of(db, user_id)
    assert profile is not None
    return profile.membership, profile.whop_membership_id, profile.usage_credits, profile.used_credits


def test_access_and_what_is_left_of_the_credits_go_along_and_come_back(db: Database) -> None:
    claimed(db)
    add_user(db, "user_b", email="b@example.com")
    moved(db, "user_b")
    assert seen(db, "user_a") == (Membership.FREE, None, 300, 300)
    assert seen(db, "user_b") == (Membership.PRO, "mem_1", 700, 0)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=NOON + 30 * LATER))
    renewed = profile_of(db, "user_b")
    assert renewed is not None
    assert renewed.billing_cycle_end == NOON + 60 * LATER
    back(db)
    assert seen(db, "user_b")[:2] == (Membership.FREE, None)
    assert seen(db, "user_a")[:2] == (Membership.PRO, "mem_1")
    with db.read_only() as session:
        entry = audit.history(session, "profile:user_b")[0]
    assert (entry.event, entry.reason) == ("membership.moved", "wrong")


def test_the_plan_says_what_the_act_does(db: Database) -> None:
    claimed(db)
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = moving.plan_move(ctx, membership_id=the_only(db).id, user_id="user_b")
    moved(db, "user_b")
    for user_id in ("user_a", "user_b"):
        profile = profile_of(db, user_id)
        planned = {line.field: line.after for line in plan.lines if line.record == f"profile:{user_id}"}
        assert planned
        assert {name: getattr(profile, name) for name in planned} == planned
    assert "buyer@example.com loses pro access." in plan.consequences


def test_to_an_account_that_is_pro_it_is_beside_and_on_the_list(db: Database) -> None:
    claimed(db)
    add_profile(db, "user_b", email="b@example.com", membership="pro", whop_membership_id="mem_own")
    moved(db, "user_b")
    with db.read_only() as session:
        open_ones = [(one.user_id, one.replaced_membership_id) for one in session.query(ExtraPurchase)]
    assert open_ones == [("user_b", "mem_own")]
    assert seen(db, "user_b")[:2] == (Membership.PRO, "mem_1")


def test_from_a_purchase_that_waits_and_back_to_it(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_b", email="b@example.com")
    moved(db, "user_b")
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.claimed, row.membership, row.whop_membership_id) == (False, Membership.FREE, None)
    assert seen(db, "user_b") == (Membership.PRO, "mem_1", 1000, 0)
    back(db)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.membership, row.whop_membership_id, row.usage_credits) == (Membership.PRO, "mem_1", 1000)
    with db.read_only() as session:
        assert session.query(PendingProfile).count() == 1


def test_what_has_ended_takes_the_credits_of_its_period_along_and_brings_none_when_it_is_paid_again(
    db: Database,
) -> None:
    claimed(db)
    add_profile(db, "user_b", email="b@example.com", usage_credits=50, used_credits=20)
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=NOON + LATER))
    moved(db, "user_b")
    assert seen(db, "user_a") == (Membership.FREE, None, 300, 300)
    assert seen(db, "user_b") == (Membership.FREE, "mem_1", 750, 20)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=NOON + 2 * LATER))
    assert seen(db, "user_b") == (Membership.PRO, "mem_1", 750, 20)


def test_what_ended_long_ago_takes_nothing_along(db: Database) -> None:
    claimed(db)
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=NOON + LATER))
        ctx.session.query(ProviderMembership).one().next_credits_at = NOON
    moved(db, "user_b")
    assert seen(db, "user_a") == (Membership.FREE, None, 1000, 300)
    assert seen(db, "user_b") == (Membership.FREE, "mem_1", 0, 0)


def test_what_is_refused(db: Database) -> None:
    claimed(db)
    add_profile(db, "user_b", email="b@example.com")
    with pytest.raises(Forbidden):
        moved(db, "user_b", actor=AUDITOR)
    with pytest.raises(InvalidInput):
        moved(db, "user_b", reason=" ")
    with pytest.raises(Conflict):
        moved(db, "user_a")
    with pytest.raises(Conflict):
        back(db)
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        moving.move(ctx, membership_id=the_only(db).id, user_id="user_b", reason="x", shown="made up")


def test_moving_back_at_once_restores_both(both: Database) -> None:
    for _ in range(2):
        plan = act(both, "user_b")
        assert (credits(both, "user_a"), credits(both, "user_b")) == ((160, 160), (1840, 53))
        assert "What is left of its credits goes along: 840." in plan.consequences
        names = {key: name for key, name in plan.names.items() if key.startswith("profile:")}
        assert names == {"profile:user_a": "a@example.com", "profile:user_b": "b@example.com"}
        act(both, None)
        assert (credits(both, "user_a"), credits(both, "user_b")) == ((1000, 160), (1000, 53))
        assert row_of(both, "mem_a").moved_from is None


def test_the_move_back_takes_what_is_still_there_of_what_came(both: Database) -> None:
    act(both, "user_b")
    use(both, "user_b", 100)
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((1000, 160), (1000, 153))
    act(both, "user_b")
    use(both, "user_b", 1000)
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((847, 160), (1153, 1153))


def test_what_came_goes_on_and_the_own_one_takes_its_own(both: Database) -> None:
    act(both, "user_b")
    act(both, "user_c", "mem_b")
    assert (credits(both, "user_b"), credits(both, "user_c")) == ((893, 53), (947, 0))
    act(both, "user_c")
    assert (credits(both, "user_b"), credits(both, "user_c")) == ((53, 53), (1787, 0))
    act(both, None)
    act(both, None, "mem_b")
    assert (credits(both, "user_b"), credits(both, "user_c")) == ((1840, 53), (0, 0))


def test_from_its_next_period_on_its_credits_are_those_of_where_it_is(both: Database) -> None:
    act(both, "user_b")
    pass_time(both, 30)
    with both.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("a@example.com", membership_id="mem_a", occurred_at=NOON + 30 * DAY))
    assert credits(both, "user_b") == (2000, 0)
    use(both, "user_b", 300)
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((860, 160), (1300, 300))


def test_credits_that_a_complimentary_one_holds_back_come_back(both: Database) -> None:
    with both.unit_of_work(SUPPORT) as ctx:
        shown = complimentary.plan_give(ctx, user_id="user_c", until=None).fingerprint
        complimentary.give(ctx, user_id="user_c", until=None, reason="for her", shown=shown)
    use(both, "user_c", 100)
    plan = act(both, "user_c")
    assert (credits(both, "user_a"), credits(both, "user_c")) == ((160, 160), (1100, 100))
    assert "Beside a complimentary membership 740 of its credits wait until it moves on." in plan.consequences
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_c")) == ((1000, 160), (1000, 100))


def test_one_that_has_ended_goes_and_comes_back_with_the_rest_of_its_period(both: Database) -> None:
    pass_time(both, 1)
    with both.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts("a@example.com", membership_id="mem_a", occurred_at=NOON + DAY))
    plan = act(both, "user_b")
    assert plan.consequences[0] == (
        "It has ended: nobody gains or loses pro access. Should it be paid again, that is for b@example.com."
    )
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((160, 160), (1840, 53))
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((1000, 160), (1000, 53))


def test_credits_by_hand_stay_with_whoever_got_them(both: Database) -> None:
    with both.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(Profile, "user_b").usage_credits += 2500
    act(both, "user_b")
    assert credits(both, "user_b") == (4340, 53)
    act(both, None)
    assert (credits(both, "user_a"), credits(both, "user_b")) == ((1000, 160), (3500, 53))


def test_what_support_chose_to_count_is_planned_as_it_is_done(both: Database) -> None:
    with both.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.query(ProviderMembership).filter_by(external_id="mem_a").one()
        row.preferred_at = NOON
    act(both, "user_b")
    act(both, None)


def test_what_nobody_holds_and_what_waits_is_said_as_it_is(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_b", email="b@example.com", created_at=NOON, updated_at=NOON)
    plan = act(db, "user_b", "mem_1")
    assert plan.consequences[:2] == (
        "The purchase of buyer@example.com holds nothing then.",
        "b@example.com gains pro access.",
    )
    plan = act(db, None, "mem_1")
    assert "It waits with the purchase of buyer@example.com: whoever claims that gets it." in plan.consequences
    assert "It can be moved back." not in plan.consequences
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.query(ProviderMembership).filter_by(external_id="mem_1").one()
        row.pending_profile_id = None
        pending = ctx.session.get_one(PendingProfile, pending.id)
        pending.membership, pending.status, pending.whop_membership_id = Membership.FREE, "inactive", None
    plan = act(db, "user_b", "mem_1")
    assert plan.consequences[0] == "b@example.com gains pro access."
    assert "It can be moved back." not in plan.consequences
    assert {line.record for line in plan.lines if line.record.startswith("profile:")} == {"profile:user_b"}
