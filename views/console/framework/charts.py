"""Bar charts drawn by the server: each bar a link to exactly its rows, with a table that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LABELS = 8
# Percent of the drawing's height that the longest bar takes; its number stands above it.
TALLEST = 86


@dataclass(frozen=True)
class Bar:
    """One bar: what it stands for, how much (`text` says it shorter), and the list of exactly those rows."""

    label: str
    value: float
    href: str | None = None
    short: str = ""


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
        if self.bar.short:
            return self.bar.short
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


@dataclass(frozen=True)
class Part:
    """One part of a stacked bar: which series, how much, and the list of exactly those rows."""

    series: str
    value: int
    href: str | None = None


@dataclass(frozen=True)
class DrawnPart:
    """One part of a stacked bar: where it begins and how high it is, in percent of the drawing."""

    part: Part
    y: float
    height: float


@dataclass(frozen=True)
class DrawnStack:
    """A stacked bar in its place, in percent of the drawing; its parts from the ground up."""

    label: str
    total: int
    x: float
    width: float
    y: float
    parts: tuple[DrawnPart, ...]
    labelled: bool

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True)
class StackedChart:
    """What the `stacked_chart` macro draws; `series` are (name for styles, name for people), from the ground up."""

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    stacks: tuple[DrawnStack, ...]


def stacked_chart(
    title: str, unit: str, series: Sequence[tuple[str, str]], stacks: Sequence[tuple[str, Sequence[Part]]]
) -> StackedChart:
    """Lay stacked bars out side by side, each given as its label and its parts from the ground up."""
    highest = max((sum(part.value for part in parts) for _, parts in stacks), default=0) or 1
    step = 100 / max(len(stacks), 1)
    every = -(-len(stacks) // MOST_LABELS) or 1
    drawn = []
    for number, (label, parts) in enumerate(stacks):
        total, laid, below = sum(part.value for part in parts), [], 0
        for part in parts:
            below += part.value
            height = TALLEST * part.value / highest
            laid.append(DrawnPart(part, y=round(100 - TALLEST * below / highest, 3), height=round(height, 3)))
        drawn.append(
            DrawnStack(
                label,
                total,
                x=round(step * number + step * 0.12, 3),
                width=round(step * 0.76, 3),
                y=round(100 - TALLEST * total / highest, 3),
                parts=tuple(laid),
                labelled=number % every == 0,
            )
        )
    return StackedChart(title, unit, tuple(series), tuple(drawn))
