"""Every revision under traffic: `python -m tests.bench.migrations [--rows N] [--dry]`, or `make bench-migrations`.

A database as the business had it, of a million bookings, is brought from the first revision to the newest, one after
the other by Alembic as `flask migrate apply` runs it. Meanwhile 50 requests a second read and write, and a report reads
bookings in a transaction that stays open for 10 s, again and again. Told for each revision: how long it took, the
longest wait of a request from the moment it was due, how many failed, and how often the runner gave way to a lock.

Prints the table, and keeps it in docs/benchmarks.md unless `--dry`.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError

from admin_app.launcher.postgres import Server
from admin_app.services.migrating import running
from tests.bench import page, place
from tests.bench.migration_rates import FILLED
from tests.bench.migration_traffic import Record, Report, Size, under_traffic
from tests.conftest_postgres import POSTGRES_15
from tests.migrations.journey import REVISIONS, Journey

HEADING = "## Every revision under traffic"
ROWS = 1_000_000
MOST_MS = 500
CONTROL_SECONDS = 24.0
INTRO = """
The tables of earlier days, brought to the newest revision in one run (`make bench-migrations`), while 50 requests a
second select, list by time, insert and update bookings, clients and profiles, and a report reads bookings in a
transaction that keeps its snapshot for 10 s and comes again a second later. *longest wait*: of a request, from the
moment it was due to its answer; those of the controls came while no migration ran, and say what the machine adds.
*of it for a lock*: the longest that was seen in `pg_locks`, looked at every 20 ms. *gave way*: how often the runner
let go of a lock after 0.3 s and tried again. A revision's seconds are mostly those for which it waits for the
report. *before them*: the look at every rule, before the first revision. At most 500 ms, and no failed request. The
server waits for its disk.
""".strip()
# A fifth is held, as where nobody ever completes a booking; a tenth of the profiles are purchases that wait.
HELD = "CASE WHEN n > {rows} * 0.8 THEN 'confirmed' ELSE 'completed' END"
WAITING = """
INSERT INTO profiles (user_id, email, membership, whop_membership_id, usage_credits, used_credits, created_at)
    SELECT 'temp_' || n, 'w' || n || '@example.com', 'pro', 'mem_' || n, nullif(n % 3, 0) * 500, 0, now()
      FROM generate_series(1, {waiting}) n;
CREATE INDEX bookings_by_time ON bookings (starts_at);
ANALYZE
"""


@dataclass(frozen=True)
class Measured:
    """One revision; `refused` is the sentence with which it stopped."""

    revision: str
    seconds: float
    record: Record
    gave_way: int
    refused: str | None = None

    @property
    def holds(self) -> bool:
        return not self.refused and not self.record.failed and self.record.longest * 1000 <= MOST_MS


class Heard(logging.Handler):
    """When each revision began, and how often the runner let go of a lock that it could not have."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.tell = tell
        # The look that comes before the first one is a part of the run.
        self.begun, self.gave_way = [("before them", time.monotonic())], [0]

    def emit(self, record: logging.LogRecord) -> None:
        step = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(step, RevisionStep):
            self.tell(f"{self.begun[-1][0]}: {time.monotonic() - self.begun[-1][1]:.1f} s")
            self.begun.append((step.revision.revision, time.monotonic()))
            self.gave_way.append(0)
        else:
            self.gave_way[-1] += "giving way" in str(record.msg)


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[Heard]:
    logs, listener = [logging.getLogger(name) for name in ("migrations", "alembic.runtime.migration")], Heard(tell)
    for log in logs:
        log.addHandler(listener)
    try:
        yield listener
    finally:
        for log in logs:
            log.removeHandler(listener)


def fill(journey: Journey, rows: int) -> Size:
    """The tables of earlier days, which Alembic has never seen."""
    journey.up("0001")
    fifth = rows // 5
    journey.run(FILLED.format(rows=rows, fifth=fifth, status=HELD.format(rows=rows)))
    journey.run(WAITING.format(waiting=rows // 50))
    return Size(rows, fifth, fifth)


def every_revision(
    url: str, size: Size, report: Report, tell: Callable[[str], None], *, control: float = CONTROL_SECONDS
) -> tuple[list[Record], list[Measured]]:
    """The controls, before and after, without a migration; and each revision, in order, up to one that is refused."""
    with under_traffic(url, size, report) as traffic:
        quiet = [_quiet(control)]
        with heard(tell) as run:
            refused = _migrate(url)
        ends = [moment for _, moment in run.begun[1:]] + [time.monotonic()]
        quiet.append(_quiet(control))
        record = traffic.stop()
    measured = [
        Measured(revision, end - begun, record.between(begun, end), gave_way)
        for (revision, begun), end, gave_way in zip(run.begun, ends, run.gave_way, strict=True)
    ]
    return [record.between(*each) for each in quiet], [*measured[:-1], replace(measured[-1], refused=refused)]


def _quiet(seconds: float) -> tuple[float, float]:
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic()


def _migrate(url: str) -> str | None:
    """The sentence with which the run was refused, if it was."""
    try:
        running.upgrade(url, count=len(REVISIONS), tell=lambda line: None)
    except CommandError as refused:
        return str(refused)
    return None


def table(quiet: list[Record], measured: list[Measured]) -> Iterator[str]:
    yield "| revision | seconds | longest wait, ms | of it for a lock | requests | failed | gave way | |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for name, record in zip(("none, before", "none, after"), quiet, strict=True):
        yield _row(name, "", record, "", "control")
    for each in measured:
        verdict = "holds" if each.holds else each.refused or "MISSED"
        yield _row(each.revision, f"{each.seconds:.1f}", each.record, str(each.gave_way), verdict)


def _row(name: str, seconds: str, record: Record, gave_way: str, verdict: str) -> str:
    waits = f"{record.longest * 1000:.0f} | {record.longest_locked * 1000:.0f}"
    return f"| {name} | {seconds} | {waits} | {len(record.requests)} | {len(record.failed)} | {gave_way} | {verdict} |"


@contextmanager
def server(programs: Path | None) -> Iterator[str]:
    """One that waits for its disk, as a business's does, and is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="backdesk-migrations-"))
    made = Server(folder, log=folder / "log", programs=programs, options=place.OPTIONS)
    made.start()
    try:
        yield made.url()
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=ROWS, help="bookings; the other tables grow with them")
    words.add_argument("--dry", action="store_true", help="print the table and leave docs/benchmarks.md as it is")
    words.add_argument("--postgres15", action="store_true", help="on Debian's instead of the embedded one")
    asked = words.parse_args()
    with server(POSTGRES_15 if asked.postgres15 else None) as url:
        journey = Journey(url)
        version = journey.value("SHOW server_version")
        size = fill(journey, asked.rows)
        print(f"{asked.rows:,} bookings are there.", flush=True)
        quiet, measured = every_revision(url, size, Report(), lambda line: print(line, flush=True))
        journey.close()
    lines = [
        *INTRO.splitlines(),
        "",
        f"{asked.rows:,} bookings of which a fifth is held, {size.clients:,} clients, profiles and users each, on "
        f"PostgreSQL {version}. {page.when()}.",
        "",
        *table(quiet, measured),
    ]
    print("\n".join(["", *lines]))
    for each in [failed for one in measured for failed in one.record.failed][:10]:
        print(f"failed: {each.kind}: {each.failed}")
    if not asked.dry:
        page.write(HEADING, lines)
    sys.exit(0 if all(each.holds for each in measured) else 1)


if __name__ == "__main__":
    main()
