"""Complimentary memberships: given until a date or for ever, beside what is paid, ended in time, and undone."""

from datetime import timedelta
from typing import Any

import pytest

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound, PlanMoved
from admin_app.services import purchases
from admin_app.services.core import audit
from admin_app.services.drift import drift_subscriptions
from admin_app.services.drift.drift_whop import WhopSide
from admin_app.services.memberships import complimentary, moving
from admin_app.services.purchases import account_deletion, claims
from admin_app.services.purchases import undo as claim_undo
from models import MembershipStatus, Merge, Profile, ProviderMembership
from tests.services.factories import (
    AUDITOR,
    NOON,
    SUPPORT,
    WHOP,
    add_profile,
    add_user,
    buy,
    facts,
    profile_of,
    waiting,
)
from tests.services.memberships import by_hand
from tests.services.memberships.by_hand import credits, end, give, is_pro, signs_in, tick, told, undo, use
from tests.services.memberships.test_credits import granted

DAY = timedelta(days=1)


@pytest.fixture
def db(db: Database) -> Database:
    """At noon, with a free account."""
    db.clock = lambda: NOON
    add_profile(db, "user_a", email="buyer@example.com")
    return db


def test_it_gives_pro_and_its_credits_and_ends_by_itself_once(db: Database) -> None:
    number = give(db, NOON + 40 * DAY)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.payment_provider, profile.whop_membership_id, profile.stripe_subscription_id) == (None, None, None)
    assert (profile.billing_cycle_end, profile.next_credit_renewal) == (NOON + 40 * DAY, NOON + 28 * DAY)
    use(db, 400)
    assert tick(db, NOON + 28 * DAY) == 0
    assert (granted(db), credits(db)) == ([0, 28], (1000, 0))
    assert tick(db, NOON + 40 * DAY - timedelta(seconds=1)) == 0
    assert tick(db, NOON + 40 * DAY) == 1
    assert not is_pro(db)
    assert tick(db, NOON + 60 * DAY) == 0
    assert not by_hand.within(db, lambda ctx: complimentary.end_due(ctx, membership_id=number))
    assert granted(db) == [0, 28]


def test_for_ever_has_no_end_and_a_period_each_28_days(db: Database) -> None:
    give(db, None)
    for day in (28, 56, 84):
        assert tick(db, NOON + day * DAY) == 0
    assert (granted(db), is_pro(db)) == ([0, 28, 56, 84], True)


def test_an_account_that_has_no_profile_yet_gets_one(db: Database) -> None:
    add_user(db, "user_new", email="new@example.com")
    give(db, NOON + DAY, "user_new")
    assert credits(db, "user_new") == (1000, 0)


def test_who_buys_meanwhile_is_shown_with_what_they_pay_and_has_its_credits_once(db: Database) -> None:
    give(db, NOON + 100 * DAY)
    use(db, 300)
    told(db, NOON + 3 * DAY)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.whop_membership_id, profile.payment_provider) == ("mem_1", "whop")
    assert (granted(db), credits(db)) == ([0, 3], (1000, 0))
    assert by_hand.open_extras(db) == []
    for day in range(4, 33):  # the first period of the complimentary one is over on day 28
        tick(db, NOON + day * DAY)
    assert granted(db) == [0, 3, 31]
    by_hand.ended(db, NOON + 33 * DAY)
    assert is_pro(db)
    for day in range(34, 61):
        tick(db, NOON + day * DAY)
    assert granted(db) == [0, 3, 31, 59]
    assert tick(db, NOON + 100 * DAY) == 1
    assert not is_pro(db)


def test_a_purchase_that_waits_is_claimed_at_sign_in_although_the_account_is_pro(db: Database) -> None:
    buy(db, "other@example.com")
    give(db, None)
    use(db, 900)
    assert signs_in(db, "user_a", "other@example.com") == "merged"
    assert (credits(db), by_hand.open_extras(db)) == ((1000, 0), [])
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.whop_membership_id == "mem_1"
    by_hand.nothing_broken(db)


def test_given_to_one_who_pays_it_serves_when_that_ends_and_doubles_nothing(db: Database) -> None:
    told(db, NOON)
    use(db, 250)
    give(db, NOON + 50 * DAY)
    assert (granted(db), credits(db)) == ([0], (1000, 250))
    by_hand.ended(db, NOON + 10 * DAY)
    tick(db, NOON + 27 * DAY)
    assert (is_pro(db), granted(db), credits(db)) == (True, [0], (1000, 250))
    tick(db, NOON + 28 * DAY)
    assert (granted(db), credits(db)) == ([0, 28], (1000, 0))
    assert tick(db, NOON + 50 * DAY) == 1
    assert not is_pro(db)


