"""What a deleted account held when nobody knows its address, and what nobody can bring back to it."""

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services import invariants
from admin_app.services.memberships import complimentary, moving
from admin_app.services.purchases import account_deletion, claims, undo
from models import Membership, Profile, ProviderMembership
from tests.services.factories import OPERATOR, SUPPORT, add_profile, add_user, buy, customer, waiting

X, Y, Z = "x@example.com", "y@example.com", "z@example.com"


def test_what_an_account_without_any_address_held_is_seen_by_support(db: Database) -> None:
    add_profile(db, "user_a", membership="pro", whop_membership_id="mem_1", usage_credits=500)
    with db.unit_of_work(OPERATOR) as ctx:
        assert account_deletion.let_go(ctx, user_id="user_a")
        assert ctx.session.get_one(Profile, "user_a").membership is Membership.FREE
        (row,) = ctx.session.scalars(select(ProviderMembership))
        assert (row.external_id, row.profile_user_id, row.pending_profile_id) == ("mem_1", None, None)
    with db.read_only() as session:
        names = {found.invariant.name for found in invariants.broken(session, now=db.clock())}
        assert names == {"live-membership-has-holder"}


def test_nothing_is_undone_or_moved_to_a_deleted_account(db: Database) -> None:
    buy(db, X)
    buy(db, Y, membership_id="mem_2")
    add_user(db, "user_b", email=Z)
    with db.unit_of_work(customer("user_a", X)) as ctx:
        claims.sign_in(ctx)
    with db.unit_of_work(SUPPORT) as ctx:
        ids = {"pending_profile_id": waiting(ctx, Y).id, "user_id": "user_a"}
        shown = claims.plan_for_user(ctx, **ids).fingerprint
        merge_id = claims.claim_for_user(ctx, **ids, reason="asked", shown=shown).merge_id
        moved = ctx.session.scalars(
            select(ProviderMembership.id).where(ProviderMembership.external_id == "mem_2")
        ).one()
        shown = moving.plan_move(ctx, membership_id=moved, user_id="user_b").fingerprint
        moving.move(ctx, membership_id=moved, user_id="user_b", reason="asked", shown=shown)
    with db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    with db.unit_of_work(SUPPORT) as ctx:
        assert "deleted at the sign-in provider" in (undo.plan(ctx, merge_id=merge_id or 0).refusal or "")
        assert "deleted at the sign-in provider" in (moving.plan_back(ctx, membership_id=moved).refusal or "")
        with pytest.raises(InvalidInput):
            moving.plan_move(ctx, membership_id=moved, user_id="user_a")


def test_an_undo_brings_no_former_address_back(db: Database) -> None:
    buy(db, Y)
    add_user(db, "user_a", email=X)
    add_profile(db, "user_a", email=X)
    with db.unit_of_work(SUPPORT) as ctx:
        ids = {"pending_profile_id": waiting(ctx, Y).id, "user_id": "user_a"}
        shown = claims.plan_for_user(ctx, **ids).fingerprint
        merge_id = claims.claim_for_user(
            ctx, **ids, reason="asked", shown=shown, choices={"email": "purchase"}
        ).merge_id
    with db.unit_of_work(customer("user_a", Z)) as ctx:
        claims.sign_in(ctx)
    with db.unit_of_work(SUPPORT) as ctx:
        plan = undo.plan(ctx, merge_id=merge_id or 0)
        assert plan.refusal is None
        undo.undo(ctx, merge_id=merge_id or 0, reason="wrong", shown=plan.fingerprint)
        assert ctx.session.get_one(Profile, "user_a").email == Z


def test_nothing_is_given_to_a_deleted_account_that_never_had_a_profile(db: Database) -> None:
    add_user(db, "user_c", email=X)
    with db.unit_of_work(OPERATOR) as ctx:
        assert account_deletion.let_go(ctx, user_id="user_c")
        assert account_deletion.let_go(ctx, user_id="user_c")
    with pytest.raises(InvalidInput), db.unit_of_work(SUPPORT) as ctx:
        complimentary.plan_give(ctx, user_id="user_c", until=None)
    with db.read_only() as session:
        assert invariants.broken(session, now=db.clock()) == []
