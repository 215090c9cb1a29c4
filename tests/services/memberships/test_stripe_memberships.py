"""A person's Stripe subscription is a membership like any other."""

from dataclasses import replace
from datetime import timedelta

from admin_app.db import Database
from admin_app.services import drift_whop
from models import EventState, Membership, MembershipStatus, ProviderMembership
from tests.services import factories
from tests.services.clients import DAY, NOW, subscription
from tests.services.factories import add_profile, facts, profile_of
from tests.services.test_subscription_events import apply, receive


def paying(db: Database) -> None:
    add_profile(
        db,
        "user_a",
        email="a@example.com",
        membership="pro",
        payment_provider="stripe",
        stripe_subscription_id="sub_1",
        stripe_customer_id="cus_1",
        billing_cycle_end=NOW + DAY,
    )


def test_a_subscription_that_ends_at_stripe_ends_the_membership_here(db: Database) -> None:
    paying(db)
    event = apply(db, receive(db, "customer.subscription.deleted"), replace(subscription(), status="canceled"))
    assert (event.state, event.outcome) == (EventState.PROCESSED, "membership sub_1 is inactive")
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.status, profile.stripe_subscription_id) == (
        Membership.FREE,
        MembershipStatus.INACTIVE,
        "sub_1",
    )


def test_a_renewal_at_stripe_moves_the_cycle(db: Database) -> None:
    paying(db)
    start, end = NOW + DAY, NOW + 31 * DAY
    renewed = replace(subscription(), current_period_start=start, current_period_end=end, cancel_at_period_end=True)
    apply(db, receive(db, "invoice.paid"), renewed, NOW + timedelta(days=1))
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.billing_cycle_end, profile.cancel_at_period_end) == (Membership.PRO, end, True)


def test_beside_a_membership_of_whop_the_end_of_one_leaves_the_other(db: Database) -> None:
    paying(db)
    with db.unit_of_work(factories.WHOP) as ctx:
        factories.purchases.record(ctx, facts("a@example.com"))
    apply(db, receive(db, "customer.subscription.deleted"), replace(subscription(), status="unpaid"))
    profile = profile_of(db, "user_a")
    assert profile is not None
    assert (profile.membership, profile.whop_membership_id) == (Membership.PRO, "mem_1")


def test_whop_is_never_asked_for_what_is_stripes(db: Database) -> None:
    paying(db)
    with db.read_only() as session:
        assert session.query(ProviderMembership.external_id).scalar() == "sub_1"
        side = drift_whop.WhopSide(None, db.clock)  # type: ignore[arg-type]
        assert side.held(session, NOW, None, 10) == []
