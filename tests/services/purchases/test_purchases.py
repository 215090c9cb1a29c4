"""Purchases by the rules of DESIGN 5, in any order, for whoever holds them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from admin_app.db import Database
from admin_app.services import purchases
from admin_app.services.purchases import Applied, claims, pending_profiles
from models import (
    EventState,
    ExtraPurchase,
    Membership,
    MembershipStatus,
    PaymentProvider,
    PendingProfile,
    PlanDuration,
    Profile,
)
from tests.services import deliveries
from tests.services.deliveries import BUYER, PERIOD, deliver
from tests.services.factories import (
    NOON,
    SUPPORT,
    WHOP,
    add_profile,
    buy,
    customer,
    facts,
    pending_of,
    profile_of,
    waiting,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def news(db: Database, verb: Any = purchases.record, **values: Any) -> Applied:
    with db.unit_of_work(WHOP) as ctx:
        return verb(ctx, facts(**values))


def use(db: Database, user_id: str, used: int) -> None:
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(Profile, user_id).used_credits = used


def claim(db: Database, user_id: str, email: str = "buyer@example.com") -> Profile:
    with db.unit_of_work(customer(user_id, email)) as ctx:
        return claims.claim(ctx, email=email).profile


def extras(db: Database) -> list[tuple[str, str | None, str | None]]:
    with db.read_only() as session:
        found = session.query(ExtraPurchase).order_by(ExtraPurchase.id)
        return [(extra.user_id, extra.replaced_membership_id, extra.resolution) for extra in found]


# What a purchase gives


def test_dates_come_from_the_event(db: Database) -> None:
    start, end = NOON - DAY, NOON + 20 * DAY
    pending = buy(db, period_start=start, period_end=end)
    assert (pending.billing_cycle_start, pending.billing_cycle_end) == (start, end)
    assert pending.next_credit_renewal == start + timedelta(days=28)


@pytest.mark.parametrize(
    ("plan", "end"),
    [("monthly", NOON + timedelta(days=30)), ("yearly", NOON.replace(year=2027)), (None, NOON + timedelta(days=30))],
)
def test_dates_by_plan_when_the_event_names_none(db: Database, plan: str | None, end: datetime) -> None:
    pending = buy(db, plan_duration=plan)
    assert (pending.billing_cycle_start, pending.billing_cycle_end) == (NOON, end)
    assert pending.next_credit_renewal == NOON + timedelta(days=28)


def test_a_year_from_the_leap_day_ends_on_the_28th(db: Database) -> None:
    pending = buy(db, plan_duration="yearly", occurred_at=datetime(2028, 2, 29, 12, tzinfo=UTC))
    assert pending.billing_cycle_end == datetime(2029, 2, 28, 12, tzinfo=UTC)


def test_a_new_purchase_waits_with_a_thousand_credits(db: Database) -> None:
    pending = buy(db)
    assert (pending.usage_credits, pending.used_credits) == (1000, 0)
    assert (pending.membership, pending.status) == (Membership.PRO, MembershipStatus.ACTIVE)
    assert (pending.payment_provider, pending.plan_duration) == (PaymentProvider.WHOP, PlanDuration.MONTHLY)
    assert not pending.claimed


def test_the_same_address_in_other_letters_is_the_same_purchase(db: Database) -> None:
    first = buy(db, "buyer@example.com")
    assert buy(db, "Buyer@Example.COM", occurred_at=NOON + HOUR).id == first.id


def test_a_profile_with_the_address_is_updated_instead(db: Database) -> None:
    add_profile(db, "user_a", email="Buyer@example.com", usage_credits=3, used_credits=2)
    assert news(db) is Applied.DONE
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.usage_credits, profile.used_credits) == (Membership.PRO, 1000, 0)
    assert (profile.whop_membership_id, profile.billing_cycle_end) == ("mem_1", NOON + 30 * DAY)
    with db.read_only() as session:
        assert session.query(PendingProfile).count() == 0


def test_a_renewal_gives_what_was_due_before_it_moves_the_date_and_nothing_twice(db: Database) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    news(db)
    use(db, "user_a", 400)
    news(db, occurred_at=NOON + 30 * DAY)  # nobody had granted what was due on the 28th day
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.billing_cycle_start, profile.billing_cycle_end) == (NOON + 30 * DAY, NOON + 60 * DAY)
    assert profile.next_credit_renewal == NOON + 58 * DAY
    assert (profile.usage_credits, profile.used_credits) == (1000, 0)
    use(db, "user_a", 300)
    news(db, occurred_at=NOON + 30 * DAY + HOUR)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.usage_credits, profile.used_credits) == (1000, 300)


def test_an_update_never_unclaims(db: Database) -> None:
    pending = buy(db)
    claim(db, "user_a")
    news(db, occurred_at=NOON + 30 * DAY)
    row, profile = pending_of(db, pending.id), profile_of(db, "user_a")
    assert row is not None
    assert profile is not None
    assert (row.claimed, row.claimed_by_user_id) == (True, "user_a")
    assert profile.billing_cycle_end == NOON + 60 * DAY


def test_a_later_purchase_under_a_claimed_address_goes_to_its_claimant(db: Database) -> None:
    pending = buy(db, "jnae@example.com")
    add_profile(db, "user_jane", email="jane@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id="user_jane")
        claims.claim_for_user(
            ctx, pending_profile_id=pending.id, user_id="user_jane", reason="misspelt", shown=plan.fingerprint
        )
    news(db, verb=purchases.end, occurred_at=NOON + DAY)
    news(db, email="jnae@example.com", membership_id="mem_2", occurred_at=NOON + 2 * DAY)
    profile = profile_of(db, "user_jane")
    assert profile is not None
    assert (profile.whop_membership_id, profile.membership, profile.email) == (
        "mem_2",
        Membership.PRO,
        "jane@example.com",
    )
    assert extras(db) == []  # the first had ended: nothing is charged twice


# Ends and cancellations


@pytest.mark.parametrize("verb", [purchases.end, purchases.set_cancellation])
def test_an_end_or_cancellation_goes_by_the_membership_alone(db: Database, verb: Any) -> None:
    add_profile(db, "user_pro", email="buyer@example.com", membership="pro", whop_membership_id="mem_1")
    add_profile(db, "user_free", email="free@example.com")
    for email in ("buyer@example.com", "free@example.com"):
        for membership_id in ("mem_other", None):
            assert news(db, verb=verb, email=email, membership_id=membership_id) is Applied.MEMBERSHIP_UNKNOWN
    for user_id in ("user_pro", "user_free"):
        profile = profile_of(db, user_id)
        assert profile is not None
        assert (profile.status, profile.version) == (MembershipStatus.ACTIVE, 1)
    assert news(db, verb=verb, email="who@example.com", cancel_at_period_end=True) is Applied.DONE


def test_an_end_takes_access_and_leaves_the_rest(db: Database) -> None:
    pending = buy(db)
    news(db, verb=purchases.end, occurred_at=NOON + DAY)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.membership, row.status) == (Membership.FREE, MembershipStatus.INACTIVE)
    assert (row.usage_credits, row.whop_membership_id, row.billing_cycle_end) == (1000, "mem_1", NOON + 30 * DAY)


@pytest.mark.parametrize("claimed", [False, True])
def test_renewed_after_its_end_it_is_active_again(db: Database, claimed: bool) -> None:
    pending = buy(db)
    if claimed:
        claim(db, "user_a")
    news(db, verb=purchases.end, occurred_at=NOON + DAY)
    news(db, occurred_at=NOON + 40 * DAY)
    holder = profile_of(db, "user_a") if claimed else pending_of(db, pending.id)
    assert holder is not None
    assert (holder.membership, holder.status) == (Membership.PRO, MembershipStatus.ACTIVE)
    assert (holder.billing_cycle_end, holder.usage_credits) == (NOON + 70 * DAY, 1000)
    assert news(db, occurred_at=NOON + 2 * HOUR) is Applied.SUPERSEDED


# Any order

STORY = {
    "activated": deliveries.membership("activated", NOON, user=BUYER, status="active", **PERIOD),
    "payment": deliveries.payment(NOON + timedelta(minutes=1), user=BUYER),
    "cancel": deliveries.membership(
        "cancel_at_period_end_changed", NOON + DAY, user=BUYER, cancel_at_period_end=True, **PERIOD
    ),
    "keep": deliveries.membership(
        "cancel_at_period_end_changed", NOON + 2 * DAY, user=BUYER, cancel_at_period_end=False, **PERIOD
    ),
    "ended": deliveries.membership("deactivated", NOON + 3 * DAY, user=BUYER, **PERIOD),
}
LEFT_OUT = {
    "id", "user_id", "created_at", "updated_at", "version", "owners_checked_at", "token", "token_expires_at",
}  # fmt: skip


def tell(db: Database, told: tuple[str, ...], ends: dict[frozenset[str], dict[tuple[str, ...], Any]]) -> None:
    """Go on from here with each delivery that is still to come, twice, in a savepoint; keep the row of every order."""
    for name in STORY.keys() - set(told):
        with db.engine.begin_nested() as savepoint:  # type: ignore[attr-defined]
            order = (*told, name)
            deliver(db, STORY[name], name)
            assert deliveries.receive(db, STORY[name], name) is None
            ends[frozenset(order)][order] = row_now(db)
            tell(db, order, ends)
            savepoint.rollback()


def row_now(db: Database) -> dict[str, Any] | None:
    with db.read_only() as session:
        row = session.query(PendingProfile).one_or_none() or session.query(Profile).one_or_none()
        return row and {c.name: getattr(row, c.name) for c in row.__table__.c if c.name not in LEFT_OUT}


@pytest.mark.parametrize("profile", [False, True], ids=["waiting", "profile"])
def test_every_order_of_every_part_of_the_story_ends_in_one_state(db: Database, profile: bool) -> None:
    if profile:
        add_profile(db, "user_a", email="buyer@example.com", name="Ada")
    ends: dict[frozenset[str], dict[tuple[str, ...], Any]] = defaultdict(dict)
    tell(db, (), ends)
    assert len(ends[frozenset(STORY)]) == 120
    for names, orders in ends.items():
        wanted = orders[tuple(name for name in STORY if name in names)]
        assert all(end == wanted for end in orders.values()), {o: e for o, e in orders.items() if e != wanted}
    whole, kept = (next(iter(ends[frozenset(names)].values())) for names in (STORY, STORY.keys() - {"ended"}))
    assert whole["billing_cycle_start"] == kept["billing_cycle_start"] == NOON
    assert (whole["membership"], whole["status"]) == (Membership.FREE, MembershipStatus.INACTIVE)
    assert (kept["membership"], kept["cancel_at_period_end"]) == (Membership.PRO, False)


def test_what_waited_for_its_purchase_goes_on_by_itself(db: Database) -> None:
    assert deliver(db, STORY["ended"], "ended") is EventState.PARKED
    assert deliver(db, STORY["cancel"], "cancel") is EventState.PARKED
    assert deliver(db, STORY["activated"], "activated") is EventState.PROCESSED
    assert deliveries.state_of(db, "cancel") is deliveries.state_of(db, "ended") is EventState.PROCESSED


def test_news_of_a_renewal_and_of_the_end_before_it_come_crosswise(db: Database) -> None:
    period = {"renewal_period_start": (NOON + 9 * DAY).isoformat(), "renewal_period_end": (NOON + 39 * DAY).isoformat()}
    renewed = deliveries.membership("activated", NOON + 9 * DAY, user=BUYER, **period)
    story = {"activated": STORY["activated"], "ended": STORY["ended"], "renewed": renewed}
    for order in permutations(story):
        with db.engine.begin_nested() as savepoint:  # type: ignore[attr-defined]
            for name in order:
                deliver(db, story[name], name)
            with db.read_only() as session:
                row = session.query(PendingProfile).one()
                assert (row.membership, row.status) == (Membership.PRO, MembershipStatus.ACTIVE), order
                assert row.billing_cycle_end == NOON + 39 * DAY, order
            savepoint.rollback()


def test_a_payment_that_names_no_membership_makes_nobody_pro(db: Database) -> None:
    pending = buy(db)
    news(db, verb=purchases.end, occurred_at=NOON + DAY)
    for at in (NOON + HOUR, NOON + 2 * DAY):
        assert news(db, membership_id=None, occurred_at=at) is Applied.MEMBERSHIP_UNKNOWN
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.status is MembershipStatus.INACTIVE


def test_a_purchase_without_any_address_is_left_to_people(db: Database) -> None:
    assert news(db, email=None) is Applied.EMAIL_MISSING


# Corrected, deleted, second ones


def test_a_corrected_address_is_not_undone_by_later_news(db: Database) -> None:
    pending = buy(db, "jnae@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = pending_profiles.plan_email(ctx, pending_profile_id=pending.id, email="jane@example.com")
        pending_profiles.correct_email(
            ctx, pending_profile_id=pending.id, email="jane@example.com", reason="typo", shown=plan.fingerprint
        )
    news(db, email="jnae@example.com", occurred_at=NOON + 30 * DAY)
    with db.read_only() as session:
        (row,) = session.query(PendingProfile)
        assert (row.id, row.email, row.billing_cycle_end) == (pending.id, "jane@example.com", NOON + 60 * DAY)


def test_a_deleted_purchase_comes_back_only_when_it_is_paid_again(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = pending_profiles.plan_delete(ctx, pending_profile_id=pending.id)
        pending_profiles.delete(ctx, pending_profile_id=pending.id, reason="refunded", shown=plan.fingerprint)
        deleted_at = ctx.now
    assert news(db, occurred_at=NOON + HOUR) is Applied.SUPERSEDED
    assert news(db, verb=purchases.end, occurred_at=NOON + HOUR) is Applied.SUPERSEDED
    assert news(db, occurred_at=deleted_at + HOUR) is Applied.DONE
    with db.unit_of_work(SUPPORT) as ctx:
        assert waiting(ctx, "buyer@example.com").whop_membership_id == "mem_1"


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first comes late"])
def test_a_second_membership_of_someone_pro_goes_to_the_worklist(db: Database, late: bool) -> None:
    add_profile(db, "user_a", email="buyer@example.com")
    bought = [
        {"membership_id": "mem_1", "occurred_at": NOON},
        {"membership_id": "mem_2", "occurred_at": NOON + HOUR},
    ]
    for values in reversed(bought) if late else bought:
        news(db, **values)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.whop_membership_id, extras(db)) == ("mem_2", [("user_a", "mem_1", None)])
    # the first renews and runs longest now; then it is cancelled and ends: the second serves again
    assert news(db, membership_id="mem_1", occurred_at=NOON + 30 * DAY) is Applied.DONE
    renewed = profile_of(db, "user_a")
    assert renewed is not None
    assert (renewed.whop_membership_id, renewed.billing_cycle_end) == ("mem_1", NOON + 60 * DAY)
    assert [extra for extra in extras(db) if extra[2] is None] == [("user_a", "mem_2", None)]
    assert news(db, verb=purchases.set_cancellation, occurred_at=NOON + 31 * DAY) is Applied.DONE
    assert news(db, verb=purchases.end, membership_id="mem_1", occurred_at=NOON + 32 * DAY) is Applied.DONE
    after = profile_of(db, "user_a")
    assert after is not None
    assert (after.membership, after.whop_membership_id) == (Membership.PRO, "mem_2")
    assert [extra for extra in extras(db) if extra[2] is None] == []


def test_two_purchases_under_one_address_are_both_there_and_the_live_one_serves(db: Database) -> None:
    pending = buy(db)
    news(db, membership_id="mem_2", occurred_at=NOON + HOUR)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.whop_membership_id, row.usage_credits, row.used_credits) == ("mem_2", 2000, 0)
    news(db, verb=purchases.end, membership_id="mem_2", occurred_at=NOON + DAY)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.whop_membership_id, row.membership, row.status) == ("mem_1", Membership.PRO, MembershipStatus.ACTIVE)
    profile = claim(db, "user_a")
    assert (profile.membership, profile.whop_membership_id, profile.billing_cycle_end) == (
        Membership.PRO,
        "mem_1",
        NOON + 30 * DAY,
    )


def test_someone_pro_through_stripe_who_buys_at_whop_goes_to_the_worklist(db: Database) -> None:
    add_profile(
        db,
        "user_a",
        email="buyer@example.com",
        membership="pro",
        payment_provider="stripe",
        stripe_subscription_id="sub_1",
    )
    news(db)
    assert extras(db) == [("user_a", "sub_1", None)]


def test_a_claim_by_someone_pro_leaves_the_purchase_waiting_and_listed(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro")
    pending = buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "already_pro"
    row = pending_of(db, pending.id)
    assert row is not None
    assert not row.claimed
    assert extras(db) == [("user_a", None, None)]
