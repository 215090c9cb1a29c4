"""The demo's clients, as ops and finance meet them: what is in force follows from what is kept, and Stripe agrees."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx, Job
from admin_app.db import Database
from admin_app.demo import simulated_money
from admin_app.integrations import registry
from admin_app.services import billing, billing_history, billing_mapping
from models import BillingStatus, Client
from models.billing import BillingChange, Movement, Subscription
from tests.demo.conftest import NOW
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
    monkeypatch.setattr("admin_app.simulator.stripe_records.now", lambda: int(NOW.timestamp()))
    with demo.read_only() as session:
        simulated_money.seed(session, own_simulator)
        stripe = registry.from_settings(settings_for(own_simulator)).stripe
        assert stripe is not None
        there = {found.id: found for found in stripe.subscriptions()}
        ours = {row.stripe_subscription_id: row for row in session.scalars(select(Subscription))}
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
