"""Undo: what is still true of the state before, or the name of what stands in the way."""

from typing import Any

import pytest

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput, NotFound, NotSignedIn, PlanMoved, UndoBlocked
from admin_app.services import purchases
from admin_app.services.core import audit
from admin_app.services.core.plans import Plan, snapshot
from admin_app.services.purchases import claim_links, claims, credit_renewals, pending_profiles, undo
from models import (
    ExtraPurchase,
    Membership,
    MembershipStatus,
    Merge,
    PendingProfile,
    Profile,
    ProviderMembership,
)
from tests.services.factories import (
    AUDITOR,
    LATER,
    NOON,
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

MOVES = {"version", "updated_at", "token", "token_expires_at"}  # counters, and the link that is never given back


def state(row: Profile | PendingProfile | None) -> dict[str, Any]:
    assert row is not None
    return {name: value for name, value in snapshot(row).items() if name not in MOVES}


def staff_merge(db: Database, pending_id: int, user_id: str, **choices: str) -> int:
    ids: dict[str, Any] = {"pending_profile_id": pending_id, "user_id": user_id}
    with db.unit_of_work(SUPPORT) as ctx:
        shown = claims.plan_for_user(ctx, **ids).fingerprint
        merge_id = claims.claim_for_user(ctx, **ids, reason="asked", shown=shown, choices=choices).merge_id
    assert merge_id is not None
    return merge_id


def own_claim(db: Database, user_id: str, email: str = "buyer@example.com") -> int:
    with db.unit_of_work(customer(user_id, email)) as ctx:
        merge_id = claims.claim(ctx, email=email).merge_id
    assert merge_id is not None
    return merge_id


def plan_of(db: Database, merge_id: int) -> Plan:
    with db.unit_of_work(SUPPORT) as ctx:
        return undo.plan(ctx, merge_id=merge_id)


def undone(
    db: Database, merge_id: int, *, shown: str | None = None, actor: Any = SUPPORT, reason: str = "wrong"
) -> None:
    shown = shown or plan_of(db, merge_id).fingerprint
    with db.unit_of_work(actor) as ctx:
        undo.undo(ctx, merge_id=merge_id, reason=reason, shown=shown)


def extras_open(db: Database) -> list[tuple[str, int | None, str | None]]:
    with db.read_only() as session:
        found = session.query(ExtraPurchase).filter(ExtraPurchase.resolved_at.is_(None)).order_by(ExtraPurchase.id)
        return [(extra.user_id, extra.pending_profile_id, extra.replaced_membership_id) for extra in found]


def test_a_merge_is_undone_to_exactly_the_rows_before(db: Database) -> None:
    pending = buy(db, name="Bea")
    before = add_profile(
        db,
        "user_a",
        email="a@example.com",
        name="Ada",
        membership="pro",
        payment_provider="whop",
        stripe_customer_id="cus_1",
        usage_credits=70,
        used_credits=30,
        billing_cycle_end=NOON,
        whop_membership_id="mem_own",
        provider_event_at=NOON,
    )
    was = state(before), state(pending_of(db, pending.id))
    merge_id = staff_merge(db, pending.id, "user_a", usage_credits="profile")
    assert state(profile_of(db, "user_a")) != was[0]
    undone(db, merge_id)
    assert (state(profile_of(db, "user_a")), state(pending_of(db, pending.id))) == was


def test_a_claim_that_made_the_profile_is_undone_to_no_profile(db: Database) -> None:
    pending = buy(db)
    was = state(pending_of(db, pending.id))
    undone(db, own_claim(db, "user_a"))
    assert profile_of(db, "user_a") is None
    assert state(pending_of(db, pending.id)) == was


def test_undone_and_redone_and_undone_again(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com", usage_credits=5)
    was = state(profile_of(db, "user_a"))
    for _ in range(3):
        merge_id = staff_merge(db, pending.id, "user_a")
        merged = state(profile_of(db, "user_a"))
        assert (merged["membership"], merged["usage_credits"]) == ("pro", 1000)
        undone(db, merge_id)
        assert state(profile_of(db, "user_a")) == was
    with db.read_only() as session:
        assert session.query(Merge).filter(Merge.undone_at.is_not(None)).count() == 3


def test_after_the_undo_another_account_may_have_it(db: Database) -> None:
    pending = buy(db)
    undone(db, own_claim(db, "user_wrong"))
    add_user(db, "user_right", email="right@example.com")
    staff_merge(db, pending.id, "user_right")
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.claimed_by_user_id == "user_right"


def test_a_second_undo_is_refused(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    shown = plan_of(db, merge_id).fingerprint
    undone(db, merge_id, shown=shown)
    assert "undone already by support@demo.test" in (plan_of(db, merge_id).refusal or "")
    with pytest.raises(Conflict, match="conflict") as refused:
        undone(db, merge_id, shown=shown)
    assert "support@demo.test" in refused.value.sentence


def test_a_used_link_does_not_come_back_to_life(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token = claim_links.token_digest("link")
    with db.unit_of_work(customer("user_a")) as ctx:
        merge_id = claims.claim_by_token(ctx, token="link").merge_id
    assert merge_id is not None
    undone(db, merge_id)
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.token is None


# What stands in the way, by name


def test_a_later_merge_on_the_same_profile_comes_first(db: Database) -> None:
    first, second = buy(db), buy(db, "second@example.com", membership_id="mem_2")
    add_profile(db, "user_a", email="a@example.com")
    merges = [staff_merge(db, first.id, "user_a"), staff_merge(db, second.id, "user_a")]
    sentence = plan_of(db, merges[0]).refusal or ""
    assert f"Merge {merges[1]} by support@demo.test" in sentence
    with pytest.raises(UndoBlocked):
        undone(db, merges[0])
    undone(db, merges[1])
    undone(db, merges[0])


def test_what_ended_since_goes_back_as_ended(db: Database) -> None:
    pending = buy(db)
    merge_id = own_claim(db, "user_a")
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=NOON + LATER))
    plan = plan_of(db, merge_id)
    assert plan.refusal is None
    assert "A membership of this purchase has ended since: it waits as ended." in plan.consequences
    undone(db, merge_id)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.membership, row.status, row.claimed) == (Membership.FREE, MembershipStatus.INACTIVE, False)
    assert profile_of(db, "user_a") is None


def test_used_credits_do_not_block_and_stay_counted_with_whoever_used_them(db: Database) -> None:
    pending = buy(db)
    merge_id = own_claim(db, "user_a")
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(Profile, "user_a").used_credits = 1
    undone(db, merge_id)
    profile, row = profile_of(db, "user_a"), pending_of(db, pending.id)
    assert profile is not None
    assert row is not None
    assert (profile.membership, profile.usage_credits, profile.used_credits) == (Membership.FREE, 0, 1)
    assert (profile.whop_membership_id, row.usage_credits, row.used_credits) == (None, 1000, 0)


@pytest.mark.parametrize("own_ends", [False, True])
def test_a_renewal_or_the_end_of_the_other_one_does_not_block(db: Database, own_ends: bool) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com", membership="pro", whop_membership_id="mem_own")
    merge_id = staff_merge(db, pending.id, "user_a")
    with db.unit_of_work(WHOP) as ctx:
        if own_ends:
            purchases.end(ctx, facts(membership_id="mem_own", occurred_at=NOON + LATER))
        else:
            purchases.record(ctx, facts(occurred_at=NOON + 30 * LATER))
    undone(db, merge_id)
    profile, row = profile_of(db, "user_a"), pending_of(db, pending.id)
    assert profile is not None
    assert row is not None
    assert (profile.membership, profile.whop_membership_id) == ("free" if own_ends else "pro", "mem_own")
    assert (row.membership, row.billing_cycle_end) == ("pro", NOON + (30 if own_ends else 60) * LATER)
    assert extras_open(db) == []


def test_a_profile_that_is_gone_is_named(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.delete(ctx.session.get_one(Profile, "user_a"))
    assert "The profile user_a is gone." in (plan_of(db, merge_id).refusal or "")
    with pytest.raises(UndoBlocked):
        undone(db, merge_id)


def test_a_purchase_that_is_gone_is_named(db: Database) -> None:
    pending = buy(db)
    merge_id = own_claim(db, "user_a")
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.delete(ctx.session.get_one(PendingProfile, pending.id))
    assert "The purchase itself was deleted." in (plan_of(db, merge_id).refusal or "")
    with pytest.raises(UndoBlocked):
        undone(db, merge_id)


def test_what_the_profile_got_from_elsewhere_is_not_thrown_away(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.get_one(Profile, "user_a").stripe_customer_id = "cus_1"
    assert "Stripe customer changed since the claim: what is true now counts." in plan_of(db, merge_id).consequences
    undone(db, merge_id)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.stripe_customer_id) == (Membership.FREE, "cus_1")


def test_a_membership_that_went_on_to_somebody_else_is_named(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    add_profile(db, "user_b", email="b@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        (row,) = ctx.session.query(ProviderMembership)
        row.profile_user_id = "user_b"
    assert "The membership mem_1 went to somebody else since" in (plan_of(db, merge_id).refusal or "")
    with pytest.raises(UndoBlocked):
        undone(db, merge_id)


def test_the_membership_beside_the_merged_one_is_told_of_by_its_id(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com", membership="pro", whop_membership_id="mem_own")
    staff_merge(db, pending.id, "user_a", email="purchase")
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts("a@example.com", membership_id="mem_own", occurred_at=NOON + LATER))
        assert ctx.session.query(PendingProfile).count() == 1
    assert extras_open(db) == [("user_a", None, "mem_1")]


# The worklist


def test_undoing_the_merge_of_an_extra_purchase_puts_it_back_on_the_worklist(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro", whop_membership_id="mem_own")
    pending = buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    assert extras_open(db) == [("user_a", pending.id, None)]
    for _ in range(2):
        merge_id = staff_merge(db, pending.id, "user_a")
        assert extras_open(db) == [("user_a", None, "mem_own")]  # replaced, and maybe still charged
        undone(db, merge_id)
        assert extras_open(db) == [("user_a", pending.id, None)]


def test_a_stripe_subscription_that_gives_way_to_the_purchase_goes_on_the_worklist(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro", stripe_subscription_id="sub_own")
    merge_id = staff_merge(db, buy(db).id, "user_a")
    assert extras_open(db) == [("user_a", None, "sub_own")]
    undone(db, merge_id)
    assert extras_open(db) == []


def test_what_support_had_settled_stays_settled(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", membership="pro", whop_membership_id="mem_own")
    pending = buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        (extra,) = ctx.session.query(ExtraPurchase)
        pending_profiles.settle_extra(ctx, extra_id=extra.id, resolution="kept", reason="customer said so")
    undone(db, staff_merge(db, pending.id, "user_a"))
    assert extras_open(db) == []


# Who, when, and what is kept


def test_an_undo_on_an_old_plan_is_refused(db: Database) -> None:
    buy(db)
    add_profile(db, "user_a", email="a@example.com")
    merge_id = own_claim(db, "user_a")
    shown = plan_of(db, merge_id).fingerprint
    with db.unit_of_work(SUPPORT) as ctx:
        ctx.session.get_one(Profile, "user_a").version += 1
    with pytest.raises(PlanMoved):
        undone(db, merge_id, shown=shown)
    with pytest.raises(PlanMoved):
        undone(db, merge_id, shown="made up")


@pytest.mark.parametrize(("actor", "refusal"), [(AUDITOR, Forbidden), (customer("user_a"), NotSignedIn)])
def test_only_those_who_resolve_purchases_undo(db: Database, actor: Any, refusal: type[Exception]) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    with pytest.raises(refusal):
        undone(db, merge_id, actor=actor)


def test_a_reason_and_a_merge_are_needed(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    with pytest.raises(InvalidInput):
        undone(db, merge_id, reason=" ")
    with pytest.raises(NotFound):
        plan_of(db, merge_id + 1)


def test_an_undo_is_one_audit_entry_with_all_that_it_changed(db: Database) -> None:
    pending = buy(db)
    undone(db, own_claim(db, "user_a"), reason="wrong person")
    with db.read_only() as session:
        entry = audit.history(session, f"pending_profile:{pending.id}")[0]
        assert (entry.event, entry.reason) == ("purchase.undone", "wrong person")
        assert entry.sentence == "support@demo.test undid the claim of buyer@example.com for buyer@example.com"
        changes = {change.label: (change.before, change.after) for change in entry.changes}
        assert changes["Membership"] == ("pro", None)
        assert changes["Claimed by"] == ("user_a", None)
        for key in ("profile:user_a", "whop_membership:mem_1"):
            assert audit.history(session, key)[0].id == entry.id


def bought_beside(db: Database) -> None:
    with db.unit_of_work(WHOP) as ctx:
        purchases.record(ctx, facts(membership_id="mem_2", occurred_at=NOON + LATER))


def credits_after_undo(db: Database, merge_id: int) -> tuple[str, int, int]:
    plan = plan_of(db, merge_id)
    shown = {line.field: line.after for line in plan.lines if line.record == "profile:user_a"}
    undone(db, merge_id)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (shown["usage_credits"], shown["used_credits"]) == (profile.usage_credits, profile.used_credits)
    return profile.membership.value, profile.usage_credits, profile.used_credits


def test_the_credits_of_what_was_bought_since_stay(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    bought_beside(db)
    assert credits_after_undo(db, merge_id) == ("pro", 1000, 0)


def test_the_credits_of_what_was_bought_since_stay_as_far_as_they_are_not_used(db: Database) -> None:
    buy(db)
    merge_id = own_claim(db, "user_a")
    bought_beside(db)
    with db.unit_of_work(WHOP) as ctx:
        ctx.session.get_one(Profile, "user_a").used_credits = 300
    membership, usage, used = credits_after_undo(db, merge_id)
    assert (membership, usage - used) == ("pro", 700)


def test_the_credits_of_the_accounts_own_renewal_stay(db: Database) -> None:
    pending = buy(db)
    own = {"whop_membership_id": "mem_own", "usage_credits": 1000, "used_credits": 900}
    times = {"next_credit_renewal": NOON + LATER, "billing_cycle_end": NOON + 300 * LATER}
    add_profile(db, "user_a", email="a@example.com", membership="pro", **own, **times)
    merge_id = staff_merge(db, pending.id, "user_a")
    db.clock = lambda: NOON + 2 * LATER
    with db.unit_of_work(WHOP) as ctx:
        assert credit_renewals.renew(ctx, user_id="user_a")
    assert credits_after_undo(db, merge_id) == ("pro", 1000, 0)
