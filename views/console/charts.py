"""Bar charts drawn by the server: each bar a link to exactly its rows, with a table that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LABELS = 8
# Percent of the drawing's height that the longest bar takes; its number stands above it.
TALLEST = 86


@dataclass(frozen=True)
class Bar:
    """One bar: what it stands for, how much, and the list of exactly those rows."""

    label: str
    value: float
    href: str | None = None


@dataclass(frozen=True)
class Drawn:
    """A bar in its place, in percent of the drawing."""

    bar: Bar
    x: float
    width: float
    y: float
    height: float
    labelled: bool

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def text(self) -> str:
        return f"{self.bar.value:,.0f}" if float(self.bar.value).is_integer() else f"{self.bar.value:,.1f}"


@dataclass(frozen=True)
class Chart:
    """What the `bar_chart` macro draws."""

    title: str
    unit: str
    bars: tuple[Drawn, ...]


def bar_chart(title: str, unit: str, bars: Sequence[Bar], *, full: float | None = None) -> Chart:
    """Lay the bars out side by side; `unit` names what is counted, as “purchases”, `full` is the scale's end."""
    highest = full or max((bar.value for bar in bars), default=0) or 1
    step = 100 / max(len(bars), 1)
    every = -(-len(bars) // MOST_LABELS) or 1
    drawn = (
        Drawn(
            bar,
            x=round(step * number + step * 0.12, 3),
            width=round(step * 0.76, 3),
            y=round(100 - TALLEST * bar.value / highest, 3),
            height=round(TALLEST * bar.value / highest, 3),
            labelled=number % every == 0,
        )
        for number, bar in enumerate(bars)
    )
    return Chart(title, unit, tuple(drawn))
