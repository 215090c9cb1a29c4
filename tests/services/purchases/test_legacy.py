"""Purchases of the earlier system: moved by whoever needs them, or all at once, and never twice."""

import pytest

from admin_app.db import Database
from admin_app.services import invariants, memberships, purchases
from admin_app.services.purchases import claims, legacy
from models import ExtraPurchase, Membership, PendingProfile, Profile
from tests.services.factories import LATER, NOON, OPERATOR, WHOP, add_profile, buy, customer, facts, profile_of, waiting


def test_the_move_keeps_every_field(db: Database) -> None:
    before = add_profile(
        db,
        "temp_1",
        email="Old@example.com",
        name="Olga",
        membership="pro",
        payment_provider="whop",
        whop_user_id="u",
        whop_membership_id="mem_old",
        plan_duration="yearly",
        billing_cycle_start=NOON,
        billing_cycle_end=NOON,
        next_credit_renewal=NOON,
        usage_credits=700,
        used_credits=20,
        cancel_at_period_end=True,
    )
    with db.unit_of_work(OPERATOR) as ctx:
        assert legacy.move(ctx) == 1
        row = waiting(ctx, "old@example.com")
        assert {n: getattr(row, n) for n in legacy.MOVED_FIELDS} == {n: getattr(before, n) for n in legacy.MOVED_FIELDS}
        assert row.legacy_user_id == "temp_1"
    assert profile_of(db, "temp_1") is None


def test_the_move_goes_on_in_parts_and_counts_what_stays(db: Database) -> None:
    buy(db, "taken@example.com")
    for number, email in enumerate(["a@example.com", "b@example.com", "a@example.com", "taken@example.com", None]):
        add_profile(db, f"temp_{number}", email=email)
    add_profile(db, "temple", email="c@example.com")  # a person whose id only looks like it
    moved = []
    for _ in range(5):
        with db.unit_of_work(OPERATOR) as ctx:
            moved.append(legacy.move(ctx, limit=1))
    assert moved == [1, 1, 1, 1, 0]
    with db.read_only() as session:
        assert legacy.status(session) == legacy.LegacyStatus(left=1, without_email=1)
        assert session.get(Profile, "temple") is not None


@pytest.mark.parametrize("by_membership", [False, True])
def test_an_event_moves_the_row_that_it_is_about(db: Database, by_membership: bool) -> None:
    add_profile(db, "temp_1", email="old@example.com", membership="pro", whop_membership_id="mem_1", usage_credits=5)
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("other@example.com" if by_membership else "old@example.com"))
    with db.read_only() as session:
        (row,) = session.query(PendingProfile)
        assert (row.email, row.usage_credits, row.legacy_user_id) == ("old@example.com", 5, "temp_1")
    assert profile_of(db, "temp_1") is None


def test_a_sign_in_never_takes_a_legacy_row_for_a_profile(db: Database) -> None:
    add_profile(db, "temp_1", email="old@example.com", membership="pro", usage_credits=5)
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "created"
    with db.read_only() as session:
        assert [row.user_id for row in session.query(Profile)] == ["user_a"]


def test_two_rows_of_one_address_are_two_memberships_of_one_person(db: Database) -> None:
    for number in (1, 2):
        paid = {"membership": "pro", "whop_membership_id": f"mem_{number}", "usage_credits": 400}
        add_profile(db, f"temp_{number}", email="old@example.com", **paid)
    with db.unit_of_work(OPERATOR) as ctx:
        assert legacy.move(ctx) == 2
        row = waiting(ctx, "old@example.com")
        assert (row.membership, row.usage_credits) == ("pro", 800)
        assert {one.external_id for one in memberships.held(ctx.session, row)} == {"mem_1", "mem_2"}
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        claimed = claims.sign_in(ctx)
        assert (claimed.outcome, claimed.profile.usage_credits) == ("created", 800)
    with db.read_only() as session:
        assert legacy.status(session).left == 0


@pytest.mark.parametrize("first_ended", [False, True])
def test_two_rows_of_one_address_come_with_one_sign_in(db: Database, first_ended: bool) -> None:
    """Both are the buyer's; of two that live support sees the one that does not count."""
    ended = {"membership": "free", "status": "inactive"} if first_ended else {}
    first = {"membership": "pro", "used_credits": 1, "updated_at": NOON} | ended
    second = {"membership": "pro", "used_credits": 2, "updated_at": NOON - LATER}
    for number, values in enumerate((first, second)):
        held = {"whop_membership_id": f"mem_{number}", "usage_credits": 10}
        add_profile(db, f"temp_{number}", email="old@example.com", **held, **values)
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        profile = claims.sign_in(ctx).profile
        assert (profile.membership, profile.usage_credits - profile.used_credits) == (
            Membership.PRO,
            8 if first_ended else 17,
        )
        assert {one.external_id for one in memberships.held(ctx.session, profile)} == {"mem_0", "mem_1"}
    with db.read_only() as session:
        assert legacy.status(session).left == 0
        (row,) = session.query(PendingProfile)
        assert row.claimed_by_user_id == "user_a"
        assert session.query(ExtraPurchase).count() == (0 if first_ended else 1)
        assert invariants.broken(session, now=db.clock()) == []


def test_a_row_of_a_membership_that_is_held_already_stays_where_support_sees_it(db: Database) -> None:
    add_profile(db, "temp_1", email="old@example.com", membership="pro", whop_membership_id="mem_1")
    buy(db, "other@example.com", membership_id="mem_2")
    with db.unit_of_work(customer("user_a", "old@example.com", "other@example.com")) as ctx:
        claims.sign_in(ctx)
    add_profile(db, "temp_2", email="old@example.com", membership="pro", whop_membership_id="mem_2")
    with db.unit_of_work(OPERATOR) as ctx:
        assert legacy.move(ctx) == 0
        assert legacy.status(ctx.session).left == 1
