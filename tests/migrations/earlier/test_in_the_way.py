"""What is amiss in an earlier system is told, all of it in one run; nothing is brought over before it is decided."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services.move_in.mapping import LEAVE, Rule, Unit
from models import Booking, Client, Meeting, PendingProfile
from tests.migrations.earlier import (
    bookings_mysql,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made
from tests.migrations.earlier.moves import Move

ROWS = 120
DECIDED = {
    Rule.ZERO_DATE: "empty",
    Rule.EMPTY_LABEL: LEAVE,
    Rule.UNKNOWN_LABEL: LEAVE,
    Rule.MISSING: LEAVE,
    Rule.ORPHAN: LEAVE,
    Rule.TWICE: LEAVE,
    Rule.ENDS_BEFORE_START: LEAVE,
    Rule.OVERLAP: LEAVE,
    Rule.PENDING_PAST: "cancel",
    Rule.OUT_OF_RANGE: LEAVE,
    Rule.CHANGES_VALUE: "round",
    Rule.CLOCK_CHANGE: "standard",
    Rule.NOT_TEXT: "shown",
    Rule.CLAIMED_BY_NOBODY: LEAVE,
}


def looked(db: Database, made: Made, **decided: Any) -> tuple[Move, dict[str, int]]:
    """What stands in the way, looked at before anything is decided and again after it."""
    move = Move(db, made.address, made.system)
    move.plan()
    undecided = move.inspect()
    assert move.open_points()
    move.decide(zone=made.zone, **decided)
    found = move.inspect()
    assert undecided.keys() >= {place for place in found if "clock_change" not in place and "price" not in place}
    return move, found


def comes_over(move: Move, model: Any, rows: int) -> None:
    """Refused as a whole while it is not decided, and then all but what is left behind, and the same on both sides."""
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert "Rows stand in the way" in refused.value.sentence
    assert move.mapping is not None
    move.decide(decisions=DECIDED)
    counts = move.bring_over()[model.__tablename__]
    assert counts.read == rows
    assert counts.new == rows - counts.left
    with move.db.read_only() as session:
        assert session.scalar(select(func.count()).select_from(model)) == counts.new
    for one in move.compare().values():
        assert one.agrees, (one.table, one.lines, one.differing, one.not_here, one.gone_there)


def test_bookings_from_mysql(mariadb_url: str, real_db: Database) -> None:
    made = bookings_mysql.make(mariadb_url, rows=ROWS, money="major")
    move, found = looked(real_db, made, minutes=60)
    assert found == {
        "practitioners.email twice": 1,
        "bookings.id out_of_range": 1,
        "bookings.practitioner_id orphan": 2,
        "bookings.session_type_id orphan": 2,
        "bookings.client_name not_text": 1,
        "bookings.starts_at missing": 1,
        "bookings.ends_at missing": 1,
        "bookings.starts_at zero_date": 1,
        "bookings.ends_at zero_date": 1,
        "bookings.created_at zero_date": 2,
        "bookings.created_at missing": 2,
        "bookings.starts_at clock_change": 2,
        "bookings.starts_at overlap": 2,
        "bookings.ends_at ends_before_start": 1,
        "bookings.status empty_label": 2,
        "bookings.status pending_past": 3,
        "bookings.price_amount out_of_range": 1,
        "bookings.stripe_payment_intent_id twice": 1,
    }
    comes_over(move, Booking, made.counts["bookings"])


def test_clients(earlier_postgres: str, real_db: Database) -> None:
    made = clients_prisma.make(earlier_postgres, rows=ROWS)
    move, found = looked(real_db, made)
    assert found.keys() >= {"clients.created_at missing", "onboarding_states.client_id orphan"}
    comes_over(move, Client, made.counts["clients"])


def test_sessions(earlier_postgres: str, real_db: Database) -> None:
    made = sessions_prisma.make(earlier_postgres, rows=ROWS, ugly={*sessions_prisma.KINDS, "money_beyond_minor"})
    move, found = looked(real_db, made, unit=Unit.MAJOR)
    assert found["bookings.price_amount changes_value"] == 1
    assert found.keys() >= {"bookings.session_type_id orphan", "bookings.calendly_event_id twice"}
    comes_over(move, Booking, made.counts["Booking"])


def test_meetings(earlier_postgres: str, real_db: Database) -> None:
    made = meetings_drizzle.make(earlier_postgres, rows=ROWS)
    move, found = looked(real_db, made)
    assert found["meetings.guest_org_id orphan"] == 2
    assert found["meetings.practitioner_id orphan"] == 2
    comes_over(move, Meeting, made.counts["meetings"])


def test_memberships(earlier_postgres: str, real_db: Database) -> None:
    made = memberships_drizzle.make(earlier_postgres, rows=ROWS)
    move, found = looked(real_db, made)
    assert found["pending_profiles.email twice"] == 1
    assert found["pending_profiles.whop_membership_id twice"] == 1
    assert found["pending_profiles.claimed_by_user_id claimed_by_nobody"] == 1
    comes_over(move, PendingProfile, made.counts["pending_profiles"])
