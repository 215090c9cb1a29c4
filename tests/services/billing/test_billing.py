"""What a fetched subscription does to its client, in any order, and the steps that are kept of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.services import billing
from models import AuditEntry, BillingStatus, Movement, Subscription
from tests.services.billing.test_billing_overrides import follow_the_clock, lift, override
from tests.services.billing.test_trials import grant
from tests.services.client_rows import DAY, NOW, add_client, apply, client_now, steps_of, subscription
from tests.services.money import STRIPE

S = BillingStatus


def state(db: Database, client_id: int) -> tuple[object, ...]:
    client = client_now(db, client_id)
    return tuple(getattr(client, name) for name in billing.IN_FORCE)


@pytest.mark.parametrize(
    ("status", "paused", "means", "payment_active"),
    [
        ("trialing", False, S.TRIAL, True),
        ("active", False, S.ACTIVE, True),
        ("active", True, S.ACTIVE, False),
        ("past_due", False, S.PAST_DUE, False),
        ("unpaid", False, S.PAST_DUE, False),
        ("paused", False, S.PAST_DUE, False),
        ("canceled", False, S.CANCELED, False),
        ("incomplete", False, S.NONE, False),
        ("incomplete_expired", False, S.NONE, False),
        ("brand_new", False, S.PAST_DUE, False),
    ],
)
def test_the_client_follows_the_subscription(
    db: Database, status: str, paused: bool, means: BillingStatus, payment_active: bool
) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(status, collection_paused=paused))
    client = client_now(db, client_id)
    assert (client.billing_status, client.payment_active) == (means, payment_active)
    assert client.stripe_subscription_id == "sub_1"


@pytest.mark.parametrize(
    ("client", "metadata", "is_found"),
    [
        ({"stripe_subscription_id": "sub_1"}, False, True),
        ({"stripe_customer_id": "cus_1"}, False, True),
        ({}, True, True),
        ({"stripe_customer_id": "cus_other"}, True, True),
        ({"stripe_customer_id": "cus_other"}, False, False),
        ({}, False, False),
    ],
)
def test_whose_subscription_it_is(db: Database, client: dict[str, str], metadata: bool, is_found: bool) -> None:
    client_id = add_client(db, **client)
    found = subscription(client_id=client_id if metadata else None)
    assert apply(db, found) == (client_id if is_found else None)
    with db.read_only() as session:
        assert session.scalars(select(Subscription)).one().client_id == (client_id if is_found else None)
    if is_found:
        assert client_now(db, client_id).stripe_customer_id == "cus_1"
    else:
        assert client_now(db, client_id).billing_status is S.NONE


def test_a_subscription_changes_hands(db: Database) -> None:
    first = add_client(db)
    apply(db, subscription(client_id=first))
    with db.unit_of_work(STRIPE) as ctx:
        billing.locked(ctx, first).stripe_customer_id = None
        billing.locked(ctx, first).stripe_subscription_id = None
        ctx.session.flush()
    second = add_client(db, stripe_customer_id="cus_1")
    assert apply(db, subscription(), at=NOW + DAY) == second
    assert client_now(db, second).billing_status is S.ACTIVE
    left = client_now(db, first)
    assert (left.billing_status, left.payment_active) == (S.NONE, False)
    assert [step.movement for step in steps_of(db, first)] == [Movement.NEW, Movement.CHURN]
    assert [step.movement for step in steps_of(db, second)] == [Movement.NEW]


@pytest.mark.parametrize("goes_to", ["another client", "nobody"])
@pytest.mark.parametrize("overridden", [False, True])
def test_nothing_of_a_subscription_stays_with_whom_it_leaves(db: Database, goes_to: str, overridden: bool) -> None:
    first = add_client(db, stripe_customer_id="cus_1")
    on_trial = subscription("trialing", trial_end=NOW + 9 * DAY, cancel_at_period_end=True, canceled_at=NOW)
    apply(db, on_trial)
    left = client_now(db, first)
    assert (left.pending_cancellation, left.cancellation_requested_at) == (True, NOW)
    assert (left.trial_ends_at, left.stripe_subscription_id) == (NOW + 9 * DAY, "sub_1")
    if overridden:
        override(db, first, "active", NOW + 5 * DAY)
    with db.unit_of_work(STRIPE) as ctx:
        billing.locked(ctx, first).stripe_customer_id = "cus_other"
        billing.locked(ctx, first).stripe_subscription_id = None
        ctx.session.flush()
    second = add_client(db, stripe_customer_id="cus_1") if goes_to == "another client" else None
    assert apply(db, on_trial, at=NOW + DAY) == second
    left = client_now(db, first)
    assert (left.pending_cancellation, left.cancellation_requested_at) == (False, None)
    assert (left.trial_ends_at, left.stripe_subscription_id) == (None, None)
    assert left.trial_used_at == on_trial.started_at  # never emptied
    assert left.billing_status is (S.ACTIVE if overridden else S.NONE)
    if second is not None:
        now = client_now(db, second)
        assert (now.pending_cancellation, now.cancellation_requested_at) == (True, NOW)
        assert (now.trial_ends_at, now.stripe_subscription_id) == (NOW + 9 * DAY, "sub_1")
    with db.read_only() as session:
        newest = select(AuditEntry).where(AuditEntry.event == "client.billing_changed").order_by(AuditEntry.id.desc())
        told = [entry for entry in session.scalars(newest) if f"client:{first}" in str(entry.records)]
        assert "pending_cancellation" in str(told[0].changes)
    if overridden:
        follow_the_clock(db, NOW + 6 * DAY)
        assert client_now(db, first).billing_status is S.NONE


def test_whom_another_subscription_stays_with_is_what_that_one_means(db: Database) -> None:
    first = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(id="sub_2", customer_id="cus_1", current_period_end=NOW + 5 * DAY))
    apply(db, subscription(cancel_at_period_end=True, canceled_at=NOW))
    assert client_now(db, first).pending_cancellation
    with db.unit_of_work(STRIPE) as ctx:
        billing.locked(ctx, first).stripe_customer_id = "cus_2"
        billing.locked(ctx, first).stripe_subscription_id = "sub_2"
        ctx.session.flush()
    second = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(cancel_at_period_end=True, canceled_at=NOW), at=NOW + DAY)
    left, now = client_now(db, first), client_now(db, second)
    assert (left.billing_status, left.pending_cancellation, left.stripe_subscription_id) == (S.ACTIVE, False, "sub_2")
    assert (now.billing_status, now.pending_cancellation, now.stripe_subscription_id) == (S.ACTIVE, True, "sub_1")


def test_a_granted_trial_stays_with_whom_a_subscription_leaves(db: Database) -> None:
    """It was never theirs, so that it took no trial's place."""
    db.clock = lambda: NOW
    first = add_client(db, stripe_customer_id="cus_1")
    grant(db, first)
    apply(db, subscription(started_at=NOW + DAY, cancel_at_period_end=True), at=NOW + DAY)
    with db.unit_of_work(STRIPE) as ctx:
        billing.locked(ctx, first).stripe_customer_id = None
        billing.locked(ctx, first).stripe_subscription_id = None
        ctx.session.flush()
    add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription(started_at=NOW + DAY, cancel_at_period_end=True), at=NOW + 2 * DAY)
    left = client_now(db, first)
    assert (left.billing_status, left.pending_cancellation, left.trial_ends_at) == (S.TRIAL, False, NOW + 14 * DAY)


