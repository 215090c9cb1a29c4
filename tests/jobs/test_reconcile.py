"""After an outage nothing is lost: the comparison with Whop brings in what no event brought."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from sqlalchemy import select

from admin_app.context import Ctx, Job
from admin_app.errors import ProviderUnavailable
from admin_app.integrations.ports import WhopMembership
from admin_app.jobs import memberships
from admin_app.services.drift import Progress, drift_runs
from admin_app.services.drift.drift_runs import ComparisonRuns
from admin_app.services.drift.drift_whop import WhopSide
from admin_app.simulator import control
from admin_app.simulator.whop import whop_events, whop_records
from models import AuditEntry, Membership, PendingProfile, WebhookEvent
from tests.house import House, Watch, build
from tests.jobs.running import wait_until
from tests.services.factories import add_profile, profile_of


@pytest.fixture
def simulator(own_simulator: str) -> str:
    """The comparison sees every membership there is."""
    return own_simulator


def work(house: House) -> Callable[[], AbstractContextManager[Ctx]]:
    return lambda: house.db.unit_of_work(Job("reconcile_whop"))


def whop_side(house: House) -> WhopSide:
    assert house.bench.providers.whop is not None
    return WhopSide(house.bench.providers.whop, house.db.clock)


def compare(house: House) -> dict[str, int]:
    return drift_runs.compare(whop_side(house), work(house)).outcomes


def buy_unseen(house: House, number: int) -> str:
    """A purchase whose webhooks were lost."""
    bought = control.purchase(
        house.simulator,
        email=f"unseen{number}@example.com",
        name=f"Unseen {number}",
        plan="yearly" if number % 2 else "monthly",
        membership_id=f"mem_unseen{number}",
        deliver=False,
    )
    return bought["membership_id"]


def test_what_no_event_brought_is_brought_in_once(house: House) -> None:
    for number in range(3):
        buy_unseen(house, number)
    assert compare(house) == {"brought_in": 3}
    assert compare(house) == {"known": 3}
    house.work()
    assert compare(house) == {"known": 3}
    waiting = house.rows(select(PendingProfile).order_by(PendingProfile.email))
    assert [row.email for row in waiting] == [f"unseen{number}@example.com" for number in range(3)]
    assert [row.plan_duration.value for row in waiting] == ["monthly", "yearly", "monthly"]
    assert {row.usage_credits for row in waiting} == {1000}
    assert house.count(WebhookEvent) == 3
    assert [entry.event for entry in house.rows(select(AuditEntry))].count("drift.compared") == 3


def test_an_end_that_no_event_told_is_noticed(house: House) -> None:
    membership_id = buy_unseen(house, 1)
    compare(house)
    control.deactivate(house.simulator, membership_id, deliver=False)
    assert compare(house) == {"updated": 1}
    (pending,) = house.rows(select(PendingProfile))
    assert pending.membership is Membership.FREE
    assert compare(house) == {"known": 1}


def test_when_the_second_membership_ends_the_first_serves_at_once(house: House) -> None:
    add_profile(house.db, "user_a", email="twice@example.com")
    first, second = (
        control.purchase(house.simulator, email="twice@example.com", deliver=False, membership_id=name)["membership_id"]
        for name in ("mem_first", "mem_second")
    )
    for membership_id in (first, second):
        memberships.compare(house.bench, membership_id)
    control.deactivate(house.simulator, second, deliver=False)
    memberships.compare(house.bench, second)
    profile = profile_of(house.db, "user_a")
    assert (profile.membership, profile.whop_membership_id) == (Membership.PRO, first)


def test_an_end_told_while_the_list_was_read_is_not_taken_back(house: House) -> None:
    """The list said active; by the time it is compared, Whop has told of the end."""
    membership_id = buy_unseen(house, 1)
    compare(house)
    house.work()
    whop = house.bench.providers.whop
    assert whop is not None

    class Slow:
        def membership(self, wanted: str) -> WhopMembership | None:
            return whop.membership(wanted)

        def memberships(self) -> Iterator[WhopMembership]:
            for listed in list(whop.memberships()):
                control.deactivate(house.simulator, membership_id, deliver=False)
                ended = whop_records.Membership.read(
                    {**STORED, "id": membership_id, "email": "unseen1@example.com"}
                ).ended(int(time.time()))
                event = whop_events.event("v1", "membership.deactivated", ended.updated_at, ended)
                assert house.whop(json.dumps(event).encode()).json == {"status": "ok"}
                house.work()
                yield replace(listed, period_end=None, cancel_at_period_end=True)

    assert drift_runs.compare(WhopSide(Slow(), house.db.clock), work(house)).outcomes == {"known": 1}
    (pending,) = house.rows(select(PendingProfile))
    assert pending.membership is Membership.FREE


STORED = whop_records.started(email=None, name="Unseen 1", plan="yearly", at=1_795_000_000).document()


def test_the_late_event_of_what_was_brought_in_changes_nothing(house: House) -> None:
    bought = control.purchase(house.simulator, email="late@example.com", deliver=False)
    compare(house)
    before = house.rows(select(PendingProfile))[0]
    control.purchase(house.simulator, email="late@example.com", membership_id=bought["membership_id"], deliver=False)
    compare(house)
    (after,) = house.rows(select(PendingProfile))
    assert (after.id, after.usage_credits) == (before.id, 1000)


def test_many_pages_are_all_read(house: House) -> None:
    control.seed_memberships(
        house.simulator,
        [
            {"membership_id": f"mem_page{n:03}", "email": f"page{n}@example.com", "name": "P", "plan": "monthly"}
            for n in range(120)
        ],
    )
    seen: list[int] = []
    drift_runs.compare(whop_side(house), work(house), seen=lambda progress: seen.append(progress.compared))
    assert seen == list(range(1, 121))
    assert house.count(PendingProfile) == 120


def test_two_never_run_at_once(real_house: House) -> None:
    buy_unseen(real_house, 1)
    refused: list[type[BaseException]] = []

    def second(_: Progress) -> None:
        with pytest.raises(ComparisonRuns) as caught:
            compare(real_house)
        refused.append(caught.type)

    drift_runs.compare(whop_side(real_house), work(real_house), seen=second)
    assert refused == [ComparisonRuns]
    assert compare(real_house) == {"known": 1}


def test_whop_away_half_way_keeps_what_was_done(house: House) -> None:
    for number in range(2):
        buy_unseen(house, number)
    control.fault(house.simulator, "whop", "500", times=100)
    with pytest.raises(ProviderUnavailable):
        compare(house)
    control.fault(house.simulator, "whop", "off")
    assert house.count(PendingProfile) == 0
    assert compare(house) == {"brought_in": 2}


def test_without_a_key_there_is_nothing_to_compare(simulator: str, house: House) -> None:
    keyless = build(simulator, house.db, whop_api_key="")
    answer = keyless.app.test_cli_runner().invoke(args=["reconcile", "whop"])
    assert answer.exit_code == 1
    assert "WHOP_API_KEY" in answer.output


def test_whop_is_not_asked_inside_a_working_transaction(real_house: House) -> None:
    """While Whop thinks, nothing holds a connection."""
    buy_unseen(real_house, 1)
    control.fault(real_house.simulator, "whop", "slow", times=1, seconds=4)
    in_use: list[int] = []
    with Watch(lambda: in_use.append(real_house.db.engine.pool.checkedout())):
        compare(real_house)
    wait_until(lambda: len(in_use) > 10)
    assert sum(number > 1 for number in in_use) <= len(in_use) / 4
