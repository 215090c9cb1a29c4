"""From each earlier system as it really is to a product that has it, with the same sums."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.services import invariants
from admin_app.services.move_in.mapping import Rule, Unit
from models import Booking, Client, Meeting, OnboardingState, PendingProfile, Practitioner, Profile, User
from models.memberships import ProviderMembership
from tests.migrations.earlier import (
    bookings_drizzle,
    bookings_mysql,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made
from tests.migrations.earlier.moves import COMMAND, Move

ROWS = 300


def moved(db: Database, made: Made, **decided: Any) -> Move:
    """Brought over, and the same on both sides."""
    move = Move(db, made.address, made.system)
    move.plan()
    move.decide(zone=made.zone, **decided)
    assert move.open_points() == []
    assert move.inspect() == {}
    counts = move.bring_over(batch=170)
    assert all(one.left == one.changed == 0 and one.conflicts == [] for one in counts.values()), counts
    for one in move.compare().values():
        assert one.agrees, one
    return move


def broken(db: Database) -> dict[str, int]:
    with db.read_only() as session:
        return {found.invariant.name: found.how_many for found in invariants.broken(session, now=db.clock())}


def one(db: Database, query: Any) -> Any:
    with db.read_only() as session:
        return session.scalars(query).one()


def number(db: Database, query: Any) -> int:
    with db.read_only() as session:
        return int(session.scalar(query) or 0)


def check_booking(row: Booking, known: Any) -> None:
    assert (row.starts_at, row.ends_at) == (known["starts_at"], known["ends_at"])
    assert row.price_amount == known["amount_minor"]


@pytest.mark.parametrize("money", ["minor", "major"])
@pytest.mark.parametrize("times", ["range", "start"])
def test_bookings_from_mysql(mariadb_url: str, real_db: Database, money: Any, times: Any) -> None:
    made = bookings_mysql.make(mariadb_url, rows=ROWS, ugly=False, money=money, times=times)
    lasts = {"range": 60, "start": 60}[times]
    moved(real_db, made, minutes=lasts, decisions={Rule.CLOCK_CHANGE: "standard"})
    assert number(real_db, select(func.sum(Booking.price_amount))) == made.sums["bookings.amount"]
    assert number(real_db, select(func.count()).select_from(Booking)) == made.counts["bookings"]
    assert number(real_db, select(func.count()).select_from(User)) == made.counts["users"]
    for name in ("booking", "summer_booking", "odd_booking", "free_booking"):
        known = made.records[name]
        row = one(real_db, select(Booking).where(Booking.id == known["id"]))
        assert (row.client_name, row.client_email) == (known["client_name"], known["client_email"])
        assert row.starts_at == known["starts_at"]
        assert row.price_amount == known["amount_minor"]
        assert row.status.value == known["status"]
        assert row.created_at == known["created_at"]
    person = one(real_db, select(Practitioner).where(Practitioner.id == made.records["practitioner"]["id"]))
    assert person.name == made.records["practitioner"]["name"]
    # The product gives numbers behind theirs.
    with real_db.unit_of_work(COMMAND) as ctx:
        fresh = Practitioner(name="New", email="new@example.com", time_zone="UTC")
        ctx.session.add(fresh)
        ctx.session.flush()
        assert fresh.id > made.counts["practitioners"]
    assert broken(real_db) == {}
