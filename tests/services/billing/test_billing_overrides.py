"""What finance puts in force, and what holds again afterwards, by the clock."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.context import Job, Staff
from admin_app.db import Database
from admin_app.errors import Conflict, DomainError, Forbidden, InvalidInput, PlanMoved
from admin_app.services import billing
from admin_app.services.billing import billing_overrides
from models import BillingOverride, BillingStatus, Role
from tests.services.client_rows import DAY, NOW, add_client, client_now, steps_of, subscription
from tests.services.money import STRIPE

S = BillingStatus
FINANCE = Staff(3, "finance@demo.test", Role.FINANCE)
OPS = Staff(4, "ops@demo.test", Role.OPS)


def override(
    db: Database, client_id: int, status: str = "active", until: datetime | None = NOW + 7 * DAY, **changed: Any
) -> BillingOverride:
    """Plan and act, as the console does."""
    with db.unit_of_work(changed.pop("by", FINANCE)) as ctx:
        plan = billing_overrides.plan_override(ctx, client_id=client_id, status=status, until=until)
        wish: dict[str, Any] = {"reason": "Pays by transfer", "shown": plan.fingerprint}
        return billing_overrides.override(ctx, client_id=client_id, status=status, until=until, **(wish | changed))


def lift(db: Database, client_id: int) -> BillingOverride:
    with db.unit_of_work(FINANCE) as ctx:
        plan = billing_overrides.plan_lift(ctx, client_id=client_id)
        return billing_overrides.lift(ctx, client_id=client_id, reason="Paid", shown=plan.fingerprint)


def follow_the_clock(db: Database, at: datetime) -> list[int]:
    db.clock = lambda: at
    with db.read_only() as session:
        due = billing.due(session, at, limit=10)
    for client_id in due:
        with db.unit_of_work(Job("refresh_billing")) as ctx:
            billing.refresh_by_the_clock(ctx, client_id=client_id)
    return due


def in_force(db: Database, client_id: int) -> tuple[BillingStatus, bool]:
    client = client_now(db, client_id)
    return client.billing_status, client.payment_active


def take_in(db: Database, status: str, at: datetime, **changed: Any) -> None:
    db.clock = lambda: at
    with db.unit_of_work(STRIPE) as ctx:
        billing.apply_subscription(ctx, subscription(status, **changed), cause="stripe", fetched_at=at)


@pytest.fixture(autouse=True)
def _noon(db: Database) -> None:
    db.clock = lambda: NOW


def test_stripe_goes_on_below_an_override_and_holds_afterwards(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    take_in(db, "past_due", NOW)
    override(db, client_id)
    assert in_force(db, client_id) == (S.ACTIVE, True)
    take_in(db, "canceled", NOW + DAY, ended_at=NOW + DAY)
    assert in_force(db, client_id) == (S.ACTIVE, True)
    assert follow_the_clock(db, NOW + 7 * DAY - DAY / 2) == []
    assert follow_the_clock(db, NOW + 7 * DAY + DAY / 4) == [client_id]
    assert in_force(db, client_id) == (S.CANCELED, False)
    assert follow_the_clock(db, NOW + 8 * DAY) == []
    ended = steps_of(db, client_id)[-1]
    assert (ended.at, ended.cause, ended.status_before, ended.status_after) == (
        NOW + 7 * DAY,
        "override_ended",
        S.ACTIVE,
        S.CANCELED,
    )
    with db.read_only() as session:
        closed = session.scalars(select(BillingOverride)).one()
    assert (closed.lifted_at, closed.lifted_by) == (NOW + 7 * DAY, "the clock")


def test_the_end_is_a_job_at_that_moment(db: Database) -> None:
    client_id = add_client(db)
    override(db, client_id)
    jobs = text("SELECT scheduled_at, args FROM procrastinate_jobs WHERE task_name = 'refresh_billing'")
    with db.read_only() as session:
        assert [(job.scheduled_at, job.args) for job in session.execute(jobs)] == [
            (NOW + 7 * DAY, {"client_id": client_id})
        ]


@pytest.mark.parametrize("ends", ["lifted", "by the clock"])
def test_a_client_of_old_goes_back_to_what_was_in_force(db: Database, ends: str) -> None:
    client_id = add_client(db, billing_status=S.ACTIVE, payment_active=True)
    override(db, client_id, "canceled")
    override(db, client_id, "past_due")  # takes the place of the first
    assert in_force(db, client_id) == (S.PAST_DUE, False)
    if ends == "lifted":
        lift(db, client_id)
    else:
        follow_the_clock(db, NOW + 7 * DAY)
    assert in_force(db, client_id) == (S.ACTIVE, True)
    with db.read_only() as session:
        kept = session.scalars(select(BillingOverride).order_by(BillingOverride.id)).all()
    assert [one.lifted_by for one in kept] == [FINANCE.email, FINANCE.email if ends == "lifted" else "the clock"]


@pytest.mark.parametrize("ends", ["by the clock first", "lifted too late"])
def test_an_override_that_is_over_is_ended_by_the_clock(db: Database, ends: str) -> None:
    client_id = add_client(db)
    override(db, client_id)
    db.clock = lambda: NOW + 8 * DAY
    lift(db, client_id) if ends == "lifted too late" else follow_the_clock(db, NOW + 8 * DAY)
    with db.read_only() as session:
        assert session.scalars(select(BillingOverride)).one().lifted_at == NOW + 7 * DAY
    assert in_force(db, client_id) == (S.NONE, False)


@pytest.mark.parametrize(
    ("status", "until", "changed", "refused"),
    [
        ("gold", NOW + DAY, {}, InvalidInput),
        ("", NOW + DAY, {}, InvalidInput),
        ("active", None, {}, InvalidInput),
        ("active", NOW, {}, InvalidInput),
        ("active", NOW - DAY, {}, InvalidInput),
        ("active", NOW + DAY, {"reason": " "}, InvalidInput),
        ("active", NOW + DAY, {"by": OPS}, Forbidden),
        ("active", NOW + DAY, {"shown": "another"}, PlanMoved),
    ],
)
def test_what_is_refused_changes_nothing(
    db: Database, status: str, until: datetime | None, changed: dict[str, Any], refused: type[DomainError]
) -> None:
    client_id = add_client(db)
    with pytest.raises(refused):
        override(db, client_id, status, until, **changed)
    assert in_force(db, client_id) == (S.NONE, False)
    with db.read_only() as session:
        assert session.scalars(select(BillingOverride)).all() == []


def test_a_plan_that_stripe_overtook_is_shown_anew(db: Database) -> None:
    client_id = add_client(db, stripe_customer_id="cus_1")
    with db.unit_of_work(FINANCE) as ctx:
        shown = billing_overrides.plan_override(ctx, client_id=client_id, status="active", until=NOW + DAY).fingerprint
    take_in(db, "past_due", NOW)
    with pytest.raises(PlanMoved):
        override(db, client_id, until=NOW + DAY, shown=shown)


def test_nothing_can_be_lifted_twice(db: Database) -> None:
    client_id = add_client(db)
    override(db, client_id)
    lift(db, client_id)
    with pytest.raises(Conflict):
        lift(db, client_id)


@pytest.mark.parametrize(
    ("status", "payment_active"),
    [("active", True), ("trial", True), ("past_due", False), ("canceled", False), ("none", False)],
)
def test_what_an_override_means(db: Database, status: str, payment_active: bool) -> None:
    client_id = add_client(db, billing_status=S.PAST_DUE)
    override(db, client_id, status)
    assert in_force(db, client_id) == (S(status), payment_active)
    assert all(step.monthly_after == 0 for step in steps_of(db, client_id))
