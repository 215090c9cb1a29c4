"""Local times as moments, by the product's own table of zones and not by the database's."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from admin_app.services.core.zone_rules import change_between
from admin_app.services.move_in import sql

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
STEP = timedelta(days=10)


@dataclass(frozen=True)
class Spell:
    """From this local time on it is so many seconds ahead of UTC; `unsure`: such a time is not there, or twice."""

    since: str
    ahead: int
    unsure: bool


@lru_cache(maxsize=64)
def spells(name: str) -> tuple[Spell, ...]:
    """The whole of a zone's local time, in order.

    A local time that is skipped counts as before the change, so it becomes an hour later; of one that is there twice
    the later moment is meant, as in standard time.
    """
    zone = ZoneInfo(name)
    found = [Spell("-infinity", _ahead(zone, FIRST), False)]
    at = FIRST
    while at < LAST:
        following = at + STEP
        before, after = _ahead(zone, at), _ahead(zone, following)
        if before != after:
            _, change = change_between(zone, at, following)
            edges = sorted(change.replace(tzinfo=None) + timedelta(seconds=ahead) for ahead in (before, after))
            found.append(Spell(edges[0].isoformat(" "), before if after > before else after, True))
            found.append(Spell(edges[1].isoformat(" "), after, False))
        at = following
    return tuple(found)


def wall_clock(at: str, zone: str) -> str:
    """SQL of the local `timestamp` in that zone, from SQL of a `timestamptz`: the way back from `moment`."""
    known = ZoneInfo(zone)
    aheads, edges = [_ahead(known, FIRST)], ["-infinity"]
    step = FIRST
    while step < LAST:
        following = step + STEP
        if _ahead(known, step) != _ahead(known, following):
            _, change = change_between(known, step, following)
            aheads.append(_ahead(known, change))
            edges.append(change.astimezone(UTC).replace(tzinfo=None).isoformat(" "))
        step = following
    utc = f"timezone('UTC', {at})"
    quoted = ", ".join(f'"{edge}"' for edge in edges)
    place = f"width_bucket({utc}, {sql.value('{' + quoted + '}')}::timestamp[])"
    listed = ", ".join(str(ahead) for ahead in aheads)
    return f"({utc} + make_interval(secs => ('{{{listed}}}'::integer[])[{place}]))"


def _ahead(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds())


def moment(local: str, zone: str) -> str:
    """SQL of a `timestamptz`, from SQL of a `timestamp` that is local in that zone."""
    seconds = ", ".join(str(spell.ahead) for spell in spells(zone))
    ahead = f"make_interval(secs => ('{{{seconds}}}'::integer[])[{_place(local, zone)}])"
    return f"timezone('UTC', {local} - {ahead})"


def is_unsure(local: str, zone: str) -> str:
    """SQL that is true of a local time that does not exist, or exists twice."""
    unsure = ", ".join(str(spell.unsure).lower() for spell in spells(zone))
    return f"('{{{unsure}}}'::boolean[])[{_place(local, zone)}]"


def _place(local: str, zone: str) -> str:
    edges = ", ".join(f'"{spell.since}"' for spell in spells(zone))
    return f"width_bucket({local}, {sql.value('{' + edges + '}')}::timestamp[])"
