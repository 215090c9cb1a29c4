"""The results as tables, for the terminal and for docs/benchmarks.md."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import psycopg

from tests.bench.measure import Series
from tests.bench.verdict import Check

HEAD = """# Benchmarks

Made by `make bench`. Bookings list and record page, each contender behind gunicorn with one synchronous worker, every
page asked for in turns in one run; times are what the client sees, connection included. *ours*: the console with a
signed-in session. *stock*: Flask-Admin's own ModelView on the same tables, nobody signed in. *floor*: a bare Flask page
with one indexed query and one compiled template. The deep page is the 10,000th, or half way down a smaller table;
*ours* and the floor reach it by position, *stock* by its page number. Why ratios and not times:
[decision 0040](decisions/0040-speed-is-a-ratio.md).
"""


def markdown(
    measured: Sequence[Series], checks: Sequence[Check], *, server: str, rounds: int, at_rate: Sequence[str] = ()
) -> str:
    """The whole page; `at_rate` is the section of what was asked at a steady rate."""
    lines = [HEAD, *_facts(server, rounds)]
    for size in sorted({series.bookings for series in measured}):
        lines += ["", f"## {size:,} bookings", "", *table([s for s in measured if s.bookings == size])]
    if at_rate:
        lines += ["", *at_rate]
    lines += ["", "## Bars", "", *verdicts(checks)]
    return "\n".join(lines) + "\n"


def _facts(server: str, rounds: int) -> Iterator[str]:
    names = ("flask-admin", "flask", "sqlalchemy", "psycopg", "gunicorn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[1]
    yield f"- {datetime.now(UTC):%Y-%m-%d}, {rounds} rounds, {os.cpu_count()} processors, {memory:.0f} GiB memory"
    yield f"- load average of the last five minutes {load:.1f}; the benchmark alone makes about 1"
    yield f"- PostgreSQL {server}, Python {platform.python_version()}, {versions}"


def table(measured: Sequence[Series]) -> Iterator[str]:
    """One line per page and contender, ours first, each compared with the floor."""
    floor = {series.scenario: series.median for series in measured if series.contender == "floor"}
    yield "| page | contender | median ms | p95 ms | × floor | KiB | queries |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for series in measured:
        queries = "–".join(str(count) for count in sorted({min(series.queries), max(series.queries)}))
        yield (
            f"| {series.scenario} | {series.contender} | {series.median:.1f} | {series.p95:.1f} "
            f"| {series.median / floor[series.scenario]:.1f} | {series.size / 1024:.0f} | {queries} |"
        )


def verdicts(checks: Sequence[Check]) -> Iterator[str]:
    yield "| ratio | measured | at most | |"
    yield "|---|--:|--:|---|"
    for check in checks:
        yield f"| {check.what} | {check.ratio:.2f} | {check.bar:.1f} | {'holds' if check.holds else 'MISSED'} |"


def server_version(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]).split()[0] if row else "?"
