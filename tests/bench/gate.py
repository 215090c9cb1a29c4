"""The gate's endpoint at a steady rate: `python -m tests.bench.gate`.

Requests come by the clock, whether or not the earlier ones were answered, as calls do. Ours and the floor take turns of
a few seconds, so that a busy moment meets both. Two times are taken: inside the server, from the first line of the
application to its answer, and at the caller, from when the request was due, waiting for a free worker included.
"""

import itertools
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import InvalidInput
from admin_app.services.staff import service_keys
from models import Scope
from tests.bench import place
from tests.bench.serve import settings
from tests.bench.servers import Answer, Site, serving
from tests.bench.verdict import Check

RATE = 200
TURN_SECONDS = 3.0
TURNS = 4
WARM_UP_SECONDS = 2.0
WORKERS = 2
CALLERS = 16
CLIENTS = 20_000
DATABASE = "backdesk_bench_gate"
P99_BAR_MS = 20.0
HEADING = "## The gate"
ABOUT = """`GET /api/clients/{{id}}/gate` at {rate} requests a second, {workers} workers, {clients:,} clients;
times in milliseconds. *floor*: a bare Flask endpoint with one query by the primary key. *inside*: within the server.
*at the caller*: from when the request was due, waiting for a worker included. Load average of the last minute when it
was over: {load_average:.1f}; the benchmark alone makes about 1, and more means that the machine was busy otherwise.
"""
PAGE = place.ROOT / "docs" / "benchmarks.md"

# Every third client has a subscription, every fifth a pause that is over, every seventh one in force, with a history.
FILL = """
INSERT INTO clients (name, email, billing_status, payment_active, trial_used_at, onboarding_complete)
SELECT 'Client ' || n, 'client' || n || '@bench.example',
       (ARRAY['active', 'trial', 'past_due', 'active'])[1 + n % 4]::billing_status, n % 4 <> 2, now(), n % 9 <> 0
FROM generate_series(1, {clients}) n;
INSERT INTO onboarding_states (client_id, forwarding_enabled, test_call_detected)
SELECT id, true, id % 9 <> 0 FROM clients;
INSERT INTO subscriptions (client_id, stripe_subscription_id, stripe_customer_id, status, started_at, fetched_at)
SELECT id, 'sub_bench_' || id, 'cus_bench_' || id, 'active', now(), now() FROM clients WHERE id % 3 = 0;
INSERT INTO flag_changes (client_id, flag, reason, by, since, until, lifted_at, lifted_by)
SELECT id, 'outbound_paused', 'Holiday', 'ops@bench.example', now() - (k + 1) * interval '10 days',
       now() - k * interval '10 days' - interval '1 day',
       CASE WHEN k > 0 THEN now() - k * interval '10 days' END, CASE WHEN k > 0 THEN 'the clock' END
FROM clients, generate_series(0, 3) k WHERE id % 5 = 0;
INSERT INTO flag_changes (client_id, flag, reason, by, since)
SELECT id, 'ai_disabled', 'Asked for it', 'ops@bench.example', now() - interval '1 day' FROM clients WHERE id % 7 = 0;
"""


@dataclass
class Load:
    """All answers of one contender; seconds inside the server, and from when each request was due."""

    contender: str
    inside: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    queries: set[int] = field(default_factory=set)

    def add(self, answer: Answer, waited: float) -> None:
        if answer.status != 200:
            raise SystemExit(f"{self.contender} answered {answer.status}: {answer.body[:200]!r}")
        self.inside.append(answer.inside)
        self.waited.append(waited)
        self.queries.add(answer.queries)


def percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def fill(url: str, clients: int = CLIENTS) -> None:
    """Clients with what the gate looks at; a database that has some is left as it is."""
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT 1 FROM clients LIMIT 1").fetchone() is None:
            connection.execute(FILL.format(clients=clients).encode())
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("clients", "onboarding_states", "subscriptions", "flag_changes"):
            connection.execute(f"VACUUM (ANALYZE) {table}".encode())


def make_key(url: str) -> str:
    """A service key for this run, which may ask the gate and nothing else."""
    database = Database.from_settings(settings(url))
    try:
        for number in itertools.count(1):
            try:
                with database.unit_of_work(Job("bench")) as ctx:
                    return service_keys.create(
                        ctx, name=f"bench {number}", scopes=[Scope.GATE_ASK], expires_at=None, reason="benchmark"
                    )[1]
            except InvalidInput:
                continue  # of an earlier run
        raise AssertionError
    finally:
        database.dispose()


