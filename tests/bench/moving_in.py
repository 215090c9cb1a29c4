"""How fast an earlier system comes over: `python -m tests.bench.moving_in` (needs Debian's pgloader and MariaDB).

A million bookings with their practitioners and users, in one run and on one machine.

From MariaDB: pgloader brings the tables over as they are, into tables of its own; then `flask legacy import --verify`
brings them into the product's tables and compares all of it. So that like is compared with like, pgloader's table then
gets the indexes of ours, and the constraint against overlaps; what each costs is told by itself.

From PostgreSQL: `pg_dump | psql` copies the same tables into a database of its own, which then gets the same indexes
and constraint; beside it the same command of ours.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from admin_app.launcher.postgres import embedded_programs
from tests.bench import page, place
from tests.bench.intake import Bar
from tests.migrations.earlier import bookings_drizzle, bookings_mysql, servers
from tests.migrations.earlier.moves import Move

HEADING = "## Moving in from MariaDB"
ROWS, BAR, BAR_POSTGRESQL, MOST_MEMORY = 1_000_000, 2.0, 3.0, 200
ABOUT = """Each side's rows; then the indexes that our table has, of which there are fourteen; then its constraint
against overlapping bookings, which a fifth of the rows come under. `flask legacy import --verify` brings the same
tables into an empty product, with all of that, keeps what became of each row, and compares every row by reading both
sides again.

Where the database's processor time goes for a million bookings from MariaDB, measured once on 2026-11-30:

| part | seconds |
|---|--:|
| preparing: conversions, rules, a hash of each source row | 4.8 |
| writing bookings | 1.8 |
| making the constraint against overlaps | 7.1 |
| making the other indexes of bookings | 5.1 |
| what became of each row, and its indexes | 3.6 |
| users and their addresses | 2.6 |
| comparing, by two connections: looking up and converting again | 5.3 |
| comparing: both sides' records and hashes | 2.4 |

