"""Shortcuts of a list to some days around today, such as the next seven."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class DatePreset:
    """A shortcut to some days around today, in the viewer's zone: `first` and `last` count from it, None is open.

    `also` are other filters that it sets.
    """

    label: str
    filter: str
    first: int | None
    last: int | None
    sort: str
    also: tuple[tuple[str, str], ...] = ()

    @property
    def arguments(self) -> tuple[str, str]:
        return f"{self.filter}_from", f"{self.filter}_to"

    def query(self, today: date) -> dict[str, str]:
        """The list's arguments for these days; they name the days, so that the address stays true to what it shows."""
        days = zip(self.arguments, (self.first, self.last), strict=True)
        bounds = {name: (today + timedelta(days=offset)).isoformat() for name, offset in days if offset is not None}
        return {**bounds, **dict(self.also)}


def shown(
    presets: Iterable[DatePreset], address: str, chosen: Mapping[str, Sequence[str]], zone: ZoneInfo
) -> list[tuple[str, str, bool]]:
    """Each shortcut with its address, and whether the list shows just that."""
    today = datetime.now(zone).date()
    narrowed = {name: values[0] for name, values in chosen.items() if len(values) == 1}
    links = []
    for preset in presets:
        query = preset.query(today)
        links.append((preset.label, f"{address}?{urlencode({**query, 'sort': preset.sort})}", narrowed == query))
    return links
