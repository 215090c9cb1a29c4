"""Killed before and after every commit and every call, the product ends where it ends undisturbed: `make soak` kills at
all points, here are all of a purchase and its claim, and some of the others."""

import random

import pytest

from tests.faults.crash_runs import Runs, call_faults
from tests.faults.journeys import JOURNEYS

SEED = 1895634620
SHARES = 4
KILLS_EACH, FAULTS_EACH = 2, 1
OTHERS = [name for name in JOURNEYS if name != "purchase"]


@pytest.mark.parametrize("share", range(SHARES))
def test_a_purchase_survives_a_kill_at_every_point(runs: Runs, share: int) -> None:
    journey = JOURNEYS["purchase"]
    points = runs.undisturbed(journey).points
    assert {point.split(":")[0] for point in points} >= {"request", "process_event", "send_claim_mail"}
    assert {point: amiss for point in points[share::SHARES] if (amiss := runs.killed_at(journey, point))} == {}


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_journey_survives_kills(runs: Runs, name: str) -> None:
    journey = JOURNEYS[name]
    points = random.Random(SEED).sample(runs.undisturbed(journey).points, KILLS_EACH)
    assert {point: amiss for point in points if (amiss := runs.killed_at(journey, point))} == {}


@pytest.mark.parametrize("name", JOURNEYS)
def test_every_journey_survives_calls_that_go_wrong(runs: Runs, name: str) -> None:
    journey = JOURNEYS[name]
    faults = call_faults(runs.undisturbed(journey))
    chosen = random.Random(SEED).sample(faults, min(FAULTS_EACH, len(faults)))
    assert {str(fault): amiss for fault in chosen if (amiss := runs.with_fault(journey, fault))} == {}
