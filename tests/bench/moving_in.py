"""How fast an earlier system comes over: `python -m tests.bench.moving_in` (needs Debian's pgloader and MariaDB).

A million bookings of MariaDB, in one run and on one machine: pgloader brings the table over as it is, into tables of
its own; then `flask legacy import` brings it into the product's tables, whose indexes and constraints are kept up
meanwhile, and `flask legacy verify` compares all of it. So that like is compared with like, pgloader's table gets the
indexes of ours afterwards, and both are told.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.bench import page, place
from tests.bench.intake import Bar
from tests.migrations.earlier import bookings_mysql, servers
from tests.migrations.earlier.moves import Move

HEADING = "## Moving in from MariaDB"
ROWS, BAR, MOST_MEMORY = 1_000_000, 2.0, 200
LOAD = """
LOAD DATABASE FROM {source} INTO {target}
WITH quote identifiers, include drop, create tables, create indexes, reset sequences, foreign keys
SET MySQL PARAMETERS net_read_timeout = '600'
INCLUDING ONLY TABLE NAMES MATCHING 'bookings', 'practitioners', 'users';
"""
# As our table has them, on the same columns of theirs; the constraint against overlaps is of held bookings alone.
INDEXES = (
    'CREATE INDEX ON {s}.bookings ("startTime", id)',
    'CREATE INDEX ON {s}.bookings (status, "startTime", id)',
    'CREATE INDEX ON {s}.bookings ("practitionerId", "startTime", id)',
    'CREATE INDEX ON {s}.bookings (lower("clientEmail"), "startTime", id)',
    'CREATE INDEX ON {s}.bookings USING gin (lower("clientEmail") gin_trgm_ops)',
    'CREATE INDEX ON {s}.bookings ("practitionerId")',
    'CREATE UNIQUE INDEX ON {s}.bookings ("stripeSessionId")',
    'CREATE UNIQUE INDEX ON {s}.bookings ("stripePaymentIntentId")',
)


# Of each program of ours, the most memory that it needed, in MiB.
MEMORY: list[float] = []


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Seconds until it ended well; what it says goes to a file, so that it never waits for a reader."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(
            command, cwd=place.ROOT, env=os.environ | environment, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read()[-2000:]}")
    if environment:
        MEMORY.append(used.ru_maxrss / 1024)
    return time.perf_counter() - began


def pgloader(source: str, server_url: str, folder: Path) -> tuple[float, float]:
    """Seconds for the rows, and for the indexes that our table has."""
    target = place.create(server_url, "backdesk_bench_pgloader")
    load = folder / "bookings.load"
    load.write_text(LOAD.format(source=source, target=target))
    rows = timed(["pgloader", "--quiet", str(load)], {})
    schema = source.rpartition("/")[2]
    began = time.perf_counter()
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        for statement in INDEXES:
            connection.execute(statement.format(s=schema).encode())
    return rows, time.perf_counter() - began


def ours(source: str, server_url: str, folder: Path) -> tuple[float, float]:
    """Seconds of the import and of the comparison."""
    name = "backdesk_bench_moving_in"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    target = place.create(server_url, name)
    place.migrate(target)
    settings = {"DATABASE_URL": target, "SECRET_KEY": "0123456789abcdef" * 4}
    file = folder / "bookings.toml"
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", "legacy"]
    timed([*flask, "plan", "--source", source, "--to", str(file)], settings)
    Move.decide_file(file, zone="Europe/Berlin")
    given = ["--source", source, "--mapping", str(file)]
    return timed([*flask, "import", *given], settings), timed([*flask, "verify", *given], settings)


def section(loaded: tuple[float, float], moved: tuple[float, float], memory: float, rows: int) -> Iterator[str]:
    yield f"{rows:,} bookings with their practitioners and users, one run. {page.when()}."
    yield ""
    yield "| | seconds |"
    yield "|---|--:|"
    yield f"| pgloader, into tables of its own | {loaded[0]:.1f} |"
    yield f"| … and the indexes that our table has | {loaded[1]:.1f} |"
    yield f"| `flask legacy import` | {moved[0]:.1f} |"
    yield f"| `flask legacy verify` | {moved[1]:.1f} |"
    yield ""
    yield f"The largest of these processes of ours needed {memory:.0f} MiB."
    yield ""
    yield "| ratio | measured | at most | |"
    yield "|---|--:|--:|---|"
    for bar in bars(loaded, moved, memory):
        yield f"| {bar.what} | {bar.measured:.2f} | {bar.bar:g} | {'holds' if bar.holds else 'MISSED'} |"


def bars(loaded: tuple[float, float], moved: tuple[float, float], memory: float) -> list[Bar]:
    return [
        Bar("import and verify / pgloader with the same indexes", sum(moved) / sum(loaded), BAR, at_least=False),
        Bar("import and verify / pgloader, without them", sum(moved) / loaded[0], BAR, at_least=False),
        Bar("memory of ours, MiB", memory, MOST_MEMORY, at_least=False),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    chosen = options.parse_args()
    if shutil.which("pgloader") is None:
        raise SystemExit("This needs pgloader. On Debian: apt-get install pgloader")
    with servers.running() as maria, place.server() as server_url, tempfile.TemporaryDirectory() as folder:
        source = maria.url(maria.create_database())
        bookings_mysql.make(source, rows=chosen.rows, ugly=False)
        loaded = pgloader(source, server_url, Path(folder))
        moved = ours(source, server_url, Path(folder))
    lines = list(section(loaded, moved, max(MEMORY), chosen.rows))
    print("\n".join(lines))
    if not chosen.dry:
        page.write(HEADING, lines)


if __name__ == "__main__":
    main()
