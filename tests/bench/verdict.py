"""What the measurements must show. Every bar is a ratio to something measured beside it, never a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.measure import Series

FLOOR_BAR = 3.0
FLAT_BAR = 1.5
FIRST, DEEP = "list, page 1", "list, deep page"


@dataclass(frozen=True)
class Check:
    """One ratio of ours and the bar it must stay under."""

    what: str
    ratio: float
    bar: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.bar


def checks(measured: Sequence[Series]) -> Iterator[Check]:
    """Ours against the floor everywhere, then ours against itself between sizes and depths."""
    found = {(series.bookings, series.scenario, series.contender): series.median for series in measured}
    sizes = sorted({series.bookings for series in measured})
    scenarios = list(dict.fromkeys(series.scenario for series in measured))
    for size in sizes:
        for scenario in scenarios:
            ratio = found[size, scenario, "ours"] / found[size, scenario, "floor"]
            yield Check(f"{scenario}, {size:,} bookings: ours / floor", ratio, FLOOR_BAR)
    small, large = sizes[0], sizes[-1]
    if small != large:
        for scenario in scenarios:
            ratio = found[large, scenario, "ours"] / found[small, scenario, "ours"]
            yield Check(f"{scenario}: {large:,} / {small:,} bookings", ratio, FLAT_BAR)
    for size in sizes:
        ratio = found[size, DEEP, "ours"] / found[size, FIRST, "ours"]
        yield Check(f"{size:,} bookings: deep page / page 1", ratio, FLAT_BAR)
