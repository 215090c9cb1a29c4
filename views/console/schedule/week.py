"""How a week is laid out: days in one zone, everything at its minute of the day, what overlaps side by side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from admin_app.bounds import FIRST_YEAR, LAST_YEAR
from admin_app.services.schedule.week_calendar import Entry

STEP = 5  # minutes per row of the grid; the style sheet counts twelve to the hour
# What is shown at the least, so that a week without appointments looks like a week.
EARLIEST_SHOWN, LATEST_SHOWN = 8 * 60, 18 * 60
MOST_LANES = 4
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Place:
    """A part of a day: the row it begins in, counted from the first hour shown, and how many rows it takes."""

    row: int
    rows: int


@dataclass(frozen=True)
class Block:
    """An entry in its place; `lane` of `lanes` that stand side by side; `continued` when it began the day before."""

    entry: Entry
    place: Place
    lane: int
    lanes: int
    continued: bool


@dataclass(frozen=True)
class Day:
    date: date
    blocks: tuple[Block, ...]
    works: tuple[Place, ...]
    hours: tuple[str, ...]
    now: int | None


@dataclass(frozen=True)
class Week:
    days: tuple[Day, ...]
    first_hour: int
    last_hour: int

    @property
    def hour_marks(self) -> list[tuple[int, str]]:
        """The row and the name of each hour shown."""
        rows = 60 // STEP
        return [((hour - self.first_hour) * rows, f"{hour:02}:00") for hour in range(self.first_hour, self.last_hour)]


@dataclass(frozen=True)
class _Piece:
    """What of a span lies in one day, in minutes after midnight."""

    date: date
    begin: int
    end: int


def monday_of(year: int, week: int) -> date | None:
    """The Monday of an ISO week; None when there is no such week that the calendar can show."""
    try:
        monday = date.fromisocalendar(year, week, 1)
    except ValueError:
        return None
    return monday if FIRST_YEAR < monday.year < LAST_YEAR else None


def name_of(monday: date) -> str:
    """The week as addresses have it: 2026-W48."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def lay_out(monday: date, zone: ZoneInfo, entries: Iterable[Entry], works: Iterable[Span], now: datetime) -> Week:
    """The week's days in that zone, with only the hours in which something is or could be."""
    dates = [monday + timedelta(days=number) for number in range(7)]
    booked = [(entry, piece) for entry in entries for piece in _pieces((entry.starts_at, entry.ends_at), zone)]
    booked = [(entry, piece) for entry, piece in booked if piece.date in dates]
    working = [piece for span in works for piece in _pieces(span, zone) if piece.date in dates]
    shown = [piece for _, piece in booked] + working
    first_hour = min([EARLIEST_SHOWN, *(piece.begin for piece in shown)]) // 60
    last_hour = -(-max([LATEST_SHOWN, *(piece.end for piece in shown)]) // 60)
    days = tuple(_day(day, zone, booked, working, now, first_hour, last_hour) for day in dates)
    return Week(days, first_hour, last_hour)


def _pieces(span: Span, zone: ZoneInfo) -> Iterator[_Piece]:
    start, end = (moment.astimezone(zone) for moment in span)
    day = start.date()
    while day <= end.date():
        begin = _minute(start) if day == start.date() else 0
        finish = _minute(end) if day == end.date() else 24 * 60
        if day == start.date() == end.date() and finish <= begin:
            # The clock was put back in between: as long as it really takes, from where it began.
            finish = min(24 * 60, begin + max(STEP, int((span[1] - span[0]).total_seconds()) // 60))
        if finish > begin:
            yield _Piece(day, begin, finish)
        day += timedelta(days=1)


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _day(
    day: date,
    zone: ZoneInfo,
    booked: Sequence[tuple[Entry, _Piece]],
    working: Sequence[_Piece],
    now: datetime,
    first_hour: int,
    last_hour: int,
) -> Day:
    own = [(entry, piece) for entry, piece in booked if piece.date == day]
    works = [piece for piece in working if piece.date == day]
    here = now.astimezone(zone)
    is_shown = here.date() == day and first_hour <= here.hour < last_hour
    return Day(
        date=day,
        blocks=tuple(_blocks(own, zone, first_hour)),
        works=tuple(_place(piece, first_hour) for piece in works),
        hours=tuple(f"{_clock(piece.begin)}–{_clock(piece.end)}" for piece in works),
        now=_place(_Piece(day, _minute(here), _minute(here) + 1), first_hour).row if is_shown else None,
    )


def _blocks(own: Sequence[tuple[Entry, _Piece]], zone: ZoneInfo, first_hour: int) -> Iterator[Block]:
    ordered = sorted(own, key=lambda one: (one[1].begin, -one[1].end))
    for together in _overlapping(ordered):
        ends: list[int] = []  # of each lane
        lanes = []
        for _, piece in together:
            lane = next((number for number, end in enumerate(ends) if end <= piece.begin), len(ends))
            ends[lane : lane + 1] = [piece.end]
            lanes.append(min(lane, MOST_LANES - 1))
        for (entry, piece), lane in zip(together, lanes, strict=True):
            continued = entry.starts_at.astimezone(zone).date() != piece.date
            yield Block(entry, _place(piece, first_hour), lane + 1, min(len(ends), MOST_LANES), continued)


def _overlapping(ordered: Sequence[tuple[Entry, _Piece]]) -> Iterator[list[tuple[Entry, _Piece]]]:
    """Groups that touch each other, so that only those share the width."""
    group: list[tuple[Entry, _Piece]] = []
    reach = 0
    for entry, piece in ordered:
        if group and piece.begin >= reach:
            yield group
            group = []
        group.append((entry, piece))
        reach = max(reach, piece.end) if len(group) > 1 else piece.end
    if group:
        yield group


def _place(piece: _Piece, first_hour: int) -> Place:
    row = (piece.begin - first_hour * 60) // STEP
    return Place(row, max(1, -(-(piece.end - first_hour * 60) // STEP) - row))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def counted(entries: Iterable[Entry], word: dict[str, str]) -> str:
    """How many of each state, as in “5 confirmed, 1 held”; `word` says what a state is called."""
    names = sorted(word[state_of(entry)] for entry in entries)
    return ", ".join(f"{len(list(group))} {name}" for name, group in groupby(names))


def state_of(entry: Entry) -> str:
    return "lapsed" if entry.lapsed else entry.status.value
