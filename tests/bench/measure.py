"""The measurement: every page of every contender in turns, in one run, so that a busy moment hits all of them."""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.bench.scenarios import Scenario
from tests.bench.servers import Answer, Site


@dataclass
class Series:
    """All answers to one page of one contender at one size."""

    bookings: int
    scenario: str
    contender: str
    seconds: list[float] = field(default_factory=list)
    size: int = 0
    queries: set[int] = field(default_factory=set)

    def add(self, answer: Answer) -> None:
        self.seconds.append(answer.seconds)
        self.size = answer.size
        self.queries.add(answer.queries)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) * 1000

    @property
    def p95(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))] * 1000


@dataclass(frozen=True)
class Place:
    """One size: its pages and the sites that serve them."""

    bookings: int
    scenarios: Sequence[Scenario]
    sites: Sequence[Site]


def measure(
    places: Sequence[Place], *, rounds: int, warm_up: int, progress: Callable[[int], None] = lambda done: None
) -> list[Series]:
    """Ask for everything `rounds` times in a new order each time; the first `warm_up` rounds do not count.

    The contenders of one page follow each other at once: they are compared, so they must meet the same moment.
    """
    shuffle = Random(1).shuffle
    pages = [
        [
            (site, scenario.paths[site.contender], Series(place.bookings, scenario.name, site.contender))
            for site in place.sites
        ]
        for place in places
        for scenario in place.scenarios
    ]
    in_order = [series for page in pages for _, _, series in page]
    for number in range(warm_up + rounds):
        shuffle(pages)
        for page in pages:
            shuffle(page)
            for site, path, series in page:
                answer = _asked(site, path)
                if number >= warm_up:
                    series.add(answer)
        progress(number + 1)
    return in_order


def _asked(site: Site, path: str) -> Answer:
    answer = site.get(path)
    if answer.status != 200:
        raise SystemExit(f"{site.contender} answered {answer.status} to {path}")
    return answer


def show_rounds(total: int) -> Callable[[int], None]:
    def progress(done: int) -> None:
        print(f"\r  round {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return progress
