"""A person's Stripe subscription is a membership like any other."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import billing, billing_asking, drift, drift_settling, drift_stripe, drift_whop
from admin_app.services.drift import Compared
from admin_app.services.drift_resolving import ADOPT
from admin_app.services.drift_subscriptions import SubscriptionThing
from models import (
    DriftFinding,
    DriftRun,
    DriftState,
    EventState,
    Membership,
    MembershipStatus,
    Profile,
    ProviderMembership,
    Subscription,
)
from tests.services import factories
from tests.services.clients import DAY, NOW, subscription
from tests.services.factories import OPERATOR, add_profile, facts, profile_of
from tests.services.money import STRIPE
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


def the_profile(db: Database) -> Profile:
    profile = profile_of(db, "user_a")
    assert profile is not None
    return profile


def side(db: Database) -> drift_stripe.StripeSide:
    return drift_stripe.StripeSide(None, db.clock)  # type: ignore[arg-type]


def compare(db: Database, found: StripeSubscription, at: datetime = NOW) -> Compared:
    db.clock = lambda: at
    with db.unit_of_work(STRIPE) as ctx:
        return drift.take_in(ctx, side(db), SubscriptionThing(found, at))


def test_the_comparison_ends_a_members_subscription_whose_delivery_was_lost(db: Database) -> None:
    paying(db)
    found = compare(db, subscription("canceled", ended_at=NOW))
    assert (found.subject, found.open) == ("profile:user_a", ())
    assert [(one.field, one.ours, one.theirs) for one in found.repaired if one.field == "status"] == [
        ("status", "active", "canceled")
    ]
    assert (the_profile(db).membership, the_profile(db).status) == (Membership.FREE, MembershipStatus.INACTIVE)


def test_a_members_subscription_that_goes_on_is_no_difference(db: Database) -> None:
    paying(db)
    renewed = subscription(current_period_end=NOW + 31 * DAY, customer_id="cus_1")
    assert compare(db, renewed).open == ()
    again = compare(db, renewed, NOW + DAY)
    assert (again.open, again.repaired) == ((), ())
    assert the_profile(db).billing_cycle_end == NOW + 31 * DAY
    with db.read_only() as session:
        assert session.query(Subscription).count() == 0


def test_a_members_subscription_that_a_run_took_for_nobodys_is_no_difference_any_more(db: Database) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(ctx, subscription(), cause="comparison", fetched_at=NOW)
    paying(db)
    assert compare(db, subscription(), NOW + DAY).open == ()


def test_live_memberships_of_stripe_are_asked_about_one_by_one(db: Database) -> None:
    """One that Stripe does not list any more would never be looked at otherwise."""
    paying(db)
    compare(db, subscription())
    with db.read_only() as session:
        page = side(db).held(session, NOW, None, 10)
        assert [external_id for _, external_id in page] == ["sub_1"]
        assert side(db).held(session, NOW, page[-1][0], 10) == []
    compare(db, subscription("canceled"), NOW + DAY)
    with db.read_only() as session:
        assert side(db).held(session, NOW, None, 10) == []


def test_a_members_subscription_that_stripe_does_not_know_ends_when_somebody_says_so(db: Database) -> None:
    paying(db)
    with db.unit_of_work(OPERATOR) as ctx:
        gone = drift.missing_there(ctx, side(db), "sub_1")
        run = DriftRun(provider="stripe", by="test", started_at=NOW)
        ctx.session.add(run)
        ctx.session.flush()
        drift.note(ctx, run.id, "stripe", gone)
        finding = ctx.session.query(DriftFinding).one()
        finding.wanted, finding.reason = ADOPT, "Deleted there."
        finding_id = finding.id
    asked = SimpleNamespace(subscription=lambda _: None)
    at_stripe = drift_stripe.StripeSide(asked, db.clock)  # type: ignore[arg-type]
    drift_settling.settle(
        lambda: db.unit_of_work(OPERATOR),
        None,
        at_stripe,
        finding_id=finding_id,  # type: ignore[arg-type]
    )
    with db.read_only() as session:
        assert session.get_one(DriftFinding, finding_id).state is DriftState.ADOPTED
    assert the_profile(db).membership is Membership.FREE


def test_what_a_job_fetched_of_a_member_is_applied_to_the_membership(db: Database) -> None:
    paying(db)
    billing_asking.apply(lambda: db.unit_of_work(STRIPE), subscription("canceled"), NOW)
    assert the_profile(db).membership is Membership.FREE
    with db.read_only() as session:
        assert session.query(Subscription).count() == 0
