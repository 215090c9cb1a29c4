"""A short storm: the whole product as programs, under traffic, with faults of each kind. `make soak` has them all."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import business, databases, product
from tests.faults.product import Product
from tests.faults.scenarios import BY_NAME, SCENARIOS
from tests.faults.soak import sequence
from tests.faults.storm import Storm
from tests.faults.story import Story
from tests.faults.traffic import Traffic
from tests.faults.watching import HealthWatch

SEED = 1895634620
SHORT_SECONDS = 4.0
# Together where one does not hide the other.
SHORT = (
    ("web killed",),
    ("database hung",),
    ("connections ended", "poison"),
    ("connections used up",),
    ("worker frozen", "providers drop answers"),
    ("backlog", "worker killed"),
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Product]:
    with databases.served(tmp_path) as places, places.fresh() as url, product.running(url, tmp_path) as started:
        yield started


def test_nothing_is_lost_in_a_short_storm(running: Product) -> None:
    said: list[str] = []
    story, practitioners = Story(said.append), business.founded(running)
    with Traffic(running, SEED, practitioners) as traffic, HealthWatch(running.url) as watch:
        storm = Storm(running, traffic, watch, story, random.Random(SEED))
        time.sleep(2)
        for names in SHORT:
            storm.inject([BY_NAME[name] for name in names], SHORT_SECONDS)
        storm.end()
    assert len(traffic.ledger.acknowledged) > 20
    assert story.losses == [], "".join(said)


def test_a_seed_repeats_the_sequence_and_every_fault_is_in_it() -> None:
    first, again, other = (sequence(random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert {scenario for together in first[:30] for scenario in together} == set(SCENARIOS)
