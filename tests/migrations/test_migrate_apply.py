"""`flask migrate apply`: what a careful operator asks, progress, and what it refuses to begin."""

import os
import re
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from admin_app.services.migrating import backup, revisions, surroundings
from tests.migrations.commands import migrate, of_earlier_days, refusal
from tests.migrations.conftest import Administered
from tests.migrations.journey import REVISIONS, Journey

NEWEST = REVISIONS[-1]


def name(journey: Journey) -> str:
    return urlsplit(journey.url).path[1:]


def revision(journey: Journey) -> str | None:
    if journey.value("SELECT to_regclass('alembic_version')::text") is None:
        return None
    return str(journey.value("SELECT max(version_num) FROM alembic_version"))


def test_an_empty_database_for_development(journey: Journey) -> None:
    result = migrate(journey, "apply", "--env", "dev", "--yes")
    assert result.exit_code == 0, result.output
    for place, one in enumerate(REVISIONS, start=1):
        assert f"{one}  ({place} of {len(REVISIONS)})" in result.output
        assert re.search(rf"{one} done in \d+\.\d s", result.output)
    assert re.search(r"This code is version \d+\.\d+\.\d+", result.output)
    assert "how much room its disk has cannot be known from here" in result.output
    assert "flask migrate verify --env dev" in result.output
    assert revision(journey) == NEWEST
    again = migrate(journey, "apply", "--env", "dev")
    assert (again.exit_code, "Nothing is to be done." in again.output) == (0, True)


def test_prod_with_a_backup_and_the_name_typed(journey: Journey, tmp_path: Path) -> None:
    of_earlier_days(journey)
    target = tmp_path / "before.dump"
    answers = f"n\n{target}\n{name(journey)}\n"
    result = migrate(journey, "apply", "--env", "prod", typed=answers)
    assert result.exit_code == 0, result.output
    assert f"The backup {target} has 8 tables" in result.output
    assert "pg_restore reads it" in result.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert revision(journey) == NEWEST
    programs = backup.programs_for(18)
    listed = subprocess.run([programs / "pg_restore", "--list", target], check=True, capture_output=True, text=True)
    assert "TABLE DATA public bookings" in listed.stdout


def test_prod_is_not_begun_without_the_name_or_a_backup(journey: Journey) -> None:
    of_earlier_days(journey)
    before = journey.schema(), journey.data()
    wrong = migrate(journey, "apply", "--env", "prod", typed="y\nsomething else\n")
    assert "That is not its name. Nothing has been changed." in refusal(wrong)
    assert "prod needs --backup FILE or --backup-done" in refusal(migrate(journey, "apply", "--env", "prod", "--yes"))
    assert "Aborted!" in refusal(migrate(journey, "apply", "--env", "preview", typed="y\nn\n"))
    assert "Aborted!" in refusal(migrate(journey, "apply", "--env", "prod", typed=""))
    assert migrate(journey, "apply", "--yes").exit_code == 2
    assert (journey.schema(), journey.data()) == before


def test_prod_without_questions(journey: Journey, tmp_path: Path) -> None:
    of_earlier_days(journey)
    target = tmp_path / "there"
    target.write_text("another backup")
    words = ("apply", "--env", "prod", "--yes", "--backup", str(target))
    assert "is there already. Name another file" in refusal(migrate(journey, *words))
    assert target.read_text() == "another backup"
    assert revision(journey) is None
    result = migrate(journey, "apply", "--env", "prod", "--yes", "--backup-done")
    assert result.exit_code == 0, result.output
    assert revision(journey) == NEWEST


