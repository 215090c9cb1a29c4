"""What is amiss in an earlier system is told, all of it in one run; nothing is brought over before it is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services.move_in.mapping import LEAVE, Notice, Rule, Unit
from models import Booking, Client, Meeting, PendingProfile
from tests.migrations.earlier import (
    bookings_mysql,
    clients_prisma,
    meetings_drizzle,
    memberships_drizzle,
    sessions_prisma,
)
from tests.migrations.earlier.made import Made, mysql
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
        "practitioners.email twice": 2,
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
        "bookings.starts_at overlap": 3,
        "bookings.ends_at ends_before_start": 1,
        "bookings.status empty_label": 2,
        "bookings.status pending_past": 3,
        "bookings.price_amount out_of_range": 1,
        "bookings.stripe_payment_intent_id twice": 2,
    }
    named = move.keys()
    for place, kind in (
        ("practitioners.email twice", "emails_by_case"),
        ("bookings.starts_at overlap", "overlaps"),
        ("bookings.stripe_payment_intent_id twice", "same_external_ids"),
        ("bookings.status pending_past", "past_pending"),
    ):
        assert sorted(named[place]) == sorted(str(spot.key) for spot in made.ugly[kind]), place
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
    assert found["meetings.starts_at overlap"] == 2
    assert found["meetings.status pending_past"] == 2
    assert sorted(move.keys()["meetings.starts_at overlap"]) == sorted(str(spot.key) for spot in made.ugly["overlaps"])
    comes_over(move, Meeting, made.counts["meetings"])


def test_memberships(earlier_postgres: str, real_db: Database) -> None:
    made = memberships_drizzle.make(earlier_postgres, rows=ROWS)
    move, found = looked(real_db, made)
    assert found["pending_profiles.claimed_by_user_id claimed_by_nobody"] == 1
    named = move.keys()
    assert named["pending_profiles.email twice"] == ["pend_case1", "pend_case2"]
    assert named["pending_profiles.whop_membership_id twice"] == ["pend_twice1", "pend_twice2"]
    assert named["pending_profiles.claimed_by_user_id claimed_by_gone"] == ["pend_gone"]
    assert named["profiles.email temp_without_email"] == ["temp_nobody"]
    assert named["profiles.email temp_already_pending"] == ["temp_again"]
    comes_over(move, PendingProfile, made.counts["pending_profiles"])


def test_what_is_only_to_be_known_stands_in_nobodys_way(earlier_postgres: str, real_db: Database) -> None:
    """Accounts and purchases that come over as they are; told before, and after they are here."""
    kinds = {"orphans", "temp_without_email", "temp_already_pending"}
    made = memberships_drizzle.make(earlier_postgres, rows=ROWS, ugly=kinds)
    move = Move(real_db, made.address)
    move.decide()
    found = move.inspect()
    assert {place.split()[1] for place in found} == {notice.value for notice in Notice}
    counts = move.bring_over()
    assert counts["pending_profiles"].new == made.counts["pending_profiles"]
    assert all(one.agrees for one in move.compare().values())
    assert move.inspect() == found


def test_what_is_left_behind_leaves_others_without_it(mariadb_url: str, real_db: Database) -> None:
    """A practitioner that is left behind: that the bookings will have none is told before anything is brought over."""
    made = bookings_mysql.make(mariadb_url, rows=ROWS, ugly={"emails_by_case"})
    first, second = (spot.key for spot in made.ugly["emails_by_case"])
    with mysql(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE bookings SET practitionerId = %s WHERE id = 1", [second])
        cursor.execute("UPDATE bookings SET practitionerId = %s WHERE id = 2", [first])
    move = Move(real_db, made.address)
    move.decide(zone=made.zone, decisions={Rule.TWICE: LEAVE})
    assert move.inspect()["bookings.practitioner_id orphan"] == 1
    assert move.keys()["bookings.practitioner_id orphan"] == ["1"]


def test_what_no_rule_knew_is_a_sentence_that_quotes_nobody(earlier_postgres: str, real_db: Database) -> None:
    """By whom a purchase was claimed is not brought over: what our database asks for then is none of the rules."""
    made = memberships_drizzle.make(earlier_postgres, rows=ROWS, ugly=False)
    move = Move(real_db, made.address)
    mapping = move.decide()
    accounts, pending = mapping.tables
    columns = [replace(each, to=None, left="not asked") if each.name == "claimed_by_user_id" else each
               for each in pending.columns]  # fmt: skip
    move.mapping = replace(mapping, tables=(accounts, replace(pending, columns=tuple(columns))))
    with pytest.raises(InvalidInput) as refused:
        move.bring_over()
    assert refused.value.sentence == (
        "Of pending_profiles our database refuses a row (ck_pending_profiles_claimed_by_someone), and nothing of its "
        "batch was brought over. No rule of the mapping is about that: leave the column behind, or put the row right "
        "there."
    )
    with real_db.read_only() as session:
        assert session.scalar(select(func.count()).select_from(PendingProfile)) == 0
