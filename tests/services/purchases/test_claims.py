"""The claim: every rule of who gets a purchase, through the customer's and the staff's doors."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from admin_app.context import Ctx
from admin_app.db import Database
from admin_app.errors import (
    AlreadyClaimed,
    EmailNotVerified,
    Forbidden,
    InvalidInput,
    InvalidToken,
    NotSignedIn,
    PendingProfileNotFound,
    PlanMoved,
)
from admin_app.services import memberships, purchases
from admin_app.services.core import audit
from admin_app.services.purchases import claim_links, claim_mails, claims, owners
from models import (
    ExtraPurchase,
    Membership,
    MembershipStatus,
    Merge,
    PaymentProvider,
    PendingProfile,
    PlanDuration,
)
from tests.services.factories import (
    AUDITOR,
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


def test_a_verified_address_claims_and_a_profile_is_made(db: Database) -> None:
    pending = buy(db, "buyer@example.com")
    with db.unit_of_work(customer("user_a", "buyer@example.com", name="Ada")) as ctx:
        result = claims.claim(ctx, email="Buyer@Example.com")
    assert result.outcome == "created"
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.status) == (Membership.PRO, MembershipStatus.ACTIVE)
    assert (profile.usage_credits, profile.used_credits) == (1000, 0)
    assert (profile.email, profile.name) == ("buyer@example.com", "Ada")
    assert (profile.whop_membership_id, profile.whop_user_id) == ("mem_1", "user_whop1")
    assert profile.payment_provider is PaymentProvider.WHOP
    assert profile.plan_duration is PlanDuration.MONTHLY
    assert profile.billing_cycle_end == NOON + timedelta(days=30)
    assert profile.next_credit_renewal == NOON + timedelta(days=28)
    row = pending_of(db, pending.id)
    assert row is not None
    assert (row.claimed, row.claimed_by_user_id) == (True, "user_a")
    assert row.claimed_at is not None


def test_the_same_user_again_gets_the_same_answer(db: Database) -> None:
    buy(db)
    someone = customer("user_a", "buyer@example.com")
    with db.unit_of_work(someone) as ctx:
        first = claims.claim(ctx, email="buyer@example.com")
    with db.unit_of_work(someone) as ctx:
        again = claims.claim(ctx, email="buyer@example.com")
    assert (first.outcome, again.outcome) == ("created", "already_claimed")
    assert again.profile.user_id == first.profile.user_id


def test_a_claimant_without_a_profile_is_still_the_claimant(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(OPERATOR) as ctx:
        row = ctx.session.get_one(PendingProfile, pending.id)
        row.claimed, row.claimed_by_user_id = True, "user_a"
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        again = claims.claim(ctx, email="buyer@example.com")
        assert (again.outcome, again.profile.user_id) == ("already_claimed", "user_a")
    with pytest.raises(AlreadyClaimed), db.unit_of_work(customer("user_b", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")


def test_another_user_is_refused_and_nothing_of_theirs_is_kept(db: Database) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with pytest.raises(AlreadyClaimed), db.unit_of_work(customer("user_b", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    assert profile_of(db, "user_b") is None


def test_an_unverified_address_is_refused_whether_or_not_something_waits(db: Database) -> None:
    buy(db)
    for email in ("buyer@example.com", "nobody@example.com"):
        with pytest.raises(EmailNotVerified), db.unit_of_work(customer("user_a", "other@example.com")) as ctx:
            claims.claim(ctx, email=email)


def test_nothing_waiting_is_not_found(db: Database) -> None:
    with pytest.raises(PendingProfileNotFound), db.unit_of_work(customer("user_a", "a@example.com")) as ctx:
        claims.claim(ctx, email="a@example.com")


def test_the_mailed_token_claims_without_a_verified_address_and_only_once(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(OPERATOR) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test")
    assert mail is not None
    token = mail.text.split("token=")[1].split()[0]
    with pytest.raises(InvalidToken), db.unit_of_work(customer("user_a")) as ctx:
        claims.claim(ctx, email="buyer@example.com", token=token + "x")
    with db.unit_of_work(customer("user_a")) as ctx:
        assert claims.claim(ctx, email="buyer@example.com", token=token).outcome == "created"
    with db.unit_of_work(customer("user_a")) as ctx:
        assert claims.claim_by_token(ctx, token=token).outcome == "already_claimed"
    with pytest.raises(AlreadyClaimed), db.unit_of_work(customer("user_b")) as ctx:
        claims.claim_by_token(ctx, token=token)


def mailed_twice(db: Database, pending: PendingProfile) -> list[str]:
    """The tokens of the first mail and of the one that support sent after it."""
    tokens = []
    for _ in range(2):
        with db.unit_of_work(OPERATOR) as ctx:
            mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test")
            assert mail is not None
            tokens.append(mail.text.split("token=")[1].split()[0])
            claim_mails.mark_sent(ctx, sent_email_id=mail.sent_email_id, kept=False)
            claim_mails.resend(ctx, pending_profile_id=pending.id, reason="lost it")
    return tokens


def test_whoever_verified_the_address_claims_with_a_stale_token_too(db: Database) -> None:
    pending = buy(db)
    replaced, too_old = mailed_twice(db, pending)
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.get_one(PendingProfile, pending.id).token_expires_at = NOON - timedelta(days=1000)
    ways: list[Callable[[Ctx], claims.ClaimResult]] = [
        *(partial(claims.claim_by_token, token=stale) for stale in (replaced, too_old)),
        lambda ctx: by_address(ctx, too_old),
    ]
    for claimed in ways:
        with pytest.raises(InvalidToken), db.unit_of_work(customer("user_b", "other@example.com")) as ctx:
            claimed(ctx)
        with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
            assert claimed(ctx).outcome == "created"
            ctx.session.rollback()
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        assert by_address(ctx, too_old).profile.email == "buyer@example.com"


def by_address(ctx: Ctx, token: str) -> claims.ClaimResult:
    return claims.claim(ctx, email="buyer@example.com", token=token)


def test_the_token_is_kept_hashed_and_not_in_the_mail_that_staff_reads(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(OPERATOR) as ctx:
        mail = claim_mails.prepare(ctx, pending_profile_id=pending.id, base_url="https://b.test")
        assert mail is not None
        token = mail.text.split("token=")[1].split()[0]
        kept = ctx.session.get_one(claim_mails.SentEmail, mail.sent_email_id)
        assert token not in kept.text_body + kept.html_body
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.token == claim_links.token_digest(token)


def test_a_fresh_mail_makes_the_former_link_useless(db: Database) -> None:
    pending = buy(db)
    former, fresh = mailed_twice(db, pending)
    with pytest.raises(InvalidToken), db.unit_of_work(customer("user_a")) as ctx:
        claims.claim_by_token(ctx, token=former)
    with db.unit_of_work(customer("user_a")) as ctx:
        assert claims.claim_by_token(ctx, token=fresh).outcome == "created"


def test_an_existing_free_profile_is_merged_and_keeps_its_name(db: Database) -> None:
    add_profile(db, "user_a", email="old@example.com", name="Ada", usage_credits=20, used_credits=5)
    buy(db, name="A. Buyer")
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        assert claims.claim(ctx, email="buyer@example.com").outcome == "merged"
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.email, profile.name) == (Membership.PRO, "buyer@example.com", "Ada")
    assert (profile.usage_credits, profile.used_credits) == (1000, 0)


def test_what_the_purchase_does_not_say_falls_back_to_the_rule(db: Database) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(PendingProfile(email="bare@example.com"))
    with db.unit_of_work(customer("user_a", "bare@example.com")) as ctx:
        profile = claims.claim(ctx, email="bare@example.com").profile
        assert (profile.membership, profile.payment_provider) == (Membership.PRO, PaymentProvider.WHOP)
        assert (profile.usage_credits, profile.used_credits) == (1000, 0)


def test_someone_already_pro_changes_nothing_and_support_sees_the_extra_purchase(db: Database) -> None:
    before = add_profile(db, "user_a", email="a@example.com", membership="pro", usage_credits=7, used_credits=3)
    pending = buy(db)
    for _ in range(2):
        with db.unit_of_work(customer("user_a", "a@example.com", "buyer@example.com")) as ctx:
            assert claims.claim(ctx, email="buyer@example.com").outcome == "already_pro"
    after = profile_of(db, "user_a")
    assert after is not None
    assert (after.usage_credits, after.used_credits, after.version) == (7, 3, before.version)
    with db.read_only() as session:
        assert [extra.user_id for extra in session.query(ExtraPurchase)] == ["user_a"]
        assert session.get_one(PendingProfile, pending.id).claimed is False


def test_sign_in_claims_every_verified_address_and_makes_a_profile_otherwise(db: Database) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a", "first@example.com", "buyer@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "created"
    with db.unit_of_work(customer("user_a", "first@example.com", "buyer@example.com")) as ctx:
        assert claims.sign_in(ctx).outcome == "already_claimed"
    with db.unit_of_work(customer("user_b", "b@example.com")) as ctx:
        result = claims.sign_in(ctx)
        assert (result.outcome, result.profile.membership) == ("none", Membership.FREE)
        assert result.profile.email == "b@example.com"


def test_an_unverified_address_is_never_kept_on_a_profile(db: Database) -> None:
    buy(db)
    with db.unit_of_work(customer("user_a")) as ctx:
        assert claims.sign_in(ctx).profile.email is None
    assert buy(db).claimed is False


def test_a_legacy_row_is_claimed_like_a_waiting_purchase(db: Database) -> None:
    add_profile(
        db, "temp_42", email="Old@Example.com", membership="pro", whop_membership_id="mem_old", usage_credits=400
    )
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        result = claims.claim(ctx, email="old@example.com")
    assert (result.outcome, result.profile.usage_credits) == ("created", 400)
    assert profile_of(db, "temp_42") is None
    with db.read_only() as session:
        row = session.query(PendingProfile).filter_by(legacy_user_id="temp_42").one()
        assert (row.claimed, row.claimed_by_user_id) == (True, "user_a")


def test_a_legacy_row_paid_through_stripe_keeps_its_ids(db: Database) -> None:
    paid = {"payment_provider": "stripe", "stripe_customer_id": "cus_1", "stripe_subscription_id": "sub_1"}
    add_profile(db, "temp_43", email="old@example.com", membership="pro", **paid)
    with db.unit_of_work(customer("user_a", "old@example.com")) as ctx:
        profile = claims.claim(ctx, email="old@example.com").profile
        assert {name: getattr(profile, name) for name in paid} == paid


def test_a_legacy_row_comes_with_the_purchase_that_waits(db: Database) -> None:
    pending = buy(db, "both@example.com")
    add_profile(db, "temp_9", email="both@example.com", membership="pro", whop_membership_id="mem_9")
    with db.unit_of_work(customer("user_a", "both@example.com")) as ctx:
        profile = claims.claim(ctx, email="both@example.com").profile
        assert {one.external_id for one in memberships.held(ctx.session, profile)} == {"mem_1", "mem_9"}
    row = pending_of(db, pending.id)
    assert row is not None
    assert row.claimed
    assert profile_of(db, "temp_9") is None


def test_an_ended_purchase_gives_no_access(db: Database) -> None:
    buy(db)
    with db.unit_of_work(WHOP) as ctx:
        purchases.end(ctx, facts(occurred_at=NOON + timedelta(days=2)))
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        profile = claims.claim(ctx, email="buyer@example.com").profile
        assert (profile.membership, profile.status) == (Membership.FREE, MembershipStatus.INACTIVE)


# Staff


def test_support_claims_as_the_plan_said(db: Database) -> None:
    pending = buy(db, "jnae@example.com", name="Jane Doe")
    add_user(db, "user_jane", email="jane@example.com", name="Jane Doe")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id="user_jane")
    assert (plan.outcome, plan.refusal) == ("created", None)
    with db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(
            ctx, pending_profile_id=pending.id, user_id="user_jane", reason="misspelt", shown=plan.fingerprint
        )
    profile = profile_of(db, "user_jane")
    assert profile is not None
    planned = {line.field: audit.plain(line.after) for line in plan.lines if line.record == "profile:user_jane"}
    assert {name: audit.plain(getattr(profile, name)) for name in planned} == planned
    assert profile.email == "jane@example.com"  # the misspelt address must not replace the account's own


def test_a_choice_per_field_is_kept_and_a_made_up_one_refused(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com", membership="pro", usage_credits=7, whop_membership_id="mem_x")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id="user_a")
    act = {"pending_profile_id": pending.id, "user_id": "user_a", "reason": "asked by phone", "shown": plan.fingerprint}
    for wrong in ({"usage_credits": "neither"}, {"version": "profile"}, {"user_id": "purchase"}):
        with pytest.raises(InvalidInput), db.unit_of_work(SUPPORT) as ctx:
            claims.claim_for_user(ctx, **act, choices=wrong)
    with db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(ctx, **act, choices={"usage_credits": "profile", "email": "purchase"})
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.usage_credits, profile.email, profile.whop_membership_id) == (7, "buyer@example.com", "mem_1")


def test_the_act_is_refused_when_anything_moved_since_the_plan(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id="user_a")
    with db.unit_of_work(WHOP) as ctx:
        purchases.set_cancellation(ctx, facts(occurred_at=NOON + timedelta(hours=1), cancel_at_period_end=True))
    with pytest.raises(PlanMoved), db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(ctx, pending_profile_id=pending.id, user_id="user_a", reason="x", shown=plan.fingerprint)
    with db.read_only() as session:
        assert session.query(Merge).count() == 0


def test_a_look_for_owners_in_the_background_is_no_move(db: Database) -> None:
    pending = buy(db)
    add_profile(db, "user_a", email="a@example.com")
    with db.unit_of_work(SUPPORT) as ctx:
        plan = claims.plan_for_user(ctx, pending_profile_id=pending.id, user_id="user_a")
    add_user(db, "user_b", email="buyer@example.com")
    with db.unit_of_work(OPERATOR) as ctx:
        owners.refresh_one(replace(ctx, now=ctx.now + timedelta(hours=1)), pending_profile_id=pending.id)
    with db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(ctx, pending_profile_id=pending.id, user_id="user_a", reason="x", shown=plan.fingerprint)
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert profile.whop_membership_id == "mem_1"


def test_only_those_who_resolve_purchases_may_claim_for_others(db: Database) -> None:
    pending = buy(db)
    add_user(db, "user_a")
    for actor, refusal in ((AUDITOR, Forbidden), (customer("user_a"), NotSignedIn)):
        with pytest.raises(refusal), db.unit_of_work(actor) as ctx:
            claims.claim_for_user(ctx, pending_profile_id=pending.id, user_id="user_a", reason="x", shown="")


def test_a_reason_is_needed(db: Database) -> None:
    pending = buy(db)
    add_user(db, "user_a")
    with pytest.raises(InvalidInput), db.unit_of_work(SUPPORT) as ctx:
        claims.claim_for_user(ctx, pending_profile_id=pending.id, user_id="user_a", reason="  ", shown="")


def test_a_claim_writes_one_audit_entry_with_its_changes(db: Database) -> None:
    pending = buy(db)
    with db.unit_of_work(customer("user_a", "buyer@example.com")) as ctx:
        claims.claim(ctx, email="buyer@example.com")
    with db.read_only() as session:
        entries = audit.history(session, f"pending_profile:{pending.id}")
        assert [entry.event for entry in entries] == ["purchase.claimed", "purchase.received"]
        labels = {change.label: change.after for change in entries[0].changes}
        assert labels["Membership"] == "pro"
        assert audit.history(session, "profile:user_a")[0].id == entries[0].id
        assert audit.first_broken_link(session) is None
