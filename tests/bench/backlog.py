"""What a backlog of purchases does to the worker: `python -m tests.bench.backlog`.

A worker (`python -m admin_app.jobs`) stands idle beside the simulator when thousands of purchases come in at once.
Measured: from the first purchase's arrival to the first claim mail's departure, and how many events the worker
processes in a second of its processor time. Then, with the worker gone, what the sweep's look for forgotten events
costs with tens of thousands waiting, once with statistics that know them and once with statistics of an empty table.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from admin_app.context import Job, Statement
from admin_app.db import Database
from admin_app.services import inbox
from tests.bench import deliveries, page, place
from tests.bench.intake import Bar, server
from tests.bench.serve import settings
from tests.bench.servers import free_port

HEADING = "## A backlog"
ABOUT = """A worker (`python -m admin_app.jobs`) stands idle beside the simulator when {purchases:,} purchases come
in at once; each becomes a pending profile and a claim mail.

{when}; this benchmark alone makes about 2.
"""
DATABASE = "backdesk_bench_backlog"
PURCHASES, WAITING = 5_000, 20_000
WATCH_SECONDS, PATIENCE_SECONDS = 20.0, 600.0
FIRST_MAIL_BAR_SECONDS, SWEEP_BAR_MS = 5.0, 100.0
ACTOR = Job("bench")


@dataclass(frozen=True)
class Measured:
    purchases: int
    stored_seconds: float
    first_mail_seconds: float
    events: int
    mails: int
    seconds: float
    cpu_seconds: float

    @property
    def per_cpu_second(self) -> float:
        return (self.events + self.mails) / self.cpu_seconds


def fresh_database(server_url: str) -> str:
    """Nothing of an earlier run is in it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
    url = place.create(server_url, DATABASE)
    place.migrate(url)
    return url


def buy(database: Database, count: int, run: str, *, at: datetime | None = None) -> None:
    """Store purchases with their jobs, as the intake does, in a few transactions."""
    for start in range(0, count, 500):
        with database.unit_of_work(ACTOR) as ctx:
            for number in range(start, min(start + 500, count)):
                statement = _receipt(number, run, at or datetime.now(UTC))
                ctx.session.connection().exec_driver_sql(statement.sql, dict(statement.values))


def _receipt(number: int, run: str, at: datetime) -> Statement:
    raw, event = deliveries.body_of(number, at, run)
    return inbox.receipt(
        provider="whop",
        external_id=event["id"],
        type=event["type"],
        body=raw,
        received_at=at,
        occurred_at=at,
        subject=event["data"]["id"],
    )


