"""What a look at a database found: sections of lines, each with a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a line of the report came out; WRONG alone fails the check."""

    OK = "ok"
    WRONG = "WRONG"
    NOTE = "note"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. `remark` says what is wrong, or worth knowing."""

    cells: tuple[str, ...]
    verdict: Verdict = Verdict.OK
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """Lines of one kind under one heading; the header has a title for each cell."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def wrong(self) -> int:
        return sum(line.verdict is Verdict.WRONG for line in self.lines)


def as_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns under each other; the last one may be of any length."""
    every = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(row[place]) for row in every) for place in range(len(header) - 1)]
    lines = []
    for row in every:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))
        lines.append("  ".join((*cells, row[-1])).rstrip())
    return lines


def table(section: Section, *, problems_only: bool = False) -> list[str]:
    """The section as a table of text, the verdict before its remark."""
    shown = [line for line in section.lines if line.verdict is not Verdict.OK or not problems_only]
    if not shown:
        return []
    rows = [(*line.cells, f"{line.verdict} {line.remark}".strip()) for line in shown]
    return as_text((*section.header, "Verdict"), rows)
