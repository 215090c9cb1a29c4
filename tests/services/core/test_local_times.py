"""SQL of local times says what the product's own table of zones says, right around every kind of change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from admin_app.db import Database
from admin_app.services.core import local_times

# Half hours, a change of half an hour, one at New Year's Eve that skips a day, one of this year's rules, and none.
ZONES = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "America/Vancouver", "UTC"]
QUARTER = timedelta(minutes=15)


def around_changes(zone: str) -> list[datetime]:
    """A day of quarters of an hour around some changes of the zone, and plain moments."""
    changes = [change.at.replace(tzinfo=UTC) for change in local_times._changes(zone)]
    chosen = [*changes[:2], *changes[-2:], datetime(2011, 12, 30, tzinfo=UTC), datetime(2026, 11, 1, 9, tzinfo=UTC)]
    return [at + QUARTER * step for at in chosen for step in range(-16, 16)]


def asked(db: Database, expression: str, moments: list[datetime], kind: str) -> list[object]:
    with db.read_only() as session:
        query = text(f"SELECT {expression} FROM unnest(CAST(:given AS {kind}[])) WITH ORDINALITY g (at, n) ORDER BY n")
        return list(session.scalars(query, {"given": moments}))


@pytest.mark.parametrize("zone", ZONES)
def test_there(db: Database, zone: str) -> None:
    moments = around_changes(zone)
    shown = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert asked(db, local_times.wall_clock("g.at", zone), moments, "timestamptz") == shown


@pytest.mark.parametrize("zone", ZONES)
def test_and_back(db: Database, zone: str) -> None:
    """What is shown twice or never is told, and everything else leads back to its moment."""
    moments = around_changes(zone)
    shown = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    back = asked(db, local_times.moment("g.at", zone), shown, "timestamp")
    unsure = asked(db, local_times.is_unsure("g.at", zone), shown, "timestamp")
    for moment, local, found, is_unsure in zip(moments, shown, back, unsure, strict=True):
        first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
        assert is_unsure == (first != second), local
        assert found == (second if is_unsure else moment), local


def test_a_time_that_is_skipped_is_an_hour_later(db: Database) -> None:
    skipped = datetime(2024, 3, 31, 2, 30)  # noqa: DTZ001  local
    assert asked(db, local_times.is_unsure("g.at", "Europe/Berlin"), [skipped], "timestamp") == [True]
    later = datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
    assert asked(db, local_times.moment("g.at", "Europe/Berlin"), [skipped], "timestamp") == [later]
