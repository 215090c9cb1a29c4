"""Every statement that a door or a job runs finds its rows by an index, however much there is."""

import math
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from admin_app.services.core import audit
from tests import route_table
from tests.conftest import with_driver
from tests.conftest_postgres import ROOT
from tests.plans import grown, plans, tasks
from tests.plans.flows import FLOWS
from tests.plans.recorder import RECORDED, Statement

NONE: frozenset[str] = frozenset()
# What asks nothing of the database, or only for the console, whose lists have tests of their own.
NOT_DOORS = frozenset(
    {"root", "static", "csp_reports", "openapi.document"} | {"sign_in.show", "sign_in.sign_in", "sign_in.sign_out"}
)
# What may be read as a whole, and why.
WHOLE_TABLES = {
    # What must be true of every row is seen by reading all of them, once a night.
    "job invariants.check": grown.GROWING,
    # What waits and what failed is counted, and the queue keeps nothing else.
    "door metrics.metrics": frozenset({"procrastinate_jobs"}),
}
# May read every row by an index: somebody asked for all of them, and gets them page by page.
IN_FULL = frozenset({"job exports.make"})


@pytest.fixture(scope="module")
def recorded(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> list[Statement]:
    """What the flows ask the database, run by a pytest of its own on the server of this run."""
    target = tmp_path_factory.mktemp("plans") / "statements"
    environment = os.environ | {RECORDED: str(target), "PYTEST_XDIST_WORKER": f"plans{os.getpid()}"}
    quiet = ["-q", "-x", "-p", "no:xdist", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tests.plans.recorder"]
    command = [sys.executable, "-m", "pytest", *quiet, *FLOWS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    statements: list[Statement] = pickle.loads(target.read_bytes())
    return statements


@pytest.fixture(scope="module")
def database(module_database_url: str) -> Iterator[sa.Engine]:
    """Grown for years, as `grown` has it."""
    engine = sa.create_engine(
        with_driver(module_database_url), connect_args={"options": "-c timezone=UTC", "prepare_threshold": None}
    )
    with engine.begin() as connection:
        grown.grow(connection)
    yield engine
    engine.dispose()


def test_every_door_and_every_job_is_looked_at(recorded: list[Statement]) -> None:
    """One that is new needs a test among the flows that goes through it."""
    seen = set().union(*(statement.asked_by for statement in recorded))
    doors = {f"door {endpoint}" for endpoint in route_table.PUBLIC.keys() - NOT_DOORS}
    jobs = {f"job {module}.{function}" for module, function in tasks.functions()}
    assert sorted({*doors, *jobs} - seen) == []


def test_nothing_that_grows_is_read_as_a_whole(recorded: list[Statement], database: sa.Engine) -> None:
    """Neither by a scan nor by more rows of an index than a page of a sweep has."""
    told = []
    with database.connect() as connection:
        for asked in recorded:
            growing = grown.GROWING - frozenset.intersection(*(WHOLE_TABLES.get(one, NONE) for one in asked.asked_by))
            most_rows = math.inf if asked.asked_by <= IN_FULL else plans.MOST_ROWS
            if growing and (wrong := plans.complaints(connection, asked, growing=growing, most_rows=most_rows)):
                told.append("\n  ".join([f"{', '.join(sorted(asked.asked_by))} at {asked.at}:", *wrong, asked.text]))
    assert not told, "\n\n".join(told)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM bookings WHERE client_name = %(value)s",
        "UPDATE bookings SET version = 2 WHERE client_name = %(value)s",
        # Each half has an index, and both together none.
        "SELECT id FROM bookings WHERE calcom_booking_uid = %(value)s OR id IN (SELECT booking_id FROM booking_links"
        " WHERE provider = 'calcom' AND external_id = %(value)s)",
        # By an index, and every row of it.
        "SELECT id FROM meetings WHERE guest_name = %(value)s ORDER BY starts_at, id LIMIT 1",
        "SELECT id FROM meetings WHERE starts_at > '2000-01-01' AND guest_name = %(value)s ORDER BY starts_at LIMIT 1",
    ],
)
def test_what_reads_a_whole_table_is_seen(database: sa.Engine, text: str) -> None:
    with database.connect() as connection:
        assert len(plans.complaints(connection, Statement(text, settings={}, values=[{"value": "nobody"}]))) == 1


def test_a_record_of_few_entries_does_not_cost_the_whole_audit(database: sa.Engine) -> None:
    """What every record's page in the console shows of its history."""
    asked: list[Statement] = []
    with Session(database) as session:
        connection = session.connection()
        sa.event.listen(
            connection, "before_cursor_execute", lambda *said: asked.append(Statement(said[2], {}, [said[3]]))
        )
        audit.history(session, f"booking:{grown.FIRST + 7}")
        audit.history(session, f"booking:{grown.FIRST + 7}", "client:1")
        assert len(asked) == 2
    with database.connect() as connection:
        assert [plans.complaints(connection, statement) for statement in asked] == [[], []]