Processor time of all programs together, servers and index workers included, which neighbours on the machine disturb
less than the clock: pgloader 14.1 s, and 30.0 s with the same indexes and constraint; ours 62.4 s, 2.08 times that, of
which 3.7 s are the start of the command. By the clock ours suffers more from a busy machine: while it writes, one
connection works at a time. Twice pgloader's 14.1 s for the rows alone would leave 12 s, beside those indexes and the
constraint, for reading everything twice, converting it twice, and writing it with what became of it; that takes 46 s.
"""
LOAD = """
LOAD DATABASE FROM {source} INTO {target}
WITH quote identifiers, include drop, create tables, create indexes, reset sequences, foreign keys
SET MySQL PARAMETERS net_read_timeout = '600'
INCLUDING ONLY TABLE NAMES MATCHING 'bookings', 'practitioners', 'users';
"""
# As our table has them, on the same columns of theirs.
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
# Of held and confirmed bookings alone, as ours. pgloader makes `numeric` of MySQL's unsigned keys.
CONSTRAINT = (
    'ALTER TABLE {s}.bookings ADD EXCLUDE USING gist (("practitionerId"::bigint) WITH =, '
    """{range}("startTime", "endTime") WITH &&) WHERE (status IN ('pending', 'confirmed'))"""
)


@dataclass(frozen=True)
class Side:
    """Seconds of whom we are compared with: for the rows, for the indexes of our table, for its constraint."""

    rows: float
    indexes: float
    constraint: float

    @property
    def all(self) -> float:
        return self.rows + self.indexes + self.constraint


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


def pgloader(source: str, server_url: str, folder: Path) -> Side:
    target = place.create(server_url, "backdesk_bench_pgloader")
    load = folder / "bookings.load"
    load.write_text(LOAD.format(source=source, target=target))
    rows = timed(["pgloader", "--quiet", str(load)], {})
    return Side(rows, *as_ours(target, source.rpartition("/")[2], "tstzrange"))


def pg_dump(source: str, server_url: str) -> Side:
    target = place.create(server_url, "backdesk_bench_dumped")
    programs = embedded_programs()
    dump = programs / "pg_dump" if (programs / "pg_dump").exists() else "pg_dump"
    both = f"set -o pipefail; {dump} --no-owner '{source}' | psql -q -v ON_ERROR_STOP=1 '{target}'"
    return Side(timed(["bash", "-c", both], {}), *as_ours(target, "public", "tsrange"))


def as_ours(target: str, schema: str, between: str) -> tuple[float, float]:
    """Seconds for the indexes that our table has, and for its constraint."""
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        began = time.perf_counter()
        for statement in INDEXES:
            connection.execute(statement.format(s=schema).encode())
        indexed = time.perf_counter()
        connection.execute(CONSTRAINT.format(s=schema, range=between).encode())
        return indexed - began, time.perf_counter() - indexed


def dropped(server_url: str, *names: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def ours(source: str, server_url: str, folder: Path, *, zone: str) -> float:
    """Seconds of the import with its comparison."""
    name = "backdesk_bench_moving_in"
    dropped(server_url, name)
    target = place.create(server_url, name)
    place.migrate(target)
    settings = {"DATABASE_URL": target, "SECRET_KEY": "0123456789abcdef" * 4}
    file = folder / f"{zone.replace('/', '_')}.toml"
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", "legacy"]
    timed([*flask, "plan", "--source", source, "--to", str(file)], settings)
    Move.decide_file(file, zone=zone)
    took = timed([*flask, "import", "--verify", "--source", source, "--mapping", str(file)], settings)
    dropped(server_url, name)
    return took


def section(maria: tuple[Side, float], postgres: tuple[Side, float], memory: float, rows: int) -> Iterator[str]:
    yield f"{rows:,} bookings with their practitioners and users, one run. {page.when()}."
    yield ""
    yield ABOUT
    yield "| seconds | from MariaDB, pgloader | from PostgreSQL, `pg_dump \\| psql` |"
    yield "|---|--:|--:|"
    for what, part in (
        ("the rows, into tables of its own", "rows"),
        ("… and the indexes that our table has", "indexes"),
        ("… and its constraint against overlaps", "constraint"),
    ):
        yield f"| {what} | {getattr(maria[0], part):.1f} | {getattr(postgres[0], part):.1f} |"
    yield f"| `flask legacy import --verify` | {maria[1]:.1f} | {postgres[1]:.1f} |"
    yield ""
    yield f"The largest of these processes of ours needed {memory:.0f} MiB."
    yield ""
    yield "| ratio | measured | at most | |"
    yield "|---|--:|--:|---|"
    for bar in bars(maria, postgres, memory):
        yield f"| {bar.what} | {bar.measured:.2f} | {bar.bar:g} | {'holds' if bar.holds else 'MISSED'} |"


def bars(maria: tuple[Side, float], postgres: tuple[Side, float], memory: float) -> list[Bar]:
    found = []
    for (side, took), name, bar in ((maria, "pgloader", BAR), (postgres, "pg_dump and psql", BAR_POSTGRESQL)):
        for with_what, seconds in (
            (" with the same indexes and constraint", side.all),
            (" with the same indexes", side.rows + side.indexes),
            (", rows alone", side.rows),
        ):
            found.append(Bar(f"import and verify / {name}{with_what}", took / seconds, bar, at_least=False))
    return [*found, Bar("memory of ours, MiB", memory, MOST_MEMORY, at_least=False)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    chosen = options.parse_args()
    if shutil.which("pgloader") is None:
        raise SystemExit("This needs pgloader. On Debian: apt-get install pgloader")
    with place.server() as server_url, tempfile.TemporaryDirectory() as folder:
        dropped(server_url, "backdesk_bench_pgloader", "backdesk_bench_dumped", "backdesk_bench_earlier")
        with servers.running() as server:
            source = server.url(server.create_database())
            bookings_mysql.make(source, rows=chosen.rows, ugly=False)
            loaded = pgloader(source, server_url, Path(folder))
            maria = (loaded, ours(source, server_url, Path(folder), zone="Europe/Berlin"))
        dropped(server_url, "backdesk_bench_pgloader")
        earlier = place.create(server_url, "backdesk_bench_earlier")
        bookings_drizzle.make(earlier, rows=chosen.rows, ugly=False)
        dumped = pg_dump(earlier, server_url)
        postgres = (dumped, ours(earlier, server_url, Path(folder), zone="UTC"))
        dropped(server_url, "backdesk_bench_dumped", "backdesk_bench_earlier")
    lines = list(section(maria, postgres, max(MEMORY), chosen.rows))
    print("\n".join(lines))
    if not chosen.dry:
        page.write(HEADING, lines)


if __name__ == "__main__":
    main()
