"""The benchmark itself, small: that it fills, serves, measures and judges, and that depth and size cost no query.

No clock is looked at here: what is slow on a busy machine is no failure.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import backlog, deliveries, fill, gate, intake, moving_steps, page, report, rows, run, verdict
from tests.bench.measure import Place, Series, measure
from tests.bench.serve import CONTENDERS
from tests.migrations.earlier.made import Made

BOOKINGS = 6000
EMAIL = re.compile(rb"[a-z]+\.[a-z]+\d+@[a-z.]*example\.[a-z]+")


@pytest.fixture(scope="module")
def small_place(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    assert fill.fill(module_database_url, BOOKINGS)
    log: Path = tmp_path_factory.mktemp("bench") / "servers.log"
    with ExitStack() as stack:
        yield run.open_place(stack, module_database_url, BOOKINGS, log)


def test_the_rows_are_the_same_every_time_and_never_overlap() -> None:
    lines = list(rows.booking_lines(500))
    assert lines == list(rows.booking_lines(500))
    fields = [line.rstrip("\n").split("\t") for line in lines]
    assert {len(row) for row in fields} == {len(rows.BOOKING_COLUMNS)}
    assert len({(practitioner, starts) for practitioner, _, _, _, starts, *_ in fields}) == 500


def test_a_filled_database_is_left_as_it_is(small_place: Place, module_database_url: str) -> None:
    assert not fill.fill(module_database_url, BOOKINGS)
    with pytest.raises(SystemExit, match="Use an empty one"):
        fill.fill(module_database_url, BOOKINGS + 1)


def test_ours_shows_what_the_floor_shows_and_stock_as_much(small_place: Place) -> None:
    for scenario in small_place.scenarios:
        shown = {}
        for site in small_place.sites:
            answer = site.get(scenario.paths[site.contender])
            assert answer.status == 200, (site.contender, scenario.name)
            shown[site.contender] = set(EMAIL.findall(answer.body))
        assert shown["ours"] == shown["floor"] != set(), scenario.name
        # Stock does not say in which order bookings of the same hour come, so its page holds others of them.
        assert abs(len(shown["stock"]) - len(shown["ours"])) <= 5, scenario.name


def test_our_list_costs_as_many_queries_at_any_depth_and_page_size(small_place: Place) -> None:
    ours = small_place.sites[CONTENDERS.index("ours")]
    first, deep = (small_place.scenarios[number].paths["ours"] for number in (0, 1))
    addresses = (first, deep, f"{first}?size=25", f"{first}?size=100", f"{deep}&size=100", f"{first}?last=1")
    costs = {}
    for address in addresses:
        ours.get(address)  # the estimate of the whole is asked for once a minute
        costs[address] = ours.get(address).queries
    assert len(set(costs.values())) == 1, costs
    assert costs[first] <= 5


def test_it_measures_and_reports_every_page_of_everyone(small_place: Place) -> None:
    measured = measure([small_place], rounds=2, warm_up=1)
    assert len(measured) == len(small_place.scenarios) * len(CONTENDERS)
    assert all(len(series.seconds) == 2 and series.size and series.queries for series in measured)
    page = report.markdown(measured, list(verdict.checks(measured)), server="18.0", rounds=2)
    assert "## 6,000 bookings" in page
    assert page.count("| floor |") == len(small_place.scenarios)


def test_the_gate_is_asked_at_a_rate_and_costs_the_key_and_one_query(
    small_place: Place, module_database_url: str
) -> None:
    gate.fill(module_database_url, clients=70)
    ours, floor = (small_place.sites[CONTENDERS.index(name)] for name in ("ours", "floor"))
    ours.headers = {"X-API-Key": gate.make_key(module_database_url)}
    addresses = gate.paths(module_database_url)
    loads = gate.measure([ours, floor], addresses, rate=40, seconds=0.5, turns=1)
    assert [(load.contender, len(load.inside), load.queries) for load in loads] == [
        ("ours", 20, {2}),
        ("floor", 20, {1}),
    ]
    page = gate.put_into("# Benchmarks\n\n## The gate\nold\n\n## Bars\n\nkept\n", list(gate.section(loads, 1.0)))
    assert "old" not in page
    assert page.count("## The gate") == page.count("kept") == 1
    assert page.index("| floor | 20 |") < page.index("## Bars")


def test_the_intake_takes_what_the_callers_signed_and_so_does_the_floor(
    module_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WORKERS", 1)
    for app in ("wsgi:app", "tests.bench.bare_intake:app"):
        with intake.serving(app, module_database_url, tmp_path / "log") as site:
            waits = deliveries.at_rate(site.port, deliveries.signed(20), callers=4, rate=200, seconds=0.1)
        assert len(waits) == 20
    assert backlog.one(module_database_url, "SELECT count(*) FROM webhook_events") == 40
    assert backlog.one(module_database_url, "SELECT count(*) FROM procrastinate_jobs") == 20


def test_the_intakes_section_says_what_was_missed_and_replaces_the_earlier_one() -> None:
    taken = [intake.Taken("ours", [300.0, 90.0, 200.0]), intake.Taken("floor", [500.0, 100.0, 500.0])]
    taken.append(intake.Taken("earlier", [100.0, 40.0, 100.0]))
    results = intake.Results(taken, 150.0, [[0.001] * 100], [[0.003] * 100], [[0.001] * 100])
    assert [bar.holds for bar in intake.bars(results)] == [True, False, True, False]
    old = f"# Benchmarks\n\n{intake.HEADING}\nof last week\n\n## Bars\n\nkept\n"
    text = page.put(old, intake.HEADING, intake.section(results))
    assert "of last week" not in text
    assert text.count(intake.HEADING) == text.count("kept") == 1
    assert text.count("MISSED") == 2


def series(bookings: int, scenario: str, contender: str, seconds: float) -> Series:
    return Series(bookings, scenario, contender, [seconds] * 3, 1, {1})


def test_a_runbook_gets_its_seconds_in_place_of_the_earlier_ones() -> None:
    text = "# Moving\n\n## How long each step takes\n\nOld.\n\n## More\n\nKept.\n"
    made = Made("clients", "", "UTC", {"clients": 5}, {}, {}, {})
    section = list(moving_steps.lines(made, [moving_steps.Step("import, nothing changed", 1.25, 90.4)]))
    for _ in range(2):
        text = moving_steps.put(text, section)
    assert text.count("| `flask legacy import` (nothing changed) | 1.2 | 90 |") == 1
    assert "Old." not in text
    assert text.endswith("\n\n## More\n\nKept.\n")


def test_a_missed_bar_is_said() -> None:
    measured = [
        series(size, page, contender, seconds)
        for size, slower in ((100, 1), (1000, 2))
        for page in (verdict.FIRST, verdict.DEEP)
        for contender, seconds in (("ours", 0.004 * slower), ("stock", 0.1), ("floor", 0.002))
    ]
    missed = [check.what for check in verdict.checks(measured) if not check.holds]
    assert missed == [
        "list, page 1, 1,000 bookings: ours / floor",
        "list, deep page, 1,000 bookings: ours / floor",
        "list, page 1: 1,000 / 100 bookings",
        "list, deep page: 1,000 / 100 bookings",
    ]
