"""A trial is granted once and can be extended, here or at Stripe."""

from datetime import datetime

import pytest
from sqlalchemy import select

from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, InvalidInput
from admin_app.services.billing import trials
from admin_app.services.clients import client_facts
from models import BillingStatus, CallState, Client, ProviderCall
from tests.services.billing.test_billing_overrides import (  # noqa: F401
    FINANCE,
    OPS,
    _noon,
    follow_the_clock,
    in_force,
    lift,
    override,
    take_in,
)
from tests.services.client_rows import DAY, NOW, add_client, client_now, steps_of

S = BillingStatus


def grant(db: Database, client_id: int, until: datetime | None = NOW + 14 * DAY, by: object = FINANCE) -> Client:
    with db.unit_of_work(by) as ctx:  # type: ignore[arg-type]
        plan = trials.plan_grant(ctx, client_id=client_id, until=until)
        return trials.grant(ctx, client_id=client_id, until=until, reason="Asked for one", shown=plan.fingerprint)


def extend(db: Database, client_id: int, until: datetime) -> Client:
    with db.unit_of_work(FINANCE) as ctx:
        plan = trials.plan_extend(ctx, client_id=client_id, until=until)
        return trials.extend(ctx, client_id=client_id, until=until, reason="Needs longer", shown=plan.fingerprint)


def gate_says(db: Database, client_id: int) -> BillingStatus | None:
    with db.read_only() as session:
        facts = client_facts.facts_of(session, client_id, trial_days=14).billing
    assert facts is not None
    return facts.in_force(db.clock()).status


def test_a_trial_is_granted_once(db: Database) -> None:
    client_id = add_client(db)
    grant(db, client_id)
    client = client_now(db, client_id)
    assert in_force(db, client_id) == (S.TRIAL, True)
    assert (client.trial_used_at, client.trial_ends_at) == (NOW, NOW + 14 * DAY)
    with pytest.raises(Conflict, match="conflict") as refused:
        grant(db, client_id)
    assert "it began on 01 Mar 2026 (UTC)" in refused.value.sentence
    assert follow_the_clock(db, NOW + 14 * DAY) == [client_id]
    assert in_force(db, client_id) == (S.NONE, False)
    assert follow_the_clock(db, NOW + 15 * DAY) == []
    assert [(step.at, step.status_after) for step in steps_of(db, client_id)] == [
        (NOW, S.TRIAL),
        (NOW + 14 * DAY, S.NONE),
    ]
    with pytest.raises(Conflict):
        grant(db, client_id, NOW + 30 * DAY)


@pytest.mark.parametrize(
    "client",
    [
        {"trial_used_at": NOW - 90 * DAY},
        {"billing_status": S.ACTIVE},
        {"billing_status": S.PAST_DUE},
        {"billing_status": S.TRIAL},
    ],
)
def test_who_gets_no_trial(db: Database, client: dict[str, object]) -> None:
    client_id = add_client(db, **client)
    with pytest.raises(Conflict):
        grant(db, client_id)


def test_who_may_not_grant_one_and_until_when(db: Database) -> None:
    client_id = add_client(db)
    with pytest.raises(Forbidden):
        grant(db, client_id, by=OPS)
    for until in (None, NOW, NOW - DAY):
        with pytest.raises(InvalidInput):
            grant(db, client_id, until)
    assert client_now(db, client_id).trial_used_at is None


def test_a_subscription_takes_the_place_of_a_granted_trial(db: Database) -> None:
    """For good: once it was canceled, the trial is over and used, not back and not to be extended."""
    client_id = add_client(db, stripe_customer_id="cus_1")
    grant(db, client_id)
    take_in(db, "incomplete", NOW + DAY)
    assert in_force(db, client_id) == (S.NONE, False)
    take_in(db, "active", NOW + 2 * DAY)
    assert in_force(db, client_id) == (S.ACTIVE, True)
    take_in(db, "canceled", NOW + 3 * DAY, ended_at=NOW + 3 * DAY)
    assert in_force(db, client_id) == (S.CANCELED, False)
    client = client_now(db, client_id)
    assert (client.trial_used_at, client.trial_ends_at) == (NOW, None)
    assert gate_says(db, client_id) is S.CANCELED
    for act in (lambda: extend(db, client_id, NOW + 40 * DAY), lambda: grant(db, client_id, NOW + 40 * DAY)):
        with pytest.raises(Conflict):
            act()
    assert follow_the_clock(db, NOW + 14 * DAY) == []
    override(db, client_id, "active", NOW + 15 * DAY)
    assert follow_the_clock(db, NOW + 16 * DAY) == [client_id]
    assert in_force(db, client_id) == (S.CANCELED, False)