def test_what_was_noted_of_old_stays_without_a_subscription(db: Database) -> None:
    """A client who never had one is not one whom it left."""
    db.clock = lambda: NOW
    client_id = add_client(db, billing_status=S.ACTIVE, payment_active=True, pending_cancellation=True)
    override(db, client_id, "past_due", NOW + 5 * DAY)
    lift(db, client_id)
    client = client_now(db, client_id)
    assert (client.billing_status, client.pending_cancellation) == (S.ACTIVE, True)


def test_the_same_again_does_nothing(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription())

    def kept() -> tuple[object, ...]:
        with db.read_only() as session:
            row = session.scalars(select(Subscription)).one()
            entries = session.scalar(select(func.count()).select_from(AuditEntry))
            return (client_now(db, client_id).version, len(steps_of(db, client_id)), entries, row.version)

    before = kept()
    apply(db, subscription(), at=NOW + DAY)
    assert kept() == before


def test_an_older_answer_never_overwrites_a_newer_one(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription("canceled", ended_at=NOW), at=NOW + DAY)
    assert apply(db, subscription(), at=NOW) == client_id
    assert client_now(db, client_id).billing_status is S.CANCELED


def test_legacy_clients_without_subscriptions_keep_what_they_have(db: Database) -> None:
    client_id = add_client(db, billing_status=S.ACTIVE, payment_active=True)
    with db.unit_of_work(STRIPE) as ctx:
        assert billing.refresh(ctx, billing.locked(ctx, client_id), cause="stripe") is False
    client = client_now(db, client_id)
    assert (client.billing_status, client.payment_active, client.version) == (S.ACTIVE, True, 1)
    assert steps_of(db, client_id) == []


BEGUN = NOW - 40 * DAY
LIFE = (
    (subscription("incomplete"), NOW - 40 * DAY),
    (subscription("trialing", trial_end=NOW - 26 * DAY), NOW - 39 * DAY),
    (subscription(trial_end=NOW - 26 * DAY), NOW - 26 * DAY),
    (subscription(trial_end=NOW - 26 * DAY, monthly_amount=19900), NOW - 20 * DAY),
    (
        subscription("past_due", trial_end=NOW - 26 * DAY, monthly_amount=4900, past_due_since=NOW - 10 * DAY),
        NOW - 9 * DAY,
    ),
    (
        subscription(
            "canceled", trial_end=NOW - 26 * DAY, monthly_amount=4900, canceled_at=NOW - 3 * DAY, ended_at=NOW - 2 * DAY
        ),
        NOW - DAY,
    ),
)