def test_with_a_deleted_account_what_ended_does_not_live_again_by_what_was_given(db: Database) -> None:
    told(db, NOON)
    give(db, NOON + 100 * DAY)
    by_hand.ended(db, NOON + 5 * DAY)
    with db.unit_of_work(Job("test")) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    with db.unit_of_work(WHOP) as ctx:
        purchases.set_cancellation(ctx, facts(occurred_at=NOON + DAY, cancel_at_period_end=True))
    with db.read_only() as session:
        (bought,) = session.query(ProviderMembership).filter_by(external_id="mem_1")
        assert (bought.status, bought.period_end) == (MembershipStatus.INACTIVE, NOON + 30 * DAY)
    by_hand.nothing_broken(db)


def test_with_a_deleted_account_credits_do_not_double_beside_a_purchase_that_waits(db: Database) -> None:
    buy(db, "other@example.com")
    give(db, None)
    with db.unit_of_work(Job("test")) as ctx:
        ctx.session.get_one(Profile, "user_a").email = "other@example.com"
        account_deletion.let_go(ctx, user_id="user_a")
        pending = waiting(ctx, "other@example.com")
        assert (pending.usage_credits, pending.used_credits) == (1000, 0)


def test_a_complimentary_one_that_waited_brings_no_credits_beside_a_paid_one(db: Database) -> None:
    told(db, NOON)
    use(db, 300)
    add_profile(db, "user_b", email="other@example.com")
    give(db, None, "user_b")
    with db.unit_of_work(Job("test")) as ctx:
        account_deletion.let_go(ctx, user_id="user_b")
        wish = {"pending_profile_id": waiting(ctx, "other@example.com").id, "user_id": "user_a"}
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, **wish)
        assert "Both memberships are paid" not in plan.consequences[0]
        claims.claim_for_user(ctx, **wish, reason="hers", shown=plan.fingerprint)
    assert credits(db) == (1000, 300)


def test_a_purchase_that_follows_its_buyer_takes_the_place_of_what_was_given(db: Database) -> None:
    give(db, None)
    buy(db, "wrong@example.com")
    use(db, 400)
    told(db, NOON + DAY)
    assert credits(db) == (1000, 0)


def test_a_new_end_earlier_later_and_for_ever_and_back(db: Database) -> None:
    number = give(db, NOON + 10 * DAY)
    by_hand.change_end(db, number, NOON + 50 * DAY)
    by_hand.change_end(db, number, None)
    assert tick(db, NOON + 20 * DAY) == 0
    undo(db)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.billing_cycle_end == NOON + 50 * DAY
    by_hand.change_end(db, number, NOON + 21 * DAY)
    assert tick(db, NOON + 21 * DAY) == 1
    assert by_hand.refused_undo(db) == "The membership is over since."


def test_an_end_whose_former_date_has_passed_is_not_brought_back(db: Database) -> None:
    number = give(db, NOON + 10 * DAY)
    by_hand.change_end(db, number, NOON + 50 * DAY)
    db.clock = lambda: NOON + 11 * DAY
    assert by_hand.refused_undo(db) == ("The former end has passed: it would be over as well. Give a new one instead.")


def test_ended_now_and_taken_back_gives_no_credits_twice(db: Database) -> None:
    number = give(db, NOON + 40 * DAY)
    use(db, 600)
    db.clock = lambda: NOON + 2 * DAY
    end(db, number)
    assert (is_pro(db), credits(db)) == (False, (1000, 600))
    undo(db)
    assert (is_pro(db), credits(db), granted(db)) == (True, (1000, 600), [0])
    assert tick(db, NOON + 40 * DAY) == 1


def test_given_again_within_its_period_there_are_no_fresh_credits(db: Database) -> None:
    end(db, give(db, None))
    use(db, 1000)
    give(db, None)
    assert (granted(db), credits(db)) == ([0], (1000, 1000))
    tick(db, NOON + 28 * DAY)
    assert (granted(db), credits(db)) == ([0, 28], (1000, 0))


def test_undone_the_account_is_as_it_was(db: Database) -> None:
    before = profile_of(db, "user_a")
    number = give(db, NOON + 40 * DAY)
    undo(db)
    after = profile_of(db, "user_a")
    assert before is not None
    assert after is not None
    apart = {"version", "updated_at", "_sa_instance_state"}
    assert {k: v for k, v in vars(after).items() if k not in apart} == {
        k: v for k, v in vars(before).items() if k not in apart
    }
    row = by_hand.row_of(db, number)
    assert (row.profile_user_id, row.ignored_because) == (None, "given by mistake and taken back")
    assert tick(db, NOON + 40 * DAY) == 0
    give(db, None)
    assert credits(db) == (1000, 0)