def paths(url: str) -> dict[str, list[str]]:
    """The addresses that are asked, in an order that jumps through the table."""
    with psycopg.connect(url) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM clients ORDER BY hashint8(id) LIMIT 1000")]
    return {
        "ours": [f"/api/clients/{key}/gate?action={('outbound', 'ai')[n % 2]}" for n, key in enumerate(ids)],
        "floor": [f"/clients/{key}" for key in ids],
    }


def drive(site: Site, addresses: Sequence[str], load: Load, *, rate: int, seconds: float) -> None:
    """Ask at this rate for so long; a request that finds nobody free to send it is late, and counted as such."""
    total, numbers, begun = int(rate * seconds), itertools.count(), time.perf_counter()

    def call_by_the_clock() -> None:
        while (number := next(numbers)) < total:
            due = begun + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            answer = site.get(addresses[number % len(addresses)])
            load.add(answer, time.perf_counter() - due)

    with ThreadPoolExecutor(CALLERS) as callers:
        for finished in [callers.submit(call_by_the_clock) for _ in range(CALLERS)]:
            finished.result()


def measure(
    sites: Sequence[Site],
    addresses: Mapping[str, Sequence[str]],
    *,
    rate: int = RATE,
    seconds: float = TURN_SECONDS,
    turns: int = TURNS,
) -> list[Load]:
    """Every site in turns; what it answers before the first turn does not count."""
    loads = {site.contender: Load(site.contender) for site in sites}
    for site in sites:
        drive(site, addresses[site.contender], Load(site.contender), rate=rate, seconds=min(seconds, WARM_UP_SECONDS))
    for _ in range(turns):
        for site in sites:
            drive(site, addresses[site.contender], loads[site.contender], rate=rate, seconds=seconds)
    return list(loads.values())


def run(server_url: str, log: Path) -> list[Load]:
    """Ours and the floor, each behind gunicorn with two workers, on a database of their own."""
    url = place.create(server_url, DATABASE)
    place.migrate(url)
    fill(url)
    print(f"the gate at {RATE} requests a second", file=sys.stderr)
    with ExitStack() as stack:
        sites = [stack.enter_context(serving(name, url, log, workers=WORKERS)) for name in ("ours", "floor")]
        sites[0].headers = {"Authorization": f"Bearer {make_key(url)}"}
        return measure(sites, paths(url))


def checks(loads: Sequence[Load]) -> Iterator[Check]:
    """The one bar that is a time, because callers wait for it before they call; the ratio is in the table."""
    ours = loads[0]
    yield Check("the gate: p99 inside the server, ms", percentile(ours.inside, 0.99), P99_BAR_MS)


def section(loads: Sequence[Load], load_average: float) -> Iterator[str]:
    """The part of docs/benchmarks.md."""
    yield HEADING
    yield ""
    yield ABOUT.format(rate=RATE, workers=WORKERS, clients=CLIENTS, load_average=load_average)
    yield "| contender | requests | p50 inside | × floor | p99 inside | p50 at caller | p99 at caller | queries |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    floor = statistics.median(loads[-1].inside)
    for load in loads:
        times = statistics.median(load.inside) / floor
        inside = f"{percentile(load.inside, 0.5):.1f} | {times:.1f} | {percentile(load.inside, 0.99):.1f}"
        waited = f"{percentile(load.waited, 0.5):.1f} | {percentile(load.waited, 0.99):.1f}"
        queries = "–".join(str(count) for count in sorted({min(load.queries), max(load.queries)}))
        yield f"| {load.contender} | {len(load.inside):,} | {inside} | {waited} | {queries} |"


def put_into(page: str, lines: Sequence[str]) -> str:
    """The page with this section in place of the earlier one, before the bars."""
    without = re.sub(rf"{HEADING}\n.*?(?=^## )", "", page, flags=re.DOTALL | re.MULTILINE)
    head, bars, rest = without.partition("## Bars\n")
    return "\n".join((head + lines[0], *lines[1:], "", bars + rest))


def main() -> None:
    # Here, because the report of everything needs this module too.
    from os import getloadavg

    from tests.bench import report

    log = place.ROOT / "var" / "bench" / "servers.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with place.server() as server_url:
        loads = run(server_url, log)
    found = list(checks(loads))
    lines = [*section(loads, getloadavg()[0]), "", *report.verdicts(found)]
    print("\n".join(lines))
    PAGE.write_text(put_into(PAGE.read_text(), lines))
    sys.exit(0 if all(check.holds for check in found) else 1)


if __name__ == "__main__":
    main()
