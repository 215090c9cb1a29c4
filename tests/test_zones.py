"""Zones come from the pinned table in every process, and nobody asks the database for one."""

import os
import re
import subprocess
import sys
import zoneinfo
from pathlib import Path

import pytest
import tzdata

ROOT = Path(__file__).resolve().parent.parent
PINNED = Path(tzdata.__file__).parent / "zoneinfo"
# As a machine with files of before 2026 has it: Vancouver still puts its clocks back in November.
OLD, MOVED = "America/Los_Angeles", "America/Vancouver"
ASK = f"""
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
print(datetime(2026, 12, 1, 12, tzinfo=UTC).astimezone(ZoneInfo("{MOVED}")).utcoffset())
"""
# Whatever is started: the web server and `flask`, the worker, the simulator, and who starts them all.
STARTS = ("wsgi", "admin_app.jobs.__main__", "admin_app.simulator.__main__", "admin_app.launcher.run")
NAMED_ZONE = re.compile(
    r"""(?<!\w)timezone\((?!["']UTC["']|timedelta)|AT TIME ZONE (?!'UTC')|SET TIME ?ZONE (?!= 'UTC')"""
    r"""|date_trunc\('\w+', [^()']+, (?!'UTC')""",
    re.IGNORECASE,
)
# The one comparison of both tables.
COMPARES = "admin_app/services/core/zone_rules.py"


@pytest.fixture
def older_machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a process on a machine with older zone files."""
    (tmp_path / "America").mkdir()
    (tmp_path / MOVED).write_bytes((PINNED / OLD).read_bytes())
    settings = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "x" * 40}
    return os.environ | settings | {"PYTHONTZPATH": str(tmp_path)}


def said(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def test_without_us_the_machines_own_files_count(older_machine: dict[str, str]) -> None:
    assert said(ASK, older_machine) == "-1 day, 16:00:00"


@pytest.mark.parametrize("start", STARTS)
def test_every_process_has_the_pinned_table(older_machine: dict[str, str], start: str) -> None:
    assert said(f"import {start}\n{ASK}", older_machine) == "-1 day, 17:00:00"


def test_the_migrations_have_the_pinned_table() -> None:
    """They run inside of alembic, so only what they load first can be looked at."""
    assert re.search(r"^(?:import|from) admin_app\b", (ROOT / "migrations" / "env.py").read_text(), re.MULTILINE)


def test_what_was_read_before_us_is_forgotten(older_machine: dict[str, str]) -> None:
    assert said(f"{ASK}\nimport admin_app\n{ASK}", older_machine).split("\n") == [
        "-1 day, 16:00:00",
        "-1 day, 17:00:00",
    ]


def test_no_statement_computes_in_a_named_zone() -> None:
    """PostgreSQL has a table of its own, so whatever is shown or counted in a zone is computed here."""
    for wrong in ("func.timezone(zone.key, moment)", "at AT TIME ZONE 'Europe/Oslo'", "date_trunc('day', at, zone)"):
        assert NAMED_ZONE.search(wrong)
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("admin_app", "models", "views", "migrations")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text().splitlines()
        if NAMED_ZONE.search(line) and str(path.relative_to(ROOT)) != COMPARES
    ]
    assert found == []


def test_the_tests_themselves_run_by_it() -> None:
    assert zoneinfo.TZPATH == ()
