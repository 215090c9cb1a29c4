"""`make bench-migrations`, small: each revision while others read and write, and a report keeps its transaction open.

No clock is looked at: how long anybody waits at a million bookings is in docs/benchmarks.md.
"""

import pytest

from migrations import rebuilding
from tests.bench import migrations, page
from tests.bench.migration_traffic import Record, Report, Request
from tests.migrations.journey import REVISIONS, Journey

ROWS = 3000
# Long enough that the runner has to let go of a lock, and short enough for a test.
REPORT = Report(stays=0.45, rests=0.3)


def test_no_request_fails_at_any_revision(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if a few thousand rows were as many as it takes for a table of its own.
    monkeypatch.setattr(rebuilding, "SHORT", 0.0)
    size = migrations.fill(journey, ROWS)
    quiet, measured = migrations.every_revision(journey.url, size, REPORT, lambda line: None, control=0.5)
    assert [each.revision for each in measured] == ["before them", *REVISIONS]
    assert [each.refused for each in measured if each.refused] == []
    assert [(each.kind, each.failed) for one in measured for each in one.record.failed] == []
    assert sum(each.gave_way for each in measured) > 0
    assert all(record.requests and not record.failed for record in quiet)
    assert len(list(migrations.table(quiet, measured))) == 2 + 2 + 1 + len(REVISIONS)
    written = "SELECT count(*) FROM clients WHERE name = 'New Client'"
    asked = [each for one in [*quiet, *[each.record for each in measured]] for each in one.requests]
    assert journey.value(written) >= len({each.due for each in asked if each.kind == "new client"}) > 0
    journey.run("DROP INDEX bookings_by_time")
    journey.check_drift()


def test_what_does_not_hold_is_said() -> None:
    waits = Record([Request("book", 0.0, 0.6, None), Request("book", 1.0, 1.01, None)], [(0.5, 0.4)])
    fails = Record([Request("book", 0.0, 0.1, "23505 duplicate key")], [])
    measured = [
        migrations.Measured("0001", 1.0, waits.between(0.9, 2.0), 0),
        migrations.Measured("0002", 1.0, waits, 2),
        migrations.Measured("0003", 1.0, fails, 0),
        migrations.Measured("0004", 1.0, waits.between(5.0, 6.0), 0, "Not here."),
    ]
    rows = [line.split(" | ") for line in migrations.table([waits, waits], measured)][4:]
    assert [row[-1] for row in rows] == ["holds |", "MISSED |", "MISSED |", "Not here. |"]
    assert rows[1][2:4] == ["600", "400"]


def test_its_table_takes_the_place_of_the_earlier_one() -> None:
    once = page.put(page.PAGE.read_text(), migrations.HEADING, ["first"])
    again = page.put(once, migrations.HEADING, ["second"])
    assert again.count(migrations.HEADING) == 1
    assert "first" not in again.split(migrations.HEADING)[1].split("## ")[0]
