"""Single sections of docs/benchmarks.md, which some measurements write by themselves."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from tests.bench import place

PAGE = place.ROOT / "docs" / "benchmarks.md"


def put(page: str, heading: str, lines: Iterable[str]) -> str:
    """The page with this section in place of the earlier one, before the bars."""
    without = re.sub(rf"{re.escape(heading)}\n.*?(?=^## )", "", page, flags=re.DOTALL | re.MULTILINE)
    head, bars, rest = without.partition("## Bars\n")
    return "\n".join((head + heading, "", *lines, "", bars + rest))


def write(heading: str, lines: Iterable[str]) -> None:
    PAGE.write_text(put(PAGE.read_text(), heading, lines))


def when() -> str:
    """The day and how busy the machine was, for whoever compares."""
    return f"{datetime.now(UTC):%Y-%m-%d}, load average of the last minute when it was over {os.getloadavg()[0]:.1f}"