def test_the_steps_of_a_life(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    for found, at in LIFE:
        apply(db, found, at=at, told_at=at)
    assert [
        (step.at, step.status_before, step.status_after, step.monthly_before, step.monthly_after, step.movement)
        for step in steps_of(db, client_id)
    ] == [
        (BEGUN, S.NONE, S.TRIAL, 0, 0, Movement.NONE),
        (NOW - 26 * DAY, S.TRIAL, S.ACTIVE, 0, 9900, Movement.NEW),
        (NOW - 20 * DAY, S.ACTIVE, S.ACTIVE, 9900, 19900, Movement.EXPANSION),
        (NOW - 10 * DAY, S.ACTIVE, S.PAST_DUE, 19900, 4900, Movement.CONTRACTION),
        (NOW - 2 * DAY, S.PAST_DUE, S.CANCELED, 4900, 0, Movement.CHURN),
    ]
    assert client_now(db, client_id).trial_used_at == BEGUN
    back = replace(LIFE[2][0], id="sub_2", trial_end=None, started_at=NOW)
    apply(db, back, at=NOW + DAY)
    last = steps_of(db, client_id)[-1]
    assert (last.at, last.movement, last.status_after) == (NOW, Movement.NEW, S.ACTIVE)
    assert client_now(db, client_id).trial_used_at == BEGUN


def test_answers_in_any_order_come_to_one_end(db: Database) -> None:
    ends = set()
    some = [(index, *LIFE[index]) for index in (1, 2, 4, 5)]
    for number, order in enumerate(permutations(some)):
        client_id = add_client(db, stripe_customer_id=f"cus_{number}x")
        for _, found, at in (*order, *order[:2]):
            mine = replace(found, id=f"sub_{number}x", customer_id=f"cus_{number}x")
            db.clock = lambda: NOW
            with db.unit_of_work(STRIPE) as ctx:
                billing.apply_subscription(ctx, mine, cause="stripe", fetched_at=at)
        ends.add((*state(db, client_id)[:-1], steps_of(db, client_id)[-1].monthly_after))
    assert ends == {(S.CANCELED, False, False, None, BEGUN, NOW - 26 * DAY, 0)}


def test_a_cancellation_is_asked_for_and_taken_back(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    asked = NOW - timedelta(hours=1)
    apply(db, subscription(cancel_at_period_end=True, canceled_at=asked))
    client = client_now(db, client_id)
    assert (client.billing_status, client.pending_cancellation) == (S.ACTIVE, True)
    assert client.cancellation_requested_at == asked
    apply(db, subscription(), at=NOW + DAY)
    client = client_now(db, client_id)
    assert (client.pending_cancellation, client.cancellation_requested_at) == (False, None)


def test_several_subscriptions_count_as_one_client(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    apply(db, subscription("past_due", monthly_amount=1000))
    apply(db, subscription(id="sub_2", monthly_amount=500))
    apply(db, subscription("trialing", id="sub_3", monthly_amount=70_000, trial_end=NOW + DAY))
    apply(db, subscription(id="sub_4", currency="usd", monthly_amount=7))
    client = client_now(db, client_id)
    assert (client.billing_status, client.payment_active) == (S.ACTIVE, True)
    amounts = {step.currency: step.monthly_after for step in steps_of(db, client_id)}
    assert amounts == {"eur": 1500, "usd": 7}
    apply(db, subscription("canceled", id="sub_2", ended_at=NOW, monthly_amount=500), at=NOW + DAY)
    apply(db, subscription("canceled", id="sub_4", ended_at=NOW, currency="usd"), at=NOW + DAY)
    assert client_now(db, client_id).billing_status is S.TRIAL
    moves = [(step.currency, step.movement) for step in steps_of(db, client_id)]
    assert moves[-3:] == [("usd", Movement.NEW), ("eur", Movement.CONTRACTION), ("usd", Movement.CHURN)]


def test_clients_are_found_by_what_is_unique(db: Database) -> None:
    """The number of a customer goes to one client only."""
    holder = add_client(db, stripe_customer_id="cus_1")
    by_subscription = add_client(db, stripe_subscription_id="sub_1")
    assert apply(db, subscription()) == by_subscription
    assert client_now(db, holder).stripe_customer_id == "cus_1"
    assert client_now(db, by_subscription).stripe_customer_id is None


def test_answers_at_once_come_to_the_newest(real_db: Database) -> None:
    """Eight connections take in two subscriptions of a customer whom only the metadata names, each many times."""
    real_db.clock = lambda: NOW
    client_id = add_client(real_db)
    answers = [
        (subscription(word, id=name, client_id=client_id, monthly_amount=100 * number), NOW - number * DAY)
        for number, word in enumerate(("canceled", "active", "past_due", "trialing"))
        for name in ("sub_1", "sub_2")
    ]

    def work(start: int) -> None:
        for found, at in [*answers[start:], *answers[:start]]:
            with real_db.unit_of_work(STRIPE) as ctx:
                billing.apply_subscription(ctx, found, cause="stripe", fetched_at=at)

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(work, range(8)))
    assert client_now(real_db, client_id).billing_status is S.CANCELED
    assert sum(step.monthly_after - step.monthly_before for step in steps_of(real_db, client_id)) == 0
    with real_db.read_only() as session:
        assert session.scalars(select(Subscription.status)).all() == ["canceled", "canceled"]
