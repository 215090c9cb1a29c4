"""`make soak MINUTES=10`: the whole product under traffic and faults, told in plain words.

The first part of the time goes to a storm: steady signed traffic, and a random sequence of faults. The rest goes to
journeys that are killed at one point each, or have one call go wrong, and must end as if nothing had been. SEED=…
repeats the sequence of an earlier run. Ends with status 1 when anything was lost, doubled or forgotten.
"""

import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults import business, databases, product
from tests.faults.crash_runs import Runs, call_faults
from tests.faults.databases import Databases
from tests.faults.journeys import JOURNEYS, Journey
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.storm import Storm, length
from tests.faults.story import Story
from tests.faults.traffic import Traffic
from tests.faults.watching import HealthWatch

STORM_SHARE = 0.6
# Of a storm, for traffic to come to its end.
CALM_SECONDS = 10.0
# Traffic before the first fault.
QUIET_SECONDS = 3.0
AT_ONCE = 2
# Of one journey before the next one's turn.
AT_A_TURN = 5
Attempt = tuple[str, Callable[[], list[str]]]


def storm(places: Databases, folder: Path, story: Story, *, seed: int, ends: float) -> None:
    """Traffic and faults until then."""
    story.say("Starting the product: web server, two workers, the simulated providers, a proxy before the database.")
    with places.fresh() as database_url, product.running(database_url, folder) as running:
        practitioners = business.founded(running)
        story.say(f"It runs at {running.url}. Purchases, claims, bookings and refunds come in from now on.")
        with Traffic(running, seed, practitioners) as traffic, HealthWatch(running.url) as watch:
            raging = Storm(running, traffic, watch, story, random.Random(seed))
            time.sleep(QUIET_SECONDS)
            for together in sequence(raging.chance):
                left = ends - time.monotonic() - CALM_SECONDS
                if left < max(scenario.least for scenario in together):
                    break
                raging.inject(together, max(length(scenario, left / 3) for scenario in together))
            raging.end()
        _tell_traffic(story, traffic)


def sequence(chance: random.Random) -> "list[tuple[Scenario, ...]]":
    """Every fault once by itself, in random order and with pairs of them between; again and again."""
    found: list[tuple[Scenario, ...]] = []
    for _ in range(50):
        order = chance.sample(SCENARIOS, len(SCENARIOS))
        for number, scenario in enumerate(order):
            found.append((scenario,))
            if number % 3 == 2:
                found.append(tuple(chance.sample(SCENARIOS, 2)))
    return found


def _tell_traffic(story: Story, traffic: Traffic) -> None:
    counts, ledger = traffic.ledger.counts, traffic.ledger
    story.say(
        f"In all: {counts['purchase']:,} purchases told once, {counts['duplicate']:,} told twice, "
        f"{counts['out of order']:,} told in the wrong order; {counts['try']:,} times a delivery was not taken and "
        f"tried again."
    )
    story.more(
        f"{len(ledger.claimed):,} claims, {len(ledger.paid):,} bookings paid ({counts['booking not answered']:,} were "
        f"not answered and left), {counts['refund']:,} refunds, {len(ledger.mails):,} mails."
    )


def points(places: Databases, folder: Path, story: Story, *, seed: int, ends: float) -> None:
    """Journeys that are killed or disturbed at one point each, as many as there is time for."""
    story.say("Now single journeys: killed before or after a commit or a call, or with one call gone wrong.")
    attempts = Attempts(Runs(places.fresh, folder), random.Random(seed))

    def work(_number: int) -> None:
        while time.monotonic() < ends and (one := attempts.next()) is not None:
            name, act = one
            try:
                amiss = act()
            except AssertionError as error:
                amiss = [f"it did not come to an end: {error}"]
            story.say(f"{name}: {'AMISS' if amiss else 'ended as undisturbed'}.")
            for sentence in amiss:
                story.lost(f"{name}: {sentence}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, range(AT_ONCE)))
    tried, known = attempts.counts()
    rest = "" if tried == known else "; for the others, more MINUTES or another SEED"
    story.say(f"Tried {tried} of {known} places where a process may be killed or a call may go wrong{rest}.")


class Attempts:
    """Some places of each journey in turn, in random order; a journey's places are found by an undisturbed run."""

    def __init__(self, runs: Runs, chance: random.Random) -> None:
        self._runs, self._chance, self._lock = runs, chance, threading.Lock()
        self._known = self._tried = 0
        self._unopened = chance.sample(list(JOURNEYS.values()), len(JOURNEYS))
        self._opened: deque[list[Attempt]] = deque()
        self._here: list[Attempt] = []

    def next(self) -> "Attempt | None":
        with self._lock:
            if not self._here:
                self._turn()
            if not self._here:
                return None
            self._tried += 1
            return self._here.pop()

    def counts(self) -> tuple[int, int]:
        """How many places were tried, and how many are known."""
        return self._tried, self._known

    def _turn(self) -> None:
        """Some places of the next journey."""
        if self._unopened:
            found = self._places(self._unopened.pop())
            self._known += len(found)
            self._chance.shuffle(found)
            self._opened.append(found)
            self._opened.rotate(1)
        while self._opened and not self._opened[0]:
            self._opened.popleft()
        if self._opened:
            first = self._opened[0]
            self._here = [first.pop() for _ in range(min(AT_A_TURN, len(first)))]
            self._opened.rotate(-1)

    def _places(self, journey: Journey) -> "list[Attempt]":
        undisturbed = self._runs.undisturbed(journey)
        kills = [
            (f"{journey.name}, killed at {point}", partial(self._runs.killed_at, journey, point))
            for point in undisturbed.points
        ]
        faults = [
            (f"{journey.name}, {fault}", partial(self._runs.with_fault, journey, fault))
            for fault in call_faults(undisturbed)
        ]
        return kills + faults


def verdict(story: Story, seed: int) -> int:
    story.say()
    if not story.losses:
        story.say("NOTHING WAS LOST. Every acknowledged delivery is stored once and done with or in front of a person;")
        story.more("no credit, mail, refund or appointment was made twice; every rule of `flask verify` holds.")
        return 0
    story.say(f"{len(story.losses)} THINGS ARE AMISS:")
    for loss in dict.fromkeys(story.losses):
        story.more(f"- {loss}")
    story.more(f"The same sequence again: make soak SEED={seed}")
    return 1


def soak(seconds: float, seed: int, folder: Path, story: Story) -> int:
    """The whole run; the exit status."""
    story.say(f"Soak of {seconds / 60:g} minutes, SEED={seed}. What the programs say lies in {folder}.")
    began = time.monotonic()
    with databases.served(folder) as places:
        storm(places, folder, story, seed=seed, ends=began + seconds * STORM_SHARE)
        points(places, folder / "points", story, seed=seed, ends=began + seconds)
    return verdict(story, seed)


def main() -> int:
    # The simulated providers of the journeys run in this process, and tell of every call.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    minutes = float(os.environ.get("MINUTES", "10"))
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6)
    folder = Path(tempfile.mkdtemp(prefix="backdesk-soak-"))
    return soak(minutes * 60, seed, folder, Story())


if __name__ == "__main__":
    sys.exit(main())
