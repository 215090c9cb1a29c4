"""`flask migrate apply` as a program: two at once, and one that is killed half way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from admin_app.cli import migrate as commands
from admin_app.services.migrating import surroundings
from tests.migrations.commands import migrate, refusal
from tests.migrations.journey import REVISIONS, Journey

ROOT = Path(__file__).resolve().parents[2]


def started(journey: Journey) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "migrate", "apply", "--env", "dev", "--yes"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": journey.url, "SECRET_KEY": "s" * 32},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_at_once(journey: Journey) -> None:
    both = [started(journey), started(journey)]
    said = [program.communicate(timeout=300)[0] for program in both]
    assert [program.returncode for program in both] == [0, 0], said
    assert sum(f"{REVISIONS[-1]} done in" in one for one in said) == 1
    assert migrate(journey, "verify", "--problems").exit_code == 0


def test_a_migration_that_is_at_work_is_waited_for(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"MIGRATOR_LOCK = {surroundings.MIGRATOR_LOCK:_}\n" in (ROOT / "migrations" / "env.py").read_text()
    monkeypatch.setattr(commands, "OTHER_MIGRATION_SECONDS", 1.0)
    with journey.connection() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [surroundings.MIGRATOR_LOCK])
        for words in (["apply"], ["rollback", "--to", "base"]):
            told = refusal(migrate(journey, *words, "--env", "dev", "--yes"))
            assert "Another process is migrating this database." in told
        assert "neither before nor after" in migrate(journey, "plan").output
    assert "neither before nor after" not in migrate(journey, "plan").output


def test_killed_half_way_and_run_again(journey: Journey) -> None:
    program = started(journey)
    assert program.stdout is not None
    with program.stdout as output:
        while "0016  (16 of" not in (line := output.readline()):
            assert line, "it ended before it was killed"
        program.kill()
        program.wait()
    result = migrate(journey, "apply", "--env", "dev", "--yes", "--despite-others")
    assert result.exit_code == 0, result.output
    assert migrate(journey, "verify", "--problems").exit_code == 0


def test_killed_while_a_column_became_required(journey: Journey) -> None:
    """What 0008 leaves then is its own, and keeps no later revision from another type for the column."""
    journey.up("0007")
    journey.run(
        "ALTER TABLE meetings ADD CONSTRAINT ck_meetings_price_amount_required "
        "CHECK (price_amount IS NOT NULL) NOT VALID"
    )
    journey.up()
    assert migrate(journey, "verify", "--problems").exit_code == 0