def test_undone_after_use_what_was_used_stays_counted(db: Database) -> None:
    give(db, None)
    use(db, 300)
    undo(db)
    assert (is_pro(db), credits(db)) == (False, (300, 300))


def test_undone_after_a_purchase_the_bought_credits_stay(db: Database) -> None:
    buy(db, "other@example.com")
    give(db, None)
    signs_in(db, "user_a", "other@example.com")
    undo(db)
    assert (is_pro(db), credits(db)) == (True, (1000, 0))


def test_the_undo_of_a_claim_leaves_what_was_given_since(db: Database) -> None:
    buy(db, "new@example.com")
    signs_in(db, "user_new", "new@example.com")
    give(db, None, "user_new")
    with db.read_only() as session:
        merge_id = session.query(Merge.id).scalar()
    with db.unit_of_work(SUPPORT) as ctx:
        shown = claim_undo.plan(ctx, merge_id=merge_id).fingerprint
    with db.unit_of_work(SUPPORT) as ctx:
        claim_undo.undo(ctx, merge_id=merge_id, reason="wrong", shown=shown)
    by_hand.nothing_broken(db)
    assert is_pro(db, "user_new")


def test_moved_onto_one_who_pays_it_adds_no_credits(db: Database) -> None:
    add_profile(db, "user_b", email="b@example.com")
    told(db, NOON, email="b@example.com")
    use(db, 400, "user_b")
    number = give(db, None)
    ids = {"membership_id": number, "user_id": "user_b"}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = moving.plan_move(ctx, **ids)
    assert "b@example.com is pro already: a paid membership goes before a complimentary one." in shown.consequences
    assert "Beside a complimentary membership 600 of its credits wait until it moves on." in shown.consequences
    with db.unit_of_work(SUPPORT) as ctx:
        moving.move(ctx, **ids, reason="hers", shown=shown.fingerprint)
    by_hand.nothing_broken(db)
    assert (is_pro(db), credits(db, "user_b"), by_hand.open_extras(db)) == (False, (1400, 400), [])
    assert by_hand.refused_undo(db) == "The membership went to somebody else since: move it back first."


def test_no_provider_is_asked_about_it(db: Database) -> None:
    give(db, None)
    nobody: Any = None  # whoever asks it fails
    whop = WhopSide(nobody, lambda: NOON)
    with db.read_only() as session:
        assert list(whop.held(session, NOON, None, 10)) == []
        assert drift_subscriptions.held_memberships(session, 0, 10) == []


def test_what_is_refused(db: Database) -> None:
    with pytest.raises(InvalidInput):
        give(db, NOON)
    with pytest.raises(Forbidden):
        give(db, None, actor=AUDITOR)
    with pytest.raises(InvalidInput):
        give(db, None, reason="  ")
    number = give(db, None)
    with pytest.raises(Conflict):
        give(db, NOON + DAY)
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        complimentary.end(ctx, membership_id=number, reason="x", shown="made up")
    end(db, number)
    with pytest.raises(Conflict):
        end(db, number)
    told(db, NOON)
    with db.read_only() as session:
        sold = session.query(ProviderMembership.id).filter_by(external_id="mem_1").scalar()
    with pytest.raises(NotFound):
        end(db, sold)


def test_two_who_saw_the_same_plan_give_one(db: Database) -> None:
    ids = {"user_id": "user_a", "until": NOON + DAY}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = complimentary.plan_give(ctx, **ids).fingerprint  # type: ignore[arg-type]
    with db.unit_of_work(SUPPORT) as ctx:
        complimentary.give(ctx, **ids, reason="first", shown=shown)  # type: ignore[arg-type]
    with pytest.raises(Conflict), db.unit_of_work(SUPPORT) as ctx:
        complimentary.give(ctx, **ids, reason="second", shown=shown)  # type: ignore[arg-type]
    with db.read_only() as session:
        live = session.query(ProviderMembership).filter_by(status=MembershipStatus.ACTIVE).count()
        assert live == 1


def test_each_step_is_in_the_audit_with_its_reason(db: Database) -> None:
    number = give(db, NOON + 9 * DAY, reason="a prize")
    by_hand.change_end(db, number, NOON + 8 * DAY)
    undo(db)
    end(db, number)
    undo(db)
    tick(db, NOON + 9 * DAY)
    with db.read_only() as session:
        entries = audit.history(session, f"membership:{number}")
    assert [entry.event for entry in reversed(entries)] == [
        "membership.given",
        "membership.end_changed",
        "profile.adjustment_undone",
        "membership.ended_by_hand",
        "profile.adjustment_undone",
        "membership.ended_on_time",
    ]
    assert entries[-1].reason == "a prize"
