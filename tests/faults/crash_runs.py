"""Runs a journey undisturbed, killed at one point, or with one call gone wrong, and compares how it ended."""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from admin_app.services import invariants
from admin_app.simulator import control
from tests.faults import endings
from tests.faults.journeys import Journey
from tests.faults.stage import Stage, staged

# What waits for an answer is asked about by then, in each of the product's own patiences.
A_WHILE = timedelta(minutes=7)
MODES = ("slow", "reset", "apply-then-drop", "apply-then-500", "429")
SLOW_SECONDS = 5
Fresh = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class CallFault:
    """The `number`-th call of a journey to this provider goes wrong in this way."""

    provider: str
    number: int
    mode: str

    def __str__(self) -> str:
        return f"{self.mode} at call {self.number} of {self.provider}"


@dataclass(frozen=True)
class Ended:
    """How a run ended; `crashed` is the point at which it was killed, if it came to it."""

    ended: dict[str, list[str]]
    left_over: dict[str, list[str]]
    broken: tuple[str, ...]
    mails: Counter[str]
    listed_mails: int
    crashed: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    def amiss(self, undisturbed: "Ended") -> list[str]:
        """In sentences, how this end differs from the undisturbed one."""
        said = [
            f"{name}: {self.ended[name]} instead of {wanted}"
            for name, wanted in undisturbed.ended.items()
            if self.ended[name] != wanted
        ]
        if doubled := self.mails - undisturbed.mails:
            said.append(f"mails sent twice: {sorted(doubled)}")
        if (missing := undisturbed.mails - self.mails).total() > self.listed_mails:
            said.append(f"mails not sent, and on no list: {sorted(missing)}")
        said += [f"left over, {name}: {found}" for name, found in self.left_over.items()]
        return said + [f"does not hold: {sentence}" for sentence in self.broken]


class Runs:
    """Runs of journeys, each on a fresh database; how a journey ends undisturbed is found out once."""

    def __init__(self, fresh: Fresh, folder: Path) -> None:
        self._fresh, self._folder = fresh, folder
        self._undisturbed: dict[str, Ended] = {}
        self._numbers = itertools.count(1)

    def undisturbed(self, journey: Journey) -> Ended:
        if journey.name not in self._undisturbed:
            ended = self._run(journey)
            assert not ended.left_over, f"{journey.name}, undisturbed: {ended.left_over}"
            self._undisturbed[journey.name] = ended
        return self._undisturbed[journey.name]

    def killed_at(self, journey: Journey, point: str) -> list[str]:
        """What is amiss after the process was killed at this point and everything went on."""
        wanted = self.undisturbed(journey)
        ended = self._run(journey, crash_at=point)
        missed = [] if ended.crashed else ["the point was not passed, so nothing was killed"]
        return missed + ended.amiss(wanted)

    def with_fault(self, journey: Journey, fault: CallFault) -> list[str]:
        """What is amiss after this one call went wrong."""
        wanted = self.undisturbed(journey)
        return self._run(journey, fault=fault).amiss(wanted)

    def _run(self, journey: Journey, *, crash_at: str = "", fault: CallFault | None = None) -> Ended:
        with self._fresh() as database_url:
            return run(journey, database_url, self._folder / str(next(self._numbers)), crash_at=crash_at, fault=fault)


def run(
    journey: Journey, database_url: str, folder: Path, *, crash_at: str = "", fault: CallFault | None = None
) -> Ended:
    """The whole journey on this fresh database; its end a while later, when everything had its time."""
    trace = folder / "points"
    with staged(database_url, folder) as stage:
        journey.prepare(stage)
        stage.settle()
        if fault is not None:
            control.fault(stage.simulator, fault.provider, fault.mode, seconds=SLOW_SECONDS, after=fault.number - 1)
        stage.crash_at, stage.trace = crash_at, str(trace)
        for act in journey.acts:
            act(stage)
            stage.settle()
        stage.crash_at = stage.trace = ""
        stage.later(A_WHILE)
        passed = [line.split("\t") for line in trace.read_text().splitlines()] if trace.exists() else []
        return Ended(
            ended=endings.of(stage),
            left_over=endings.left_over(stage),
            broken=_broken(stage),
            mails=endings.mails(stage),
            listed_mails=endings.listed_mails(stage),
            crashed=tuple(stage.crashed),
            points=tuple(dict.fromkeys(point for point, _ in passed)),
            calls=tuple(about for point, about in passed if about and point.endswith(":before")),
        )


def call_faults(undisturbed: Ended) -> list[CallFault]:
    """Every mode at every call to a provider that has modes; mail servers and key sets have none."""
    counts: dict[str, int] = {}
    found = []
    for provider in undisturbed.calls:
        if provider in ("mail", "other"):
            continue
        counts[provider] = counts.get(provider, 0) + 1
        found += [CallFault(provider, counts[provider], mode) for mode in MODES]
    return found


def _broken(stage: Stage) -> tuple[str, ...]:
    with stage.rows() as database, database.read_only() as session:
        found = invariants.broken(session, now=database.clock(), patience=timedelta(0))
    return tuple(f"{one.invariant.sentence} ({', '.join(one.records)})" for one in found)
