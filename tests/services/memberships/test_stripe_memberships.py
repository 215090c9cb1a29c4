"""A person's Stripe subscription is a membership like any other."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from admin_app.db import Database
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import billing, drift, invariants
from admin_app.services.billing import billing_asking
from admin_app.services.drift import Compared, drift_settling, drift_stripe, drift_whop
from admin_app.services.drift.drift_resolving import ADOPT
from admin_app.services.drift.drift_subscriptions import SubscriptionThing
from admin_app.services.invariants import about_clients, about_people
from admin_app.services.memberships.rows import DELETED
from admin_app.services.purchases import account_deletion, stripe_subscriptions
from admin_app.services.subscriptions import owners as billing_owners
from models import (
    CreditPeriod,
    DriftFinding,
    DriftRun,
    DriftState,
    EventState,
    ExtraPurchase,
    Membership,
    MembershipStatus,
    Profile,
    ProviderMembership,
    Subscription,
    WebhookEvent,
)
from tests.services import factories
from tests.services.billing.test_subscription_events import apply, receive
from tests.services.client_rows import DAY, NOW, add_client, subscription
from tests.services.factories import OPERATOR, add_profile, facts, profile_of
from tests.services.money import STRIPE


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


def hears(db: Database, found: StripeSubscription, at: datetime = NOW, number: int = 9) -> WebhookEvent:
    return apply(db, receive(db, "customer.subscription.created", number, subscription_id=found.id), found, at)


def ways(db: Database, way: str, found: StripeSubscription) -> None:
    if way == "delivery":
        event = hears(db, found)
        assert (event.state, event.outcome) == (EventState.PROCESSED, f"membership {found.id} is active")
    elif way == "comparison":
        assert compare(db, found).open == ()
    else:
        billing_asking.apply(lambda: db.unit_of_work(STRIPE), found, NOW)


@pytest.mark.parametrize("way", ["delivery", "comparison", "job"])
def test_a_member_who_subscribes_again_is_pro_again(db: Database, way: str) -> None:
    paying(db)
    hears(db, subscription("canceled", ended_at=NOW - 12 * DAY), NOW - 11 * DAY, 1)
    assert the_profile(db).membership is Membership.FREE
    second = subscription(id="sub_2")
    ways(db, way, second)
    ways(db, "job", second)
    profile = the_profile(db)
    assert (profile.membership, profile.stripe_subscription_id) == (Membership.PRO, "sub_2")
    assert (profile.usage_credits, profile.used_credits) == (1000, 0)
    with db.read_only() as session:
        rows = session.query(ProviderMembership).order_by(ProviderMembership.id)
        assert [(row.external_id, row.profile_user_id) for row in rows] == [("sub_1", "user_a"), ("sub_2", "user_a")]
        assert session.query(CreditPeriod.starts_at).scalar() == second.current_period_start
        assert session.query(Subscription).count() == 0
        for each in (*about_clients.INVARIANTS, *about_people.INVARIANTS):
            assert invariants.look(session, each, now=NOW + DAY) is None, each.name


def test_a_second_one_beside_a_live_one_is_an_extra_purchase(db: Database) -> None:
    paying(db)
    hears(db, subscription(), NOW - DAY, 1)
    hears(db, subscription(id="sub_2", current_period_end=NOW + 300 * DAY))
    with db.read_only() as session:
        (item,) = session.query(ExtraPurchase)
        assert (item.user_id, item.replaced_membership_id, item.resolved_at) == ("user_a", "sub_1", None)
    assert the_profile(db).stripe_subscription_id == "sub_2"


def test_the_subscription_that_a_member_was_known_without_has_its_name_now(db: Database) -> None:
    add_profile(db, "user_a", membership="pro", payment_provider="stripe", stripe_customer_id="cus_1")
    hears(db, subscription())
    with db.read_only() as session:
        assert [row.external_id for row in session.query(ProviderMembership)] == ["sub_1"]


def test_of_two_customers_of_one_member_each_is_known(db: Database) -> None:
    """The profile shows one customer; the other one's memberships tell whose it is."""
    paying(db)
    hears(db, subscription("canceled"), NOW - DAY, 1)
    with db.unit_of_work(STRIPE) as ctx:
        ctx.session.query(Profile).update({"stripe_customer_id": "cus_9"})
    hears(db, subscription(id="sub_2"))
    assert the_profile(db).membership is Membership.PRO


