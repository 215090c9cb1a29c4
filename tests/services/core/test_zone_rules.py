"""What is said when the database has other rules for a zone than we have."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sqlalchemy import text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.services.core import zone_rules
from admin_app.services.core.time_zones import time_zone
from admin_app.services.purchases import purchase_numbers
from models import PendingProfile
from tests.services import factories
from tests.services.schedule_rows import add_booking, add_meeting, add_practitioner, add_session_type

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
VANCOUVER, OSLO = "America/Vancouver", "Europe/Oslo"
# A server with older files: Vancouver goes with Los Angeles. It stands before the server's own table.
OLDER = f"""
    CREATE SCHEMA older;
    CREATE FUNCTION older.timezone(zone text, at timestamptz) RETURNS timestamp LANGUAGE sql AS $$
      SELECT pg_catalog.timezone(CASE zone
        WHEN '{VANCOUVER}' THEN 'America/Los_Angeles' WHEN '{OSLO}' THEN 'Europe/Berlin' ELSE zone END, at) $$;
    SET LOCAL search_path = older, public, pg_catalog;
"""


def older(db: Database) -> None:
    with db.unit_of_work(Job("test")) as ctx:
        for statement in OLDER.split(";\n"):
            if statement.strip():
                ctx.session.execute(text(statement.replace(":", "\\:")))


def test_a_zone_with_other_rules_at_the_database_is_named_with_the_moment(db: Database) -> None:
    older(db)
    with db.read_only() as session:
        found = zone_rules.differences(session, [VANCOUVER, OSLO, "UTC"], NOW)
    assert found == {VANCOUVER: "at 2026-11-08 12:00 UTC: -07:00 here, -08:00 in the database"}


def test_zones_that_one_side_does_not_know_are_named(db: Database) -> None:
    with db.read_only() as session:
        assert zone_rules.differences(session, ["Mars/Phobos"], NOW) == {"Mars/Phobos": "is unknown here"}


def test_every_moment_of_a_change_is_compared() -> None:
    """Morocco changes its clocks for about a month a year; both ends are looked at to the second."""
    moments = list(zone_rules._told_apart(time_zone("Europe/Oslo", ""), NOW))
    for change in ("2026-10-25T01:00:00+00:00", "2029-03-25T01:00:00+00:00"):
        at = datetime.fromisoformat(change)
        assert {at, at - timedelta(seconds=1)} <= set(moments)
    assert max(later - early for early, later in pairwise(moments)) <= zone_rules.STEP


def test_the_zones_of_those_who_work_here_and_of_coming_appointments_are_in_use(db: Database) -> None:
    person = add_practitioner(db, time_zone="Africa/Casablanca")
    kind = add_session_type(db, person)
    add_booking(db, kind, NOW + timedelta(days=1), client_time_zone="America/Winnipeg")
    add_booking(db, kind, NOW - timedelta(days=1), client_time_zone="America/Edmonton")
    add_meeting(db, person, NOW + timedelta(days=2), guest_time_zone="Asia/Tokyo")
    with db.read_only() as session:
        found = set(zone_rules.in_use(session, NOW))
    assert found >= {"Africa/Casablanca", "America/Winnipeg", "Asia/Tokyo"}
    assert "America/Edmonton" not in found


def test_weeks_are_counted_by_our_rules_whatever_the_database_has(db: Database) -> None:
    """Half past midnight on a Monday in Vancouver, which the older files take for Sunday."""
    zone = time_zone(VANCOUVER, "")
    monday = datetime(2026, 11, 30, 0, 30, tzinfo=zone).astimezone(UTC)
    found = factories.buy(db)
    with db.unit_of_work(Job("test")) as ctx:
        ctx.session.get_one(PendingProfile, found.id).created_at = monday
    older(db)
    with db.read_only() as session:
        weeks = purchase_numbers.numbers(session, now=monday + timedelta(days=2), zone=zone).weeks
    assert [week.purchases for week in weeks] == [0] * 11 + [1]
    with db.read_only() as session:
        weeks = purchase_numbers.numbers(session, now=monday + timedelta(days=9), zone=zone).weeks
    assert [week.purchases for week in weeks] == [0] * 10 + [1, 0]
