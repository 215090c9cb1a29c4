"""The history as a whole: one line of revisions, to today's models, up and down with data in place."""

import ast

from tests.migrations import believable_rows
from tests.migrations.journey import MIGRATIONS, REVISIONS, SCRIPTS, Journey, earlier, first_difference


def test_one_line_of_numbered_revisions() -> None:
    assert SCRIPTS.get_heads() == [REVISIONS[-1]]
    assert SCRIPTS.get_bases() == ["0001"]
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS


# What runs a migration may know the application. A cast may know how it reads local times, so that a database that is
# migrated and one that moves in agree about them: those two modules hold no state and know no table.
OF_THE_APPLICATION = {"env.py", "plan.py"}
ZONES = {"admin_app.services.core", "admin_app.services.core.time_zones"}


def test_no_revision_knows_the_application() -> None:
    for path in [*MIGRATIONS.glob("versions/*.py"), *MIGRATIONS.glob("*.py")]:
        if path.name in OF_THE_APPLICATION:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            ours = {name for name in names if name.partition(".")[0] in {"admin_app", "models", "views"}}
            assert ours <= (ZONES if path.name == "casts.py" else set()), path.name


def test_every_revision_says_what_it_locks() -> None:
    assert [script.revision for script in SCRIPTS.walk_revisions() if "Locks: " not in script.longdoc] == []


def test_empty_database_to_the_models(journey: Journey) -> None:
    journey.up()
    journey.check_drift()
    journey.up()


def test_up_down_up_at_every_revision_with_data_in_place(journey: Journey) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    for revision in REVISIONS[1:]:
        schema_before, data_before = journey.schema(), journey.data()
        journey.up(revision)
        journey.run(believable_rows.ADDED.get(revision, "SELECT"))
        schema, data = journey.schema(), journey.data()
        journey.down(earlier(revision))
        assert first_difference(schema_before, journey.schema()) == [], f"schema after down from {revision}"
        expected = data_before | purchases_go_back(journey, revision)
        assert first_difference(expected, journey.data()) == [], f"data after down from {revision}"
        journey.up(revision)
        assert first_difference(schema, journey.schema()) == [], f"schema after up again to {revision}"
        assert first_difference(data, journey.data()) == [], f"data after up again to {revision}"
        journey.claim_to_be_at(earlier(revision))
        journey.up(revision)
        assert first_difference(schema, journey.schema()) == [], f"schema after {revision} was run twice"
        assert first_difference(data, journey.data()) == [], f"data after {revision} was run twice"
    journey.check_drift()


def purchases_go_back(journey: Journey, revision: str) -> dict[str, list[str]]:
    """Going down from 0005, a purchase made since waits in profiles beside those that waited there before.

    Going down from 0036, the list keeps the membership that 0036 found with nobody: it is paid all the same.
    """
    if revision == "0036":
        extras = journey.data()["extra_purchases"]
        assert [extra for extra in extras if '"mem_20"' in extra] != []
        assert len(extras) == 2
        return {"extra_purchases": extras}
    if revision != "0005":
        return {}
    profiles = journey.data()["profiles"]
    assert len(profiles) == 7
    assert journey.value("SELECT usage_credits FROM profiles WHERE email = 'Waits@example.org'") == 900
    return {"profiles": profiles}


def test_all_the_way_down_and_up_again(journey: Journey) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    for revision in REVISIONS[1:]:
        journey.up(revision)
        journey.run(believable_rows.ADDED.get(revision, "SELECT"))
    schema, data = journey.schema(), journey.data()
    journey.down("base")
    assert journey.data() == {}
    journey.up()
    assert first_difference(schema, journey.schema()) == []
    assert first_difference(data, journey.data()) == []
    journey.check_drift()
