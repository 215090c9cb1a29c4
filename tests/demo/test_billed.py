"""The demo's clients, as ops and finance meet them: what is in force follows from what is kept, and Stripe agrees."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Job
from admin_app.db import Database
from admin_app.demo import simulated, simulated_money
from admin_app.demo.clock import Amounts
from admin_app.integrations import registry
from admin_app.services import billing
from admin_app.services.billing import billing_history
from admin_app.services.clients import flags
from admin_app.services.drift import drift_runs
from admin_app.services.drift.drift_sides import sides
from admin_app.services.subscriptions import billing_mapping
from models import (
    CLIENT_FLAGS,
    BillingStatus,
    BulkRun,
    BulkState,
    Client,
    DriftFinding,
    DriftState,
    Export,
    FlagChange,
    OnboardingState,
    ServiceKey,
)
from models.billing import BillingChange, BillingOverride, Movement, Subscription
from models.finance import MonthClosing
from models.memberships import ProviderMembership
from tests.demo.conftest import NOW, filled, migrated_database
from tests.house import settings_for


@pytest.fixture
def session(demo: Database) -> Iterator[Session]:
    with demo.read_only() as session:
        yield session


def test_what_is_in_force_follows_from_what_is_kept(demo: Database) -> None:
    with demo.read_only() as session:
        ctx = Ctx(session, Job("test"), NOW, "0" * 32)
        moved = [
            client.name
            for client in session.scalars(select(Client).order_by(Client.id)).all()
            if billing.refresh(ctx, client, cause="comparison")
        ]
    assert moved == []


def test_the_history_ends_where_the_clients_are(session: Session) -> None:
    steps = session.scalars(select(BillingChange).order_by(BillingChange.at, BillingChange.id)).all()
    status: dict[int, BillingStatus] = {}
    monthly: Counter[tuple[int, str | None]] = Counter()
    for step in steps:
        assert step.status_before is status.get(step.client_id, BillingStatus.NONE)
        assert step.monthly_before == monthly[step.client_id, step.currency]
        assert step.movement is billing_history.movement(step.monthly_before, step.monthly_after)
        assert step.at <= step.recorded_at <= NOW
        status[step.client_id] = step.status_after
        monthly[step.client_id, step.currency] = step.monthly_after
    now = {client.id: client.billing_status for client in session.scalars(select(Client))}
    assert {number: now[number] for number in status} == status
    held = session.scalars(select(Subscription).where(Subscription.client_id.is_not(None))).all()
    for row in held:
        pays = row.monthly_amount if billing_mapping.is_paying(row.status) else 0
        assert monthly[row.client_id or 0, row.currency] == pays
    assert set(Counter(step.movement for step in steps)) == set(Movement)
    assert min(step.at for step in steps) < NOW - timedelta(days=365)


def test_stripe_holds_the_same_subscriptions(
    demo: Database, own_simulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At the simulator time brings renewals.
    monkeypatch.setattr("admin_app.simulator.stripe.stripe_records.now", lambda: int(NOW.timestamp()))
    with demo.read_only() as session:
        simulated_money.seed(session, own_simulator)
        stripe = registry.from_settings(settings_for(own_simulator)).stripe
        assert stripe is not None
        there = {found.id: found for found in stripe.subscriptions()}
        ours = {row.stripe_subscription_id: row for row in session.scalars(select(Subscription))}
        gone = session.scalars(select(DriftFinding).where(DriftFinding.because == "gone_there")).one()
        del ours[gone.external_id]
        members = session.scalars(select(ProviderMembership).filter_by(provider="stripe", status="active")).all()
        assert members
        for held in members:
            found = there.pop(held.external_id or "")
            assert (found.customer_id, found.client_id) == (held.provider_customer_id, None)
            assert (found.current_period_start, found.current_period_end) == (held.period_start, held.period_end)
        assert there.keys() == ours.keys()
        for number, found in there.items():
            row = ours[number]
            same = [name for name in billing.FETCHED if name != "stripe_customer_id"]
            assert {name: getattr(found, name) for name in same} == {name: getattr(row, name) for name in same}
            assert (found.customer_id, found.client_id) == (row.stripe_customer_id, row.client_id)


def test_finance_has_something_to_look_at(session: Session) -> None:
    def counted(*conditions: object) -> int:
        return session.scalar(select(func.count()).select_from(Client).where(*conditions)) or 0  # type: ignore

    soon = NOW + timedelta(days=7)
    assert counted(Client.billing_status == BillingStatus.TRIAL, Client.trial_ends_at.between(NOW, soon)) >= 3
    assert counted(Client.pending_cancellation) >= 5
    ages = [NOW - row for row in session.scalars(select(Subscription.past_due_since)) if row]
    assert len(ages) >= 8
    assert max(ages) > timedelta(days=50)
    assert set(session.scalars(select(Subscription.currency).distinct())) == {"eur", "usd"}


@pytest.fixture
def small_demo(template_database: str) -> Iterator[Database]:
    """Every client and few of everything else, for a test that changes it."""
    with migrated_database(template_database) as database:
        few = Amounts(profiles=60, claimed_by_customer=4, merged_by_customer=2, waiting=23, bookings=400, meetings=20)
        filled(database, few)
        yield database


def test_a_comparison_finds_what_the_demo_says_and_nothing_else(
    small_demo: Database, own_simulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin_app.simulator.stripe.stripe_records.now", lambda: int(NOW.timestamp()))
    with small_demo.read_only() as session:
        simulated.seed(session, own_simulator)
        before = open_findings(session)
    assert len(before) == 3
    providers = registry.from_settings(settings_for(own_simulator))
    found = {
        name: drift_runs.compare(side, lambda: small_demo.unit_of_work(Job("test")))
        for name, side in sides(providers, small_demo.clock).items()
    }
    with small_demo.read_only() as session:
        assert open_findings(session) == before
    assert {name: (progress.repaired, progress.found) for name, progress in found.items()} == {
        **dict.fromkeys(("whop", "calendly", "calcom"), (0, 0)),
        "stripe": (0, 3),
    }


def open_findings(session: Session) -> dict[int, tuple[str | None, ...]]:
    query = select(DriftFinding).where(DriftFinding.state == DriftState.OPEN)
    return {row.id: (row.external_id, row.field, row.ours, row.theirs, row.because) for row in session.scalars(query)}


def test_every_switch_that_is_on_says_why_but_one(session: Session) -> None:
    unexplained = []
    for flag in CLIENT_FLAGS:
        ids = list(session.scalars(select(Client.id)))
        states = flags.state(session, ids, flag, NOW)
        kept = dict.fromkeys(session.scalars(select(Client.id).where(getattr(Client, flag.value))), True)
        assert {number for number, state in states.items() if state.is_on} == kept.keys()
        unexplained += [number for number, state in states.items() if state.set_outside]
    assert len(unexplained) == 1
    assert session.scalars(select(FlagChange.id).where(FlagChange.on_expiry == "stay", FlagChange.until < NOW)).all()
    assert session.scalars(select(FlagChange.id).where(FlagChange.since > NOW)).all()
    (run,) = session.scalars(select(BulkRun)).all()
    assert (run.state, run.finished_at is not None) == (BulkState.DONE, True)


def test_what_finance_and_administrators_did_is_there(session: Session) -> None:
    overrides = session.scalars(select(BillingOverride).order_by(BillingOverride.until)).all()
    assert [row.lifted_at is None for row in overrides] == [False, True, True]
    assert overrides[1].until - NOW < timedelta(days=3)
    assert len(session.scalars(select(MonthClosing)).all()) == 2
    (key,) = session.scalars(select(ServiceKey)).all()
    assert key.revoked_at is not None
    assert len(session.scalars(select(Export)).all()) == 3
    assert session.scalars(select(OnboardingState.id).where(OnboardingState.overridden_by.is_not(None))).one()
