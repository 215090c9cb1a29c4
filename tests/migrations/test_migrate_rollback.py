"""`flask migrate rollback`: says what is kept and what goes, goes back, and refuses where no way leads."""

import re

import pytest

from admin_app.services.migrating import revisions
from tests.migrations.commands import migrate, of_earlier_days, refusal
from tests.migrations.journey import REVISIONS, Journey
from tests.migrations.test_migrate_apply import name, revision

NEWEST = REVISIONS[-1]


def test_back_and_forth(migrated: Journey) -> None:
    migrated.run("INSERT INTO practitioners (name, email) VALUES ('p', 'p@example.com')")
    migrated.run("INSERT INTO organizations (workos_id, name, kind) VALUES ('org_1', 'o', 'personal')")
    before = migrated.data()
    result = migrate(migrated, "rollback", "--env", "prod", "--to", "0009", typed=f"y\n{name(migrated)}\n")
    assert result.exit_code == 0, result.output
    assert "the table organizations with its 1 rows" in " ".join(result.output.split())
    assert re.search(r"kept: .*of bookings: .*cancel", " ".join(result.output.split()))
    assert "What is kept lies in the schema retired" in result.output
    assert f"{NEWEST}  (1 of {len(REVISIONS) - 9})" in result.output
    assert "start the release that belongs to 0009" in result.output
    assert revision(migrated) == "0009"
    assert migrated.value("SELECT count(*) FROM retired.organizations") == 1
    assert migrate(migrated, "apply", "--env", "dev", "--yes").exit_code == 0
    assert migrated.data()["organizations"] == before["organizations"]
    assert migrated.data()["practitioners"] == before["practitioners"]


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ("0999", "There is no revision 0999. They go from 0001"),
        (NEWEST, "would change nothing"),
        ("head", "no revision"),
    ],
)
def test_where_no_way_leads(migrated: Journey, to: str, sentence: str) -> None:
    assert sentence in refusal(migrate(migrated, "rollback", "--env", "dev", "--to", to, "--yes"))
    assert revision(migrated) == NEWEST


def test_what_was_never_migrated_has_no_way_back(journey: Journey) -> None:
    of_earlier_days(journey)
    assert "would change nothing" in refusal(migrate(journey, "rollback", "--env", "dev", "--to", "base", "--yes"))


def test_a_dependant_bars_the_way_before_it_begins(migrated: Journey) -> None:
    migrated.run("CREATE VIEW of_hosts AS SELECT starts_at, asked_at FROM booking_links")
    before = migrated.schema()
    said = refusal(migrate(migrated, "rollback", "--env", "dev", "--to", "0048", "--yes"))
    assert "view of_hosts" in said
    assert migrated.schema() == before


def test_a_revision_without_a_way_back(migrated: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: object = None) -> None:
        raise NotImplementedError

    (script,) = (each for each in revisions.every() if each.revision == "0048")
    monkeypatch.setattr(script.module, "downgrade", none)
    said = refusal(migrate(migrated, "rollback", "--env", "dev", "--to", "0040", "--yes"))
    assert "Revision 0048 cannot be taken back: restore a backup to get before it." in said
    assert revision(migrated) == NEWEST
    assert migrate(migrated, "rollback", "--env", "dev", "--to", "0048", "--yes").exit_code == 0


def test_prod_asks_as_for_the_way_forth(migrated: Journey) -> None:
    words = ("rollback", "--env", "prod", "--to", "0049")
    assert "prod needs --backup FILE or --backup-done" in refusal(migrate(migrated, *words, "--yes"))
    assert "That is not its name." in refusal(migrate(migrated, *words, typed="y\nnot it\n"))
    assert revision(migrated) == NEWEST
    assert migrate(migrated, *words, "--yes", "--backup-done").exit_code == 0
    assert revision(migrated) == "0049"


def test_to_before_everything(migrated: Journey) -> None:
    migrated.run("INSERT INTO clients (name) VALUES ('a')")
    result = migrate(migrated, "rollback", "--env", "dev", "--to", "base", "--yes")
    assert result.exit_code == 0, result.output
    assert migrated.value("SELECT count(*) FROM retired.clients") == 1
    assert migrate(migrated, "apply", "--env", "dev", "--yes").exit_code == 0
    assert migrated.value("SELECT name FROM clients") == "a"
