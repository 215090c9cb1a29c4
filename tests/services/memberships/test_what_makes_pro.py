"""What Whop sells in all its rhythms, and what of it makes somebody pro."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from admin_app.context import PRO_PRODUCTS
from admin_app.db import Database
from admin_app.integrations.ports import WhopMembership
from admin_app.services import invariants, purchases
from admin_app.services.core import audit
from admin_app.services.memberships.pro_rules import FREE
from admin_app.services.purchases import claims, credit_renewals, pending_profiles, reconcile
from admin_app.services.purchases.reconcile import Outcome
from models import (
    CreditPeriod,
    EventState,
    Membership,
    MembershipStatus,
    PendingProfile,
    PlanDuration,
    Profile,
    ProviderMembership,
    Rhythm,
)
from tests.services import deliveries
from tests.services.deliveries import BUYER, deliver
from tests.services.factories import NOON, SUPPORT, WHOP, buy, customer, facts, waiting

DAY = timedelta(days=1)


def activated(membership_id: str = "mem_1", at: datetime = NOON, **data: Any) -> bytes:
    return deliveries.membership("activated", at, id=membership_id, user=BUYER, status="active", **data)


def pendings(db: Database) -> list[PendingProfile]:
    with db.read_only() as session:
        return session.query(PendingProfile).order_by(PendingProfile.id).all()


def rows(db: Database) -> list[ProviderMembership]:
    with db.read_only() as session:
        return session.query(ProviderMembership).order_by(ProviderMembership.id).all()


@pytest.mark.parametrize(
    ("plan", "end", "rhythm", "duration"),
    [
        ({"plan_type": "one_time"}, None, Rhythm.LIFETIME, None),
        ({"plan_type": "renewal", "billing_period": 7}, NOON + 7 * DAY, Rhythm.RECURRING, None),
        ({"plan_type": "renewal", "billing_period": 28}, NOON + 28 * DAY, Rhythm.RECURRING, PlanDuration.MONTHLY),
        ({"billing_period": 90}, NOON + 90 * DAY, Rhythm.RECURRING, None),
        ({"billing_period": 365}, NOON.replace(year=2027), Rhythm.RECURRING, PlanDuration.YEARLY),
    ],
    ids=["lifetime", "weekly", "28 days", "quarterly", "yearly"],
)
def test_a_rhythm_has_its_own_length_and_a_lifetime_no_end(
    db: Database, plan: dict[str, Any], end: datetime | None, rhythm: Rhythm, duration: PlanDuration | None
) -> None:
    assert deliver(db, activated(plan=plan), "one") is EventState.PROCESSED
    (pending,), (row,) = pendings(db), rows(db)
    assert (pending.membership, pending.billing_cycle_end, pending.plan_duration) == (Membership.PRO, end, duration)
    assert (row.rhythm, row.provider_status) == (rhythm, "active")


def test_a_lifetime_stays_live_when_its_payment_is_told_after_years(db: Database) -> None:
    deliver(db, activated(plan={"plan_type": "one_time"}), "one")
    deliver(db, deliveries.payment(NOON + 1000 * DAY, user=BUYER), "two")
    (pending,) = pendings(db)
    assert (pending.billing_cycle_start, pending.billing_cycle_end) == (NOON, None)


def test_a_plan_that_costs_nothing_is_seen_and_makes_nobody_pro(db: Database) -> None:
    free = {"plan_type": "renewal", "billing_period": 30, "initial_price": 0, "renewal_price": 0}
    assert deliver(db, activated(plan=free), "one") is EventState.IGNORED
    assert pendings(db) == []
    (row,) = rows(db)
    assert (row.ignored_because, row.profile_user_id, row.pending_profile_id) == ("its plan costs nothing", None, None)
    # what does not say what was bought changes nothing about that
    assert deliver(db, deliveries.payment(NOON + DAY, user=BUYER), "two") is EventState.IGNORED
    assert pendings(db) == []


@pytest.mark.parametrize(("product", "state"), [("prod_pro", EventState.PROCESSED), ("prod_shop", EventState.IGNORED)])
def test_only_the_products_of_the_setting_make_pro(db: Database, product: str, state: EventState) -> None:
    db._sessions.configure(info={PRO_PRODUCTS: frozenset({"prod_pro"})})
    assert deliver(db, activated(product={"id": product}), "one") is state
    assert len(pendings(db)) == (state is EventState.PROCESSED)
    (row,) = rows(db)
    assert row.product_id == product


def test_what_names_no_membership_makes_nobody_pro(db: Database) -> None:
    assert deliver(db, deliveries.payment(NOON, membership_id=None, user=BUYER), "one") is EventState.PARKED
    assert (pendings(db), rows(db)) == ([], [])


def test_a_user_named_by_its_bare_id_is_taken_in(db: Database) -> None:
    body = deliveries.membership("activated", NOON, status="active", email="buyer@example.com", user="user_x")  # type: ignore[arg-type]
    assert deliver(db, body, "one") is EventState.PROCESSED
    (pending,) = pendings(db)
    assert pending.whop_user_id == "user_x"


def test_the_buyer_corrects_the_address_and_it_waits_under_the_new_one(db: Database) -> None:
    pending = buy(db, "jnae@example.com")
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token = "old"
        purchases.record(ctx, facts("jane@example.com", whop_user_id="user_whop2", occurred_at=NOON + DAY))
        row = waiting(ctx, "jane@example.com")
        assert (row.id, row.token, row.whop_user_id) == (pending.id, None, "user_whop2")
    (membership,) = rows(db)
    assert (membership.email, membership.provider_user_id) == ("jane@example.com", "user_whop2")

    with db.unit_of_work(customer("user_old", "jnae@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "none"
    with db.unit_of_work(customer("user_new", "jane@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "created"


def test_a_claimed_membership_that_is_handed_on_stays_and_shows_whose_it_is_there(db: Database) -> None:
    buy(db)

    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.sign_in(ctx)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("other@example.com", whop_user_id="user_whop2", occurred_at=NOON + DAY))
    (row,) = rows(db)
    assert (row.profile_user_id, row.email, row.status) == ("user_a", "other@example.com", MembershipStatus.ACTIVE)


def test_the_buyer_corrects_the_address_to_one_under_which_another_purchase_waits(db: Database) -> None:
    former, other = buy(db, "jnae@example.com"), buy(db, "jane@example.com", membership_id="mem_2")
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("jane@example.com", occurred_at=NOON + DAY))
    with db.unit_of_work(customer("user_old", "jnae@example.com")) as ctx:
        claimed = claims.sign_in(ctx).profile
        assert (claimed.membership, claimed.usage_credits) == (Membership.FREE, 0)
    with db.unit_of_work(customer("user_new", "jane@example.com")) as ctx:
        claimed = claims.sign_in(ctx).profile
        assert (claimed.membership, claimed.usage_credits) == (Membership.PRO, 2000)
    assert {row.profile_user_id for row in rows(db)} == {"user_new"}
    assert former.id != other.id


def test_the_buyer_corrects_the_address_to_one_whose_purchase_is_claimed(db: Database) -> None:
    """It goes to the account of that address, and nobody gets it by the wrong one."""
    buy(db, "jane@example.com", membership_id="mem_0")
    with db.unit_of_work(customer("user_new", "jane@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "created"
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(membership_id="mem_0", occurred_at=NOON + DAY))
    buy(db, "jnae@example.com", occurred_at=NOON + 2 * DAY)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("jane@example.com", occurred_at=NOON + 3 * DAY))
    with db.unit_of_work(customer("user_old", "jnae@example.com")) as ctx:
        assert claims.sign_in(ctx).profile.membership is Membership.FREE
    with db.unit_of_work(customer("user_new", "jane@example.com")) as ctx:
        assert claims.sign_in(ctx).profile.membership is Membership.PRO
    with db.read_only() as session:
        assert invariants.broken(session, now=db.clock()) == []


def test_a_deleted_purchase_that_is_paid_again_has_its_credits(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(SUPPORT) as ctx:
        shown = pending_profiles.plan_delete(ctx, pending_profile_id=pending.id).fingerprint
        pending_profiles.delete(ctx, pending_profile_id=pending.id, reason="refunded", shown=shown)
        deleted_at = ctx.now
    again = buy(db, occurred_at=deleted_at + DAY)
    assert (again.usage_credits, again.used_credits) == (1000, 0)


FREE_PLAN = {"id": "plan_free", "plan_type": "renewal", "billing_period": 30, "initial_price": 0, "renewal_price": 0}
PAID_PLAN = {"id": "plan_paid", "plan_type": "renewal", "billing_period": 30, "initial_price": 20, "renewal_price": 20}


def test_a_member_who_changes_to_a_free_plan_is_pro_no_more_and_again_when_it_is_paid(db: Database) -> None:
    deliver(db, activated(plan=PAID_PLAN), "one")
    with db.unit_of_work(customer("user_a", BUYER["email"])) as ctx:
        assert claims.sign_in(ctx).profile.membership is Membership.PRO
    assert deliver(db, activated(at=NOON + DAY, plan=FREE_PLAN), "two") is EventState.IGNORED
    assert state_of(db) == (Membership.FREE, "user_a", "its plan costs nothing")
    # what does not say what was bought, and what is older, change nothing about that
    assert deliver(db, deliveries.payment(NOON + 2 * DAY, user=BUYER), "three") is EventState.IGNORED
    assert deliver(db, activated(at=NOON + DAY / 2, plan=PAID_PLAN), "late") is not EventState.PARKED
    assert state_of(db) == (Membership.FREE, "user_a", "its plan costs nothing")
    with db.read_only() as session:
        entries = [entry.event for entry in audit.history(session, "profile:user_a")]
    assert entries.count("purchase.ended") == 1
    assert deliver(db, activated(at=NOON + 3 * DAY, plan=PAID_PLAN), "four") is EventState.PROCESSED
    assert state_of(db) == (Membership.PRO, "user_a", None)
    with db.read_only() as session:
        assert session.get_one(Profile, "user_a").usage_credits == 1000  # the period's, once
        assert invariants.broken(session, now=db.clock()) == []


def test_a_purchase_that_becomes_free_before_it_is_claimed_makes_nobody_pro(db: Database) -> None:
    deliver(db, activated(plan=PAID_PLAN), "one")
    deliver(db, activated(at=NOON + DAY, plan=FREE_PLAN), "two")
    with db.unit_of_work(customer("user_a", BUYER["email"])) as ctx:
        claimed = claims.sign_in(ctx).profile
        assert (claimed.membership, claimed.usage_credits) == (Membership.FREE, 0)
    deliver(db, activated(at=NOON + 3 * DAY, plan=PAID_PLAN), "three")
    with db.read_only() as session:
        profile = session.get_one(Profile, "user_a")
        assert (profile.membership, profile.usage_credits) == (Membership.PRO, 1000)


def test_a_comparison_sees_the_change_to_a_free_plan_once_and_the_change_back(db: Database) -> None:
    deliver(db, activated(plan=PAID_PLAN), "one")
    with db.unit_of_work(customer("user_a", BUYER["email"])) as ctx:
        claims.sign_in(ctx)
    there = WhopMembership(
        id="mem_1",
        user_id=None,
        member_id=None,
        email=BUYER["email"],
        name=None,
        status="active",
        plan_duration="monthly",
        period_start=NOON,
        period_end=NOON + 30 * DAY,
        cancel_at_period_end=False,
        created_at=NOON,
        updated_at=NOON,
    )
    for price, outcome, again in ((0, Outcome.UPDATED, Outcome.KNOWN), (2000, Outcome.UPDATED, Outcome.KNOWN)):
        asked = replace(there, price=price, plan_id=f"plan_{price}")
        for expected in (outcome, again):
            with db.unit_of_work(WHOP) as ctx:
                assert reconcile.bring_in(ctx, membership=asked, as_of=NOON + 2 * DAY) is expected
    assert state_of(db) == (Membership.PRO, "user_a", None)


def state_of(db: Database) -> tuple[Membership, str | None, str | None]:
    (row,) = rows(db)
    with db.read_only() as session:
        return session.get_one(Profile, "user_a").membership, row.profile_user_id, row.ignored_because


def test_the_buyer_corrects_the_address_to_one_that_somebody_has_verified(db: Database) -> None:
    """It is theirs at once, as a purchase under that address would be."""
    with db.unit_of_work(customer("user_new", "jane@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "none"
    buy(db, "jnae@example.com")
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("jane@example.com", occurred_at=NOON + DAY))
    (row,) = rows(db)
    with db.read_only() as session:
        profile = session.get_one(Profile, "user_new")
        assert (row.profile_user_id, profile.membership, profile.usage_credits) == ("user_new", Membership.PRO, 1000)
        assert invariants.broken(session, now=db.clock()) == []


def made_free(db: Database, at: datetime, **values: Any) -> None:
    with db.unit_of_work(WHOP) as ctx:
        told = {"ignored_because": FREE, "product_id": "prod_1", "plan_id": "plan_0", "occurred_at": at}
        purchases.record(ctx, facts(**(told | values)))


@pytest.fixture
def changed_to_free(db: Database) -> None:
    db.clock = lambda: NOON
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.sign_in(ctx)
    made_free(db, NOON + DAY)


def test_one_that_changed_to_free_is_not_looked_at_for_credits(db: Database, changed_to_free: None) -> None:
    made_free(db, NOON + 2 * DAY, period_start=NOON, period_end=NOON + 400 * DAY)
    with db.read_only() as session:
        assert list(credit_renewals.due(session, NOON + 60 * DAY, limit=10)) == []


def test_it_is_still_shown_as_it_is_at_the_provider(db: Database, changed_to_free: None) -> None:
    now = WhopMembership(
        id="mem_1",
        user_id=None,
        member_id=None,
        email="buyer@example.com",
        name=None,
        status="active",
        plan_duration="monthly",
        period_start=NOON,
        period_end=NOON + 30 * DAY,
        cancel_at_period_end=True,
        created_at=NOON,
        updated_at=NOON,
        product_id="prod_1",
        plan_id="plan_0",
        price=0,
    )
    with db.unit_of_work(WHOP) as ctx:
        reconcile.bring_in(ctx, membership=now, as_of=NOON + 3 * DAY)
    (row,) = rows(db)
    assert (row.cancel_at_period_end, row.ignored_because) == (True, FREE)


def test_what_nobody_paid_for_meanwhile_is_no_period_of_credits(db: Database, changed_to_free: None) -> None:
    cycle = {"period_start": NOON + 100 * DAY, "period_end": NOON + 130 * DAY}
    made_free(db, NOON + 100 * DAY, **cycle)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=NOON + 110 * DAY, plan_id="plan_1", **cycle))
        starts = sorted((one.starts_at - NOON).days for one in ctx.session.query(CreditPeriod))
    assert starts == [0, 100]


def test_late_news_of_before_it_was_free_make_nobody_pro(db: Database) -> None:
    made_free(db, NOON + DAY)
    with db.unit_of_work(WHOP) as ctx:
        told = facts(occurred_at=NOON, product_id="prod_1", plan_id="plan_1")
        assert purchases.record(ctx, told) is purchases.Applied.SUPERSEDED
    assert pendings(db) == []


def test_deleted_by_staff_what_changed_to_free_stays_free(db: Database) -> None:
    pending = buy(db)
    made_free(db, NOON + DAY)
    with db.unit_of_work(SUPPORT) as ctx:
        shown = pending_profiles.plan_delete(ctx, pending_profile_id=pending.id).fingerprint
        pending_profiles.delete(ctx, pending_profile_id=pending.id, reason="asked", shown=shown)
    later = db.clock() + 30 * DAY
    with db.unit_of_work(WHOP) as ctx:
        assert purchases.record(ctx, facts(occurred_at=later)) is purchases.Applied.IGNORED
    assert pendings(db) == []
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(occurred_at=later + DAY, product_id="prod_1", plan_id="plan_1"))
    assert [one.membership for one in pendings(db)] == [Membership.PRO]
