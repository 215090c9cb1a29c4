"""What would be done is shown before it is done."""

import os
import subprocess
import sys

from migrations.plan import ASKS
from tests.conftest_postgres import ROOT
from tests.migrations.journey import REVISIONS, Journey
from tests.migrations.test_preflight import catalogue, of_earlier_days


def plan(journey: Journey) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "migrations.plan"], cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "DATABASE_URL": journey.url},
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_database_with_rows_is_described_and_not_touched(journey: Journey) -> None:
    assert plan(journey) == (0, "")
    of_earlier_days(journey)
    before = catalogue(journey)
    status, said = plan(journey)
    assert status == ASKS
    assert f"these {len(REVISIONS)} would run" in said
    assert "  0011 No two held or confirmed bookings of one practitioner overlap." in said
    assert catalogue(journey) ^ before == set()
    journey.run('CREATE TABLE "Booking" (id text)')
    status, said = plan(journey)
    assert status == 1
    assert 'public."Booking"' in said


def test_a_database_at_the_newest_revision_is_asked_nothing(journey: Journey) -> None:
    journey.up()
    assert plan(journey) == (0, "")