def test_a_backup_that_cannot_be_made_leaves_nothing(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_earlier_days(journey, "CREATE TABLE apart (id int); ALTER TABLE apart ENABLE ROW LEVEL SECURITY")
    journey.run("ALTER TABLE apart FORCE ROW LEVEL SECURITY")
    target = tmp_path / "no.dump"
    said = refusal(migrate(journey, "apply", "--env", "dev", "--yes", "--backup", str(target)))
    assert "pg_dump failed: " in said
    assert list(tmp_path.iterdir()) == []
    assert revision(journey) is None
    nowhere = tmp_path / "missing" / "no.dump"
    assert "cannot be written" in refusal(migrate(journey, "apply", "--env", "dev", "--yes", "--backup", str(nowhere)))
    monkeypatch.setattr(backup, "_folders", lambda: iter([tmp_path]))
    said = refusal(migrate(journey, "apply", "--env", "dev", "--yes", "--backup", str(target)))
    assert "There is no pg_dump here for PostgreSQL" in said


def test_others_that_are_in_the_way(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    of_earlier_days(journey)
    monkeypatch.setattr(surroundings, "LONG_SECONDS", 0)
    with psycopg.connect(journey.url, application_name="a report") as other:
        other.execute("SELECT count(*) FROM clients")
        other.execute("LOCK TABLE bookings IN SHARE ROW EXCLUSIVE MODE")
        said = refusal(migrate(journey, "apply", "--env", "dev", "--yes"))
        assert re.search(r"Process \d+ \(a report, user backdesk\) has a transaction open", said)
        assert re.search(r"holds a ShareRowExclusiveLock on bookings", said)
        assert "--despite-others. Nothing has been changed." in said
        assert "Aborted!" in refusal(migrate(journey, "apply", "--env", "dev", typed="n\n"))
    assert revision(journey) is None
    assert migrate(journey, "apply", "--env", "dev", typed="y\ny\n").exit_code == 0


def test_sessions_that_may_not_be_seen_are_told_of(administered: Administered) -> None:
    administered.as_superuser("CREATE ROLE somebody LOGIN PASSWORD 'word'")
    url = administered.server.url()
    theirs = urlsplit(url)._replace(netloc=f"somebody:word@127.0.0.1:{administered.server.port}").geturl()
    with psycopg.connect(theirs) as other:
        other.execute("SELECT 1")
        journey = Journey(url)
        result = migrate(journey, "apply", "--env", "dev", typed="n\n")
    assert "1 sessions of other users may have transactions open" in result.output
    assert "Aborted!" in refusal(result)


def test_what_stands_in_the_way_comes_before_any_question(journey: Journey) -> None:
    of_earlier_days(journey, "UPDATE bookings SET created_at = NULL WHERE id = 3")
    said = refusal(migrate(journey, "apply", "--env", "prod", typed="y\n"))
    assert "bookings.created_at must hold a value" in said
    assert "backup" not in said


def test_a_revision_that_fails_on_its_way_is_a_sentence(journey: Journey) -> None:
    journey.up("0049")
    journey.run("CREATE TABLE invariants (id int)")
    journey.run("ALTER DATABASE " + name(journey) + " SET default_transaction_read_only = on")
    said = refusal(migrate(journey, "apply", "--env", "dev", "--yes"))
    assert "The server only reads" in said
    assert revision(journey) == "0049"


def test_room_on_the_disk(tmp_path: Path) -> None:
    free = surroundings.free_in(tmp_path)
    assert free is not None
    assert free > 0
    assert surroundings.free_in(tmp_path / "of another machine") is None
    assert surroundings.free_in(None) is None
    assert surroundings.Room(100, 60, 119).is_short
    assert not surroundings.Room(100, 60, 120).is_short
    assert "less than twice the largest table" in surroundings.Room(100, 60, 119).sentence


def test_the_oldest_pg_dump_that_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for major in (14, 16, 18):
        folder = tmp_path / str(major)
        folder.mkdir()
        (folder / "pg_restore").touch()
        (folder / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.2 (Debian {major}.2-1)'\n")
        os.chmod(folder / "pg_dump", 0o755)
    monkeypatch.setattr(backup, "_folders", lambda: iter(tmp_path.iterdir()))
    assert backup.programs_for(15).name == "16"
    assert backup.programs_for(18).name == "18"
    with pytest.raises(backup.BackupFailed, match="backup_failed"):
        backup.programs_for(19)


def test_the_code_says_which_one_it_is() -> None:
    assert revisions.newest() in surroundings.code()