@contextmanager
def simulator(log: Path) -> Iterator[dict[str, str]]:
    """What a worker must know to speak to the simulator, its mail server included."""
    port, smtp = free_port(), free_port()
    state = log.parent / "simulator.sqlite"
    state.unlink(missing_ok=True)
    command = ["admin_app.simulator", "--port", str(port), "--smtp-port", str(smtp), "--state", str(state)]
    process = _start(command, log, {})
    try:
        yield {
            "WHOP_API_KEY": "apik_bench",
            "WHOP_API_BASE": f"http://127.0.0.1:{port}/whop/api/v1",
            "SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        }
    finally:
        _stop(process)


@contextmanager
def worker(url: str, log: Path, more: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    given = {"DATABASE_URL": url, "SECRET_KEY": "only for the benchmark, which nobody signs in to", **more}
    process = _start(["admin_app.jobs"], log, given)
    try:
        yield process
    finally:
        _stop(process)


def _start(command: list[str], log: Path, more: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command], cwd=place.ROOT, env={**os.environ, **more}, stdout=output, stderr=output
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time that the process used so far, by Linux."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def wait_until(url: str, query: str) -> Any:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if found := one(url, query):
            return found
        time.sleep(0.1)
    raise SystemExit(f"Not in {PATIENCE_SECONDS:.0f} seconds: {query}")


FIRST_MAIL = """
SELECT extract(epoch FROM sent_at - (SELECT min(received_at) FROM webhook_events))
FROM sent_emails WHERE sent_at IS NOT NULL ORDER BY sent_at LIMIT 1
"""
PROCESSED = "SELECT count(*) FROM webhook_events WHERE state <> 'received'"
SENT = "SELECT count(*) FROM sent_emails WHERE sent_at IS NOT NULL"
# A worker that is ready has registered itself.
READY = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 seconds'"


def work_off(url: str, log: Path, *, purchases: int, watch: float) -> Measured:
    database = Database.from_settings(settings(url))
    with ExitStack() as stack:
        providers = stack.enter_context(simulator(log))
        process = stack.enter_context(worker(url, log, providers))
        wait_until(url, READY)
        began, cpu = time.monotonic(), cpu_seconds(process)
        buy(database, purchases, "backlog")
        stored = time.monotonic() - began
        first = float(wait_until(url, FIRST_MAIL))
        while time.monotonic() < began + watch and one(url, SENT) < purchases:
            time.sleep(0.5)
        seconds, used = time.monotonic() - began, cpu_seconds(process) - cpu
        events, mails = one(url, PROCESSED), one(url, SENT)
    database.dispose()
    return Measured(purchases, stored, first, events, mails, seconds, used)


def sweep(url: str, *, waiting: int, analyzed: bool) -> float:
    """Median milliseconds of the look for forgotten events; nothing counts the rows but what is said here."""
    database = Database.from_settings(settings(url))
    tables = ("webhook_events", "procrastinate_jobs")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"TRUNCATE webhook_events, procrastinate_jobs CASCADE")
        for table in tables:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
            connection.execute(f"VACUUM ANALYZE {table}".encode())
    buy(database, waiting, f"sweep{int(analyzed)}", at=datetime.now(UTC) - timedelta(minutes=10))
    if analyzed:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ANALYZE {', '.join(tables)}".encode())
    times = []
    for _ in range(5):
        with database.unit_of_work(ACTOR) as ctx:
            began = time.perf_counter()
            found = inbox.unfinished(ctx.session, older_than=timedelta(minutes=2))
            times.append((time.perf_counter() - began) * 1000)
        if found:
            raise SystemExit("The sweep took events for forgotten that have a job.")
        if times[-1] > PATIENCE_SECONDS * 100:
            break
    database.dispose()
    return statistics.median(times)


def bars(measured: Measured, sweeps: dict[str, float]) -> list[Bar]:
    return [
        Bar("first claim mail after its purchase, seconds", measured.first_mail_seconds, FIRST_MAIL_BAR_SECONDS, False),
        *(Bar(f"sweep, {name}, ms", value, SWEEP_BAR_MS, False) for name, value in sweeps.items()),
    ]


def section(measured: Measured, sweeps: dict[str, float]) -> Iterator[str]:
    yield ABOUT.format(purchases=measured.purchases, when=page.when())
    yield f"- {measured.purchases:,} purchases stored in {measured.stored_seconds:.1f} s while the worker was at work"
    yield (
        f"- {measured.seconds:.0f} s after they began to come in, {measured.events:,} events were processed and "
        f"{measured.mails:,} mails sent, with {measured.cpu_seconds:.1f} s of the worker's processor time: "
        f"{measured.per_cpu_second:.0f} jobs per second of it"
    )
    yield ""
    yield "| what | measured | at most | |"
    yield "|---|--:|--:|---|"
    for bar in bars(measured, sweeps):
        yield f"| {bar.what} | {bar.measured:.1f} | {bar.bar:.0f} | {'holds' if bar.holds else 'MISSED'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--purchases", type=int, default=PURCHASES)
    parser.add_argument("--waiting", type=int, default=WAITING)
    parser.add_argument("--seconds", type=float, default=WATCH_SECONDS)
    parser.add_argument("--no-page", action="store_true", help="only print, leave docs/benchmarks.md as it is")
    wanted = parser.parse_args()
    log = place.ROOT / "var" / "bench" / "backlog.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with server() as server_url:
        url = fresh_database(server_url)
        measured = work_off(url, log, purchases=wanted.purchases, watch=wanted.seconds)
        sweeps = {
            f"{wanted.waiting:,} events waiting, {name}": sweep(url, waiting=wanted.waiting, analyzed=analyzed)
            for name, analyzed in (("statistics up to date", True), ("statistics of an empty table", False))
        }
    lines = list(section(measured, sweeps))
    print("\n".join(lines))
    if not wanted.no_page:
        page.write(HEADING, lines)
    sys.exit(0 if all(bar.holds for bar in bars(measured, sweeps)) else 1)


if __name__ == "__main__":
    main()
