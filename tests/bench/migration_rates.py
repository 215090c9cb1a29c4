"""`python -m tests.bench.migration_rates [rows]`: how long each revision takes on tables of earlier days, and its plan.

Prints the table "Rates of a migration" of docs/benchmarks.md, on the embedded server and on Debian's.
"""

import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from alembic.runtime.migration import RevisionStep
from sqlalchemy import create_engine

from admin_app.database_url import for_sqlalchemy
from admin_app.launcher.postgres import Server
from admin_app.services.migrating import planning, running
from admin_app.services.migrating.planning import Plan
from tests.conftest_postgres import POSTGRES_15
from tests.migrations.journey import Journey

ROWS = 300_000
SHOWN_FROM = 0.5
FILLED = """
INSERT INTO practitioners (name, email) SELECT 'p' || n, 'p' || n || '@example.com' FROM generate_series(1, 200) n;
INSERT INTO session_types (practitioner_id, title, minutes) SELECT n, 't', 50 FROM generate_series(1, 200) n;
INSERT INTO clients (name, email) SELECT 'Client number ' || n, 'client' || n || '@example.com'
    FROM generate_series(1, {fifth}) n;
INSERT INTO onboarding_states (customer_id) SELECT id FROM clients;
INSERT INTO profiles (user_id, email, membership, usage_credits, used_credits)
    SELECT 'user_' || n, 'u' || n || '@example.com', 'pro', 1000, 0 FROM generate_series(1, {fifth}) n;
INSERT INTO users (open_id, name, email) SELECT 'o' || n, 'User ' || n, 'u' || n || '@example.com'
    FROM generate_series(1, {fifth}) n;
INSERT INTO bookings (practitioner_id, session_type_id, client_name, client_email, starts_at, ends_at, status,
        price_amount, price_currency)
    SELECT 1 + n % 200, 1 + n % 200, 'Client number ' || n, 'client' || n || '@example.com', slot,
           slot + interval '50 min', {status}, 9000, 'eur'
      FROM generate_series(1, {rows}) n, LATERAL (SELECT timestamptz '2020-01-01+00' + n * interval '1 min' AS slot) s;
ANALYZE;
DROP TABLE alembic_version;
"""


class Marks(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.begun: list[tuple[str, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        step = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(step, RevisionStep):
            self.begun.append((step.revision.revision, time.monotonic()))


def measured(journey: Journey, rows: int) -> tuple[Plan, dict[str, float]]:
    """The plan, and the seconds that each revision took afterwards."""
    journey.up("0001")
    journey.run(FILLED.format(rows=rows, fifth=rows // 5, status="'completed'"))
    engine = create_engine(for_sqlalchemy(journey.url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        plan = planning.plan(connection)
    engine.dispose()
    marks, log = Marks(), logging.getLogger("alembic.runtime.migration")
    log.addHandler(marks)
    try:
        running.upgrade(journey.url, count=len(plan.steps), tell=lambda line: None)
    finally:
        log.removeHandler(marks)
    ends = [moment for _, moment in marks.begun[1:]] + [time.monotonic()]
    return plan, {revision: end - begun for (revision, begun), end in zip(marks.begun, ends, strict=True)}


def main() -> None:
    rows = int(sys.argv[1]) if sys.argv[1:] else ROWS
    for programs in (None, POSTGRES_15):
        folder = Path(tempfile.mkdtemp(prefix="backdesk-rates-"))
        server = Server(folder, log=folder / "log", programs=programs)
        server.start()
        try:
            journey = Journey(server.url())
            plan, took = measured(journey, rows)
            print(f"\n{rows:,} bookings, PostgreSQL {journey.value('SHOW server_version')}\n")
            journey.close()
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        print("| revision | planned s | took s |\n|---|--:|--:|")
        for step in plan.steps:
            if max(step.work.seconds, took[step.revision]) >= SHOWN_FROM:
                print(f"| {step.revision} | {step.work.seconds:.1f} | {took[step.revision]:.1f} |")
        print(f"| all {len(plan.steps)} | {plan.seconds:.1f} | {sum(took.values()):.1f} |")


if __name__ == "__main__":
    main()
