"""Runs over many clients, for tests."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, insert, select

from admin_app.context import Staff
from admin_app.db import Database
from admin_app.services import staff
from admin_app.services.clients import bulk_runs, bulk_undo, bulk_work
from admin_app.services.clients.flags import FlagRequest
from models import BulkItem, BulkOutcome, BulkRun, Client, Role
from tests.services.clients.flags import on
from tests.services.factories import OPERATOR

PASSWORD = "glass-kettle-orbit-29"
EVERYONE = select(Client.id)


def add_ops(db: Database, email: str = "ops@demo.test") -> Staff:
    """A person of ops; a run needs somebody who really is there."""
    with db.unit_of_work(OPERATOR) as ctx:
        member, _ = staff.create_staff(ctx, email=email, name="Kim Ops", role=Role.OPS, password=PASSWORD)
        return Staff(member.id, member.email, member.role)


def add_clients(db: Database, count: int, **values: Any) -> list[int]:
    with db.unit_of_work(OPERATOR) as ctx:
        rows = [{"name": f"Client {number:04}", **values} for number in range(count)]
        return list(ctx.session.scalars(insert(Client).returning(Client.id, sort_by_parameter_order=True), rows))


def choose(db: Database, ops: Staff, client_ids: Select[Any] = EVERYONE, asked: FlagRequest | None = None) -> BulkRun:
    with db.unit_of_work(ops) as ctx:
        return bulk_runs.choose(ctx, asked=asked or on(), client_ids=client_ids, chosen_by="every client")


def start(db: Database, ops: Staff, run_id: int) -> None:
    with db.unit_of_work(ops) as ctx:
        bulk_runs.start(ctx, run_id=run_id, shown=bulk_runs.plan_start(ctx, run_id=run_id).fingerprint)


def work(db: Database, run_id: int, *, transactions: int = 10_000) -> None:
    """What the job does: one transaction after another, until none is left to do."""
    for _ in range(transactions):
        with db.unit_of_work(OPERATOR) as ctx:
            if not bulk_work.next_clients(ctx, run_id=run_id):
                return


def go(db: Database, ops: Staff, asked: FlagRequest | None = None, client_ids: Select[Any] = EVERYONE) -> BulkRun:
    """Choose, start and do it all."""
    run = choose(db, ops, client_ids, asked)
    start(db, ops, run.id)
    work(db, run.id)
    return run_now(db, run.id)


def undo(db: Database, ops: Staff, run_id: int) -> BulkRun:
    """The inverse, planned, started and done."""
    with db.unit_of_work(ops) as ctx:
        inverse = bulk_undo.undo(ctx, run_id=run_id, reason="Wrong clients")
    start(db, ops, inverse.id)
    work(db, inverse.id)
    return run_now(db, inverse.id)


def run_now(db: Database, run_id: int) -> BulkRun:
    with db.read_only() as session:
        return session.get_one(BulkRun, run_id)


def counted(db: Database, run_id: int) -> dict[BulkOutcome, int]:
    """Outcomes that some client has."""
    with db.read_only() as session:
        return {outcome: count for outcome, count in bulk_runs.counts(session, run_id).items() if count}


def items_of(db: Database, run_id: int) -> Sequence[BulkItem]:
    with db.read_only() as session:
        return session.scalars(select(BulkItem).where(BulkItem.run_id == run_id).order_by(BulkItem.client_id)).all()
