"""SQL of local times and moments, by the product's own table of zones and not by the database's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from admin_app.services.core.zone_rules import change_between

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
STEP = timedelta(days=10)
ALWAYS = "-infinity"


@dataclass(frozen=True)
class Spell:
    """From this local time on it is so many seconds ahead of UTC; `unsure`: such a time is not there, or twice."""

    since: str
    ahead: int
    unsure: bool


@dataclass(frozen=True)
class Change:
    """Since this time of UTC, without zone, clocks are `after` seconds ahead of it; they were `before`."""

    at: datetime
    before: int
    after: int


def moment(local: str, zone: str) -> str:
    """SQL of a `timestamptz`, from SQL of a `timestamp` that is local in that zone."""
    known = _spells(zone)
    ahead = _at_place((spell.ahead for spell in known), "integer", local, (spell.since for spell in known))
    return f"timezone('UTC', {local} - make_interval(secs => {ahead}))"


def is_unsure(local: str, zone: str) -> str:
    """SQL that is true of a local time that does not exist, or exists twice."""
    known = _spells(zone)
    unsure = (str(spell.unsure).lower() for spell in known)
    return _at_place(unsure, "boolean", local, (spell.since for spell in known))


def wall_clock(at: str, zone: str) -> str:
    """SQL of the local `timestamp` in that zone, from SQL of a `timestamptz`: the way back from `moment`."""
    changes, utc = list(_changes(zone)), f"timezone('UTC', {at})"
    aheads = [_ahead(ZoneInfo(zone), FIRST), *(change.after for change in changes)]
    ahead = _at_place(aheads, "integer", utc, [ALWAYS, *(change.at.isoformat(" ") for change in changes)])
    return f"({utc} + make_interval(secs => {ahead}))"


@lru_cache(maxsize=64)
def _spells(zone: str) -> tuple[Spell, ...]:
    """The whole of a zone's local time, in order.

    A local time that is skipped counts as before the change, so it becomes an hour later; of one that is there twice
    the later moment is meant, as in standard time.
    """
    found = [Spell(ALWAYS, _ahead(ZoneInfo(zone), FIRST), False)]
    for change in _changes(zone):
        edges = sorted(change.at + timedelta(seconds=ahead) for ahead in (change.before, change.after))
        skips = change.after > change.before
        found.append(Spell(edges[0].isoformat(" "), change.before if skips else change.after, True))
        found.append(Spell(edges[1].isoformat(" "), change.after, False))
    return tuple(found)


def _changes(name: str) -> Iterator[Change]:
    zone, at = ZoneInfo(name), FIRST
    while at < LAST:
        following = at + STEP
        if _ahead(zone, at) != _ahead(zone, following):
            _, since = change_between(zone, at, following)
            yield Change(since.replace(tzinfo=None), _ahead(zone, at), _ahead(zone, following))
        at = following


def _ahead(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds())


def _at_place(values: Iterable[object], kind: str, time: str, edges: Iterable[str]) -> str:
    """SQL of the value that belongs to the last of these times, in order, that is not after this one."""
    listed = ", ".join(str(value) for value in values)
    quoted = ", ".join(f'"{edge}"' for edge in edges)
    return f"('{{{listed}}}'::{kind}[])[width_bucket({time}, '{{{quoted}}}'::timestamp[])]"