def test_a_members_customer_who_is_a_client_pays_for_the_client(db: Database) -> None:
    paying(db)
    client_id = add_client(db, stripe_customer_id="cus_1")
    event = hears(db, subscription(id="sub_2"))
    assert event.outcome == f"client {client_id} is active"
    named = hears(db, subscription(id="sub_3", customer_id="cus_1", client_id=client_id), NOW, 10)
    assert named.outcome == f"client {client_id} is active"
    with db.read_only() as session:
        assert session.query(ProviderMembership.external_id).filter_by(external_id="sub_2").all() == []


@pytest.mark.parametrize("status", ["incomplete", "unpaid", "canceled"])
def test_a_second_one_that_is_not_paid_makes_nobody_pro(db: Database, status: str) -> None:
    paying(db)
    hears(db, subscription("canceled"), NOW - DAY, 1)
    event = hears(db, subscription(status, id="sub_2"))
    assert event.state is EventState.IGNORED
    assert the_profile(db).membership is Membership.FREE


def test_one_that_staff_deleted_stays_so_until_it_is_paid_again(db: Database) -> None:
    paying(db)
    hears(db, subscription("canceled"), NOW - DAY, 1)
    deleted = {"status": "inactive", "ignored_because": DELETED, "ignored_at": NOW, "provider": "stripe"}
    with db.unit_of_work(STRIPE) as ctx:
        ctx.session.add(ProviderMembership(external_id="sub_2", **deleted))
    hears(db, subscription(id="sub_2"))
    assert the_profile(db).membership is Membership.FREE
    paid = subscription(id="sub_2", current_period_start=NOW + 20 * DAY, current_period_end=NOW + 50 * DAY)
    hears(db, paid, NOW + 20 * DAY, 10)
    assert the_profile(db).membership is Membership.PRO


def test_it_waits_for_a_member_as_well_as_for_a_client(db: Database) -> None:
    """The customer is written here after its subscription was heard of."""
    assert hears(db, subscription()).parked_because == "customer_unknown"
    add_profile(db, "user_a", stripe_customer_id="cus_1")
    with db.read_only() as session:
        assert billing_owners.waiting(session, limit=10) == ["sub_1"]
    billing_asking.apply(lambda: db.unit_of_work(STRIPE), subscription(), NOW + DAY)
    with db.read_only() as session:
        assert billing_owners.waiting(session, limit=10) == []
        assert session.query(WebhookEvent.state).scalar() is EventState.RECEIVED
    assert the_profile(db).membership is Membership.PRO


@pytest.mark.parametrize(("status", "is_named"), [("active", True), ("past_due", True), ("unpaid", False)])
def test_what_a_member_pays_for_without_having_it_is_named(db: Database, status: str, is_named: bool) -> None:
    """Until it is asked about again, which makes it their membership."""
    db.clock = lambda: NOW
    with db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(ctx, subscription(status), cause="comparison", fetched_at=NOW)
    add_profile(db, "user_a", stripe_customer_id="cus_1")
    rule = next(each for each in about_clients.INVARIANTS if each.name == "nobodys-subscription-is-on-a-list")

    def is_broken() -> bool:
        with db.read_only() as session:
            return invariants.look(session, rule, now=NOW + DAY) is not None

    assert is_broken() is is_named
    billing_asking.apply(lambda: db.unit_of_work(STRIPE), subscription(status), NOW + DAY)
    assert not is_broken()


def test_what_a_members_customer_pays_for_a_client_who_is_not_here_yet_waits_for_the_client(db: Database) -> None:
    paying(db)
    hears(db, subscription(), NOW - DAY, 1)
    event = hears(db, subscription(id="sub_2", client_id=4711))
    assert (event.state, event.parked_because) == (EventState.PARKED, "customer_unknown")
    with db.read_only() as session:
        assert billing_owners.waiting(session, limit=10) == []


def test_a_further_subscription_does_not_go_to_an_account_that_was_deleted(db: Database) -> None:
    add_profile(db, "user_a", email="a@example.com", stripe_customer_id="cus_1")
    with db.unit_of_work(OPERATOR) as ctx:
        account_deletion.let_go(ctx, user_id="user_a")
    with db.unit_of_work(STRIPE) as ctx:
        assert stripe_subscriptions.apply(ctx, subscription(), asked_at=NOW) is None
    assert the_profile(db).membership is Membership.FREE
