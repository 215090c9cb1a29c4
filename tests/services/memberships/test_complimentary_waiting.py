"""Complimentary memberships that left with a deleted account: changed, ended and undone where they wait or went to."""

from datetime import timedelta

import pytest

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services.core import audit
from admin_app.services.memberships import complimentary
from admin_app.services.purchases import account_deletion, claims, pending_profiles
from models import Adjustment, MembershipStatus, PendingProfile
from tests.services.factories import NOON, SUPPORT, add_profile, add_user, buy, pending_of, waiting
from tests.services.memberships import by_hand
from tests.services.memberships.by_hand import change_end, credits, end, give, is_pro, signs_in, tick, told, undo, use

DAY = timedelta(days=1)
EMAIL = "buyer@example.com"


@pytest.fixture
def db(db: Database) -> Database:
    """At noon, with a free account."""
    db.clock = lambda: NOON
    add_profile(db, "user_a", email=EMAIL)
    return db


def delete_account(db: Database, user_id: str = "user_a") -> PendingProfile:
    with db.unit_of_work(Job("test")) as ctx:
        account_deletion.let_go(ctx, user_id=user_id)
        return waiting(ctx, EMAIL)


def ids(db: Database) -> list[int]:
    with db.read_only() as session:
        return [number for (number,) in session.query(Adjustment.id).order_by(Adjustment.id)]


def test_one_that_waits_gets_another_end_is_ended_and_that_is_undone(db: Database) -> None:
    number = give(db, NOON + 10 * DAY)
    use(db, 300)
    pending = delete_account(db)
    change_end(db, number, NOON + 50 * DAY)
    undo(db)
    change_end(db, number, None)
    end(db, number)
    after = pending_of(db, pending.id)
    assert after is not None
    assert (after.status, after.usage_credits, after.used_credits) == (MembershipStatus.INACTIVE, 1000, 300)
    undo(db)
    add_user(db, "user_new", email=EMAIL)
    assert signs_in(db, "user_new", EMAIL) == "created"
    assert (is_pro(db, "user_new"), credits(db, "user_new")) == (True, (1000, 300))
    assert by_hand.row_of(db, number).period_end is None
    with db.read_only() as session:
        told = [entry.event for entry in audit.history(session, f"pending_profile:{pending.id}")]
    assert told.count("membership.end_changed") == 2
    assert "membership.ended_by_hand" in told


def test_one_that_waits_is_taken_back(db: Database) -> None:
    number = give(db, None)
    pending = delete_account(db)
    undo(db)
    row, after = by_hand.row_of(db, number), pending_of(db, pending.id)
    assert after is not None
    assert (row.pending_profile_id, row.ignored_because) == (None, "given by mistake and taken back")
    assert after.status is MembershipStatus.INACTIVE


def test_the_next_account_of_the_person_has_the_same_undo(db: Database) -> None:
    number = give(db, NOON + 10 * DAY)
    change_end(db, number, NOON + 50 * DAY)
    delete_account(db)
    add_user(db, "user_new", email=EMAIL)
    signs_in(db, "user_new", EMAIL)
    given, changed = ids(db)
    undo(db, changed)
    assert by_hand.row_of(db, number).period_end == NOON + 10 * DAY
    undo(db, given)
    assert (is_pro(db, "user_new"), credits(db, "user_new")) == (False, (1000, 0))


def test_credits_of_an_account_that_is_deleted_are_undone_nowhere_and_that_is_said(db: Database) -> None:
    by_hand.adjust(db, "add", 100)
    with db.unit_of_work(Job("test")) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    with pytest.raises(InvalidInput) as refused:
        undo(db)
    assert "was deleted at the sign-in provider. Choose the one its person has now" in str(refused.value.sentence)


def test_two_given_meet_by_a_claim_and_the_one_that_ends_later_serves(db: Database) -> None:
    first = give(db, NOON + 10 * DAY)
    use(db, 300)
    pending = delete_account(db)
    add_profile(db, "user_b", email="b@example.com")
    second = give(db, NOON + 50 * DAY, "user_b")
    with db.unit_of_work(SUPPORT) as ctx:
        wish = {"pending_profile_id": pending.id, "user_id": "user_b"}
        plan = claims.plan_for_user(ctx, **wish)
        claims.claim_for_user(ctx, **wish, reason="hers", shown=plan.fingerprint)
    by_hand.nothing_broken(db)
    assert {by_hand.row_of(db, one).profile_user_id for one in (first, second)} == {"user_b"}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = complimentary.plan_end_change(ctx, membership_id=first, until=NOON + 60 * DAY)
    assert f"membership {first} " in shown.title
    assert {line.field: line.after for line in shown.lines}["billing_cycle_end"] == NOON + 60 * DAY
    assert by_hand.refusal(db, complimentary.plan_give, user_id="user_b", until=None) == complimentary.HAS_ONE
    assert tick(db, NOON + 10 * DAY) == 1
    assert is_pro(db, "user_b")
    assert tick(db, NOON + 50 * DAY) == 1
    assert not is_pro(db, "user_b")


def charged(db: Database, pending: PendingProfile) -> list[str]:
    with db.unit_of_work(SUPPORT) as ctx:
        said = pending_profiles.plan_delete(ctx, pending_profile_id=pending.id).consequences
    return list(said[2:])


def test_the_plan_of_deleting_a_purchase_says_of_each_membership_what_is_charged(db: Database) -> None:
    number = give(db, None)
    pending = delete_account(db)
    given = f"The complimentary membership {number} waits with it: nobody has that any more, and nobody paid for it."
    assert charged(db, pending) == [given]
    told(db, NOON, email=EMAIL)
    goes_on = "Whop goes on charging for mem_1: cancel it as well if that is what is wanted."
    assert charged(db, pending) == [given, goes_on]
    by_hand.ended(db, NOON + DAY)
    assert charged(db, pending) == [given]
    end(db, number)
    assert charged(db, pending) == ["No provider charges anything for it any more."]


@pytest.mark.parametrize(
    ("bought", "said"),
    [
        ({"cancel_at_period_end": True}, "Whop does not renew mem_1: nothing more is charged."),
        ({"rhythm": "one_time"}, "What was paid for mem_1 was paid once: nothing more is charged."),
    ],
)
def test_what_is_not_renewed_is_not_charged_again(db: Database, bought: dict[str, object], said: str) -> None:
    assert charged(db, buy(db, "other@example.com", **bought)) == [said]