@pytest.mark.parametrize("ends", ["lifted", "by the clock"])
def test_an_override_does_not_bring_a_trial_back_that_gave_way(db: Database, ends: str) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    grant(db, client_id)
    override(db, client_id, "active", NOW + 5 * DAY)
    take_in(db, "active", NOW + DAY, started_at=NOW + DAY)
    take_in(db, "canceled", NOW + 2 * DAY, started_at=NOW + DAY, ended_at=NOW + 2 * DAY)
    if ends == "lifted":
        lift(db, client_id)
    else:
        db.clock = lambda: NOW + 6 * DAY
        assert gate_says(db, client_id) is S.CANCELED  # before it is noted
        follow_the_clock(db, NOW + 6 * DAY)
    assert in_force(db, client_id) == (S.CANCELED, False)


@pytest.mark.parametrize(
    ("status", "said", "is_back"),
    [
        ("incomplete_expired", {"ended_at": NOW + 2 * DAY}, True),  # a checkout that failed
        ("canceled", {"started_at": NOW - 9 * DAY, "ended_at": NOW - 8 * DAY}, True),  # of before the trial, seen late
        ("canceled", {"started_at": NOW - 9 * DAY, "ended_at": NOW + DAY}, False),  # it ran into the trial
        ("canceled", {"started_at": NOW + DAY, "ended_at": NOW + DAY}, False),
        ("canceled", {"started_at": NOW + DAY, "canceled_at": NOW + DAY}, False),
        # Of another trial, at Stripe and earlier: the one trial was used then.
        ("canceled", {"started_at": NOW - 9 * DAY, "trial_end": NOW - 8 * DAY, "ended_at": NOW - 8 * DAY}, False),
    ],
)
def test_which_subscription_ends_a_granted_trial(
    db: Database, status: str, said: dict[str, datetime], is_back: bool
) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    grant(db, client_id)
    take_in(db, status, NOW + 2 * DAY, **said)
    for at in (NOW + 3 * DAY, NOW + 4 * DAY):  # and again, which changes nothing
        assert in_force(db, client_id) == ((S.TRIAL, True) if is_back else (S.CANCELED, False))
        assert gate_says(db, client_id) is (S.TRIAL if is_back else S.CANCELED)
        take_in(db, status, at, **said)
    assert follow_the_clock(db, NOW + 14 * DAY) == ([client_id] if is_back else [])


def test_an_override_above_a_granted_trial(db: Database) -> None:
    client_id = add_client(db)
    grant(db, client_id)
    override(db, client_id, "past_due", NOW + 3 * DAY)
    assert in_force(db, client_id) == (S.PAST_DUE, False)
    lift(db, client_id)
    assert in_force(db, client_id) == (S.TRIAL, True)
    override(db, client_id, "active", NOW + 20 * DAY)
    assert follow_the_clock(db, NOW + 15 * DAY) == []
    assert follow_the_clock(db, NOW + 20 * DAY) == [client_id]
    assert in_force(db, client_id) == (S.NONE, False)


def test_a_granted_trial_is_extended_here(db: Database) -> None:
    client_id = add_client(db)
    grant(db, client_id)
    for until in (NOW + 13 * DAY, NOW + 14 * DAY):
        with pytest.raises(Conflict):
            extend(db, client_id, until)
    extend(db, client_id, NOW + 20 * DAY)
    assert follow_the_clock(db, NOW + 14 * DAY) == []
    assert in_force(db, client_id) == (S.TRIAL, True)
    assert follow_the_clock(db, NOW + 20 * DAY) == [client_id]
    extend(db, client_id, NOW + 30 * DAY)  # also when it is over
    assert in_force(db, client_id) == (S.TRIAL, True)


def test_who_has_no_trial_to_extend(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    with pytest.raises(Conflict):
        extend(db, client_id, NOW + DAY)
    take_in(db, "active", NOW, trial_end=NOW - DAY)
    with pytest.raises(Conflict):
        extend(db, client_id, NOW + DAY)


def test_who_subscribed_since_gets_no_more_of_the_trial(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    grant(db, client_id)
    take_in(db, "canceled", NOW + 9 * DAY, started_at=NOW + DAY, ended_at=NOW + 9 * DAY)
    db.clock = lambda: NOW + 30 * DAY
    with pytest.raises(Conflict):
        extend(db, client_id, NOW + 40 * DAY)


def test_a_trial_of_stripes_is_extended_there(db: Database) -> None:
    """Noted before it leaves; here nothing changes until Stripe says so."""
    client_id = add_client(db, stripe_customer_id="cus_1")
    take_in(db, "trialing", NOW, trial_end=NOW + DAY)
    extend(db, client_id, NOW + 5 * DAY)
    assert client_now(db, client_id).trial_ends_at == NOW + DAY
    with db.read_only() as session:
        assert session.scalars(select(ProviderCall)).one().state is CallState.INTENDED
    with pytest.raises(Conflict, match="conflict") as refused:
        extend(db, client_id, NOW + 6 * DAY)
    assert "Wait for its answer" in refused.value.sentence
    db.clock = lambda: NOW + DAY / 2  # whoever tried has given up by then
    extend(db, client_id, NOW + 6 * DAY)
    with db.read_only() as session:
        assert len(set(session.scalars(select(ProviderCall.idempotency_key)))) == 2
