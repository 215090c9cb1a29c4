"""From each earlier system as it really is to a product that has it, with the same sums."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.services import invariants
from admin_app.services.move_in.mapping import Rule
from admin_app.services.purchases import credit_renewals
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
        assert one.agrees, (one.table, one.lines, one.differing, one.not_here, one.gone_there)
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


def test_bookings_from_drizzle(earlier_postgres: str, real_db: Database) -> None:
    made = bookings_drizzle.make(earlier_postgres, rows=ROWS, ugly=False, money="major")
    moved(real_db, made)
    assert number(real_db, select(func.sum(Booking.price_amount))) == made.sums["bookings.amount"]
    known = made.records["summer_booking"]
    check_booking(one(real_db, select(Booking).where(Booking.id == known["id"])), known)
    assert broken(real_db) == {}


@pytest.mark.parametrize("ids", ["cuid", "int"])
@pytest.mark.parametrize("tables", ["mapped", "default"])
def test_clients(earlier_postgres: str, real_db: Database, ids: Any, tables: Any) -> None:
    made = clients_prisma.make(earlier_postgres, rows=ROWS, ugly=False, ids=ids, tables=tables)
    moved(real_db, made)
    names = clients_prisma.TABLES[tables]
    assert number(real_db, select(func.count()).select_from(Client)) == made.counts[names[0]]
    for flag, column in (
        ("outboundPaused", Client.outbound_paused),
        ("aiDisabled", Client.ai_disabled),
        ("onboardingComplete", Client.onboarding_complete),
    ):
        assert number(real_db, select(func.count()).where(column)) == made.sums[f"{names[0]}.{flag}"]
    enabled = number(real_db, select(func.count()).where(OnboardingState.forwarding_enabled))
    assert enabled == made.sums[f"{names[1]}.forwardingEnabled"]
    assert broken(real_db) == {}


@pytest.mark.parametrize("letters", ["upper", "lower"])
def test_sessions(earlier_postgres: str, real_db: Database, letters: Any) -> None:
    made = sessions_prisma.make(earlier_postgres, rows=ROWS, ugly=False, letters=letters)
    moved(real_db, made)
    by_currency = "Booking.amount[{}]"
    for currency in ("eur", "jpy"):
        found = number(real_db, select(func.sum(Booking.price_amount)).where(Booking.price_currency == currency))
        assert found == made.sums[by_currency.format(currency.upper())]
    known = made.records["booking"]
    row = one(real_db, select(Booking).where(Booking.calendly_invitee_uri == known["calendlyInviteeUri"]))
    check_booking(row, known)
    assert broken(real_db) == {}


def test_meetings(earlier_postgres: str, real_db: Database) -> None:
    made = meetings_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    moved(real_db, made)
    assert number(real_db, select(func.sum(Meeting.price_amount))) == made.sums["meetings.price"]
    known = made.records["meeting"]
    row = one(real_db, select(Meeting).where(Meeting.guest_email == known["guest_email"]))
    assert (row.starts_at, row.guest_name) == (known["starts_at"], known["guest_name"])
    assert row.guest_org_id == known["guest_workos_org_id"]
    assert broken(real_db) == {}


def test_memberships(earlier_postgres: str, real_db: Database) -> None:
    made = memberships_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    moved(real_db, made)
    for column in ("usage_credits", "used_credits"):
        for model in (Profile, PendingProfile):
            found = number(real_db, select(func.sum(getattr(model, column))))
            assert found == made.sums[f"{model.__tablename__}.{column}"]
    waits = one(real_db, select(PendingProfile).where(PendingProfile.email == made.records["unclaimed"]["email"]))
    assert waits.token == hashlib.sha256(made.records["unclaimed"]["token"].encode()).hexdigest()
    held = one(real_db, select(ProviderMembership).where(ProviderMembership.external_id == "sub_maja"))
    assert held.profile_user_id == "user_2abcMaja"
    # What was due long ago is given by the worker, as ever.
    while due := credit_renewals_due(real_db):
        for user_id in due:
            with real_db.unit_of_work(COMMAND) as ctx:
                credit_renewals.renew(ctx, user_id=user_id)
    assert broken(real_db) == {}


def credit_renewals_due(db: Database) -> list[str]:
    with db.read_only() as session:
        return list(credit_renewals.due(session, db.clock(), limit=500))
