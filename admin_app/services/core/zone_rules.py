"""Whether the database's rules for time zones are the ones that this product computes with.

Nothing here is computed by the database in a named zone (`tests/test_zones.py` holds that). Whoever reads the tables by
SQL in a zone sees other hours where the rules differ, so a difference is told.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from admin_app.services.core.time_zones import time_zones

BACK, AHEAD = timedelta(days=366), timedelta(days=3 * 366)
# No offset is in force for a shorter time: the shortest are Morocco's, about a month each.
STEP = timedelta(days=10)

# So many that come next are looked at, of bookings and of meetings: there may be hundreds of thousands.
APPOINTMENTS = 10_000
VERSION = f"tzdata {version('tzdata')}"

_IN_USE = text(
    """
    SELECT time_zone FROM practitioners
    UNION SELECT time_zone FROM staff
    UNION SELECT coming.zone FROM (
      SELECT client_time_zone AS zone FROM bookings WHERE starts_at > :since ORDER BY starts_at, id LIMIT :most
    ) coming WHERE coming.zone IS NOT NULL
    UNION SELECT coming.zone FROM (
      SELECT guest_time_zone AS zone FROM meetings WHERE starts_at > :since ORDER BY starts_at, id LIMIT :most
    ) coming WHERE coming.zone IS NOT NULL
    ORDER BY 1
    """
)
_KNOWN = text("SELECT name FROM pg_timezone_names WHERE name = ANY(:names)")
# By name, not AT TIME ZONE: so that a test can put another table before the server's own.
_OFFSETS = text(
    """
    SELECT given.zone, given.at, timezone(given.zone, given.at) - timezone('UTC', given.at) AS ahead
    FROM unnest(CAST(:zones AS text[]), CAST(:moments AS timestamptz[])) AS given (zone, at)
    ORDER BY given.zone, given.at
    """
)


def in_use(session: Session, now: datetime) -> list[str]:
    """The zones of practitioners, of staff, and of the clients and guests of the next appointments."""
    return list(session.scalars(_IN_USE, {"since": now, "most": APPOINTMENTS}))


def database_version(session: Session) -> str:
    """The database as it calls itself, which has a table of zones of its own or its machine's."""
    return f"PostgreSQL {session.scalar(text('SHOW server_version'))}"


def differences(session: Session, names: list[str], now: datetime) -> dict[str, str]:
    """The zones of these for which the database has other rules than we, each with the first moment found."""
    ours = [name for name in names if name in time_zones()]
    found = {name: "is unknown here" for name in names if name not in time_zones()}
    known = set(session.scalars(_KNOWN, {"names": ours}))
    found |= {name: "is unknown to the database" for name in ours if name not in known}
    moments = [(name, at) for name in ours if name in known for at in _told_apart(ZoneInfo(name), now)]
    given = {"zones": [name for name, _ in moments], "moments": [at for _, at in moments]}
    for name, at, theirs in session.execute(_OFFSETS, given):
        here = at.astimezone(ZoneInfo(name)).utcoffset()
        if here != theirs and name not in found:
            moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            found[name] = f"at {moment}: {_signed(here)} here, {_signed(theirs)} in the database"
    return found


def _told_apart(zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Moments at which two tables of this zone's rules cannot look alike: each change, just before it, and between."""
    at, last = now.astimezone(UTC).replace(microsecond=0) - BACK, now + AHEAD
    while at < last:
        yield at
        following = at + STEP
        if _offset(zone, at) != _offset(zone, following):
            yield from change_between(zone, at, following)
        at = following


def change_between(zone: ZoneInfo, before: datetime, after: datetime) -> tuple[datetime, datetime]:
    """The last second of the old offset, and the first of the new one."""
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return before, after


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _signed(offset: timedelta | None) -> str:
    minutes = int((offset or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
